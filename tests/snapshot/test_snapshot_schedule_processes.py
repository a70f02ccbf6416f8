"""A schedule of snapshots in several real processes, on a fast clock: who exports, and how it ends.

Promises 19 and 20 of the page on durability hold for the leader's lock as for that of a store.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import pytest

pytest.importorskip("apscheduler")

pytestmark = [
    pytest.mark.skipif(sys.platform == "win32", reason="signals end processes in another way"),
    pytest.mark.timeout(120),
]

PROGRAM = Path(__file__).with_name("scheduled_worker.py")
DEADLINE_S = 60.0
PERIOD_S = 0.5
HOUR_S = 3600.0


class Event(NamedTuple):
    """One line of the journal: what a worker did, and when."""

    what: str
    pid: int
    at_s: float


class Scene:
    """Workers of one app, the lock beside their target, and the journal of what they did."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.workers: dict[int, subprocess.Popen[str]] = {}

    def start(self, every_s: float = PERIOD_S, **told: Any) -> subprocess.Popen[str]:  # noqa: ANN401  # as JSON
        """Start one more worker."""
        told |= {
            "every_s": every_s,
            "journal": str(self._folder / "journal"),
            "lock_path": str(self._folder / "snapshot.lock"),
        }
        command = [sys.executable, str(PROGRAM), json.dumps(told)]
        worker = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self.workers[worker.pid] = worker
        return worker

    def events(self, what: str) -> list[Event]:
        """Return what the journal tells of one kind of event, in its order."""
        path = self._folder / "journal"
        lines = path.read_text().splitlines() if path.exists() else []
        events = [Event(kind, int(pid), float(at)) for kind, pid, at in map(str.split, lines)]
        return [event for event in events if event.what == what]

    def until(self, holds: Callable[[], bool]) -> None:
        """Wait until something holds."""
        deadline = time.monotonic() + DEADLINE_S
        while not holds():
            assert time.monotonic() < deadline, "it never came true"
            time.sleep(0.01)

    def until_exports(self, number: int, *, but_by: int = 0) -> None:
        """Wait until there are so many exports, perhaps by anyone but one worker."""
        self.until(lambda: len([e for e in self.events("end") if e.pid != but_by]) >= number)

    def end(self, number: int = signal.SIGTERM) -> dict[int, dict[str, Any]]:
        """Send a signal to all workers that live; return what each says of itself at its end."""
        living = [worker for worker in self.workers.values() if worker.poll() is None]
        for worker in living:
            worker.send_signal(number)
        said = {worker.pid: worker.communicate(timeout=DEADLINE_S)[0] for worker in living}
        assert [0] * len(living) == [worker.returncode for worker in living]
        return {pid: json.loads(text) for pid, text in said.items()}

    def clean(self) -> None:
        """Kill what is left, the children that a worker has forked included."""
        for event in self.events("child"):
            with suppress(ProcessLookupError):
                os.kill(event.pid, signal.SIGKILL)
        for worker in self.workers.values():
            worker.kill()
            worker.communicate()


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    """Return a scene, which leaves no process behind."""
    made = Scene(tmp_path)
    yield made
    made.clean()


def check_rate(events: list[Event]) -> None:
    """Check that there was one export per period, and not one per worker.

    Each worker counts its periods from its own start, so the first export of one that takes over
    may follow closely, as may the one after an export that began late.
    """
    leaders = len({event.pid for event in events})
    passed_s = events[-1].at_s - events[0].at_s
    assert len(events) - 2 * leaders <= passed_s / PERIOD_S


def test_four_workers_make_one_export_per_period(scene: Scene) -> None:
    """Of four workers that start at once one exports, each period once; all end cleanly."""
    for _ in range(4):
        scene.start()
    scene.until(lambda: len(scene.events("settled")) == 4)
    scene.until_exports(7)
    told = scene.end()
    exports = scene.events("end")
    check_rate(exports)
    leader = exports[0].pid
    assert {leader} == {event.pid for event in exports}
    assert [0, 0, 0, len(exports)] == sorted(status["runs"] for status in told.values())
    assert all(status["skipped"] >= 1 for pid, status in told.items() if pid != leader)
    assert 0 == told[leader]["skipped"]


def test_four_workers_make_one_first_export(scene: Scene) -> None:
    """However fast an export is, nobody makes another one at the start."""
    for _ in range(4):
        scene.start(HOUR_S)
    scene.until(lambda: len(scene.events("settled")) == 4)
    told = scene.end()
    assert 1 == len(scene.events("begin"))
    assert [0, 0, 0, 1] == sorted(status["runs"] for status in told.values())
    assert [0, 1, 1, 1] == sorted(status["skipped"] for status in told.values())


def test_another_worker_takes_over_from_a_killed_one(scene: Scene) -> None:
    """A leader that is killed, twice in a row, is followed by one other, at its next time."""
    for _ in range(4):
        scene.start()
    scene.until(lambda: len(scene.events("settled")) == 4)
    killed: set[int] = set()
    for _ in range(2):
        scene.until_exports(1 + len(scene.events("end")))
        leader = scene.events("end")[-1].pid
        assert leader not in killed
        scene.workers[leader].kill()
        scene.workers[leader].wait()
        killed.add(leader)
        scene.until(lambda: scene.events("end")[-1].pid not in killed)
    scene.until_exports(7 + len(scene.events("end")))
    scene.end()
    exports = scene.events("end")
    check_rate(exports)
    # Once one has followed another, nobody comes back: the lock was never held twice.
    order = [event.pid for event in exports]
    assert 3 == len([pid for n, pid in enumerate(order) if n == 0 or order[n - 1] != pid])


def test_who_takes_over_waits_for_its_time(scene: Scene) -> None:
    """A worker whose period is an hour does not export because the leader has died."""
    leader = scene.start(HOUR_S)
    scene.until_exports(1)
    follower = scene.start(HOUR_S)
    scene.until(lambda: len(scene.events("settled")) == 2)
    leader.kill()
    leader.wait()
    told = scene.end()
    assert (0, 1) == (told[follower.pid]["runs"], told[follower.pid]["skipped"])
    assert 1 == len(scene.events("begin"))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda n: n.name)
def test_a_running_export_is_finished(scene: Scene, number: signal.Signals) -> None:
    """A signal ends the process with 0, and only after the export that it met."""
    scene.start(HOUR_S, takes_s=1.0, grace_s=DEADLINE_S)
    scene.until(lambda: bool(scene.events("begin")))
    (told,) = scene.end(number).values()
    assert 1 == len(scene.events("end"))
    assert (1, 0, False) == (told["runs"], told["failed"], told["leader"])
    assert told["last_success_at"] is not None


def test_a_second_signal_changes_nothing(scene: Scene) -> None:
    """A supervisor that repeats itself does not cut the export off."""
    worker = scene.start(HOUR_S, takes_s=1.0, grace_s=DEADLINE_S)
    scene.until(lambda: bool(scene.events("begin")))
    worker.terminate()
    worker.send_signal(signal.SIGINT)
    scene.end()
    assert 1 == len(scene.events("end"))


def test_a_hanging_export_keeps_nobody_from_ending(scene: Scene) -> None:
    """When the grace is over the process ends with 0 all the same, and the next worker leads."""
    hanging = scene.start(HOUR_S, takes_s=HOUR_S, grace_s=0.2)
    scene.until(lambda: bool(scene.events("begin")))
    asked = time.monotonic()
    scene.end()
    assert time.monotonic() - asked < DEADLINE_S / 2
    scene.start(HOUR_S)
    scene.until_exports(1)
    assert hanging.pid != scene.events("end")[0].pid


def test_a_failing_export_is_tried_again(scene: Scene) -> None:
    """Attempts are made by the leader alone, and the end is as clean."""
    first = scene.start(HOUR_S, fails=True)
    scene.until(lambda: len(scene.events("begin")) == 4)
    second = scene.start(HOUR_S, fails=True)
    scene.until(lambda: second.pid in {event.pid for event in scene.events("settled")})
    told = scene.end()
    counts = [(s["runs"], s["retried"], s["failed"], s["skipped"]) for s in told.values()]
    assert {first.pid, second.pid} == told.keys()
    assert [(0, 0, 0, 1), (4, 3, 4, 0)] == sorted(counts)


@pytest.mark.parametrize("starts", [False, True], ids=["unstarted", "started"])
def test_a_forked_child_does_not_keep_the_lead(scene: Scene, *, starts: bool) -> None:
    """A child that outlives a killed leader holds nothing of it; started anew, it may lead."""
    leader = scene.start(fork="starts" if starts else "waits")
    scene.until(lambda: bool(scene.events("child")))
    child = scene.events("child")[0].pid
    follower = scene.start() if not starts else None
    scene.until(lambda: len(scene.events("settled")) == (1 if starts else 2))
    scene.until_exports(2 + len(scene.events("end")))
    assert {leader.pid} == {event.pid for event in scene.events("end")}
    leader.kill()
    leader.wait()
    scene.until_exports(2, but_by=leader.pid)
    expected = child if follower is None else follower.pid
    assert {expected} == {e.pid for e in scene.events("end")} - {leader.pid}
    check_rate(scene.events("end"))
