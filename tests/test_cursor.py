"""`Cursor`: a place among the entries, as text."""

import base64
from datetime import UTC, datetime, timedelta
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from feedback_store import FeedbackEntry, InvalidQueryError, Order
from feedback_store.cursor import Cursor
from feedback_store.testing import entries, model

NOON = datetime(2025, 10, 5, 12, tzinfo=UTC)
ENTRY = FeedbackEntry(message_id="m", question="", answer="", rating=1, timestamp=NOON)


def encoded(text: str) -> str:
    """Return a text as a cursor holds it."""
    return base64.urlsafe_b64encode(text.encode()).decode()


@given(entries(), st.sampled_from(Order))
def test_a_cursor_comes_back_from_its_text(entry: FeedbackEntry, order: Order) -> None:
    """Whatever the entry, its cursor is the same after it was written and read."""
    cursor = Cursor.at(entry, order)
    assert cursor == Cursor.parse(str(cursor), order)


@given(entries())
def test_a_cursor_can_stand_in_a_url(entry: FeedbackEntry) -> None:
    """Nothing of its text has to be quoted in a query string, but for the padding."""
    text = str(Cursor.at(entry, None))
    assert text == quote(text, safe="=")


@given(entries(ids=["a", "b"]), entries(ids=["a", "b"]), st.sampled_from(Order))
def test_precedes_is_the_order(a: FeedbackEntry, b: FeedbackEntry, order: Order) -> None:
    """The place of one entry comes before another entry as sorting has it."""
    if (a.timestamp, a.id) != (b.timestamp, b.id):
        assert (model.ordered([a, b], order)[0] is a) == Cursor.at(a, order).precedes(b)
    assert not Cursor.at(a, order).precedes(a)


WRONG = {
    "nothing": "",
    "text": "page two",
    "not ASCII": "é",
    "not base64": "a",
    "not JSON": encoded("x"),
    "not UTF-8": base64.urlsafe_b64encode(b"\xff\xfe").decode(),
    "null": encoded("null"),
    "too short": encoded('["newest"]'),
    "unknown order": encoded('["up","2025-10-05T12:00:00Z","m",1]'),
    "naive": encoded('["newest","2025-10-05T12:00:00","m",1]'),
    "rating": encoded('["newest","2025-10-05T12:00:00Z","m","1"]'),
    "another order": str(Cursor.at(ENTRY, Order.OLDEST)),
    "deep": encoded("[" * 10_000),
}


@pytest.mark.parametrize("text", WRONG.values(), ids=WRONG)
def test_what_is_no_cursor_is_refused(text: str) -> None:
    """Whatever a client sends, it is one typed error, or a cursor."""
    with pytest.raises(InvalidQueryError):
        Cursor.parse(text, Order.NEWEST)


def test_a_cursor_of_any_zone_is_the_same_place() -> None:
    """A client may have spelled the time of a cursor otherwise."""
    text = encoded('["newest","2025-10-05T14:00:00+02:00","m",1]')
    place = Cursor.parse(text, Order.NEWEST)
    assert not place.precedes(ENTRY)
    assert place.precedes(
        FeedbackEntry(message_id="m", question="", answer="", timestamp=NOON - timedelta(hours=1))
    )
