"""The shipped suite on a `CachedStore`, around each store and in each setting.

A cache that is one write behind anywhere fails here: the suite asks before and after every write.
"""

import itertools
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, ClassVar

import pytest
from hypothesis import settings
from jsonl_harness import raw

from feedback_store.backends.jsonl import JsonlStore
from feedback_store.backends.memory import MemoryStore
from feedback_store.backends.sqlite import SqliteStore
from feedback_store.layers import CachedStore
from feedback_store.store import Store
from feedback_store.testing import FiveVerbs, StoreContract, StoreMachine

GONE = "what is in memory is gone with the store"
ALONE = "what is in memory is seen by one process, through one store"
IN_MEMORY = {
    "test_what_is_stored_is_there_after_reopening": GONE,
    "test_every_entry_is_the_same_after_reopening": GONE,
    "test_a_second_instance_sees_what_the_first_writes": ALONE,
    "test_a_store_opened_before_a_fork_works_in_the_child": ALONE,
    "test_nothing_of_an_erased_entry_stays_on_the_medium": "memory is no medium to look at",
}


class CachedContract(StoreContract):
    """The suite, on a cache around a store in memory."""

    @pytest.fixture(autouse=True)
    def _places(self, tmp_path: Path) -> None:
        self.places = (tmp_path / f"store-{number}" for number in itertools.count())

    def inner(self, place: Path) -> Store:
        """Return the store below."""
        return MemoryStore()

    def cached(self, place: Path) -> CachedStore:
        """Return a store around it."""
        store = CachedStore(self.inner(place))
        self.place_of = {**getattr(self, "place_of", {}), id(store): place}
        return store

    def make_store(self) -> Store:
        """See `StoreContract.make_store`."""
        return self.cached(next(self.places))

    def reopen(self, store: Store) -> Store:
        """See `StoreContract.reopen`."""
        store.close()
        return self.open_second(store)

    def open_second(self, store: Store) -> Store:
        """See `StoreContract.open_second`."""
        return self.cached(self.place_of[id(store)])

    def raw_bytes(self, store: Store) -> bytes:
        """See `StoreContract.raw_bytes`."""
        return raw(self.place_of[id(store)])


class TestCachedMemory(CachedContract):
    """Asked for its version each time."""

    gaps: ClassVar = {**IN_MEMORY, "test_a_second_instance_sees_the_version_change": ALONE}


class TestCachedWithoutVersion(CachedContract):
    """Around a store without faster ways and version: what the layer forgets is all that helps."""

    gaps: ClassVar = IN_MEMORY

    def inner(self, place: Path) -> Store:
        """Take everything away but the five verbs."""
        return FiveVerbs(MemoryStore())


class TestCachedJsonl(CachedContract):
    """Around a folder of month files."""

    def inner(self, place: Path) -> Store:
        """Open the folder."""
        return JsonlStore(place, durability="os")


class TestCachedSqlite(CachedContract):
    """Around an SQLite file."""

    def inner(self, place: Path) -> Store:
        """Open the file."""
        return SqliteStore(place / "feedback.db", durability="os")


class CachedMachine(StoreMachine):
    """Any sequence of calls, against a model."""

    options: ClassVar[dict[str, Any]] = {}

    def inner(self, place: Path) -> Store:
        """Return the store below."""
        return MemoryStore()

    def make_store(self) -> Store:
        """See `StoreMachine.make_store`."""
        self.folder = TemporaryDirectory()
        return CachedStore(self.inner(Path(self.folder.name)), **self.options)

    def teardown(self) -> None:
        """Check everything once more, and leave nothing behind."""
        super().teardown()
        self.folder.cleanup()


class CachedByTimeMachine(CachedMachine):
    """The same, around a store that is never asked for its version."""

    options: ClassVar[dict[str, Any]] = {"revalidate": "never"}


class CachedInLittleRoomMachine(CachedMachine):
    """The same, with room for three entries, so that results are dropped all the time."""

    options: ClassVar[dict[str, Any]] = {"revalidate": "ttl", "max_entries": 3}


class CachedJsonlMachine(CachedMachine):
    """The same, around a folder of month files."""

    def inner(self, place: Path) -> Store:
        """Open the folder."""
        return JsonlStore(place, durability="os", compact_share=0.1)


class CachedSqliteMachine(CachedMachine):
    """The same, around an SQLite file."""

    def inner(self, place: Path) -> Store:
        """Open the file."""
        return SqliteStore(place / "feedback.db", durability="os")


TestCachedMachine = CachedMachine.TestCase
TestCachedByTimeMachine = CachedByTimeMachine.TestCase
TestCachedInLittleRoomMachine = CachedInLittleRoomMachine.TestCase
TestCachedJsonlMachine = CachedJsonlMachine.TestCase
TestCachedSqliteMachine = CachedSqliteMachine.TestCase

# Files are slow, and the machines of their own backends try them further.
_FEW = settings(max_examples=max(5, settings().max_examples // 4))
TestCachedJsonlMachine.settings = TestCachedSqliteMachine.settings = _FEW
