"""Group commit: what many threads bring at once becomes one append, with one sync.

The thread that finds nobody at work leads: it takes all that waits, appends it, and hands every
thread its outcome. Those who come meanwhile wait for the next round, so that the slower the sync,
the larger the group, and a lone thread never waits for company.
"""

import os
import threading
from collections.abc import Callable, Sequence

from feedback_store.entry import FeedbackEntry
from feedback_store.errors import InvalidEntryError
from feedback_store.store import Outcome

MAX_GROUP = 1000
"""Entries that one round takes at most."""


class _Ticket:
    """One thread's entry on its way, and how it came out."""

    __slots__ = ("done", "entry", "error", "outcome")

    def __init__(self, entry: FeedbackEntry) -> None:
        self.entry = entry
        self.done: threading.Lock | None = None
        self.outcome: Outcome | None = None
        self.error: BaseException | None = None


class GroupCommit:
    """Gathers single entries of many threads into calls of one ``append``."""

    def __init__(self, append: Callable[[Sequence[FeedbackEntry]], Sequence[Outcome]]) -> None:
        self._append = append
        self._reset()

    def _reset(self) -> None:
        self._pid = os.getpid()
        self._mutex = threading.Lock()
        self._waiting: list[_Ticket] = []
        self._leading = False

    def add(self, entry: FeedbackEntry) -> Outcome:
        """Append the entry together with those of other threads; return its outcome.

        Raises:
            FeedbackStoreError: what the append raised; an entry that the store refuses for
                itself does not harm those that came with it.
        """
        if self._pid != os.getpid():
            self._reset()  # a fork took the memory, but not the threads that wait in it
        ticket = _Ticket(entry)
        with self._mutex:
            self._waiting.append(ticket)
            leads = not self._leading
            if leads:
                self._leading = True
            else:
                ticket.done = threading.Lock()
                ticket.done.acquire()
        if not leads:
            ticket.done.acquire()  # type: ignore[union-attr]  # made above for those who wait
        if ticket.outcome is None and ticket.error is None:
            self._lead()
        if ticket.error is not None:
            raise ticket.error
        assert ticket.outcome is not None
        return ticket.outcome

    def _lead(self) -> None:
        """Serve one group, and pass the lead to the first of those who came meanwhile."""
        with self._mutex:
            group, self._waiting = self._waiting[:MAX_GROUP], self._waiting[MAX_GROUP:]
        try:
            self._serve(group)
        except BaseException as error:
            for ticket in group:
                if ticket.outcome is None and ticket.error is None:
                    ticket.error = error
            if not isinstance(error, Exception):
                raise  # a KeyboardInterrupt is the leader's own, too
        finally:
            with self._mutex:
                successor = self._waiting[0] if self._waiting else None
                self._leading = successor is not None
            for ticket in group:
                if ticket.done is not None:
                    ticket.done.release()
            if successor is not None and successor.done is not None:
                successor.done.release()

    def _serve(self, group: list[_Ticket]) -> None:
        try:
            outcomes = self._append([ticket.entry for ticket in group])
        except InvalidEntryError:
            if len(group) == 1:
                raise
            for ticket in group:  # one of them is refused: find out which
                self._serve_alone(ticket)
            return
        for ticket, outcome in zip(group, outcomes, strict=True):
            ticket.outcome = outcome

    def _serve_alone(self, ticket: _Ticket) -> None:
        try:
            ticket.outcome = self._append([ticket.entry])[0]
        except InvalidEntryError as error:
            ticket.error = error
