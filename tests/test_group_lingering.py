"""Stores whose group commit waits for those who are likely to come."""

import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import anyio
import pytest

from feedback_store import FeedbackEntry, Outcome, open_store
from feedback_store.aio import AsyncFeedbackStore
from feedback_store.backends.memory import MemoryStore
from feedback_store.facade import FeedbackStore
from feedback_store.group_commit import AT_ONCE, GroupCommit, Grouping, grouping_of
from feedback_store.layers import CachedStore

LONG_S = 100.0
"""Who waits for so long in vain does not end before the test does."""

CALLERS = 10
EACH = 20


def entry(id: object) -> FeedbackEntry:
    """Return an entry with that id."""
    return FeedbackEntry(message_id=str(id), question="", answer="")


class SlowStore(MemoryStore):
    """A store that takes a while for an append, and remembers how many came together."""

    def __init__(self, grouping: Grouping) -> None:
        super().__init__()
        self.grouping = grouping
        self.groups: list[int] = []

    def append(self, entries: Sequence[FeedbackEntry]) -> list[Outcome]:
        """See `Store.append`."""
        self.groups.append(len(entries))
        time.sleep(0.005)
        return list(super().append(entries))


def test_a_lone_thread_never_waits() -> None:
    """However long others would be waited for."""
    store = SlowStore(Grouping(LONG_S))
    group = GroupCommit(store.append, store.grouping)
    for id in "abc":
        group.add(entry(id))
    assert [1, 1, 1] == store.groups


def crowd(group: GroupCommit) -> None:
    """Let some threads add, each one entry after the other."""
    start = threading.Barrier(CALLERS)

    def work(caller: int) -> None:
        start.wait(60)
        for n in range(EACH):
            group.add(entry(f"{caller}-{n}"))

    with ThreadPoolExecutor(CALLERS) as threads:
        list(threads.map(work, range(CALLERS)))


def test_ten_threads_share_each_append() -> None:
    """None goes alone while the others wait, but for the first, and who is left at the end."""
    store = SlowStore(Grouping(1.0))
    crowd(GroupCommit(store.append, store.grouping))
    assert CALLERS * EACH == sum(store.groups)
    assert len(store.groups) <= EACH + 2
    assert {CALLERS} == set(store.groups[2:-2])


def test_a_full_batch_does_not_wait() -> None:
    """Nor does it take more than it may."""
    store = SlowStore(Grouping(LONG_S, max_batch=5))
    group = GroupCommit(store.append, store.grouping)
    threads = [threading.Thread(target=group.add, args=(entry(n),)) for n in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert 16 == sum(store.groups)
    assert 5 == max(store.groups)


def test_who_comes_again_is_not_waited_for_longer() -> None:
    """As soon as all are there who are likely to come, the group goes."""
    store = SlowStore(Grouping(LONG_S))
    group = GroupCommit(store.append, store.grouping)
    with ThreadPoolExecutor(2) as threads:
        first = threads.submit(group.add, entry("a"))
        while not store.groups:
            time.sleep(0.0001)
        second = threads.submit(group.add, entry("b"))
        first.result(60)
        time.sleep(0.05)  # so that who leads now waits already
        group.add(entry("c"))
        second.result(60)
    assert [1, 2] == store.groups


def test_who_does_not_come_is_not_waited_for_long() -> None:
    """The time that was told is the longest wait."""
    arrived, let_go = threading.Event(), threading.Event()
    groups: list[int] = []

    def append(entries: Sequence[FeedbackEntry]) -> list[Outcome]:
        groups.append(len(entries))
        arrived.set()
        assert let_go.wait(60)
        return [Outcome.ADDED] * len(entries)

    group = GroupCommit(append, Grouping(0.2))
    with ThreadPoolExecutor(2) as threads:
        first = threads.submit(group.add, entry("a"))
        assert arrived.wait(60)
        second = threads.submit(group.add, entry("b"))
        while not group._queue.waiting:
            time.sleep(0.001)
        let_go.set()
        begun = time.monotonic()
        assert [Outcome.ADDED] * 2 == [first.result(60), second.result(60)]
    assert [1, 1] == groups
    assert time.monotonic() - begun >= 0.15


async def add_some(store: AsyncFeedbackStore, caller: int) -> None:
    """Add entries, one after the other."""
    for n in range(EACH):
        await store.add(entry(f"{caller}-{n}"))


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_ten_tasks_share_each_append(backend: str) -> None:
    """As ten threads do."""
    below = SlowStore(Grouping(1.0))

    async def run() -> None:
        async with (
            AsyncFeedbackStore(FeedbackStore(below)) as store,
            anyio.create_task_group() as g,
        ):
            for caller in range(CALLERS):
                g.start_soon(add_some, store, caller)

    anyio.run(run, backend=backend)
    assert CALLERS * EACH == sum(below.groups)
    assert len(below.groups) <= EACH + 2
    assert {CALLERS} == set(below.groups[2:-2])


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_lone_task_never_waits(backend: str) -> None:
    """However long others would be waited for; the thread that serves ends with the store."""
    below = SlowStore(Grouping(linger_s := 2.0))

    async def run() -> None:
        async with AsyncFeedbackStore(FeedbackStore(below)) as store:
            begun = time.monotonic()
            for id in "abc":
                await store.add(entry(id))
            assert time.monotonic() - begun < 2 * linger_s  # or each would have waited once

    anyio.run(run, backend=backend)
    assert [1, 1, 1] == below.groups


def test_layers_pass_on_what_the_store_wishes() -> None:
    """A cache in front of a bucket does not change how many requests there are."""
    with open_store("memory://wishes", linger_s=0.2, max_batch=7, cache_ttl_s=60) as store:
        assert isinstance(store.store, CachedStore)
        assert Grouping(0.2, 7) == grouping_of(store.store) == grouping_of(store.store.store)
    assert AT_ONCE == grouping_of(MemoryStore()) == Grouping(0.0)


@pytest.mark.parametrize("wrong", [{"linger_s": -1.0}, {"max_batch": 0}])
def test_nonsense_is_refused(wrong: dict[str, Any]) -> None:
    """Before anything is written."""
    with pytest.raises(ValueError, match=next(iter(wrong))):
        open_store("memory://nonsense", **wrong)
