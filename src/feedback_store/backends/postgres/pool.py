"""Connections that are lent, one to each who asks.

Not the pool of `psycopg_pool`: that one connects in threads of its own, so that who asks learns
after a timeout, and not why, that the server refuses; its threads do not survive a fork; and it
cannot take back what a dropped scan has left in the middle of a transaction without waiting.
"""

import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Protocol

from feedback_store.backends.postgres.connecting import Connection
from feedback_store.backends.postgres.wording import is_lost
from feedback_store.errors import LockTimeoutError, StoreClosedError

_LEFT_BEHIND_S = 0.05


class Holder(Protocol):
    """Who keeps a connection between two calls: a scan that is not at its end."""

    def settle(self) -> None:
        """Take what is still to come into memory, and give the connection back."""
        ...


class Pool:
    """Connections that are lent.

    Args:
        connect: opens one.
        location: the database, as it may be shown.
        most: how many there may be at the same time.
        timeout_s: how long to wait for one, in seconds.
    """

    def __init__(
        self, connect: Callable[[], Connection], location: str, most: int, timeout_s: float
    ) -> None:
        self._connect = connect
        self._location = location
        self._most = most
        self._timeout_s = timeout_s
        self._free = threading.Condition()
        self._closed = False
        self._lent = 0
        self._idle: list[Connection] = []
        self._left_behind: deque[Connection] = deque()

    def borrow(self) -> tuple[Connection, bool]:
        """Lend a connection until `give_back`; say whether it is a new one.

        Raises:
            LockTimeoutError: all are lent, and none came back in time.
            psycopg.OperationalError: the server cannot be reached.
            StoreClosedError: the pool was closed.
        """
        with self._free:
            self._wait_for_room()
            self._lent += 1
            if self._idle:
                return self._idle.pop(), False
        try:
            return self._connect(), True
        except BaseException:
            self._drop(None)
            raise

    def _wait_for_room(self) -> None:
        deadline = time.monotonic() + self._timeout_s
        while True:
            if self._closed:
                msg = f"the store at {self._location} was closed; open it again"
                raise StoreClosedError(msg)
            self._collect()
            if self._lent < self._most:
                return
            remaining_s = deadline - time.monotonic()
            if remaining_s <= 0:
                msg = (
                    f"{self._location}: all {self._most} connections were in use for "
                    f"{self._timeout_s:g} s; end scans that are not at their end, or open the "
                    "store with more max_connections"
                )
                raise LockTimeoutError(msg)
            # What is left behind wakes nobody: see `leave_behind`.
            self._free.wait(min(remaining_s, _LEFT_BEHIND_S))

    def give_back(self, connection: Connection) -> None:
        """Take a connection back; one that is of no more use is closed."""
        if not is_lost(connection):
            with self._free:
                if not self._closed:
                    self._lent -= 1
                    self._idle.append(connection)
                    self._free.notify()
                    return
        self._drop(connection)

    def throw_away(self, connection: Connection) -> None:
        """Take a connection back that may be in any state, and close it."""
        self._drop(connection)

    def _drop(self, connection: Connection | None) -> None:
        if connection is not None:
            connection.close()
        with self._free:
            self._lent -= 1
            self._free.notify()

    def leave_behind(self, connection: Connection) -> None:
        """Take a connection back without waiting for anything, for the next who comes to see."""
        self._left_behind.append(connection)

    def _collect(self) -> None:
        """Close what was left behind: what it was in the middle of ends with it."""
        while self._left_behind:
            self._left_behind.popleft().close()
            self._lent -= 1

    def drop_idle(self) -> None:
        """Close all that nobody uses: the server may have been started anew since."""
        with self._free:
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()

    def close(self) -> None:
        """Close all that nobody uses, and the others as they come back; lend none any more."""
        with self._free:
            self._closed = True
            self._collect()
            self._free.notify_all()
        self.drop_idle()
