"""PostgreSQL's errors, worded for the people who must act on them."""

from types import TracebackType

import psycopg
from psycopg.conninfo import conninfo_to_dict

from feedback_store import failures
from feedback_store.backends.postgres.address import Address
from feedback_store.errors import (
    DurabilityError,
    LockTimeoutError,
    StoreFullError,
    StoreReadOnlyError,
    StoreUnavailableError,
)

_AGAIN = "then make the same call again"

# From https://www.postgresql.org/docs/current/errcodes-appendix.html
_TOLD: dict[str, tuple[type[StoreUnavailableError], str]] = {
    "25006": (StoreReadOnlyError, "the server or the role may only read: see whether it is a copy"),
    "40001": (LockTimeoutError, "others changed the same rows; make the same call again"),
    "40P01": (LockTimeoutError, "others waited for the same rows; make the same call again"),
    "42501": (StoreReadOnlyError, "let the owner of the tables grant this role what it needs"),
    "42P01": (StoreUnavailableError, "a table is gone since the store was opened; open it again"),
    "53100": (StoreFullError, f"free some space on the server, {_AGAIN}"),
    "53300": (StoreUnavailableError, "raise max_connections of the server, or open fewer stores"),
    "55P03": (LockTimeoutError, "another connection held the rows too long; make the call again"),
    "57014": (StoreUnavailableError, "the role's statement_timeout may be too short for this"),
}
_SECRETS = ("password", "sslpassword")


class Worded(failures.Worded):
    """Turns what psycopg or the system raises into the library's error for it, cause chained."""

    __slots__ = ("_address",)

    def __init__(self, address: Address) -> None:
        super().__init__(address.shown)
        self._address = address

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Raise the library's error in place of psycopg's."""
        if isinstance(error, psycopg.Error):
            raise in_words(error, self._address) from error
        super().__exit__(kind, error, trace)


def in_words(error: psycopg.Error, address: Address) -> StoreUnavailableError:
    """Return the library's error for one of psycopg's."""
    kind, hint = _TOLD.get(
        error.sqlstate or "",
        (StoreUnavailableError, f"see that the server runs and can be reached, {_AGAIN}"),
    )
    return _made(kind, f"{address.shown}: {_reason(error, address)}; {hint}", address)


def commit_lost(error: psycopg.Error, address: Address) -> DurabilityError:
    """Return the error of a connection that was lost while a change was committed."""
    msg = (
        f"{address.shown}: the connection was lost while a change was committed "
        f"({_reason(error, address)}), so its outcome is unknown; nothing of it is acknowledged, "
        "and the same call may be made again"
    )
    made = DurabilityError(msg)
    made.filename = address.shown
    return made


def is_lost(connection: psycopg.Connection) -> bool:
    """Say whether a connection is of no more use."""
    return connection.closed or connection.pgconn.status != psycopg.pq.ConnStatus.OK


def is_idle(connection: psycopg.Connection) -> bool:
    """Say whether a connection is of use, and in the middle of nothing."""
    idle = psycopg.pq.TransactionStatus.IDLE
    return not is_lost(connection) and connection.info.transaction_status is idle


def _made(kind: type[StoreUnavailableError], msg: str, address: Address) -> StoreUnavailableError:
    made = kind(msg)
    made.filename = address.shown
    return made


def _reason(error: psycopg.Error, address: Address) -> str:
    """Return what the server says, in one line, without values of rows and without a password.

    What is said of data (classes 22 and 23) may quote it; the rest names tables, roles and hosts.
    """
    state = error.sqlstate or ""
    if state[:2] in {"22", "23"}:
        return f"{type(error).__name__} ({state})"
    primary = error.diag.message_primary or str(error)
    reason = " ".join(primary.split()) or type(error).__name__
    given = conninfo_to_dict(address.conninfo)
    for secret in (str(given[key]) for key in _SECRETS if given.get(key)):
        reason = reason.replace(secret, "***")
    return reason
