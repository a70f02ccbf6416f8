"""Hearing of every change to a database file, whoever makes it."""

import secrets
import sqlite3
import threading
from collections.abc import Callable

from feedback_store.backends.sqlite.pool import Connection


class Watch:
    """A connection that never writes, and so hears of all changes.

    SQLite tells a connection how often others have changed the file (``PRAGMA data_version``). What
    it counts is its own, so each new connection has another name.

    Args:
        connect: opens one.

    Attributes:
        name: what no other watch is called, in any process.
    """

    def __init__(self, connect: Callable[[], Connection]) -> None:
        self.name = secrets.token_hex(8)
        self._connect = connect
        self._lock = threading.Lock()
        self._connection: Connection | None = None
        self._connections = 0

    def version(self) -> str:
        """Return a token that changes with every change, and never is the same again."""
        with self._lock:
            if self._connection is None:
                self._connection = self._connect()
                self._connections += 1
            try:
                (changes,) = self._connection.execute("PRAGMA data_version").fetchone()
            except sqlite3.DatabaseError:
                self._close()
                raise
            return f"{self.name}-{self._connections}-{changes}"

    def rest(self) -> None:
        """Close the connection; who asks for the version waits until `wake`."""
        self._lock.acquire()
        self._close()

    def wake(self) -> None:
        """Go on after a rest."""
        self._lock.release()

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
