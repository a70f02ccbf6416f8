"""The exports of one worker: whether it is its turn, what they came to, and what is told of it."""

import contextlib
import logging
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TypeAlias

import attrs

from feedback_store.errors import FeedbackStoreError
from feedback_store.failures import anonymous
from feedback_store.snapshot.locking import LeaderLock

logger = logging.getLogger("feedback_store.snapshot")

OnError: TypeAlias = Callable[[BaseException], object]
"""What an app is told by that an export failed; what it returns does not count."""


@attrs.frozen(kw_only=True)
class ScheduleStatus:
    """What a schedule has done since it was made, in this process.

    Attributes:
        runs: how many exports were begun, those that were tried again included.
        skipped: how often it was time, and another worker was the leader.
        missed: how often it was time, and an export was still running.
        failed: how many exports failed, and how often it could not be told who leads.
        retried: how many exports were begun because the one before had failed.
        last_success_at: when the last export came to a good end; None when none did.
        last_error_at: when one last failed; None when none did.
        last_error_kind: the class of that error, such as ``"StoreFullError"``.
        next_run_at: when it is time again; None while the schedule does not run.
        leader: whether this worker is the one that exports.
    """

    runs: int = 0
    skipped: int = 0
    missed: int = 0
    failed: int = 0
    retried: int = 0
    last_success_at: datetime | None = None
    last_error_at: datetime | None = None
    last_error_kind: str | None = None
    next_run_at: datetime | None = None
    leader: bool = False


class Exports:
    """The exports of one worker, one at a time, and none while another worker is the leader.

    Args:
        run: makes one export; what it raises means that it failed.
        lock: who leads; None when there is one worker only, which always does.
        name: how log lines name it.
        on_error: is called with what a failed export has raised.
        clock: tells the time.
    """

    def __init__(
        self,
        run: Callable[[], object],
        lock: LeaderLock | None,
        name: str,
        on_error: OnError | None,
        clock: Callable[[], datetime],
    ) -> None:
        self._run = run
        self._lock = lock
        self._name = name
        self._on_error = on_error
        self._clock = clock
        self._one_at_a_time = threading.Lock()
        self._counting = threading.Lock()
        self._status = ScheduleStatus()

    def export(self, *, again: bool = False) -> bool:
        """Export, unless another worker leads; say whether it was done.

        Whoever becomes the leader here stays it until `retire`.

        Args:
            again: whether this is because the export before has failed.

        Raises:
            BaseException: what the export has raised; it is counted, logged and told.
        """
        with self._one_at_a_time:
            try:
                if not self._leads():
                    self.count("skipped")
                    return False
                self.count("runs", *(["retried"] if again else []))
                self._run()
            except BaseException as error:  # SystemExit too: it would end the thread
                self._failed(error)
                raise
            with self._counting:
                self._status = attrs.evolve(self._status, last_success_at=self._now())
            return True

    def _leads(self) -> bool:
        if self._lock is None:
            return True
        led = self._lock.held
        leads = self._lock.take()
        if leads and not led:
            log(logging.INFO, "this worker is the leader now", self._name, "snapshot_leader")
        return leads

    def _failed(self, error: BaseException) -> None:
        kind = type(error).__qualname__
        self.count("failed")
        with self._counting:
            self._status = attrs.evolve(
                self._status, last_error_at=self._now(), last_error_kind=kind
            )
        # Ours hold nothing that anybody wrote; of others only the class and the line are told.
        failure = f"{kind}: {error}" if isinstance(error, FeedbackStoreError) else anonymous(error)
        self._warn(f"failed with {failure}", "snapshot_failed", error=kind)
        if self._on_error is None:
            return
        try:
            self._on_error(error)
        except BaseException as second:  # noqa: BLE001  # the schedule goes on, whatever it raises
            kind = type(second).__qualname__
            self._warn(f"on_error failed with {anonymous(second)}", "snapshot_on_error", error=kind)

    def _warn(self, message: str, event: str, **fields: str) -> None:
        log(logging.WARNING, message, self._name, event, **fields)

    def retire(self) -> None:
        """Lead no more, once no export runs."""
        with self._one_at_a_time:
            if self._lock is not None:
                self._lock.free()

    # ------------------------------------------------------------------------------ counting

    def count(self, *names: str) -> None:
        """Add one to counts of the status."""
        with self._counting:
            more = {name: getattr(self._status, name) + 1 for name in names}
            self._status = attrs.evolve(self._status, **more)

    def status(self, *, next_run_at: datetime | None, works: bool) -> ScheduleStatus:
        """Return what was done so far.

        Args:
            next_run_at: when it is time again.
            works: whether a schedule runs, which leads where there is no lock.
        """
        leader = works if self._lock is None else self._lock.held
        return attrs.evolve(self._status, next_run_at=next_run_at, leader=leader)

    def _now(self) -> datetime:
        return self._clock().astimezone(UTC)


def log(level: int, message: str, name: str, event: str, **fields: str) -> None:
    """Write a log line about a schedule; a handler that fails must not fail the schedule."""
    with contextlib.suppress(Exception):
        told = {"event": event, "schedule": name, **fields}
        logger.log(level, "%s: %s", name, message, extra=told)
