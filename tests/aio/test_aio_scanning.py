"""`AsyncFeedbackStore.scan`: a stream, and what becomes of it when it is left early."""

import contextlib
import gc
import threading
from collections.abc import Iterator
from contextlib import aclosing

import anyio
import anyio.lowlevel
import pytest
from crowd import make, own_threads, until

from feedback_store import FeedbackEntry, FeedbackStore, Query, StoreClosedError, StoreFullError
from feedback_store.aio import AsyncFeedbackStore
from feedback_store.aio.scanning import PIECE_ENTRIES
from feedback_store.backends.memory import MemoryStore

pytestmark = pytest.mark.anyio

LARGE = 100_000


class Stream(MemoryStore):
    """A store that makes its entries while it is read, and knows who closed its scans where."""

    def __init__(self) -> None:
        super().__init__()
        self.made = 0
        self.open = 0
        self.closed_by: list[threading.Thread] = []
        self.fails_at = LARGE
        self.gate = threading.Event()
        self.gate.set()
        self.waits_at = -1

    def scan(self, query: Query) -> Iterator[FeedbackEntry]:
        """Yield entries that are made only now."""
        self._open()
        return self._stream()

    def _stream(self) -> Iterator[FeedbackEntry]:
        self.open += 1
        try:
            for n in range(LARGE):
                if n == self.fails_at:
                    raise StoreFullError("failed")
                if n == self.waits_at:
                    assert self.gate.wait(30)
                self.made += 1
                yield make(str(n))
        finally:
            self.open -= 1
            self.closed_by.append(threading.current_thread())


@pytest.fixture
def stream() -> Stream:
    """Return a long stream."""
    return Stream()


@pytest.fixture
def store(stream: Stream) -> AsyncFeedbackStore:
    """Return a store around it."""
    return AsyncFeedbackStore(FeedbackStore(stream), max_threads=2)


async def test_it_streams(stream: Stream, store: AsyncFeedbackStore) -> None:
    """What is read ahead is bounded, and all comes, in order."""
    async with store:
        seen, ahead = 0, 0
        async for entry in store.scan():
            assert str(seen) == entry.id
            seen += 1
            ahead = max(ahead, stream.made - seen)
            if seen == 5000:
                break
        assert ahead < PIECE_ENTRIES
        assert 5000 <= stream.made < 5000 + PIECE_ENTRIES


async def test_it_may_be_left_early(stream: Stream, store: AsyncFeedbackStore) -> None:
    """After a `break` the scan is closed, at once and not in the event loop's thread."""
    async with store:
        async for _ in store.scan():
            break
        await until(lambda: stream.open == 0)
    assert threading.current_thread() not in stream.closed_by
    assert 1 == len(stream.closed_by)


async def test_it_may_be_closed(stream: Stream, store: AsyncFeedbackStore) -> None:
    """When `aclose` returns, the scan is closed; nothing more comes; it may be repeated."""
    async with store:
        async with aclosing(store.scan()) as scan:
            assert "0" == (await anext(scan)).id
            assert 1 == stream.open
        assert 0 == stream.open
        await scan.aclose()
        with pytest.raises(StopAsyncIteration):
            await anext(scan)
        unused = store.scan()
        await unused.aclose()
        with pytest.raises(StopAsyncIteration):
            await anext(unused)
    assert threading.current_thread() not in stream.closed_by


async def test_a_cancelled_reader_leaves_nothing_open(
    stream: Stream, store: AsyncFeedbackStore
) -> None:
    """A task that is cancelled within the loop, or within the store, closes its scan."""

    async def read(pause_s: float) -> None:
        async for _ in store.scan():
            await anyio.sleep(pause_s)

    async with store:
        for pause_s in (60, 0):
            with anyio.move_on_after(0.02) as scope:
                await read(pause_s)
            assert scope.cancelled_caught
            gc.collect()
            await until(lambda: stream.open == 0)
    assert threading.current_thread() not in stream.closed_by


async def test_a_timeout_loses_no_entry(stream: Stream, store: AsyncFeedbackStore) -> None:
    """After a timeout the same scan goes on where it was."""
    stream.waits_at = PIECE_ENTRIES + 10
    stream.gate.clear()
    seen: list[str] = []
    async with store:
        scan = store.scan()
        threading.Timer(0.2, stream.gate.set).start()
        with anyio.move_on_after(0.05) as scope:
            async for entry in scan:
                seen.append(entry.id)  # noqa: PERF401  # it is cut off in the middle
        assert scope.cancelled_caught
        async for entry in scan:
            seen.append(entry.id)
            if len(seen) == 3 * PIECE_ENTRIES:
                break
    assert [str(n) for n in range(3 * PIECE_ENTRIES)] == seen


async def test_what_came_before_an_error_comes_first(
    stream: Stream, store: AsyncFeedbackStore
) -> None:
    """An error in the middle is raised after the entries before it, once."""
    stream.fails_at = 300
    seen = 0
    async with store:
        scan = store.scan()
        with contextlib.suppress(StoreFullError):
            async for _ in scan:
                seen += 1
            pytest.fail("the error was swallowed")
        assert 300 == seen
        with pytest.raises(StopAsyncIteration):
            await anext(scan)


async def test_little_is_not_kept_back(stream: Stream, store: AsyncFeedbackStore) -> None:
    """What was found is handed over after a while, though more could be read ahead."""
    stream.waits_at = 3
    stream.gate.clear()
    threading.Timer(0.2, stream.gate.set).start()
    async with store, aclosing(store.scan()) as scan:
        await anext(scan)
        assert stream.made <= 4


async def test_two_tasks_may_share_a_scan(stream: Stream, store: AsyncFeedbackStore) -> None:
    """Each entry comes to one of them."""
    seen: list[str] = []

    async def read() -> None:
        async for entry in scan:
            seen.append(entry.id)
            await anyio.lowlevel.checkpoint()
            if len(seen) > 2000:
                break

    async with store:
        scan = store.scan()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(read)
            tasks.start_soon(read)
        await scan.aclose()
    assert [str(n) for n in range(len(seen))] == sorted(seen, key=int)


async def test_it_ends_with_the_store(stream: Stream, store: AsyncFeedbackStore) -> None:
    """When the store was closed, no scan begins, and none goes on; it can still be closed."""
    scan = store.scan()
    await anext(scan)
    await store.close()
    assert [] == own_threads()
    with pytest.raises(StoreClosedError):
        async for _ in scan:
            pass
    await scan.aclose()
    assert 0 == stream.open
    with pytest.raises(StoreClosedError):
        store.scan()


def test_a_scan_may_outlive_its_loop(stream: Stream, anyio_backend: str) -> None:
    """A scan that is dropped when its loop is gone is closed as well."""
    store = AsyncFeedbackStore(FeedbackStore(stream))

    async def begin() -> object:
        scan = store.scan()
        await anext(scan)
        return scan

    scan = anyio.run(begin, backend=anyio_backend)
    assert 1 == stream.open
    del scan
    gc.collect()  # what ran the loop may remember its last result
    assert 0 == stream.open
    anyio.run(store.close, backend=anyio_backend)
