"""`FeedbackStore.on_change`: when events come, in which order, and to whom."""

import threading
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from hearing import added, make, told

from feedback_store import (
    ChangeEvent,
    FeedbackEntry,
    FeedbackStore,
    Outcome,
    Query,
    StoreClosedError,
    StoreFullError,
)
from feedback_store.backends.memory import MemoryStore


@pytest.fixture
def feedback() -> FeedbackStore:
    """Return a store that holds a, b and c."""
    store = MemoryStore()
    store.append([make(id, rating=0) for id in "abc"])
    return FeedbackStore(store)


class Failing(MemoryStore):
    """A store that writes, and then fails once."""

    error: Exception | None = StoreFullError("full")

    def append(self, entries: Sequence[FeedbackEntry]) -> Sequence[Outcome]:
        """Store, and raise."""
        outcomes = super().append(entries)
        if self.error is not None:
            error, self.error = self.error, None
            raise error
        return outcomes


def test_a_retry_of_what_was_stored_after_all_is_not_told() -> None:
    """An event is told at most once: a write that failed too late is UNCHANGED when repeated."""

    def act(f: FeedbackStore) -> None:
        with pytest.raises(StoreFullError):
            f.add(make("a"))
        assert Outcome.UNCHANGED is f.add(make("a"))

    assert [] == told(FeedbackStore(Failing()), act)


def test_events_come_after_the_write_is_acknowledged() -> None:
    """While the store is at work, nothing is told of it: a callback finds what it is told of."""

    class Watched(MemoryStore):
        """A store that looks, when it has written, at how many events are told."""

        def append(self, entries: Sequence[FeedbackEntry]) -> Sequence[Outcome]:
            outcomes = super().append(entries)
            told_early.append(line.queued)
            return outcomes

        def rewrite(self, id: str, change: Callable[[FeedbackEntry], FeedbackEntry]) -> Any:  # noqa: ANN401  # as it is above
            new = super().rewrite(id, change)
            told_early.append(line.queued)
            return new

        def erase(self, ids: Iterable[str]) -> int:
            count = super().erase(ids)
            told_early.append(line.queued)
            return count

    def callback(event: ChangeEvent) -> None:
        taken.set()
        let_go.wait(60)

    let_go, taken = threading.Event(), threading.Event()
    told_early: list[int] = []
    feedback = FeedbackStore(Watched())
    subscription = feedback.on_change(callback)
    line = subscription._line
    feedback.add(make("first"))
    assert taken.wait(60)  # from now on, events stay in the queue
    feedback.add(make("a"))
    feedback.add_each([make("b")])
    feedback.put(make("c"))
    feedback.put(make("c", rating=1))  # an append that conflicts, and a rewrite
    feedback.update("b", rating=1)
    feedback.delete("a")
    feedback.delete_where(Query(rating="positive"))
    assert [0, 0, 1, 2, 3, 3, 4, 5, 6] == told_early
    assert 8 == line.queued
    let_go.set()
    assert subscription.wait(60)


def test_only_this_object_is_heard(feedback: FeedbackStore) -> None:
    """What goes through another object, or directly to the store below, is not told."""

    def act(f: FeedbackStore) -> None:
        FeedbackStore(f.store).add(make("x"))
        f.store.append([make("y")])
        f.store.erase(["a"])

    assert [] == told(feedback, act)


def test_every_subscriber_hears_every_event_in_one_order() -> None:
    """Many threads write: each event comes once, and to all subscribers in the same order."""
    feedback = FeedbackStore(MemoryStore())
    heard: tuple[list[ChangeEvent], ...] = ([], [], [])
    subscriptions = [feedback.on_change(events.append, max_queued=9999) for events in heard]

    def write(worker: int) -> None:
        for n in range(50):
            entry = make(f"{worker}/{n}")
            feedback.add(entry)
            feedback.add_each([make(f"{entry.id}/more")])
            feedback.update(entry.id, rating=1)
            feedback.delete(entry.id)

    with ThreadPoolExecutor(16) as threads:
        list(threads.map(write, range(16)))
    assert [True] * 3 == [subscription.wait(60) for subscription in subscriptions]
    assert heard[0] == heard[1] == heard[2]
    kinds: dict[str, list[str]] = {}
    for event in heard[0]:
        kinds.setdefault(event.id, []).append(event.kind)
    whole = ["added", "updated", "erased"]
    assert {f"{w}/{n}": whole for w in range(16) for n in range(50)} == {
        id: found for id, found in kinds.items() if not id.endswith("/more")
    }
    assert 16 * 50 * 4 == len(heard[0])


def test_a_closed_subscription_hears_nothing(feedback: FeedbackStore) -> None:
    """Once it is closed, further changes are not told; others still hear them."""
    others: list[ChangeEvent] = []
    other = feedback.on_change(others.append)
    assert [added(make("x"))] == told(feedback, lambda f: f.add(make("x")))
    feedback.add(make("y"))
    assert other.wait(60)
    assert [added(make("x")), added(make("y"))] == others


def test_a_closed_store_takes_no_subscriber(feedback: FeedbackStore) -> None:
    """`on_change` on a closed store raises, and so does one that could keep nothing waiting."""
    with pytest.raises(ValueError, match="max_queued"):
        feedback.on_change(print, max_queued=0)
    feedback.close()
    with pytest.raises(StoreClosedError):
        feedback.on_change(print)


def test_nobody_subscribed_costs_nothing() -> None:
    """Without subscribers there is no thread, and no look before an erasure; nor once they left."""

    class Unread(MemoryStore):
        """A store that is not asked for an entry."""

        def get(self, id: str) -> FeedbackEntry | None:
            raise AssertionError(id)

    threads = threading.active_count()
    feedback = FeedbackStore(Unread())
    feedback.on_change(print).close()
    subscription = feedback.on_change(print)
    assert threads == threading.active_count()
    subscription.close()
    feedback.add_many([make("a"), make("b")])
    assert 2 == feedback.delete("a", "b", "c")
    assert threads == threading.active_count()


def test_an_event_shows_no_text() -> None:
    """The repr of an event, which may land in a log, holds nothing that somebody wrote."""
    event = added(make("a", question="secret", answer="secret", correction="secret"))
    assert "secret" not in repr(event)
    assert "'a'" in repr(event)
