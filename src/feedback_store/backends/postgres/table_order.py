"""Entries of anybody's table in the order of a store, which only the server can sort in.

A mapping makes entries of rows, and only then are their times known: nearly always that of one
column. So the server sorts by that column. Rows whose entry has another time, because the column
is empty and the metadata tell one, are looked for before, kept in memory, and merged in.
"""

import heapq
from collections.abc import Iterator
from datetime import datetime, timedelta, tzinfo
from itertools import groupby

import attrs
from psycopg import sql
from psycopg.postgres import types

from feedback_store.backends.postgres.table_reading import Shape
from feedback_store.entry import OWN_KEYS, FeedbackEntry
from feedback_store.mapping import RowMapping, VotesMapping

_ZONED = types["timestamptz"].oid
_NAIVE = frozenset({types["timestamp"].oid, types["date"].oid})
_NOTHING = sql.SQL("NULL::timestamptz")


def key_text(shape: Shape) -> sql.Composable:
    """Return the text that tells rows apart: the key, or its columns with ``-`` between them."""
    parts = [sql.SQL("t.{}::text").format(sql.Identifier(column)) for column in shape.keys]
    return sql.SQL("concat_ws('-', {})").format(sql.SQL(", ").join(parts))


@attrs.frozen
class Plan:
    """How entries come in the order of their times and ids.

    Attributes:
        time: the time of a row, in SQL; NULL where the server cannot know.
        sure: whether the entry of every row that has such a time has just that.
        by_key: whether ids are those of keys, so that the server sorts these too.
    """

    time: sql.Composable
    sure: bool
    by_key: bool


def plan_of(shape: Shape, mapping: RowMapping, naive_tz: tzinfo) -> Plan:
    """Return how to bring the entries of a table in order."""
    known = mapping if isinstance(mapping, VotesMapping) else None
    names = dict(known.columns) if known else {}
    fields = {column: column for column in shape.columns if column not in names}
    fields |= {names[column]: column for column in shape.columns if column in names}
    column = fields.get("timestamp")
    kind = shape.columns.get(column or "")
    time: sql.Composable = _NOTHING
    if column is not None and kind == _ZONED:
        time = sql.SQL("t.{}").format(sql.Identifier(column))
    elif column is not None and kind in _NAIVE:
        time = _in_zone(column, naive_tz)
    # The server's clock of a zone may change at another time than Python's.
    certain = kind == _ZONED or naive_tz.utcoffset(None) is not None
    sure = known is not None and certain
    # A table's own column may tell another id than its key.
    by_key = known is not None and not {"id", "message_id"} & (fields.keys() & OWN_KEYS)
    return Plan(time, sure, by_key)


def _in_zone(column: str, zone: tzinfo) -> sql.Composable:
    offset, name = zone.utcoffset(None), getattr(zone, "key", None)
    if offset is not None:
        seconds = sql.Literal(offset / timedelta(seconds=1))
        where: sql.Composable = sql.SQL("make_interval(secs => {})").format(seconds)
    elif isinstance(name, str):
        where = sql.Literal(name)
    else:
        return _NOTHING
    return sql.SQL("(t.{}::timestamp AT TIME ZONE {})").format(sql.Identifier(column), where)


def selected(shape: Shape, plan: Plan) -> sql.Composed:
    """Return the query of all rows, each with the text of its key and with its time."""
    return sql.SQL("SELECT t.*, {}, {} FROM {} AS t").format(
        key_text(shape), plan.time, shape.relation
    )


def doubtful(shape: Shape, plan: Plan) -> sql.Composed:
    """Return the query of the rows whose entry may have another time than the server sorts by."""
    where = sql.SQL(" WHERE {} IS NULL").format(plan.time) if plan.sure else sql.SQL("")
    return selected(shape, plan) + where


def in_order(shape: Shape, plan: Plan, fallback: datetime, *, newest_first: bool) -> sql.Composed:
    """Return the query of all rows in the order of their times, then of their keys."""
    return selected(shape, plan) + sql.SQL(
        ' ORDER BY coalesce({time}, {fallback}::timestamptz) {way}, {key} COLLATE "C" {way}'
    ).format(
        time=plan.time,
        fallback=sql.Literal(fallback.isoformat()),
        key=key_text(shape),
        way=sql.SQL("DESC" if newest_first else "ASC"),
    )


def _place(entry: FeedbackEntry) -> tuple[datetime, str]:
    return entry.timestamp, entry.id


def merged(
    entries: Iterator[FeedbackEntry],
    others: list[FeedbackEntry],
    plan: Plan,
    *,
    newest_first: bool,
) -> Iterator[FeedbackEntry]:
    """Yield both in one order.

    Args:
        entries: those that come in the order of their times.
        others: those whose time the server did not know.
        plan: whether entries of one time are in the order of their ids, too.
        newest_first: whether the order is the reverse.
    """
    if not plan.by_key:
        entries = (
            entry
            for _, group in groupby(entries, key=lambda entry: entry.timestamp)
            for entry in sorted(group, key=_place, reverse=newest_first)
        )
    others.sort(key=_place, reverse=newest_first)
    return heapq.merge(entries, others, key=_place, reverse=newest_first)
