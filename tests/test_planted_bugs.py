"""The suite itself is tested: bugs that were planted on purpose must be caught."""

from collections.abc import Iterable, Iterator, Sequence

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from feedback_store import FeedbackEntry, Outcome, Query, Store
from feedback_store.backends.memory import MemoryStore
from feedback_store.store import Change, descending
from feedback_store.testing import StoreContract, StoreMachine

# The same examples at every run, and no search for a shorter one: that they are found is enough.
SAME_EVERY_TIME = settings(
    derandomize=True,
    database=None,
    deadline=None,
    max_examples=100,
    phases=[Phase.generate],
    print_blob=False,
    report_multiple_bugs=False,
    stateful_step_count=25,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


class UnseenUpdate(MemoryStore):
    """A cache of entries that a change does not reach."""

    def __init__(self) -> None:
        super().__init__()
        self.cache: dict[str, FeedbackEntry | None] = {}

    def get(self, id: str) -> FeedbackEntry | None:
        """Look into the cache first."""
        return self.cache.setdefault(id, super().get(id))

    def append(self, entries: Sequence[FeedbackEntry]) -> Sequence[Outcome]:
        """Clear the cache, as every write should."""
        self.cache.clear()
        return super().append(entries)

    def erase(self, ids: Iterable[str]) -> int:
        """Clear the cache, as every write should."""
        self.cache.clear()
        return super().erase(ids)


class WrongOrderWithinTheMonth(MemoryStore):
    """An order that knows whole seconds only, and so goes wrong by id within one."""

    def scan(self, query: Query) -> Iterator[FeedbackEntry]:
        """Sort by a shortened time."""
        found = list(super().scan(query))
        found.sort(
            key=lambda e: (e.timestamp.replace(microsecond=0), e.id), reverse=descending(query)
        )
        return iter(found)


class WrongOrderOfIds(MemoryStore):
    """An order of equal times that is that of UTF-16, as JavaScript and some databases have it."""

    def scan(self, query: Query) -> Iterator[FeedbackEntry]:
        """Sort by another encoding of the id."""
        found = list(super().scan(query))
        found.sort(key=lambda e: (e.timestamp, e.id.encode("utf-16-be")), reverse=descending(query))
        return iter(found)


class DuplicateAfterRetry(MemoryStore):
    """A retry with a new timestamp that lands in another month, where nobody looked for the id."""

    def __init__(self) -> None:
        super().__init__()
        self.twice: list[FeedbackEntry] = []

    def append(self, entries: Sequence[FeedbackEntry]) -> Sequence[Outcome]:
        """Store it again where the month is another."""
        there = {entry.id: entry.month for entry in super().scan(Query())}
        outcomes = super().append(entries)
        self.twice += [
            entry
            for entry, outcome in zip(entries, outcomes, strict=True)
            if outcome is Outcome.UNCHANGED and there.get(entry.id, entry.month) != entry.month
        ]
        return outcomes

    def scan(self, query: Query) -> Iterator[FeedbackEntry]:
        """Read every month."""
        found = [*super().scan(query), *self.twice]
        found.sort(key=lambda e: (e.timestamp, e.id), reverse=descending(query))
        return iter(found)


class ErasedComesBack(MemoryStore):
    """An erasure that removes the last revision only, so that the one before shows again."""

    def __init__(self) -> None:
        super().__init__()
        self.before: dict[str, FeedbackEntry] = {}

    def rewrite(self, id: str, change: Change) -> FeedbackEntry:
        """Keep the revision before."""
        old = super().get(id)
        new = super().rewrite(id, change)
        if old is not None and new is not old:
            self.before[id] = old
        return new

    def erase(self, ids: Iterable[str]) -> int:
        """Let the revision before come back."""
        ids = set(ids)
        count = super().erase(ids)
        super().append([self.before.pop(id) for id in ids if id in self.before])
        return count


def run_the_machine_on(kind: type[MemoryStore]) -> None:
    """Run the state machine on stores of that kind."""

    class Machine(StoreMachine):
        """The machine, for one kind of store."""

        def make_store(self) -> Store:
            """Return an empty store."""
            return kind()

    run_state_machine_as_test(Machine, settings=SAME_EVERY_TIME)


@pytest.mark.parametrize(
    "kind", [UnseenUpdate, WrongOrderWithinTheMonth, DuplicateAfterRetry, ErasedComesBack]
)
def test_a_planted_bug_is_caught(kind: type[MemoryStore]) -> None:
    """The machine fails on a store with a bug that was planted."""
    with pytest.raises(AssertionError):
        run_the_machine_on(kind)


def test_a_rare_bug_is_caught_by_name() -> None:
    """What any calls in any order meet too rarely, the contract has an example for."""
    suite = StoreContract()
    suite.test_equal_times_go_by_id(MemoryStore())
    with pytest.raises(AssertionError):
        suite.test_equal_times_go_by_id(WrongOrderOfIds())


def test_without_a_bug_nothing_is_caught() -> None:
    """The machine passes on the same store without any of the bugs, with the same settings."""
    run_the_machine_on(MemoryStore)
