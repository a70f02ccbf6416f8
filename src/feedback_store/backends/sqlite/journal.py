"""Which journal a database file can have, after the filesystem that it is on.

A write-ahead log lets readers and a writer work at once, but needs memory that all processes share
(a mapped file beside the database). Network filesystems and those that reach from a virtual machine
into its host do not share it between machines, some not even between processes: there the database
gets damaged within minutes (https://sqlite.org/wal.html, section 2.1). A rollback journal needs
locks only.
"""

import os
import sqlite3
import time
from typing import Literal

from feedback_store.backends.sqlite.place import MEMORY

JournalMode = Literal["auto", "wal", "delete"]

_NOT_SHARED = {
    "9p", "afs", "ceph", "cifs", "drvfs", "gfs2", "glusterfs", "lustre", "ncpfs", "nfs", "nfs4",
    "ocfs2", "prl_fs", "smb3", "smbfs", "vboxsf", "virtiofs", "vmhgfs",
}  # fmt: skip
_MOUNTS = "/proc/self/mountinfo"
_PAUSE_S = 0.01


def filesystem_of(path: str) -> str:
    """Return the kind of filesystem that a path is on, such as ``"ext4"``; empty if unknown."""
    try:
        with open(_MOUNTS, encoding="utf-8", errors="surrogateescape") as mounts:  # noqa: PTH123  # a file of the system
            lines = [line.split() for line in mounts]
    except OSError:
        return ""
    real = os.path.realpath(path)
    best, kind = "", ""
    for fields in lines:
        point = fields[4].replace("\\040", " ")
        inside = real == point or real.startswith(point.rstrip("/") + "/")
        if inside and len(point) >= len(best):  # the last of those mounted over each other
            best, kind = point, fields[fields.index("-") + 1]
    return kind


def shares_memory(kind: str) -> bool:
    """Say whether a write-ahead log can live on a filesystem of that kind."""
    return kind not in _NOT_SHARED and not kind.startswith("fuse.")


def choose(wanted: JournalMode, path: str) -> tuple[str, str]:
    """Return the journal mode for a path, and the reason when it is the slower one."""
    if wanted != "auto":
        return wanted, ""
    kind = filesystem_of(path)
    if shares_memory(kind):
        return "wal", ""
    return "delete", f"a filesystem of the kind {kind} cannot share a write-ahead log's memory"


def give(
    connection: sqlite3.Connection,
    path: str,
    wanted: JournalMode,
    timeout_s: float,
    *,
    durable: bool,
) -> tuple[str, str]:
    """Give a database file its journal, and this connection the syncs that it needs.

    With a rollback journal FULL is not enough: a power cut may bring the journal's name back after
    it was removed, and with it undo what was acknowledged. EXTRA syncs the folder too.

    Returns:
        The journal mode, and why it is not the better one; empty where it is.
    """
    if path == MEMORY:
        return "memory", ""
    mode, reason = choose(wanted, path)
    found = _set_up(connection, mode, timeout_s)
    if mode == "wal" and found != "wal":
        reason = "this filesystem cannot carry a write-ahead log"
        found = _set_up(connection, "delete", timeout_s)
    level = _LEVELS[found][durable]
    connection.execute(f"PRAGMA synchronous = {level}")
    return found, reason


_LEVELS = {"wal": ("NORMAL", "FULL"), "delete": ("OFF", "EXTRA")}
"""The syncs that each journal needs, not waiting for the medium and waiting for it."""


def _set_up(connection: sqlite3.Connection, wanted: str, timeout_s: float) -> str:
    """Give the database file a journal mode; return the one that it has now.

    SQLite does not wait for others when it changes the mode, so that is done here.
    """
    deadline = time.monotonic() + timeout_s
    while True:
        try:
            (found,) = connection.execute(f"PRAGMA journal_mode = {wanted}").fetchone()
        except sqlite3.OperationalError as error:
            busy = error.sqlite_errorcode & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
            if not busy or time.monotonic() > deadline:
                raise
            time.sleep(_PAUSE_S)
        else:
            return found.decode() if isinstance(found, bytes) else str(found)
