"""A scan that is awaited: pieces of it are read in a thread."""

import threading
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Generator, Iterator

from feedback_store.aio.threads import Threads, Waker, result_of, waker
from feedback_store.entry import FeedbackEntry
from feedback_store.errors import StoreClosedError

PIECE_ENTRIES = 256
"""Entries that are read ahead at most."""

PIECE_S = 0.05
"""The time after which what was found is handed over, however little it is."""


class _Source:
    """The side of a scan that blocks. Threads call it, one at a time."""

    def __init__(self, begin: Callable[[], Iterator[FeedbackEntry]]) -> None:
        self._begin = begin
        self._entries: Iterator[FeedbackEntry] | None = None
        self._mutex = threading.Lock()
        self.ready: deque[FeedbackEntry] = deque()
        self.end: Exception | None = None

    @property
    def begun(self) -> bool:
        """Whether there is something to give back."""
        return self._entries is not None

    def read(self) -> None:
        """Read a piece. It is put aside and not returned, so that a cancelled task loses none."""
        with self._mutex:
            if self.ready or self.end is not None:
                return  # another task has come before this one
            try:
                self._read_piece()
            except Exception as error:  # noqa: BLE001  # it is raised after what came before it
                self.end = error
                self._entries = None

    def _read_piece(self) -> None:
        if self._entries is None:
            self._entries = self._begin()
        deadline = time.monotonic() + PIECE_S
        while len(self.ready) < PIECE_ENTRIES:
            entry = next(self._entries, None)
            if entry is None:
                self.end = StopAsyncIteration()
                self._entries = None
                return
            self.ready.append(entry)
            if time.monotonic() >= deadline:
                return

    def close(self) -> None:
        """Give back what the scan holds; nothing more comes."""
        with self._mutex:
            self.ready.clear()
            self.end = StopAsyncIteration()
            entries, self._entries = self._entries, None
            if isinstance(entries, Generator):  # any other one goes with its last holder: here
                entries.close()


class AsyncScan(AsyncIterator[FeedbackEntry]):
    """The entries of a scan, to be read by ``async for``.

    What it holds is given back at its end, by `aclose`, and when the loop that reads it is left
    early: ``break`` needs no more than that.
    """

    def __init__(self, threads: Threads, begin: Callable[[], Iterator[FeedbackEntry]]) -> None:
        self._threads = threads
        self._source = _Source(begin)
        self._wake: Waker | None = None

    async def __anext__(self) -> FeedbackEntry:
        """Return the next entry. After a cancellation, the same call may be made again."""
        source = self._source
        while not source.ready:
            if source.end is not None:
                error, source.end = source.end, StopAsyncIteration()
                raise error
            if self._wake is None:
                self._wake = waker()
            await self._threads.run(source.read)
        return source.ready.popleft()

    async def aclose(self) -> None:
        """End the scan early; may be repeated."""
        if self._wake is None:  # nothing was read
            self._source.close()
            return
        try:
            closing = self._threads.submit(self._source.close)
        except StoreClosedError:
            self._source.close()
        else:
            await result_of(closing, withdraw=False)

    def __del__(self) -> None:
        """Close the scan in a thread: this one may be the event loop's.

        And it may be in the hands of a garbage collector, so that no lock may be taken here that
        others take. So the loop is asked to ask a thread.
        """
        threads, source = self._threads, self._source
        if (
            self._wake is not None
            and source.begun
            and not self._wake(lambda: threads.tidy(source.close))
        ):
            source.close()
