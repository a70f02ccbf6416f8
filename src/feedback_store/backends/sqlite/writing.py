"""What a write does inside its transaction."""

import sqlite3
from collections.abc import Iterable, Sequence

from feedback_store.backends.sqlite.folding import Folding, fold, folded, touch, unfold
from feedback_store.backends.sqlite.names import names_of
from feedback_store.backends.sqlite.rows import INSERT, Row, bindable, row_of, update
from feedback_store.codec import decode, encode
from feedback_store.entry import FeedbackEntry
from feedback_store.errors import InvalidEntryError
from feedback_store.operations import not_found, same_content
from feedback_store.rating import Rating
from feedback_store.store import Change, Outcome

_ASKED = 500
"""Ids in one question: SQLite may take as few as 999 values."""

_FIND = "SELECT n, body FROM entry WHERE id = ?"


def append(
    connection: sqlite3.Connection, pairs: Sequence[tuple[FeedbackEntry, bytes]]
) -> list[Outcome]:
    """Store entries that are new; see `Store.append`."""
    known = _there(connection, [entry.id for entry, _ in pairs])
    fresh: dict[str, FeedbackEntry] = {}
    rows: list[Row] = []
    outcomes: list[Outcome] = []
    for entry, line in pairs:
        there = known.get(entry.id) or fresh.get(entry.id)
        if there is None:
            fresh[entry.id] = entry
            rows.append(row_of(entry, line))
            outcomes.append(Outcome.ADDED)
        else:
            same = same_content(there, entry)
            outcomes.append(Outcome.UNCHANGED if same else Outcome.CONFLICT)
    if rows:
        connection.executemany(INSERT, rows)
        fold(connection, list(fresh.values()))
    elif Outcome.UNCHANGED in outcomes:
        touch(connection)
    return outcomes


def _there(connection: sqlite3.Connection, ids: Sequence[str]) -> dict[str, FeedbackEntry]:
    """Return those entries that are there; a row that somebody has damaged makes room."""
    there: dict[str, FeedbackEntry] = {}
    for n, body in _rows_of(connection, ids):
        try:
            entry = decode(body)
        except InvalidEntryError:
            aside = "INSERT INTO damaged (id, body) SELECT id, body FROM entry WHERE n = ?"
            connection.execute(aside, (n,))
            connection.execute("DELETE FROM entry WHERE n = ?", (n,))
            unfold(connection, n, None)
        else:
            there[entry.id] = entry
    return there


def _rows_of(connection: sqlite3.Connection, ids: Sequence[str]) -> list[tuple[int, bytes]]:
    rows: list[tuple[int, bytes]] = []
    for start in range(0, len(ids), _ASKED):
        some = ids[start : start + _ASKED]
        marks = ", ".join("?" * len(some))
        sql = f"SELECT n, body FROM entry WHERE id IN ({marks})"  # noqa: S608  # question marks
        rows += connection.execute(sql, some).fetchall()
    return rows


def rewrite(
    connection: sqlite3.Connection, id: str, change: Change, max_bytes: int
) -> FeedbackEntry:
    """Read, change and write an entry; see `Store.rewrite`."""
    n, body = connection.execute(_FIND, (bindable(id),)).fetchone() or (0, b"")
    old = _readable(body)
    if old is None:
        raise not_found(id)
    new = change(old)
    if (new.id, new.timestamp) != (old.id, old.timestamp):
        msg = "a change may not touch id or timestamp: delete the entry and add another"
        raise InvalidEntryError(msg)
    line = encode(new, max_bytes)
    if new == old:
        touch(connection)
        return old
    if _counted(new) != _counted(old) and n <= folded(connection):
        folding = Folding(connection)
        folding.drop(n, old)
        folding.add([(n, new)])
    update(connection, n, row_of(old, body), row_of(new, line))
    return new


def _counted(entry: FeedbackEntry) -> tuple[object, ...]:
    """Return what labels and tallies know of an entry."""
    return set(names_of(entry)), Rating.of(entry.rating), entry.metadata.response_time


def erase(connection: sqlite3.Connection, ids: Iterable[str]) -> tuple[int, list[FeedbackEntry]]:
    """Delete entries; return how many there were, and those of them that can be read."""
    count = 0
    erased: list[FeedbackEntry] = []
    for id in ids:
        connection.execute("DELETE FROM damaged WHERE id = ? OR instr(body, ?)", (id, id))
        found = connection.execute(_FIND, (id,)).fetchone()
        if found is None:
            continue
        n, body = found
        entry = _readable(body)
        connection.execute("DELETE FROM entry WHERE n = ?", (n,))
        unfold(connection, n, entry)
        count += entry is not None
        if entry is not None:
            erased.append(entry)
    return count, erased


def _readable(body: bytes) -> FeedbackEntry | None:
    try:
        return decode(body)
    except InvalidEntryError:
        return None
