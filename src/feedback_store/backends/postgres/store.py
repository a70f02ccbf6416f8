"""`PostgresStore`: feedback in a PostgreSQL database."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import Literal, TypeVar

from feedback_store import operations
from feedback_store.backends.postgres import answering, checking, tidying, writing
from feedback_store.backends.postgres.address import parse
from feedback_store.backends.postgres.connecting import Connection, Connector
from feedback_store.backends.postgres.database import Database
from feedback_store.backends.postgres.rows import (
    bindable,
    bodies_of,
    entries_of,
)
from feedback_store.backends.postgres.scan import Scan
from feedback_store.backends.postgres.schema import names_of
from feedback_store.backends.postgres.wording import Worded
from feedback_store.codec import MAX_ENTRY_BYTES, encode
from feedback_store.cursor import Cursor
from feedback_store.entry import FeedbackEntry
from feedback_store.errors import StoreClosedError, UnknownBackendError
from feedback_store.group_commit import Grouping
from feedback_store.operations import not_found
from feedback_store.query import Order, Page, Query
from feedback_store.report import CheckReport, CompactReport
from feedback_store.sql.conditions import reads_lines
from feedback_store.stats import Stats
from feedback_store.store import Change, Lines, Outcome

T = TypeVar("T")

_LINGER_S = 0.001
"""How long a group waits for those who are likely to come: less than a commit takes."""

_GET = "SELECT body FROM {entry} WHERE id = %s"
_GET_MANY = "SELECT body FROM {entry} WHERE id = ANY(%s)"
_VERSION = "SELECT name || '-' || (SELECT sum(n) FROM {change}) FROM {schema}"


class PostgresStore:
    """A `Store` in a PostgreSQL database, with what a query asks for answered by the server.

    The page on the schema tells what is in the database. Any number of threads, processes and
    machines may use it.

    Args:
        url: ``postgresql://user:password@host:5432/database``, or a connection string of libpq
            (``host=... dbname=...``). What is missing in it comes from ``PG*`` in the environment.
            The password is shown nowhere.
        table: the name of the table, made at the first write; those beside it begin with it. A
            database may hold several stores, by several names.
        schema: the schema in which it is; the first of the role's own, unless given.
        durability: ``"sync"``: a write is acknowledged when the server's disk has it, whatever
            the role's default is; ``"os"``: before that, so that a crash of the server may lose
            the last moment's.
        max_entry_bytes: the size that one encoded entry may have.
        max_connections: how many connections this store opens at most; a scan that is not at its
            end keeps one.
        connect_timeout_s: how long one attempt to connect may take, in seconds.
        connect_retry_s: how long to try again where the server refuses, in seconds, as one does
            that is being started anew; 0 to try once.
        lock_timeout_s: how long to wait for another writer of the same entry, and for a
            connection where all are in use, in seconds.

    Raises:
        UnknownBackendError: the URL is none of a PostgreSQL database.
        ValueError: a value that an option cannot have.
    """

    def __init__(  # noqa: PLR0913  # each option stands for itself
        self,
        url: str,
        *,
        table: str = "feedback",
        schema: str | None = None,
        durability: Literal["sync", "os"] = "sync",
        max_entry_bytes: int = MAX_ENTRY_BYTES,
        max_connections: int = 10,
        connect_timeout_s: float = 10.0,
        connect_retry_s: float = 1.0,
        lock_timeout_s: float = 30.0,
    ) -> None:
        if durability not in ("sync", "os"):
            msg = 'durability must be "sync" or "os"'
            raise ValueError(msg)
        if max_connections < 1:
            msg = f"max_connections must be 1 or more, not {max_connections!r}"
            raise ValueError(msg)
        self._address = parse(url)
        if self._address.table is not None:
            msg = (
                "?table= names a table of another program, to export or to migrate from; the "
                "store's own is the keyword argument: open_store(url, table='feedback')"
            )
            raise UnknownBackendError(msg)
        self._names = names_of(table, schema)
        self._max_entry_bytes = max_entry_bytes
        self._database = Database(
            Connector(self._address, connect_timeout_s, connect_retry_s, lock_timeout_s),
            self._names,
            durable=durability == "sync",
            max_connections=max_connections,
        )
        self._closed = False
        self.grouping = Grouping(linger_s=_LINGER_S)

    def __repr__(self) -> str:
        """Show the database, without a password, and the table."""
        return f"PostgresStore({self._address.shown!r}, table={self._names.table!r})"

    def append(self, entries: Sequence[FeedbackEntry]) -> Sequence[Outcome]:
        """See `Store.append`. One transaction."""
        self._check_open()
        pairs = [(entry, encode(entry, self._max_entry_bytes)) for entry in entries]
        if not pairs:
            return []
        with Worded(self._address):
            return writing.append(self._database, pairs)

    def rewrite(self, id: str, change: Change) -> FeedbackEntry:
        """See `Store.rewrite`."""
        self._check_open()
        with Worded(self._address):
            if not self._database.is_there():
                raise not_found(id)
            with self._database.transaction() as connection:
                return writing.rewrite(connection, self._names, id, change, self._max_entry_bytes)

    def erase(self, ids: Iterable[str]) -> int:
        """See `Store.erase`. Gone from the table; the page on the schema tells of the log."""
        self._check_open()
        wanted = sorted({id for id in ids if bindable(id) is not None})
        with Worded(self._address):
            if not wanted or not self._database.is_there():
                return 0
            with self._database.transaction() as connection:
                count = writing.erase(connection, self._names, wanted)
            tidying.purge(self._database)
            return count

    def compact(self) -> CompactReport:
        """See `SupportsCompact.compact`: the tables are written anew, and others wait meanwhile."""
        self._check_open()
        with Worded(self._address):
            if not self._database.is_there():
                return CompactReport()
            return tidying.compact(self._database)

    def scan(self, query: Query) -> Iterator[FeedbackEntry]:
        """See `Store.scan`. In constant memory, by a cursor on the server."""
        return self._worded(self._scan(query).entries())

    def lines(self, query: Query) -> Iterator[Lines]:
        """See `SupportsLines.lines`. The bodies are lines."""
        if reads_lines(query):
            return operations.encoded(operations.matching(self, query))
        return self._worded(self._scan(query).lines())

    def _scan(self, query: Query) -> Scan:
        self._check_open()
        with Worded(self._address):
            return Scan(self._database, query)

    def _worded(self, found: Iterator[T]) -> Iterator[T]:
        with Worded(self._address):
            yield from found

    def get(self, id: str) -> FeedbackEntry | None:
        """See `SupportsGet.get`."""
        sql = self._names.word(_GET)
        return next(entries_of(self._bodies(sql, bindable(id))), None)

    def get_many(self, ids: Collection[str]) -> Mapping[str, FeedbackEntry]:
        """See `SupportsGetMany.get_many`."""
        sql = self._names.word(_GET_MANY)
        wanted = [text for text in map(bindable, ids) if text is not None]
        return {entry.id: entry for entry in entries_of(self._bodies(sql, wanted, prepare=False))}

    def _bodies(self, sql: bytes, value: object, *, prepare: bool | None = None) -> list[bytes]:
        """Ask for bodies; unprepared where a plan may be of when the table was small."""
        nothing: list[bytes] = []
        return self._read(lambda c: bodies_of(c.execute(sql, (value,), prepare=prepare)), nothing)

    def page(self, query: Query, limit: int, cursor: str | None, number: int | None) -> Page:
        """See `SupportsPage.page`. Words and other keys are looked for here, in a scan."""
        order = query.order or Order.NEWEST
        after = None if cursor is None else Cursor.parse(cursor, order)
        if reads_lines(query):
            return operations.derived_page(self, query.ordered(order), limit, after, number or 1)
        return self._read(
            lambda c: answering.page(c, self._names, query, limit, after, number or 1),
            Page(entries=(), total=0),
        )

    def count(self, query: Query) -> int:
        """See `SupportsCount.count`."""
        return self._read(lambda c: answering.count(c, self._names, query), 0)

    def stats(self, query: Query) -> Stats:
        """See `SupportsStats.stats`."""
        return self._read(lambda c: answering.stats(c, self._names, query), Stats())

    def version(self) -> str:
        """See `SupportsVersion.version`. It also tells of changes by other programs."""
        sql = self._names.word(_VERSION)
        return self._read(lambda c: str((c.execute(sql).fetchone() or ("",))[0]), "absent")

    def check(self, *, deep: bool = False) -> CheckReport:
        """See `SupportsCheck.check`: the server's settings, and what is told of entries.

        A deep one reads every entry; else the last ones are read.
        """
        self._check_open()
        return checking.check(self._database, deep=deep)

    def close(self) -> None:
        """See `Store.close`."""
        self._closed = True
        with Worded(self._address):
            self._database.close()

    def _read(self, question: Callable[[Connection], T], nothing: T) -> T:
        """Ask the database; ``nothing`` is the answer where there is no store yet."""
        self._check_open()
        with Worded(self._address):
            return self._database.read(question, nothing)

    def _check_open(self) -> None:
        if self._closed:
            msg = f"{self!r} was closed; open it again"
            raise StoreClosedError(msg)
