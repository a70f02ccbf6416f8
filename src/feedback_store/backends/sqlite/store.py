"""`SqliteStore`: feedback in one SQLite file."""

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from typing import Literal, TypeVar

from feedback_store.backends.sqlite import checking, paging, tidying, writing
from feedback_store.backends.sqlite.conditions import Where
from feedback_store.backends.sqlite.counting import count, stats
from feedback_store.backends.sqlite.database import Database
from feedback_store.backends.sqlite.journal import JournalMode
from feedback_store.backends.sqlite.place import MEMORY, Place
from feedback_store.backends.sqlite.pool import Connection
from feedback_store.backends.sqlite.rows import Tests, bindable, entries_of
from feedback_store.backends.sqlite.scan import Scan
from feedback_store.backends.sqlite.wording import Worded
from feedback_store.codec import MAX_ENTRY_BYTES, encode
from feedback_store.entry import FeedbackEntry
from feedback_store.errors import StoreClosedError
from feedback_store.operations import not_found
from feedback_store.query import Page, Query
from feedback_store.report import CheckReport, CompactReport
from feedback_store.stats import Stats
from feedback_store.store import Change, Lines, Outcome

T = TypeVar("T")


class SqliteStore:
    """A `Store` in one SQLite file, with all that a query asks for answered by the database.

    The page on the file format tells what is in the file, the one on durability what it promises
    and why. Any number of threads and processes of one machine may use it.

    Args:
        path: the file; it is made at the first write. ``":memory:"`` for one in memory.
        durability: ``"sync"``: a write is acknowledged when the medium has it; ``"os"``: when the
            kernel has it, which survives the process but not a power cut.
        journal_mode: ``"wal"``: readers never wait for writers; ``"delete"``: for filesystems that
            cannot share memory between processes; ``"auto"`` chooses by the filesystem.
        max_entry_bytes: the size that one encoded entry may have.
        lock_timeout_s: how long to wait for another writer, in seconds.
        folder_mode: the mode of folders that are made, whatever the umask.
        file_mode: the mode of the file, whatever the umask.
        owner: user and group id of what is made; unless given, the process's own, or, for root,
            those of the folder.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        durability: Literal["sync", "os"] = "sync",
        journal_mode: JournalMode = "auto",
        max_entry_bytes: int = MAX_ENTRY_BYTES,
        lock_timeout_s: float = 30.0,
        folder_mode: int = 0o775,
        file_mode: int = 0o664,
        owner: tuple[int, int] | None = None,
    ) -> None:
        if durability not in ("sync", "os"):
            msg = 'durability must be "sync" or "os"'
            raise ValueError(msg)
        if journal_mode not in ("auto", "wal", "delete"):
            msg = 'journal_mode must be "auto", "wal" or "delete"'
            raise ValueError(msg)
        text = os.fspath(path)
        self.path = text if text == MEMORY else os.path.abspath(os.path.expanduser(text))  # noqa: PTH100, PTH111  # not to be resolved
        self._max_entry_bytes = max_entry_bytes
        self._tests = Tests()
        place = Place(self.path, folder_mode, file_mode, owner)
        self._database = Database(
            place, journal_mode, lock_timeout_s, self._tests, durable=durability == "sync"
        )
        self._closed = False

    def __repr__(self) -> str:
        """Show the absolute location."""
        return f"SqliteStore({self.path!r})"

    def append(self, entries: Sequence[FeedbackEntry]) -> Sequence[Outcome]:
        """See `Store.append`. One transaction, with one sync."""
        self._check_open()
        pairs = [(entry, encode(entry, self._max_entry_bytes)) for entry in entries]
        if not pairs:
            return []
        with Worded(self.path), self._database.transaction() as connection:
            return writing.append(connection, pairs)

    def rewrite(self, id: str, change: Change) -> FeedbackEntry:
        """See `Store.rewrite`."""
        self._check_open()
        with Worded(self.path):
            if not self._database.is_there():
                raise not_found(id)
            with self._database.transaction() as connection:
                return writing.rewrite(connection, id, change, self._max_entry_bytes)

    def erase(self, ids: Iterable[str]) -> int:
        """See `Store.erase`. It waits for readers that still see the entries."""
        self._check_open()
        wanted = frozenset(id for id in ids if bindable(id))
        with Worded(self.path):
            if not wanted or not self._database.is_there():
                return 0
            with self._database.transaction() as connection:
                found, erased = writing.erase(connection, sorted(wanted))
            tidying.purge(self._database, wanted, erased)
            return found

    def compact(self) -> CompactReport:
        """See `SupportsCompact.compact`: the file, labels and tallies are made anew."""
        self._check_open()
        with Worded(self.path):
            if not self._database.is_there():
                return CompactReport()
            return tidying.compact(self._database)

    def scan(self, query: Query) -> Iterator[FeedbackEntry]:
        """See `Store.scan`. With a write-ahead log it takes constant memory, else all at once."""
        return self._worded(self._scan(query).entries())

    def lines(self, query: Query) -> Iterator[Lines]:
        """See `SupportsLines.lines`. The bodies are lines."""
        return self._worded(self._scan(query).lines())

    def _scan(self, query: Query) -> Scan:
        self._check_open()
        with Worded(self.path):
            return Scan(self._database, self._tests, query)

    def _worded(self, found: Iterator[T]) -> Iterator[T]:
        with Worded(self.path):
            yield from found

    def get(self, id: str) -> FeedbackEntry | None:
        """See `SupportsGet.get`."""
        found = self._read(lambda c: c.execute(_GET, (bindable(id),)).fetchone(), None)
        return None if found is None else next(entries_of(found), None)

    def page(self, query: Query, limit: int, cursor: str | None, number: int | None) -> Page:
        """See `SupportsPage.page`."""
        return self._read(
            lambda c: paging.page(c, self._tests, query, limit, cursor, number),
            Page(entries=(), total=0),
            whole=True,
        )

    def count(self, query: Query) -> int:
        """See `SupportsCount.count`."""
        return self._read(lambda c: self._count(c, query), 0, whole=True)

    def _count(self, connection: Connection, query: Query) -> int:
        with ExitStack() as stack:
            return count(connection, query, Where(query, self._tests, stack))

    def stats(self, query: Query) -> Stats:
        """See `SupportsStats.stats`."""
        return self._read(lambda c: stats(c, query, self._tests), Stats(), whole=True)

    def version(self) -> str:
        """See `SupportsVersion.version`. SQLite counts the changes by others of a connection."""
        self._check_open()
        with Worded(self.path):
            return self._database.version()

    def check(self, *, deep: bool = False) -> CheckReport:
        """See `SupportsCheck.check`: SQLite's own check, and all that is told of each entry.

        A deep one also counts everything anew, and compares.
        """
        self._check_open()
        return checking.check(self._database, deep=deep)

    def close(self) -> None:
        """See `Store.close`."""
        self._closed = True
        with Worded(self.path):
            self._database.close()

    def _read(self, question: Callable[[Connection], T], nothing: T, *, whole: bool = False) -> T:
        """Ask the database; ``nothing`` is the answer where there is none yet.

        Args:
            question: asks it.
            nothing: the answer of an empty store.
            whole: whether it is asked more than once, and must not change in between.
        """
        self._check_open()
        with Worded(self.path), self._database.reader() as connection:
            if connection is None:
                return nothing
            if not whole:
                return question(connection)
            connection.execute("BEGIN")
            try:
                return question(connection)
            finally:
                connection.rollback()

    def _check_open(self) -> None:
        if self._closed:
            msg = f"{self!r} was closed; open it again"
            raise StoreClosedError(msg)


_GET = "SELECT body FROM entry WHERE id = ?"
