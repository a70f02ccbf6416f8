"""Hooks: who is told of the changes that one `FeedbackStore` has made, and in which order."""

import threading
import time
from collections.abc import Iterable, Sequence

from feedback_store.entry import FeedbackEntry
from feedback_store.errors import StoreClosedError
from feedback_store.forking import Renewed, watch_forks
from feedback_store.store import Outcome
from feedback_store.subscription import (
    CLOSE_TIMEOUT_S,
    Callback,
    ChangeEvent,
    ChangeKind,
    Subscription,
    warn,
)

_KINDS = {Outcome.ADDED: ChangeKind.ADDED, Outcome.UPDATED: ChangeKind.UPDATED}


class Changes(Renewed):
    """Those who want to know of the changes of one `FeedbackStore`.

    Attributes:
        subscriptions: them, in the order in which they came; empty costs nothing.
    """

    def __init__(self) -> None:
        self.subscriptions: tuple[Subscription, ...] = ()
        self._closed = False
        # Held while an event is handed to all, so that all of them hear of one order. It may be
        # taken again by the thread that has it: a finalizer may write to the store.
        self._lock = threading.RLock()

    def subscribe(self, callback: Callback, max_queued: int) -> Subscription:
        """Tell a callback from now on; see `FeedbackStore.on_change`."""
        if max_queued < 1:
            msg = "max_queued must be 1 or more"
            raise ValueError(msg)
        subscription = Subscription(callback, max_queued, self.leave)
        with self._lock:
            if self._closed:
                msg = "this store was closed; open it again"
                raise StoreClosedError(msg)
            self.subscriptions = (*self.subscriptions, subscription)
        watch_forks(self)
        return subscription

    def leave(self, subscription: Subscription) -> None:
        """Tell it no more."""
        with self._lock:
            self.subscriptions = tuple(s for s in self.subscriptions if s is not subscription)

    def written(self, entries: Sequence[FeedbackEntry], outcomes: Sequence[Outcome]) -> None:
        """Tell of entries that were stored, as they were stored, each with its outcome."""
        self._tell(
            ChangeEvent(kind=_KINDS[outcome], id=entry.id, entry=entry)
            for entry, outcome in zip(entries, outcomes, strict=True)
            if outcome in _KINDS
        )

    def erased(self, ids: Sequence[str], seen: Sequence[str], count: int) -> None:
        """Tell of ids that were erased.

        Args:
            ids: those that were to be erased, each once.
            seen: those of them that were there before.
            count: how many the store has erased.
        """
        # More than were seen: another one has added some meanwhile. Which, is not known, and who
        # keeps a copy rather hears of one id too many than of one too few.
        gone = () if count == 0 else ids if count > len(seen) else seen
        self._tell(ChangeEvent(kind=ChangeKind.ERASED, id=id) for id in gone)

    def _tell(self, events: Iterable[ChangeEvent]) -> None:
        overflowing: list[Subscription] = []
        with self._lock:
            for event in events:
                overflowing += [each for each in self.subscriptions if each.offer(event)]
        for each in overflowing:
            warn(each, "too many events are waiting; the next ones are dropped")

    def close(self) -> None:
        """Tell nobody any more, and let all finish what is queued, in `CLOSE_TIMEOUT_S` at most."""
        with self._lock:
            self._closed = True
            leaving, self.subscriptions = self.subscriptions, ()
        deadline = time.monotonic() + CLOSE_TIMEOUT_S
        for subscription in leaving:
            subscription.close(max(0.0, deadline - time.monotonic()))

    def after_fork_in_child(self) -> None:
        """Forget who had the lock: it may have been a thread that is not here."""
        self._lock = threading.RLock()
