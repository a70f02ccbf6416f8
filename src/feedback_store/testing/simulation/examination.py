"""What is asked of a store that is opened on what a power cut has left."""

import random
from collections.abc import Sequence
from datetime import UTC, datetime

from feedback_store.entry import FeedbackEntry
from feedback_store.query import Query
from feedback_store.store import Store, SupportsGet
from feedback_store.testing.simulation.image import Image
from feedback_store.testing.simulation.ledger import Ledger
from feedback_store.testing.simulation.machine import Call
from feedback_store.testing.simulation.steps import Actor, Add, Compact, Step
from feedback_store.testing.simulation.subject import Effort, Subject
from feedback_store.testing.simulation.tally import Tally

_FEW = 30
_AT_ONCE = 2
"""States that are examined where a recovery is cut off, out of some that are made."""


def show(store: Store) -> dict[str, FeedbackEntry]:
    """Return all entries of a store, by id.

    Raises:
        AssertionError: an id comes twice, or `get` gives something else than `scan`.
    """
    found: dict[str, FeedbackEntry] = {}
    for entry in store.scan(Query()):
        assert entry.id not in found, f"{entry.id} is there twice"
        found[entry.id] = entry
    if isinstance(store, SupportsGet):
        for id, entry in found.items():
            assert store.get(id) == entry, f"get gives another {id} than scan"
    return found


class Examination:
    """Examines crash states.

    Attributes:
        tally: what was tried in it: recoveries that were cut off as well.
    """

    def __init__(self, subject: Subject, effort: Effort, owed: Ledger, rng: random.Random) -> None:
        self.tally = Tally()
        self._subject = subject
        self._effort = effort
        self._owed = owed
        self._rng = rng
        self._seen: set[int] = set()

    def of(self, image: Image, unfinished: Sequence[Step]) -> list[str]:
        """Return what is wrong with a state: first as it is found, then after going on."""
        problems = [p for judge in self._subject.judges for p in judge(image)]
        problems += self._owed.left_behind(image)
        if problems:
            return problems
        disk = self._subject.disk(self._effort.model, image)
        ledger = self._owed.after_crash()
        try:
            actor = Actor(disk, self._subject.opener, ledger)
            problems = ledger.problems(show(actor.store), settled=False)
            if not problems:
                problems = self._go_on(actor, unfinished)
        except Exception as error:  # noqa: BLE001  # whatever it is, it is what was looked for
            return [f"after the power cut: {error!r}"]
        return problems

    def _go_on(self, actor: Actor, unfinished: Sequence[Step]) -> list[str]:
        """Do what a service does next; cut the power meanwhile, where that is asked for."""
        machine = actor.disk.machine
        problems: list[str] = []
        looked = [len(machine.trace)]

        def watch(call: Call) -> None:
            if call.changes and not problems and len(machine.trace) != looked[0]:
                looked[0] = len(machine.trace)
                if self._rng.random() < self._effort.second:
                    problems.extend(self._cut_again(actor))

        if self._effort.second:
            machine.watchers.append(watch)
        for step in [*unfinished, newcomers(actor.ledger), Compact()]:
            operation = actor.ledger.begin()
            machine.trace.append(f"recovery: {step}")
            step.run(actor, operation)
            actor.ledger.end(operation)
        machine.watchers.clear()
        if problems:
            return problems
        problems = actor.ledger.problems(show(actor.store))
        actor.store.close()
        again = self._subject.opener(actor.disk.process("later"))
        problems += actor.ledger.problems(show(again))
        image = actor.disk.image()
        problems += actor.ledger.left_behind(image)
        problems += [problem for judge in self._subject.judges for problem in judge(image)]
        return [*machine.trace, *problems] if problems else []

    def _cut_again(self, actor: Actor) -> list[str]:
        """Return what is wrong after a second power cut, during the recovery from the first."""
        machine = actor.disk.machine
        inner = Examination(self._subject, _without_second(self._effort), actor.ledger, self._rng)
        states = list(machine.crash_states(_FEW, self._rng, every_cut=False))
        for words, image in self._rng.sample(states, min(len(states), _AT_ONCE)):
            self.tally.reached += 1
            key = hash((image.key(), actor.ledger.key()))
            if key in self._seen:
                continue
            self._seen.add(key)
            self.tally.states += 1
            self.tally.recoveries += 1
            if problems := inner.of(image, ()):
                return [*machine.trace, f"second power cut: {words}", *problems]
        return []


def _without_second(effort: Effort) -> Effort:
    return type(effort)(model=effort.model)


def newcomers(ledger: Ledger) -> Add:
    """Return a step that adds an entry to each month that there may be."""
    months = {entry.month for entry in ledger.entries()} or {"2025-01"}
    return Add.of(*(_newcomer(month) for month in sorted(months)))


def _newcomer(month: str) -> FeedbackEntry:
    year, number = map(int, month.split("-"))
    return FeedbackEntry(
        id=f"newcomer-{month}",
        message_id="m",
        question="Is it usable?",
        answer="Yes.",
        rating=1,
        timestamp=datetime(year, number, 2, tzinfo=UTC),
    )
