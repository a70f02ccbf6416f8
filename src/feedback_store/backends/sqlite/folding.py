"""Keeping labels and tallies: what pages and numbers are answered from.

An entry that comes is one row and nothing else. Every so many entries the transaction that is
writing anyway folds all that came since into ``label`` and ``tally``, in their order, so that the
pages of those tables are changed once for many entries. An entry that is folded already, and is
changed or erased, changes them at once.
"""

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice

from feedback_store.backends.sqlite.names import (
    EVERY,
    day_span,
    month_of,
    names_of,
    number_of,
)
from feedback_store.codec import decode
from feedback_store.entry import FeedbackEntry
from feedback_store.errors import InvalidEntryError
from feedback_store.sql.classes import class_of
from feedback_store.stamps import stamp_of
from feedback_store.stats import to_microseconds

FOLD_ROWS = 32
"""Entries that may be there before they are folded: each is looked at by itself until then."""

_AT_A_TIME = 10_000

_ADD_LABEL = "INSERT OR IGNORE INTO label (name, stamp, class, n) VALUES (?, ?, ?, ?)"
_DROP_LABEL = "DELETE FROM label WHERE name = ? AND stamp = ? AND class = ? AND n = ?"
_TALLY = """
INSERT OR REPLACE INTO tally (name, class, span, total, responses, response_us)
VALUES (?, ?, ?, ?, ?, ?)
"""
_TALLIED = """
SELECT total, responses, response_us FROM tally WHERE name = ? AND class = ? AND span = ?
"""


def folded(connection: sqlite3.Connection) -> int:
    """Return the last entry that labels and tallies know of."""
    return _state(connection, "folded")


def fold(
    connection: sqlite3.Connection,
    fresh: Sequence[FeedbackEntry] = (),
    *,
    at_least: int = FOLD_ROWS,
) -> None:
    """Fold what came since, where it is that much.

    Args:
        connection: in a transaction.
        fresh: the last of the entries, which need not be read again.
        at_least: how many it must be.
    """
    known = folded(connection)
    (last,) = connection.execute("SELECT coalesce(max(n), 0) FROM entry").fetchone()
    if last - known < at_least:
        return
    first = last - len(fresh) + 1
    between = "SELECT n, body FROM entry WHERE n > ? AND n < ? ORDER BY n"
    rows = connection.execute(between, (known, first))
    Folding(connection).add(chain(readable(rows), enumerate(fresh, first)))
    connection.execute("UPDATE state SET value = ? WHERE key = 'folded'", (last,))


def unfold(connection: sqlite3.Connection, n: int, entry: FeedbackEntry | None) -> None:
    """Take out an entry that is erased, or set aside; one that cannot be read is None."""
    if n <= folded(connection):
        if entry is None:
            rebuild(connection)
        else:
            Folding(connection).drop(n, entry)
    _lower_folded(connection)


def _lower_folded(connection: sqlite3.Connection) -> None:
    """Take note that an entry is gone: the number of the last one is given again."""
    connection.execute("""
        UPDATE state SET value = min(value, (SELECT coalesce(max(n), 0) FROM entry))
        WHERE key = 'folded'
    """)


def touch(connection: sqlite3.Connection) -> None:
    """Change something that says nothing, so that committing syncs the log.

    What stands there may come from a process that died between writing and syncing it.
    """
    connection.execute("UPDATE state SET value = value + 1 WHERE key = 'touched'")


def rebuild(connection: sqlite3.Connection) -> None:
    """Make labels and tallies anew, from the entries alone."""
    for table in ("label", "tally", "name"):
        connection.execute(f"DELETE FROM {table}")  # noqa: S608  # one of these three
    connection.execute("UPDATE state SET value = 0 WHERE key = 'folded'")
    fold(connection, at_least=1)


def _state(connection: sqlite3.Connection, key: str) -> int:
    found = connection.execute("SELECT value FROM state WHERE key = ?", (key,)).fetchone()
    return int(found[0])


def readable(rows: Iterable[tuple[int, bytes]]) -> Iterator[tuple[int, FeedbackEntry]]:
    """Decode rows; those that somebody has damaged count nowhere."""
    for n, body in rows:
        try:
            yield n, decode(body)
        except InvalidEntryError:
            continue  # somebody damaged it: `check` tells, and no answer counts it


class Folding:
    """Brings entries into labels and tallies, or takes them out again."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._numbers: dict[tuple[int, str], int] = {}

    def add(self, entries: Iterable[tuple[int, FeedbackEntry]]) -> None:
        """Bring entries in, by their numbers; however many they are, some at a time."""
        remaining = iter(entries)
        while some := list(islice(remaining, _AT_A_TIME)):
            self._add(some)

    def _add(self, entries: list[tuple[int, FeedbackEntry]]) -> None:
        labels: list[tuple[int, int, int, int]] = []
        counted = _Counted()
        for n, entry in entries:
            rating_class, stamp = class_of(entry), stamp_of(entry.timestamp)
            names = [self._number(*name) for name in names_of(entry)]
            labels.extend((name, stamp, rating_class, n) for name in names)
            counted.count(entry, names, rating_class, stamp)
        self._connection.executemany(_ADD_LABEL, sorted(labels))
        self._tally(counted, 1)

    def drop(self, n: int, entry: FeedbackEntry) -> None:
        """Take an entry out; a name that no other entry has goes with it."""
        rating_class, stamp = class_of(entry), stamp_of(entry.timestamp)
        found = (number_of(self._connection, *name) for name in names_of(entry))
        names = [name for name in found if name is not None]
        labels = [(name, stamp, rating_class, n) for name in names]
        self._connection.executemany(_DROP_LABEL, labels)
        counted = _Counted()
        counted.count(entry, names, rating_class, stamp)
        self._tally(counted, -1)
        self._connection.executemany(
            "DELETE FROM name WHERE k = ? AND NOT EXISTS (SELECT 1 FROM label WHERE name = k)",
            [(name,) for name in names],
        )

    def _number(self, kind: int, text: str) -> int:
        known = self._numbers.get((kind, text))
        if known is None:
            known = number_of(self._connection, kind, text)
            if known is None:
                row = (kind, text)
                made = self._connection.execute("INSERT INTO name (kind, text) VALUES (?, ?)", row)
                known = int(made.lastrowid or 0)
            self._numbers[kind, text] = known
        return known

    def _tally(self, counted: "_Counted", sign: int) -> None:
        execute = self._connection.execute
        for key, (total, responses, response_us) in sorted(counted.sums().items()):
            before = execute(_TALLIED, key).fetchone() or (0, 0, b"0")
            now = before[0] + sign * total
            if now:
                told = before[1] + sign * responses, str(int(before[2]) + sign * response_us)
                execute(_TALLY, (*key, now, *told))
            else:
                execute("DELETE FROM tally WHERE name = ? AND class = ? AND span = ?", key)


class _Counted:
    """How many entries there are of each day, class, and set of names."""

    def __init__(self) -> None:
        self._groups: dict[tuple[int, int, tuple[int, ...]], list[int]] = {}

    def count(self, entry: FeedbackEntry, names: list[int], rating_class: int, stamp: int) -> None:
        """Count an entry."""
        key = day_span(stamp), rating_class, tuple(names)
        sums = self._groups.get(key)
        if sums is None:
            sums = self._groups[key] = [0, 0, 0]
        sums[0] += 1
        if (seconds := entry.metadata.response_time) is not None:
            sums[1] += 1
            sums[2] += to_microseconds(seconds)

    def sums(self) -> dict[tuple[int, int, int], tuple[int, int, int]]:
        """Return totals, response times and their sum, by name, class and span.

        Response times are told with all entries only, not with each name.
        """
        sums: dict[tuple[int, int, int], tuple[int, int, int]] = {}
        for (day, rating_class, names), (total, responses, response_us) in self._groups.items():
            for span in (day, month_of(day)):
                key = EVERY, rating_class, span
                a, b, c = sums.get(key, (0, 0, 0))
                sums[key] = a + total, b + responses, c + response_us
                for name in names:
                    key = name, rating_class, span
                    sums[key] = sums.get(key, (0, 0, 0))[0] + total, 0, 0
        return sums
