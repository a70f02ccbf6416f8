"""Promise 11 for snapshots: power cuts at every system call of some exports, by a replay.

What a power cut may leave (lost renames, empty files after a rename, torn writes) is written to a
folder, and what the manifest vouches for there must be the last export that was acknowledged, or
the one that had begun.
"""

import os
import random
import stat
from pathlib import Path

import pytest
from replay import Kind, Replay, write_out
from sqlite_power import EFFORTS, MODELS, in_memory
from syscalls import needs_strace, record

from feedback_store import FeedbackEntry, FeedbackStore, SnapshotError
from feedback_store.backends.memory import MemoryStore
from feedback_store.snapshot import disk, export, read
from feedback_store.testing.simulation import Image

EFFORT = EFFORTS[os.environ.get("FEEDBACK_STORE_PROFILE", "fast")]
NAMES = ("f.json", "f.jsonl.gz")
EXPORTS = 4

pytestmark = [needs_strace, pytest.mark.timeout(300), pytest.mark.usefixtures("capfd")]


def play(root: Path, name: str) -> None:
    """Export one entry, two, three and four, to a folder that is not there at first."""
    store = FeedbackStore(MemoryStore())
    for number in range(1, EXPORTS + 1):
        store.add(FeedbackEntry(message_id=str(number), question="?", answer="!" * 5000, rating=1))
        os.write(1, b"begin %d\n" % number)
        export(store, root / "out" / name)
        os.write(1, b"ack %d\n" % number)


def problem_of(image: Image, folder: Path, name: str, said: list[str]) -> str:
    """Return what is wrong with what is left; nothing where it is as it should be."""
    acked = max((int(line[4:]) for line in said if line.startswith("ack")), default=0)
    begun = max((int(line[6:]) for line in said if line.startswith("begin")), default=0)
    write_out(image, folder)
    try:
        found = len(list(read(folder / "out" / name)))
    except SnapshotError as error:
        return f"{acked} were acknowledged: {error}" if acked else ""
    return "" if acked <= found <= begun else f"{found} found of {acked} to {begun}"


def explore(scratch: Path, name: str, model: str) -> tuple[int, list[str]]:
    """Cut the power everywhere; return how many states were left, and what was wrong."""
    root = scratch / "played"
    root.mkdir()
    calls = record(lambda: play(root, name), scratch / "log")
    replay = Replay(calls, root, model)
    rng, problems, states = random.Random(0), list[str](), 0
    for moment in replay.moments():
        if moment.kind is Kind.CHANGE and not EFFORT.every:
            continue
        for words, image in replay.crash_states(max(EFFORT.limit, 20), rng):
            states += 1
            problem = problem_of(image, scratch / str(states), name, replay.said)
            if problem:
                problems.append(f"before {moment.words}, {words}: {problem}")
    return states, problems


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("name", NAMES)
def test_a_power_cut_leaves_a_whole_snapshot(name: str, model: str) -> None:
    """The last one that was acknowledged, or the one after it."""
    with in_memory() as scratch:
        states, problems = explore(scratch, name, model)
    assert [] == problems[:5]
    assert states > 80


@pytest.mark.parametrize("forgotten", ["file", "folder"])
def test_an_export_that_does_not_sync_is_caught(
    monkeypatch: pytest.MonkeyPatch, forgotten: str
) -> None:
    """Without the sync of the file, or of the folder, acknowledged snapshots are lost."""
    if forgotten == "folder":
        monkeypatch.setattr(disk, "sync_folder", lambda path: None)
    else:
        sync = os.fsync

        def sync_folders(number: int) -> None:
            if stat.S_ISDIR(os.fstat(number).st_mode):
                sync(number)

        monkeypatch.setattr(os, "fsync", sync_folders)
    with in_memory() as scratch:
        _, problems = explore(scratch, "f.json", "posix")
    assert problems
