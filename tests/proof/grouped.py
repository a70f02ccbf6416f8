"""Threads that share a commit: the power is cut while a follower may have returned."""

import random
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any
from unittest import mock

from subject import subject

from feedback_store import FeedbackEntry, FeedbackStore, Outcome
from feedback_store.backends.jsonl import JsonlStore
from feedback_store.group_commit import GroupCommit
from feedback_store.testing.simulation import (
    Call,
    Effort,
    Examination,
    Ledger,
    SimulatedDisk,
    Tally,
    an_entry,
)

_FOLLOWERS = 2
_MOMENT_S = 0.002
_DEADLINE_S = 20.0


def explore_group_commit(opener: Callable[[SimulatedDisk], JsonlStore]) -> Tally:
    """Let one thread commit, and two more share the next commit; cut the power at each call of it.

    The followers come while the first thread writes, so that the second round has both.
    """
    group = _Group(opener)
    group.run()
    return group.tally


class _Group:
    def __init__(self, opener: Callable[[SimulatedDisk], JsonlStore]) -> None:
        self.tally = Tally()
        self.said: list[str] = []
        self._opener = opener
        self._disk = SimulatedDisk()
        self._ledger = Ledger()
        self._store = FeedbackStore(opener(self._disk))
        self._threads = [
            threading.Thread(target=self._add, args=(an_entry(n),), daemon=True)
            for n in range(1, 1 + _FOLLOWERS)
        ]
        self._first = threading.current_thread()

    def run(self) -> None:
        self._disk.watch(self._watch)
        self._add(an_entry(0))
        for thread in self._threads:
            thread.join(_DEADLINE_S)
            assert not thread.is_alive(), "a follower was never told"
        self._look()

    def _add(self, entry: FeedbackEntry) -> None:
        operation = self._ledger.begin()
        self._ledger.may(operation, entry.id, entry)
        self._store.add(entry)
        self._ledger.owe(operation, entry.id, entry)
        self._ledger.end(operation)

    def _watch(self, call: Call) -> None:
        if threading.current_thread() is self._first:
            if call.name == "append" and self._threads[0].ident is None:
                self._start()
        elif call.changes:
            time.sleep(_MOMENT_S)  # a follower that was let go early comes to its end meanwhile
            self._look()

    def _start(self) -> None:
        """Start the followers; return when both wait, or have come to their end."""
        for thread in self._threads:
            thread.start()
        deadline = time.monotonic() + _DEADLINE_S
        queue = self._store._group._queue
        while len(queue.waiting) < _FOLLOWERS and any(t.is_alive() for t in self._threads):
            assert time.monotonic() < deadline, "a follower does not come"
            time.sleep(_MOMENT_S)

    def _look(self) -> None:
        self.tally.points += 1
        rng = random.Random(0)
        for words, image in self._disk.crash_states(limit=20, every_cut=False):
            self.tally.states += 1
            examination = Examination(subject(self._opener), Effort(), self._ledger, rng)
            if problems := examination.of(image, ()):
                self.tally.broken += 1
                self.said.append(f"power cut: {words}: {problems[-1]}")


def wakes_early(self: GroupCommit, queue: Any, _leader: object) -> None:  # noqa: ANN401  # private to the group
    """Tell the followers that all is well, and write then."""
    group: Sequence[Any] = queue.take()
    for ticket in group:
        ticket.outcome = Outcome.ADDED
        if ticket.done is not None and ticket is not queue.leader:
            ticket.done.release()
    self._append([ticket.entry for ticket in group])


def planted() -> Any:  # noqa: ANN401  # a patch
    """Plant the group commit that wakes its followers early."""
    return mock.patch.object(GroupCommit, "_lead", wakes_early)
