"""Pages, counts and statistics, each by one statement: so each is of one moment."""

from collections.abc import Iterator
from typing import Any

from feedback_store import operations
from feedback_store.backends.postgres.conditions import Where
from feedback_store.backends.postgres.connecting import Connection
from feedback_store.backends.postgres.rows import bodies_of, entries_of, shown
from feedback_store.backends.postgres.schema import Names
from feedback_store.cursor import Cursor
from feedback_store.entry import FeedbackEntry
from feedback_store.query import Order, Page, Query
from feedback_store.sql.conditions import ORDERS
from feedback_store.sql.sums import Sums
from feedback_store.stats import Stats

_MOST = 2**62
"""More rows than there can be: what LIMIT and OFFSET take is bounded."""

_COUNT = "SELECT count(*) FROM {entry} AS entry WHERE "
_BODIES = "SELECT body FROM {entry} AS entry WHERE "
_PAGE = """
SELECT (SELECT count(*) FROM {{entry}} AS entry WHERE {where}), ARRAY(
  SELECT body FROM {{entry}} AS entry WHERE {after} ORDER BY {order}
  LIMIT {wanted} OFFSET {skipped})
"""
_SUMS = """
SELECT class, month, issues, types, count(*), count(response_us), coalesce(sum(response_us), 0),
  min(stamp), max(stamp)
FROM {{entry}} AS entry WHERE {where} GROUP BY class, month, issues, types
"""
_PIECE = 1024


def page(
    connection: Connection,
    names: Names,
    query: Query,
    limit: int,
    after: Cursor | None,
    number: int,
) -> Page:
    """Return what `feedback_store.operations.page` would, of a query that `Where` words exactly."""
    where, later = Where(query), Where(query, after)
    order = query.order or Order.NEWEST
    # The numbers stand in the statement, so that it is planned for few rows; the server would
    # else expect a tenth of all, and sort them.
    sql = _PAGE.format(
        where=where.sql,
        after=later.sql,
        order=ORDERS[order],
        wanted=min(limit + 1, _MOST),
        skipped=min(limit * (number - 1), _MOST),
    )
    values = [*where.values, *later.values]
    total, bodies = connection.execute(names.word(sql), values, binary=True).fetchone() or (0, [])
    entries = list(entries_of(body.encode() for body in bodies))
    return operations.page_of(entries, limit, total, order)


def count(connection: Connection, names: Names, query: Query) -> int:
    """Return how many entries match."""
    where = Where(query)
    if not where.is_exact:
        return sum(1 for _ in matching(connection, names, where))
    sql = names.word(_COUNT + where.sql)
    (total,) = connection.execute(sql, where.values).fetchone() or (0,)
    return int(total)


def stats(connection: Connection, names: Names, query: Query) -> Stats:
    """Return the numbers of what matches.

    Entries that are counted alike come as one row: those of one class and month with the same
    issues and the same types, which are few however many entries there are. So the table is gone
    through once, and not once for each number.
    """
    where = Where(query)
    if not where.is_exact:
        return Stats.of(matching(connection, names, where))
    sums = Sums()
    sql = names.word(_SUMS.format(where=where.sql))
    for row in connection.execute(sql, where.values, binary=True):
        number, month, issues, types, total, responses, response_us, first, last = row
        sums.add_all(number, month, total, responses, int(response_us))
        for issue in issues:
            sums.add_issue(shown(issue), total)
        for source_type in types:
            sums.add_type(shown(source_type), number, total)
        sums.add_ends((first, last))
    return sums.result()


def matching(connection: Connection, names: Names, where: Where) -> Iterator[FeedbackEntry]:
    """Yield what matches a query that no column answers, in any order, in constant memory."""
    values: list[Any] = where.values
    with connection.transaction():
        declared = f"DECLARE matching NO SCROLL CURSOR FOR {_BODIES}{where.sql}"
        connection.execute(names.word(declared), values)
        fetch = f"FETCH FORWARD {_PIECE} FROM matching".encode()
        while bodies := bodies_of(connection.execute(fetch)):
            yield from filter(where.rest.matches, entries_of(bodies))
