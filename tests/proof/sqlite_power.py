"""Power cuts for the SQLite store, at every system call that it makes.

A child plays a script on a real database file; its calls are replayed (see `replay`), and what a
power cut may leave at each of them is opened with the real store. What it must show then is in
`sqlite_script`.
"""

import os
import random
import shutil
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import attrs
from replay import Kind, Replay, write_out
from sqlite_script import FILE, PLAYED, Durability, Journal, Owed, examine, play
from syscalls import files_below, record, strace_works

from feedback_store.testing.simulation import Image

JOURNALS: tuple[Journal, ...] = ("wal", "delete")
MODELS = ("posix", "ext4", "ordered")

MAPPED = "-shm"
"""The end of the name of a file that is mapped, and made anew by whoever opens the database."""

_MAPPED_BYTES = 32768
_FEW = 6
"""Crash states at a moment of a recovery."""

_MEMORY = Path("/dev/shm")


@attrs.frozen
class Effort:
    """How hard a script is explored.

    Attributes:
        limit: crash states at a moment, about.
        every: whether before every call, or only where less may be left after it.
        second: of how many in a thousand states the recovery is cut off as well.
    """

    limit: int
    every: bool
    second: int


EFFORTS = {
    "fast": Effort(3, every=False, second=4),
    "ci": Effort(20, every=False, second=10),
    "deep": Effort(20, every=True, second=5),
}
"""By the name of the profile."""


@attrs.define
class PowerTally:
    """What was tried; numbers add up.

    Attributes:
        steps: the steps of the scripts.
        calls: the calls that change something, sync, or say something.
        moments: those of them at which the power was cut.
        states: the different states that were examined.
        recoveries: those of them that were left by a second cut, during a recovery.
        violations: what was wrong, a sentence each.
        skipped: why nothing was tried, or where it was cut short; else empty.
    """

    steps: int = 0
    calls: int = 0
    moments: int = 0
    states: int = 0
    recoveries: int = 0
    violations: list[str] = attrs.field(factory=list[str])
    skipped: str = ""

    def add(self, other: "PowerTally") -> None:
        """Add what another has tried."""
        for name in ("steps", "calls", "moments", "states", "recoveries", "violations"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.skipped = self.skipped or other.skipped


class Exploration:
    """Cuts the power everywhere in one script.

    Args:
        scratch: a folder for the folders; those of violations stay there.
        journal: the journal of the database.
        model: the filesystem.
        effort: how hard it is tried.
        durability: of the store that plays the script.

    Attributes:
        tally: what was tried.
    """

    def __init__(
        self,
        scratch: Path,
        journal: Journal,
        model: str,
        effort: Effort,
        durability: Durability = "sync",
    ) -> None:
        self.tally = PowerTally(steps=PLAYED)
        self._scratch = scratch
        self._journal: Journal = journal
        self._model = model
        self._effort = effort
        self._durability: Durability = durability
        self._rng = random.Random(0)
        self._seen: set[tuple[int, int]] = set()

    def __str__(self) -> str:
        """Tell of it."""
        return f"journal {self._journal}, {self._model}"

    def run(self, deadline: float = float("inf")) -> PowerTally:
        """Play the script, and examine what a power cut leaves of it; stop at a deadline."""
        root = self._scratch / f"played {self}"
        root.mkdir(parents=True)
        replay = self._replayed(root, range(PLAYED), None)
        for moment in replay.moments():
            self.tally.calls += moment.kind is not Kind.END
            if moment.kind is Kind.CHANGE and not self._effort.every:
                continue
            if time.monotonic() > deadline:
                self.tally.skipped = f"{self}: cut short before {moment.words}"
                return self.tally
            self.tally.moments += 1
            when = f"after {replay.said[-1:]}, before {moment.words}"
            for words, image in replay.crash_states(self._effort.limit, self._rng):
                if self._look(image, replay.said, f"{when}: {words}"):
                    self._perhaps_again(image, replay.said, f"{when}: {words}")
        return self.tally

    def _replayed(self, root: Path, numbers: Iterable[int], image: Image | None) -> Replay:
        """Play steps in a folder that is as in the image; return the replay, not begun."""
        work = partial(play, root, self._journal, numbers, self._durability)
        calls = record(work, self._scratch / f"log {self}")
        whole = Replay(calls, root, self._model, image=image, unseen=(MAPPED,))
        for _ in whole.moments():
            pass
        made = {path[1:]: content for path, _, content in whole.machine.image().files()}
        there = files_below(root).items()
        assert made == {name: data for name, data in there if not name.endswith(MAPPED)}
        return Replay(calls, root, self._model, image=image, unseen=(MAPPED,))

    def _look(self, image: Image, said: Sequence[str], when: str) -> bool:
        """Examine a state, unless it was seen before; return whether it was new, and is well."""
        key = (image.key(), hash(tuple(said)))
        if key in self._seen:
            return False
        self._seen.add(key)
        self.tally.states += 1
        folder = self._scratch / f"state {self.tally.states} {self}"
        write_out(image, folder)
        self._leave_mapped(folder / f"{FILE}{MAPPED}")
        problems = examine(folder, self._journal, Owed.after(said))
        self.tally.violations += [f"{folder.name}, {when}: {problem}" for problem in problems]
        if not problems:
            shutil.rmtree(folder)
        return not problems

    def _leave_mapped(self, mapped: Path) -> None:
        """Let there be nothing of the mapped file, or zeros, or anything."""
        left = (None, bytes(_MAPPED_BYTES), self._rng.randbytes(_MAPPED_BYTES))
        content = left[self.tally.states % len(left)]
        if content is not None and mapped.parent.is_dir():
            mapped.write_bytes(content)

    def _perhaps_again(self, image: Image, said: Sequence[str], when: str) -> None:
        """Cut the power again while a client goes on after the first cut: now and then."""
        if self._rng.randrange(1000) >= self._effort.second:
            return
        before = self.tally.states
        root = self._scratch / f"recovered {self}"
        write_out(image, root)
        replay = self._replayed(root, Owed.after(said).next_steps(), image)
        for moment in replay.moments():
            if moment.kind is not Kind.CHANGE:
                for words, state in replay.crash_states(_FEW, self._rng):
                    told = f"{when}; again before {moment.words}: {words}"
                    self._look(state, [*said, *replay.said], told)
        shutil.rmtree(root)
        self.tally.recoveries += self.tally.states - before


@contextmanager
def in_memory() -> Iterator[Path]:
    """Lend a folder in memory, where there is one: files that are made by the thousand."""
    place = _MEMORY if os.access(_MEMORY, os.W_OK) else None
    with tempfile.TemporaryDirectory(dir=place) as folder:
        yield Path(folder)


def _explore(scratch: Path, deadline: float, unit: tuple[Journal, str]) -> PowerTally:
    return Exploration(scratch, *unit, EFFORTS["deep"]).run(deadline)


def prove_sqlite(scratch: Path, budget_s: float) -> PowerTally:
    """Cut the power at every system call of a script, with every journal and every model.

    Args:
        scratch: a folder for the folders; those of violations stay there.
        budget_s: after this time it stops, and says where.
    """
    tally = PowerTally()
    if not strace_works():
        tally.skipped = "strace is not installed, or may not trace here"
        return tally
    units = [(journal, model) for model in MODELS for journal in JOURNALS]
    work = partial(_explore, scratch, time.monotonic() + budget_s)
    with ProcessPoolExecutor(os.cpu_count() or 1) as pool:
        for tried in pool.map(work, units):
            tally.add(tried)
    return tally
