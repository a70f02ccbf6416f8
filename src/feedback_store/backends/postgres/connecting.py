"""A new connection, as this store uses it."""

import time
from collections.abc import Mapping
from typing import Any, TypeAlias

import attrs
import psycopg
from psycopg.conninfo import conninfo_to_dict

from feedback_store.backends.postgres.address import Address
from feedback_store.errors import StoreUnavailableError

Connection: TypeAlias = psycopg.Connection[tuple[Any, ...]]

_PAUSE_S = 0.05
_LONGEST_PAUSE_S = 0.5

# Without these a cable that is pulled out is noticed after a quarter of an hour.
_DEFAULTS: Mapping[str, object] = {
    "application_name": "feedback_store",
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,
}


@attrs.frozen
class Connector:
    """How to get to the server.

    Attributes:
        address: where it is.
        connect_timeout_s: how long one attempt may take, in seconds.
        retry_s: how long to try again, in seconds, where the server refuses, as one does that is
            just being started; 0 to try once.
        lock_timeout_s: how long a statement waits for others, in seconds.
    """

    address: Address
    connect_timeout_s: float
    retry_s: float
    lock_timeout_s: float

    @property
    def lock_timeout_ms(self) -> int:
        """How long a statement waits for others, as the server takes it: 0 would be for ever."""
        return max(1, int(self.lock_timeout_s * 1000))

    def connect(self) -> Connection:
        """Open a connection, on which each statement is a transaction unless one is begun.

        Raises:
            psycopg.OperationalError: the server cannot be reached, or lets nobody in.
            StoreUnavailableError: the database cannot hold every text.
        """
        deadline = time.monotonic() + self.retry_s
        pause_s = _PAUSE_S
        while True:
            try:
                return self._connect_once()
            except psycopg.OperationalError as error:
                if _is_final(error) or time.monotonic() + pause_s > deadline:
                    raise
            time.sleep(pause_s)
            pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)

    def _connect_once(self) -> Connection:
        given = conninfo_to_dict(self.address.conninfo)
        options: dict[str, Any] = {k: v for k, v in _DEFAULTS.items() if k not in given}
        if "connect_timeout" not in given:
            options["connect_timeout"] = max(1, round(self.connect_timeout_s))
        connection = psycopg.connect(
            self.address.conninfo, autocommit=True, client_encoding="utf8", **options
        )
        try:
            encoding = connection.info.parameter_status("server_encoding")
            if encoding != "UTF8":
                msg = (
                    f"{self.address.shown}: the encoding of the database is {encoding}, which has "
                    "no place for every character; make one with CREATE DATABASE ... ENCODING "
                    "'UTF8' TEMPLATE template0"
                )
                raise StoreUnavailableError(msg)
            # For what runs outside a transaction of ours, such as VACUUM.
            connection.execute(f"SET lock_timeout = {self.lock_timeout_ms}".encode())
        except BaseException:
            connection.close()
            raise
        return connection


def _is_final(error: psycopg.OperationalError) -> bool:
    """Say whether it makes no sense to try again.

    libpq tells no code here, only the server's words; where these are in another language, it is
    tried again for a moment in vain.
    """
    text = str(error)
    return "FATAL" in text and not any(
        words in text for words in ("starting up", "shutting down", "recovery", "too many")
    )
