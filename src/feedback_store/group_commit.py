"""Group commit: what many threads bring at once becomes one append, with one sync.

The thread that finds nobody at work leads: it takes all that waits, appends it, and hands every
thread its outcome. Those who come meanwhile wait for the next round, so that the slower the sync,
the larger the group, and a lone thread never waits for company.
"""

import os
import threading
import time
from collections.abc import Callable, Sequence
from typing import TypeAlias

from feedback_store.entry import FeedbackEntry
from feedback_store.errors import InvalidEntryError, StoreUnavailableError
from feedback_store.store import Outcome

MAX_GROUP = 1000
"""Entries that one round takes at most."""

Append: TypeAlias = Callable[[Sequence[FeedbackEntry]], Sequence[Outcome]]
"""What stores entries by one call, and says what became of each, in their order."""


class Ticket:
    """An entry on its way, and how it came out: by an outcome, or by an error."""

    __slots__ = ("entry", "error", "outcome")

    def __init__(self, entry: FeedbackEntry) -> None:
        self.entry = entry
        self.outcome: Outcome | None = None
        self.error: BaseException | None = None


def serve(append: Append, group: Sequence[Ticket]) -> None:
    """Append a group; each ticket of it has an outcome or an error then.

    An entry that the append refuses for itself does not harm those that came with it. Whatever
    else the append raises, each of the group gets it; only an interrupt is raised here too.
    """
    try:
        _append_all(append, group)
    except Exception as error:  # noqa: BLE001  # whatever it is, each of the group gets it
        _fail(group, error)
    except BaseException as error:
        # An interrupt is this thread's own: the others learn only that theirs was cut short.
        _fail(group, _interrupted(error))
        raise


def _append_all(append: Append, group: Sequence[Ticket]) -> None:
    try:
        outcomes = append([ticket.entry for ticket in group])
    except InvalidEntryError as error:
        if len(group) == 1:
            group[0].error = error
            return
        # One of them is refused. Halves find it in few appends: one by one, a large entry in
        # every group would cost all others the sync that they share.
        middle = len(group) // 2
        _append_all(append, group[:middle])
        _append_all(append, group[middle:])
        return
    for ticket, outcome in zip(group, outcomes, strict=True):
        ticket.outcome = outcome


def _fail(group: Sequence[Ticket], error: BaseException) -> None:
    for ticket in group:
        if ticket.outcome is None and ticket.error is None:
            ticket.error = error


def _interrupted(cause: BaseException | None = None) -> StoreUnavailableError:
    error = StoreUnavailableError("the write was interrupted; the same call may be made again")
    error.__cause__ = cause
    return error


class _Ticket(Ticket):
    """The entry of one thread, which waits for it."""

    __slots__ = ("done",)

    def __init__(self, entry: FeedbackEntry) -> None:
        super().__init__(entry)
        self.done: threading.Lock | None = None


class _Queue:
    """Who waits, and who leads, in one process."""

    __slots__ = ("group_size", "leader", "mutex", "pid", "waiting")

    def __init__(self) -> None:
        self.pid = os.getpid()
        self.mutex = threading.Lock()
        self.waiting: list[_Ticket] = []
        self.leader: _Ticket | None = None
        self.group_size = 0

    def join(self, ticket: _Ticket) -> None:
        """Wait in the queue; lead it when nobody does."""
        with self.mutex:
            self.waiting.append(ticket)
            if self.leader is None:
                self.leader = ticket
            else:
                ticket.done = threading.Lock()
                ticket.done.acquire()

    def take(self) -> list[_Ticket]:
        """Take the group of the next round out of the queue."""
        with self.mutex:
            group, self.waiting = self.waiting[:MAX_GROUP], self.waiting[MAX_GROUP:]
        self.group_size = len(group)
        return group

    def leave(self, ticket: _Ticket) -> None:
        """Wait no longer; whoever leads passes the lead to the first of those who wait.

        May be called again for the same ticket.
        """
        with self.mutex:
            if ticket in self.waiting:
                self.waiting.remove(ticket)
            if self.leader is not ticket:
                return
            self.leader = self.waiting[0] if self.waiting else None
            if self.leader is not None and self.leader.done is not None:
                self.leader.done.release()


class GroupCommit:
    """Gathers single entries of many threads into calls of one ``append``."""

    def __init__(self, append: Append) -> None:
        self._append = append
        self._queue = _Queue()

    def add(self, entry: FeedbackEntry) -> Outcome:
        """Append the entry together with those of other threads; return its outcome.

        Raises:
            FeedbackStoreError: what the append raised; an entry that the store refuses for
                itself does not harm those that came with it.
        """
        queue, ticket = self._queue, _Ticket(entry)
        if queue.pid != os.getpid():
            # A fork took the memory, but not the threads that wait in it. Where two threads of
            # the child come here at once, each works on a queue of its own, which is harmless.
            queue = self._queue = _Queue()
        try:
            queue.join(ticket)
            if ticket.done is not None:
                ticket.done.acquire()
            if queue.leader is ticket:
                self._lead(queue)
        finally:
            # An interrupt may come while this thread waits, or when it was just given the lead.
            if ticket.outcome is None or queue.leader is ticket:
                queue.leave(ticket)
        if ticket.outcome is None:
            raise ticket.error or _interrupted()
        return ticket.outcome

    def _lead(self, queue: _Queue) -> None:
        """Serve one group."""
        if queue.group_size > 1:
            time.sleep(0)  # those whom the last group let go are about to come again
        group = queue.take()
        try:
            serve(self._append, group)
        finally:
            for ticket in group:
                if ticket.done is not None and ticket is not queue.leader:
                    ticket.done.release()
