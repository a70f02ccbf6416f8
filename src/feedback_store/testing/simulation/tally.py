"""What was tried, and what was found."""

import attrs

from feedback_store.testing.simulation.scheduling import Schedule
from feedback_store.testing.simulation.steps import Workload


@attrs.frozen
class Violation:
    """A promise that was broken.

    Attributes:
        workload: what was run.
        schedule: when the processes took turns.
        problem: what is wrong, in a sentence.
        script: all that was done, to be read: the calls, the power cut, and what was then seen.
    """

    workload: Workload
    schedule: Schedule
    problem: str
    script: tuple[str, ...]

    def __str__(self) -> str:
        """Tell all of it."""
        return "\n".join(self.script)


_NUMBERS = ("runs", "points", "reached", "states", "recoveries", "faults", "stops", "broken")


@attrs.define
class Tally:
    """Numbers, which add up.

    Attributes:
        runs: runs of workloads.
        points: places where the power was cut.
        reached: crash states that were made.
        states: crash states that differed from all before, and were examined.
        recoveries: those of them that were left by a power cut during a recovery.
        faults: runs in which a call failed.
        stops: runs in which a process was stopped.
        broken: how many states, or reads, broke a promise.
        violations: the first of those in each exploration.
    """

    runs: int = 0
    points: int = 0
    reached: int = 0
    states: int = 0
    recoveries: int = 0
    faults: int = 0
    stops: int = 0
    broken: int = 0
    violations: list[Violation] = attrs.field(factory=list[Violation])

    def add(self, other: "Tally") -> None:
        """Add the numbers of another."""
        for field in _NUMBERS:
            setattr(self, field, getattr(self, field) + getattr(other, field))
        self.violations += other.violations
