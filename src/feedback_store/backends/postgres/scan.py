"""A scan: all that matches, as of its beginning, a piece at a time."""

import threading
from collections.abc import Iterator
from contextlib import suppress

import psycopg

from feedback_store.backends.postgres.conditions import Where
from feedback_store.backends.postgres.connecting import Connection
from feedback_store.backends.postgres.database import Database
from feedback_store.backends.postgres.rows import bodies_of, entries_of
from feedback_store.entry import FeedbackEntry
from feedback_store.query import Order, Query
from feedback_store.sql import reading
from feedback_store.sql.conditions import ORDERS
from feedback_store.sql.reading import PIECE
from feedback_store.store import Lines, descending

# One statement of SQL sees one moment, and so does a cursor: it is that of its DECLARE.
_BEGIN = b"BEGIN ISOLATION LEVEL READ COMMITTED"
_SELECT = """
DECLARE scan NO SCROLL CURSOR FOR
SELECT body FROM {{entry}} AS entry WHERE {where} ORDER BY {order}
"""
_FETCH = f"FETCH FORWARD {PIECE} FROM scan".encode()
_FETCH_ALL = b"FETCH ALL FROM scan"


class Scan:
    """The rows that match, in the order of time.

    It keeps a connection with a cursor on the server, which sees what was there when it began.
    Where that is in somebody's way (an erasure, a fork, a closing store), it takes the rest into
    memory and lets the connection go.
    """

    def __init__(self, database: Database, query: Query) -> None:
        self._database = database
        self._lock = threading.Lock()
        self._connection: Connection | None = None
        self._error: psycopg.Error | None = None
        self._piece: list[bytes] = []
        where = Where(query)
        order = ORDERS[Order.NEWEST if descending(query) else Order.OLDEST]
        self._sql = database.names.word(_SELECT.format(where=where.sql, order=order))
        self._values = where.values
        nothing: tuple[list[bytes], bool] = ([], True)
        self._piece, whole = database.read(self._begin, nothing)
        if not whole:
            database.hold(self)

    def _begin(self, connection: Connection) -> tuple[list[bytes], bool]:
        """Read the first piece; where that is not all, keep the connection."""
        connection.execute(_BEGIN)
        connection.execute(self._sql, self._values)
        piece = bodies_of(connection.execute(_FETCH))
        if len(piece) < PIECE:
            connection.rollback()
            return piece, True
        self._connection = connection
        return piece, False

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
                self._piece = self._read(_FETCH)
            if not self._piece and self._error is not None:
                raise self._error
            piece, self._piece = self._piece, []
            return piece

    def _read(self, fetch: bytes) -> list[bytes]:
        assert self._connection is not None, "asked before"
        try:
            piece = bodies_of(self._connection.execute(fetch))
        except psycopg.Error:
            self._let_go()
            raise
        if fetch is _FETCH_ALL or len(piece) < PIECE:
            self._let_go()
        return piece

    def _let_go(self) -> None:
        connection, self._connection = self._connection, None
        assert connection is not None, "asked before"
        with suppress(psycopg.Error):  # one that is lost is told by what failed before
            connection.rollback()
        self._database.pool.give_back(connection)

    def settle(self) -> None:
        """Take all that is still to come into memory, and give the connection back.

        Where that fails, who reads on is told, and not who is in the way.
        """
        with self._lock:
            if self._connection is not None:
                try:
                    self._piece += self._read(_FETCH_ALL)
                except psycopg.Error as error:
                    self._error = error

    def __del__(self) -> None:
        """Leave the connection behind: nobody may have taken the rest.

        Nothing is waited for, since this may run anywhere: in a thread that holds the locks, too.
        """
        connection: Connection | None = getattr(self, "_connection", None)
        if connection is not None:
            self._database.pool.leave_behind(connection)
