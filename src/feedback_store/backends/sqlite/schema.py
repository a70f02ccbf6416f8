"""What is in the database file, and how an older one is brought up to date.

Everything that an entry says stands in ``entry.body``, as the line of JSON that the codec makes.
The other columns and tables can be made again from it; they are there to be asked.

- ``entry``: one row an entry. ``n`` grows with every new one. ``stamp`` is the time in
  microseconds since 1970, ``class`` that of the rating (`feedback_store.sql.classes`); ``message``
  is NULL where it is the id.
- ``name``: issues (kind 1) and source types (kind 2), each with a number.
- ``label``: which entry has which of them; in the order in which a filtered page is read.
- ``tally``: how many entries there are of each name and class, for each month and for each day; in
  the order in which a stretch of time is added up.
- ``damaged``: rows whose body somebody has damaged, set aside as they were when their place was
  needed.
- ``state``: ``folded`` is the last ``n`` that ``label`` and ``tally`` know of. What came after it
  is few rows, which are looked at one by one: a new entry then changes few pages, not ten.
"""

import sqlite3
from collections.abc import Callable, Sequence

from feedback_store.errors import StoreUnavailableError

PAGE_BYTES = 8192
"""A row of some 900 bytes fits eight times; with 4096 four fit, and a tenth is left over."""

APPLICATION_ID = 0x46_42_4B_53
"""What tells our files from other programs': "FBKS", as ``file(1)`` and ``PRAGMA`` show it."""

_FIRST = """
CREATE TABLE entry (
  n INTEGER PRIMARY KEY,
  id TEXT NOT NULL UNIQUE,
  message TEXT,
  conversation TEXT,
  user TEXT,
  stamp INTEGER NOT NULL,
  class INTEGER NOT NULL,
  explained INTEGER NOT NULL,
  rating NUMERIC,
  body TEXT NOT NULL
);
CREATE INDEX entry_by_time ON entry (stamp);
CREATE INDEX entry_by_class ON entry (class, stamp);
CREATE INDEX entry_by_message ON entry (message) WHERE message IS NOT NULL;
CREATE INDEX entry_by_conversation ON entry (conversation) WHERE conversation IS NOT NULL;
CREATE INDEX entry_by_user ON entry (user) WHERE user IS NOT NULL;
CREATE TABLE name (k INTEGER PRIMARY KEY, kind INTEGER NOT NULL, text TEXT NOT NULL);
CREATE UNIQUE INDEX name_by_text ON name (kind, text);
CREATE TABLE label (
  name INTEGER NOT NULL, stamp INTEGER NOT NULL, class INTEGER NOT NULL, n INTEGER NOT NULL,
  PRIMARY KEY (name, stamp, class, n)
) WITHOUT ROWID;
CREATE TABLE tally (
  span INTEGER NOT NULL, name INTEGER NOT NULL, class INTEGER NOT NULL,
  total INTEGER NOT NULL, responses INTEGER NOT NULL, response_us TEXT NOT NULL,
  PRIMARY KEY (name, class, span)
) WITHOUT ROWID;
CREATE TABLE damaged (n INTEGER PRIMARY KEY, id TEXT NOT NULL, body TEXT NOT NULL);
CREATE TABLE state (key TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
INSERT INTO state VALUES ('folded', 0), ('touched', 0);
"""


def _first(connection: sqlite3.Connection) -> None:
    for statement in _FIRST.split(";\n"):
        connection.execute(statement)


MIGRATIONS: Sequence[Callable[[sqlite3.Connection], None]] = (_first,)
"""Each brings the schema from the version that is its place to the next one."""


def is_blank(connection: sqlite3.Connection) -> bool:
    """Say whether there is nothing at all in the file."""
    return not _version(connection) and not _has_tables(connection)


def is_current(connection: sqlite3.Connection, path: str) -> bool:
    """Say whether the schema is the one that this code knows.

    Raises:
        StoreUnavailableError: it is a newer one, or another program's; nothing was changed.
    """
    version = _version(connection)
    if _application(connection) != APPLICATION_ID and (version or _has_tables(connection)):
        msg = f"{path} is another program's database; give a file of its own"
        raise _refusal(msg, path)
    if version > len(MIGRATIONS):
        msg = (
            f"{path} was written by a newer version of feedback_store (schema {version}, this one "
            f"knows {len(MIGRATIONS)}); upgrade, nothing was changed"
        )
        raise _refusal(msg, path)
    return version == len(MIGRATIONS)


def migrate(connection: sqlite3.Connection, path: str) -> None:
    """Bring the schema up to date, each version in one transaction; cheap when it is.

    Raises:
        StoreUnavailableError: as for `is_current`.
        sqlite3.Error: a step failed; the file is as the last whole step has left it.
    """
    while not is_current(connection, path):
        connection.execute("BEGIN IMMEDIATE")
        try:
            if not is_current(connection, path):  # another process may have been faster
                version = _version(connection)
                MIGRATIONS[version](connection)
                connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
                connection.execute(f"PRAGMA user_version = {version + 1}")
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise


def _refusal(msg: str, path: str) -> StoreUnavailableError:
    error = StoreUnavailableError(msg)
    error.filename = path
    return error


def _version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def _application(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA application_id").fetchone()[0])


def _has_tables(connection: sqlite3.Connection) -> bool:
    return connection.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone() is not None
