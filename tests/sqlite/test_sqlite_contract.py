"""The shipped suite on the SQLite store, in the settings in which it takes other paths.

With each journal, in memory, and while labels and tallies are kept for every entry, for none, and
for some of them.
"""

import itertools
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, ClassVar

import pytest

from feedback_store.backends.sqlite import SqliteStore, folding
from feedback_store.store import Store
from feedback_store.testing import StoreContract, StoreMachine


def fold_from(patch: pytest.MonkeyPatch, rows: int) -> None:
    """Fold as soon as there are so many entries, not 128."""
    patch.setattr(folding.fold, "__kwdefaults__", {"at_least": rows})


@pytest.fixture(scope="class")
def _fold_at_once() -> Iterator[None]:
    """Let labels and tallies know every entry as soon as it is there."""
    with pytest.MonkeyPatch.context() as patch:
        fold_from(patch, 1)
        yield


@pytest.fixture(scope="class")
def _fold_some() -> Iterator[None]:
    """Let labels and tallies know about half of the entries."""
    with pytest.MonkeyPatch.context() as patch:
        fold_from(patch, 3)
        yield


class SqliteContract(StoreContract):
    """The suite, on stores with some options."""

    options: ClassVar[dict[str, Any]] = {}

    @pytest.fixture(autouse=True)
    def _folder(self, tmp_path: Path) -> None:
        self.files = (tmp_path / f"store-{number}" / "feedback.db" for number in itertools.count())

    def make_store(self) -> SqliteStore:
        """See `StoreContract.make_store`."""
        return SqliteStore(next(self.files), **self.options)

    def reopen(self, store: Store) -> SqliteStore:
        """See `StoreContract.reopen`."""
        store.close()
        return self.open_second(store)

    def open_second(self, store: Store) -> SqliteStore:
        """See `StoreContract.open_second`."""
        assert isinstance(store, SqliteStore)
        return SqliteStore(store.path, **self.options)

    def raw_bytes(self, store: Store) -> bytes:
        """See `StoreContract.raw_bytes`."""
        assert isinstance(store, SqliteStore)
        return b"".join(p.read_bytes() for p in sorted(Path(store.path).parent.iterdir()))


class TestSqlite(SqliteContract):
    """As it is used."""


@pytest.mark.usefixtures("_fold_at_once")
class TestSqliteFolded(SqliteContract):
    """Every answer comes from labels and tallies."""


@pytest.mark.usefixtures("_fold_some")
class TestSqliteHalfFolded(SqliteContract):
    """Answers come from both halves."""


class TestSqliteWithoutWaiting(SqliteContract):
    """Acknowledged when the kernel has it."""

    options: ClassVar[dict[str, Any]] = {"durability": "os"}


class TestSqliteRollback(SqliteContract):
    """With a rollback journal, as on network filesystems."""

    options: ClassVar[dict[str, Any]] = {"journal_mode": "delete"}


GONE = "what is in memory is gone with the store"
ALONE = "what is in memory is seen by one process, through one store"


class TestSqliteInMemory(StoreContract):
    """Without a file."""

    gaps: ClassVar = {
        "test_what_is_stored_is_there_after_reopening": GONE,
        "test_every_entry_is_the_same_after_reopening": GONE,
        "test_a_second_instance_sees_what_the_first_writes": ALONE,
        "test_a_second_instance_sees_the_version_change": ALONE,
        "test_a_store_opened_before_a_fork_works_in_the_child": ALONE,
        "test_nothing_of_an_erased_entry_stays_on_the_medium": "memory is no medium to look at",
    }

    def make_store(self) -> SqliteStore:
        """See `StoreContract.make_store`."""
        return SqliteStore(":memory:")

    def reopen(self, store: Store) -> SqliteStore:
        """See `StoreContract.reopen`."""
        store.close()
        return SqliteStore(":memory:")

    def open_second(self, store: Store) -> SqliteStore:
        """See `StoreContract.open_second`."""
        return SqliteStore(":memory:")


class SqliteMachine(StoreMachine):
    """The machine, on a file."""

    at_least: ClassVar[int] = folding.FOLD_ROWS

    def make_store(self) -> SqliteStore:
        """See `StoreMachine.make_store`."""
        self.patch = pytest.MonkeyPatch()
        fold_from(self.patch, self.at_least)
        self.folder = TemporaryDirectory()
        return SqliteStore(Path(self.folder.name) / "feedback.db", durability="os")

    def teardown(self) -> None:
        """Check everything once more, and leave nothing behind."""
        super().teardown()
        self.folder.cleanup()
        self.patch.undo()


class FoldedMachine(SqliteMachine):
    """The same, with every entry in labels and tallies."""

    at_least = 1


class HalfFoldedMachine(SqliteMachine):
    """The same, with some of them there."""

    at_least = 3


TestSqliteMachine = SqliteMachine.TestCase
TestFoldedMachine = FoldedMachine.TestCase
TestHalfFoldedMachine = HalfFoldedMachine.TestCase
