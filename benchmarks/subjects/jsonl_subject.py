"""Our folder of month files, through the facade that apps hold."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from benchmarks.entries import line_of
from benchmarks.subjects.base import Subject
from feedback_store import FeedbackEntry, FeedbackStore, decode
from feedback_store.backends.jsonl import JsonlStore


class Measured(Subject):
    """`JsonlStore` as it is: nothing is tuned but the durability that is asked for."""

    def __init__(self, folder: Path, *, synced: bool = True) -> None:
        super().__init__(folder, synced=synced)
        durability: Literal["sync", "os"] = "sync" if synced else "os"
        self._store = FeedbackStore(JsonlStore(folder, durability=durability))

    def prepare(self, mapping: dict[str, Any]) -> FeedbackEntry:
        """Return the typed entry; its encoding is part of every write."""
        return decode(line_of(mapping))

    def add(self, entry: FeedbackEntry) -> None:
        """See `FeedbackStore.add`."""
        self._store.add(entry)

    def add_many(self, entries: Sequence[FeedbackEntry]) -> None:
        """See `FeedbackStore.add_many`."""
        self._store.add_many(entries)

    def update(self, id: str, explanation: str) -> None:
        """See `FeedbackStore.update`."""
        self._store.update(id, explanation=explanation)

    def get(self, id: str) -> object:
        """See `FeedbackStore.get`."""
        return self._store.get(id)

    def load(self) -> Sequence[object]:
        """Keep all that `FeedbackStore.scan` yields."""
        return list(self._store.scan())

    def scan(self) -> int:
        """Look at all that `FeedbackStore.scan` yields."""
        return sum(1 for _ in self._store.scan())

    def count(self) -> int:
        """See `FeedbackStore.count`."""
        return self._store.count()

    def stats(self) -> object:
        """See `FeedbackStore.stats`."""
        return self._store.stats()

    def compact(self) -> None:
        """See `FeedbackStore.compact`."""
        self._store.compact()

    def close(self) -> None:
        """See `FeedbackStore.close`."""
        self._store.close()
