"""One database file, as one process uses it.

One connection writes, under a lock; readers borrow one each, so that they wait for nobody. A
connection must never be seen on both sides of a fork: SQLite counts its locks per process, in
memory, and a child would inherit the counts without the locks. So all are closed before a fork, and
opened again on both sides when they are needed.
"""

import logging
import sqlite3
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from feedback_store.backends.sqlite import journal, schema
from feedback_store.backends.sqlite.place import MEMORY, Place
from feedback_store.backends.sqlite.pool import Borrowed, Connection, Pool
from feedback_store.backends.sqlite.rows import Tests
from feedback_store.backends.sqlite.watching import Watch
from feedback_store.errors import StoreUnavailableError
from feedback_store.forking import watch_forks

logger = logging.getLogger("feedback_store.sqlite")

_CACHE_KIB = 16_384
_WAL_LIMIT_BYTES = 64 << 20


class Database:
    """A database file.

    Args:
        place: where it is.
        wanted: the journal mode that is asked for.
        timeout_s: how long to wait for others, in seconds.
        tests: what SQL asks of Python.
        durable: whether a write waits for the medium.

    Attributes:
        path: the file, absolute; ``":memory:"`` for one that is gone with the process.
        timeout_s: as it was given.
        durable: as it was given.
        pool: the connections of readers.
    """

    def __init__(
        self,
        place: Place,
        wanted: journal.JournalMode,
        timeout_s: float,
        tests: Tests,
        *,
        durable: bool,
    ) -> None:
        self.path = place.path
        self._place = place
        self._wanted: journal.JournalMode = wanted
        self.timeout_s = timeout_s
        self.durable = durable
        self._tests = tests
        self._mode = ""
        self._seen: tuple[int, int] | None = None
        self._warned = False
        self._writer: Connection | None = None
        self._start()
        watch_forks(self)

    def _start(self) -> None:
        self._writing = threading.RLock()
        self.pool = Pool(self._connect_reader)
        self._watch = Watch(self._connect)

    # ------------------------------------------------------------------------------ writing

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """Write: all of the block, durably, or nothing of it.

        Raises:
            sqlite3.Error: something failed; nothing was changed, or, where the sync failed, it is
                unknown.
            StoreUnavailableError: the file is gone, or is no store of ours.
        """
        with self.alone() as connection:
            if self._mode == "delete":
                self.pool.settle()  # a reader would keep the writer out
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.execute("COMMIT")
            except sqlite3.Error:
                raise
            except BaseException:
                connection.rollback()
                raise

    @contextmanager
    def alone(self) -> Iterator[Connection]:
        """Use the writing connection outside a transaction, while nobody else here does."""
        with self._writing:
            try:
                yield self._connected()
            except sqlite3.Error:
                self._drop_writer()
                raise

    def _drop_writer(self) -> None:
        """Throw the connection away: what it holds in memory is not to be trusted."""
        if self._writer is not None and self.path == MEMORY:
            self._writer.rollback()  # it is all that there is
        elif self._writer is not None:
            self._writer.close()  # which rolls back
            self._writer = None

    def _connected(self) -> Connection:
        self._need_same_file()
        if self._writer is None:
            if self.path != MEMORY and self._is_blank():
                self._place.make()
            self._writer = self._open_writer()
            self._seen = self._place.identity()
        return self._writer

    def _is_blank(self) -> bool:
        """Say whether no schema is there: whoever made the file may have died before that."""
        if self._place.identity() is None:
            return True
        connection = self._connect()
        try:
            return schema.is_blank(connection)
        finally:
            connection.close()

    def _open_writer(self) -> Connection:
        connection = self._connect()
        try:
            self._set_journal(connection)
            schema.migrate(connection, self.path)
            connection.execute("PRAGMA secure_delete = 1")
            connection.execute(f"PRAGMA journal_size_limit = {_WAL_LIMIT_BYTES}")
            if sys.platform == "darwin":
                connection.execute("PRAGMA fullfsync = 1")
                connection.execute("PRAGMA checkpoint_fullfsync = 1")
        except BaseException:
            connection.close()
            raise
        return connection

    def _set_journal(self, connection: Connection) -> None:
        schema.is_current(connection, self.path)  # what is not ours is not changed in any way
        if schema.is_blank(connection):
            connection.execute(f"PRAGMA page_size = {schema.PAGE_BYTES}")
        self._mode, reason = journal.give(
            connection, self.path, self._wanted, self.timeout_s, durable=self.durable
        )
        if reason and not self._warned:
            self._warned = True
            logger.warning("%s: %s; a slower rollback journal is used", self.path, reason)

    # ------------------------------------------------------------------------------ reading

    def reader(self) -> "Borrowed":
        """Lend a connection for a short look, as a context; None where there is no store yet."""
        return Borrowed(self)

    def lend(self) -> Connection | None:
        """Begin what `reader` does."""
        if self.path != MEMORY:
            return self.pool.borrow() if self.is_there() else None
        self._writing.acquire()
        try:
            return self._connected()
        except BaseException:
            self._writing.release()
            raise

    def take_back(self, connection: Connection, *, broken: bool) -> None:
        """End what `reader` does; what failed by the database's fault is not used again."""
        if self.path == MEMORY:
            self._writing.release()
        elif broken:
            connection.close()
            self.pool.give_back(None)
        else:
            self.pool.give_back(connection)

    def is_there(self) -> bool:
        """Say whether there is a store to read; an older schema is brought up to date.

        Raises:
            StoreUnavailableError: there was one, and it is gone; or it is no store of ours.
        """
        self._need_same_file()
        if self._seen is not None or self.path == MEMORY:
            return True
        identity = self._place.identity()
        if identity is None:
            return False
        connection = self._connect()
        try:
            if schema.is_blank(connection):
                return False
            if not schema.is_current(connection, self.path):
                schema.migrate(connection, self.path)
        finally:
            connection.close()
        self._seen = identity
        return True

    def version(self) -> str:
        """Return a token that changes with every change by any process; never the same again."""
        if self.path == MEMORY:
            with self._writing:
                return f"{self._watch.name}-{self._connected().total_changes}"
        return self._watch.version() if self.is_there() else f"{self._watch.name}-absent"

    def _connect_reader(self) -> Connection:
        connection = self._connect()
        connection.execute("PRAGMA query_only = 1")
        return connection

    def _connect(self) -> Connection:
        connection = sqlite3.connect(
            self.path,
            timeout=self.timeout_s,
            isolation_level=None,
            check_same_thread=False,
            cached_statements=256,
        )
        connection.text_factory = bytes
        self._tests.give_to(connection)
        connection.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
        return connection

    # ---------------------------------------------------------------- the file, and this process

    def _need_same_file(self) -> None:
        """See that the path still leads to the file that is open; take up another store there.

        Raises:
            StoreUnavailableError: it is gone: what lies there may be under a missing volume.
        """
        if self._seen is None or self.path == MEMORY:
            return
        identity = self._place.identity()
        if identity == self._seen:
            return
        if identity is None:
            msg = (
                f"{self.path}: the file is gone since the store was opened; see whether its volume "
                "is still mounted, then open the store again"
            )
            error = StoreUnavailableError(msg)
            error.filename = self.path
            raise error
        self.close()
        self._seen = None

    def close(self) -> None:
        """Close all connections; scans that are not at their end take the rest into memory."""
        with self._writing:
            self._rest()
            self._wake()

    def _rest(self) -> None:
        """Close all connections; none is opened until `_wake`."""
        self.pool.rest()
        self._watch.rest()
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def _wake(self) -> None:
        self._watch.wake()
        self.pool.wake()

    def before_fork(self) -> None:
        """Come to rest: see the module. What is in memory only goes along with the memory."""
        self._writing.acquire()
        if self.path != MEMORY:
            self._rest()

    def after_fork_in_parent(self) -> None:
        """Go on."""
        if self.path != MEMORY:
            self._wake()
        self._writing.release()

    def after_fork_in_child(self) -> None:
        """Go on with locks of one's own."""
        self._start()
