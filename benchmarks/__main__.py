"""The command: ``python -m benchmarks [growth] [--quick] [--write]``."""

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks import page
from benchmarks.crew import ROOT
from benchmarks.entries import DataSet
from benchmarks.growth import GrowthScale, measure_growth
from benchmarks.machine import facts, sync_seconds
from benchmarks.results import comparison
from benchmarks.rows import chosen, measure
from benchmarks.suite import Bench, Scale


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "what",
        nargs="?",
        choices=("comparison", "growth"),
        default="comparison",
        help="stores beside each other (the default), or a small store beside a large one",
    )
    pace = parser.add_mutually_exclusive_group()
    pace.add_argument("--quick", action="store_true", help="less of everything, in two minutes")
    pace.add_argument("--smoke", action="store_true", help="next to nothing, to see that it works")
    parser.add_argument("--size", type=int, help="entries in a store (growth: the large one)")
    parser.add_argument("--months", type=int, default=3, help="months that they are spread over")
    parser.add_argument("--rounds", type=int, help="how often everything is measured")
    parser.add_argument("--only", nargs="+", default=[], help="words in the titles of the rows")
    parser.add_argument("--folder", type=Path, help="on the disk to measure; build/ unless given")
    parser.add_argument("--write", action="store_true", help="put the result into the docs")
    return parser.parse_args(arguments)


def _scale(options: argparse.Namespace) -> Scale:
    pace = (100_000, 3, 4_000, 1.0)
    if options.quick:
        pace = (10_000, 3, 1_000, 0.3)
    if options.smoke:
        pace = (300, 1, 20, 0.05)
    size, rounds, operations, seconds = pace
    data = DataSet(options.size or size, options.months)
    return Scale(data, options.rounds or rounds, operations, seconds)


def _growth_scale(options: argparse.Namespace) -> GrowthScale:
    pace = (1_000_000, 10, 24)
    if options.quick:
        pace = (100_000, 6, 16)
    if options.smoke:
        pace = (500, 1, 2)
    size, blocks, operations = pace
    small = 100 if options.smoke else 1_000
    return GrowthScale((small, options.size or size), options.rounds or blocks, operations)


def _compare(folder: Path, scale: Scale, words: Sequence[str]) -> str:
    before = sync_seconds(folder)
    bench = Bench(folder, scale)
    bench.build()
    measured = comparison(measure(bench, chosen(words)))
    data = scale.data
    setting = (
        f"{data.size:,} entries over {data.months} months, {scale.rounds} round(s); "
        "median (smallest to largest)"
    )
    return f"{measured}\n\n{setting}. Measured with {facts(before, sync_seconds(folder))}"


def _grow(folder: Path, scale: GrowthScale) -> str:
    before = sync_seconds(folder)
    measured = measure_growth(folder, scale)
    setting = f"{scale.blocks} blocks of {scale.operations} at each size, in alternation"
    note = (
        "the median of all blocks' medians (smallest to largest), and of the ratios of neighbours"
    )
    return f"{measured}\n\n{setting}; {note}. Measured with {facts(before, sync_seconds(folder))}"


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print the table, and put it into the docs when asked to."""
    options = _options(arguments)
    parent = options.folder or ROOT / "build"
    parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="bench-", dir=parent.resolve()) as made:
        if options.what == "growth":
            text = _grow(Path(made), _growth_scale(options))
        else:
            text = _compare(Path(made), _scale(options), options.only)
    print(text)
    if options.write:
        page.write(options.what, text)


if __name__ == "__main__":
    main()
