"""Work in threads, and waiting for it in a way that no cancellation cuts short.

``anyio.to_thread`` would be shorter, and is not enough: asyncio's own ``Task.cancel``, and with
it ``asyncio.timeout`` and ``asyncio.wait_for``, passes through the shield of anyio. The call would
end while its thread still writes: more threads than were allowed, and a close that does not wait
for them. A future of `concurrent.futures` knows at every moment whether its work has begun, and
belongs to no event loop.
"""

import asyncio
import contextlib
import os
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from typing import Any, ParamSpec, TypeAlias, TypeVar

import anyio
import anyio.lowlevel

from feedback_store.errors import StoreClosedError

P = ParamSpec("P")
T = TypeVar("T")
Waker: TypeAlias = Callable[[Callable[[], Any]], bool]


class Threads:
    """A few threads of its own, so that an app's other calls do not wait for those of a store.

    They are started when they are needed, and end by `finish`. A forked child, in which no
    thread lives on, gets others.
    """

    def __init__(self, limit: int, name: str) -> None:
        if limit < 1:
            msg = "max_threads must be 1 or more"
            raise ValueError(msg)
        self._limit, self._name = limit, name
        self._closed = False
        self._start()

    def _start(self) -> None:
        self._pid = os.getpid()
        self._pool = ThreadPoolExecutor(self._limit, self._name)

    def check_open(self) -> None:
        """Raise when no more work is taken.

        Raises:
            StoreClosedError: the store was closed.
        """
        if self._closed:
            msg = "this store was closed; open it again"
            raise StoreClosedError(msg)

    def submit(self, work: Callable[[], T]) -> "Future[T]":
        """Let a thread do some work."""
        self.check_open()
        if self._pid != os.getpid():
            self._start()
        return self._pool.submit(work)

    async def run(self, work: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Let a thread do some work, and return what it returns; see `result_of`."""
        await anyio.lowlevel.checkpoint_if_cancelled()
        context = copy_context()  # what the store logs belongs to the caller's request
        return await result_of(self.submit(lambda: context.run(work, *args, **kwargs)))

    def tidy(self, work: Callable[[], Any]) -> None:
        """Let a thread do what need not be waited for; do it here when there are none any more."""
        try:
            self.submit(work)
        except (StoreClosedError, RuntimeError):
            work()

    def close(self) -> None:
        """Take no more work."""
        self._closed = True

    def finish(self) -> None:
        """Wait for all work that was taken, and end the threads; this blocks."""
        self._pool.shutdown()


async def result_of(future: "Future[T]", *, withdraw: bool = True) -> T:
    """Wait for a thread.

    Cancelled before the work has begun, it is withdrawn, unless told otherwise. Cancelled later,
    the work is waited for, and the cancellation raised then: no thread is left behind.
    """
    done = anyio.Event()
    wake = waker()
    future.add_done_callback(lambda _: wake(done.set))
    try:
        await done.wait()
    except anyio.get_cancelled_exc_class():
        if not (withdraw and future.cancel()):
            await _outlast(done)
        raise
    return future.result()


async def _outlast(done: anyio.Event) -> None:
    """Wait for an event, whatever comes; the caller raises the cancellation afterwards."""
    with anyio.CancelScope(shield=True):
        while not done.is_set():
            # The shield stops those of trio and anyio; asyncio's own come here, any number.
            with contextlib.suppress(anyio.get_cancelled_exc_class()):
                await done.wait()


def waker() -> Waker:
    """Return what has a call made by the event loop of this task, from any thread, without waiting.

    It takes no lock, so that it may be used where a garbage collector runs. It says whether the
    loop took the call: when that is gone, nobody waits there any more.
    """
    call = _caller()

    def wake(work: Callable[[], Any]) -> bool:
        try:
            call(work)
        except RuntimeError:
            return False
        return True

    return wake


def _caller() -> Callable[[Callable[[], Any]], Any]:
    if anyio.get_cancelled_exc_class() is asyncio.CancelledError:
        return asyncio.get_running_loop().call_soon_threadsafe
    import trio  # noqa: PLC0415  # it is there when it runs this, and need not be otherwise

    return trio.lowlevel.current_trio_token().run_sync_soon
