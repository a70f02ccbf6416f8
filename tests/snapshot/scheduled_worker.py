"""One worker of an app with a schedule of snapshots: what `test_snapshot_schedule_processes` runs.

It is told in JSON what to do, notes each export as a line of a journal that all workers share,
and prints its status as JSON when it has ended.
"""

import json
import os
import signal
import sys
import threading
import time
from datetime import datetime
from typing import Any

import attrs

from feedback_store.snapshot.schedule import SnapshotSchedule


class Journal:
    """What all workers note: one line, one write."""

    def __init__(self, path: str) -> None:
        self._path = path

    def note(self, event: str) -> None:
        """Note an event with this worker's pid and the time of the machine."""
        file = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        try:
            os.write(file, f"{event} {os.getpid()} {time.monotonic()}\n".encode())
        finally:
            os.close(file)


def export_of(told: dict[str, Any], journal: Journal) -> None:
    """Export: note it, and take as long as is told."""
    journal.note("begin")
    if told.get("fails"):
        raise OSError
    time.sleep(told.get("takes_s", 0))
    journal.note("end")


def settle(schedule: SnapshotSchedule, journal: Journal) -> None:
    """Note once that the first time has come for this worker, whatever it came to."""
    while True:
        told = schedule.status()
        if told.skipped or told.last_success_at or told.failed:
            journal.note("settled")
            return
        time.sleep(0.005)


def fork(schedule: SnapshotSchedule, journal: Journal, *, starts: bool) -> None:
    """Fork a child as ``gunicorn --preload`` does, with a schedule that runs in the parent."""
    while schedule.status().last_success_at is None:
        time.sleep(0.005)
    if os.fork():
        return
    if starts:
        schedule.start()
    journal.note("child")
    signal.pause()


def main() -> None:
    """Run a schedule until a signal ends it."""
    told: dict[str, Any] = json.loads(sys.argv[1])
    journal = Journal(told["journal"])
    schedule = SnapshotSchedule(
        lambda: export_of(told, journal),
        lock_path=told["lock_path"],
        every_s=told["every_s"],
        retry_wait_s=0.01,
    )
    if "fork" in told:
        schedule.start()
        fork(schedule, journal, starts=told["fork"] == "starts")
    threading.Thread(target=settle, args=(schedule, journal), daemon=True).start()
    schedule.run(grace_s=told.get("grace_s", 8.0))
    status = attrs.asdict(schedule.status())
    print(json.dumps(status, default=datetime.isoformat), flush=True)  # noqa: T201  # the test reads it


if __name__ == "__main__":
    main()
