"""What a database can tell of itself."""

from collections.abc import Iterator
from typing import Final

from feedback_store.backends.postgres.connecting import Connection
from feedback_store.backends.postgres.database import Database
from feedback_store.backends.postgres.rows import COLUMNS, Row, array_of, row_of
from feedback_store.backends.postgres.schema import MIGRATIONS
from feedback_store.backends.postgres.wording import Worded
from feedback_store.codec import decode, encode, format_time
from feedback_store.errors import FeedbackStoreError, InvalidEntryError
from feedback_store.report import Check, CheckReport, Status
from feedback_store.stamps import time_of

_OLDEST_SERVER: Final = 140000
_SHOWN = 10
_LAST = 1000
_PIECE = 1024

_ENTRIES = "SELECT count(*), max(stamp) FROM {entry}"
_PROBE = "UPDATE {change} SET n = n + 1 WHERE slot = 0"
_ROWS = f"DECLARE rows NO SCROLL CURSOR FOR SELECT {COLUMNS} FROM {{entry}}"  # noqa: S608  # a constant
_LAST_ROWS = f"{_ROWS} ORDER BY stamp DESC, id DESC LIMIT {_LAST}"
_FETCH = f"FETCH FORWARD {_PIECE} FROM rows".encode()
_ASIDE = "SELECT count(*) FROM {damaged}"


def check(database: Database, *, deep: bool = False) -> CheckReport:
    """Look at the server and its settings, and at entries: at the last ones, or at all of them."""
    return CheckReport(location=database.address.shown, checks=tuple(_checks(database, deep=deep)))


def _checks(database: Database, *, deep: bool) -> Iterator[Check]:
    try:
        with Worded(database.address):
            yield from database.ask(_server)
            if not database.is_there():
                hint = "it is made at the first write; see that database and table are right"
                message = f"the table {database.names.table} is not there"
                yield _made("location", Status.WARNING, message, hint)
                return
            yield _made("location", Status.OK, f"the table is {database.names.table}")
            yield _made("schema", Status.OK, f"the schema is of version {len(MIGRATIONS)}")
            yield _write_probe(database)
            yield from database.ask(lambda c: list(_contents(c, database, deep=deep)))
    except FeedbackStoreError as error:
        hint = "see that the server runs, and that this role may read the tables"
        yield _made("readable", Status.ERROR, str(error), hint)


def _made(name: str, status: Status, message: str, hint: str = "") -> Check:
    return Check(name=name, status=status, message=message, hint=hint)


def _server(connection: Connection) -> list[Check]:
    version = connection.info.server_version
    name = connection.info.parameter_status("server_version") or str(version)
    message = f"the server is PostgreSQL {name}"
    found = [_made("server", Status.OK, message)]
    if version < _OLDEST_SERVER:
        hint = "use a server of version 14 or newer"
        found = [_made("server", Status.WARNING, message, hint)]
    return [*found, _fsync(connection), _full_pages(connection)]


def _fsync(connection: Connection) -> Check:
    if _setting(connection, "fsync") == "on":
        return _made("fsync", Status.OK, "the server syncs to its disk")
    hint = "set fsync = on: without it, a crash of the machine can damage the whole database"
    return _made("fsync", Status.ERROR, "the server's fsync is off", hint)


def _full_pages(connection: Connection) -> Check:
    if _setting(connection, "full_page_writes") == "on":
        return _made("full_page_writes", Status.OK, "the server can mend torn pages")
    hint = "set full_page_writes = on, unless its filesystem tears no pages"
    return _made("full_page_writes", Status.WARNING, "full_page_writes is off", hint)


def _setting(connection: Connection, name: str) -> str:
    return str((connection.execute(f"SHOW {name}".encode()).fetchone() or ("",))[0])


def _write_probe(database: Database) -> Check:
    """Really write something, and see how it is committed."""
    try:
        with Worded(database.address), database.transaction() as connection:
            connection.execute(database.names.word(_PROBE))
            mode = _setting(connection, "synchronous_commit")
    except FeedbackStoreError as error:
        hint = "see that this role may write to the tables, and that the server is no copy"
        return _made("write", Status.ERROR, str(error), hint)
    return _made("write", Status.OK, f"a change was committed, with synchronous_commit {mode}")


def _contents(connection: Connection, database: Database, *, deep: bool) -> Iterator[Check]:
    word = database.names.word
    entries, last = connection.execute(word(_ENTRIES)).fetchone() or (0, None)
    yield _made("entries", Status.OK, f"{entries} entries")
    message = "there is none" if last is None else f"given at {format_time(time_of(last))}"
    yield _made("last_entry", Status.OK, message)
    yield _damaged(connection, database, deep=deep)
    (aside,) = connection.execute(word(_ASIDE)).fetchone() or (0,)
    if aside:
        yield _made("quarantine", Status.OK, f"{aside} damaged rows were set aside")


def _damaged(connection: Connection, database: Database, *, deep: bool) -> Check:
    """Read entries, and compare what the other columns tell of them."""
    damaged = 0
    with connection.transaction():
        connection.execute(database.names.word(_ROWS if deep else _LAST_ROWS))
        while rows := connection.execute(_FETCH).fetchall():
            damaged += sum(_is_damaged(row) for row in rows)
    looked_at = "" if deep else f" among the last {_LAST}"
    if not damaged:
        return _made("damaged_rows", Status.OK, f"no damaged rows{looked_at}")
    hint = "their neighbours are served; restore them from a backup, or delete them"
    return _made("damaged_rows", Status.WARNING, f"{damaged} damaged rows{looked_at}", hint)


def _is_damaged(row: Row) -> bool:
    """Say whether a row is not what its body says; one that tells more than one way is."""
    try:
        entry = decode(row[-1].encode())
    except InvalidEntryError:
        return True
    return row_of(entry, encode(entry))[:-1] != (*row[:-3], *map(array_of, row[-3:-1]))
