"""`FeedbackStore.on_change`: its events add up to the store."""

from typing import Any

from hearing import make
from hypothesis import given
from hypothesis import strategies as st

from feedback_store import (
    ChangeEvent,
    ChangeKind,
    DuplicateEntryError,
    EntryNotFoundError,
    FeedbackEntry,
    FeedbackStore,
    Query,
)
from feedback_store.backends.memory import MemoryStore

IDS = st.sampled_from("abcd")
RATINGS = st.sampled_from([0, 1, None])
STEPS = st.one_of(
    st.tuples(st.sampled_from(["add", "put", "update"]), IDS, RATINGS),
    st.tuples(st.sampled_from(["add_each", "add_many"]), st.lists(st.tuples(IDS, RATINGS))),
    st.tuples(st.just("delete"), st.lists(IDS)),
    st.tuples(st.just("delete_where"), st.sampled_from(["positive", "negative", "unrated"])),
)


def take(feedback: FeedbackStore, step: tuple[Any, ...]) -> None:
    """Take one step; its errors are part of the game."""
    match step:
        case "add" | "put" as verb, id, rating:
            getattr(feedback, verb)(make(id, rating=rating))
        case "update", id, rating:
            feedback.update(id, rating=rating)
        case "add_each" | "add_many" as verb, pairs:
            getattr(feedback, verb)([make(id, rating=rating) for id, rating in pairs])
        case "delete", ids:
            feedback.delete(*ids)
        case _, rating:
            feedback.delete_where(Query(rating=rating))


@given(steps=st.lists(STEPS, max_size=20))
def test_events_replayed_are_the_store(steps: list[tuple[Any, ...]]) -> None:
    """Whatever is done, the events, applied to a dictionary one by one, give the store."""
    feedback = FeedbackStore(MemoryStore())
    events: list[ChangeEvent] = []
    with feedback.on_change(events.append) as subscription:
        for step in steps:
            try:
                take(feedback, step)
            except (DuplicateEntryError, EntryNotFoundError):
                continue
        assert subscription.wait(60)
    replayed: dict[str, FeedbackEntry] = {}
    for event in events:
        assert (event.kind is ChangeKind.ADDED) == (event.id not in replayed)
        if event.kind is ChangeKind.ERASED:
            assert event.entry is None
            del replayed[event.id]
        else:
            assert event.entry is not None
            assert replayed.get(event.id) != event.entry
            replayed[event.id] = event.entry
    assert {entry.id: entry for entry in feedback.scan()} == replayed
