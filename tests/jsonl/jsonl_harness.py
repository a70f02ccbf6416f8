"""What the tests of the month-file store share: entries, folders, children, and faults.

A fault is injected by strace, attached to a forked child of this process once the child has come
to the call that is examined, so that no call of the interpreter's start is counted. The child
reports through shared memory, because a pipe would cost calls of its own.
"""

import gzip
import json
import mmap
import os
import shutil
import signal
import subprocess
import sys
import time
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import pytest

import feedback_store
from feedback_store import FeedbackEntry, FeedbackStoreError, Query, encode
from feedback_store.backends.jsonl import JsonlStore

DEEP = os.environ.get("FEEDBACK_STORE_PROFILE") == "deep"
"""Whether to take the time for the full sizes."""

NOON = datetime(2025, 10, 5, 12, 0, 0, 123000, tzinfo=UTC)
MONTH = "feedback_2025-10.jsonl"

CANARY = "canary-Zwölfboxkämpfer"
"""Text of a user, which must be found nowhere but in the data."""

DEADLINE_S = 60.0
_PAUSE_S = 0.001
_REPORT_BYTES = 1 << 24


def an_entry(id: str = "a", **fields: Any) -> FeedbackEntry:  # noqa: ANN401  # any field's value
    """Return an entry, of which only what matters to the test is told."""
    given: dict[str, Any] = {
        "message_id": id,
        "question": "How?",
        "answer": "So.",
        "rating": 0,
        "timestamp": NOON,
    }
    return FeedbackEntry(**{**given, **fields, "id": id})


def a_line(id: str = "a", **fields: Any) -> bytes:  # noqa: ANN401  # as above
    """Return the line of an entry, with its newline."""
    return encode(an_entry(id, **fields)) + b"\n"


def ids(store: JsonlStore) -> list[str]:
    """Return the ids of all entries, oldest first."""
    return [entry.id for entry in store.scan(Query())]


def contents(folder: Path) -> dict[str, bytes]:
    """Return the lines that a store opened anew serves, by id; each by scan and by get alike."""
    with closing(JsonlStore(folder)) as store:
        found = {entry.id: encode(entry) for entry in store.scan(Query())}
        for id, line in found.items():
            entry = store.get(id)
            assert entry is not None
            assert line == encode(entry)
        return found


def tree(folder: Path) -> dict[str, bytes]:
    """Return the bytes of every file below a folder, by its path in it."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def data_of(folder: Path) -> dict[str, bytes]:
    """Return the bytes of the month files."""
    files = sorted(folder.glob("feedback_*.jsonl*"))
    return {path.name: path.read_bytes() for path in files}


def raw(folder: Path) -> bytes:
    """Return every byte below a folder, names included; compressed files as they read unpacked."""
    parts = []
    for name, data in tree(folder).items():
        parts.append(name.encode())
        parts.append(gzip.decompress(data) if name.endswith(".gz") else data)
    return b"\n".join(parts)


def write_behind(path: Path, data: bytes) -> None:
    """Append bytes to a file, as something else than the store."""
    with path.open("ab") as file:
        file.write(data)


def temporary_files(folder: Path) -> list[str]:
    """Return the names of all temporary files below a folder."""
    return sorted(path.name for path in folder.rglob("*.tmp"))


def await_true(condition: Callable[[], object], what: str) -> None:
    """Return as soon as a condition holds.

    Raises:
        AssertionError: it did not within a minute.
    """
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        time.sleep(_PAUSE_S)


# ------------------------------------------------------------------------------------ children


def fork(work: Callable[[], object]) -> int:
    """Run ``work`` in a forked child, which then ends; return its pid."""
    sys.stdout.flush()
    sys.stderr.flush()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # threads and a fork are the subject
        pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        work()
        code = 0
    except BaseException:  # noqa: BLE001  # the child must never return into pytest
        traceback.print_exc()
    finally:
        os._exit(code)


def wait_for(pid: int) -> int:
    """Return the exit code of a child, or minus the signal that ended it.

    Raises:
        AssertionError: it did not end within a minute; it is killed.
    """
    deadline = time.monotonic() + DEADLINE_S
    while True:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        if time.monotonic() > deadline:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            pytest.fail("a child did not end")
        time.sleep(_PAUSE_S)


def in_child(work: Callable[[], object]) -> Any:  # noqa: ANN401  # any JSON value
    """Run ``work`` in a forked child; return what it returns, which must be JSON.

    Raises:
        AssertionError: it raised.
    """
    shared = Shared()

    def report() -> None:
        shared.report = work()

    assert 0 == wait_for(fork(report))
    return shared.report


class Shared:
    """Memory that this process and its children share: a phase, and a report in JSON."""

    def __init__(self) -> None:
        self._memory = mmap.mmap(-1, _REPORT_BYTES)

    @property
    def phase(self) -> int:
        """A small number that both sides may set and wait for."""
        return self._memory[0]

    @phase.setter
    def phase(self, phase: int) -> None:
        self._memory[0] = phase

    def await_phase(self, phase: int) -> None:
        """Return once the phase has come."""
        await_true(lambda: self.phase >= phase, f"phase {phase}")

    @property
    def report(self) -> Any:  # noqa: ANN401  # any JSON value
        """What a child told."""
        size = int.from_bytes(self._memory[8:16], "little")
        return json.loads(self._memory[16 : 16 + size]) if size else None

    @report.setter
    def report(self, value: object) -> None:
        data = json.dumps(value).encode()
        self._memory[16 : 16 + len(data)] = data
        self._memory[8:16] = len(data).to_bytes(8, "little")


def run_script(
    script: str, *args: object, before: tuple[str, ...] = (), **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run a script in an interpreter of its own, perhaps behind another command."""
    path = os.pathsep.join([str(Path(feedback_store.__file__).parents[1]), *sys.path])
    return subprocess.run(
        [*before, sys.executable, "-c", script, *map(str, args)],
        env={**os.environ, "PYTHONPATH": path, **environment},
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=False,
    )


# -------------------------------------------------------------------------------------- faults


class Fault(NamedTuple):
    """What shall happen to which call.

    Attributes:
        call: the system call.
        what: what strace does, such as ``error=EIO`` or ``signal=KILL``.
        when: the number of the call, from 1, with ``+`` for it and all that follow.
    """

    call: str
    what: str
    when: str

    def __str__(self) -> str:
        return f"inject={self.call}:{self.what}:when={self.when}"


class Traced(NamedTuple):
    """How a traced child came out.

    Attributes:
        code: its exit code, or minus the signal that ended it.
        report: what it reported.
        log: the calls that were traced, one a line.
    """

    code: int
    report: Any
    log: list[str]

    @property
    def hit(self) -> bool:
        """Whether the fault took place."""
        return self.code == -signal.SIGKILL or any("(INJECTED)" in line for line in self.log)


class Steps:
    """What a traced child does: `prepare` and `recover` run untraced, `run` is examined.

    Each returns JSON; the reports are gathered in a dictionary by their names.
    """

    def prepare(self) -> object:
        """Come to the call that is examined."""
        return None

    def run(self) -> object:
        """Make the call."""
        return None

    def recover(self) -> object:
        """Go on after it, when nothing fails any more."""
        return None


def trace(steps: Steps, log: Path, *options: str) -> Traced:
    """Run the steps in a child, the middle one under strace with these options."""
    shared = Shared()

    def work() -> None:
        report = {"prepare": steps.prepare()}
        shared.phase = 1
        shared.await_phase(2)
        report["run"] = steps.run()
        shared.report = report
        shared.phase = 3
        shared.await_phase(4)
        report["recover"] = steps.recover()
        shared.report = report

    pid = fork(work)
    try:
        shared.await_phase(1)
        command = ["strace", "-f", "-y", "-s", "64", "-o", str(log), *options, "-p", str(pid)]
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as strace:
            assert strace.stderr is not None
            line = strace.stderr.readline()
            assert "attached" in line, line
            shared.phase = 2
            await_true(lambda: shared.phase >= 3 or has_ended(pid), "the traced call")
            strace.terminate()
        shared.phase = 4
        code = wait_for(pid)
    except BaseException:
        os.kill(pid, signal.SIGKILL)
        raise
    return Traced(code, shared.report, log.read_text("utf-8", "replace").splitlines())


def has_ended(pid: int) -> bool:
    """Say whether a child has ended, without waiting for it."""
    found = os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    return found is not None


def faults(call: str, what: str, *, staying: bool = False) -> Iterator[Fault]:
    """Yield the fault for the first call, the second, and so on, without an end."""
    for n in range(1, 1000):
        yield Fault(call, what, f"{n}+" if staying else str(n))
    pytest.fail("the operation never passed untouched")


def outcome_of(call: Callable[[], object]) -> list[str]:
    """Return ``["ok"]``, or the names of the classes of the library's error that came, and path."""
    try:
        call()
    except FeedbackStoreError as error:
        names = [cls.__name__ for cls in type(error).__mro__]
        return [*names[: names.index("FeedbackStoreError")], str(getattr(error, "filename", ""))]
    return ["ok"]


@cache
def _strace_works() -> bool:
    if shutil.which("strace") is None:
        return False
    command = ["strace", "-o", os.devnull, "-e", "inject=getcwd:error=EIO", "true"]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


needs_strace = pytest.mark.skipif(
    not _strace_works(), reason="strace is not installed, or may not trace here"
)
needs_root = pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can mount and change users"
)
needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
