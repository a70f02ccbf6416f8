"""Group commit for tasks: what many of them bring at once becomes one append, by one thread.

No task leads, unlike among the threads of `feedback_store.group_commit`: a task may be cancelled at
any moment, and the others must not depend on it. A thread serves one group after the other for
as long as somebody waits.
"""

import contextlib
import os
import threading
import time
from concurrent.futures import Future
from functools import partial
from itertools import islice
from types import TracebackType

import anyio.lowlevel

from feedback_store.aio.threads import Threads, result_of
from feedback_store.entry import FeedbackEntry
from feedback_store.group_commit import AT_ONCE, Append, Grouping, Ticket, serve
from feedback_store.store import Outcome


class _Ticket(Ticket):
    """The entry of one task, which waits until it was served."""

    __slots__ = ("served", "trace")

    def __init__(self, entry: FeedbackEntry) -> None:
        super().__init__(entry)
        self.served: Future[None] = Future()
        self.trace: TracebackType | None = None

    def told(self) -> Outcome:
        """Return the outcome, or raise the error.

        The whole group shares the error: each raises it with the trace of the append alone, or
        it would grow by that of every task.
        """
        if self.outcome is None:
            assert self.error is not None
            raise self.error.with_traceback(self.trace)
        return self.outcome


class _Queue:
    """Who waits in one process, in their order, and whether a thread serves them."""

    __slots__ = ("arrived", "mutex", "pid", "serving", "waiting", "wanted")

    def __init__(self) -> None:
        self.pid = os.getpid()
        self.mutex = threading.Lock()
        self.arrived = threading.Condition(self.mutex)
        self.wanted = 0
        self.waiting: dict[_Ticket, None] = {}
        self.serving = False

    def linger(self, coming: int, grouping: Grouping) -> None:
        """Wait until all are here who are likely to come: those whom the last group let go."""
        with self.mutex:
            self.wanted = min(len(self.waiting) + coming, grouping.max_batch)
            self.arrived.wait_for(lambda: len(self.waiting) >= self.wanted, grouping.linger_s)
            self.wanted = 0

    def take(self, max_batch: int) -> list[_Ticket]:
        """Take the next group out of the queue; when there is none, the thread's service ends."""
        begun: list[_Ticket] = []
        with self.mutex:
            while self.waiting and not begun:
                group = list(islice(self.waiting, max_batch))
                for ticket in group:
                    del self.waiting[ticket]
                begun = [t for t in group if t.served.set_running_or_notify_cancel()]
            self.serving = bool(begun)
        return begun

    def leave(self, ticket: _Ticket) -> None:
        """Wait no longer."""
        with self.mutex:
            self.waiting.pop(ticket, None)


class AsyncGroupCommit:
    """Gathers single entries of many tasks into calls of one ``append``."""

    def __init__(self, append: Append, thread: Threads, grouping: Grouping = AT_ONCE) -> None:
        self._append = append
        self._thread = thread
        self._grouping = grouping
        self._queue = _Queue()

    async def add(self, entry: FeedbackEntry) -> Outcome:
        """Append the entry together with those of other tasks; return its outcome.

        Cancelled before its group was taken, it leaves the queue, and is not written. Cancelled
        later, it waits for its group.

        Raises:
            FeedbackStoreError: what the append raised; an entry that the store refuses for
                itself does not harm those that came with it.
        """
        await anyio.lowlevel.checkpoint_if_cancelled()
        if self._queue.pid != os.getpid():
            self._queue = _Queue()  # a fork took the memory, but not the thread that serves
        queue, ticket = self._queue, _Ticket(entry)
        self._join(queue, ticket)
        try:
            await result_of(ticket.served)
        except BaseException:
            queue.leave(ticket)
            raise
        return ticket.told()

    def _join(self, queue: _Queue, ticket: _Ticket) -> None:
        self._thread.check_open()
        with queue.mutex:  # the thread cannot find the queue empty before the entry is in it
            if not queue.serving:
                self._thread.submit(partial(self._serve, queue))
                queue.serving = True
            queue.waiting[ticket] = None
            if queue.wanted and len(queue.waiting) >= queue.wanted:
                queue.arrived.notify()

    def _serve(self, queue: _Queue) -> None:
        """Serve one group after the other, in the thread."""
        while group := queue.take(self._grouping.max_batch):
            # Whatever it raises, the tickets have it; an interrupt finds nobody here to interrupt.
            with contextlib.suppress(BaseException):
                serve(self._append, group)
            for ticket in group:
                ticket.trace = ticket.error.__traceback__ if ticket.error else None
            for ticket in group:  # not before: the first to raise the error adds to its trace
                ticket.served.set_result(None)
            if self._grouping.linger_s:
                queue.linger(len(group), self._grouping)
            elif len(group) > 1:
                time.sleep(0)  # those whom the group let go are about to come again
