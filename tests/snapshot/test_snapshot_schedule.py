"""A schedule of snapshots within one process: its times, its retries, its lock and its end."""

import itertools
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from queue import SimpleQueue
from zoneinfo import ZoneInfo

import pytest

from feedback_store.errors import MissingExtraError, StoreFullError, StoreUnavailableError
from feedback_store.snapshot.locking import LeaderLock
from feedback_store.snapshot.schedule import SnapshotSchedule
from feedback_store.snapshot.schedule_times import checked_cron, parse_every

pytest.importorskip("apscheduler")

DEADLINE_S = 30.0
HOUR_S = 3600.0
SECRET = "what somebody wrote"  # no password, but what no log line may hold

needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")


def until(holds: Callable[[], bool]) -> None:
    """Wait until something holds."""
    deadline = time.monotonic() + DEADLINE_S
    while not holds():
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.005)


class Runs:
    """An export that notes when it is called, and does what the test wants."""

    def __init__(self, *outcomes: BaseException | None) -> None:
        self.begun: SimpleQueue[int] = SimpleQueue()
        self.go_on = threading.Event()
        self.go_on.set()
        self.at_once = 0
        self.most_at_once = 0
        self._numbers = itertools.count(1)
        self._outcomes = iter(outcomes)

    def __call__(self) -> None:
        """Export."""
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        self.begun.put(next(self._numbers))
        assert self.go_on.wait(DEADLINE_S)
        self.at_once -= 1
        if outcome := next(self._outcomes, None):
            raise outcome

    def wait_for(self, number: int) -> None:
        """Wait until the export of that number has begun."""
        while self.begun.get(timeout=DEADLINE_S) < number:
            pass


@pytest.fixture
def runs() -> Iterator[Runs]:
    """Return an export, which is let go at the end."""
    made = Runs()
    yield made
    made.go_on.set()


@pytest.fixture
def lock_path(tmp_path: Path) -> Path:
    """Return where the leader's lock shall be."""
    return tmp_path / "snapshot.lock"


# ------------------------------------------------------------------------------------ times


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("hour", 3600), ("15 minutes", 900), ("30s", 30), ("1h", 3600), ("day", 86_400),
        ("1.5 hours", 5400), ("2 Weeks", 1_209_600), (" 5 min ", 300), ("90 seconds", 90),
        ("second", 1), ("2d", 172_800), ("m", 60),
    ],
)  # fmt: skip
def test_periods_are_understood(text: str, seconds: float) -> None:
    """What people write for a period is so many seconds."""
    assert seconds == parse_every(text)


@pytest.mark.parametrize(
    "text", ["", "30", "hourly", "0 s", "-1 h", "2 months", "1h30m", "ms", "50 weeks 5", "60 weeks"]
)
def test_what_is_no_period_is_refused(text: str) -> None:
    """A period that is unclear, zero or longer than a year is an error that says so."""
    with pytest.raises(ValueError, match=r"is no period|every_s must be"):
        parse_every(text)


@pytest.mark.parametrize(
    ("weekday", "days"),
    [
        ("0", "sun"), ("7", "sun"), ("1,3", "mon,wed"), ("1-5", "mon,tue,wed,thu,fri"),
        ("MON-FRI", "mon,tue,wed,thu,fri"), ("fri-sun", "sun,fri,sat"), ("6-7", "sun,sat"),
        ("*/2", "sun,tue,thu,sat"), ("5/1", "fri,sat"), ("sun-tue", "sun,mon,tue"),
    ],
)  # fmt: skip
def test_weekdays_are_those_of_cron(weekday: str, days: str) -> None:
    """Numbers of weekdays count from Sunday, as everywhere but in APScheduler."""
    assert f"0 3 * * {days}" == checked_cron(f"0 3 * * {weekday}")


def test_a_sunday_is_a_sunday(lock_path: Path) -> None:
    """The weekday 0 of a cron line comes on a Sunday."""
    schedule = SnapshotSchedule(Runs(), lock_path=lock_path, cron="30 3 * * 0")
    monday = datetime(2025, 10, 6, tzinfo=UTC)
    due = schedule._trigger.get_next_fire_time(None, monday)
    assert datetime(2025, 10, 12, 3, 30, tzinfo=UTC) == due


def test_cron_reads_the_clock_of_its_time_zone(lock_path: Path) -> None:
    """The hour is that of the zone, before and after its clocks change, each day once."""
    zone = ZoneInfo("Europe/Berlin")
    schedule = SnapshotSchedule(Runs(), lock_path=lock_path, cron="30 2 * * *", timezone=zone)
    due = datetime(2025, 10, 24, tzinfo=UTC)
    found = []
    for _ in range(4):
        due = schedule._trigger.get_next_fire_time(None, due + timedelta(seconds=1))
        found.append(due.astimezone(UTC).strftime("%d %H:%M"))
    # On the 26th there are two of that hour; the first one is taken, or both of them.
    assert ["24 00:30", "25 00:30", "26 00:30"] == found[:3]
    assert found[3] in {"26 01:30", "27 01:30"}


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({}, "give either"),
        ({"every_s": 1, "cron": "* * * * *"}, "give either"),
        ({"every_s": 0}, "every_s must be"),
        ({"every_s": float("nan")}, "every_s must be"),
        ({"every_s": 1e9}, "every_s must be"),
        ({"cron": "0 3 * *"}, "five fields"),
        ({"cron": "0 3 1 * mon"}, "give one of them"),
        ({"cron": "0 3 * * 8"}, "the weekday '8'"),
        ({"cron": "0 3 * * fri-mon"}, "the weekday 'fri-mon'"),
        ({"cron": "0 3 * * */0"}, "the weekday"),
        ({"cron": "70 3 * * *"}, "is not understood"),
        ({"cron": "0 3 30 2 *"}, "is never due"),
        ({"every_s": 1, "retry_attempts": -1}, "retry_attempts"),
        ({"every_s": 1, "retry_wait_s": float("inf")}, "retry_wait_s"),
    ],
    ids=str,
)
def test_a_wrong_schedule_is_refused(wrong: dict[str, object], said: str) -> None:
    """What makes no sense is told when the schedule is made, not when it is due."""
    with pytest.raises(ValueError, match=said):
        SnapshotSchedule(Runs(), lock_path=None, **wrong)  # type: ignore[arg-type]  # wrong on purpose


def test_without_the_extra_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """The error names the extra."""
    monkeypatch.setitem(sys.modules, "apscheduler.triggers.cron", None)
    with pytest.raises(MissingExtraError, match=r"feedback-store\[schedule\]"):
        SnapshotSchedule(Runs(), lock_path=None, every_s=1)


def test_importing_it_imports_nothing_heavy() -> None:
    """Neither APScheduler nor filelock is there before a schedule is made."""
    script = (
        "import sys, feedback_store.snapshot.schedule;"
        "print({'apscheduler', 'filelock'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert "set()" == done.stdout.strip()


# ------------------------------------------------------------------------------- going on


def test_it_exports_at_the_start_and_then_on_time(runs: Runs, lock_path: Path) -> None:
    """The first export comes at once, the next ones at whole periods from it."""
    due: list[datetime] = []

    def export() -> None:
        told = schedule.status().next_run_at
        assert told is not None
        due.append(told)
        runs()

    schedule = SnapshotSchedule(export, lock_path=lock_path, every_s=0.25)
    begun = datetime.now(UTC)
    with schedule:
        runs.wait_for(1)
        assert datetime.now(UTC) - begun < timedelta(seconds=5)
        runs.wait_for(4)
    period = timedelta(seconds=0.25)
    offsets = [((time - due[0]) % period) / period for time in due]
    assert [0.0] * len(due) == [round(offset, 3) % 1 for offset in offsets]
    assert 4 <= schedule.status().runs <= (datetime.now(UTC) - begun) / period + 1


def test_the_status_tells_what_was_done(runs: Runs, lock_path: Path) -> None:
    """Counts, times and the lead are told, while it runs and afterwards."""
    noon = datetime(2025, 10, 5, 12, tzinfo=UTC)
    schedule = SnapshotSchedule(runs, lock_path=lock_path, every_s=HOUR_S, clock=lambda: noon)
    assert (0, None, False) == (schedule.status().runs, schedule.status().next_run_at, False)
    with schedule:
        until(lambda: schedule.status().last_success_at is not None)
        told = schedule.status()
        assert (1, 0, 0, 0, 0) == (told.runs, told.skipped, told.missed, told.failed, told.retried)
        assert (noon, None, True) == (told.last_success_at, told.last_error_kind, told.leader)
        assert told.next_run_at is not None
        assert told.next_run_at - datetime.now(UTC) > timedelta(minutes=59)
    told = schedule.status()
    assert (1, None, False) == (told.runs, told.next_run_at, told.leader)
    assert "SnapshotSchedule('snapshot', interval[1:00:00])" == repr(schedule)


def test_what_fails_is_counted_told_and_tried_again(
    lock_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A failed export is tried again after a pause; the log says what it was, not what it said."""
    runs = Runs(ValueError(SECRET), StoreFullError("the disk is full; free some space"))
    told: list[BaseException] = []
    schedule = SnapshotSchedule(
        runs, lock_path=lock_path, every_s=HOUR_S, retry_wait_s=0.01, on_error=told.append
    )
    with schedule:
        until(lambda: schedule.status().last_success_at is not None)
    status = schedule.status()
    assert (3, 2, 2) == (status.runs, status.failed, status.retried)
    assert "StoreFullError" == status.last_error_kind
    assert [ValueError, StoreFullError] == [type(error) for error in told]
    warnings = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert ["feedback_store.snapshot"] * 2 == [record.name for record in warnings]
    assert ["snapshot_failed"] * 2 == [record.__dict__["event"] for record in warnings]
    assert ["ValueError", "StoreFullError"] == [record.__dict__["error"] for record in warnings]
    assert "failed with ValueError in test_snapshot_schedule, line" in caplog.text
    assert "StoreFullError: the disk is full; free some space" in caplog.text
    assert SECRET not in caplog.text


def test_it_is_tried_again_only_so_often(lock_path: Path) -> None:
    """After the last attempt nothing comes before the next time, which begins anew."""
    runs = Runs(*[OSError() for _ in range(9)])
    schedule = SnapshotSchedule(
        runs, lock_path=lock_path, every_s=HOUR_S, retry_attempts=2, retry_wait_s=0
    )
    with schedule:
        runs.wait_for(3)
        worker = schedule._worker
        assert worker is not None
        until(lambda: not worker._busy and schedule.status().failed == 3)
        worker.tick()
        runs.wait_for(6)
    assert (6, 4) == (schedule.status().runs, schedule.status().retried)


def test_the_next_time_goes_before_an_attempt(lock_path: Path) -> None:
    """Who waits to try again goes on when it is time, and counts it as no attempt."""
    runs = Runs(OSError(), OSError())
    schedule = SnapshotSchedule(runs, lock_path=lock_path, every_s=0.05, retry_wait_s=HOUR_S)
    with schedule:
        runs.wait_for(4)
    assert (0, 2) == (schedule.status().retried, schedule.status().failed)


@pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt(), RuntimeError()], ids=repr)
def test_nothing_ends_the_schedule(lock_path: Path, error: BaseException) -> None:
    """Whatever an export raises, and whatever hears of it raises, the next one comes."""

    def hear(_: BaseException) -> None:
        raise error

    runs = Runs(error)
    schedule = SnapshotSchedule(
        runs, lock_path=lock_path, every_s=0.05, retry_attempts=0, on_error=hear
    )
    with schedule:
        runs.wait_for(3)
    assert type(error).__name__ == schedule.status().last_error_kind


def test_a_failing_log_handler_does_not_end_it(lock_path: Path) -> None:
    """A handler of the app's that raises harms no export."""

    class Broken(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            raise OSError(record.name)

    logger, broken = logging.getLogger("feedback_store.snapshot"), Broken()
    logger.addHandler(broken)
    try:
        runs = Runs(OSError())
        with SnapshotSchedule(runs, lock_path=lock_path, every_s=0.05):
            runs.wait_for(3)
    finally:
        logger.removeHandler(broken)


def test_a_hanging_export_does_not_pile_up(
    runs: Runs, lock_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """While one export runs no other begins; the times that pass are counted, and told once."""
    runs.go_on.clear()
    schedule = SnapshotSchedule(runs, lock_path=lock_path, every_s=0.05)
    threads = threading.active_count()
    with schedule:
        until(lambda: schedule.status().missed >= 5)
        assert (1, threads + 2) == (schedule.status().runs, threading.active_count())
        runs.go_on.set()
        runs.wait_for(3)
    assert 1 == runs.most_at_once
    assert 1 == caplog.text.count("still running when the next one was due")


def test_its_times_are_no_news(
    runs: Runs, lock_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """An app that logs all there is does not hear of each time from APScheduler."""
    caplog.set_level(logging.INFO)
    with SnapshotSchedule(runs, lock_path=lock_path, every_s=0.05):
        runs.wait_for(3)
    assert ["feedback_store.snapshot"] == [record.name for record in caplog.records]


# -------------------------------------------------------------------------------- its end


def test_stopping_waits_for_a_running_export(runs: Runs, lock_path: Path) -> None:
    """An export that runs is finished, and the lead given up only then."""
    runs.go_on.clear()
    schedule = SnapshotSchedule(runs, lock_path=lock_path, every_s=HOUR_S)
    schedule.start()
    runs.wait_for(1)
    assert not schedule.stop(timeout_s=0.01)
    assert schedule.status().leader
    assert not LeaderLock(lock_path).take()
    with pytest.raises(RuntimeError, match="has not ended yet"):
        schedule.start()
    runs.go_on.set()
    assert schedule.stop(timeout_s=DEADLINE_S)
    assert schedule.stop()
    assert schedule.status().last_success_at is not None
    assert not schedule.status().leader


def test_it_can_be_started_again(runs: Runs, lock_path: Path) -> None:
    """After a stop it begins anew, at once; started twice it runs once."""
    schedule = SnapshotSchedule(runs, lock_path=lock_path, every_s=HOUR_S)
    schedule.start()
    schedule.start()
    runs.wait_for(1)
    assert schedule.stop()
    with schedule:
        runs.wait_for(2)
    assert (2, 0) == (schedule.status().runs, schedule.status().skipped)


def test_an_export_may_stop_the_schedule(lock_path: Path) -> None:
    """Stopping within the export waits for nothing, and there is no other one."""
    done = threading.Event()

    def export() -> None:
        assert not schedule.stop()
        done.set()

    schedule = SnapshotSchedule(export, lock_path=lock_path, every_s=0.05)
    schedule.run()
    assert done.wait(DEADLINE_S)
    assert schedule.stop(DEADLINE_S)
    assert 1 == schedule.status().runs


def test_running_in_another_thread_ends_by_a_stop(runs: Runs, lock_path: Path) -> None:
    """Outside the main thread no signal is touched, and `stop` makes it return."""
    handlers = [signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)]
    schedule = SnapshotSchedule(runs, lock_path=lock_path, every_s=HOUR_S)
    thread = threading.Thread(target=schedule.run)
    thread.start()
    runs.wait_for(1)
    assert schedule.stop()
    thread.join(DEADLINE_S)
    assert not thread.is_alive()
    assert handlers == [signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)]


def ask_to_end() -> None:
    """Send this process the signals that ask it to end."""
    os.kill(os.getpid(), signal.SIGINT)
    os.kill(os.getpid(), signal.SIGTERM)


def test_running_gives_the_signals_back(lock_path: Path) -> None:
    """A signal ends it; afterwards signals are whose they were, and what was ignored still is."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    heard = signal.signal(signal.SIGTERM, signal.SIG_DFL)
    try:
        schedule = SnapshotSchedule(ask_to_end, lock_path=lock_path, every_s=HOUR_S)
        # So often because a signal could get lost that came just before the thread went to sleep.
        for number in range(1, 101):
            schedule.run()
            assert (number, 0) == (schedule.status().runs, schedule.status().failed)
        handlers = (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM))
        assert (signal.SIG_IGN, signal.SIG_DFL) == handlers
    finally:
        signal.signal(signal.SIGINT, before)
        signal.signal(signal.SIGTERM, heard)


# --------------------------------------------------------------------------------- once


def test_once_exports_in_this_thread(runs: Runs, lock_path: Path) -> None:
    """One export, here and now; then this worker leads no more."""
    schedule = SnapshotSchedule(runs, lock_path=lock_path, every_s=HOUR_S)
    threads = threading.active_count()
    assert schedule.run_once()
    assert (1, threads) == (schedule.status().runs, threading.active_count())
    assert LeaderLock(lock_path).take()


def test_once_leaves_it_to_the_leader(runs: Runs, lock_path: Path) -> None:
    """Where another worker leads, nothing is exported, and that is told and counted."""
    leader = LeaderLock(lock_path)
    assert leader.take()
    schedule = SnapshotSchedule(runs, lock_path=lock_path, every_s=HOUR_S)
    assert not schedule.run_once()
    assert (0, 1) == (schedule.status().runs, schedule.status().skipped)
    leader.free()
    assert schedule.run_once()


def test_once_raises_what_the_export_raises(lock_path: Path) -> None:
    """The error comes to whoever has asked; it is counted, and not tried again."""
    runs = Runs(ValueError(SECRET))
    schedule = SnapshotSchedule(runs, lock_path=lock_path, every_s=HOUR_S)
    with pytest.raises(ValueError, match=SECRET):
        schedule.run_once()
    assert (1, 1, 0) == (
        schedule.status().runs,
        schedule.status().failed,
        schedule.status().retried,
    )


def test_once_comes_after_what_runs(runs: Runs, lock_path: Path) -> None:
    """Beside a running schedule it waits for its turn, and the lead stays."""
    runs.go_on.clear()
    schedule = SnapshotSchedule(runs, lock_path=lock_path, every_s=HOUR_S)
    with schedule:
        runs.wait_for(1)
        once = threading.Thread(target=schedule.run_once)
        once.start()
        runs.go_on.set()
        once.join(DEADLINE_S)
        assert not once.is_alive()
        assert schedule.status().leader
    assert (2, 1) == (schedule.status().runs, runs.most_at_once)


# ------------------------------------------------------------------------------- the lock


def test_one_leads_and_the_others_do_not(lock_path: Path) -> None:
    """A lock is held until it is given up, also by one that takes it twice; its file stays."""
    first, second = LeaderLock(lock_path), LeaderLock(lock_path)
    assert [True, True, False] == [first.take(), first.take(), second.take()]
    first.free()
    first.free()
    assert [False, True] == [first.held, second.take()]
    second.free()
    assert lock_path.exists()


def test_its_file_is_for_the_group(tmp_path: Path) -> None:
    """The folder is made, and another user of the group may lead, whatever the umask says."""
    lock = LeaderLock(tmp_path / "new" / "snapshot.lock")
    umask = os.umask(0o077)
    try:
        assert lock.take()
    finally:
        os.umask(umask)
    assert 0o664 == (tmp_path / "new" / "snapshot.lock").stat().st_mode & 0o777
    lock.free()


def test_a_leader_whose_file_is_deleted_takes_part_anew(lock_path: Path) -> None:
    """Two never lead for longer than to the next time, also where somebody deletes the file."""
    first, second = LeaderLock(lock_path), LeaderLock(lock_path)
    assert first.take()
    lock_path.unlink()
    assert second.take()
    assert [False, False] == [first.take(), first.held]
    second.free()
    assert first.take()
    first.free()


def test_a_lock_that_cannot_be_had_is_a_failed_export(runs: Runs, tmp_path: Path) -> None:
    """Who cannot tell whether another leads exports nothing, says so, and goes on trying."""
    (tmp_path / "snapshot.lock").mkdir()
    with pytest.raises(StoreUnavailableError, match=r"snapshot\.lock"):
        LeaderLock(tmp_path / "snapshot.lock").take()
    schedule = SnapshotSchedule(
        runs, lock_path=tmp_path / "snapshot.lock", every_s=HOUR_S, retry_wait_s=0.01
    )
    with schedule:
        until(lambda: schedule.status().failed > 1)
        assert (0, "StoreUnavailableError") == (
            schedule.status().runs,
            schedule.status().last_error_kind,
        )
        (tmp_path / "snapshot.lock").rmdir()
        runs.wait_for(1)


def test_without_a_lock_it_leads(runs: Runs) -> None:
    """One worker needs no lock, and leads for as long as it runs."""
    schedule = SnapshotSchedule(runs, lock_path=None, every_s=HOUR_S)
    with schedule:
        runs.wait_for(1)
        assert schedule.status().leader
    assert not schedule.status().leader


def in_child(check: Callable[[], bool]) -> int:
    """Run a check in a forked child; return 0 if it held."""
    pid = os.fork()
    if not pid:
        code = 1
        try:
            code = 0 if check() else 1
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


@needs_fork
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_child_has_no_schedule_and_takes_no_lead(runs: Runs, lock_path: Path) -> None:
    """In a child it was never started and another leads; the parent's lead stays as it was."""
    schedule = SnapshotSchedule(runs, lock_path=lock_path, every_s=HOUR_S)

    def is_new() -> bool:
        told = schedule.status()
        unstarted = (told.runs, told.leader, told.next_run_at) == (0, False, None)
        skipped = not schedule.run_once() and schedule.status().skipped == 1
        with schedule:
            until(lambda: schedule.status().skipped == 2)
        return unstarted and skipped

    with schedule:
        runs.wait_for(1)
        until(lambda: schedule.status().last_success_at is not None)
        assert 0 == in_child(is_new)
        assert schedule.status().leader
        assert not LeaderLock(lock_path).take()
        worker = schedule._worker
        assert worker is not None
        worker.tick()
        runs.wait_for(2)


@needs_fork
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_fork_within_an_export_leaves_the_child_alone(lock_path: Path) -> None:
    """A child that an export has forked, and that returns from it, begins no other."""
    codes: SimpleQueue[int] = SimpleQueue()

    def watch(worker: threading.Thread) -> None:
        worker.join(DEADLINE_S)
        is_new = not worker.is_alive() and schedule.status().runs == 0
        os._exit(7 if is_new and not LeaderLock(lock_path).take() else 1)

    def export() -> None:
        pid = os.fork()
        if pid:
            codes.put(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
            return
        threading.Thread(target=watch, args=(threading.current_thread(),)).start()

    schedule = SnapshotSchedule(export, lock_path=lock_path, every_s=HOUR_S)
    with schedule:
        assert 7 == codes.get(timeout=DEADLINE_S)
        assert schedule.status().leader
