"""Pages: the entries of one, read in their order, and how many there are in all."""

import sqlite3
from contextlib import ExitStack
from typing import Any

from feedback_store.backends.sqlite.conditions import BY_NUMBER, FOLDED, Where, labelled, times
from feedback_store.backends.sqlite.counting import count
from feedback_store.backends.sqlite.names import number_of
from feedback_store.backends.sqlite.rows import CLASS_OF, Tests, bindable, entries_of
from feedback_store.cursor import Cursor
from feedback_store.query import Order, Page, Query
from feedback_store.stamps import stamp_of

ORDERS = {
    Order.NEWEST: "stamp DESC, id DESC",
    Order.OLDEST: "stamp, id",
    Order.RATING_DESC: "rating DESC, stamp DESC, id DESC",
    Order.RATING_ASC: "rating IS NULL, rating, stamp DESC, id DESC",
}
"""NULL is the smallest value: the unrated come last in all of them."""

_ROWS = "SELECT entry.body FROM entry WHERE {where} AND {after} ORDER BY {order} LIMIT ? OFFSET ?"
_LABELLED = f"""
SELECT body FROM (
  SELECT * FROM (
    SELECT label.stamp AS stamp, entry.id AS id, entry.rating AS rating, entry.body AS body
    FROM label CROSS JOIN entry ON entry.n = label.n
    WHERE label.name = ? AND {{label}} AND {{label_after}}
    ORDER BY {{order}} LIMIT ?
  )
  UNION ALL
  SELECT stamp, id, rating, body FROM entry {BY_NUMBER}
  WHERE n > {FOLDED} AND {{where}} AND {{after}}
)
ORDER BY {{order}} LIMIT ? OFFSET ?
"""  # noqa: S608  # its values are bound


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
    skipped = limit * ((number or 1) - 1)
    after = _After(None if cursor is None else Cursor.parse(cursor, order))
    with ExitStack() as stack:
        where = Where(query, tests, stack)
        total = count(connection, query, where)
        label = labelled(query)
        if label is not None and len(label[1]) == 1:
            name = number_of(connection, label[0], label[1][0])
            label_sql, label_values = _label_of(query)
            end = skipped + limit + 1
            values = [name, *label_values, *after.values, end]
            sql = _LABELLED.format(
                label=label_sql,
                label_after=after.sql.replace("entry.stamp", "label.stamp"),  # its index is used
                where=where.sql,
                after=after.sql,
                order=ORDERS[order],
            )
        else:
            values = []
            sql = _ROWS.format(where=where.sql, after=after.sql, order=ORDERS[order])
        values += [*where.values, *after.values, limit + 1, skipped]
        entries = tuple(entries_of(body for (body,) in connection.execute(sql, values)))
    shown = entries[:limit]
    more = len(entries) > limit
    next_cursor = str(Cursor.at(shown[-1], order)) if more else None
    return Page(entries=shown, total=total, next_cursor=next_cursor)


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


class _After:
    """The condition to come after a cursor; nothing where there is none.

    Attributes:
        sql: the condition.
        values: what it takes.
    """

    def __init__(self, cursor: Cursor | None) -> None:
        self.sql, self.values = "1", list[Any]()
        if cursor is None:
            return
        stamp = stamp_of(cursor.timestamp)
        sign = ">" if cursor.order is Order.OLDEST else "<"
        # The first half is for the index: it knows time only.
        self.sql = f"(entry.stamp {sign}= ? AND (entry.stamp {sign} ? OR entry.id {sign} ?))"
        self.values = [stamp, stamp, bindable(cursor.id)]
        if cursor.order in (Order.OLDEST, Order.NEWEST):
            return
        if cursor.rating is None:
            self.sql = f"(entry.rating IS NULL AND {self.sql})"
            return
        sign = ">" if cursor.order is Order.RATING_ASC else "<"
        worse = f"entry.rating {sign} ? OR entry.rating IS NULL"
        self.sql = f"({worse} OR (entry.rating = ? AND {self.sql}))"
        self.values = [cursor.rating, cursor.rating, *self.values]
