"""A store in memory: the one to read first, and the one for an app's own tests.

It keeps every promise of `Store` but durability: what it holds is gone with the process.
"""

import threading
from collections.abc import Iterable, Iterator, Sequence

from feedback_store.codec import MAX_ENTRY_BYTES, encode
from feedback_store.entry import FeedbackEntry
from feedback_store.errors import InvalidEntryError, StoreClosedError
from feedback_store.operations import not_found, same_content
from feedback_store.query import Query
from feedback_store.store import Change, Outcome, descending


class MemoryStore:
    """A `Store` that is a dictionary with a lock.

    Args:
        max_entry_bytes: the size that one encoded entry may have, in bytes.
    """

    def __init__(self, *, max_entry_bytes: int = MAX_ENTRY_BYTES) -> None:
        self._entries: dict[str, FeedbackEntry] = {}
        self._lock = threading.Lock()
        self._max_entry_bytes = max_entry_bytes
        self._version = 0
        self._closed = False

    def __repr__(self) -> str:
        """Name the class: there is no location."""
        return "MemoryStore()"

    def append(self, entries: Sequence[FeedbackEntry]) -> Sequence[Outcome]:
        """See `Store.append`."""
        for entry in entries:
            encode(entry, self._max_entry_bytes)
        with self._open():
            self._version += 1
            return [self._append(entry) for entry in entries]

    def _append(self, entry: FeedbackEntry) -> Outcome:
        there = self._entries.get(entry.id)
        if there is None:
            self._entries[entry.id] = entry
            return Outcome.ADDED
        return Outcome.UNCHANGED if same_content(there, entry) else Outcome.CONFLICT

    def scan(self, query: Query) -> Iterator[FeedbackEntry]:
        """See `Store.scan`."""
        with self._open():
            entries = list(self._entries.values())
        entries.sort(key=lambda e: (e.timestamp, e.id), reverse=descending(query))
        return iter(entries)

    def rewrite(self, id: str, change: Change) -> FeedbackEntry:
        """See `Store.rewrite`."""
        with self._open():
            if id not in self._entries:
                raise not_found(id)
            old = self._entries[id]
            new = change(old)
            if (new.id, new.timestamp) != (old.id, old.timestamp):
                msg = "a change may not touch id or timestamp"
                raise InvalidEntryError(msg)
            encode(new, self._max_entry_bytes)
            if new == old:
                return old
            self._entries[id] = new
            self._version += 1
            return new

    def erase(self, ids: Iterable[str]) -> int:
        """See `Store.erase`."""
        with self._open():
            self._version += 1
            return sum(self._entries.pop(id, None) is not None for id in set(ids))

    def get(self, id: str) -> FeedbackEntry | None:
        """See `SupportsGet.get`."""
        with self._open():
            return self._entries.get(id)

    def version(self) -> str:
        """See `SupportsVersion.version`."""
        with self._open():
            return str(self._version)

    def close(self) -> None:
        """See `Store.close`."""
        self._closed = True

    def _open(self) -> threading.Lock:
        if self._closed:
            msg = "this store was closed; open it again"
            raise StoreClosedError(msg)
        return self._lock
