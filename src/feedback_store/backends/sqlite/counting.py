"""Counts and statistics: whole days and months from the tallies, the rest entry by entry."""

import sqlite3
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from datetime import datetime
from typing import Any

from feedback_store.backends.sqlite.conditions import (
    BY_NUMBER,
    FOLDED,
    Where,
    labelled,
    timed,
    times,
)
from feedback_store.backends.sqlite.names import (
    EVERY,
    ISSUE,
    month_of_span,
    number_of,
    whole_spans,
)
from feedback_store.backends.sqlite.rows import CLASS_OF, Tests, entries_of
from feedback_store.backends.sqlite.schema import CLASSES
from feedback_store.entry import FeedbackEntry
from feedback_store.query import Query
from feedback_store.rating import Rating
from feedback_store.stamps import time_of
from feedback_store.stats import Counting, Stats


def count(connection: sqlite3.Connection, query: Query, where: Where) -> int:
    """Return how many entries match."""
    label = labelled(query)
    if timed(query) or (label is not None and len(label[1]) == 1):
        return tallied(connection, query, label) + _fresh(connection, where)
    if label is not None:
        return _any_of(connection, query, label) + _fresh(connection, where)
    sql = f"SELECT count(*) FROM entry WHERE {where.sql}"  # noqa: S608  # its values are bound
    return _number(connection, sql, where.values)


def _fresh(connection: sqlite3.Connection, where: Where) -> int:
    """Count the entries that are in no tally yet."""
    sql = f"SELECT count(*) FROM entry {BY_NUMBER} WHERE n > {FOLDED} AND {where.sql}"  # noqa: S608  # as above
    return _number(connection, sql, where.values)


def tallied(
    connection: sqlite3.Connection, query: Query, label: tuple[int, tuple[str, ...]] | None
) -> int:
    """Count folded entries of one name, or all of them."""
    name = EVERY if label is None else number_of(connection, label[0], label[1][0])
    if name is None:
        return 0
    rated, values = _class_in(query)
    spans, edges = whole_spans(*times(query))
    sql = f"""
      SELECT coalesce(sum(total), 0) FROM tally
      WHERE span >= ? AND span < ? AND name = ? AND {rated}"""  # noqa: S608  # as above
    total = sum(_number(connection, sql, [s.start, s.stop, name, *values]) for s in spans)
    rows = "FROM label WHERE name = ?" if name else f"FROM entry WHERE ? = 0 AND n <= {FOLDED}"
    sql = f"SELECT count(*) {rows} AND {rated} AND stamp >= ? AND stamp < ?"  # as above
    return total + sum(_number(connection, sql, [name, *values, e.start, e.stop]) for e in edges)


def _any_of(
    connection: sqlite3.Connection, query: Query, label: tuple[int, tuple[str, ...]]
) -> int:
    """Count folded entries that have any of some names, each once."""
    kind, texts = label
    found = (number_of(connection, kind, text) for text in texts)
    names = [name for name in found if name is not None]
    rated, values = _class_in(query)
    since, until = times(query)
    sql = f"SELECT count(DISTINCT n) FROM label WHERE name IN ({_marks(names)}) AND {rated}"  # noqa: S608  # as above
    if since is not None:
        sql, values = f"{sql} AND stamp >= ?", [*values, since]
    if until is not None:
        sql, values = f"{sql} AND stamp < ?", [*values, until]
    return _number(connection, sql, [*names, *values])


def stats(connection: sqlite3.Connection, query: Query, tests: Tests) -> Stats:
    """Return the numbers of what matches."""
    with ExitStack() as stack:
        where = Where(query, tests, stack)
        if not timed(query):
            return Stats.of(_matching(connection, where.sql, where.values))
        _, edges = whole_spans(*times(query))
        fresh = f"n > {FOLDED} AND {where.sql}"
        alone = [Stats.of(_matching(connection, fresh, where.values, BY_NUMBER))]
        rated, values = _class_in(query)
        sql = f"n <= {FOLDED} AND {rated} AND stamp >= ? AND stamp < ?"
        alone.extend(
            Stats.of(_matching(connection, sql, [*values, edge.start, edge.stop])) for edge in edges
        )
        return sum(alone, _of_tallies(connection, query, where))


def _of_tallies(connection: sqlite3.Connection, query: Query, where: Where) -> Stats:
    """Return the numbers of whole days and months; first and last are those of all."""
    names = {k: (kind, text.decode()) for k, kind, text in connection.execute(_NAMES)}
    sums = Counting()
    rated, values = _class_in(query)
    sql = f"SELECT * FROM tally WHERE span >= ? AND span < ? AND {rated}"  # noqa: S608  # as above
    for spans in whole_spans(*times(query))[0]:
        for span, name, number, *numbers in connection.execute(
            sql, [spans.start, spans.stop, *values]
        ):
            if name == EVERY:
                _add_all(sums, CLASSES[number], month_of_span(span), *numbers)
            else:
                _add_named(sums, CLASSES[number], *names[name], numbers[0])
    sums.first, sums.last = _ends(connection, where)
    return sums.result()


_NAMES = "SELECT k, kind, text FROM name"


def _add_all(  # the columns of a row
    sums: Counting, rating: Rating, month: tuple[int, int], total: int, responses: int, us: bytes
) -> None:
    sums.ratings[rating] += total
    sums.months[month] += total
    sums.responses += responses
    sums.response_us += int(us)


def _add_named(sums: Counting, rating: Rating, kind: int, text: str, total: int) -> None:
    if kind == ISSUE:
        sums.issues[text] += total
    else:
        sums.types.setdefault(text, Counter())[rating] += total


def _ends(connection: sqlite3.Connection, where: Where) -> Iterator[datetime | None]:
    """Yield the first and the last stamp; each by itself, since an index has only one end."""
    for end in ("min", "max"):
        sql = f"SELECT {end}(stamp) FROM entry WHERE {where.sql}"  # noqa: S608  # as above
        (stamp,) = connection.execute(sql, where.values).fetchone()
        yield None if stamp is None else time_of(stamp)


def _matching(
    connection: sqlite3.Connection, sql: str, values: Sequence[Any], how: str = ""
) -> Iterator[FeedbackEntry]:
    rows = connection.execute(f"SELECT body FROM entry {how} WHERE {sql}", values)  # noqa: S608  # as above
    return entries_of(body for (body,) in rows)


def _class_in(query: Query) -> tuple[str, list[int]]:
    """Return the condition on the class that a rating stands for: all four unless one is asked."""
    classes = list(CLASS_OF.values()) if query.rating is None else [CLASS_OF[query.rating]]
    return f"class IN ({_marks(classes)})", classes


def _marks(values: Sequence[object]) -> str:
    return ", ".join("?" * len(values))


def _number(connection: sqlite3.Connection, sql: str, values: Sequence[Any]) -> int:
    return int(connection.execute(sql, values).fetchone()[0])
