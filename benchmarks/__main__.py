"""The command: ``python -m benchmarks [growth | objects | postgres | sizes] [--write]``."""

import argparse
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import attrs

from benchmarks import page
from benchmarks.crew import ROOT
from benchmarks.entries import DataSet
from benchmarks.growth import GrowthScale, measure_growth
from benchmarks.machine import facts, sync_seconds
from benchmarks.plot import draw
from benchmarks.results import Measurement, by_size, choice, comparison, repeated
from benchmarks.rows import DECIDING, asked_again, chosen, measure, sized
from benchmarks.subjects import CACHED, OURS
from benchmarks.suite import Bench, Scale

if TYPE_CHECKING:
    from benchmarks.objects.bench import ObjectScale
    from benchmarks.postgres.sections import PostgresScale


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "what",
        nargs="?",
        choices=("comparison", "growth", "objects", "postgres", "sizes"),
        default="comparison",
        help="stores beside each other (the default), a small store beside a large one, what the "
        "object store asks of a bucket, PostgreSQL beside SQL by hand, or ours at three sizes, up "
        "to a million entries",
    )
    pace = parser.add_mutually_exclusive_group()
    pace.add_argument("--quick", action="store_true", help="less of everything, in two minutes")
    pace.add_argument("--smoke", action="store_true", help="next to nothing, to see that it works")
    parser.add_argument("--size", type=int, help="entries in a store (growth: the large one)")
    parser.add_argument("--months", type=int, help="months that they are spread over")
    parser.add_argument("--rounds", type=int, help="how often everything is measured")
    parser.add_argument("--only", nargs="+", default=[], help="words in the titles of rows")
    parser.add_argument("--folder", type=Path, help="on the disk to measure; build/ unless given")
    parser.add_argument("--write", action="store_true", help="put the result into the docs")
    options = parser.parse_args(arguments)
    if options.write and options.only:
        parser.error("the docs take all rows: --write goes without --only")
    return options


def _scale(options: argparse.Namespace) -> Scale:
    large = options.what == "sizes"
    pace = (1_000_000 if large else 100_000, 3, 4_000, 1.0)
    if options.quick:
        pace = (100_000 if large else 10_000, 3, 1_000, 0.3)
    if options.smoke:
        pace = (300, 1, 20, 0.05)
    size, rounds, operations, seconds = pace
    data = DataSet(options.size or size, options.months or (36 if large else 3))
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


def _object_scale(options: argparse.Namespace) -> "ObjectScale":
    from benchmarks.objects.bench import ObjectScale  # noqa: PLC0415  # for one command alone

    size, rounds, adds, crowd = 100_000, 3, {1: 100, 10: 50, 100: 20}, 100
    if options.quick:
        size, rounds, adds, crowd = 3_000, 2, {1: 20, 10: 10, 100: 5}, 30
    if options.smoke:
        size, rounds, adds, crowd = 300, 1, {10: 1}, 2
    data = DataSet(options.size or size, options.months or 3)
    return ObjectScale(data, options.rounds or rounds, adds, crowd)


def _postgres_scale(options: argparse.Namespace) -> "PostgresScale":
    from benchmarks.postgres.sections import PostgresScale  # noqa: PLC0415  # for one command alone

    size, rounds, adds, asks = 100_000, 3, 500, 15
    if options.quick:
        size, rounds, adds, asks = 10_000, 2, 200, 10
    if options.smoke:
        size, rounds, adds, asks = 300, 1, 3, 1
    data = DataSet(options.size or size, options.months or 3)
    return PostgresScale(data, options.rounds or rounds, adds, asks)


def _compare(folder: Path, scale: Scale, words: Sequence[str]) -> dict[str, str]:
    bench, before = Bench(folder, scale), sync_seconds(folder)
    bench.build()
    bench.build(CACHED, written=False)
    measured = measure(bench, chosen(words))
    again = measure(bench, asked_again(words))
    deciding = [m for m in measured if m.title in DECIDING]
    told = facts(before, sync_seconds(folder))
    return {
        "comparison": f"{comparison(measured)}\n\n{_note(scale)}. Measured with {told}",
        "again": f"{repeated(again)}\n\n{_note(scale)}, in the same run",
        "choice": f"{choice(deciding)}\n\n{_setting(scale)}; medians. Measured with {told}",
    }


def _size_up(folder: Path, scale: Scale, *, write: bool) -> dict[str, str]:
    """Measure ours at a hundredth, a tenth and the whole of a size; draw it where it is wanted."""
    before, largest = sync_seconds(folder), scale.data
    smaller = [DataSet(largest.size // k, min(3, largest.months)) for k in (100, 10)]
    measured: dict[int, list[Measurement]] = {}
    for data in (*smaller, largest):
        bench = Bench(folder / str(data.size), attrs.evolve(scale, data=data))
        bench.build((*OURS, *CACHED))
        measured[data.size] = measure(bench, sized())
        shutil.rmtree(folder / str(data.size))
    if write:
        draw(measured, page.PICTURE)
    told = facts(before, sync_seconds(folder))
    note = f"{scale.rounds} round(s); median (smallest to largest)"
    spread = f"Spread over 3 months, the largest over {largest.months}"
    return {"sizes": f"{by_size(measured)}\n\n{spread}; {note}. Measured with {told}"}


def _setting(scale: Scale) -> str:
    data = scale.data
    return f"{data.size:,} entries over {data.months} months, {scale.rounds} round(s)"


def _note(scale: Scale) -> str:
    return f"{_setting(scale)}; median (smallest to largest)"


def _grow(folder: Path, scale: GrowthScale) -> dict[str, str]:
    before = sync_seconds(folder)
    measured = measure_growth(folder, scale)
    setting = f"{scale.blocks} blocks of {scale.operations} at each size, in alternation"
    note = (
        "the median of all blocks' medians (smallest to largest), and of the ratios of neighbours"
    )
    told = facts(before, sync_seconds(folder))
    return {"growth": f"{measured}\n\n{setting}; {note}. Measured with {told}"}


def _ask_objects(scale: "ObjectScale", words: Sequence[str]) -> dict[str, str]:
    from benchmarks.objects.sections import measure_objects  # noqa: PLC0415  # as above

    return {"objects": measure_objects(scale, words)}


def _ask_postgres(scale: "PostgresScale", words: Sequence[str]) -> dict[str, str]:
    from benchmarks.postgres.sections import measure_postgres  # noqa: PLC0415  # as above

    return {"postgres": measure_postgres(scale, words)}


def _measured(options: argparse.Namespace, folder: Path) -> dict[str, str]:
    """Return the sections of the docs that were measured, by their names."""
    if options.what == "growth":
        return _grow(folder, _growth_scale(options))
    if options.what == "objects":
        return _ask_objects(_object_scale(options), options.only)
    if options.what == "postgres":
        return _ask_postgres(_postgres_scale(options), options.only)
    if options.what == "sizes":
        return _size_up(folder, _scale(options), write=options.write)
    return _compare(folder, _scale(options), options.only)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print the tables, and put them into the docs when asked to."""
    options = _options(arguments)
    parent = options.folder or ROOT / "build"
    parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="bench-", dir=parent.resolve()) as made:
        sections = _measured(options, Path(made))
    print("\n\n".join(sections.values()))
    if options.write:
        for section, text in sections.items():
            page.write(section, text)


if __name__ == "__main__":
    main()
