"""Writers that are killed all the time, beside a compactor, an eraser and an updater: any store.

Four processes of four threads add entries, and every fifth of a second one of them is killed and
replaced, whatever it holds at that moment.
"""

import os
import random
import signal
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Protocol

import attrs
from jsonl_harness import DEEP, NOON, an_entry, fork

from feedback_store import FeedbackEntry, FeedbackStore, FeedbackStoreError, Outcome, Store
from feedback_store.store import SupportsCompact

PROCESSES = 4
THREADS = 4
ENTRIES = 20_000 if DEEP else 6_000
KILL_EVERY_S = 0.2
LIMIT_S = 300.0
PER_THREAD = ENTRIES // (PROCESSES * THREADS)


class Killable(Store, SupportsCompact, Protocol):
    """A store that can be compacted."""


def entry_of(process: int, thread: int, number: int) -> FeedbackEntry:
    """Return the entry of that number: the text tells the id, so that a mixture would show."""
    id = f"{process}-{thread}-{number}"
    month = timedelta(days=31 * (number % 3))
    return an_entry(id, answer=f"<{id}> " * (1 + number % 40), timestamp=NOON - month)


class Journal:
    """What was acknowledged, in files that outlive a killed process: one line, one write."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def path(self, name: str) -> Path:
        """Return the file of one writer."""
        return self._folder / name

    def note(self, name: str, text: str) -> None:
        """Note that something was acknowledged."""
        file = os.open(self.path(name), os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        try:
            os.write(file, f"{text}\n".encode())
        finally:
            os.close(file)

    def lines(self, name: str) -> list[str]:
        """Return what was noted."""
        path = self.path(name)
        return path.read_text().splitlines() if path.exists() else []


class Scene:
    """All the processes, the store they write to, and what they were told."""

    def __init__(self, open_one: Callable[[], Killable], journal: Journal) -> None:
        self.open = open_one
        self.journal = journal
        self.kills = 0

    def write(self, process: int) -> None:
        """Add what this process has not been acknowledged yet, from all its threads."""
        feedback = FeedbackStore(self.open())
        threads = [
            threading.Thread(target=self._write, args=(feedback, process, thread))
            for thread in range(THREADS)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def _write(self, feedback: FeedbackStore, process: int, thread: int) -> None:
        name = f"{process}-{thread}"
        for number in range(len(self.journal.lines(name)), PER_THREAD):
            entry = entry_of(process, thread, number)
            assert feedback.add(entry) in (Outcome.ADDED, Outcome.UNCHANGED)
            self.journal.note(name, entry.id)

    def compact(self) -> None:
        """Compact for ever."""
        store = self.open()
        while True:
            store.compact()
            self.journal.note("compacted", "once")
            time.sleep(0.01)

    def erase(self) -> None:
        """Erase every tenth acknowledged entry, a few at a time, for ever.

        What is to be erased is noted first: a kill may leave it erased without a word.
        """
        store = self.open()
        while True:
            chosen = set(self.journal.lines("erasing")) - set(self.journal.lines("erased"))
            for process in range(PROCESSES):
                for thread in range(THREADS):
                    acknowledged = self.journal.lines(f"{process}-{thread}")
                    chosen.update(acknowledged[7::10])
            for id in sorted(chosen - set(self.journal.lines("erased")))[:20]:
                self.journal.note("erasing", id)
                store.erase([id])
                self.journal.note("erased", id)
            time.sleep(0.05)

    def update(self) -> None:
        """Change entries over and over, so that there are superseded lines to drop."""
        store = self.open()
        number = 0
        while True:
            number += 1
            for process in range(PROCESSES):
                if ids := self.journal.lines(f"{process}-0"):
                    with suppress(FeedbackStoreError):  # it may have been erased meanwhile
                        store.rewrite(random.choice(ids), _annotated)
            time.sleep(0.01)


def _annotated(entry: FeedbackEntry) -> FeedbackEntry:
    return attrs.evolve(entry, trace_id=f"trace-{entry.trace_id is None}")


def run(scene: Scene) -> float:
    """Let all of them work, and kill and replace one all the time; return how long it took."""
    works: dict[str, Callable[[], None]]
    works = {f"writer-{i}": partial(scene.write, i) for i in range(PROCESSES)}
    works |= {"compactor": scene.compact, "eraser": scene.erase, "updater": scene.update}
    pids = {name: fork(work) for name, work in works.items()}
    begun = time.monotonic()
    try:
        while any(name.startswith("writer") for name in pids):
            assert time.monotonic() < begun + LIMIT_S, "the writers did not come to an end"
            time.sleep(KILL_EVERY_S)
            for name in [name for name, pid in pids.items() if reap(pid, name)]:
                del pids[name]
            victim = random.choice(sorted(pids))
            os.kill(pids[victim], signal.SIGKILL)
            os.waitpid(pids[victim], 0)
            scene.kills += 1
            pids[victim] = fork(works[victim])
    finally:
        for pid in pids.values():
            with suppress(ProcessLookupError, ChildProcessError):  # one may have failed
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
    return time.monotonic() - begun


def reap(pid: int, name: str) -> bool:
    """Say whether a child came to its end by itself, which must have been a good one."""
    done, status = os.waitpid(pid, os.WNOHANG)
    assert not done or os.waitstatus_to_exitcode(status) == 0, f"{name} failed"
    return bool(done)


@attrs.frozen
class Told:
    """What was acknowledged in the end.

    Attributes:
        added: the ids of entries that are stored.
        erasing: those that somebody began to erase.
        erased: those that are erased.
    """

    added: set[str]
    erasing: set[str]
    erased: set[str]


def told(journal: Journal) -> Told:
    """Return what all processes were told."""
    added = {
        id
        for process in range(PROCESSES)
        for thread in range(THREADS)
        for id in journal.lines(f"{process}-{thread}")
    }
    return Told(added, set(journal.lines("erasing")), set(journal.lines("erased")))
