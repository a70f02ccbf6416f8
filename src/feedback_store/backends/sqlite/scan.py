"""A scan: all that matches, as of its beginning, a piece at a time."""

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import ExitStack

from feedback_store.backends.sqlite.conditions import Where
from feedback_store.backends.sqlite.database import Database
from feedback_store.backends.sqlite.place import MEMORY
from feedback_store.backends.sqlite.rows import Tests, entries_of
from feedback_store.entry import FeedbackEntry
from feedback_store.query import Order, Query
from feedback_store.sql import reading
from feedback_store.sql.conditions import ORDERS
from feedback_store.sql.reading import PIECE
from feedback_store.store import Lines, descending


class Scan:
    """The rows that match, in the order of time.

    It keeps a connection in a read transaction, so that it sees what was there when it began.
    Where that is in somebody's way (an erasure, a fork, a closing store), it takes the rest into
    memory and lets the connection go; with a rollback journal at once.
    """

    def __init__(self, database: Database, tests: Tests, query: Query) -> None:
        self._database = database
        self._lock = threading.Lock()
        self._stack = ExitStack()
        self._connection: sqlite3.Connection | None = None
        self._piece: list[bytes] = []
        where = Where(query, tests, self._stack)
        order = ORDERS[Order.NEWEST if descending(query) else Order.OLDEST]
        self._sql = f"SELECT body FROM entry WHERE {where.sql} ORDER BY {order}"  # noqa: S608  # its values are bound
        self._values = where.values
        if database.path == MEMORY:
            with self._stack, database.reader() as connection:
                assert connection is not None, "a store in memory is always there"
                self._piece = [body for (body,) in connection.execute(self._sql, self._values)]
            return
        if database.is_there():
            self._begin()

    def _begin(self) -> None:
        connection = self._connection = self._database.pool.borrow()
        try:
            (mode,) = connection.execute("PRAGMA journal_mode").fetchone()
            connection.execute("BEGIN")
            self._cursor = connection.execute(self._sql, self._values)
            self._piece = self._read()  # it is with the first row that the transaction begins
        except BaseException:
            self._let_go()
            raise
        if mode == b"wal":
            self._database.pool.hold(self)
        else:
            self.settle()  # without a log a reader keeps every writer out

    def entries(self) -> Iterator[FeedbackEntry]:
        """Yield the entries."""
        return reading.entries(self._take, entries_of)

    def lines(self) -> Iterator[Lines]:
        """Yield the bodies, which are lines."""
        return reading.lines(self._take, entries_of)

    def _take(self) -> list[bytes]:
        """Return what was read, and read on."""
        with self._lock:
            if not self._piece and self._connection is not None:
                self._piece = self._read()
            piece, self._piece = self._piece, []
            return piece

    def _read(self) -> list[bytes]:
        piece = [body for (body,) in self._cursor.fetchmany(PIECE)]
        if len(piece) < PIECE:
            self._let_go()
        return piece

    def _let_go(self) -> None:
        connection, self._connection = self._connection, None
        self._stack.close()
        if connection is not None:
            connection.rollback()  # which ends the reading, whatever it has met
            self._database.pool.give_back(connection)

    def settle(self) -> None:
        """Take all that is still to come into memory, and give the connection back."""
        with self._lock:
            if self._connection is not None:
                self._piece += [body for (body,) in self._cursor]
                self._let_go()

    def __del__(self) -> None:
        """Leave the connection behind: nobody may have taken the rest.

        Nothing is waited for, since this may run anywhere: in a thread that holds the locks, too.
        """
        if self._connection is not None:
            self._database.pool.leave_behind(self._connection)
        self._stack.close()
