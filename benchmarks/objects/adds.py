"""What adding costs: requests for a thousand adds, and how many a second."""

import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from statistics import median

from benchmarks.objects.bench import ObjectBench
from benchmarks.results import PER_SECOND, Measurement, table

_PER = 1_000
_FETCHING = ("GET", "HEAD")


def measure_adds(bench: ObjectBench) -> str:
    """Return the table of requests for adds, at some numbers of callers."""
    most = max(bench.scale.adds)
    kinds = [(callers, "threads") for callers in bench.scale.adds] + [(most, "tasks")]
    header = ["callers", "PUT", "at most", "LIST", "GET, HEAD", "others"]
    rates = ["adds, /s", "a PUT for each by hand, /s", "adds : by hand"]
    rows = [_row(bench, kind, callers) for callers, kind in kinds]
    return table([*header, *rates], rows, text_columns=1)


def _row(bench: ObjectBench, kind: str, callers: int) -> list[str]:
    added = callers * bench.scale.adds[callers]
    rates: dict[str, list[float]] = {kind: [], "by hand": []}
    spent: list[Mapping[str, float]] = []
    for _ in range(bench.scale.rounds):
        for name, values in rates.items():
            values.append(bench.adds_a_second(name, callers))
        requests = bench.spent_on_adds(kind, callers).requests
        spent.append(_by_column(requests, _PER / added))
    print(f"measured: adds by {callers} {kind}", file=sys.stderr)
    counts = {name: _shown([each[name] for each in spent]) for name in spent[0]}
    measured = Measurement(kind, PER_SECOND, rates)
    return [
        f"{callers} {kind if callers > 1 else kind.removesuffix('s')}",
        counts["PUT"],
        f"{_PER / callers:,.0f}",
        *(counts[name] for name in ("LIST", "GET, HEAD", "others")),
        *map(measured.shown, rates),
        measured.ratio(kind, "by hand"),
    ]


def _by_column(requests: Mapping[str, int], share: float) -> dict[str, float]:
    """Return requests as the columns have them, each times a share."""
    counts = Counter(requests)
    columns = {"PUT": counts.pop("PUT", 0), "LIST": counts.pop("LIST", 0)}
    columns["GET, HEAD"] = sum(counts.pop(kind, 0) for kind in _FETCHING)
    columns["others"] = counts.total()
    return {name: count * share for name, count in columns.items()}


def _shown(counts: Sequence[float]) -> str:
    """Return the median, and how far the rounds went where they differ."""
    middle, least, most = (f"{count:,.0f}" for count in (median(counts), min(counts), max(counts)))
    return middle if least == most else f"{middle} ({least} to {most})"
