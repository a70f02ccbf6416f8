"""Pages: the entries of one, read in their order, and how many there are in all."""

import sqlite3
from contextlib import ExitStack
from typing import Any

from feedback_store.backends.sqlite.conditions import (
    BY_NUMBER,
    FOLDED,
    Where,
    labelled,
)
from feedback_store.backends.sqlite.counting import count, numbered, tallied
from feedback_store.backends.sqlite.rows import SQLITE, Tests, entries_of
from feedback_store.cursor import Cursor
from feedback_store.entry import FeedbackEntry
from feedback_store.operations import page_of, rating_key
from feedback_store.query import Order, Page, Query
from feedback_store.sql.classes import CLASS_OF
from feedback_store.sql.conditions import ORDERS, Conditions, times

_ROWS = "SELECT entry.body FROM entry WHERE {where} AND {after} ORDER BY {order} LIMIT ? OFFSET ?"
_LABELLED = """
SELECT entry.body
FROM label CROSS JOIN entry ON entry.n = label.n
WHERE label.name = ? AND {label} AND {after}
ORDER BY {order} LIMIT ? OFFSET ?
"""
_FRESH = f"""
SELECT {{after}}, body FROM entry {BY_NUMBER} WHERE n > {FOLDED} AND {{where}}
"""  # noqa: S608  # its values are bound
_MATCHING = "SELECT entry.n, {after} FROM entry WHERE {where} ORDER BY {order}"


def page(
    connection: sqlite3.Connection,
    tests: Tests,
    query: Query,
    limit: int,
    cursor: str | None,
    number: int | None,
) -> Page:
    """Return what `feedback_store.operations.page` would."""
    order = query.order or Order.NEWEST
    after = Conditions(SQLITE)
    after.say_after(None if cursor is None else Cursor.parse(cursor, order))
    with ExitStack() as stack:
        pager = _Pager(connection, query, Where(query, tests, stack), after)
        total, entries = pager.entries(limit * ((number or 1) - 1), limit + 1)
    return page_of(entries, limit, total, order)


class _Pager:
    """The rows of one page, by the way that costs least."""

    def __init__(
        self, connection: sqlite3.Connection, query: Query, where: Where, after: Conditions
    ) -> None:
        self._connection = connection
        self._query = query
        self._where = where
        self._after = after
        self._order = ORDERS[query.order or Order.NEWEST]

    def entries(self, skipped: int, wanted: int) -> tuple[int, list[FeedbackEntry]]:
        """Return how many match in all, and so many entries after those that are skipped."""
        if self._where.reads_lines:
            return self._in_one_pass(skipped, wanted)
        label = labelled(self._query)
        if label is not None and len(label[1]) == 1:
            fresh = self._fresh()
            name = numbered(self._connection, label)
            total = tallied(self._connection, self._query, name) + len(fresh)
            later = [body for comes_after, body in fresh if comes_after]
            return total, self._labelled(name, later, skipped, wanted)
        total = count(self._connection, self._query, self._where)
        sql = _ROWS.format(where=self._where.sql, after=self._after.sql, order=self._order)
        values = [*self._where.values, *self._after.values, wanted, skipped]
        return total, self._decoded(sql, values)

    def _decoded(self, sql: str, values: list[Any]) -> list[FeedbackEntry]:
        return list(entries_of(body for (body,) in self._connection.execute(sql, values)))

    def _in_one_pass(self, skipped: int, wanted: int) -> tuple[int, list[FeedbackEntry]]:
        """Count and choose at once: to look into every line costs most."""
        sql = _MATCHING.format(after=self._after.sql, where=self._where.sql, order=self._order)
        values = [*self._after.values, *self._where.values]
        total = comes_after = 0
        chosen: list[int] = []
        for n, later in self._connection.execute(sql, values):
            total += 1
            comes_after += later
            if later and skipped < comes_after <= skipped + wanted:
                chosen.append(n)
        bodies = (self._connection.execute(_BODY, (n,)).fetchone()[0] for n in chosen)
        return total, list(entries_of(bodies))

    def _labelled(
        self, name: int | None, fresh: list[bytes], skipped: int, wanted: int
    ) -> list[FeedbackEntry]:
        """Read along one label; the few entries that have none yet go in between."""
        label, label_values = _label_of(self._query)
        after = self._after.sql.replace("entry.stamp", "label.stamp")  # its index is used
        order = self._order.replace("entry.stamp", "label.stamp")
        sql = _LABELLED.format(label=label, after=after, order=order)
        values = [name, *label_values, *self._after.values]
        if not fresh:
            return self._decoded(sql, [*values, wanted, skipped])
        both = self._decoded(sql, [*values, skipped + wanted, 0]) + list(entries_of(fresh))
        order = self._query.order or Order.NEWEST
        return _in_order(both, order)[skipped : skipped + wanted]

    def _fresh(self) -> list[tuple[int, bytes]]:
        """Return those that have no label yet: whether they come after the cursor, and bodies."""
        sql = _FRESH.format(where=self._where.sql, after=self._after.sql)
        values = [*self._after.values, *self._where.values]
        return self._connection.execute(sql, values).fetchall()


_BODY = "SELECT body FROM entry WHERE n = ?"


def _in_order(entries: list[FeedbackEntry], order: Order) -> list[FeedbackEntry]:
    entries.sort(key=lambda e: (e.timestamp, e.id), reverse=order is not Order.OLDEST)
    if order in (Order.RATING_DESC, Order.RATING_ASC):
        entries.sort(key=lambda e: rating_key(e, order))
    return entries


def _label_of(query: Query) -> tuple[str, list[Any]]:
    """Return the condition of time and rating on rows of ``label``."""
    since, until = times(query)
    bounds = (
        ("label.class = ?", None if query.rating is None else CLASS_OF[query.rating]),
        ("label.stamp >= ?", since),
        ("label.stamp < ?", until),
    )
    given = [(sql, value) for sql, value in bounds if value is not None]
    return " AND ".join(sql for sql, _ in given) or "1", [value for _, value in given]
