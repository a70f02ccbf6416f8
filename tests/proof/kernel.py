"""The crash harness on the real kernel, smaller: one script, stopped wherever it changes a disk.

The simulated disk is where the searching is done. What it cannot show is whether it is like the
real one, so here a child plays a script on a real folder under strace, and at each call that
changes the folder it is killed, or the call fails once. A store that is opened on what is left
must serve what was acknowledged, nothing that was not asked for, and be usable.

To attach strace costs more than the script itself. So it is attached once to many children that
wait, one for each n. It counts the calls of each child on their own, up to the same number, so a
child whose n-th call is the one first makes harmless calls of that name, until n are missing.
"""

import fcntl
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import NamedTuple

import attrs
from subject import small_indexes

from feedback_store import FeedbackEntry, FeedbackStoreError, Status
from feedback_store.backends.jsonl import JsonlStore
from feedback_store.backends.jsonl.naming import is_temporary
from feedback_store.testing.simulation.examination import show

sys.path.append(str(Path(__file__).parent.parent / "jsonl"))  # pytest may not have been there
import jsonl_harness as harness  # pyright: ignore[reportMissingImports]  # found by the line above

_TRIES = 3
_PLAY_S = 50
_NO_FILE = 1 << 20  # a descriptor that no process has
_NOWHERE = Path("/there/is/no/such/file")

_CHANGING: dict[str, Callable[[], object]] = {
    "chmod": lambda: _NOWHERE.chmod(0),
    "fchmod": lambda: os.fchmod(_NO_FILE, 0),
    "fdatasync": lambda: os.fdatasync(_NO_FILE),
    "flock": lambda: fcntl.flock(_NO_FILE, fcntl.LOCK_UN),
    "fsync": lambda: os.fsync(_NO_FILE),
    "mkdir": _NOWHERE.mkdir,
    "openat": lambda: os.open(_NOWHERE, os.O_RDONLY),
    "rename": lambda: _NOWHERE.rename(_NOWHERE),
    "unlink": _NOWHERE.unlink,
    "write": lambda: os.write(_NO_FILE, b""),
}
"""The calls that change a disk, or guard a change, and how each is made without any effect."""

_KILL = "signal=KILL"
_EVERY = (_KILL, "error=EIO")
_MORE = {"write": ("error=ENOSPC",)}

_COMPACTED = ("damaged_lines", "readable", "sealed", "stale_files")  # to be well after that


class KernelTally(NamedTuple):
    """What was tried.

    Attributes:
        steps: the steps of the script.
        calls: the calls at which something was injected, each counted once.
        kills: how often the child was killed.
        faults: how often a call failed.
        states: the folders that were examined afterwards.
        violations: what was wrong, one sentence each.
        skipped: why nothing was tried, or where it was cut short; else empty.
    """

    steps: int
    calls: int
    kills: int
    faults: int
    states: int
    violations: list[str]
    skipped: str


class Step(NamedTuple):
    """What a client calls, and what that makes of the entries, by id; None for one that is gone."""

    name: str
    run: Callable[[JsonlStore], object]
    effect: dict[str, FeedbackEntry | None]


def _add(*entries: FeedbackEntry) -> Step:
    effect = {entry.id: entry for entry in entries}
    return Step(f"add {', '.join(effect)}", lambda store: store.append(entries), {**effect})


def _rate(entry: FeedbackEntry) -> FeedbackEntry:
    return attrs.evolve(entry, rating=1)


ERASED: FeedbackEntry = harness.an_entry("erased", answer="Answer erased.")
NOVEMBER: FeedbackEntry = harness.an_entry("nov", timestamp=harness.NOON.replace(month=11))

# The update is in another month than the erasure, which would leave nothing to compact.
STEPS = (
    _add(harness.an_entry("first")),
    _add(ERASED, NOVEMBER),
    Step("update", lambda store: store.rewrite("nov", _rate), {"nov": _rate(NOVEMBER)}),
    Step("erase", lambda store: store.erase(["erased"]), {"erased": None}),
    Step("compact", JsonlStore.compact, {}),
    Step("close", JsonlStore.close, {}),
)
_ERASURE = 3
_LATER = _add(harness.an_entry("later"))


def play(folder: Path, steps: Sequence[Step] = STEPS, told: harness.Shared | None = None) -> None:
    """Play the script, as a client who makes a failing call again, three times at most.

    The phase that is told is odd while a step runs and even between two: twice the steps that
    were acknowledged. The report tells why the client gave up.
    """
    shared = told or harness.Shared()
    store = JsonlStore(folder)
    for step in steps:
        shared.phase += 1
        for left in reversed(range(_TRIES)):
            try:
                step.run(store)
                break
            except FeedbackStoreError as error:
                if not left:
                    shared.report = f"{step.name} failed {_TRIES} times: {error!r}"
                    return
        shared.phase += 1


def examine(folder: Path, phase: int) -> list[str]:
    """Return what is wrong with a folder on which the script came to a phase; then go on there."""
    done, begun = phase // 2, (phase + 1) // 2
    problems = _left_behind(folder) if done > _ERASURE else []
    try:
        with closing(JsonlStore(folder)) as store:
            problems += _wrong(store, STEPS[:done], STEPS[done:begun])
            for step in (*STEPS[done:-1], _LATER):
                step.run(store)
            store.compact()
            checks = [check for check in store.check().checks if check.name in _COMPACTED]
            problems += [f"it says {check}" for check in checks if check.status != Status.OK]
        with closing(JsonlStore(folder)) as store:
            problems += _wrong(store, (*STEPS, _LATER))
    except Exception as error:  # noqa: BLE001  # whatever it is, it is what was looked for
        return [*problems, repr(error)]
    months = filter(is_temporary, harness.temporary_files(folder))
    return [*problems, *_left_behind(folder), *(f"{name} was left behind" for name in months)]


def _wrong(store: JsonlStore, done: Sequence[Step], now: Sequence[Step] = ()) -> Iterator[str]:
    """Say which entries are not what these steps made of them, those that ran all or in part."""
    owed = {id: entry for step in done for id, entry in step.effect.items()}
    may = owed | {id: entry for step in now for id, entry in step.effect.items()}
    found = show(store)
    for id in set(found).union(*(step.effect for step in STEPS)):
        if found.get(id) not in (owed.get(id), may.get(id)) or store.get(id) != found.get(id):
            yield f"{id} is {found.get(id)}, but must be {owed.get(id)} or {may.get(id)}"


def _left_behind(folder: Path) -> list[str]:
    """Say where something of the erased entry stands."""
    return [
        f"{needle!r} stands in {name}, though it was erased"
        for name, data in harness.tree(folder).items()
        for needle in (ERASED.id, ERASED.answer)
        if needle.encode() in name.encode() + data
    ]


class _Child:
    """A forked child that waits for its turn to play the script, after some harmless calls."""

    def __init__(self, home: Path, calls: Sequence[Callable[[], object]] = ()) -> None:
        self.home = home
        self.folder = home / "store"
        self.shared = harness.Shared()
        self._calls = calls
        self._gate, self._key = os.pipe()
        self.pid: int = harness.fork(self._work)
        os.close(self._gate)

    def _work(self) -> None:
        os.close(self._key)
        if not os.read(self._gate, 1):
            return  # whoever has the key has died
        signal.alarm(_PLAY_S)
        for call in self._calls:
            with suppress(OSError):
                call()
        play(self.folder, told=self.shared)

    def go(self) -> int:
        """Let it play; return its exit code, or minus the signal that ended it."""
        os.write(self._key, b"!")
        os.close(self._key)
        return harness.wait_for(self.pid)


def _traced(children: Sequence[_Child], log: Path, *options: str) -> tuple[list[int], str]:
    """Let children play in turn under strace; return how each ended, and the log."""
    pids = [f"--attach={child.pid}" for child in children]
    command = ["strace", "-f", "-y", "-o", str(log), *options, *pids]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as strace:
        assert strace.stderr is not None
        try:
            lines = [strace.stderr.readline() for _ in children]
            assert all("attached" in line for line in lines), lines
            codes = [child.go() for child in children]
        finally:
            strace.terminate()
    return codes, log.read_text("utf-8", "replace")


def _changes(log: str, scratch: Path) -> dict[str, list[int]]:
    """Return which calls of each name change something in the folder."""
    counts: Counter[str] = Counter()
    changes: dict[str, list[int]] = {}
    for call, rest in re.findall(r"^\d+ +(\w+)\((.*)", log, re.MULTILINE):
        counts[call] += 1
        if str(scratch) in rest and (call != "openat" or "O_CREAT" in rest):
            changes.setdefault(call, []).append(counts[call])
    return changes


class _Proof:
    """Plays the script again and again, and counts."""

    def __init__(self, scratch: Path) -> None:
        self._scratch = scratch
        self._log = scratch / "log"
        self.kills = self.faults = self.states = 0
        self.violations: list[str] = []

    def look(self) -> dict[str, list[int]]:
        """Play the script untouched; return the calls that change something, where it is right."""
        play(self._scratch / "warm")  # imports what the script needs
        child = _Child(self._scratch / "untouched")
        codes, log = _traced([child], self._log, f"--trace={','.join(_CHANGING)}")
        self._examine(child, codes[0], 0)
        return {} if self.violations else _changes(log, self._scratch)

    def inject(self, call: str, what: str, numbers: Sequence[int]) -> None:
        """Let the same happen to each of these calls of one name, in a child for each."""
        last = max(numbers)
        waste = [_CHANGING[call]] * last
        children = [_Child(self._scratch / f"{call} {n} {what}", waste[n:]) for n in numbers]
        fault = harness.Fault(call, what, str(last))
        codes, log = _traced(children, self._log, f"--trace={call}", f"--{fault}")
        for child, code in zip(children, codes, strict=True):
            self._examine(child, code, -signal.SIGKILL if what == _KILL else 0)
        kills, faults = codes.count(-signal.SIGKILL), log.count("(INJECTED)")
        self.kills += kills
        self.faults += faults
        if kills + faults != len(children):
            self.violations.append(f"{fault} came {kills + faults} of {len(children)} times")

    def _examine(self, child: _Child, code: int, expected: int) -> None:
        phase = child.shared.phase
        problems = examine(child.folder, phase)
        self.states += 1
        if code != expected:
            problems.append(f"the child ended with {code} instead of {expected}")
        if code == 0 and phase != 2 * len(STEPS):
            problems.append(str(child.shared.report))
        words = f"{child.home.name}, after {phase // 2} steps"
        self.violations += [f"{words}: {problem}" for problem in dict.fromkeys(problems)]
        if not problems:
            shutil.rmtree(child.home)


def prove_on_the_real_kernel(scratch: Path, budget_s: float) -> KernelTally:
    """Kill a script, and let it fail, at every call that changes its folder; say what came of it.

    Args:
        scratch: a folder for the folders; those of violations stay there.
        budget_s: after this time it stops before the next name of a call, and says where.
    """
    deadline = time.monotonic() + budget_s
    skipped = "" if harness._strace_works() else "strace is not installed, or may not trace here"
    proof = _Proof(scratch)
    with small_indexes():
        changes = {} if skipped else proof.look()
        for call, what in ((c, w) for c in changes for w in (*_EVERY, *_MORE.get(c, ()))):
            if time.monotonic() > deadline:
                skipped = f"cut short before {call} {what}"
                break
            proof.inject(call, what, changes[call])
    calls = sum(map(len, changes.values()))
    counts = (len(STEPS), calls, proof.kills, proof.faults, proof.states)
    return KernelTally(*counts, proof.violations, skipped)
