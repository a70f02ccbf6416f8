"""Issues and source types by their numbers, and the spans of time in which they are counted."""

import sqlite3
from collections.abc import Sequence
from datetime import UTC, datetime

from feedback_store.backends.sqlite.rows import bindable
from feedback_store.entry import FeedbackEntry
from feedback_store.sql.classes import month_number, month_of_number
from feedback_store.stamps import stamp_of, time_of

ISSUE, SOURCE_TYPE = 1, 2
EVERY = 0
"""The number under which all entries are counted, whatever their names."""

DAY_US = 86_400_000_000
FIRST_DAY = 1_000_000
"""The span of the first day of all; those below are months."""
_FIRST_STAMP = stamp_of(datetime(1, 1, 1, tzinfo=UTC))


def names_of(entry: FeedbackEntry) -> list[tuple[int, str]]:
    """Return kind and text of all that an entry is counted under, each once."""
    issues = [(ISSUE, text) for text in dict.fromkeys(entry.metadata.issues)]
    return issues + [(SOURCE_TYPE, text) for text in entry.source_types]


def number_of(connection: sqlite3.Connection, kind: int, text: str) -> int | None:
    """Return the number of a name, None while no entry has it."""
    found = connection.execute(
        "SELECT k FROM name WHERE kind = ? AND text = ?", (kind, bindable(text))
    )
    row = found.fetchone()
    return None if row is None else int(row[0])


def marks(values: Sequence[object]) -> str:
    """Return a question mark for each of some values."""
    return ", ".join("?" * len(values))


def month_span(stamp: int) -> int:
    """Return the span of the month that a stamp lies in: its number since the year 0."""
    time = time_of(stamp)
    return month_number(time.year, time.month)


def day_span(stamp: int) -> int:
    """Return the span of the day that a stamp lies in: days come after all months."""
    return FIRST_DAY + (stamp - _FIRST_STAMP) // DAY_US


def month_of_span(span: int) -> tuple[int, int]:
    """Return year and month of a month's or a day's span."""
    if span >= FIRST_DAY:
        time = time_of(_day_start(span))
        return time.year, time.month
    return month_of_number(span)


def _day_start(span: int) -> int:
    return _FIRST_STAMP + (span - FIRST_DAY) * DAY_US


def whole_spans(since: int | None, until: int | None) -> tuple[list[range], list[range]]:
    """Cover a stretch of time by whole months and days, and by what is left at its ends.

    Args:
        since: its first stamp; None for no beginning.
        until: the stamp after its last; None for no end.

    Returns:
        Ranges of spans, and ranges of stamps; together they hold every moment once.
    """
    if since is None and until is None:
        return [range(FIRST_DAY)], []
    low = _FIRST_STAMP if since is None else since
    high = _END_STAMP if until is None else until
    first, last = day_span(low + DAY_US - 1), day_span(high)
    if first >= last:
        return [], [range(low, high)]
    edges = (range(low, _day_start(first)), range(_day_start(last), high))
    return list(filter(len, _by_months(first, last))), list(filter(len, edges))


def _by_months(first: int, last: int) -> list[range]:
    """Return the spans of the days from ``first`` up to ``last``: whole months where they fit."""
    start, end = month_of(first), month_of(last)
    if _first_day(start) < first:
        start += 1
    if start >= end:
        return [range(first, last)]
    return [range(first, _first_day(start)), range(start, end), range(_first_day(end), last)]


def month_of(day: int) -> int:
    """Return the span of the month that a day's span lies in."""
    return _END_MONTH if day >= _END_DAY else month_span(_day_start(day))


def _first_day(month: int) -> int:
    if month >= _END_MONTH:
        return _END_DAY
    return day_span(stamp_of(datetime(*month_of_number(month), 1, tzinfo=UTC)))


_END_STAMP = stamp_of(datetime.max.replace(tzinfo=UTC)) + 1
_END_DAY = day_span(_END_STAMP)
_END_MONTH = month_span(_END_STAMP - 1) + 1
