"""Our stores, through the facade that apps hold."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from benchmarks import asked
from benchmarks.entries import line_of
from benchmarks.subjects.base import Found, Subject
from feedback_store import FeedbackEntry, FeedbackStore, Query, Rating, Store, decode

Durability = Literal["sync", "os"]


class Ours(Subject):
    """A store as it is: nothing is tuned but the durability that is asked for."""

    def __init__(self, folder: Path, *, synced: bool = True) -> None:
        super().__init__(folder, synced=synced)
        self._store = FeedbackStore(self._opened("sync" if synced else "os"))

    def _opened(self, durability: Durability) -> Store:
        """Return the store in the folder."""
        raise NotImplementedError

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

    def page(self) -> Found:
        """See `FeedbackStore.page`."""
        return self._found(
            Query(
                since=asked.SINCE, until=asked.UNTIL, issues=[asked.ISSUE], rating=Rating.NEGATIVE
            )
        )

    def search(self) -> Found:
        """See `FeedbackStore.page`."""
        return self._found(Query(text=asked.TEXT))

    def _found(self, query: Query) -> Found:
        page = self._store.page(query, asked.LIMIT)
        return Found(page.total, page.entries)

    def snapshot(self) -> object:
        """See `FeedbackStore.export`."""
        return self._store.export(self.target).entries

    def compact(self) -> None:
        """See `FeedbackStore.compact`."""
        self._store.compact()

    def close(self) -> None:
        """See `FeedbackStore.close`."""
        self._store.close()
