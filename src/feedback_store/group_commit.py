"""Group commit: what many threads bring at once becomes one append, with one sync.

The thread that finds nobody at work leads: it takes all that waits, appends it, and hands every
thread its outcome. Those who come meanwhile wait for the next round, so that the slower the sync,
the larger the group, and a lone thread never waits for company.

Where an append costs much more than a wait, as a request over a network does, the leader may
linger: until all have come who are likely to, those whom the last group let go, but no longer than
it was told. Without that, of ten threads one goes alone, nine together, and one alone again.
"""

import os
import threading
import time
from collections.abc import Callable, Sequence
from typing import TypeAlias

import attrs

from feedback_store.entry import FeedbackEntry
from feedback_store.errors import InvalidEntryError, StoreUnavailableError
from feedback_store.store import Outcome

MAX_GROUP = 1000
"""Entries that one round takes at most."""


@attrs.frozen
class Grouping:
    """How a store wishes to be written to by many at once; its attribute ``grouping`` tells.

    Attributes:
        linger_s: how long to wait, in seconds, for those who are likely to come.
        max_batch: entries that one round takes at most.
    """

    linger_s: float = attrs.field(default=0.0, validator=attrs.validators.ge(0))
    max_batch: int = attrs.field(default=MAX_GROUP, validator=attrs.validators.ge(1))


AT_ONCE = Grouping()
"""What a store wishes that says nothing."""


def grouping_of(store: object) -> Grouping:
    """Return what a store, or what is below a layer, wishes."""
    grouping: Grouping = getattr(store, "grouping", AT_ONCE)
    return grouping


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

    __slots__ = ("arrived", "group_size", "leader", "mutex", "pid", "waiting", "wanted")

    def __init__(self) -> None:
        self.pid = os.getpid()
        self.mutex = threading.Lock()
        self.arrived = threading.Condition(self.mutex)
        self.waiting: list[_Ticket] = []
        self.wanted = 0
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
                if self.wanted and len(self.waiting) >= self.wanted:
                    self.arrived.notify()

    def linger(self, leader: _Ticket, grouping: Grouping) -> None:
        """Wait until all are here who are likely to come: those whom the last group let go."""
        with self.mutex:
            # Who leads because nobody else did is one of them; whoever waited before is not.
            coming = self.group_size - (leader.done is None)
            self.wanted = min(len(self.waiting) + coming, grouping.max_batch)
            self.arrived.wait_for(lambda: len(self.waiting) >= self.wanted, grouping.linger_s)
            self.wanted = 0

    def take(self, max_batch: int = MAX_GROUP) -> list[_Ticket]:
        """Take the group of the next round out of the queue."""
        with self.mutex:
            group, self.waiting = self.waiting[:max_batch], self.waiting[max_batch:]
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

    def __init__(self, append: Append, grouping: Grouping = AT_ONCE) -> None:
        self._append = append
        self._grouping = grouping
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
                self._lead(queue, ticket)
        finally:
            # An interrupt may come while this thread waits, or when it was just given the lead.
            if ticket.outcome is None or queue.leader is ticket:
                queue.leave(ticket)
        if ticket.outcome is None:
            raise ticket.error or _interrupted()
        return ticket.outcome

    def _lead(self, queue: _Queue, leader: _Ticket) -> None:
        """Serve one group."""
        if self._grouping.linger_s:
            queue.linger(leader, self._grouping)
        elif queue.group_size > 1:
            time.sleep(0)  # those whom the last group let go are about to come again
        group = queue.take(self._grouping.max_batch)
        try:
            serve(self._append, group)
        finally:
            for ticket in group:
                if ticket.done is not None and ticket is not queue.leader:
                    ticket.done.release()
