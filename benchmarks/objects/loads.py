"""What loading costs, beside the same objects by hand."""

import sys
from itertools import product
from statistics import median

import attrs

from benchmarks.objects.bench import ObjectBench
from benchmarks.results import MEGABYTES, MILLISECONDS, Measurement, table

_NAMES = ("by hand", "ObjectStore")


@attrs.define
class _Row:
    """What is loaded, and what that took.

    Attributes:
        month: the month; None for all.
        collected: whether the garbage collector is on.
        seconds: by who loaded, of each round.
        peaks: the most memory of the process, as well.
    """

    month: str | None
    collected: bool
    seconds: dict[str, list[float]] = attrs.field(factory=lambda: {n: [] for n in _NAMES})
    peaks: dict[str, list[float]] = attrs.field(factory=lambda: {n: [] for n in _NAMES})

    def measure(self, bench: ObjectBench, name: str) -> int:
        """Load once; return how many entries there are."""
        told = {"place": bench.timed.told(), "month": self.month, "collected": self.collected}
        answer = bench.worker.call("load", **told, ours=name == _NAMES[1])
        self.seconds[name].append(answer["seconds"])
        self.peaks[name].append(answer["peak_bytes"])
        return int(answer["entries"])

    def cells(self) -> list[str]:
        """Return the row as it is shown."""
        time = Measurement("", MILLISECONDS, self.seconds)
        longer = median(ours / limit for limit, ours in zip(*self.seconds.values(), strict=True))
        return [
            "one month" if self.month else "everything",
            "on" if self.collected else "off",
            *map(time.shown, _NAMES),
            f"{longer:.2f}",
            *(MEGABYTES.show(median(self.peaks[name])) for name in _NAMES),
        ]


def measure_loads(bench: ObjectBench) -> str:
    """Return the table of loading everything, and one month of it, each in a new process."""
    months = (None, bench.scale.data.names()[-1])
    rows = [_Row(month, collected) for month, collected in product(months, (True, False))]
    for number in range(bench.scale.rounds):
        for row in rows:
            names = _NAMES if number % 2 else _NAMES[::-1]
            entries = {row.measure(bench, name) for name in names}
            assert len(entries) == 1, "not as many entries as by hand"
        print(f"measured: loads, round {number + 1}", file=sys.stderr)
    times, peaks = ([f"{name}, {unit}" for name in _NAMES] for unit in ("ms", "peak MB"))
    header = ["loaded", "garbage collector", *times, "times as long", *peaks]
    return table(header, [row.cells() for row in rows], text_columns=2)
