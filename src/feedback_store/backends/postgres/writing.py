"""What a write does inside its transaction."""

from collections.abc import Sequence

import psycopg

from feedback_store.backends.postgres.connecting import Connection
from feedback_store.backends.postgres.database import Database
from feedback_store.backends.postgres.rows import (
    COPY,
    INSERT,
    UPDATE,
    arrays_of,
    bindable,
    bodies_of,
    copied,
    row_of,
    stored,
)
from feedback_store.backends.postgres.schema import Names
from feedback_store.codec import decode, encode
from feedback_store.entry import FeedbackEntry
from feedback_store.errors import InvalidEntryError
from feedback_store.operations import not_found, same_content
from feedback_store.store import Change, Outcome

Pair = tuple[FeedbackEntry, bytes]

_BULK = 64
"""Entries that are worth a COPY: it takes a statement more, and less for each of them."""

_PIECE = 100
"""Entries that are sent at a time."""

_ID_BYTES = 2600
"""What an index takes of a text, as one page holds three of its rows."""

_TRIES = 5
"""How often a write is begun again that the server has rolled back for others' sake."""

_PRESENT = "SELECT 1 FROM {entry} WHERE id = ANY(%s) LIMIT 1"
_LOCKED = "SELECT id, body FROM {entry} WHERE id = ANY(%s) ORDER BY id FOR KEY SHARE"
_FOR_UPDATE = "SELECT body FROM {entry} WHERE id = %s FOR UPDATE"
_ASIDE = """
WITH gone AS (DELETE FROM {entry} WHERE id = ANY(%s) RETURNING id, body)
INSERT INTO {damaged} SELECT id, body FROM gone
"""
_BROKEN = "SELECT id, body FROM {entry} WHERE id = ANY(%s) ORDER BY id FOR UPDATE"
_LOCK_ALL = "SELECT 1 FROM {entry} WHERE id = ANY(%s) ORDER BY id FOR UPDATE"
_ERASE = "DELETE FROM {entry} WHERE id = ANY(%s) RETURNING id, body"
_ERASE_DAMAGED = """
DELETE FROM {damaged} WHERE id = ANY(%s)
  OR EXISTS (SELECT FROM unnest(%s::text[]) AS asked(id) WHERE strpos(body, asked.id) > 0)
"""


def append(database: Database, pairs: Sequence[Pair]) -> list[Outcome]:
    """Store entries that are new, in one transaction; see `Store.append`."""
    first: dict[str, Pair] = {}
    for entry, line in pairs:
        _check_id(entry.id)
        first.setdefault(entry.id, (entry, line))
    there = _stored(database, first)
    outcomes: list[Outcome] = []
    told: set[str] = set()
    for entry, _ in pairs:
        before = there.get(entry.id)
        if before is None and entry.id not in told:
            told.add(entry.id)
            outcomes.append(Outcome.ADDED)
        else:
            same = same_content(before or first[entry.id][0], entry)
            outcomes.append(Outcome.UNCHANGED if same else Outcome.CONFLICT)
    return outcomes


def _check_id(id: str) -> None:
    """See that an id fits into a key of the table.

    Raises:
        InvalidEntryError: it is longer.
    """
    size_bytes = len(stored(id).encode())
    if size_bytes > _ID_BYTES:
        msg = f"the id takes {size_bytes} bytes, and a PostgreSQL store takes at most {_ID_BYTES}"
        raise InvalidEntryError(msg)


def _stored(database: Database, first: dict[str, Pair]) -> dict[str, FeedbackEntry]:
    """Store each of some entries; return those that stood there instead."""
    # In the order of their ids: two that bring the same ones then wait for each other in line,
    # and not in a ring.
    fresh = [first[id] for id in sorted(first)]
    copy = len(fresh) >= _BULK
    for _ in range(_TRIES):
        try:
            with database.transaction() as connection:
                return _insert(connection, database.names, fresh, copy=copy)
        except psycopg.errors.UniqueViolation:
            copy = False  # another has brought one of them since it was looked for
        except (psycopg.errors.DeadlockDetected, psycopg.errors.SerializationFailure):
            continue
    with database.transaction() as connection:
        return _insert(connection, database.names, fresh, copy=False)


def _insert(
    connection: Connection, names: Names, fresh: Sequence[Pair], *, copy: bool
) -> dict[str, FeedbackEntry]:
    """Insert entries; return what stood under the ids of those that were not inserted."""
    if copy and not _any_present(connection, names, fresh):
        with connection.cursor() as cursor, cursor.copy(names.word(COPY)) as out:
            # Some at a time: the server works on them while the next ones are made ready here.
            for start in range(0, len(fresh), _PIECE):
                out.write(copied(row_of(*pair) for pair in fresh[start : start + _PIECE]))
        return {}
    there: dict[str, FeedbackEntry] = {}
    left = {row[0]: row for row in (row_of(*pair) for pair in fresh)}
    while left:
        found = connection.execute(names.word(INSERT), arrays_of(list(left.values())))
        for (id,) in found:
            del left[id]
        # What was not inserted stands there, and is committed: who inserts waits for that. But
        # it may be erased before it is read here; then it is new, and inserted once more.
        if left:
            for entry in _locked(connection, names, list(left)):
                there[entry.id] = entry
                del left[stored(entry.id)]
    return there


def _any_present(connection: Connection, names: Names, fresh: Sequence[Pair]) -> bool:
    """Say whether one of some entries is there already.

    Planned anew each time: a plan that was kept from when the table was small would go through
    all of it.
    """
    ids = [stored(entry.id) for entry, _ in fresh]
    found = connection.execute(names.word(_PRESENT), (ids,), prepare=False)
    return found.fetchone() is not None


def _locked(connection: Connection, names: Names, ids: Sequence[str]) -> list[FeedbackEntry]:
    """Return what stands under some ids; a row that somebody has damaged makes room.

    They are locked, which is also what makes them durable: who locks a row writes to the log, and
    to commit that brings to the disk all that stands before it there. What another transaction
    has committed without waiting for the disk would else be acknowledged too early.
    """
    entries: list[FeedbackEntry] = []
    damaged = False
    found = connection.execute(names.word(_LOCKED), (list(ids),), prepare=False)
    for id, body in found.fetchall():
        entry = _readable(body.encode(), id)
        damaged = damaged or entry is None
        if entry is not None:
            entries.append(entry)
    if damaged:
        _set_aside(connection, names, ids)
    return entries


def _set_aside(connection: Connection, names: Names, ids: Sequence[str]) -> None:
    rows = connection.execute(names.word(_BROKEN), (list(ids),)).fetchall()
    broken = [id for id, body in rows if _readable(body.encode(), id) is None]
    if broken:
        connection.execute(names.word(_ASIDE), (broken,))


def rewrite(
    connection: Connection, names: Names, id: str, change: Change, max_bytes: int
) -> FeedbackEntry:
    """Read, change and write an entry; see `Store.rewrite`."""
    found = bodies_of(connection.execute(names.word(_FOR_UPDATE), (bindable(id),)))
    old = _readable(found[0], stored(id)) if found else None
    if old is None:
        raise not_found(id)
    new = change(old)
    if (new.id, new.timestamp) != (old.id, old.timestamp):
        msg = "a change may not touch id or timestamp: delete the entry and add another"
        raise InvalidEntryError(msg)
    line = encode(new, max_bytes)
    if new == old:
        return old  # the lock was written to the log, and makes durable what it found
    values = [*arrays_of([row_of(new, line)]), stored(id)]
    connection.execute(names.word(UPDATE), values)
    return new


def erase(connection: Connection, names: Names, ids: Sequence[str]) -> int:
    """Delete entries; return how many there were that can be read."""
    wanted = [stored(id) for id in ids]
    connection.execute(names.word(_ERASE_DAMAGED), (wanted, wanted), prepare=False)
    # In the order of their ids first, as whoever inserts does: see `_stored`.
    connection.execute(names.word(_LOCK_ALL), (wanted,), prepare=False)
    rows = connection.execute(names.word(_ERASE), (wanted,), prepare=False).fetchall()
    return sum(_readable(body.encode(), id) is not None for id, body in rows)


def _readable(body: bytes, id: str) -> FeedbackEntry | None:
    """Return the entry of a row; None where somebody has made another one of it, or none at all."""
    try:
        entry = decode(body)
    except InvalidEntryError:
        return None
    return entry if stored(entry.id) == id else None
