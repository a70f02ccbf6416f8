"""A query as conditions on the columns of a row, the orders of rows, and places in an order.

The columns have one name in all databases: ``id``; ``message``, NULL where it is the id;
``conversation``; ``user``; ``stamp``, in microseconds since 1970; ``class``, that of the rating;
``explained``; ``rating``.
"""

from typing import Any

from feedback_store.cursor import Cursor
from feedback_store.query import Order, Query
from feedback_store.sql.classes import CLASS_OF
from feedback_store.sql.dialect import Dialect
from feedback_store.stamps import stamp_of

ORDERS = {
    Order.NEWEST: "entry.stamp DESC, entry.id DESC",
    Order.OLDEST: "entry.stamp, entry.id",
    Order.RATING_DESC: "entry.rating IS NULL, entry.rating DESC, entry.stamp DESC, entry.id DESC",
    Order.RATING_ASC: "entry.rating IS NULL, entry.rating, entry.stamp DESC, entry.id DESC",
}
"""Databases do not agree where NULL comes: so the unrated are put last by name."""


def times(query: Query) -> tuple[int | None, int | None]:
    """Return the first stamp that a query takes, and the one after the last; None for no bound."""
    since = None if query.since is None else stamp_of(query.since)
    until = None if query.until is None else stamp_of(query.until)
    return since, until


def timed(query: Query) -> bool:
    """Say whether the query asks for time and rating only."""
    return not (asks_for_more(query) or query.issues or query.source_types)


def asks_for_more(query: Query) -> bool:
    """Say whether the query asks for more than time, rating, issues and source types."""
    exact = (query.message_id, query.conversation_id, query.user_id, query.has_explanation)
    return reads_lines(query) or exact != (None, None, None, None)


def reads_lines(query: Query) -> bool:
    """Say whether the query asks for what no column tells."""
    return bool(query.text or query.match)


class Conditions:
    """Conditions on rows of ``entry``, all of which must hold.

    Attributes:
        values: the values that they take.
    """

    def __init__(self, dialect: Dialect) -> None:
        self._dialect = dialect
        self._parts: list[str] = []
        self.values: list[Any] = []

    @property
    def sql(self) -> str:
        """The condition; true where nothing is asked."""
        return " AND ".join(self._parts) or self._dialect.true

    def say(self, sql: str, *values: object) -> None:
        """Add a condition, with a question mark for each value."""
        self._parts.append(self._dialect.word(sql))
        self.values.extend(self._dialect.bind(value) for value in values)

    def say_columns(self, query: Query) -> None:
        """Add what a query asks of the columns that all databases have."""
        since, until = times(query)
        for sql, value in (
            ("entry.class = ?", None if query.rating is None else CLASS_OF[query.rating]),
            ("entry.stamp >= ?", since),
            ("entry.stamp < ?", until),
            ("entry.conversation = ?", query.conversation_id),
            ("entry.user = ?", query.user_id),
            ("entry.explained = ?", query.has_explanation),
        ):
            if value is not None:
                self.say(sql, value)
        if (about := query.message_id) is not None:
            self.say(
                "(entry.message = ? OR (entry.id = ? AND entry.message IS NULL))", about, about
            )

    def say_after(self, cursor: Cursor | None) -> None:
        """Add that a row comes after a cursor; nothing where there is none."""
        if cursor is None:
            return
        stamp = stamp_of(cursor.timestamp)
        sign = ">" if cursor.order is Order.OLDEST else "<"
        # The first half is for the index: it may know time only.
        sql = f"(entry.stamp {sign}= ? AND (entry.stamp {sign} ? OR entry.id {sign} ?))"
        values = stamp, stamp, cursor.id
        if cursor.order in (Order.OLDEST, Order.NEWEST):
            self.say(sql, *values)
        elif cursor.rating is None:
            self.say(f"(entry.rating IS NULL AND {sql})", *values)
        else:
            sign = ">" if cursor.order is Order.RATING_ASC else "<"
            worse = f"entry.rating {sign} ? OR entry.rating IS NULL"
            sql = f"({worse} OR (entry.rating = ? AND {sql}))"
            self.say(sql, cursor.rating, cursor.rating, *values)
