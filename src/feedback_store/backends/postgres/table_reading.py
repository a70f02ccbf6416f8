"""One reading of anybody's table: a transaction that sees one moment and writes nothing."""

import os
import re
from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import Any, Self, TypeAlias

import attrs
import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict
from psycopg.types import TypeInfo
from psycopg.types.array import register_array

from feedback_store.backends.postgres import table_values
from feedback_store.backends.postgres.address import Address
from feedback_store.backends.postgres.wording import Worded
from feedback_store.errors import (
    StoreClosedError,
    StoreUnavailableError,
    UnknownBackendError,
)

Connection: TypeAlias = psycopg.Connection[tuple[Any, ...]]

_OPTIONS: dict[str, Any] = {
    "application_name": "feedback_store",
    "connect_timeout": 10,
    # Without these a cable that is pulled out is noticed after a quarter of an hour.
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
}

_PARENTS: list[Connection] = []
"""Connections of the parent process, which a child must not close: the server would hear of it, and
the parent could not read on."""

# What a role may have set otherwise. Times come in UTC and in one style, numbers to their last
# digit; and whoever takes long with what was read is not thrown out for it.
_BEGIN = (
    "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;"
    "SET LOCAL TimeZone = 'UTC'; SET LOCAL DateStyle = 'ISO, YMD';"
    "SET LOCAL IntervalStyle = '{style}'; SET LOCAL extra_float_digits = 1;"
    "SET LOCAL idle_in_transaction_session_timeout = 0; SET LOCAL statement_timeout = 0"
)

_COLUMNS = """
SELECT a.attname, t.oid, t.typname, t.typelem, t.typcategory = 'A' AND t.typlen = -1,
  array_position(string_to_array(i.indkey::text, ' '), a.attnum::text)
FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
LEFT JOIN pg_index i ON i.indrelid = a.attrelid AND i.indisprimary
WHERE a.attrelid = to_regclass(%s) AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum
"""

_NAME = re.compile(r'"((?:[^"]|"")+)"|([^".]+)')


def parts_of(table: str) -> tuple[str, ...]:
    """Return the parts of a name: ``votes``, ``schema.votes``, ``"a.b"."c"``; as they are written.

    Raises:
        UnknownBackendError: it is no name of a table.
    """
    parts: list[str] = []
    rest = f".{table}"
    while rest.startswith(".") and (found := _NAME.match(rest, 1)):
        parts.append(found[2] or found[1].replace('""', '"'))
        rest = rest[found.end() :]
    if rest or not 1 <= len(parts) <= 2 or "\0" in table:  # noqa: PLR2004  # schema and table
        msg = f'{table!r} is no name of a table; write votes, schema.votes or "a.b"."c"'
        raise UnknownBackendError(msg)
    return tuple(parts)


@attrs.frozen
class Shape:
    """What a table looks like.

    Attributes:
        relation: its quoted name.
        columns: its columns, each with the number of its type.
        keys: the columns that tell its rows apart, in their order; none where that is not known.
    """

    relation: sql.Identifier
    columns: dict[str, int]
    keys: tuple[str, ...]


class Reading:
    """A connection in a transaction that sees the database as it was when it began.

    Each iterator over a table has its own, and closes it at its end.

    Args:
        address: the database.
        batch_rows: how many rows are in memory at a time.
        spans_as_text: see `table_values.adapt`.

    Raises:
        StoreUnavailableError: the server cannot be reached, or lets nobody in.
    """

    def __init__(self, address: Address, batch_rows: int, *, spans_as_text: bool = False) -> None:
        self._address = address
        self._batch_rows = batch_rows
        self._pid = os.getpid()
        self._connection: Connection | None = None
        given = conninfo_to_dict(address.conninfo)
        options = {key: value for key, value in _OPTIONS.items() if key not in given}
        # An interval is read by psycopg in the one style, and by people in the other.
        style = "iso_8601" if spans_as_text else "postgres"
        with Worded(address):
            self._connection = psycopg.connect(
                address.conninfo, autocommit=True, client_encoding="utf8", **options
            )
            self._connection.execute(_BEGIN.format(style=style).encode())
            self._cursor = self._connection.cursor()
            table_values.adapt(self._cursor, spans_as_text=spans_as_text)

    def shape(self, parts: Sequence[str], key: Sequence[str]) -> Shape:
        """Look a table up.

        Args:
            parts: its name.
            key: the columns that tell its rows apart, where the primary key does not.

        Raises:
            StoreUnavailableError: there is no such table or column.
        """
        relation = sql.Identifier(*parts)
        connection = self._alive()
        with Worded(self._address):
            found = connection.execute(_COLUMNS, [relation.as_string(connection)]).fetchall()
            name = ".".join(parts)
            if not found:
                msg = (
                    f"{self._address.shown}: there is no table {name!r}, or this role may not use "
                    "its schema; capitals count, and schema.table names another schema's"
                )
                raise StoreUnavailableError(msg)
            for _, oid, kind, element, is_array, _ in found:
                if is_array and self._cursor.adapters.types.get(oid) is None:
                    # Of somebody's own type, such as an enumeration: a list of its texts.
                    info = TypeInfo(kind.removeprefix("_"), oid=element, array_oid=oid)
                    register_array(info, self._cursor)
            columns = {column: oid for column, oid, *_ in found}
            if absent := [column for column in key if column not in columns]:
                msg = f"{self._address.shown}: the table {name!r} has no column {absent[0]!r}"
                raise StoreUnavailableError(msg)
            keys = sorted((place, column) for column, *_, place in found if place is not None)
            return Shape(relation, columns, tuple(key) or tuple(column for _, column in keys))

    def rows(self, query: sql.Composable) -> Iterator[tuple[Any, ...]]:
        """Run a query, and return an iterator over its rows; a few are in memory at a time."""
        declare = sql.SQL("DECLARE source NO SCROLL CURSOR FOR {}").format(query)
        with Worded(self._address):
            self._alive().execute(declare)
        return self._fetched()

    def _fetched(self) -> Iterator[tuple[Any, ...]]:
        fetch = f"FETCH FORWARD {self._batch_rows} FROM source".encode()
        while True:
            self._alive()
            with Worded(self._address):
                rows = self._cursor.execute(fetch).fetchall()
            yield from rows
            if len(rows) < self._batch_rows:
                break
        with Worded(self._address):
            self._alive().execute(b"CLOSE source")

    def _alive(self) -> Connection:
        if self._connection is None:
            raise StoreClosedError("this reading was closed; begin a new one")
        if self._pid != os.getpid():
            raise StoreClosedError("this reading is the parent process's; begin a new one")
        return self._connection

    def close(self) -> None:
        """Give the connection back; may be repeated."""
        connection, self._connection = self._connection, None
        if connection is None:
            return
        if self._pid == os.getpid():
            connection.close()
        else:
            _PARENTS.append(connection)

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close it."""
        self.close()

    def __del__(self) -> None:
        """Close it: nobody may have taken the rest."""
        if getattr(self, "_connection", None) is not None:
            self.close()
