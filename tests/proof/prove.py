"""The whole proof: `make prove`. Prints what was tried, and what was found.

Every unit of the simulated disk at full size, every planted bug, a short script on the real kernel,
and the SQLite store, whose system calls are traced and replayed on the simulated medium. The exit
code is 1 when a promise was broken, a planted bug was not caught, or less was tried than claimed.
"""

import argparse
import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path

from kernel import prove_on_the_real_kernel
from planted import BUGS
from sqlite_power import in_memory, prove_sqlite
from units import SCALES, Unit, Way, units

from feedback_store.testing.simulation import Tally

CLAIMED_STATES = 100_000
"""Crash states that a whole proof examines at least."""

_HEAD = (
    "way",
    "workloads",
    "runs",
    "points",
    "states",
    "in recovery",
    "faults",
    "kills",
    "violations",
)
_WIDTH = max(map(len, Way))
_KERNEL_BUDGET_S = 90.0
_SQLITE_BUDGET_S = 180.0


def _run(unit: Unit) -> tuple[Unit, Tally]:
    return unit, unit.run()


def _find(number: int) -> tuple[int, Tally]:
    bug = BUGS[number]
    with bug.plant():
        return number, bug.find(bug.opener)


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return a Markdown table; its columns are as wide as they need to be."""
    text = [list(head), *([str(cell) for cell in row] for row in rows)]
    widths = [max(len(row[i]) for row in text) for i in range(len(head))]
    text.insert(1, ["-" * width for width in widths])
    return "\n".join(
        "| " + " | ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)) + " |"
        for row in text
    )


def simulated(pool: ProcessPoolExecutor, profile: str) -> tuple[bool, int]:
    """Run every unit; print the table; say whether all is well, and how many states there were.

    A way is printed when the last of its units has ended.
    """
    todo = list(units(SCALES[profile]))
    workloads = Counter(unit.way for unit in todo)
    left = Counter(workloads)
    found = {way: Tally() for way in workloads}
    whole = Tally()
    print(_row(_HEAD), _row(["-" * len(name) for name in _HEAD]), sep="\n", flush=True)
    for future in as_completed([pool.submit(_run, unit) for unit in todo]):
        unit, tally = future.result()
        found[unit.way].add(tally)
        whole.add(tally)
        left[unit.way] -= 1
        for violation in tally.violations:
            print(f"\n{unit} breaks a promise:\n{violation}\n", flush=True)
        if not left[unit.way]:
            print(_row((unit.way, workloads[unit.way], *_numbers(found[unit.way]))), flush=True)
    print(_row(("all", len(todo), *_numbers(whole))), flush=True)
    return not whole.broken, whole.states


def _row(cells: Sequence[object]) -> str:
    """Return a row of the table that is printed bit by bit."""
    texts = zip((str(cell) for cell in cells), _HEAD, strict=True)
    return "| " + " | ".join(t.ljust(_WIDTH if h == "way" else len(h)) for t, h in texts) + " |"


def _numbers(tally: Tally) -> tuple[int, ...]:
    tried = (tally.runs, tally.points, tally.states, tally.recoveries)
    return (*tried, tally.faults, tally.stops, tally.broken)


def planted(pool: ProcessPoolExecutor) -> bool:
    """Look for every planted bug; print in how many states each was seen."""
    tallies = dict(pool.map(_find, range(len(BUGS))))
    rows = [(BUGS[i].name, tallies[i].broken, tallies[i].states) for i in sorted(tallies)]
    print("\n" + table(("planted bug", "broken states", "of"), rows), flush=True)
    missed = [name for name, broken, _ in rows if not broken]
    if missed:
        print(f"not caught: {', '.join(missed)}")
    return not missed


def real() -> bool:
    """Run the script on the real kernel; print what was tried."""
    with tempfile.TemporaryDirectory() as scratch:
        tried = prove_on_the_real_kernel(Path(scratch), _KERNEL_BUDGET_S)
    head = ("real kernel", "steps", "calls", "kills", "faults", "states", "violations")
    row = (tried.skipped or "done", *tried[:5], len(tried.violations))
    print("\n" + table(head, [row]))
    print(*tried.violations, sep="\n")
    return not tried.violations


def sqlite() -> bool:
    """Cut the power at every call of the SQLite store, as it was traced; print what was tried."""
    with in_memory() as scratch:
        tried = prove_sqlite(scratch, _SQLITE_BUDGET_S)
    head = ("SQLite", "steps", "calls", "points", "states", "in recovery", "violations")
    row = (tried.skipped or "done", tried.steps, tried.calls, tried.moments, tried.states)
    print("\n" + table(head, [(*row, tried.recoveries, len(tried.violations))]))
    print(*tried.violations, sep="\n")
    return not tried.violations


def main() -> int:
    """Prove; return the exit code."""
    parser = argparse.ArgumentParser(description="Prove that nothing is lost.")
    parser.add_argument("--profile", choices=SCALES, default="deep", help="how much is tried")
    profile = parser.parse_args().profile
    began = time.monotonic()
    with ProcessPoolExecutor(os.cpu_count() or 1) as pool:
        well, states = simulated(pool, profile)
        well &= planted(pool)
    well &= real()
    well &= sqlite()
    print(f"\n{states} crash states in {time.monotonic() - began:.0f} s")
    if profile == "deep" and states < CLAIMED_STATES:
        print(f"that is fewer than the {CLAIMED_STATES} that are claimed")
        well = False
    print("no promise was broken" if well else "FAILED")
    return 0 if well else 1


if __name__ == "__main__":
    sys.exit(main())
