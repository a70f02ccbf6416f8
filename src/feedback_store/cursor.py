"""Keyset cursors: where a page ended, as text that a URL can carry."""

import base64
import binascii
from datetime import datetime

import attrs
import msgspec

from feedback_store.entry import FeedbackEntry
from feedback_store.errors import InvalidQueryError
from feedback_store.query import Order

_decoder = msgspec.json.Decoder(tuple[Order, datetime, str, int | float | None])


@attrs.frozen
class Cursor:
    """The last entry of a page, by what orders it.

    A cursor names a place among the entries, not a number of them, so that pages neither repeat
    nor skip an entry while others are added or erased.

    Attributes:
        order: the order that it belongs to.
        timestamp: of the last entry.
        id: of the last entry.
        rating: of the last entry.
    """

    order: Order
    timestamp: datetime
    id: str
    rating: int | float | None

    @classmethod
    def at(cls, entry: FeedbackEntry, order: Order | None) -> "Cursor":
        """Return the cursor of an entry."""
        return cls(order or Order.NEWEST, entry.timestamp, entry.id, entry.rating)

    @classmethod
    def parse(cls, text: str, order: Order | None) -> "Cursor":
        """Return the cursor that a text stands for.

        Raises:
            InvalidQueryError: it is no cursor, or one of another order.
        """
        try:
            cursor = cls(*_decoder.decode(base64.urlsafe_b64decode(text)))
        except (msgspec.MsgspecError, binascii.Error, ValueError):
            msg = "this is no cursor of a page; take Page.next_cursor as it is"
            raise InvalidQueryError(msg) from None
        if cursor.order is not order or cursor.timestamp.tzinfo is None:
            msg = f"this cursor belongs to the order {cursor.order}, not {order}"
            raise InvalidQueryError(msg)
        return cursor

    def __str__(self) -> str:
        """Return it as text."""
        place = self.order, self.timestamp, self.id, self.rating
        return base64.urlsafe_b64encode(msgspec.json.encode(place)).decode()

    def precedes(self, entry: FeedbackEntry) -> bool:
        """Say whether the entry comes after this place."""
        here, there = (self.timestamp, self.id), (entry.timestamp, entry.id)
        if self.order is Order.OLDEST:
            return there > here
        if self.order is Order.NEWEST or self.rating == entry.rating:
            return there < here
        if self.rating is None or entry.rating is None:
            return entry.rating is None
        ascending = self.order is Order.RATING_ASC
        return (entry.rating > self.rating) if ascending else (entry.rating < self.rating)
