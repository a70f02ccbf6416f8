"""Leaving nothing behind: what comes after an erasure, and compaction."""

import os
import time
from pathlib import Path

from feedback_store.backends.sqlite import folding
from feedback_store.backends.sqlite.database import Database
from feedback_store.backends.sqlite.place import MEMORY, sync_folder
from feedback_store.backends.sqlite.pool import Connection
from feedback_store.backends.sqlite.remains import are_left, sync, traces_of
from feedback_store.entry import FeedbackEntry
from feedback_store.errors import LockTimeoutError
from feedback_store.failures import sync_failed
from feedback_store.report import CompactReport

_PAUSE_S = 0.005
_SHORT_MS = 100


def purge(database: Database, ids: frozenset[str], erased: list[FeedbackEntry]) -> None:
    """Remove what is left of erased entries: in the log, and in the file where no query sees it.

    Raises:
        LockTimeoutError: a reader in another process still sees them, and so holds the log.
    """
    if database.path == MEMORY:
        return
    with database.alone() as connection:
        _need_empty_log(connection, database)
        if are_left(database.path, traces_of(ids, erased)):
            connection.execute("VACUUM")
            _need_empty_log(connection, database)
        if database.durable:
            try:
                _sync_what_was_cut(database.path)
            except OSError as error:
                raise sync_failed(error, database.path) from error


def _need_empty_log(connection: Connection, database: Database) -> None:
    if not _empty_log(connection, database, database.timeout_s):
        msg = (
            f"{database.path}: what was erased is gone from sight, but a reader in another process "
            "keeps the log in which it stands; make the same call again when that has ended"
        )
        raise LockTimeoutError(msg)


def _empty_log(connection: Connection, database: Database, timeout_s: float) -> bool:
    """Bring the write-ahead log into the file, and cut it to nothing; say whether that was done.

    SQLite waits for readers, but not for another who does the same, and knows nothing of scans of
    this process that can give way: so it waits for short times only, and here for the rest.
    """
    deadline = time.monotonic() + timeout_s
    connection.execute(f"PRAGMA busy_timeout = {_SHORT_MS}")
    try:
        while True:
            database.pool.settle()
            busy, _, _ = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            if not busy or time.monotonic() > deadline:
                return not busy
            time.sleep(_PAUSE_S)
    finally:
        connection.execute(f"PRAGMA busy_timeout = {int(database.timeout_s * 1000)}")


def _sync_what_was_cut(path: str) -> None:
    """Make durable that files got shorter or went away: SQLite can do without, an erasure cannot.

    A power cut would otherwise bring back the old log, or the old end of the file.
    """
    try:
        descriptor = os.open(f"{path}-wal", os.O_RDONLY)  # no locks are on this one
    except FileNotFoundError:
        pass
    else:
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    sync(path)
    sync_folder(Path(path).parent)


def compact(database: Database) -> CompactReport:
    """Write the file anew, without what is unused; make labels and tallies from the entries."""
    before = _size(database.path)
    with database.transaction() as connection:
        folding.rebuild(connection)
    with database.alone() as connection:
        database.pool.settle()
        connection.execute("VACUUM")
        if database.path != MEMORY:
            _empty_log(connection, database, 0)  # else the next who writes will
    return CompactReport(size_bytes_before=before, size_bytes_after=_size(database.path))


def _size(path: str) -> int:
    return 0 if path == MEMORY else os.path.getsize(path)  # noqa: PTH202  # beside the store's own paths
