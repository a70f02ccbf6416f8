"""What a database file can tell of itself."""

import os
from collections.abc import Iterator

from feedback_store.backends.sqlite import journal
from feedback_store.backends.sqlite.conditions import FOLDED
from feedback_store.backends.sqlite.database import Database
from feedback_store.backends.sqlite.folding import touch
from feedback_store.backends.sqlite.names import EVERY, FIRST_DAY
from feedback_store.backends.sqlite.place import MEMORY
from feedback_store.backends.sqlite.pool import Connection
from feedback_store.backends.sqlite.proving import differences
from feedback_store.backends.sqlite.rows import COLUMNS, row_of
from feedback_store.backends.sqlite.wording import Worded
from feedback_store.codec import decode, encode, format_time
from feedback_store.errors import FeedbackStoreError, InvalidEntryError, StoreUnavailableError
from feedback_store.report import Check, CheckReport, Status
from feedback_store.stamps import time_of

_LARGE_LOG_BYTES = 256 << 20
_SHOWN = 10
_IN_MONTHS = f"SELECT coalesce(sum(total), 0) FROM tally WHERE span < {FIRST_DAY}"  # noqa: S608  # a constant


def check(database: Database, *, deep: bool = False) -> CheckReport:
    """Look at the file, at what SQLite thinks of it, and at every entry.

    A deep one also makes labels and tallies anew elsewhere, and compares them.
    """
    return CheckReport(location=database.path, checks=tuple(_checks(database, deep=deep)))


def _checks(database: Database, *, deep: bool) -> Iterator[Check]:
    path = database.path
    try:
        with Worded(path):
            if not database.is_there():
                hint = "it is made at the first write; see that the path is the right one"
                yield _made("location", Status.WARNING, "the file is not there", hint)
                return
            yield _made("location", Status.OK, f"the file is {path}")
            if path != MEMORY:
                yield from _outside(path)
            yield _write_probe(database)
            with database.reader() as connection:
                assert connection is not None, "it is there"
                yield _journal(connection, path)
                yield _integrity(connection)
                yield from _contents(connection)
                yield _numbers(connection, deep=deep)
    except FeedbackStoreError as error:
        hint = "restore the file from a backup; nothing was changed"
        yield _made("readable", Status.ERROR, str(error), hint)


def _made(name: str, status: Status, message: str, hint: str = "") -> Check:
    return Check(name=name, status=status, message=message, hint=hint)


def _outside(path: str) -> Iterator[Check]:
    status = os.stat(path)  # noqa: PTH116  # beside the store's own paths
    yield _made("mode", Status.OK, f"the file's mode is {status.st_mode & 0o7777:04o}")
    yield _made("owner", Status.OK, f"the file belongs to {status.st_uid}:{status.st_gid}")
    kind = journal.filesystem_of(path)
    yield _made("filesystem", Status.OK, f"the filesystem is {kind or 'of an unknown kind'}")
    try:
        size = os.path.getsize(f"{path}-wal")  # noqa: PTH202  # as above
    except FileNotFoundError:
        size = 0
    if size > _LARGE_LOG_BYTES:
        hint = "a reader that never ends keeps it from being emptied: look for one"
        yield _made("log", Status.WARNING, f"the write-ahead log has {size} bytes", hint)
    else:
        yield _made("log", Status.OK, f"the write-ahead log has {size} bytes")


def _write_probe(database: Database) -> Check:
    """Really write something, and sync it."""
    try:
        with Worded(database.path), database.transaction() as connection:
            touch(connection)
    except StoreUnavailableError as error:
        hint = "see that this user may write the file and its folder, and that nobody holds it"
        return _made("write", Status.ERROR, str(error), hint)
    return _made("write", Status.OK, "a change was written and synced")


def _journal(connection: Connection, path: str) -> Check:
    mode = connection.execute("PRAGMA journal_mode").fetchone()[0].decode()
    if mode == "wal" and not journal.shares_memory(journal.filesystem_of(path)):
        hint = 'open it with journal_mode="delete", or move it to a local disk'
        message = "the journal mode is wal, on a filesystem that cannot carry it"
        return _made("journal", Status.ERROR, message, hint)
    return _made("journal", Status.OK, f"the journal mode is {mode}")


def _integrity(connection: Connection) -> Check:
    """Ask SQLite. What it answers names pages and tables, and no text of users."""
    found = [row[0].decode() for row in connection.execute("PRAGMA integrity_check(10)")]
    if found == ["ok"]:
        return _made("integrity", Status.OK, "SQLite finds no damage")
    hint = "restore the file from a backup; what can be read is still served"
    return _made("integrity", Status.ERROR, "; ".join(found), hint)


def _contents(connection: Connection) -> Iterator[Check]:
    (entries,) = connection.execute("SELECT count(*) FROM entry").fetchone()
    yield _made("entries", Status.OK, f"{entries} entries")
    (last,) = connection.execute("SELECT max(stamp) FROM entry").fetchone()
    message = "there is none" if last is None else f"given at {format_time(time_of(last))}"
    yield _made("last_entry", Status.OK, message)
    yield _damaged(connection)
    if (aside := connection.execute("SELECT count(*) FROM damaged").fetchone()[0]) > 0:
        yield _made("quarantine", Status.OK, f"{aside} damaged rows were set aside")


def _numbers(connection: Connection, *, deep: bool) -> Check:
    """Compare labels and tallies with the entries: by their sums, or one by one."""
    if _sums_agree(connection) and not (deep and differences(connection)):
        return _made("numbers", Status.OK, "labels and tallies agree with the entries")
    hint = "compact makes them anew from the entries"
    return _made("numbers", Status.WARNING, "labels or tallies are wrong", hint)


def _sums_agree(connection: Connection) -> bool:
    pairs = (
        (
            f"SELECT count(*) FROM entry WHERE n <= {FOLDED}",  # noqa: S608  # a constant
            f"{_IN_MONTHS} AND name = {EVERY}",
        ),
        (
            "SELECT count(*) FROM label",
            f"{_IN_MONTHS} AND name <> {EVERY}",
        ),
    )
    return all(_one(connection, a) == _one(connection, b) for a, b in pairs)


def _one(connection: Connection, sql: str) -> int:
    return int(connection.execute(sql).fetchone()[0])


def _damaged(connection: Connection) -> Check:
    """Read every entry, and compare what is told of it beside it."""
    damaged: list[str] = []
    for n, *columns in connection.execute(f"SELECT n, {COLUMNS} FROM entry"):  # noqa: S608  # a constant
        try:
            entry = decode(columns[-1])
        except InvalidEntryError:
            damaged.append(str(n))
            continue
        told = [c.encode() if isinstance(c, str) else c for c in row_of(entry, encode(entry))]
        if told[:-1] != columns[:-1]:
            damaged.append(str(n))
    if not damaged:
        return _made("damaged_rows", Status.OK, "no damaged rows")
    more = f" and {len(damaged) - _SHOWN} more" if len(damaged) > _SHOWN else ""
    message = f"{len(damaged)} damaged rows: n = {', '.join(damaged[:_SHOWN])}{more}"
    hint = "their neighbours are served; restore them from a backup, or delete them"
    return _made("damaged_rows", Status.WARNING, message, hint)
