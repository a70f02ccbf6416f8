"""One database, as one process uses it: reading, writing, and what a lost connection means."""

import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TypeVar

import psycopg

from feedback_store.backends.postgres import schema
from feedback_store.backends.postgres.connecting import Connection, Connector
from feedback_store.backends.postgres.pool import Holder, Pool
from feedback_store.backends.postgres.schema import Names
from feedback_store.backends.postgres.wording import commit_lost, is_idle, is_lost
from feedback_store.errors import StoreUnavailableError
from feedback_store.forking import watch_forks

T = TypeVar("T")


class Database:
    """A database, with the tables of one store.

    Args:
        connector: how to get there.
        names: the tables.
        durable: whether a write waits for the server's disk.
        max_connections: how many connections there may be at the same time.

    Attributes:
        address: where it is.
        names: as they were given.
        durable: as it was given.
        pool: the connections.
    """

    def __init__(
        self,
        connector: Connector,
        names: Names,
        *,
        durable: bool,
        max_connections: int,
    ) -> None:
        self.address = connector.address
        self.names = names
        self.durable = durable
        self._connector = connector
        self._most = max_connections
        self._ready = False
        # Whatever the role's default is: with "off", what is acknowledged may be lost by a crash.
        self._begin = (
            "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE; "
            f"SET LOCAL synchronous_commit = {'on' if durable else 'off'}; "
            f"SET LOCAL lock_timeout = {connector.lock_timeout_ms}"
        ).encode()
        self._start()
        watch_forks(self)

    def _start(self) -> None:
        self.pool = Pool(
            self._connector.connect, self.address.shown, self._most, self._connector.lock_timeout_s
        )
        self._holders: weakref.WeakSet[Holder] = weakref.WeakSet()

    # ------------------------------------------------------------------------------ reading

    def read(self, question: Callable[[Connection], T], nothing: T) -> T:
        """Ask the database; ``nothing`` is the answer where there is no store yet.

        A connection that turns out to be lost, as all are after the server was started anew, is
        thrown away, and the question asked once more.
        """
        return self.ask(lambda c: question(c) if self._is_there(c) else nothing)

    def ask(self, question: Callable[[Connection], T]) -> T:
        """Ask the server, whether there is a store or not; as for `read`.

        A question that leaves a transaction open keeps the connection: see `Scan`.
        """
        connection, is_new = self.pool.borrow()
        while True:
            try:
                answer = question(connection)
            except psycopg.OperationalError:
                if is_new or not is_lost(connection):
                    self._give_up(connection)
                    raise
                self._give_up(connection)
                self.pool.drop_idle()
            except BaseException:
                self._give_up(connection)
                raise
            else:
                if is_idle(connection):
                    self.pool.give_back(connection)
                return answer
            connection, is_new = self.pool.borrow()

    def _give_up(self, connection: Connection) -> None:
        """Take back what failed: a connection that is in the middle of something is not used on."""
        if is_idle(connection):
            self.pool.give_back(connection)
        else:
            self.pool.throw_away(connection)

    def _is_there(self, connection: Connection) -> bool:
        """Say whether there is a store to read; an older schema is brought up to date."""
        if self._ready:
            return True
        current = schema.is_current(connection, self.names, self.address.shown)
        if current is None:
            return False
        if not current:
            schema.migrate(connection, self.names, self.address.shown)
        self._ready = True
        return True

    def is_there(self) -> bool:
        """Say whether there is a store to read."""
        return self.read(lambda _: True, nothing=False)

    # ------------------------------------------------------------------------------ writing

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """Write: all of the block, durably, or nothing of it.

        Raises:
            DurabilityError: the connection was lost while the change was committed: it is unknown
                whether it was.
            psycopg.Error: something failed; nothing was changed.
        """
        connection = self._begun()
        try:
            yield connection
        except BaseException:
            with suppress(psycopg.Error):  # the first error is the one that tells
                if not is_lost(connection):
                    connection.rollback()
            self._give_up(connection)
            raise
        try:
            self._commit(connection)
        except BaseException:
            self._give_up(connection)
            raise
        self.pool.give_back(connection)

    def _begun(self) -> Connection:
        """Return a connection in a transaction.

        Where it is lost at its first statement, nothing of a change was sent yet: so that is the
        one moment in which a write may be begun again here.
        """
        while True:
            connection, is_new = self.pool.borrow()
            try:
                self._need_schema(connection)
                connection.execute(self._begin, prepare=False)
            except psycopg.OperationalError:
                lost = is_lost(connection)
                self._give_up(connection)
                if is_new or not lost:
                    raise
                self.pool.drop_idle()
            except BaseException:
                self._give_up(connection)
                raise
            else:
                return connection

    def _need_schema(self, connection: Connection) -> None:
        if not self._is_there(connection):
            schema.migrate(connection, self.names, self.address.shown)
            self._ready = True

    def _commit(self, connection: Connection) -> None:
        try:
            done = connection.execute(b"COMMIT", prepare=False).statusmessage
        except psycopg.Error as error:
            if is_lost(connection):
                raise commit_lost(error, self.address) from error
            raise
        if done != "COMMIT":  # the server answers ROLLBACK where a statement had failed
            msg = f"{self.address.shown}: the change was rolled back; make the same call again"
            raise StoreUnavailableError(msg)

    def run_alone(self, *statements: bytes) -> list[str]:
        """Run statements that may not be in a transaction; return what the server warned of."""
        connection, _ = self.pool.borrow()
        told: list[str] = []

        def hear(diagnostic: psycopg.errors.Diagnostic) -> None:
            if diagnostic.severity_nonlocalized == "WARNING":
                told.append(diagnostic.message_primary or "")

        connection.add_notice_handler(hear)
        try:
            for statement in statements:
                connection.execute(statement, prepare=False)
        finally:
            connection.remove_notice_handler(hear)
            self._give_up(connection)
        return told

    # ---------------------------------------------------------------- scans, closing, forks

    def hold(self, holder: Holder) -> None:
        """Note who keeps a connection for longer."""
        self._holders.add(holder)

    def settle(self) -> None:
        """Let all who keep a connection take the rest into memory, and give it back."""
        for holder in list(self._holders):
            holder.settle()

    def close(self) -> None:
        """Close all connections; scans that are not at their end take the rest into memory."""
        self.settle()
        self.pool.close()

    def before_fork(self) -> None:
        """Let scans take the rest into memory: a child cannot read on from a parent's connection.

        The others stay open. psycopg closes none in a child that was opened by its parent.
        """
        self.settle()

    def after_fork_in_parent(self) -> None:
        """See `Forkable`."""

    def after_fork_in_child(self) -> None:
        """Go on with connections of one's own."""
        self._start()
