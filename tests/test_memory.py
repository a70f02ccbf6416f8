"""`MemoryStore` keeps every promise of a store but durability."""

from typing import ClassVar

import pytest

from feedback_store import FeedbackEntry, InvalidEntryError, Store
from feedback_store.backends.memory import MemoryStore
from feedback_store.store import SupportsGet, SupportsVersion
from feedback_store.testing import StoreContract, StoreMachine

GONE = "what is in memory is gone with the store"
ALONE = "what is in memory is seen by one process, through one store"


class TestMemoryStore(StoreContract):
    """The contract of all stores."""

    gaps: ClassVar = {
        "test_what_is_stored_is_there_after_reopening": GONE,
        "test_every_entry_is_the_same_after_reopening": GONE,
        "test_a_second_instance_sees_what_the_first_writes": ALONE,
        "test_a_second_instance_sees_the_version_change": ALONE,
        "test_a_store_opened_before_a_fork_works_in_the_child": ALONE,
        "test_nothing_of_an_erased_entry_stays_on_the_medium": "memory is no medium to look at",
    }

    def make_store(self) -> MemoryStore:
        """Return an empty store."""
        return MemoryStore()

    def reopen(self, store: Store) -> MemoryStore:
        """Return what opening again amounts to: an empty store."""
        store.close()
        return MemoryStore()

    def open_second(self, store: Store) -> MemoryStore:
        """Return what opening a second one amounts to: another store."""
        return MemoryStore()


class MemoryMachine(StoreMachine):
    """The machine of all stores."""

    def make_store(self) -> MemoryStore:
        """Return an empty store."""
        return MemoryStore()


TestMemoryMachine = MemoryMachine.TestCase


def test_it_is_a_store() -> None:
    """It has the five verbs, and the faster ways that it says."""
    store = MemoryStore()
    assert [True] * 3 == [isinstance(store, p) for p in (Store, SupportsGet, SupportsVersion)]
    assert "MemoryStore()" == repr(store)


def test_the_size_of_an_entry_is_an_option() -> None:
    """An entry larger than the store was told to take is refused."""
    store = MemoryStore(max_entry_bytes=200)
    store.append([FeedbackEntry(message_id="a", question="", answer="")])
    with pytest.raises(InvalidEntryError, match="at most 200"):
        store.append([FeedbackEntry(message_id="b", question="", answer="x" * 200)])


def test_a_gap_must_name_a_test() -> None:
    """A gap for a test that is not there, or is there no longer, is an error at once."""
    with pytest.raises(TypeError, match="test_of_nothing"):
        type("Wrong", (StoreContract,), {"gaps": {"test_of_nothing": "none"}})
