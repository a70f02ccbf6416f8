"""Connections that readers borrow, and how all of them come to rest."""

import sqlite3
import threading
import weakref
from collections import deque
from collections.abc import Callable
from types import TracebackType
from typing import Protocol, TypeAlias

Connection: TypeAlias = sqlite3.Connection

_IDLE = 8
"""Connections that are kept open for the next reader."""

_PAUSE_S = 0.01


class Holder(Protocol):
    """Who keeps a connection between two calls: a scan that is not at its end."""

    def settle(self) -> None:
        """Take what is still to come into memory, and give the connection back."""
        ...


class Pool:
    """Connections that are lent, one to each reader.

    Args:
        connect: opens one.
    """

    def __init__(self, connect: Callable[[], Connection]) -> None:
        self._connect = connect
        self._lock = threading.Lock()
        self._calm = threading.Condition(self._lock)
        self._resting = False
        self._lent = 0
        self._idle: list[Connection] = []
        self._left_behind: deque[Connection] = deque()
        self._holders: weakref.WeakSet[Holder] = weakref.WeakSet()

    def borrow(self) -> Connection:
        """Lend a connection until `give_back`; wait while all are to be at rest."""
        with self._lock:
            while self._resting:
                self._calm.wait()
            if self._left_behind:
                self._collect()
            self._lent += 1
            connection = self._idle.pop() if self._idle else None
        if connection is not None:
            return connection
        try:
            return self._connect()
        except BaseException:
            self.give_back(None)
            raise

    def give_back(self, connection: Connection | None) -> None:
        """Take a connection back; None for one that is of no more use."""
        with self._lock:
            self._lent -= 1
            if connection is not None and len(self._idle) < _IDLE:
                self._idle.append(connection)
                connection = None
            if self._resting:
                self._calm.notify_all()
        if connection is not None:
            connection.close()

    def leave_behind(self, connection: Connection) -> None:
        """Take a connection back without waiting for anything, for the next who comes to see."""
        self._left_behind.append(connection)

    def _collect(self) -> None:
        while self._left_behind:
            connection = self._left_behind.popleft()
            connection.rollback()
            self._lent -= 1
            self._idle.append(connection)

    def hold(self, holder: Holder) -> None:
        """Note who keeps a connection for longer."""
        self._holders.add(holder)

    def settle(self) -> None:
        """Let all who keep a connection give it back."""
        for holder in list(self._holders):
            holder.settle()

    def rest(self) -> None:
        """Close all connections, once those who use one have ended, and lend none until `wake`."""
        with self._calm:
            while self._resting:
                self._calm.wait()
            self._resting = True
        while not self._is_empty():
            continue
        for connection in self._idle:
            connection.close()
        self._idle = []

    def _is_empty(self) -> bool:
        """Say whether nobody has a connection any more; wait a little for those who have."""
        self.settle()  # again each time: somebody may just have begun
        with self._calm:
            self._collect()
            if self._lent:
                self._calm.wait(_PAUSE_S)  # what is left behind wakes nobody
            return not self._lent

    def wake(self) -> None:
        """Go on after a rest."""
        with self._calm:
            self._resting = False
            self._calm.notify_all()


class Lender(Protocol):
    """Who lends connections for a short look."""

    def lend(self) -> Connection | None:
        """Lend one; None where there is no store yet."""
        ...

    def take_back(self, connection: Connection, *, broken: bool) -> None:
        """Take it back; what failed by the database's fault is not used again."""
        ...


class Borrowed:
    """A connection that is lent for a short look; None where there is no store yet.

    A class and no generator: it stands around every answer, and costs a third.
    """

    __slots__ = ("_connection", "_lender")

    def __init__(self, lender: Lender) -> None:
        self._lender = lender
        self._connection: Connection | None = None

    def __enter__(self) -> Connection | None:
        """Borrow it."""
        self._connection = self._lender.lend()
        return self._connection

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Give it back."""
        if self._connection is not None:
            broken = isinstance(error, sqlite3.DatabaseError)
            self._lender.take_back(self._connection, broken=broken)
