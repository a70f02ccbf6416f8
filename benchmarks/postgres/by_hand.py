"""The same table, by hand: what somebody writes who knows the question and the driver."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import psycopg

from feedback_store import FeedbackEntry, decode, encode
from feedback_store.rating import Rating
from feedback_store.stamps import stamp_of
from feedback_store.stats import to_microseconds

_NAMES = (
    'id, message, conversation, "user", stamp, month, class, explained, rating, response_us, '
    "issues, types, body"
)
_MARKS = ", ".join(["%s"] * 13)
_INSERT = f"INSERT INTO by_hand ({_NAMES}) VALUES ({_MARKS}) ON CONFLICT (id) DO NOTHING"
_COPY = f"COPY by_hand ({_NAMES}) FROM STDIN"
_CLASSES = (Rating.NEGATIVE, Rating.POSITIVE, Rating.NEUTRAL, Rating.UNRATED)

_WHERE = "class = 0 AND issues && ARRAY['inaccurate'] AND stamp >= %s AND stamp < %s"
_PAGE = f"SELECT body FROM feedback WHERE {_WHERE} ORDER BY stamp DESC, id DESC LIMIT 50"
_TOTAL = f"SELECT count(*) FROM feedback WHERE {_WHERE}"
_STATS = (
    "SELECT class, count(*), sum(response_us), min(stamp), max(stamp) FROM feedback GROUP BY class",
    "SELECT month, count(*) FROM feedback GROUP BY month",
    "SELECT issue, count(*) FROM feedback, unnest(issues) AS issue GROUP BY issue",
    "SELECT type, class, count(*) FROM feedback, unnest(types) AS type GROUP BY type, class",
)


def empty(url: str) -> None:
    """Empty the store's table, and make one like it, with the same columns and indexes."""
    with psycopg.connect(url) as connection:
        connection.execute("TRUNCATE feedback")
        connection.execute("DROP TABLE IF EXISTS by_hand")
        connection.execute("CREATE TABLE by_hand (LIKE feedback INCLUDING ALL)")


def analyze(url: str) -> None:
    """Let the server look at what is in its tables, as it does by itself after a while."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("VACUUM (ANALYZE) feedback")


def server_version(url: str) -> str:
    """Return the version of the server."""
    with psycopg.connect(url) as connection:
        return str(connection.info.parameter_status("server_version"))


def row_of(entry: FeedbackEntry) -> tuple[Any, ...]:
    """Return the columns of an entry."""
    told, time = entry.metadata, entry.timestamp
    seconds = told.response_time
    return (
        entry.id,
        None,
        told.conversation_id,
        entry.user_id,
        stamp_of(time),
        12 * time.year + time.month - 1,
        _CLASSES.index(Rating.of(entry.rating)),
        bool(told.explanation),
        entry.rating,
        None if seconds is None else to_microseconds(seconds),
        list(told.issues),
        list(entry.source_types),
        encode(entry).decode(),
    )


def add_each(url: str, entries: Sequence[FeedbackEntry]) -> None:
    """Store entries, each in a transaction of its own."""
    with psycopg.connect(url, autocommit=True) as connection:
        for entry in entries:
            connection.execute(_INSERT.encode(), row_of(entry))


def copy(url: str, entries: Sequence[FeedbackEntry]) -> None:
    """Store entries by one COPY."""
    with (
        psycopg.connect(url) as connection,
        connection.cursor() as cursor,
        cursor.copy(_COPY) as out,
    ):
        for entry in entries:
            out.write_row(row_of(entry))


class Reader:
    """Asks the table of a store by SQL that was written for the question.

    Args:
        url: the database.
    """

    def __init__(self, url: str) -> None:
        self._connection = psycopg.connect(url, autocommit=True)

    def page(self, since: datetime, until: datetime) -> tuple[int, list[FeedbackEntry]]:
        """Return how many entries match, and the first 50 of them."""
        times = stamp_of(since), stamp_of(until)
        (total,) = self._connection.execute(_TOTAL, times).fetchone() or (0,)
        rows = self._connection.execute(_PAGE, times).fetchall()
        return total, [decode(body.encode()) for (body,) in rows]

    def stats(self) -> list[list[tuple[Any, ...]]]:
        """Return the rows of which statistics are made."""
        return [self._connection.execute(sql).fetchall() for sql in _STATS]

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()
