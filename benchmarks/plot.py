"""The picture of how operations grow with the store, as an SVG for the docs."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median

from benchmarks.results import MILLISECONDS, Measurement
from benchmarks.subjects import TITLES

PANELS = (
    "get, warm",
    "page and statistics after a durable add",
    "filtered page and total, warm",
    "statistics, warm",
    "filtered page and total, cold",
    "load all",
)
_MARKERS = "os^v"


def draw(measured: Mapping[int, Sequence[Measurement]], file: Path) -> None:
    """Draw the time of an operation over the size of the store, both in powers of ten."""
    import matplotlib as mpl  # noqa: PLC0415  # slow, and wanted by one command alone
    from matplotlib.figure import Figure  # noqa: PLC0415  # as above

    mpl.rcParams["svg.fonttype"] = "none"
    mpl.rcParams["svg.hashsalt"] = "the same picture for the same figures"
    figure = Figure(figsize=(9, 6), layout="constrained")
    axes = figure.subplots(2, 3, sharex=True)
    for panel, title in zip(axes.flat, PANELS, strict=True):
        of_title = [next(m for m in several if m.title == title) for several in measured.values()]
        for name, marker in zip(of_title[0].values, _MARKERS, strict=False):
            times = [_milliseconds(m, name) for m in of_title]
            panel.plot(list(measured), times, marker=marker, label=TITLES[name])
        panel.set(title=title, xscale="log", yscale="log", xlabel="entries", ylabel="ms")
        panel.title.set_fontsize(9)
        panel.grid(visible=True, alpha=0.3)
        panel.legend(fontsize=7)
    figure.savefig(file, format="svg", metadata={"Date": None})


def _milliseconds(measurement: Measurement, name: str) -> float:
    value = median(measurement.values[name])
    return MILLISECONDS.scale * (1 / value if measurement.unit.more_is_better else value)
