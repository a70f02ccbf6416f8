"""`AsyncFeedbackStore`: what asynchronous apps hold."""

from collections.abc import AsyncIterable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from feedback_store.aio.grouping import AsyncGroupCommit
from feedback_store.aio.scanning import AsyncScan
from feedback_store.aio.threads import Threads, result_of
from feedback_store.batch import BatchResult
from feedback_store.entry import FeedbackEntry
from feedback_store.facade import FeedbackStore
from feedback_store.group_commit import grouping_of
from feedback_store.operations import conflict
from feedback_store.query import Page, Query
from feedback_store.redaction import checked
from feedback_store.report import CheckReport, CompactReport
from feedback_store.stats import Stats
from feedback_store.store import Outcome, Store
from feedback_store.subscription import Callback, Subscription

if TYPE_CHECKING:
    import os

    from feedback_store.snapshot import Manifest

_EVERYTHING = Query()
_BATCH = 1000


class AsyncFeedbackStore:
    """The verbs of `FeedbackStore`, awaited: same arguments, same answers, same errors.

    Open one by `feedback_store.open_async_store`, or put it around any `FeedbackStore`. It runs
    on asyncio and on trio, and belongs to no event loop: it may be used in one after another. As
    an asynchronous context manager it closes itself.

    The calls run in threads of its own. Any number of tasks that `add` at the same time need one
    thread and share syncs; all other verbs have ``max_threads``.

    Cancellation: a call that has not begun is withdrawn. One that has begun is waited for, and the
    cancellation is raised when it has ended, so that no thread is left at work. Whether a
    cancelled write was stored is unknown to its caller; the same call may be made again.

    Args:
        feedback: the store whose verbs these are.
        max_threads: how many calls may run at the same time, ``add`` apart.
    """

    def __init__(self, feedback: FeedbackStore, *, max_threads: int = 8) -> None:
        self._feedback = feedback
        self._threads = Threads(max_threads, "feedback_store")
        # Of its own, so that no number of slow reads keeps a thumb from being acknowledged.
        self._writer = Threads(1, "feedback_store-add")
        self._group = AsyncGroupCommit(feedback.add_each, self._writer, grouping_of(feedback.store))

    def __repr__(self) -> str:
        """Show the store and its location."""
        return f"AsyncFeedbackStore({self._feedback.store!r})"

    @property
    def store(self) -> Store:
        """The store below, for what only it can do; its calls block."""
        return self._feedback.store

    async def add(self, entry: FeedbackEntry) -> Outcome:
        """Store a new entry, durably; tasks that add at the same time share one sync.

        See `FeedbackStore.add`.
        """
        checked(entry)  # here, so that it harms nobody who shares the group
        outcome = await self._group.add(entry)
        if outcome is Outcome.CONFLICT:
            raise conflict(entry.id)
        return outcome

    async def add_many(
        self, entries: Iterable[FeedbackEntry] | AsyncIterable[FeedbackEntry]
    ) -> BatchResult:
        """Store many entries, a batch at a time; see `FeedbackStore.add_many`.

        They may also come from an asynchronous iterable. Any other one is read in a thread,
        because it may block. Cancelled, it ends between two batches.
        """
        if isinstance(entries, AsyncIterable):
            return await self._add_stream(entries)
        result, remaining = BatchResult(), iter(entries)
        while (part := await self._add_batch(islice(remaining, _BATCH))).total:
            result += part
        return result

    async def _add_stream(self, entries: AsyncIterable[FeedbackEntry]) -> BatchResult:
        result = BatchResult()
        batch: list[FeedbackEntry] = []
        async for entry in entries:
            batch.append(entry)
            if len(batch) == _BATCH:
                result += await self._add_batch(batch)
                batch = []
        return result + await self._add_batch(batch)

    async def _add_batch(self, batch: Iterable[FeedbackEntry]) -> BatchResult:
        return await self._threads.run(self._feedback.add_many, batch)

    async def add_each(self, entries: Sequence[FeedbackEntry]) -> Sequence[Outcome]:
        """Store some entries by one append, and say what became of each.

        See `FeedbackStore.add_each`.
        """
        return await self._threads.run(self._feedback.add_each, entries)

    async def put(self, entry: FeedbackEntry) -> Outcome:
        """Store an entry in place of whatever stands under its id; see `FeedbackStore.put`."""
        return await self._threads.run(self._feedback.put, entry)

    async def update(
        self, id: str, *, add_issues: Iterable[str] = (), **fields: Any  # noqa: ANN401  # any field's value
    ) -> FeedbackEntry:  # fmt: skip
        """Change an entry, as one step; see `FeedbackStore.update`."""
        return await self._threads.run(self._feedback.update, id, add_issues=add_issues, **fields)

    async def delete(self, *ids: str) -> int:
        """Erase entries from the medium itself; see `FeedbackStore.delete`."""
        return await self._threads.run(self._feedback.delete, *ids)

    async def delete_where(self, query: Query) -> int:
        """Erase every entry that matches; see `FeedbackStore.delete_where`."""
        return await self._threads.run(self._feedback.delete_where, query)

    async def get(self, id: str) -> FeedbackEntry:
        """Return the entry, or raise when there is none; see `FeedbackStore.get`."""
        return await self._threads.run(self._feedback.get, id)

    async def find(self, id: str) -> FeedbackEntry | None:
        """Return the entry, or None when there is none."""
        return await self._threads.run(self._feedback.find, id)

    def scan(self, query: Query = _EVERYTHING) -> AsyncScan:
        """Return every entry that matches, for ``async for``; see `FeedbackStore.scan`.

        They are as of the moment when the first is asked for. Threads read them a piece at a
        time, so that the memory is constant here as well.
        """
        self._threads.check_open()
        return AsyncScan(self._threads, lambda: self._feedback.scan(query))

    async def page(
        self,
        query: Query = _EVERYTHING,
        limit: int = 50,
        *,
        cursor: str | None = None,
        page: int | None = None,
    ) -> Page:
        """Return one page of what matches, newest first; see `FeedbackStore.page`."""
        return await self._threads.run(self._feedback.page, query, limit, cursor=cursor, page=page)

    async def count(self, query: Query = _EVERYTHING) -> int:
        """Return how many entries match."""
        return await self._threads.run(self._feedback.count, query)

    async def stats(self, query: Query = _EVERYTHING) -> Stats:
        """Return the numbers about what matches."""
        return await self._threads.run(self._feedback.stats, query)

    async def export(
        self, target: "str | os.PathLike[str]", query: Query = _EVERYTHING, **options: Any  # noqa: ANN401  # those of a snapshot
    ) -> "Manifest":  # fmt: skip
        """Write what matches to one file that is always whole; see `FeedbackStore.export`."""
        return await self._threads.run(self._feedback.export, target, query, **options)

    async def check(self) -> CheckReport:
        """Examine the store; see `FeedbackStore.check`."""
        return await self._threads.run(self._feedback.check)

    async def compact(self) -> CompactReport:
        """Give back the space of superseded entries; see `FeedbackStore.compact`."""
        return await self._threads.run(self._feedback.compact)

    def on_change(self, callback: Callback, *, max_queued: int = 1000) -> Subscription:
        """Tell a callback of every change; see `FeedbackStore.on_change`. This is not awaited.

        The callback is no coroutine: it is called in a thread of its own. From there
        ``asyncio.run_coroutine_threadsafe``, or ``anyio.from_thread``, lead back to a loop.
        """
        return self._feedback.on_change(callback, max_queued=max_queued)

    async def close(self) -> None:
        """Close the store when all calls that are under way have ended; may be repeated.

        Calls that come from now on raise `StoreClosedError`. A cancellation is raised when the
        store is closed.
        """
        self._threads.close()
        self._writer.close()
        with ThreadPoolExecutor(1, "feedback_store-close") as closer:
            await result_of(closer.submit(self._close), withdraw=False)

    aclose = close
    """The name that `contextlib.aclosing` calls."""

    def _close(self) -> None:
        self._writer.finish()
        self._threads.finish()
        self._feedback.close()

    async def __aenter__(self) -> Self:
        """Return the store itself."""
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the store."""
        await self.close()
