"""`TableSource`: anybody's table in a PostgreSQL database, read as entries, and never written."""

import logging
import weakref
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, tzinfo
from types import TracebackType
from typing import Any, NoReturn, Self

from psycopg import sql

from feedback_store.backends.postgres import table_order
from feedback_store.backends.postgres.address import parse
from feedback_store.backends.postgres.table_entries import Entries
from feedback_store.backends.postgres.table_reading import Reading, Shape, parts_of
from feedback_store.backends.postgres.table_values import to_json
from feedback_store.entry import FeedbackEntry
from feedback_store.errors import (
    StoreClosedError,
    StoreUnavailableError,
    UnknownBackendError,
)
from feedback_store.fields import as_time
from feedback_store.mapping import Assumption, RowMapping, VotesMapping
from feedback_store.query import Query
from feedback_store.store import descending

logger = logging.getLogger("feedback_store.postgres")

BATCH_ROWS = 500
"""Rows that are in memory at a time, unless told."""

_TOLD = 1000
"""Rows that are named in the log at most."""

_EVERYTHING = Query()


def table_source_of(url: str, **options: Any) -> "TableSource":  # noqa: ANN401  # those of `TableSource`
    """Return the table that a URL names: ``postgresql://user@host/database?table=votes``.

    Raises:
        UnknownBackendError: it is no URL of a database, or names no table.
    """
    if not parse(url).table:
        msg = "the URL names no table; end it in ?table=votes, or open it as a store"
        raise UnknownBackendError(msg)
    return TableSource(url, **options)


class TableSource:
    """A table of other people, whose rows are read as entries.

    Consistency: what is iterated over is the table as it was at the call, whoever writes to it
    meanwhile. Nothing is ever written, and no lock is held that others would wait for.
    Memory: constant; the server sorts. Held in memory are entries whose time does not stand in a
    column of times but elsewhere, as where it is a text.
    Rows that are no entries are left out, counted, and named in the log by their key alone.

    Args:
        url: ``postgresql://user:password@host:5432/database``, or a connection string of libpq;
            the password is shown nowhere.
        table: its name, or ``schema.table``, in capitals where it is; a dot within a name is
            quoted: ``"a.b"``. Unless given, that of the URL, or else ``votes``.
        mapping: what makes an entry of a row; `VotesMapping`, unless given.
        key: the column that tells rows apart, or several; unless given, the primary key.
        batch_rows: how many rows are in memory at a time.
        naive_tz: the zone of times that name none, unless the mapping says another one.
        fallback_time: the time of rows that tell none (aware); now, unless given.

    Raises:
        UnknownBackendError: this is no URL of a database, or no name of a table.
        ValueError: ``batch_rows`` is below 1.
    """

    def __init__(
        self,
        url: str,
        table: str | None = None,
        *,
        mapping: RowMapping | None = None,
        key: str | Sequence[str] | None = None,
        batch_rows: int = BATCH_ROWS,
        naive_tz: tzinfo = UTC,
        fallback_time: datetime | None = None,
    ) -> None:
        if batch_rows < 1:
            raise ValueError("batch_rows must be 1 or more")
        self._address = parse(url)
        self._parts = parts_of(table or self._address.table or "votes")
        self._mapping = VotesMapping(assume_tz=naive_tz) if mapping is None else mapping
        self._naive_tz: tzinfo = getattr(self._mapping, "assume_tz", naive_tz)
        self._key = (key,) if isinstance(key, str) else tuple(key or ())
        self._batch_rows = batch_rows
        given = datetime.now(UTC) if fallback_time is None else fallback_time
        self._fallback_time = as_time(given, "fallback_time")
        self._readings: weakref.WeakSet[Reading] = weakref.WeakSet()
        self._told: set[str] = set()
        self._closed = False
        self._last: Entries | None = None

    def __repr__(self) -> str:
        """Say where the table is, without a password."""
        return f"TableSource({self._address.shown!r}, {'.'.join(self._parts)!r})"

    # ------------------------------------------------------------------------------ verbs

    def rows(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """Yield each row as it is, after ``<table>-<key>``, in the order of the keys.

        Values are those of psycopg, and the server's text for types that Python has no word for.

        Raises:
            StoreUnavailableError: the table cannot be read, at the call or while iterating; or
                nothing tells its rows apart.
            StoreClosedError: the source was closed.
        """
        reading = self._begun()
        shape = self._looked_up(reading)
        query = sql.SQL("SELECT t.*, {} FROM {} AS t").format(
            table_order.key_text(shape), shape.relation
        )
        return self._rows(reading, shape, self._started(reading, query + _by_key(shape)))

    def raw_rows(self) -> Iterator[dict[str, Any]]:
        """Yield each row with every column, in values that JSON can say, without loss.

        In the order of the keys, where the table has any. Times are texts in ISO 8601 form, in UTC
        where they name a zone; intervals are, too; bytes are base64; decimals are numbers where
        one is the same, and texts elsewhere; arrays and JSON are as they are.

        Raises:
            StoreUnavailableError: the table cannot be read, at the call or while iterating.
            StoreClosedError: the source was closed.
        """
        reading = self._begun(spans_as_text=True)
        shape = self._looked_up(reading, keyed=False)
        query = sql.SQL("SELECT t.* FROM {} AS t").format(shape.relation)
        order = _by_key(shape) if shape.keys else sql.SQL("")
        return self._raw_rows(reading, shape, self._started(reading, query + order))

    def scan(self, query: Query = _EVERYTHING) -> Iterator[FeedbackEntry]:
        """Yield the entries that match, as of the call, in the order of `Store.scan`.

        Raises:
            StoreUnavailableError: the table cannot be read, at the call or while iterating; or
                nothing tells its rows apart.
            StoreClosedError: the source was closed.
        """
        reading = self._begun()
        shape = self._looked_up(reading)
        plan = table_order.plan_of(shape, self._mapping, self._naive_tz)
        newest_first = descending(query)
        conditions = query.conditions()

        def matches(entry: FeedbackEntry) -> bool:
            return all(holds(entry) for holds in conditions)

        last = self._last = Entries(
            shape, self._mapping, self._parts[-1], self._fallback_time, self._tell
        )
        doubtful = self._started(reading, table_order.doubtful(shape, plan))
        misplaced = last.misplaced(doubtful, matches)
        in_order = table_order.in_order(shape, plan, self._fallback_time, newest_first=newest_first)
        placed = filter(matches, last.placed(self._started(reading, in_order)))
        merged = table_order.merged(placed, misplaced, plan, newest_first=newest_first)
        return self._closing(reading, merged)

    @property
    def skipped(self) -> int:
        """How many rows the last `scan` has left out so far: they are no entries."""
        return 0 if self._last is None else self._last.skipped

    @property
    def assumed(self) -> Counter[Assumption]:
        """What the last `scan` had to assume so far, and how often."""
        return Counter() if self._last is None else Counter(self._last.assumed)

    def close(self) -> None:
        """Give back all connections; may be repeated. What is iterated over ends with an error."""
        self._closed = True
        for reading in list(self._readings):
            reading.close()

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

    # ----------------------------------------------------------------------------- reading

    def _begun(self, *, spans_as_text: bool = False) -> Reading:
        if self._closed:
            raise StoreClosedError("this source was closed; open it again")
        reading = Reading(self._address, self._batch_rows, spans_as_text=spans_as_text)
        self._readings.add(reading)
        return reading

    def _looked_up(self, reading: Reading, *, keyed: bool = True) -> Shape:
        try:
            shape = reading.shape(self._parts, self._key)
            if keyed and not shape.keys:
                self._refuse_keyless()
        except BaseException:
            reading.close()
            raise
        return shape

    def _refuse_keyless(self) -> NoReturn:
        msg = (
            f"{self._address.shown}: the table {'.'.join(self._parts)!r} has no primary key; name "
            "the column that tells its rows apart: key='...'"
        )
        raise StoreUnavailableError(msg)

    def _started(self, reading: Reading, query: sql.Composable) -> Iterator[tuple[Any, ...]]:
        try:
            return reading.rows(query)
        except BaseException:
            reading.close()
            raise

    def _closing(
        self, reading: Reading, entries: Iterator[FeedbackEntry]
    ) -> Iterator[FeedbackEntry]:
        with reading:
            yield from entries

    def _rows(
        self, reading: Reading, shape: Shape, rows: Iterator[tuple[Any, ...]]
    ) -> Iterator[tuple[str, dict[str, Any]]]:
        with reading:
            for *values, key in rows:
                yield f"{self._parts[-1]}-{key}", dict(zip(shape.columns, values, strict=True))

    def _raw_rows(
        self, reading: Reading, shape: Shape, rows: Iterator[tuple[Any, ...]]
    ) -> Iterator[dict[str, Any]]:
        with reading:
            for row in rows:
                yield dict(zip(shape.columns, map(to_json, row), strict=True))

    def _tell(self, id: str, reason: str) -> None:
        if id in self._told or len(self._told) >= _TOLD:
            return
        self._told.add(id)
        place = f"{self._address.shown} {'.'.join(self._parts)}"
        logger.warning("%s: the row %s is no entry, and left out: %s", place, id, reason)


def _by_key(shape: Shape) -> sql.Composable:
    columns = [sql.SQL("t.{}").format(sql.Identifier(column)) for column in shape.keys]
    return sql.SQL(" ORDER BY {}").format(sql.SQL(", ").join(columns))
