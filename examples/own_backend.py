"""A backend of your own: one JSON file for all entries, and the proof that it keeps its promises.

`JsonFileStore` is the whole backend: it suits a few thousand entries, for every write writes them
all. What an app can do with a store (pages, statistics, updates) it gets without a line of its own.

The ten lines below it are the proof: run ``pytest examples/own_backend.py``. What the backend does
not promise, it says as a gap; the suite then checks that the gap is there.
"""

import itertools
import json
import os
import threading
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from feedback_store import FeedbackEntry, InvalidEntryError, Outcome, Query, Store, StoreClosedError
from feedback_store.codec import MAX_ENTRY_BYTES, encode, from_mapping, to_mapping
from feedback_store.operations import not_found, same_content
from feedback_store.store import Change, descending
from feedback_store.testing import StoreContract, StoreMachine


class JsonFileStore:
    """All entries in one JSON file, which is replaced as a whole by every write."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        self._closed = False

    def append(self, entries: Sequence[FeedbackEntry]) -> Sequence[Outcome]:
        """Store entries that are new, and say what became of each."""
        for entry in entries:
            encode(entry, MAX_ENTRY_BYTES)
        with self._open():
            held = self._read()
            outcomes = [_add(held, entry) for entry in entries]
            self._write(held)
        return outcomes

    def scan(self, query: Query) -> Iterator[FeedbackEntry]:
        """Yield everything in order: the query is a hint, and what stands above filters."""
        with self._open():
            entries = self._read().values()
        key = lambda entry: (entry.timestamp, entry.id)  # noqa: E731  # shown where it is used
        return iter(sorted(entries, key=key, reverse=descending(query)))

    def rewrite(self, id: str, change: Change) -> FeedbackEntry:
        """Read, change and write an entry as one step."""
        with self._open():
            held = self._read()
            if id not in held:
                raise not_found(id)
            old, new = held[id], change(held[id])
            if (new.id, new.timestamp) != (old.id, old.timestamp):
                raise InvalidEntryError("a change may not touch id or timestamp")
            encode(new, MAX_ENTRY_BYTES)
            if new == old:
                return old
            held[id] = new
            self._write(held)
        return new

    def erase(self, ids: Iterable[str]) -> int:
        """Remove entries; the file is written without them."""
        with self._open():
            held = self._read()
            count = sum(held.pop(id, None) is not None for id in set(ids))
            self._write(held)
        return count

    def close(self) -> None:
        """Close the store: there is nothing to give back."""
        self._closed = True

    def _open(self) -> threading.Lock:
        if self._closed:
            raise StoreClosedError("this store was closed")
        return self._lock

    def _read(self) -> dict[str, FeedbackEntry]:
        if not self.path.exists():
            return {}
        entries = map(from_mapping, json.loads(self.path.read_text("utf-8")))
        return {entry.id: entry for entry in entries}

    def _write(self, held: dict[str, FeedbackEntry]) -> None:
        # Beside the file, synced, then renamed over it: a reader sees the old or the new, whole.
        beside = self.path.with_suffix(".tmp")
        with beside.open("w", encoding="utf-8") as file:
            json.dump([to_mapping(entry) for entry in held.values()], file)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(self.path)
        folder = os.open(self.path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)  # or the rename itself would not survive a power cut
        finally:
            os.close(folder)


def _add(held: dict[str, FeedbackEntry], entry: FeedbackEntry) -> Outcome:
    there = held.setdefault(entry.id, entry)
    if there is entry:
        return Outcome.ADDED
    return Outcome.UNCHANGED if same_content(there, entry) else Outcome.CONFLICT


class TestJsonFileStore(StoreContract):
    """The contract of all stores, held against this one."""

    @pytest.fixture(autouse=True)
    def _files(self, tmp_path: Path) -> None:
        self.files = (tmp_path / f"{number}.json" for number in itertools.count())

    def make_store(self) -> JsonFileStore:
        """Return an empty store."""
        return JsonFileStore(next(self.files))

    def reopen(self, store: Store) -> JsonFileStore:
        """Close the store, and open its file again."""
        assert isinstance(store, JsonFileStore)
        store.close()
        return JsonFileStore(store.path)

    def open_second(self, store: Store) -> JsonFileStore:
        """Open the same file once more."""
        assert isinstance(store, JsonFileStore)
        return JsonFileStore(store.path)

    def raw_bytes(self, store: Store) -> bytes:
        """Return what the file holds."""
        assert isinstance(store, JsonFileStore)
        return store.path.read_bytes()


class JsonFileMachine(StoreMachine):
    """Any calls in any order, held against a dictionary."""

    def make_store(self) -> JsonFileStore:
        """Return an empty store."""
        self.folder = TemporaryDirectory()
        return JsonFileStore(Path(self.folder.name, "feedback.json"))

    def reopen(self, store: Store) -> JsonFileStore:
        """Close the store, and open its file again."""
        assert isinstance(store, JsonFileStore)
        store.close()
        return JsonFileStore(store.path)

    def teardown(self) -> None:
        """Remove the file."""
        super().teardown()
        self.folder.cleanup()


TestJsonFileMachine = JsonFileMachine.TestCase
