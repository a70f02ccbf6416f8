"""The shipped suite on the object store, in memory and in a folder."""

import gzip
import itertools
from pathlib import Path
from typing import Any, ClassVar

import fsspec
import pytest

from feedback_store.backends.objects import ObjectStore
from feedback_store.store import Store
from feedback_store.testing import StoreContract, StoreMachine

_numbers = itertools.count()

ACROSS_MONTHS = (
    "test_an_id_is_unique_across_months",
    "test_add_says_what_became_of_the_entry",
    "test_put_replaces_and_keeps_the_first_time",
    "test_put_of_the_same_content_changes_nothing",
    "test_times_do_not_make_another_entry[timestamp]",
    "test_entries_of_one_call_see_those_before_them",
)
"""The tests that bring one id for two months."""

PROPERTIES = [
    name for name in dir(StoreContract) if hasattr(getattr(StoreContract, name), "hypothesis")
]
"""The tests that try many contents."""

WITHIN_A_MONTH = "ids are unique within a month: to look at all months would read everything"


class ObjectsContract(StoreContract):
    """The suite, on stores in some filesystem."""

    options: ClassVar[dict[str, Any]] = {"unique_across_months": True}

    def root(self) -> str:
        """Return a place that nobody has used."""
        raise NotImplementedError

    def filesystem(self) -> fsspec.AbstractFileSystem:
        """Return the filesystem."""
        raise NotImplementedError

    def make_store(self) -> ObjectStore:
        """See `StoreContract.make_store`."""
        return ObjectStore(self.filesystem(), self.root(), **self.options)

    def reopen(self, store: Store) -> ObjectStore:
        """See `StoreContract.reopen`."""
        store.close()
        return self.open_second(store)

    def open_second(self, store: Store) -> ObjectStore:
        """See `StoreContract.open_second`."""
        assert isinstance(store, ObjectStore)
        return ObjectStore(self.filesystem(), store.root, **self.options)

    def raw_bytes(self, store: Store) -> bytes:
        """See `StoreContract.raw_bytes`."""
        assert isinstance(store, ObjectStore)
        filesystem = self.filesystem()
        found: list[tuple[str, Any]] = [
            (p, filesystem.cat_file(p)) for p in filesystem.find(store.root)
        ]
        plain = [gzip.decompress(data) if p.endswith(".gz") else data for p, data in found]
        return b"".join(path.encode() + data for (path, _), data in zip(found, plain, strict=True))


class TestInAFolder(ObjectsContract):
    """On this machine's disk."""

    @pytest.fixture(autouse=True)
    def _folder(self, tmp_path: Path) -> None:
        self.folder = tmp_path

    def root(self) -> str:
        """See `ObjectsContract.root`."""
        return str(self.folder / f"store-{next(_numbers)}")

    def filesystem(self) -> fsspec.AbstractFileSystem:
        """See `ObjectsContract.filesystem`."""
        return fsspec.filesystem("file")


class TestInMemory(ObjectsContract):
    """In memory."""

    gaps: ClassVar = {
        "test_a_store_opened_before_a_fork_works_in_the_child": "a child has a memory of its own",
    }

    def root(self) -> str:
        """See `ObjectsContract.root`."""
        return f"/store-{next(_numbers)}"

    def filesystem(self) -> fsspec.AbstractFileSystem:
        """See `ObjectsContract.filesystem`."""
        return fsspec.filesystem("memory")


class TestWithinAMonth(TestInMemory):
    """As it is, unless told otherwise: ids are unique within a month.

    The tests with many contents are left out: those that bring one id for two months fail, and
    would spend minutes on a smaller counterexample.
    """

    gaps: ClassVar = {**TestInMemory.gaps, **dict.fromkeys(ACROSS_MONTHS, WITHIN_A_MONTH)}
    options: ClassVar[dict[str, Any]] = {}


for _name in PROPERTIES:
    setattr(TestWithinAMonth, _name, None)


class ObjectsMachine(StoreMachine):
    """The machine, in memory."""

    def make_store(self) -> ObjectStore:
        """See `StoreMachine.make_store`."""
        return ObjectStore(
            fsspec.filesystem("memory"), f"/machine-{next(_numbers)}", unique_across_months=True
        )

    def reopen(self, store: Store) -> ObjectStore:
        """See `StoreMachine.reopen`."""
        assert isinstance(store, ObjectStore)
        store.close()
        return ObjectStore(fsspec.filesystem("memory"), store.root, unique_across_months=True)


TestObjectsMachine = ObjectsMachine.TestCase
