"""Cancellation and timeouts: nothing acknowledged is lost, nobody hangs, no thread is left."""

import asyncio
import os
import random
import threading
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import anyio
import anyio.lowlevel
import pytest
from crowd import Crowd, a_crowd, make, own_threads, until

from feedback_store import Outcome, open_async_store, open_store
from feedback_store.aio import AsyncFeedbackStore

pytestmark = pytest.mark.anyio
crowd = pytest.fixture(a_crowd)

on_asyncio = pytest.mark.parametrize("anyio_backend", ["asyncio"])


async def test_one_that_waits_is_withdrawn(crowd: Crowd) -> None:
    """Cancelled before its group was taken, an entry is never written; the task ends at once."""
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(crowd.add, "a")
        await until(lambda: crowd.medium.at_work)
        with pytest.raises(TimeoutError), anyio.fail_after(0.01):
            await crowd.store.add(make("b"))
        assert [] == crowd.waiting
        tasks.start_soon(crowd.add, "c")
        await until(lambda: crowd.waiting == ["c"])
        crowd.medium.let_go.set()
    assert [["a"], ["c"]] == crowd.medium.groups


async def test_one_that_is_written_is_waited_for(crowd: Crowd) -> None:
    """Cancelled while its group is under way, a task ends after it; the entry is stored."""
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(crowd.add, "a")
        await until(lambda: crowd.medium.at_work)
        tasks.cancel_scope.cancel()
        with anyio.CancelScope(shield=True):
            before = time.thread_time()
            await anyio.sleep(0.2)
            assert {} == crowd.outcomes
            assert time.thread_time() - before < 0.1  # it waits, and does not ask again and again
        crowd.medium.let_go.set()
    assert {"a": "cancelled"} == crowd.outcomes
    assert ["a"] == crowd.stored()


async def test_who_came_first_may_be_cancelled(crowd: Crowd) -> None:
    """The cancellation of the task that set a thread to work harms no one who came later."""
    first = anyio.CancelScope()

    async def lead() -> None:
        with first:
            await crowd.add("a")

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(lead)
        await until(lambda: crowd.medium.at_work)
        for id in "bcd":
            tasks.start_soon(crowd.add, id)
        await crowd.queue(3)
        first.cancel()
        await anyio.lowlevel.checkpoint()
        crowd.medium.let_go.set()
    assert {"a": "cancelled", **dict.fromkeys("bcd", Outcome.ADDED)} == crowd.outcomes
    assert [["a"], ["b", "c", "d"]] == [sorted(group) for group in crowd.medium.groups]


async def test_a_group_that_is_all_cancelled_leaves_nothing_behind(crowd: Crowd) -> None:
    """When all who wait are cancelled, the next that comes is served."""
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(crowd.add, "a")
        await until(lambda: crowd.medium.at_work)
        with anyio.move_on_after(0.01):
            async with anyio.create_task_group() as cancelled:
                for n in range(20):
                    cancelled.start_soon(crowd.add, str(n))
        crowd.medium.let_go.set()
    with anyio.fail_after(10):
        await crowd.add("b")
    assert [["a"], ["b"]] == crowd.medium.groups


async def test_a_cancelled_scope_begins_nothing(crowd: Crowd) -> None:
    """In a scope that is cancelled already, no verb begins its work."""
    calls: list[Callable[[], Awaitable[object]]] = [
        lambda: crowd.store.add(make("a")),
        lambda: crowd.store.put(make("a")),
        crowd.store.count,
    ]
    for call in calls:
        with anyio.CancelScope() as scope:
            scope.cancel()
            await call()
    assert [] == crowd.medium.groups
    assert 0 == crowd.medium.most_at_work
    assert [] == own_threads()


async def test_a_call_under_way_is_waited_for(crowd: Crowd) -> None:
    """A timeout of another verb comes when its thread has ended, not before."""
    threading.Timer(0.4, crowd.medium.let_go.set).start()
    with pytest.raises(TimeoutError), anyio.fail_after(0.2):
        await crowd.store.count()
    assert crowd.medium.let_go.is_set()
    assert 0 == crowd.medium.at_work


@on_asyncio
@pytest.mark.parametrize("verb", ["add", "put", "count"])
async def test_timeouts_of_asyncio_leave_no_thread_at_work(crowd: Crowd, verb: str) -> None:
    """What asyncio cancels by its own means is waited for as well, however often it does."""
    calls: dict[str, Callable[[], Awaitable[object]]] = {
        "add": lambda: crowd.store.add(make("a")),
        "put": lambda: crowd.store.put(make("a")),
        "count": crowd.store.count,
    }

    async def call() -> None:
        async with asyncio.timeout(0.15):
            await calls[verb]()

    task = asyncio.create_task(call())
    await until(lambda: crowd.medium.at_work)
    await asyncio.sleep(0.2)
    assert not task.done()
    task.cancel()
    await asyncio.sleep(0.01)
    assert not task.done()
    crowd.medium.let_go.set()
    with pytest.raises((TimeoutError, asyncio.CancelledError)):
        await task
    assert 0 == crowd.medium.at_work
    assert ([] if verb == "count" else ["a"]) == crowd.stored()


@on_asyncio
async def test_cancelled_calls_do_not_exceed_the_threads(crowd: Crowd) -> None:
    """However many calls time out, no more threads are at work than were allowed."""
    tasks = [asyncio.create_task(crowd.store.count()) for _ in range(20)]
    await until(lambda: crowd.medium.at_work == 2)
    for task in tasks:
        task.cancel()
    done, pending = await asyncio.wait(tasks, timeout=0.1)
    assert (18, 2) == (len(done), len(pending))
    assert 2 == crowd.medium.at_work == crowd.medium.most_at_work
    crowd.medium.let_go.set()
    await asyncio.wait(pending)
    assert 2 == crowd.medium.most_at_work


class Storm:
    """A thousand tasks that add, of which 300 are cancelled at random moments."""

    def __init__(self, store: AsyncFeedbackStore, seed: int) -> None:
        self.store = store
        self.random = random.Random(seed)
        self.ids = [str(n) for n in range(1000)]
        self.victims = set(self.random.sample(self.ids, 300))
        self.begun = {id: anyio.Event() for id in self.victims}
        self.acknowledged: set[str] = set()
        self.cancelled: set[str] = set()

    async def add(self, id: str) -> None:
        """Add an entry at some moment."""
        await anyio.sleep(self.random.uniform(0, 0.1))
        if id in self.victims:
            self.begun[id].set()
        try:
            await self.store.add(make(id))
        except anyio.get_cancelled_exc_class():
            self.cancelled.add(id)
            raise
        self.acknowledged.add(id)

    async def cancel(self, id: str, cancel: Callable[[], object]) -> None:
        """Cancel a task as soon as it has begun to add, or at some moment of a commit."""
        await self.begun[id].wait()
        await anyio.sleep(self.random.choice([0, self.random.uniform(0, 0.006)]))
        cancel()

    async def by_scopes(self) -> None:
        """Cancel as anyio and trio do."""

        async def add(id: str, scope: anyio.CancelScope) -> None:
            with scope:
                await self.add(id)

        async with anyio.create_task_group() as tasks:
            for id in self.ids:
                scope = anyio.CancelScope()
                tasks.start_soon(add, id, scope)
                if id in self.victims:
                    tasks.start_soon(self.cancel, id, scope.cancel)

    async def by_tasks(self) -> None:
        """Cancel as asyncio does."""
        adding = {id: asyncio.create_task(self.add(id)) for id in self.ids}
        async with anyio.create_task_group() as tasks:
            for id in self.victims:
                tasks.start_soon(self.cancel, id, adding[id].cancel)
        await asyncio.wait(adding.values())

    def check(self, folder: Path) -> None:
        """See that nothing acknowledged is lost, and that nobody else was cancelled."""
        assert self.cancelled <= self.victims
        assert 50 < len(self.cancelled)  # not all: some were done before
        assert set(self.ids) - self.victims <= self.acknowledged
        assert set(self.ids) == self.acknowledged | self.cancelled
        assert [] == own_threads()
        with open_store(folder) as reopened:
            assert self.acknowledged <= {entry.id for entry in reopened.scan()}


@pytest.fixture
def slow_syncs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every sync take a while, so that many are cancelled in the middle of it."""
    sync = os.fdatasync

    def slow(descriptor: int) -> None:
        time.sleep(0.003)
        sync(descriptor)

    monkeypatch.setattr(os, "fdatasync", slow)


@pytest.mark.usefixtures("slow_syncs")
@pytest.mark.parametrize("seed", range(3))
async def test_a_storm_of_cancellations_loses_nothing(tmp_path: Path, seed: int) -> None:
    """Every acknowledged entry is stored, every task that was not cancelled is acknowledged."""
    with anyio.fail_after(60):
        async with open_async_store(tmp_path) as store:
            storm = Storm(store, seed)
            await storm.by_scopes()
    storm.check(tmp_path)


@on_asyncio
@pytest.mark.usefixtures("slow_syncs")
@pytest.mark.parametrize("seed", range(3))
async def test_a_storm_of_asyncios_own_loses_nothing(tmp_path: Path, seed: int) -> None:
    """The same when the tasks are cancelled by asyncio's own means."""
    with anyio.fail_after(60):
        async with open_async_store(tmp_path) as store:
            storm = Storm(store, seed)
            await storm.by_tasks()
    storm.check(tmp_path)
