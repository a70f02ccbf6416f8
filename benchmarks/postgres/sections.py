"""All that is measured of the PostgreSQL store, as one section of the docs."""

import sys
import threading
import time
from collections.abc import Callable, Sequence
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
_MANY = 32
SECONDS = Unit("s")
_QUERY = Query(rating="negative", issues=[asked.ISSUE], since=asked.SINCE, until=asked.UNTIL)


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
        "load": _Row("load all entries", SECONDS, "at most 1.5"),
        "adds": _Row(f"durable adds from {_THREADS} threads", PER_SECOND, "at least 3"),
        "alone": _Row("the same, by hand through one connection", PER_SECOND, "at least 3"),
        "many": _Row(f"durable adds from {_MANY} threads", PER_SECOND, "at least 3"),
        "page": _Row("filtered page and total", MILLISECONDS, "at most 1.2"),
        "stats": _Row("statistics", MILLISECONDS, "at most 1.2"),
    }
    with served() as url, open_store(url) as store:
        for number in range(scale.rounds):
            _load(rows["load"], url, store, scale)
            _add(rows["adds"], rows["alone"], url, store, scale, 3 * number)
            _add(rows["many"], None, url, store, scale, 3 * number + 1)
            _ask(rows["page"], rows["stats"], url, store, scale)
            print(f"measured: postgres, round {number + 1}", file=sys.stderr)
        server = by_hand.server_version(url)
    header = ["operation", "unit", "PostgresStore", "by hand", "ratio", "wanted"]
    wanted = [row for row in rows.values() if not words or any(w in row.title for w in words)]
    data = scale.data
    note = (
        f"{data.size:,} entries over {data.months} months, {scale.rounds} round(s), median "
        f"(smallest to largest), and the median of the rounds' ratios; {scale.adds:,} adds by "
        f"each thread. Measured with {setting('psycopg')}, PostgreSQL {server}."
    )
    return f"{table(header, [row.cells() for row in wanted], text_columns=2)}\n\n{note}"


def _load(row: _Row, url: str, store: FeedbackStore, scale: PostgresScale) -> None:
    """Load everything, into an empty table each."""
    _empty(url, store, scale)
    entries = _entries(scale.data, 0, scale.data.size)
    row.ours.append(_timed(partial(store.add_many, entries)))
    row.by_hand.append(_timed(partial(by_hand.copy, url, entries)))


def _empty(url: str, store: FeedbackStore, scale: PostgresScale) -> None:
    store.add(_entries(scale.data, 2 * scale.data.size, 1)[0])  # so that there is a table
    by_hand.empty(url)


def _add(
    row: _Row, alone: _Row | None, url: str, store: FeedbackStore, scale: PostgresScale, number: int
) -> None:
    """Add from several threads: to one store, and by a connection of each, or by one of all."""
    threads = _MANY if alone is None else _THREADS
    first = 3 * scale.data.size + number * 2 * _MANY * scale.adds
    shares = [
        _entries(scale.data, first + thread * scale.adds, scale.adds) for thread in range(threads)
    ]
    total = threads * scale.adds
    rate = total / _at_once([partial(_add_each, store, share) for share in shares])
    row.ours.append(rate)
    hands = [partial(by_hand.add_each, url, share) for share in shares]
    row.by_hand.append(total / _at_once(hands))
    if alone is not None:
        share = _entries(scale.data, first + threads * scale.adds, scale.adds)
        alone.ours.append(rate)
        alone.by_hand.append(scale.adds / _timed(partial(by_hand.add_each, url, share)))


def _add_each(store: FeedbackStore, entries: Sequence[FeedbackEntry]) -> None:
    for entry in entries:
        store.add(entry)


def _ask(page: _Row, stats: _Row, url: str, store: FeedbackStore, scale: PostgresScale) -> None:
    """Ask both in turns, of one table, after the server has looked at it."""
    by_hand.analyze(url)
    reader = by_hand.Reader(url)
    asked_of = (asked.SINCE, asked.UNTIL)
    total, entries = reader.page(*asked_of)
    shown = store.page(_QUERY, asked.LIMIT)
    assert (total, entries) == (shown.total, list(shown.entries)), "not the same page"
    turns: list[tuple[_Row, Callable[[], object], Callable[[], object]]] = [
        (page, partial(store.page, _QUERY, asked.LIMIT), partial(reader.page, *asked_of)),
        (stats, store.stats, reader.stats),
    ]
    for row, ours, hand in turns:
        pairs = [(_timed(ours), _timed(hand)) for _ in range(scale.asks)]
        row.ours.append(median(seconds for seconds, _ in pairs))
        row.by_hand.append(median(seconds for _, seconds in pairs))
    reader.close()


def _entries(data: DataSet, first: int, count: int) -> list[FeedbackEntry]:
    return [decode(line_of(mapping)) for mapping in data.mappings(first, count)]


def _timed(call: Callable[[], object]) -> float:
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


def _at_once(calls: Sequence[Callable[[], object]]) -> float:
    """Run each in a thread of its own; return how long it took until all had ended."""
    threads = [threading.Thread(target=call) for call in calls]
    began = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return time.perf_counter() - began
