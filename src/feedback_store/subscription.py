"""A subscription: how one callback of an app is told of changes, by a thread of its own.

A write hands each event to a bounded queue, and goes on; the thread takes it from there. So a
callback can be late, and can miss events when it is too late, but it can neither slow a write nor
fail one.
"""

import contextlib
import threading
from collections.abc import Callable
from enum import StrEnum
from queue import SimpleQueue
from types import TracebackType
from typing import Self, TypeAlias

import attrs

from feedback_store.entry import FeedbackEntry
from feedback_store.failures import anonymous
from feedback_store.forking import Renewed, watch_forks

CLOSE_TIMEOUT_S = 5.0
"""For how long closing lets a callback finish what is queued, in seconds, unless told."""


class ChangeKind(StrEnum):
    """What was done to an entry."""

    ADDED = "added"
    """It was not there before."""
    UPDATED = "updated"
    """It was there with other content: `update` has changed it, or `put` took its place."""
    ERASED = "erased"
    """It was there, and is gone."""


@attrs.frozen(kw_only=True)
class ChangeEvent:
    """One change of one entry; its repr shows no text that a user or a model wrote.

    Attributes:
        kind: what was done.
        id: the entry's id.
        entry: the entry as it was written, redacted where the store redacts; None when it was
            erased.
    """

    kind: ChangeKind
    id: str
    entry: FeedbackEntry | None = None


Callback: TypeAlias = Callable[[ChangeEvent], object]
"""What an app is told by; what it returns does not count."""


class _Line:
    """What waits for one callback in one process, and the thread that brings it there.

    The thread knows the line, and the callback only while something waits for it. A callback often
    holds the store: a thread that held the callback while it idles would keep a store alive that
    everybody else has forgotten.
    """

    def __init__(self, capacity: int) -> None:
        # This kind of queue may be filled while the collector runs: see `Subscription.__del__`.
        self.events: SimpleQueue[tuple[Callback, ChangeEvent] | None] = SimpleQueue()
        self.changed = threading.Condition()
        self.capacity = capacity
        self.thread: threading.Thread | None = None
        self.queued = 0
        self.busy = False
        self.ended = False
        self.forked = False
        self.dropped = 0
        self.overflowing = False

    def offer(self, deliver: Callback, event: ChangeEvent) -> bool:
        """Queue an event, or drop it; say whether it is the first to be dropped of several."""
        with self.changed:
            if self.queued < self.capacity and self._has_thread():
                self.queued += 1
                self.events.put((deliver, event))
                return False
            self.dropped += 1
            first, self.overflowing = not self.overflowing, True
            return first

    def _has_thread(self) -> bool:
        if self.thread is not None:
            return True
        thread = threading.Thread(target=_work, args=(self,), name="on_change", daemon=True)
        try:
            thread.start()
        except RuntimeError:  # there may be no more threads, or the interpreter is about to end
            return False
        self.thread = thread
        return True

    def begin(self) -> bool:
        """Take note that an event was taken out; say whether it is still wanted."""
        with self.changed:
            if self.ended:
                return False
            self.queued -= 1
            self.busy = True
            return True

    def finish(self) -> None:
        """Take note that the event was handled."""
        with self.changed:
            self.busy = False
            if not self.queued:
                self.overflowing = False
                self.changed.notify_all()

    def wait(self, timeout_s: float | None) -> bool:
        """Wait until nothing is left; say whether it is so."""
        if self.thread is threading.current_thread():
            return False  # its own event is not handled before the callback returns
        with self.changed:
            return self.changed.wait_for(lambda: not (self.queued or self.busy), timeout_s)

    def end(self) -> int:
        """Drop what is left, and let the thread end; say how much was dropped."""
        with self.changed:
            left, self.queued, self.ended = self.queued, 0, True
            self.dropped += left
            thread, busy = self.thread, self.busy
        self.events.put(None)
        if thread is not None and thread is not threading.current_thread() and not busy:
            thread.join()
        return left


def _work(line: _Line) -> None:
    """Bring events to their callback until the line ends."""
    while (waiting := line.events.get()) is not None and line.begin():
        deliver, event = waiting
        deliver(event)
        if line.forked:
            return  # the callback forked, and this is the child: what waits is the parent's
        line.finish()
        del waiting, deliver, event  # while it idles, it holds nothing


class Subscription(Renewed):
    """A callback that is told of changes until it is closed; as a context manager it closes itself.

    `FeedbackStore.on_change` makes it.
    """

    def __init__(
        self, callback: Callback, max_queued: int, leave: Callable[["Subscription"], None]
    ) -> None:
        self._line = _Line(max_queued)
        self._callback = callback
        self._leave = leave
        watch_forks(self)

    def __repr__(self) -> str:
        """Name the callback: its repr might show what it holds."""
        name = getattr(self._callback, "__qualname__", type(self._callback).__qualname__)
        return f"Subscription({name})"

    def __del__(self) -> None:
        """Let the thread end: nobody is left to send it anything."""
        self._line.events.put(None)

    @property
    def dropped(self) -> int:
        """How many events were dropped, in this process: too many waited, or time was up."""
        return self._line.dropped

    def wait(self, timeout_s: float | None = None) -> bool:
        """Wait until every event so far was handled; say whether it is so.

        Args:
            timeout_s: for how long at most, in seconds; None for as long as it takes. Within the
                callback itself the answer is False at once.
        """
        return self._line.wait(timeout_s)

    def close(self, timeout_s: float = CLOSE_TIMEOUT_S) -> None:
        """Hear of no more changes; may be repeated.

        What is queued is still handled, then the thread ends.

        Args:
            timeout_s: for how long to wait at most, in seconds. Then the rest is dropped; a
                callback that is still at work is left to it, and not called again. Within the
                callback itself nothing is waited for.
        """
        self._leave(self)
        self._line.wait(timeout_s)
        if left := self._line.end():
            warn(self, f"closed while {left} events were waiting; they are dropped")

    def __enter__(self) -> Self:
        """Return the subscription itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close it."""
        self.close()

    def offer(self, event: ChangeEvent) -> bool:
        """Queue an event, or drop it; say whether it is the first to be dropped of several."""
        return self._line.offer(self._deliver, event)

    def _deliver(self, event: ChangeEvent) -> None:
        try:
            self._callback(event)
        except BaseException as error:  # noqa: BLE001  # SystemExit too: it would end the thread
            failure = anonymous(error)
        else:
            return
        # Out here, where the error is gone: what prints a trace would print its message as well.
        warn(self, f"failed with {failure}; the event was {event.kind.value!r}")

    def after_fork_in_child(self) -> None:
        """Start with an empty queue and without a thread: both are the parent's."""
        self._line.forked = True
        self._line = _Line(self._line.capacity)


def warn(subscription: Subscription, message: str) -> None:
    """Log a warning; a handler that fails must not fail the write, or the next event."""
    import logging  # noqa: PLC0415  # most apps never have anything to log here

    logger = logging.getLogger("feedback_store.hooks")
    if not logger.handlers:
        logger.addHandler(logging.NullHandler())  # silent until the application asks
    with contextlib.suppress(Exception):
        # Its name, not itself: handlers may keep a record, and would keep the store alive by it.
        logger.warning("%s: %s", repr(subscription), message)
