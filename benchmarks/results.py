"""Measured values side by side: medians, their spread, and ratios, as Markdown."""

from collections.abc import Mapping, Sequence
from statistics import median

import attrs

from benchmarks.subjects import CACHED, NAMES, OURS, PEERS, TITLES


@attrs.frozen
class Unit:
    """What a value counts.

    Attributes:
        name: how it is written after a value.
        scale: how many of the unit make one second, byte, or operation a second.
        more_is_better: whether a larger value is the better one.
    """

    name: str
    scale: float = 1
    more_is_better: bool = False

    def ratio(self, ours: float, other: float) -> float:
        """Return how many times better ours is: 2 is twice as good, 0.5 half as good."""
        return ours / other if self.more_is_better else other / ours

    def show(self, value: float) -> str:
        """Return a value in three digits."""
        return _rounded(value * self.scale)


PER_SECOND = Unit("/s", more_is_better=True)
MILLISECONDS = Unit("ms", scale=1000)
MEGABYTES = Unit("MB", scale=1e-6)
BYTES = Unit("bytes")


@attrs.frozen
class Measurement:
    """One row: an operation, and what every subject reached in each round.

    Attributes:
        title: the operation.
        unit: of the values.
        values: by subject, one value a round.
    """

    title: str
    unit: Unit
    values: dict[str, list[float]]

    def best_peer(self) -> str | None:
        """Return the peer with the best median."""
        peers = [name for name in PEERS if name in self.values]
        sign = 1 if self.unit.more_is_better else -1
        return max(peers, key=lambda name: sign * median(self.values[name]), default=None)

    def ratio(self, name: str, other: str | None) -> str:
        """Return the median of the rounds' ratios: what drifts in both, cancels."""
        if other is None or not (theirs := self.values.get(other)):
            return ""
        pairs = zip(self.values[name], theirs, strict=True)
        return _rounded(median(self.unit.ratio(ours, value) for ours, value in pairs))

    def cells(self, names: Sequence[str], pairs: Sequence[tuple[str, str | None]]) -> list[str]:
        """Return a row: what subjects reached, and how pairs of them compare."""
        shown = [self.shown(name) for name in names]
        return [self.title, self.unit.name, *shown, *(self.ratio(*pair) for pair in pairs)]

    def in_short(self, name: str) -> str:
        """Return the median of a subject, with its unit."""
        shown = self.unit.show(median(self.values[name]))
        return f"{shown}{'' if self.unit.name.startswith('/') else ' '}{self.unit.name}"

    def shown(self, name: str) -> str:
        """Return the median of a subject, and how far its rounds went."""
        if not (values := self.values.get(name)):
            return ""
        show = self.unit.show
        return f"{show(median(values))} ({show(min(values))} to {show(max(values))})"


def _rounded(value: float) -> str:
    digits = 0 if value >= 100 else 1 if value >= 10 else 2 if value >= 1 else 3
    return f"{value:,.{digits}f}"


def table(header: Sequence[str], rows: Sequence[Sequence[str]], text_columns: int) -> str:
    """Return a Markdown table; the first columns are text, the others numbers."""
    rule = ["---"] * text_columns + ["--:"] * (len(header) - text_columns)
    return "\n".join("| " + " | ".join(cells) + " |" for cells in (header, rule, *rows))


def comparison(measurements: Sequence[Measurement]) -> str:
    """Return the table of all subjects."""
    titles = [TITLES[name] for name in NAMES]
    ratios = [f"{TITLES[ours]} : {other}" for other in ("best peer", "limit") for ours in OURS]
    rows = [
        m.cells(NAMES, [(ours, other) for other in (m.best_peer(), "limit") for ours in OURS])
        for m in measurements
    ]
    return table(["operation", "unit", *titles, *ratios], rows, text_columns=2)


def repeated(measurements: Sequence[Measurement]) -> str:
    """Return the table of what is asked again, with and without a cache."""
    cached = [f"{TITLES[name]} : best peer" for name in CACHED]
    names = [name for name in (*NAMES, *CACHED) if any(name in m.values for m in measurements)]
    rows = [m.cells(names, [(name, m.best_peer()) for name in CACHED]) for m in measurements]
    header = ["operation", "unit", *(TITLES[name] for name in names), *cached]
    return table(header, rows, text_columns=2)


def by_size(measured: Mapping[int, Sequence[Measurement]]) -> str:
    """Return the table of measurements at several sizes, one row for each subject of each."""
    header = ["operation", "unit", "store", *(f"{size:,} entries" for size in measured)]
    rows = [
        [same[0].title, same[0].unit.name, TITLES[name], *(m.shown(name) for m in same)]
        for same in zip(*measured.values(), strict=True)
        for name in same[0].values
    ]
    return table(header, rows, text_columns=3)


def choice(measurements: Sequence[Measurement]) -> str:
    """Return the same without the spread, for a page that is no report."""
    header = ["operation", *(TITLES[name] for name in OURS), _RATIO_OF_OURS]
    rows = [[m.title, *map(m.in_short, OURS), m.ratio(*_SECOND_TO_FIRST)] for m in measurements]
    return table(header, rows, text_columns=1)


_SECOND_TO_FIRST = (OURS[1], OURS[0])
_RATIO_OF_OURS = " : ".join(TITLES[name] for name in _SECOND_TO_FIRST)
