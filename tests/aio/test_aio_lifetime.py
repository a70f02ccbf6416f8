"""From opening to closing: event loops, forks, threads, and what must be installed."""

import importlib.util
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Awaitable, Callable

import anyio
import pytest
from crowd import Crowd, a_crowd, make, own_threads, until

from feedback_store import (
    FeedbackStore,
    MissingExtraError,
    Outcome,
    StoreClosedError,
    open_async_store,
)
from feedback_store.aio import AsyncFeedbackStore, _extra
from feedback_store.backends.memory import MemoryStore

crowd = pytest.fixture(a_crowd)


def test_a_missing_package_is_told_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without anyio, the error says which extra to install."""
    find = importlib.util.find_spec
    monkeypatch.setattr(_extra, "find_spec", lambda name: None if name == "anyio" else find(name))
    with pytest.raises(MissingExtraError, match=r"anyio.*feedback-store\[async\]") as caught:
        _extra.require_extra()
    assert "anyio" == caught.value.name


WITHOUT_ANYIO = """
import sys
sys.modules["anyio"] = None
import importlib.util
find = importlib.util.find_spec
importlib.util.find_spec = lambda name: None if name == "anyio" else find(name)
from feedback_store import MissingExtraError, open_async_store, open_store
open_store("mem://").close()
try:
    open_async_store("mem://")
except MissingExtraError as error:
    print(error)
"""


def test_all_else_works_without_it() -> None:
    """Without anyio the package is imported, and only `open_async_store` fails."""
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_ANYIO], capture_output=True, text=True, check=True
    )
    assert "pip install 'feedback-store[async]'" in done.stdout


def test_threads_must_be_some() -> None:
    """No thread at all is refused."""
    with pytest.raises(ValueError, match="max_threads must be 1 or more"):
        AsyncFeedbackStore(FeedbackStore(MemoryStore()), max_threads=0)


@pytest.mark.anyio
async def test_after_close_every_verb_raises() -> None:
    """Closing may be repeated, and every other verb raises then."""
    async with open_async_store("mem://") as store:
        await store.add(make("a"))
    await store.close()
    await store.aclose()
    calls: list[Callable[[], Awaitable[object]]] = [
        lambda: store.add(make("a")),
        lambda: store.add_each([make("a")]),
        lambda: store.add_many([make("a")]),
        lambda: store.put(make("a")),
        lambda: store.update("a", rating=1),
        lambda: store.delete("a"),
        lambda: store.get("a"),
        lambda: store.find("a"),
        store.page,
        store.count,
        store.stats,
        store.check,
        store.compact,
    ]
    for call in calls:
        with pytest.raises(StoreClosedError):
            await call()
    with pytest.raises(StoreClosedError):
        store.scan()
    with pytest.raises(StoreClosedError):
        store.on_change(print)
    assert [] == own_threads()


@pytest.mark.anyio
async def test_closing_waits_for_what_is_under_way(crowd: Crowd) -> None:
    """Adds that wait are served and calls are answered before the store is closed."""
    counts: list[int] = []

    async def count() -> None:
        counts.append(await crowd.store.count())

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(count)
        tasks.start_soon(crowd.add, "a")
        await until(lambda: crowd.medium.at_work == 2)
        tasks.start_soon(crowd.add, "b")
        await until(lambda: crowd.waiting == ["b"])
        tasks.start_soon(crowd.store.close)
        await until(lambda: "feedback_store-close_0" in own_threads())
        with pytest.raises(StoreClosedError):
            await crowd.store.add(make("late"))
        crowd.medium.let_go.set()
    assert dict.fromkeys("ab", Outcome.ADDED) == crowd.outcomes
    assert [["a"], ["b"]] == crowd.medium.groups
    assert 1 == len(counts)


@pytest.mark.anyio
async def test_a_cancelled_close_closes(crowd: Crowd) -> None:
    """A store whose block is cancelled is closed all the same, and its threads end."""
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(crowd.add, "a")
        await until(lambda: crowd.medium.at_work)
        with anyio.CancelScope() as scope:
            scope.cancel()
            threading.Timer(0.05, crowd.medium.let_go.set).start()
            await crowd.store.close()
        assert [] == own_threads()
    with pytest.raises(StoreClosedError):
        crowd.medium.append([])


def test_it_belongs_to_no_loop() -> None:
    """One store serves one event loop after another, of either kind, and several at once."""
    store = open_async_store("mem://")

    async def use(id: str) -> int:
        await store.add(make(id))
        return len([entry async for entry in store.scan()])

    for n, backend in enumerate(["asyncio", "trio", "asyncio", "trio"], 1):
        assert n == anyio.run(use, str(n), backend=backend)

    async def add_some(prefix: str) -> None:
        async with anyio.create_task_group() as tasks:
            for n in range(100):
                tasks.start_soon(store.add, make(f"{prefix}-{n}"))

    loops = [
        threading.Thread(target=lambda b=backend: anyio.run(add_some, b, backend=b))
        for backend in ("asyncio", "trio")
    ]
    for loop in loops:
        loop.start()
    for loop in loops:
        loop.join()
    assert 204 == anyio.run(store.count)
    anyio.run(store.close)
    assert [] == own_threads()


def test_an_app_may_forget_to_close() -> None:
    """A store that nobody holds any more leaves no thread."""
    store = open_async_store("mem://")
    anyio.run(store.add, make("a"))
    anyio.run(store.count)
    threads = [t for t in threading.enumerate() if t.name.startswith("feedback_store")]
    assert 2 == len(threads)
    del store
    for thread in threads:
        thread.join(30)
    assert [] == own_threads()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")  # with threads is the point
@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_child_has_threads_of_its_own(backend: str) -> None:
    """A store that was used before a fork works in the child, as in the parent."""
    store = open_async_store("mem://")

    async def use(id: str) -> int:
        await store.add(make(id))
        return await store.count()

    assert 1 == anyio.run(use, "before", backend=backend)
    pid = os.fork()
    if pid == 0:
        signal.alarm(30)
        os._exit(anyio.run(use, "child", backend=backend))
    assert 2 == os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    assert 2 == anyio.run(use, "parent", backend=backend)
    anyio.run(store.close, backend=backend)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")  # with threads is the point
def test_a_child_does_not_wait_for_its_parent(crowd: Crowd) -> None:
    """A fork while an add is under way leaves the child with a queue of its own."""
    loop = threading.Thread(target=lambda: anyio.run(crowd.add, "a"))
    loop.start()
    anyio.run(until, lambda: crowd.medium.at_work)
    pid = os.fork()
    if pid == 0:
        signal.alarm(30)
        crowd.medium.let_go.set()
        os._exit(anyio.run(crowd.store.add, make("child")) is Outcome.ADDED)
    assert 1 == os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    crowd.medium.let_go.set()
    loop.join()
    assert {"a": Outcome.ADDED} == crowd.outcomes
