"""A schedule: a snapshot is made at the start and then on time, by one of several workers."""

import logging
import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, tzinfo
from queue import Empty, SimpleQueue
from types import TracebackType
from typing import Any, Self

from feedback_store.errors import MissingExtraError
from feedback_store.forking import Renewed, watch_forks
from feedback_store.snapshot.locking import LeaderLock
from feedback_store.snapshot.schedule_exports import Exports, OnError, ScheduleStatus
from feedback_store.snapshot.schedule_times import checked_cron, checked_every
from feedback_store.snapshot.schedule_worker import Retries, Worker

GRACE_S = 8.0
"""For how long the end waits for a running export, in seconds, unless told: containers are killed
ten seconds after they are asked to end."""

_AWAKE_EVERY_S = 0.2

_JOB = "snapshot"
_EXECUTOR = "feedback_store"
_SCHEDULER_LOGGER = "apscheduler.scheduler.feedback_store"
"""Of our own, so that what an app hears of its other schedules stays as it is."""


def _now() -> datetime:
    return datetime.now(UTC)


class SnapshotSchedule(Renewed):
    """Calls a function once at the start, and then on time; in one of several workers.

    Every worker of an app makes the same schedule and starts it. The first one becomes the leader,
    by a lock beside the target, and stays it for as long as its schedule runs; the others find at
    each time that another leads, and skip it. When the leader is stopped or killed, the next one
    whose time comes leads, so that the target is never older than two periods.

    An export that fails is logged, counted and tried again; an export that takes longer than its
    period is followed by the one of the next time, so that nothing piles up. The schedule goes on
    whatever happens.

    Times are those of the system's clock. When it is set back, the next export waits for it.

    Forking: threads do not survive it, and a leader does not double. So the schedule goes on in
    the parent, and is in the child as if it was never started: ``gunicorn --preload`` may start it
    in the master, which then exports beside its workers; or each worker starts its own, and one
    of them does.

    Args:
        run: makes one export, and raises when it fails. It must leave the old target or the new
            one, never half of one: when the process ends, it may be cut off.
        lock_path: the leader's lock, a file beside the target, on a disk of this machine. It is
            made when it is missing, and never deleted. None where there is one worker only.
        every_s: the period in seconds, counted from the start; see `parse_every`.
        cron: five cron fields instead: minute, hour, day, month, weekday. Numbers of weekdays are
            cron's: 0 is Sunday.
        timezone: where the hours of ``cron`` are read off the clock.
        retry_attempts: how often an export that failed is tried again before its next time.
        retry_wait_s: how long to wait before that, in seconds.
        name: how log lines and threads call it.
        on_error: is called with what an export has raised, each time, in the thread of the export.
        clock: tells the aware time that the status notes.

    Raises:
        ValueError: not one of ``every_s`` and ``cron`` is given, or it makes no sense.
        MissingExtraError: the extra ``schedule`` is not installed.
    """

    def __init__(  # noqa: PLR0913  # options by name, each of them independent
        self,
        run: Callable[[], object],
        *,
        lock_path: str | os.PathLike[str] | None,
        every_s: float | None = None,
        cron: str | None = None,
        timezone: tzinfo = UTC,
        retry_attempts: int = 3,
        retry_wait_s: float = 30.0,
        name: str = "snapshot",
        on_error: OnError | None = None,
        clock: Callable[[], datetime] = _now,
    ) -> None:
        self._trigger = _trigger(every_s, cron, timezone)
        self._repr = f"SnapshotSchedule({name!r}, {self._trigger})"
        self._timezone = timezone
        lock = None if lock_path is None else LeaderLock(lock_path)
        self._parts = (run, lock, name, on_error, clock)
        self._name = name
        self._retries = Retries(retry_attempts, retry_wait_s).checked()
        self._begin_anew()
        watch_forks(self)

    def _begin_anew(self) -> None:
        self._exports = Exports(*self._parts)
        self._worker: Worker | None = None
        self._scheduler: Any = None
        self._starting = threading.RLock()
        self._ended: SimpleQueue[None] = SimpleQueue()

    def __repr__(self) -> str:
        """Name it and its times: what it runs might show what it holds."""
        return self._repr

    # ------------------------------------------------------------------------------ verbs

    def start(self) -> None:
        """Run in the background, by daemon threads; does nothing where it runs already.

        Raises:
            RuntimeError: the export that ran when it was stopped has not ended yet.
        """
        with self._starting:
            if self._scheduler is not None:
                return
            if self._worker is not None and self._worker.alive:
                msg = "the export that ran when the schedule was stopped has not ended yet"
                raise RuntimeError(msg)
            self._worker = Worker(self._exports, self._name, self._retries)
            self._worker.start()
            self._scheduler = _started(self._trigger, self._timezone, self._worker.tick, self._name)

    def stop(self, timeout_s: float | None = GRACE_S) -> bool:
        """Begin no more exports, and wait for one that runs; may be repeated.

        Args:
            timeout_s: how long to wait for it, in seconds; None for as long as it takes. An export
                that takes longer is left to itself: it leads until it ends.

        Returns:
            Whether nothing runs any more.
        """
        with self._starting:
            scheduler, self._scheduler = self._scheduler, None
            worker = self._worker
            if scheduler is not None:
                scheduler.shutdown(wait=False)
        self._ended.put(None)
        return worker is None or worker.end(timeout_s)

    def run(self, grace_s: float | None = GRACE_S) -> None:
        """Run until SIGTERM, SIGINT, or `stop` in another thread; then end what runs, and return.

        In a thread other than the main one, signals are left to whoever handles them.

        Args:
            grace_s: how long to wait for a running export, in seconds, as in `stop`. It is a
                daemon thread's, so that it does not keep the process from ending after that.
        """
        # A handler may run while its own thread holds any lock, but not within this queue.
        ended = self._ended = SimpleQueue()
        with _signals(lambda: ended.put(None)):
            try:
                self.start()
                _wait_for(ended)
            finally:
                self.stop(grace_s)

    def run_once(self) -> bool:
        """Export now, in this thread, whatever the time; say whether it was done.

        It is not when another worker leads. Where this process exports already, it comes after
        that.

        Raises:
            BaseException: what the export has raised; it is counted, and not tried again.
        """
        try:
            return self._exports.export()
        finally:
            with self._starting:
                if self._scheduler is None:
                    self._exports.retire()

    def status(self) -> ScheduleStatus:
        """Return what was done so far by this process, and when it is time again."""
        with self._starting:
            job = None if self._scheduler is None else self._scheduler.get_job(_JOB)
            return self._exports.status(
                next_run_at=None if job is None else job.next_run_time,
                works=self._scheduler is not None,
            )

    def __enter__(self) -> Self:
        """Start it."""
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop it."""
        self.stop()

    # ------------------------------------------------------------------------------- forks

    def after_fork_in_child(self) -> None:
        """Be as if it was never started: its threads are the parent's, and so is its lead."""
        if self._worker is not None:
            self._worker.after_fork_in_child()
        self._begin_anew()


def _trigger(every_s: float | None, cron: str | None, timezone: tzinfo) -> Any:  # noqa: ANN401  # it ships no types
    """Return what tells the next time."""
    if (every_s is None) == (cron is None):
        msg = "give either every_s, such as every_s=parse_every('hour'), or cron='0 3 * * *'"
        raise ValueError(msg)
    if every_s is not None:
        checked_every(every_s)
    fields = None if cron is None else checked_cron(cron)
    try:
        from apscheduler.triggers.cron import CronTrigger  # noqa: PLC0415  # an extra
        from apscheduler.triggers.interval import IntervalTrigger  # noqa: PLC0415  # an extra
    except ImportError as error:
        msg = (
            "a schedule needs apscheduler, which is not installed: "
            "pip install 'feedback-store[schedule]'"
        )
        raise MissingExtraError(msg, name="apscheduler") from error
    if fields is None:
        seconds: Any = every_s  # its signature says whole ones; parts of one are fine
        return IntervalTrigger(seconds=seconds, timezone=UTC)
    try:
        trigger = CronTrigger.from_crontab(fields, timezone=timezone)
    except ValueError as error:
        msg = f"cron={cron!r} is not understood: {error}"
        raise ValueError(msg) from error
    if trigger.get_next_fire_time(None, datetime.now(timezone)) is None:
        msg = f"cron={cron!r} is never due"
        raise ValueError(msg)
    return trigger


def _started(trigger: object, timezone: tzinfo, tick: Callable[[], None], name: str) -> Any:  # noqa: ANN401  # it ships no types
    """Return a scheduler that calls ``tick`` now and then on time."""
    from apscheduler.executors.debug import DebugExecutor  # noqa: PLC0415  # an extra
    from apscheduler.schedulers.background import BackgroundScheduler  # noqa: PLC0415  # an extra

    for quiet in (_SCHEDULER_LOGGER, f"apscheduler.executors.{_EXECUTOR}"):
        # It says of each time that the job "executed successfully", where it was only handed on.
        logging.getLogger(quiet).setLevel(logging.WARNING)
    # The tick only hands on, so it runs in the scheduler's own thread and needs no pool; the jobs
    # are kept in memory, as each worker has its own and the lock decides between them.
    scheduler = BackgroundScheduler(
        timezone=timezone,
        executors={_EXECUTOR: DebugExecutor()},
        logger=logging.getLogger(_SCHEDULER_LOGGER),
    )
    scheduler.add_job(
        tick,
        trigger,
        id=_JOB,
        name=name,
        executor=_EXECUTOR,
        next_run_time=datetime.now(timezone),
        coalesce=True,  # after a pause of the machine, once and not once for every time missed
        max_instances=1,
        misfire_grace_time=None,  # however late: a late snapshot is better than none
    )
    scheduler.start()
    return scheduler


def _wait_for(ended: SimpleQueue[None]) -> None:
    """Wait until something is in the queue.

    A signal that comes just before the thread goes to sleep does not wake it, and its handler runs
    only once the thread is awake. This was seen to happen; so it wakes by itself every now and
    then.
    """
    while True:
        with suppress(Empty):
            return ended.get(timeout=_AWAKE_EVERY_S)


@contextmanager
def _signals(end: Callable[[], None]) -> Iterator[None]:
    """Call ``end`` for the signals that ask a process to end, as long as the block lasts."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    # What is ignored stays so: a shell lets its background jobs ignore SIGINT.
    asked = [n for n in (signal.SIGTERM, signal.SIGINT) if signal.getsignal(n) != signal.SIG_IGN]
    before = {number: signal.signal(number, lambda *_: end()) for number in asked}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
