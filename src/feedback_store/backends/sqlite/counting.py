"""Counts and statistics: whole days and months from the tallies, the rest entry by entry."""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from typing import Any

from feedback_store.backends.sqlite.conditions import (
    BY_NUMBER,
    FOLDED,
    Where,
    labelled,
)
from feedback_store.backends.sqlite.names import (
    EVERY,
    ISSUE,
    marks,
    month_of_span,
    number_of,
    whole_spans,
)
from feedback_store.backends.sqlite.rows import Tests, entries_of
from feedback_store.entry import FeedbackEntry
from feedback_store.query import Query
from feedback_store.sql.classes import CLASS_OF, month_number
from feedback_store.sql.conditions import timed, times
from feedback_store.sql.sums import Sums
from feedback_store.stats import Stats


def count(connection: sqlite3.Connection, query: Query, where: Where) -> int:
    """Return how many entries match."""
    label = labelled(query)
    if label is None and not timed(query):
        sql = f"SELECT count(*) FROM entry WHERE {where.sql}"  # noqa: S608  # its values are bound
        return _number(connection, sql, where.values)
    if label is not None and len(label[1]) > 1:
        known = _any_of(connection, query, label)
    else:
        known = tallied(connection, query, numbered(connection, label))
    return known + _fresh(connection, where)


def _fresh(connection: sqlite3.Connection, where: Where) -> int:
    """Count the entries that are in no tally yet."""
    sql = f"SELECT count(*) FROM entry {BY_NUMBER} WHERE n > {FOLDED} AND {where.sql}"  # noqa: S608  # as above
    return _number(connection, sql, where.values)


def numbered(
    connection: sqlite3.Connection, label: tuple[int, tuple[str, ...]] | None
) -> int | None:
    """Return the number under which entries of one label are counted, or all; None: there are none.

    Args:
        connection: where to look.
        label: its kind and its one text; None for all entries.
    """
    return EVERY if label is None else number_of(connection, label[0], label[1][0])


def tallied(connection: sqlite3.Connection, query: Query, name: int | None) -> int:
    """Count folded entries of one name, or all of them: in one question, for a page has many."""
    if name is None:
        return 0
    rated, classes = _class_in(query)
    spans, edges = whole_spans(*times(query))
    rows = "label WHERE name = ?" if name else f"entry WHERE ? = 0 AND n <= {FOLDED}"
    counts = [
        *[f"(SELECT sum(total) FROM tally WHERE name = ? AND {rated} AND {_SPANS})"] * len(spans),  # noqa: S608  # as above
        *[f"(SELECT count(*) FROM {rows} AND {rated} AND {_STAMPS})"] * len(edges),  # noqa: S608  # as above
    ]
    values = [v for part in (*spans, *edges) for v in (name, *classes, part.start, part.stop)]
    sql = " + ".join(f"coalesce({number}, 0)" for number in counts)
    return _number(connection, f"SELECT {sql or 0}", values)


_SPANS = "span >= ? AND span < ?"
_STAMPS = "stamp >= ? AND stamp < ?"


def _any_of(
    connection: sqlite3.Connection, query: Query, label: tuple[int, tuple[str, ...]]
) -> int:
    """Count folded entries that have any of some names, each once."""
    kind, texts = label
    found = (number_of(connection, kind, text) for text in texts)
    names = [name for name in found if name is not None]
    rated, values = _class_in(query)
    since, until = times(query)
    sql = f"SELECT count(DISTINCT n) FROM label WHERE name IN ({marks(names)}) AND {rated}"  # noqa: S608  # as above
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
    sums = Sums()
    rated, classes = _class_in(query)
    for part in whole_spans(*times(query))[0]:
        values = [*classes, part.start, part.stop]
        for number, span, total, responses, us in connection.execute(
            _ALL.format(rated=rated), values
        ):
            month = month_number(*month_of_span(span))
            sums.add_all(number, month, total, responses, int(us))
        for kind, text, number, total in connection.execute(_NAMED.format(rated=rated), values):
            if kind == ISSUE:
                sums.add_issue(text.decode(), total)
            else:
                sums.add_type(text.decode(), number, total)
    sums.add_ends(_ends(connection, where))
    return sums.result()


_ALL = f"""
SELECT class, span, total, responses, response_us FROM tally
WHERE name = {EVERY} AND {{rated}} AND {_SPANS}"""  # noqa: S608  # as above

# The names come first: for each of them, the rows of a class lie side by side.
_NAMED = f"""
SELECT kind, text, class, sum(total) FROM name CROSS JOIN tally ON tally.name = k
WHERE {{rated}} AND {_SPANS} GROUP BY k, class"""  # noqa: S608  # as above


def _ends(connection: sqlite3.Connection, where: Where) -> Iterator[int | None]:
    """Yield the first and the last stamp; each by itself, since an index has only one end."""
    for end in ("min", "max"):
        sql = f"SELECT {end}(stamp) FROM entry WHERE {where.sql}"  # noqa: S608  # as above
        (stamp,) = connection.execute(sql, where.values).fetchone()
        yield stamp


def _matching(
    connection: sqlite3.Connection, sql: str, values: Sequence[Any], how: str = ""
) -> Iterator[FeedbackEntry]:
    rows = connection.execute(f"SELECT body FROM entry {how} WHERE {sql}", values)  # noqa: S608  # as above
    return entries_of(body for (body,) in rows)


def _class_in(query: Query) -> tuple[str, list[int]]:
    """Return the condition on the class that a rating stands for: all four unless one is asked."""
    classes = list(CLASS_OF.values()) if query.rating is None else [CLASS_OF[query.rating]]
    return f"class IN ({marks(classes)})", classes


def _number(connection: sqlite3.Connection, sql: str, values: Sequence[Any]) -> int:
    return int(connection.execute(sql, values).fetchone()[0])
