"""The shipped suite on the month-file store, in the settings in which it takes other paths.

Promises 17 and 18 in one process, and every sentence of `feedback_store.store`: whatever the
durability, while the index is made of many small runs, while the store compacts months by itself,
and while months are sealed between the calls.
"""

import gzip
import itertools
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, ClassVar

import pytest
from hypothesis.stateful import rule
from jsonl_harness import raw

from feedback_store.backends.jsonl import JsonlStore, index, part
from feedback_store.store import Store
from feedback_store.testing import StoreContract, StoreMachine


def seal(folder: Path) -> None:
    """Compress every month that is not compressed yet, as an operator does while nobody writes."""
    for path in folder.glob("feedback_*.jsonl"):
        sealed = path.with_suffix(".jsonl.gz")
        before = gzip.decompress(sealed.read_bytes()) if sealed.exists() else b""
        sealed.write_bytes(gzip.compress(before + path.read_bytes()))
        path.unlink()


@pytest.fixture(scope="class")
def _small_steps() -> Iterator[None]:
    """Make the store flush, merge and compact after a few lines, not after thousands."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(index, "FLUSH_LINES", 2)
        patch.setattr(index.Index.flush, "__defaults__", (2,))
        patch.setattr(part, "MEMORY_LINES", 3)
        patch.setattr(part, "_BLOAT_BYTES", 256)
        yield


class JsonlContract(StoreContract):
    """The suite, on stores with some options."""

    options: ClassVar[dict[str, Any]] = {}

    @pytest.fixture(autouse=True)
    def _folder(self, tmp_path: Path) -> None:
        self.folders = (tmp_path / f"store-{number}" for number in itertools.count())

    def make_store(self) -> JsonlStore:
        """See `StoreContract.make_store`."""
        return JsonlStore(next(self.folders), **self.options)

    def reopen(self, store: Store) -> JsonlStore:
        """See `StoreContract.reopen`."""
        store.close()
        return self.open_second(store)

    def open_second(self, store: Store) -> JsonlStore:
        """See `StoreContract.open_second`."""
        assert isinstance(store, JsonlStore)
        return JsonlStore(store.path, **self.options)

    def raw_bytes(self, store: Store) -> bytes:
        """See `StoreContract.raw_bytes`."""
        assert isinstance(store, JsonlStore)
        return raw(Path(store.path))


class TestJsonl(JsonlContract):
    """As it is used."""


class TestJsonlWithoutWaiting(JsonlContract):
    """Acknowledged when the kernel has it."""

    options: ClassVar[dict[str, Any]] = {"durability": "os"}


@pytest.mark.usefixtures("_small_steps")
class TestJsonlInSmallSteps(JsonlContract):
    """With runs of two lines, merges all the time, and months that compact themselves."""

    options: ClassVar[dict[str, Any]] = {"compact_share": 0.1}


class TestSealedJsonl(JsonlContract):
    """With every month sealed whenever the store is opened again, or a second time."""

    def open_second(self, store: Store) -> JsonlStore:
        """Seal the months in between."""
        assert isinstance(store, JsonlStore)
        seal(Path(store.path))
        return super().open_second(store)


class JsonlMachine(StoreMachine):
    """Any sequence of calls, against a model."""

    options: ClassVar[dict[str, Any]] = {}
    jsonl: JsonlStore

    def make_store(self) -> JsonlStore:
        """See `StoreMachine.make_store`."""
        self._temporary = TemporaryDirectory()
        self.jsonl = JsonlStore(Path(self._temporary.name) / "store", **self.options)
        return self.jsonl

    def reopen(self, store: Store) -> JsonlStore:
        """See `StoreMachine.reopen`."""
        store.close()
        self.jsonl = self.open_second(store)
        return self.jsonl

    def open_second(self, store: Store) -> JsonlStore:
        """See `StoreMachine.open_second`."""
        assert isinstance(store, JsonlStore)
        return JsonlStore(store.path, **self.options)

    def teardown(self) -> None:
        """Remove the folder."""
        super().teardown()
        if hasattr(self, "_temporary"):
            self._temporary.cleanup()


class SealingMachine(JsonlMachine):
    """The same, while months are sealed between the calls and the store compacts by itself."""

    options: ClassVar[dict[str, Any]] = {"durability": "os", "compact_share": 0.1}

    @rule()
    def seal(self) -> None:
        """Seal all months under the open store."""
        seal(Path(self.jsonl.path))


TestJsonlMachine = JsonlMachine.TestCase
TestJsonlMachineInSmallSteps = pytest.mark.usefixtures("_small_steps")(SealingMachine.TestCase)
