"""An export that is killed or failed at any call leaves the old snapshot or the new one, whole.

Promises 11 and 12: a real export under strace, killed at every call that changes a disk, one after
the other, and failed at each; and a reader that polls while 200 exports run and are killed.
"""

import json
import os
import random
import signal
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from exporting import some_entries, store_of
from jsonl_harness import (
    DEEP,
    Fault,
    Steps,
    Traced,
    faults,
    fork,
    needs_fork,
    needs_strace,
    trace,
    wait_for,
)

from feedback_store import FeedbackStore, FeedbackStoreError
from feedback_store.snapshot import Manifest, export, read, verify

pytestmark = [needs_fork, pytest.mark.timeout(600)]

OLD, NEW = 3, 5
CHANGING = ("write", "fsync", "fdatasync", "rename", "link", "unlink", "openat", "mkdir")
FAILING = {
    "write": ("EIO", "ENOSPC"),
    "fsync": ("EIO",),
    "rename": ("EIO", "EACCES"),
    "link": ("EPERM",),
    "unlink": ("EIO",),
}
NAMES = ("f.json", "f.jsonl.gz", "f.parquet", "f.csv", "parts")


class Export(Steps):
    """An export over a snapshot that is there."""

    def __init__(self, folder: Path, name: str) -> None:
        self.target = folder / name
        self.store = store_of(some_entries(OLD))
        self.keep = None if name == "parts" else 1
        self.export()
        self.old = verify(self.target)

    def export(self) -> Manifest:
        """Export all there is."""
        parted = self.target.name == "parts"
        return export(self.store, self.target, keep=self.keep, partitioned=parted)

    def prepare(self) -> object:
        """Have more to export than there is."""
        self.store.add_many(some_entries(NEW))
        return None

    def run(self) -> object:
        """Export it."""
        try:
            return self.export().entries
        except FeedbackStoreError as error:
            return type(error).__name__

    def recover(self) -> object:
        """Export again, when nothing fails any more."""
        return self.export().entries

    def found(self) -> int:
        """Return how many entries are there, in a snapshot that is proved to be whole."""
        found = verify(self.target)
        if found.format in ("json", "jsonl"):
            assert found.entries == len(list(read(self.target)))
        return found.entries

    def left(self) -> list[str]:
        """Return the temporary files that are there."""
        return [path.name for path in self.target.parent.glob(".*.tmp")]


def cases(tmp_path: Path, name: str, call: str, what: str) -> Iterator[tuple[Export, Fault]]:
    """Yield exports with the fault at the first call, the second and so on."""
    for fault in faults(call, what):
        folder = tmp_path / f"{call}-{what.replace('=', '-')}-{fault.when}"
        folder.mkdir()
        yield Export(folder, name), fault


def traced(work: Export, fault: Fault) -> Traced:
    """Run the work with the fault."""
    return trace(work, work.target.parent / "strace", f"--trace={fault.call}", f"--{fault}")


@needs_strace
@pytest.mark.parametrize("call", CHANGING)
@pytest.mark.parametrize("name", NAMES if DEEP else ("f.json", "parts"))
def test_a_kill_at_any_call_leaves_the_old_or_the_new(tmp_path: Path, name: str, call: str) -> None:
    """Killed at the n-th call, what is there is whole; the next export cleans up and is whole."""
    if name in ("f.parquet", "parts"):
        pytest.importorskip("pyarrow")
    for work, fault in cases(tmp_path, name, call, "signal=KILL"):
        done = traced(work, fault)
        assert work.found() in (OLD, NEW)
        if not done.hit:
            assert NEW == work.found()
            break
        assert -signal.SIGKILL == done.code
        work.store.add_many(some_entries(NEW))
        assert NEW == work.export().entries == work.found()
        assert [] == work.left()


@needs_strace
@pytest.mark.parametrize(
    ("call", "error"), [(call, error) for call, errors in FAILING.items() for error in errors]
)
def test_a_failure_at_any_call_is_told_and_leaves_the_old_or_the_new(
    tmp_path: Path, call: str, error: str
) -> None:
    """What fails is a typed error, unless it was done another way; then the same call is fine."""
    for work, fault in cases(tmp_path, "f.json", call, f"error={error}"):
        done = traced(work, fault)
        assert 0 == done.code
        told, found = done.report["run"], work.found()
        if not done.hit:
            assert NEW == told == found
            break
        assert told in (NEW, "StoreUnavailableError", "StoreFullError", "StoreReadOnlyError")
        assert NEW == done.report["recover"]
        assert NEW == work.found()
        assert [] == work.left()


# ---------------------------------------------------------------------- a reader beside kills


def export_for_ever(store: FeedbackStore, target: Path, numbers: Path) -> None:
    """Export again and again, a file that is never the same; note each that was done."""
    for number in range(10_000):
        store.put(some_entries(1, answer="x" * (number % 50) * 1000)[0])
        export(store, target, keep=2)
        with numbers.open("a") as file:
            file.write("done\n")


def test_a_reader_never_sees_half_a_file(tmp_path: Path) -> None:
    """While 200 exports run and their process is killed all the time, each look finds a whole one.

    A look is what any program does: it reads the file, and parses it. The manifest vouches for it
    as well, whenever it is asked.
    """
    store, target, numbers = store_of(some_entries(300)), tmp_path / "f.json", tmp_path / "numbers"
    export(store, target)
    chance = random.Random(7)
    looks = kills = 0
    with closing(store):
        while not numbers.exists() or numbers.read_text().count("done") < 200:
            pid = fork(lambda: export_for_ever(store, target, numbers))
            deadline = time.monotonic() + chance.uniform(0.05, 0.4)
            while time.monotonic() < deadline:
                assert 300 == len(json.loads(target.read_bytes()))
                looks += 1
                if looks % 10 == 0:
                    assert 300 == verify(target).entries
            os.kill(pid, signal.SIGKILL)
            wait_for(pid)
            kills += 1
        assert 300 == verify(target).entries
    assert looks > 200
    assert kills > 5
