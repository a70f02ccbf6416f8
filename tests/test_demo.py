"""The demonstration: it runs as people run it, and it would notice a loss."""

import importlib
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from feedback_store import open_store

EXAMPLES = Path(__file__).parent.parent / "examples"


def run_demo(*args: str, folder: Path) -> "subprocess.CompletedProcess[str]":
    """Run the demonstration, with ``folder`` as the place of temporary files."""
    return subprocess.run(
        [sys.executable, str(EXAMPLES / "demo.py"), *args],
        env=os.environ | {"TMPDIR": str(folder), "NO_COLOR": "1", "COLUMNS": "100"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        check=False,
        timeout=100,
    )


@pytest.fixture
def demo(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Return the demonstration as a module."""
    monkeypatch.syspath_prepend(EXAMPLES)
    return importlib.import_module("demo")


def test_it_shows_that_nothing_is_lost(tmp_path: Path) -> None:
    """It kills a writer, finds every acknowledged write, and says where they are."""
    done = run_demo(folder=tmp_path)
    assert 0 == done.returncode, done.stdout
    assert "killed (SIGKILL)" in done.stdout
    assert "Every acknowledged write is there and whole; 2000 entries" in done.stdout
    (folder,) = tmp_path.glob("feedback-demo-*")
    assert f"The store is the folder {folder}\n" in done.stdout
    with open_store(folder) as store:
        assert 2000 == store.count()
        assert store.check().ok


def test_what_it_says_to_try_works(tmp_path: Path) -> None:
    """The commands that it prints run as they stand."""
    done = run_demo(str(tmp_path / "a folder"), folder=tmp_path)
    commands = done.stdout.partition("Try next:\n")[2].splitlines()
    assert 3 == len(commands)
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    for command in commands:
        tried = subprocess.run(
            command, shell=True, env=os.environ | {"PATH": path}, capture_output=True, check=False
        )
        assert (0, b"") == (tried.returncode, tried.stderr), command


def test_it_leaves_a_folder_alone_that_is_not_empty(tmp_path: Path) -> None:
    """It never writes into somebody's data."""
    (tmp_path / "feedback_2025-01.jsonl").touch()
    done = run_demo(str(tmp_path), folder=tmp_path)
    assert 2 == done.returncode
    assert ["feedback_2025-01.jsonl"] == [file.name for file in tmp_path.iterdir()]


@pytest.mark.parametrize(
    ("reported", "done", "problem"),
    [
        ("added", ["add"], None),
        ("added", ["add", "explain"], None),
        ("updated", ["add", "explain"], None),
        ("updated", ["add"], "is not as it was sent"),
        ("added", ["add", "spoil"], "is not as it was sent"),
        ("added", [], "is not there"),
    ],
)
def test_it_notices_a_loss(
    demo: ModuleType, reported: str, done: list[str], problem: str | None, tmp_path: Path
) -> None:
    """An acknowledged write that is missing or changed is told, and nothing else is."""
    step = next(s for s in demo.steps(0, demo.STEPS_PER_WORKER, demo.SEED) if s.explanation)
    id = step.entry.id
    worker = demo.Worker(0, process=None, acknowledged=[(reported, id)])
    with open_store(tmp_path) as store:
        if "add" in done:
            store.add(step.entry)
        if "explain" in done:
            store.update(id, explanation=step.explanation, add_issues=step.issues)
        if "spoil" in done:
            store.update(id, answer="another")
        expected = [] if problem is None else [f"{id} was {reported}, and {problem}"]
        assert expected == demo.lost(store, [worker])
