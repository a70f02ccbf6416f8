"""What growth costs: the same operations in a small and in a large store, in alternation.

Both stores are worked on in short blocks, one after the other, by processes that stay open. What
slows the machine down for a while slows down blocks of both, and the ratio of neighbours stays.
"""

import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from typing import Any

import attrs

from benchmarks.crew import Worker
from benchmarks.results import table
from benchmarks.subjects import OURS, TITLES


@attrs.frozen
class GrowthScale:
    """Which sizes are compared, and how long.

    Attributes:
        sizes: the number of entries in the small and in the large store, in one month each.
        blocks: how often each of them is worked on.
        operations: how many operations a block has.
    """

    sizes: tuple[int, int]
    blocks: int
    operations: int


class _Store:
    """A store of one size, with a process that writes and one that only reads."""

    def __init__(self, name: str, folder: Path, size: int, stack: ExitStack) -> None:
        self.size = size
        self._next = size
        self._session = {"name": name, "folder": folder, "size": size, "months": 1}
        with Worker(**self._session) as builder:
            builder.call("build")
        self._writer = stack.enter_context(Worker(**self._session))
        self._reader = stack.enter_context(Worker(**self._session))
        for worker in (self._writer, self._reader):
            worker.call("warm")

    def _prepared(self, count: int) -> list[int]:
        first, self._next = self._next, self._next + count
        self._writer.call("prepare", first=first, count=count)
        return list(range(first, first + count))

    def add(self, count: int) -> list[float]:
        self._prepared(count)
        return _each(self._writer.call("each_add"))

    def update(self, count: int) -> list[float]:
        return _each(self._writer.call("each_update", first=self._next, count=count))

    def get(self, count: int) -> list[float]:
        return _each(self._writer.call("each_get", first=self._next, count=count))

    def read_own(self, count: int) -> list[float]:
        ids = self._prepared(count)
        return _each(self._writer.call("each_add_then_get", ids=ids))

    def read_foreign(self, count: int) -> list[float]:
        each: list[float] = []
        for _ in range(count):
            ids = self._prepared(1)
            self._writer.call("each_add")
            each.extend(_each(self._reader.call("get_new", ids=ids)))
        return each

    def cold_get(self, count: int) -> list[float]:
        each: list[float] = []
        for i in range(max(1, count // 8)):
            with Worker(**self._session) as fresh:
                each.append(float(fresh.call("cold_get", i=i)["seconds"]))
        return each

    def page(self, count: int) -> list[float]:
        return _each(self._writer.call("repeat", verb="page", times=count, seconds=_ENOUGH_S))

    def stats(self, count: int) -> list[float]:
        return _each(self._writer.call("repeat", verb="stats", times=count, seconds=_ENOUGH_S))

    def admin(self, count: int) -> list[float]:
        self._prepared(count)
        return _each(self._writer.call("each_add_then_admin", seconds=_ENOUGH_S))


_ENOUGH_S = 60.0
"""No block is cut short."""

_OPERATIONS: dict[str, Callable[[_Store, int], list[float]]] = {
    "durable add": _Store.add,
    "durable update": _Store.update,
    "get, warm": _Store.get,
    "get after a durable add here": _Store.read_own,
    "get after another process's add": _Store.read_foreign,
    "get, cold: open and answer": _Store.cold_get,
    "filtered page and total, warm": _Store.page,
    "statistics, warm": _Store.stats,
    "page and statistics after a durable add": _Store.admin,
}
_Blocks = dict[int, list[list[float]]]


def _each(answer: dict[str, Any]) -> list[float]:
    return [float(seconds) for seconds in answer["each"]]


def measure_growth(folder: Path, scale: GrowthScale) -> str:
    """Return the table of all operations at both sizes."""
    rows = [row for name in OURS for row in _rows(name, folder / name, scale)]
    sizes = [f"{size:,} entries, µs" for size in scale.sizes]
    header = ["store", "operation", *sizes, "ratio", "slowest at each size, ms"]
    return table(header, rows, text_columns=2)


def _rows(name: str, folder: Path, scale: GrowthScale) -> list[list[str]]:
    """Measure one of ours."""
    rows: list[list[str]] = []
    with ExitStack() as stack:
        stores = [_Store(name, folder / str(size), size, stack) for size in scale.sizes]
        print(f"built both stores: {TITLES[name]}", file=sys.stderr)
        for title, work in _OPERATIONS.items():
            rows.append([TITLES[name], *_row(title, _blocks(stores, work, scale))])
            print(f"measured: {title}", file=sys.stderr)
    return rows


def _blocks(
    stores: Sequence[_Store], work: Callable[[_Store, int], list[float]], scale: GrowthScale
) -> _Blocks:
    """Do an operation in blocks, the stores in turns; the first block of each does not count."""
    blocks: _Blocks = {store.size: [] for store in stores}
    for number in range(scale.blocks + 1):
        for store in stores if number % 2 else reversed(stores):
            each = work(store, scale.operations)
            if number:
                blocks[store.size].append(each)
    return blocks


def _row(title: str, blocks: _Blocks) -> list[str]:
    medians = [[median(block) for block in of_size] for of_size in blocks.values()]
    ratio = median(large / small for small, large in zip(*medians, strict=True))
    slowest = [max(map(max, of_size)) * 1000 for of_size in blocks.values()]
    shown = [f"{_us(median(m))} ({_us(min(m))} to {_us(max(m))})" for m in medians]
    return [title, *shown, f"{ratio:.2f}", " / ".join(f"{ms:.1f}" for ms in slowest)]


def _us(seconds: float) -> str:
    return f"{seconds * 1e6:,.0f}"
