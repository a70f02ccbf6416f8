"""The units of the proof: which workload is explored how, and how hard in each profile."""

import contextlib
import errno
import random
from collections.abc import Callable, Iterator, Sequence
from enum import StrEnum

import attrs
from month_files import BESIDE, MONTH_FILES, clock, open_beside, without_waiting
from subject import small_indexes, subject

from feedback_store.testing.simulation import (
    PAIRS,
    SMALL,
    Add,
    Effort,
    Explorer,
    Fault,
    Reopen,
    Subject,
    Tally,
    Violation,
    Workload,
    an_entry,
    explore,
    explore_faults,
    explore_stops,
    fault_kinds,
    long_workload,
    shrink,
)


class Way(StrEnum):
    """How a workload is explored; the value is what the table says."""

    CUTS = "power cuts at every call"
    TURNS = "two processes, every switch"
    MORE_TURNS = "two processes, three switches by chance"
    STOPS = "one process killed, another goes on"
    FAULTS = "every call fails, in each way"
    RETRY = "failed sync, retry elsewhere"
    LONG = "long random workloads"
    BESIDE = "beside an older writer"


@attrs.frozen
class Scale:
    """How hard a profile tries.

    Attributes:
        limit: crash states at a point, about.
        every_cut: whether writes are torn at every byte.
        second: the share of the calls of a recovery at which the power is cut again.
        turns: random schedules for each pair.
        seeds: long random workloads.
        steps: steps of each of those.
        whole: whether every pair and every fault is tried, and all models, and a store without
            an index beside one that has much of it.
    """

    limit: int
    every_cut: bool
    second: float
    turns: int
    seeds: int
    steps: int
    whole: bool


SCALES = {
    "fast": Scale(20, every_cut=False, second=0.02, turns=2, seeds=2, steps=20, whole=False),
    "ci": Scale(60, every_cut=False, second=0.05, turns=10, seeds=4, steps=40, whole=False),
    "deep": Scale(160, every_cut=True, second=0.01, turns=10, seeds=16, steps=40, whole=True),
}
"""By the name of the profile; ``deep`` is what `make prove` does."""

_FAILING = ("append", "rename", "sync", "sync_folder")
_SOME_PAIRS = {"two add the same", "update, compact", "add, erase"}

_RETRIED = Workload(
    "retry elsewhere",
    ((Add.of(an_entry(5)),), (Reopen(), Add.of(an_entry(5)))),
    (Add.of(an_entry(1)),),
)
_BY_NAME = {w.name: w for w in (*SMALL, *PAIRS, *MONTH_FILES, *BESIDE, _RETRIED)}


@attrs.frozen
class Unit:
    """One exploration; it can be sent to another process.

    Attributes:
        way: how.
        workload: which one, by name.
        model: the filesystem.
        index: whether two lines are enough for a run of the index.
        scale: how hard.
        seed: what chance begins with; for a long workload, what makes it.
    """

    way: Way
    workload: str
    model: str
    index: bool
    scale: Scale
    seed: int = 0

    def __str__(self) -> str:
        """Tell of it."""
        index = ", small index" if self.index else ""
        return f"{self.workload} ({self.way}; {self.model}{index}; seed {self.seed})"

    def run(self) -> Tally:
        """Explore; a violation is shrunk."""
        with contextlib.ExitStack() as stack:
            if self.index:
                stack.enter_context(small_indexes())
            if self.way is Way.BESIDE:
                stack.enter_context(without_waiting())
            workload = self._workload()
            tally = self._explored(workload)
            if tally.violations:
                smallest = shrink(workload, self._first_violation)
                tally.violations = [smallest or tally.violations[0]]
            return tally

    def _workload(self) -> Workload:
        if self.way is Way.LONG:
            return long_workload(self.seed, self.scale.steps)
        return _BY_NAME[self.workload]

    def _first_violation(self, workload: Workload) -> Violation | None:
        violations = self._explored(workload).violations
        return violations[0] if violations else None

    def _explored(self, workload: Workload) -> Tally:
        scale, model = self.scale, self.model
        full = Effort(model, scale.limit, scale.every_cut, scale.second, reads=True, seed=self.seed)
        some = Effort(model, scale.limit // 10, seed=self.seed)
        few = attrs.evolve(some, limit=max(4, scale.limit // 40))
        once = attrs.evolve(few, tries=1)
        faults = fault_kinds if scale.whole else _some_faults
        beside = attrs.evolve(subject(open_beside), clock=clock)
        ways: dict[Way, Callable[[], Tally]] = {
            Way.CUTS: lambda: explore(subject(), workload, full),
            Way.TURNS: lambda: explore(subject(), workload, few),
            Way.MORE_TURNS: lambda: self._more_turns(subject(), workload, few),
            Way.STOPS: lambda: explore_stops(subject(), workload, few),
            Way.FAULTS: lambda: explore_faults(subject(), workload, few, faults),
            Way.RETRY: lambda: explore_faults(subject(), workload, once, _failing_syncs),
            Way.LONG: lambda: explore(subject(), workload, some),
            Way.BESIDE: lambda: explore(beside, workload, few),
        }
        return ways[self.way]()

    def _more_turns(self, what: Subject, workload: Workload, effort: Effort) -> Tally:
        rng = random.Random(self.seed)
        explorer = Explorer(what, workload, effort)
        calls = list(explorer.run().calls.values())
        for _ in range(self.scale.turns):
            explorer.run(schedule=tuple(1 + rng.randrange(max(calls)) for _ in range(3)))
        return explorer.tally


def _failing_syncs() -> Sequence[Fault]:
    return [Fault("sync", 1, errno.EIO, drops_pages=drops) for drops in (False, True)]


def _some_faults() -> list[Fault]:
    return [kind for kind in fault_kinds(_FAILING) if not kind.lasting and kind.taken != 1]


def units(scale: Scale) -> Iterator[Unit]:
    """Yield all units, those that take long first, so that the cores end together."""

    def make(way: Way, workload: Workload, model: str = "posix", *, index: bool = True) -> Unit:
        return Unit(way, workload.name, model, index, scale)

    one = (*SMALL, *MONTH_FILES)
    pairs = [w for w in PAIRS if scale.whole or w.name in _SOME_PAIRS]
    yield from (make(Way.FAULTS, w) for w in one if scale.whole or w in SMALL)
    for seed in range(scale.seeds):
        yield Unit(Way.LONG, f"random {seed}", "posix", index=seed % 2 == 0, scale=scale, seed=seed)
    yield from (make(Way.CUTS, w) for w in one)
    yield from (make(Way.TURNS, w) for w in pairs)
    yield from (make(Way.MORE_TURNS, w) for w in PAIRS)
    yield from (make(Way.STOPS, w) for w in PAIRS)
    yield from (make(Way.BESIDE, w, "ext4") for w in BESIDE)
    yield make(Way.RETRY, _RETRIED)
    if scale.whole:
        yield from (make(Way.CUTS, w, index=False) for w in one)
        yield from (make(Way.STOPS, w, index=False) for w in PAIRS)
        for model in ("ext4", "ordered"):
            yield from (make(Way.CUTS, w, model) for w in one)
        yield from (make(Way.BESIDE, w, "ordered") for w in BESIDE)
