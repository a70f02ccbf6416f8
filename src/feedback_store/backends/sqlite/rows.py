"""An entry as a row, and a row as an entry."""

import itertools
import logging
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, TypeAlias

from feedback_store.codec import decode
from feedback_store.entry import FeedbackEntry
from feedback_store.errors import InvalidEntryError
from feedback_store.sql import lines
from feedback_store.sql.classes import class_of
from feedback_store.sql.dialect import Dialect
from feedback_store.stamps import stamp_of

logger = logging.getLogger("feedback_store.sqlite")

Row: TypeAlias = tuple[Any, ...]
Test: TypeAlias = Callable[[FeedbackEntry], bool]

COLUMNS = "id, message, conversation, user, stamp, class, explained, rating, body"
INSERT = f"INSERT INTO entry ({COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"  # noqa: S608  # a constant


def update(connection: sqlite3.Connection, n: int, old: Row, new: Row) -> None:
    """Write what differs between two rows: a column that is named costs the index on it."""
    names = COLUMNS.split(", ")
    changed = [(k, v) for k, v, before in zip(names, new, old, strict=True) if v != before]
    columns = ", ".join(f"{name} = ?" for name, _ in changed)
    values = [value for _, value in changed]
    connection.execute(f"UPDATE entry SET {columns} WHERE n = ?", [*values, n])  # noqa: S608  # their names


def bindable(text: str) -> str | None:
    """Return a text that SQLite can take; NULL, which equals nothing, for one that no entry has.

    A lone surrogate is no character, and is refused in every entry.
    """
    return None if lines.SURROGATES.search(text) else text


SQLITE = Dialect(mark="?", true="1", text=bindable)
"""How SQLite words things."""


def row_of(entry: FeedbackEntry, line: bytes) -> Row:
    """Return the columns of an entry, in the order of `COLUMNS`."""
    return (
        entry.id,
        None if entry.message_id == entry.id else entry.message_id,
        entry.metadata.conversation_id,
        entry.user_id,
        stamp_of(entry.timestamp),
        class_of(entry),
        int(bool(entry.metadata.explanation)),
        entry.rating,
        line.decode(),
    )


def entries_of(bodies: Iterable[bytes]) -> Iterator[FeedbackEntry]:
    """Decode bodies; one that somebody has damaged is told of, once, and left out."""
    return lines.entries_of(bodies, logger)


class Tests:
    """Conditions that SQL cannot hold as the model does, asked from SQL as ``holds(key, body)``.

    Case folding of Unicode and the equality of JSON values are such. A function stays the same on
    a connection for its life, since SQLite prepares everything anew when one is replaced; what it
    asks is looked up by a key.
    """

    def __init__(self) -> None:
        self._tests: dict[int, tuple[Test, str]] = {}
        self._keys = itertools.count()

    def give_to(self, connection: sqlite3.Connection) -> None:
        """Let a connection ask."""
        connection.create_function("holds", 2, self._holds, deterministic=True)

    @contextmanager
    def known(self, test: Test, hint: str = "") -> Iterator[int]:
        """Return the key of a test, for as long as the block runs.

        Args:
            test: what is asked of each entry.
            hint: what its line must hold, case folded, or the test need not be asked.
        """
        key = next(self._keys)
        self._tests[key] = test, hint
        try:
            yield key
        finally:
            del self._tests[key]

    def _holds(self, key: int, body: str) -> bool:
        test, hint = self._tests[key]
        if hint and hint not in body.casefold():
            return False
        try:
            return test(decode(body.encode()))
        except InvalidEntryError:
            return False
