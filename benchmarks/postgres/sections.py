"""All that is measured of the PostgreSQL store, as one section of the docs."""

import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from statistics import median

import attrs

from benchmarks import asked
from benchmarks.entries import DataSet, line_of
from benchmarks.machine import setting
from benchmarks.postgres import by_hand
from benchmarks.postgres.server import served
from benchmarks.results import MILLISECONDS, PER_SECOND, Unit, table
from feedback_store import FeedbackEntry, FeedbackStore, Query, decode, open_store

_THREADS = 8
_WARM_UP = 100
_QUERY = Query(
    rating="negative", issues=["inaccurate"], since=asked.SINCE, until=asked.UNTIL
)


@attrs.frozen
class PostgresScale:
    """How long it may take.

    Attributes:
        data: the entries of the store that is asked.
        rounds: how often everything is measured.
        adds: entries that each of the threads adds.
        asks: how often a question is asked in a round.
    """

    data: DataSet
    rounds: int
    adds: int
    asks: int


@attrs.frozen
class _Row:
    """An operation, ours and by hand: seconds, or operations a second, of each round."""

    title: str
    unit: Unit
    target: str
    ours: list[float] = attrs.field(factory=list)
    by_hand: list[float] = attrs.field(factory=list)

    def cells(self) -> list[str]:
        """Return the row of the table; the ratio is the median of the rounds'."""
        ratio = median(a / b for a, b in zip(self.ours, self.by_hand, strict=True))
        shown = [self._shown(self.ours), self._shown(self.by_hand)]
        return [self.title, self.unit.name, *shown, f"{ratio:.2f}", self.target]

    def _shown(self, values: Sequence[float]) -> str:
        show = self.unit.show
        return f"{show(median(values))} ({show(min(values))} to {show(max(values))})"


def measure_postgres(scale: PostgresScale, words: Sequence[str] = ()) -> str:
    """Return the table, with what has to be known of it.

    Args:
        scale: how long it may take.
        words: of the titles of those that are wanted; none for all.
    """
    rows = {
        "load": _Row("load all entries", Unit("s"), "at most 1.5"),
        "adds": _Row(f"durable adds from {_THREADS} threads", PER_SECOND, "at least 3"),
        "page": _Row("filtered page and total", MILLISECONDS, "at most 1.2"),
        "stats": _Row("statistics", MILLISECONDS, "at most 1.2"),
    }
    with served() as url, open_store(url) as store:
        for number in range(scale.rounds):
            _load(rows["load"], url, store, scale)
            _adds(rows["adds"], url, store, scale)
            _asks(rows["page"], rows["stats"], url, store, scale)
            print(f"measured: postgres, round {number + 1}", file=sys.stderr)
    header = ["operation", "unit", "PostgresStore", "by hand", "ratio", "target"]
    wanted = [row for row in rows.values() if not words or any(w in row.title for w in words)]
    data = scale.data
    note = (
        f"{data.size:,} entries over {data.months} months, {scale.rounds} round(s), median "
        f"(smallest to largest), and the median of the rounds' ratios; {scale.adds} adds of each "
        f"thread. Measured with {setting('psycopg')}, PostgreSQL {_version(url, store)}."
    )
    return f"{table(header, [row.cells() for row in wanted], text_columns=2)}\n\n{note}"


def _version(url: str, store: FeedbackStore) -> str:  # noqa: ARG001
    return ""


def _entries(data: DataSet, first: int, count: int) -> list[FeedbackEntry]:
    return [decode(line_of(mapping)) for mapping in data.mappings(first, count)]


def _timed(call: Callable[[], object]) -> float:
    began = time.perf_counter()
    call()
    return time.perf_counter() - began
