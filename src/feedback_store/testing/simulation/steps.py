"""What a workload is made of: calls on a store, and what each of them makes the store owe."""

from collections.abc import Iterable
from typing import Any, Protocol

import attrs

from feedback_store import changing
from feedback_store.entry import FeedbackEntry
from feedback_store.errors import EntryNotFoundError
from feedback_store.store import Change, Outcome, Store, SupportsCompact
from feedback_store.testing.simulation.disk import SimulatedDisk
from feedback_store.testing.simulation.ledger import Ledger, Operation


class Opener(Protocol):
    """Opens the store that is put to the proof, on a disk."""

    def __call__(self, disk: SimulatedDisk, /) -> Store:
        """Return a store whose files are on that disk."""
        ...


@attrs.define
class Actor:
    """One process of a workload: its disk and the store that it has open.

    Attributes:
        disk: the disk, as this process sees it.
        opener: opens the store.
        ledger: what the store owes.
        store: the store.
    """

    disk: SimulatedDisk
    opener: Opener
    ledger: Ledger
    store: Store = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self.store = self.opener(self.disk)


class Step(Protocol):
    """One call of a process; its ``str`` tells of it in a few words."""

    def run(self, actor: Actor, operation: Operation) -> str:
        """Make the call and note what it makes the store owe; return its outcome in words.

        The step may be made again after an error, and after a crash: as a client would.
        """
        ...


@attrs.frozen
class Add:
    """Append entries by one call."""

    entries: tuple[FeedbackEntry, ...]

    @classmethod
    def of(cls, *entries: FeedbackEntry) -> "Add":
        """Return the step that appends these entries."""
        return cls(entries)

    def __str__(self) -> str:
        """Tell of it."""
        return "add " + ", ".join(f"{e.id} ({e.month})" for e in self.entries)

    def run(self, actor: Actor, operation: Operation) -> str:
        """See `Step.run`."""
        for entry in self.entries:
            actor.ledger.may(operation, entry.id, entry)
        outcomes = actor.store.append(self.entries)
        for entry, outcome in zip(self.entries, outcomes, strict=True):
            if outcome is Outcome.CONFLICT:
                actor.ledger.refuse(operation, entry.id)
            else:
                actor.ledger.owe(operation, entry.id, entry)
        return ", ".join(outcomes)


@attrs.frozen
class Put:
    """Store an entry in place of whatever stands under its id."""

    entry: FeedbackEntry

    def __str__(self) -> str:
        """Tell of it."""
        return f"put {self.entry.id} ({self.entry.month})"

    def run(self, actor: Actor, operation: Operation) -> str:
        """See `Step.run`."""
        id = self.entry.id
        actor.ledger.may(operation, id, self.entry)
        told = _Telling(actor, operation)
        put = changing.put(told, self.entry)  # pyright: ignore[reportArgumentType]  # it passes on what it lacks
        actor.ledger.owe(operation, id, told.written or self.entry)
        return str(put.outcome)


class _Telling:
    """A store that notes what a change is about to write."""

    def __init__(self, actor: Actor, operation: Operation) -> None:
        self._actor = actor
        self._operation = operation
        self.written: FeedbackEntry | None = None

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401  # whatever the store has
        return getattr(self._actor.store, name)

    def rewrite(self, id: str, change: Change) -> FeedbackEntry:
        """Rewrite, and note what the change gives before it is written."""

        def telling(old: FeedbackEntry) -> FeedbackEntry:
            new = change(old)
            self._actor.ledger.may(self._operation, id, new)
            return new

        self.written = self._actor.store.rewrite(id, telling)
        return self.written


@attrs.frozen
class Update:
    """Give an entry another rating, and an explanation."""

    id: str
    rating: float
    explanation: str = ""

    def __str__(self) -> str:
        """Tell of it."""
        return f"update {self.id} to {self.rating:g}"

    def run(self, actor: Actor, operation: Operation) -> str:
        """See `Step.run`."""

        def change(old: FeedbackEntry) -> FeedbackEntry:
            metadata = old.metadata
            if self.explanation:
                metadata = attrs.evolve(metadata, explanation=self.explanation)
            return attrs.evolve(old, rating=self.rating, metadata=metadata)

        try:
            new = _Telling(actor, operation).rewrite(self.id, change)
        except EntryNotFoundError:
            return "not found"  # what is read, absence too, is not owed: it may not be durable yet
        actor.ledger.owe(operation, self.id, new)
        return "done"


@attrs.frozen
class Erase:
    """Erase entries."""

    ids: tuple[str, ...]

    @classmethod
    def of(cls, *ids: str) -> "Erase":
        """Return the step that erases these ids."""
        return cls(ids)

    def __str__(self) -> str:
        """Tell of it."""
        return f"erase {', '.join(self.ids)}"

    def run(self, actor: Actor, operation: Operation) -> str:
        """See `Step.run`."""
        for id in self.ids:
            actor.ledger.may(operation, id, None)
        count = actor.store.erase(self.ids)
        for id in self.ids:
            actor.ledger.owe(operation, id, None)
        return f"{count} erased"


@attrs.frozen
class Compact:
    """Compact the store, where it can be compacted."""

    def __str__(self) -> str:
        """Tell of it."""
        return "compact"

    def run(self, actor: Actor, operation: Operation) -> str:  # noqa: ARG002  # it owes nothing new
        """See `Step.run`."""
        if isinstance(actor.store, SupportsCompact):
            return f"{actor.store.compact().months} months rewritten"
        return "nothing to do"


@attrs.frozen
class Reopen:
    """Close the store and open it again, as a service does that is started anew."""

    def __str__(self) -> str:
        """Tell of it."""
        return "close and open again"

    def run(self, actor: Actor, operation: Operation) -> str:  # noqa: ARG002  # as above
        """See `Step.run`."""
        actor.store.close()
        actor.store = actor.opener(actor.disk)
        return "done"


@attrs.frozen
class Workload:
    """What is put to the proof.

    Attributes:
        name: what it is called.
        processes: the steps of each process.
        setup: steps that are made before, and are durable.
    """

    name: str
    processes: tuple[tuple[Step, ...], ...]
    setup: tuple[Step, ...] = ()

    def __str__(self) -> str:
        """Tell of every step, a line each."""
        lines = [f"before: {step}" for step in self.setup]
        for name, steps in zip(process_names(), self.processes, strict=False):
            lines.extend(f"{name}: {step}" for step in steps)
        return "\n".join(lines)


def process_names() -> Iterable[str]:
    """Return the names of the processes of a workload, in their order."""
    return "abcdefgh"
