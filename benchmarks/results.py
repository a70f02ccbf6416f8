"""Measured values side by side: medians, their spread, and ratios, as Markdown."""

from collections.abc import Sequence
from statistics import median

import attrs

from benchmarks.subjects import NAMES, TITLES

OURS = NAMES[-1]
PEERS = NAMES[1:-1]


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
        value *= self.scale
        digits = 0 if value >= 100 else 1 if value >= 10 else 2 if value >= 1 else 3
        return f"{value:,.{digits}f}"


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

    def ratio_to(self, other: str | None) -> float | None:
        """Return the median of the rounds' ratios: what drifts in both, cancels."""
        if other is None or not (theirs := self.values.get(other)):
            return None
        pairs = zip(self.values[OURS], theirs, strict=True)
        return median(self.unit.ratio(ours, value) for ours, value in pairs)

    def cells(self) -> list[str]:
        """Return the row of the table."""
        shown = [self._shown(name) for name in NAMES]
        peer, limit = self.ratio_to(self.best_peer()), self.ratio_to("limit")
        return [self.title, self.unit.name, *shown, *(_times(r) for r in (peer, limit))]

    def _shown(self, name: str) -> str:
        if not (values := self.values.get(name)):
            return ""
        show = self.unit.show
        return f"{show(median(values))} ({show(min(values))} to {show(max(values))})"


def _times(ratio: float | None) -> str:
    return "" if ratio is None else f"{ratio:.2f}"


def table(header: Sequence[str], rows: Sequence[Sequence[str]], text_columns: int) -> str:
    """Return a Markdown table; the first columns are text, the others numbers."""
    rule = ["---"] * text_columns + ["--:"] * (len(header) - text_columns)
    return "\n".join("| " + " | ".join(cells) + " |" for cells in (header, rule, *rows))


def comparison(measurements: Sequence[Measurement]) -> str:
    """Return the table of all subjects."""
    titles = [TITLES[name] for name in NAMES]
    header = ["operation", "unit", *titles, "ours : best peer", "ours : limit"]
    return table(header, [m.cells() for m in measurements], text_columns=2)
