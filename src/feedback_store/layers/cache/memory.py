"""What a cache remembers, and until when it counts: bounded, shared by threads, and forgetful.

Results belong to a *generation*. Whoever is about to read takes its number first, and what was
read is kept only while that number still stands. Every write begins a new generation, and so does
every new version of the store: a reader that began before can be as slow as it likes, it never
puts back what it saw.
"""

import math
import threading
from collections.abc import Hashable
from typing import Final

import attrs
from cachetools import LRUCache

from feedback_store.forking import Renewed, watch_forks
from feedback_store.layers.cache.sizes import size_bytes
from feedback_store.query import Page

ABSENT: Final = object()
"""What `Memory.find` returns when nothing is remembered: None is an answer too."""

_RESULT_BYTES = 600
"""What it costs to remember a result, besides the result and its key: places in two tables."""


@attrs.frozen(kw_only=True)
class CacheInfo:
    """What a cache did so far, and what it holds.

    Attributes:
        hits: questions that were answered from what was remembered.
        misses: questions that the store below was asked.
        evictions: results that were dropped to make room for others.
        results: how many results are remembered.
        entries: how many entries they hold in all; a result without any counts as one.
        size_bytes: how many bytes they take, as estimated.
    """

    hits: int = 0
    misses: int = 0
    evictions: int = 0
    results: int = 0
    entries: int = 0
    size_bytes: int = 0


@attrs.frozen
class _Kept:
    """A result that is remembered."""

    value: object
    until: float
    entries: int
    size_bytes: int


class Memory(Renewed):
    """Results by their questions, the least recently used dropped first.

    The lock is held for moments only, and never while a store is asked.

    Attributes:
        generation: the number of the present generation.
        until: the time from which on the store's version must be asked again.
    """

    def __init__(self, max_entries: int, max_bytes: int) -> None:
        self._max_entries = max_entries
        self._max_bytes = max_bytes
        self.generation = 0
        self._begin()
        watch_forks(self)

    def _begin(self) -> None:
        self._lock = threading.Lock()
        self._hits = self._misses = self._evictions = self._writers = 0
        self._forget()

    def _forget(self) -> None:
        self._results: LRUCache[Hashable, _Kept] = LRUCache(self._max_bytes, _size_bytes_of)
        self._entries = 0
        self._token: str | None = None
        self.until = -math.inf
        self.generation += 1

    def forget(self) -> None:
        """Begin a new generation, which knows nothing."""
        with self._lock:
            self._forget()

    def begin_write(self) -> None:
        """Forget everything, and keep nothing until the write has ended.

        Somebody may see a write before it returns. Were old results served meanwhile, a thread
        could see it by one question, and then not by the next.
        """
        with self._lock:
            self._writers += 1
            self._forget()

    def end_write(self) -> None:
        """Keep results again, but none of a reader that began during the write."""
        with self._lock:
            self._writers = max(0, self._writers - 1)  # a child is born into a write of nobody
            self._forget()

    def confirm(self, token: str, until: float) -> int:
        """Take in the version of the store; return the generation to which it belongs.

        Readers may come here in another order than that in which they were told their versions.
        It does no harm: what is kept now is read after this, so it is newer than any of them.

        Args:
            token: the version.
            until: the time from which on it must be asked again.
        """
        with self._lock:
            if token != self._token:
                self._forget()
                self._token = token
            self.until = until
            return self.generation

    def find(self, key: Hashable, now: float) -> object:
        """Return what is remembered, or `ABSENT`.

        It is of the present generation, which is never older than the reader's.
        """
        with self._lock:
            try:
                kept = self._results[key]  # not by get(), which looks twice
            except KeyError:
                kept = None
            if kept is None or now >= kept.until:
                self._misses += 1
                return ABSENT
            self._hits += 1
            return kept.value

    def keep(self, key: Hashable, value: object, generation: int, until: float) -> None:
        """Remember a result of that generation, unless it is over, or the result too large."""
        if generation != self.generation:
            return  # to weigh it would be in vain
        entries = max(1, len(value.entries)) if isinstance(value, Page) else 1
        size = _RESULT_BYTES + size_bytes(key) + size_bytes(value)
        if entries > self._max_entries or size > self._max_bytes:
            return
        kept = _Kept(value, until, entries, size)
        with self._lock:
            if generation != self.generation or self._writers:
                return
            self._entries -= self._results.pop(key).entries if key in self._results else 0
            self._make_room(kept)
            self._results[key] = kept
            self._entries += entries

    def _make_room(self, kept: _Kept) -> None:
        while (
            self._entries + kept.entries > self._max_entries
            or self._results.currsize + kept.size_bytes > self._max_bytes
        ):
            self._entries -= self._results.popitem()[1].entries
            self._evictions += 1

    def info(self) -> CacheInfo:
        """Return what was counted, all at one moment."""
        with self._lock:
            return CacheInfo(
                hits=self._hits,
                misses=self._misses,
                evictions=self._evictions,
                results=len(self._results),
                entries=self._entries,
                size_bytes=int(self._results.currsize),
            )

    def after_fork_in_child(self) -> None:
        """Start anew: another thread of the parent may have held the lock, or been writing."""
        self._begin()


def _size_bytes_of(kept: _Kept) -> int:
    return kept.size_bytes
