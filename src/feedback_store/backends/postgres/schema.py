"""What is in the database, and how an older schema is brought up to date.

Everything that an entry says stands in ``body``, as the line of JSON that the codec makes: as text,
since ``jsonb`` changes numbers and the order of keys, and has no place for U+0000. The other
columns can be made again from it; they are there to be asked.

- ``feedback``: one row an entry. ``stamp`` is the time in microseconds since 1970, ``month`` the
  number of its month, ``class`` that of the rating; ``message`` is NULL where it is the id. The
  indexes on texts are of hashes: others have no place for a text of some thousand bytes.
- ``feedback_change``: how often the table was changed, in all: a trigger counts each statement, by
  whomever. It counts in one of several rows, by the connection, so that two writers seldom wait
  for each other; the sum is what counts.
- ``feedback_damaged``: rows whose body somebody has damaged, set aside as they were when their
  place was needed.
- ``feedback_schema``: the version of all this, and a name that no other store has.
"""

import re
from collections.abc import Sequence

import attrs
import psycopg

from feedback_store.backends.postgres.connecting import Connection
from feedback_store.errors import StoreUnavailableError

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,47}")
SLOTS = 64

_FIRST = f"""
CREATE TABLE {{entry}} (
  id text COLLATE "C" PRIMARY KEY,
  message text COLLATE "C",
  conversation text COLLATE "C",
  "user" text COLLATE "C",
  stamp bigint NOT NULL,
  month integer NOT NULL,
  class smallint NOT NULL,
  explained boolean NOT NULL,
  rating double precision,
  response_us numeric,
  issues text[] COLLATE "C" NOT NULL,
  types text[] COLLATE "C" NOT NULL,
  body text COLLATE "C" NOT NULL
);
CREATE INDEX ON {{entry}} (stamp);
CREATE INDEX ON {{entry}} (class, stamp);
CREATE INDEX ON {{entry}} USING hash (message) WHERE message IS NOT NULL;
CREATE INDEX ON {{entry}} USING hash (conversation) WHERE conversation IS NOT NULL;
CREATE INDEX ON {{entry}} USING hash ("user") WHERE "user" IS NOT NULL;
CREATE TABLE {{damaged}} (id text COLLATE "C" NOT NULL, body text COLLATE "C" NOT NULL);
CREATE TABLE {{change}} (slot integer PRIMARY KEY, n bigint NOT NULL) WITH (fillfactor = 25);
INSERT INTO {{change}} SELECT slot, 0 FROM generate_series(0, {SLOTS - 1}) AS slot;
CREATE FUNCTION {{changed}}() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  UPDATE {{change}} SET n = n + 1 WHERE slot = pg_backend_pid() % {SLOTS};
  RETURN NULL;
END $$;
CREATE TRIGGER changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON {{entry}}
FOR EACH STATEMENT EXECUTE FUNCTION {{changed}}();
CREATE TABLE {{schema}} (version integer NOT NULL, name text NOT NULL);
INSERT INTO {{schema}} VALUES (0, gen_random_uuid()::text);
"""  # noqa: S608  # its names were checked

MIGRATIONS: Sequence[str] = (_FIRST,)
"""Each brings the schema from the version that is its place to the next one."""

_IS_THERE = "SELECT to_regclass('{schema}') IS NOT NULL"
_LOCK = "SELECT pg_advisory_xact_lock(hashtextextended('feedback_store {schema}', 0))"

_NEWS = b"SELECT 1 FROM pg_catalog.pg_class LIMIT 1"
"""Makes a connection hear of what others have committed while it waited.

It remembers that a table was not there, and only the lock of a table that it has not locked yet
lets it look for news in the middle of a transaction.
"""


@attrs.frozen
class Names:
    """The names of a store's tables, as SQL has them.

    Attributes:
        table: the table of entries, by itself; the others begin with its name.
        entry: the table of entries.
        change: how often it was changed.
        damaged: rows that were set aside.
        schema: the version of all.
        changed: the function that counts changes.
    """

    table: str
    entry: str
    change: str
    damaged: str
    schema: str
    changed: str

    def word(self, sql: str) -> bytes:
        """Return SQL with the names in it."""
        return sql.format(
            entry=self.entry,
            change=self.change,
            damaged=self.damaged,
            schema=self.schema,
            changed=self.changed,
        ).encode()


def names_of(table: str, schema: str | None) -> Names:
    """Return the names for a table, in a schema or wherever the role's own tables are.

    Raises:
        ValueError: one of them is no name that can be taken here.
    """
    for option, name in (("table", table), ("schema", schema)):
        if name is not None and not _NAME.fullmatch(name):
            msg = f"{option} must be a name of 1 to 48 letters, digits and _, not {name!r}"
            raise ValueError(msg)
    place = "" if schema is None else f'"{schema}".'
    rest = [f'{place}"{table}{end}"' for end in ("", "_change", "_damaged", "_schema", "_changed")]
    return Names(table, *rest)


def is_current(connection: Connection, names: Names, location: str) -> bool | None:
    """Say whether the schema is the one that this code knows; None where there is none.

    Raises:
        StoreUnavailableError: it is a newer one; nothing was changed.
    """
    version = _version(connection, names)
    if version is None:
        return None
    if version > len(MIGRATIONS):
        msg = (
            f"{location}: the table {names.table} was written by a newer version of feedback_store "
            f"(schema {version}, this one knows {len(MIGRATIONS)}); upgrade, nothing was changed"
        )
        raise StoreUnavailableError(msg)
    return version == len(MIGRATIONS)


def _version(connection: Connection, names: Names) -> int | None:
    (there,) = connection.execute(names.word(_IS_THERE)).fetchone() or (False,)
    if not there:
        return None
    (version,) = connection.execute(names.word("SELECT version FROM {schema}")).fetchone() or (0,)
    return int(version)


def migrate(connection: Connection, names: Names, location: str) -> None:
    """Make the schema, or bring it up to date, in one transaction.

    Several processes may come at once: an advisory lock lets one of them do it. ``IF NOT EXISTS``
    would not help: two that create a table at the same time still collide in the catalog.

    Raises:
        StoreUnavailableError: as for `is_current`.
        psycopg.Error: a step failed; nothing was changed.
    """
    with connection.transaction():
        connection.execute(names.word(_LOCK))
        connection.execute(_NEWS)
        if is_current(connection, names, location):
            return
        version = _version(connection, names) or 0
        for step in MIGRATIONS[version:]:
            connection.execute(names.word(step), prepare=False)
        version = len(MIGRATIONS)
        connection.execute(names.word("UPDATE {schema} SET version = %s"), (version,))


def is_missing(error: psycopg.Error) -> bool:
    """Say whether an error tells that a table is not there."""
    return isinstance(error, psycopg.errors.UndefinedTable)
