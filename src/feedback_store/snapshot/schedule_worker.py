"""The thread that exports when it is time, so that whoever tells the time never waits."""

import logging
import threading
from enum import Enum, auto
from typing import NamedTuple

from feedback_store.snapshot.schedule_exports import Exports, log


class Retries(NamedTuple):
    """How an export that failed is tried again, before its next time.

    Attributes:
        attempts: how often at most.
        wait_s: how long to wait before each, in seconds.
    """

    attempts: int
    wait_s: float

    def checked(self) -> "Retries":
        """Return them as they are.

        Raises:
            ValueError: one of them is negative, or cannot be waited for.
        """
        if self.attempts < 0 or not 0 <= self.wait_s <= threading.TIMEOUT_MAX:
            msg = "retry_attempts and retry_wait_s must be 0 or more, and finite"
            raise ValueError(msg)
        return self


class _Call(Enum):
    """Why the thread goes on."""

    TIME = auto()
    AGAIN = auto()
    END = auto()


class Worker:
    """One daemon thread, which makes one export at a time and tries again what has failed.

    A thread of our own and not one of APScheduler's: those are waited for without an end when the
    interpreter ends, and an export that hangs would keep the process from ending.

    Args:
        exports: what it makes.
        name: how log lines and the thread are called.
        retries: how what has failed is tried again.
    """

    def __init__(self, exports: Exports, name: str, retries: Retries) -> None:
        self._exports = exports
        self._name = name
        self._retries = retries
        self._changed = threading.Condition()
        self._due = False
        self._busy = False
        self._told = False
        self._ending = False
        self._thread = threading.Thread(target=self._work, name=name, daemon=True)

    def start(self) -> None:
        """Begin to wait for the time."""
        self._thread.start()

    @property
    def alive(self) -> bool:
        """Whether the thread has not come to its end."""
        return self._thread.is_alive()

    def tick(self) -> None:
        """Take note that it is time; while an export runs, this is only counted.

        Nothing piles up: an export that takes longer than the period is followed by the one of
        the next time, and an export that hangs by none.
        """
        with self._changed:
            if not self._busy:
                self._due = True
                self._changed.notify_all()
                return
            first, self._told = not self._told, True
        self._exports.count("missed")
        if first:
            message = "an export was still running when the next one was due"
            log(logging.WARNING, message, self._name, "snapshot_missed")

    def end(self, timeout_s: float | None) -> bool:
        """Begin no more exports, and wait for the one that runs; say whether it has ended.

        Args:
            timeout_s: how long to wait, in seconds; None for as long as it takes. After that the
                export is left to itself: it stays the leader's, until it ends.
        """
        with self._changed:
            self._ending = True
            self._changed.notify_all()
        if self._thread is threading.current_thread():
            return False  # the export itself has asked, or `on_error`
        self._thread.join(timeout_s)
        return not self.alive

    def after_fork_in_child(self) -> None:
        """Come to an end without a word, if it is this thread that has forked."""
        self._changed = threading.Condition()
        self._ending = True

    # ------------------------------------------------------------------------- in the thread

    def _work(self) -> None:
        left = 0
        try:
            while (call := self._wait(self._retries.wait_s if left else None)) is not _Call.END:
                again = call is _Call.AGAIN
                left = left - 1 if again else self._retries.attempts
                if self._export(again=again):
                    left = 0
        finally:
            self._exports.retire()

    def _wait(self, timeout_s: float | None) -> _Call:
        """Wait until it is time, or for so long; the next time goes before what is left of this."""
        with self._changed:
            self._busy = False
            self._changed.wait_for(lambda: self._due or self._ending, timeout_s)
            if self._ending:
                return _Call.END
            call = _Call.TIME if self._due else _Call.AGAIN
            self._due, self._busy, self._told = False, True, False
            return call

    def _export(self, *, again: bool) -> bool:
        """Export, or see that another worker does; say whether nothing is left to be done."""
        try:
            self._exports.export(again=again)
        except BaseException:  # noqa: BLE001  # counted, logged and told by `export`
            return False
        return True
