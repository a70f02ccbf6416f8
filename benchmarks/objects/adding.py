"""Callers that add at the same time: threads, tasks, and threads that put objects by hand."""

import asyncio
import time
from collections.abc import Sequence
from typing import Any

from benchmarks.entries import line_of
from benchmarks.objects import by_hand
from benchmarks.objects.place import Place
from benchmarks.tasks import in_threads
from feedback_store import FeedbackEntry, decode, open_async_store, open_store

_NO_DEADLINE = float("inf")


class Adding:
    """Entries that some callers are about to add, each one after the other.

    Args:
        place: an empty one.
        mappings: the entries, the first of which is added beforehand, by nobody of them.
        callers: how many share the others.
    """

    def __init__(self, place: Place, mappings: Sequence[dict[str, Any]], callers: int) -> None:
        self.place = place
        first, *rest = [self.prepared(mapping) for mapping in mappings]
        self.shares = [rest[i::callers] for i in range(callers)]
        self.open(first)

    def prepared(self, mapping: dict[str, Any]) -> Any:  # noqa: ANN401  # each takes a form of its own
        """Return an entry as it is handed over."""
        return decode(line_of(mapping))

    def open(self, first: Any) -> None:  # noqa: ANN401  # as above
        """Make connections, and add the first."""
        raise NotImplementedError

    def run(self) -> dict[str, Any]:
        """Add the rest; tell how many, and when that began and ended."""
        raise NotImplementedError

    def close(self) -> None:
        """Close what is open."""


class ByThreads(Adding):
    """Threads that call `FeedbackStore.add`."""

    def open(self, first: FeedbackEntry) -> None:
        """See `Adding.open`."""
        self._store = open_store(self.place.url, storage_options=self.place.options)
        self._store.add(first)

    def run(self) -> dict[str, Any]:
        """See `Adding.run`."""
        return in_threads([(self._store.add, share) for share in self.shares], _NO_DEADLINE)

    def close(self) -> None:
        """See `Adding.close`."""
        self._store.close()


class ByTasks(Adding):
    """Tasks of asyncio that await `AsyncFeedbackStore.add`."""

    def open(self, first: FeedbackEntry) -> None:
        """See `Adding.open`."""
        self._store = open_async_store(self.place.url, storage_options=self.place.options)
        self._runner = asyncio.Runner()
        self._runner.run(self._add([first]))

    async def _add(self, entries: Sequence[FeedbackEntry]) -> None:
        for entry in entries:
            await self._store.add(entry)

    async def _add_all(self) -> None:
        await asyncio.gather(*map(self._add, self.shares))

    def run(self) -> dict[str, Any]:
        """See `Adding.run`."""
        began = time.monotonic()
        self._runner.run(self._add_all())
        return {"done": sum(map(len, self.shares)), "began": began, "ended": time.monotonic()}

    def close(self) -> None:
        """See `Adding.close`."""
        self._runner.run(self._store.close())
        self._runner.close()


class ByHand(Adding):
    """Threads that put an object for each entry, and look at nothing before."""

    def prepared(self, mapping: dict[str, Any]) -> tuple[str, bytes]:
        """Return the key and the bytes: encoding is not part of the limit."""
        return f"{self.place.root}/{mapping['message_id']}", line_of(mapping)

    def open(self, first: tuple[str, bytes]) -> None:
        """See `Adding.open`."""
        self._filesystem = by_hand.filesystem(self.place)
        self._put(first)

    def _put(self, prepared: tuple[str, bytes]) -> None:
        self._filesystem.pipe_file(*prepared)

    def run(self) -> dict[str, Any]:
        """See `Adding.run`."""
        return in_threads([(self._put, share) for share in self.shares], _NO_DEADLINE)


KINDS: dict[str, type[Adding]] = {"threads": ByThreads, "tasks": ByTasks, "by hand": ByHand}
"""Who adds, by the name that a task has."""
