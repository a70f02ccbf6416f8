"""SQLite's errors, worded for the people who must act on them."""

import sqlite3
from types import TracebackType

from feedback_store import failures
from feedback_store.errors import (
    DurabilityError,
    LockTimeoutError,
    StoreFullError,
    StoreReadOnlyError,
    StoreUnavailableError,
)

# From https://sqlite.org/rescode.html; the `sqlite3` module names them all since 3.11 only.
_BUSY = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_PROTOCOL}
_READ_ONLY = {sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM, sqlite3.SQLITE_AUTH}
_SYNC = {sqlite3.SQLITE_IOERR_FSYNC, sqlite3.SQLITE_IOERR_DIR_FSYNC}
_DAMAGED = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}


class Worded(failures.Worded):
    """Turns what SQLite or the system raises into the library's error for it, cause chained."""

    __slots__ = ()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Raise the library's error in place of SQLite's."""
        if isinstance(error, sqlite3.Error):
            raise _in_words(error, self.location) from error
        super().__exit__(kind, error, trace)


def code_of(error: sqlite3.Error) -> int:
    """Return the primary result code of an error, 0 where it has none."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF


def _in_words(error: sqlite3.Error, path: str) -> StoreUnavailableError:
    code = code_of(error)
    kind: type[StoreUnavailableError] = StoreUnavailableError
    hint = "see that the disk is mounted and healthy, then make the same call again"
    if code in _BUSY:
        kind = LockTimeoutError
        hint = "another process held the database for too long; make the same call again"
    elif code == sqlite3.SQLITE_FULL:
        kind = StoreFullError
        hint = "free some space or raise the limit, then make the same call again"
    elif code in _READ_ONLY:
        kind = StoreReadOnlyError
        hint = "see that this user may write the file and its folder: SQLite puts files beside it"
    elif code == sqlite3.SQLITE_CANTOPEN:
        hint = "see that the folder is there, and that this user may read and write in it"
    elif getattr(error, "sqlite_errorcode", 0) in _SYNC:
        kind = DurabilityError
        hint = "it is unknown whether the last write would survive a power cut; make it again"
    elif code in _DAMAGED:
        hint = "the file is damaged, or no database: `feedback-store check` tells more"
    made = kind(f"{path}: {error}; {hint}")
    made.filename = path
    return made
