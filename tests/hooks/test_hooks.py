"""`FeedbackStore.on_change`: which changes are told, and what of them."""

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any

import pytest
from hearing import NOON, added, make, told

from feedback_store import (
    ChangeEvent,
    ChangeKind,
    DuplicateEntryError,
    EntryNotFoundError,
    FeedbackEntry,
    FeedbackStore,
    InvalidEntryError,
    Outcome,
    Query,
    open_store,
)
from feedback_store.backends.memory import MemoryStore
from feedback_store.testing import FiveVerbs


def updated(entry: FeedbackEntry) -> ChangeEvent:
    """Return the event of an entry that was updated."""
    return ChangeEvent(kind=ChangeKind.UPDATED, id=entry.id, entry=entry)


def erased(*ids: str) -> list[ChangeEvent]:
    """Return the events of ids that were erased."""
    return [ChangeEvent(kind=ChangeKind.ERASED, id=id) for id in ids]


@pytest.fixture(params=["MemoryStore", "FiveVerbs"])
def feedback(request: pytest.FixtureRequest) -> FeedbackStore:
    """Return a store that holds a, b and c; one of five verbs only, too."""
    store = MemoryStore()
    store.append([make(id, rating=0) for id in "abc"])
    return FeedbackStore(store if request.param == "MemoryStore" else FiveVerbs(store))


def test_an_add_is_told_with_the_entry(feedback: FeedbackStore) -> None:
    """What is ADDED is told as added, with the entry as it is stored."""
    new = make("new", rating=1)
    assert [added(new)] == told(feedback, lambda f: f.add(new))
    assert feedback.get("new") == new


def test_what_changes_nothing_is_not_told(feedback: FeedbackStore) -> None:
    """Neither UNCHANGED nor a CONFLICT makes an event, nor a call that finds nothing to do."""

    def act(f: FeedbackStore) -> None:
        assert Outcome.UNCHANGED is f.add(make("a", rating=0))
        assert Outcome.UNCHANGED is f.put(make("a", rating=0))
        with pytest.raises(DuplicateEntryError):
            f.add(make("a", rating=1))
        f.add_each([make("b", rating=1), make("c", rating=0)])
        f.add_many([make("b", rating=1), make("c", rating=0)])
        f.update("a", rating=0)
        f.update("a")
        f.delete("x")
        f.delete("x", "y")
        f.delete()
        f.delete_where(Query(rating="positive"))

    assert [] == told(feedback, act)


def test_reading_is_not_told(feedback: FeedbackStore) -> None:
    """A question makes no event, and neither do check and compact."""

    def act(f: FeedbackStore) -> None:
        for verb in (f.scan, f.page, f.count, f.stats, f.check, f.compact):
            verb()
        f.get("a")
        f.find("x")

    assert [] == told(feedback, act)


def test_a_failed_write_is_not_told(feedback: FeedbackStore) -> None:
    """A write that raises makes no event."""

    def act(f: FeedbackStore) -> None:
        with pytest.raises(EntryNotFoundError):
            f.update("x", rating=1)
        with pytest.raises(InvalidEntryError):
            f.update("a", rating=7)
        with pytest.raises(InvalidEntryError):
            f.add_each([make("new"), "no entry"])  # type: ignore[list-item]  # wrong on purpose

    assert [] == told(feedback, act)


def test_many_are_told_in_their_order(feedback: FeedbackStore) -> None:
    """Of `add_each` and `add_many`, those that are new are told, each once, in their order."""
    batch = [make("z"), make("a", rating=1), make("y"), make("b", rating=0), make("z")]
    news = [added(make("z")), added(make("y"))]
    assert news == told(feedback, lambda f: f.add_each(batch))
    many = [make(str(n)) for n in range(2500)]
    events: list[ChangeEvent] = []
    with feedback.on_change(events.append, max_queued=3000) as subscription:
        feedback.add_many(iter([*batch, *many]))
        assert subscription.wait(60)
    assert [added(entry) for entry in many] == events


def test_a_put_is_told_as_what_it_did(feedback: FeedbackStore) -> None:
    """A `put` adds, or takes the place of what stood there, and is told as it is stored then."""
    new = make("new")
    assert [added(new)] == told(feedback, lambda f: f.put(new))
    late = make("a", rating=1, timestamp=datetime(2026, 1, 1, tzinfo=UTC))
    events = told(feedback, lambda f: f.put(late))
    assert [updated(feedback.get("a"))] == events
    assert events[0].entry is not None
    assert (1, NOON) == (events[0].entry.rating, events[0].entry.timestamp)


def test_a_put_that_comes_too_late_is_unchanged() -> None:
    """Where the same content is put there in the very moment, nothing is written, nor told."""

    class Overtaken(MemoryStore):
        """A store in which somebody else writes just before each rewrite."""

        def rewrite(self, id: str, change: Callable[[FeedbackEntry], FeedbackEntry]) -> Any:  # noqa: ANN401  # as it is above
            super().rewrite(id, lambda _: make("a", rating=1))
            return super().rewrite(id, change)

    feedback = FeedbackStore(Overtaken())
    feedback.add(make("a", rating=0))
    assert [] == told(feedback, lambda f: f.put(make("a", rating=1)))
    assert Outcome.UNCHANGED is feedback.put(make("a", rating=1))


def test_an_update_is_told_with_the_new_entry(feedback: FeedbackStore) -> None:
    """An `update` is told with what it returns."""
    results: list[FeedbackEntry] = []
    events = told(feedback, lambda f: results.append(f.update("a", rating=1, add_issues=["slow"])))
    assert [updated(result) for result in results] == events
    assert ("slow",) == results[0].metadata.issues


def test_a_rewrite_that_is_done_twice_is_told_once(feedback: FeedbackStore) -> None:
    """A store may apply a change again to what it has just written: one event, all the same."""

    class Twice(MemoryStore):
        """A store that applies each change twice."""

        def rewrite(self, id: str, change: Callable[[FeedbackEntry], FeedbackEntry]) -> Any:  # noqa: ANN401  # as it is above
            super().rewrite(id, change)
            return super().rewrite(id, change)

    feedback = FeedbackStore(Twice())
    feedback.add(make("a", rating=0))
    assert 1 == len(told(feedback, lambda f: f.update("a", rating=1)))
    assert 1 == len(told(feedback, lambda f: f.put(make("a", rating=0.5))))


@pytest.mark.parametrize(
    ("ids", "gone"),
    [
        ("a", "a"),
        ("aa", "a"),
        ("cba", "cba"),
        ("xcybza", "cba"),
        ("xcx", "c"),
        ("xy", ""),
        ("x", ""),
    ],
)
def test_an_erasure_is_told_of_those_that_were_there(
    feedback: FeedbackStore, ids: str, gone: str
) -> None:
    """`delete` tells exactly the ids that were there, each once, without their entries."""
    counts: list[int] = []
    assert erased(*gone) == told(feedback, lambda f: counts.append(f.delete(*ids)))
    assert [len(gone)] == counts


def test_erasing_by_query_is_told(feedback: FeedbackStore) -> None:
    """`delete_where` tells the ids of what matched, oldest first."""
    feedback.add(make("d", rating=1))
    query = Query(rating="negative")
    assert erased("a", "b", "c") == told(feedback, lambda f: f.delete_where(query))
    assert ["d"] == [entry.id for entry in feedback.scan()]


class Crowded(MemoryStore):
    """A store in which somebody else does something just before each erasure."""

    def __init__(self, *, erased: str = "", added: str = "") -> None:
        super().__init__()
        self.append([make(id) for id in "abc"])
        self.erased, self.added = erased, added

    def erase(self, ids: Iterable[str]) -> int:
        """Let the other one go first."""
        super().erase(self.erased)
        self.append([make(id) for id in self.added])
        return super().erase(ids)


def test_an_erasure_that_another_one_shares() -> None:
    """What another one erased in that moment is told as well, if anything was left to erase."""
    feedback = FeedbackStore(Crowded(erased="a"))
    assert erased("a", "b") == told(feedback, lambda f: f.delete("x", "a", "b"))
    assert [] == told(feedback, lambda f: f.delete("a", "b"))


def test_an_erasure_of_what_another_one_added() -> None:
    """When more was erased than was seen before, all ids are told: rather one too many."""
    feedback = FeedbackStore(Crowded(added="x"))
    assert erased("x", "y", "a") == told(feedback, lambda f: f.delete("x", "y", "a"))


def test_batches_before_a_failed_one_are_told() -> None:
    """Of `add_many`, the batches that were acknowledged before an error are told."""
    feedback = open_store("mem://", max_entry_bytes=500)
    many = [make(str(n)) for n in range(1500)]

    def act(f: FeedbackStore) -> None:
        with pytest.raises(InvalidEntryError):
            f.add_many([*many, make("large", answer="x" * 500)])

    assert [added(entry) for entry in many[:1000]] == told(feedback, act)
