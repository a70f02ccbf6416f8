"""Counts and statistics: whole days and months from the tallies, the rest entry by entry."""

import sqlite3
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
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
    month_name,
    number_of,
    whole_spans,
)
from feedback_store.backends.sqlite.rows import CLASS_OF, Tests, entries_of
from feedback_store.backends.sqlite.schema import CLASSES
from feedback_store.entry import FeedbackEntry
from feedback_store.frozen import FrozenDict
from feedback_store.query import Query
from feedback_store.rating import Rating
from feedback_store.stamps import time_of
from feedback_store.stats import Group, Stats


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
    sums = _Sums()
    rated, values = _class_in(query)
    sql = f"SELECT * FROM tally WHERE span >= ? AND span < ? AND {rated}"  # noqa: S608  # as above
    for span in whole_spans(*times(query))[0]:
        for row in connection.execute(sql, [span.start, span.stop, *values]):
            sums.add(names, *row)
    return sums.result(*_ends(connection, where))


_NAMES = "SELECT k, kind, text FROM name"


class _Sums:
    """Sums of tallies."""

    def __init__(self) -> None:
        self._ratings: Counter[Rating] = Counter()
        self._months: Counter[str] = Counter()
        self._issues: Counter[str] = Counter()
        self._types: dict[str, Counter[Rating]] = {}
        self._responses = self._response_us = 0

    def add(  # the columns of a row
        self, names: dict[int, tuple[int, str]], span: int, name: int, rating_class: int,
        total: int, responses: int, response_us: bytes,
    ) -> None:  # fmt: skip
        rating = CLASSES[rating_class]
        if name == EVERY:
            self._ratings[rating] += total
            self._months[month_name(span)] += total
            self._responses += responses
            self._response_us += int(response_us)
            return
        kind, text = names[name]
        if kind == ISSUE:
            self._issues[text] += total
        else:
            self._types.setdefault(text, Counter())[rating] += total

    def result(self, first: int | None, last: int | None) -> Stats:
        counts = self._ratings
        return Stats(
            total=counts.total(),
            positive=counts[Rating.POSITIVE],
            negative=counts[Rating.NEGATIVE],
            neutral=counts[Rating.NEUTRAL],
            unrated=counts[Rating.UNRATED],
            by_month=FrozenDict(sorted(self._months.items())),
            by_issue=FrozenDict(sorted(self._issues.items())),
            by_source_type=FrozenDict({k: _group(n) for k, n in sorted(self._types.items())}),
            response_time_total_us=self._response_us,
            response_time_count=self._responses,
            first=None if first is None else time_of(first),
            last=None if last is None else time_of(last),
        )


def _group(ratings: Counter[Rating]) -> Group:
    total, unrated = ratings.total(), ratings[Rating.UNRATED]
    return Group(total=total, positive=ratings[Rating.POSITIVE], rated=total - unrated)


def _ends(connection: sqlite3.Connection, where: Where) -> Iterator[int | None]:
    """Yield the first and the last stamp; each by itself, since an index has only one end."""
    for end in ("min", "max"):
        sql = f"SELECT {end}(stamp) FROM entry WHERE {where.sql}"  # noqa: S608  # as above
        yield connection.execute(sql, where.values).fetchone()[0]


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
