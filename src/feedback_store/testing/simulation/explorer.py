"""The crash explorer: runs a workload, cuts the power at every call, and looks at what is left.

At every call that changes something, and whenever a call of the store has returned, all states
that a power cut may leave are made, and each that was not seen before is examined: a store is
opened on it, must show what is owed and nothing else, must go on working, and a second power cut
during that is as safe as the first.
"""

import random
from collections.abc import Callable, Sequence
from functools import partial

from feedback_store.errors import FeedbackStoreError
from feedback_store.store import Store
from feedback_store.testing.simulation.examination import Examination, show
from feedback_store.testing.simulation.faults import Fault, FaultPlan, ProcessStopped
from feedback_store.testing.simulation.image import Image
from feedback_store.testing.simulation.ledger import Ledger
from feedback_store.testing.simulation.machine import Call
from feedback_store.testing.simulation.scheduling import Schedule, Turns
from feedback_store.testing.simulation.steps import Actor, Step, Workload, process_names
from feedback_store.testing.simulation.subject import Effort, Subject
from feedback_store.testing.simulation.tally import Tally, Violation

_ENOUGH = 1000
"""Broken states after which nothing more is learnt."""


class Explorer:
    """Explores the runs of one workload; what it has seen once it does not examine again.

    Attributes:
        tally: what was tried, and what was found.
    """

    def __init__(self, subject: Subject, workload: Workload, effort: Effort) -> None:
        self.tally = Tally()
        self._subject = subject
        self._workload = workload
        self._effort = effort
        self._rng = random.Random(effort.seed)
        self._seen: set[tuple[int, int]] = set()
        self._image, self._owed = self._prepared()

    def _prepared(self) -> tuple[Image, Ledger]:
        """Return what the setup leaves on the disk, all of it durable."""
        disk = self._subject.disk(self._effort.model)
        actor = Actor(disk, self._subject.opener, Ledger())
        for step in self._workload.setup:
            operation = actor.ledger.begin()
            step.run(actor, operation)
            actor.ledger.end(operation)
        actor.store.close()
        return disk.image(), actor.ledger.after_crash()

    def run(
        self, *, schedule: Schedule = (), fault: Fault | None = None, stop: int | None = None
    ) -> "Run":
        """Run the workload once.

        Args:
            schedule: when another process takes its turn.
            fault: a call that fails.
            stop: the changing call of the first process at which it is stopped.
        """
        run = Run(self, self._image, self._owed.after_crash(), schedule, fault, stop)
        run.go()
        return run

    def look(self, run: "Run") -> None:
        """Examine what a power cut may leave at this point of a run."""
        if self.tally.broken >= _ENOUGH:
            return
        self.tally.points += 1
        effort, owed = self._effort, run.ledger.key()
        machine = run.disk.machine
        for words, image in machine.crash_states(
            effort.limit, self._rng, every_cut=effort.every_cut
        ):
            self.tally.reached += 1
            known = (image.key(), owed)
            if known in self._seen:
                continue
            self._seen.add(known)
            self.tally.states += 1
            examination = Examination(self._subject, effort, run.ledger, self._rng)
            problems = examination.of(image, run.unfinished())
            self.tally.add(examination.tally)
            if problems:
                self.found(run, [f"power cut: {words}", *problems])

    def found(self, run: "Run", lines: Sequence[str]) -> None:
        """Note a violation; the first is kept with all that led to it."""
        self.tally.broken += 1
        if not self.tally.violations:
            script = (*run.conditions(), *run.script(), *lines)
            violation = Violation(self._workload, run.schedule, lines[-1], script)
            self.tally.violations.append(violation)


class Run:
    """One run of a workload on one simulated disk.

    Attributes:
        disk: the disk.
        ledger: what is owed.
        schedule: when another process takes its turn.
    """

    def __init__(  # it is made in one place
        self,
        explorer: Explorer,
        image: Image,
        owed: Ledger,
        schedule: Schedule,
        fault: Fault | None,
        stop: int | None,
    ) -> None:
        self._explorer = explorer
        self.ledger = owed
        self.schedule = schedule
        self._fault = fault
        self._stop = stop
        effort = explorer._effort  # noqa: SLF001  # they are one thing
        subject = explorer._subject  # noqa: SLF001  # as above
        self.disk = subject.disk(effort.model, image)
        self._workload = explorer._workload  # noqa: SLF001  # as above
        names = list(process_names())[: len(self._workload.processes)]
        self._actors = [Actor(self.disk.process(n), subject.opener, self.ledger) for n in names]
        self._reader = subject.opener(self.disk.process("reader")) if effort.reads else None
        self._running: dict[str, Step] = {}
        self._looked = (-1, -1)
        self._struck = False
        self.changes = dict.fromkeys(names, 0)
        self.calls = dict.fromkeys(names, 0)

    @property
    def struck(self) -> bool:
        """Whether the fault, or the stop, has come."""
        if self._stop is not None:
            return self.changes["a"] >= self._stop
        return self._struck

    def go(self) -> None:
        """Run all of it, looking at every point."""
        machine = self.disk.machine
        for actor in self._actors:  # each knows what is there before the first call
            show(actor.store)
        if self._fault is not None:
            self.disk.fail(self._fault)
        machine.trace.clear()
        self.disk.watch(self._watch)
        works = [
            (actor.disk.name, partial(self._act, actor, steps))
            for actor, steps in zip(self._actors, self._workload.processes, strict=True)
        ]
        if len(works) == 1:
            works[0][1]()
        elif self._stop is not None:  # one after the other: the second finds the first one dead
            for _, work in works:
                work()
        else:
            turns = Turns(self.schedule)
            machine.scheduler, machine.wait_for_lock = turns.before_call, turns.wait_for_lock
            machine.lock_freed = turns.lock_freed
            turns.run(works)
        machine.watchers.clear()
        machine.scheduler = None
        self._finish()

    def _finish(self) -> None:
        """See that what is owed is shown by a store opened now, and by those that are open."""
        self._explorer.tally.runs += 1
        self._look()
        self._struck = self.disk.machine.faults.struck
        self.disk.machine.faults = FaultPlan()
        subject = self._explorer._subject  # noqa: SLF001  # as above
        self._check(lambda: subject.opener(self.disk.process("newcomer")), "at the end")
        for actor in self._actors[self._stop is not None :]:
            self._check(partial(getattr, actor, "store"), "at the end")
            actor.store.close()

    def _check(self, get: Callable[[], Store], when: str, *, settled: bool = True) -> None:
        try:
            problems = self.ledger.problems(show(get()), settled=settled)
        except Exception as error:  # noqa: BLE001  # whatever it is, it is what was looked for
            problems = [f"it cannot be read: {error!r}"]
        if problems:
            self._explorer.found(self, [f"read {when}", *problems])

    # -------------------------------------------------------------------------- each step

    def _act(self, actor: Actor, steps: Sequence[Step]) -> None:
        name = actor.disk.name
        try:
            for step in steps:
                self._running[name] = step
                if self._try(actor, step):
                    del self._running[name]
                self._look()
        except ProcessStopped:
            self.disk.machine.trace.append(f"{name}: is killed")

    def _try(self, actor: Actor, step: Step) -> bool:
        """Make a step; make it again when it fails, as a client does; say whether it succeeded."""
        trace = self.disk.machine.trace
        for _ in range(self._explorer._effort.tries):  # noqa: SLF001  # as above
            operation = self.ledger.begin()
            trace.append(f"{actor.disk.name}: {step}")
            try:
                outcome = step.run(actor, operation)
            except FeedbackStoreError as error:
                trace.append(f"{actor.disk.name}: -> {type(error).__name__}")
                self._look()
            except Exception as error:  # noqa: BLE001  # whatever it is, it is what was looked for
                self._explorer.found(self, [f"the store raised {error!r}"])
                return True
            else:
                trace.append(f"{actor.disk.name}: -> {outcome}")
                return True
            finally:
                self.ledger.end(operation)
        return False

    def unfinished(self) -> list[Step]:
        """Return the steps that have not been acknowledged."""
        return list(self._running.values())

    # -------------------------------------------------------------------------- each call

    def _watch(self, call: Call) -> None:
        self.calls[call.process] += 1
        if self._reader is not None:
            when = f"by another process before {call.name} of {call.path}"
            self._check(partial(getattr, self, "_reader"), when, settled=False)
        if not call.changes:
            return
        self._look()
        self.changes[call.process] += 1
        if self._stop is not None and call.process == "a" and self.changes["a"] == self._stop:
            self.disk.process("a").stop()

    def _look(self) -> None:
        now = (len(self.disk.machine.trace), self.ledger.version)
        if now != self._looked:
            self._looked = now
            watching, self.disk.machine.watching = self.disk.machine.watching, True
            try:
                self._explorer.look(self)
            finally:
                self.disk.machine.watching = watching

    # ------------------------------------------------------------------------------ words

    def conditions(self) -> list[str]:
        """Return what was special about this run."""
        lines = [f"before: {step}" for step in self._workload.setup]
        if self._fault is not None:
            lines.append(f"fault: {self._fault}")
        return lines

    def script(self) -> list[str]:
        """Return what was done so far, a line each."""
        return list(self.disk.machine.trace)
