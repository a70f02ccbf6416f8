"""What the tests of the command line share: a store that stays, and two ways to run commands."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from feedback_store import FeedbackStore, opening
from feedback_store.backends.memory import MemoryStore
from feedback_store.cli.program import program

Invoke = Callable[..., Result]
Run = Callable[..., subprocess.CompletedProcess[bytes]]


class KeptStore(MemoryStore):
    """A store in memory that outlives the commands that close it."""

    def close(self) -> None:
        """Stay open for the next command."""


@pytest.fixture
def opened_with() -> dict[str, Any]:
    """What the last command opened the store with: its URL and the options."""
    return {}


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch, opened_with: dict[str, Any]) -> FeedbackStore:
    """The store that every ``kept:`` URL leads to."""
    kept = KeptStore()

    def open_kept(url: str, **options: object) -> KeptStore:
        opened_with.clear()
        opened_with.update(url=url, **options)
        return kept

    monkeypatch.setitem(opening._OPENERS, "kept", open_kept)
    return FeedbackStore(kept)


@pytest.fixture
def invoke(store: FeedbackStore, monkeypatch: pytest.MonkeyPatch) -> Invoke:
    """Run a command in this process, on the kept store unless it names another."""
    monkeypatch.setenv("FEEDBACK_STORE_URL", "kept://")

    def run(*args: object, stdin: str | bytes | None = None) -> Result:
        result = CliRunner().invoke(program, [str(arg) for arg in args], input=stdin)
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    return run


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Run a command as a process of its own, in a new folder."""
    known = {k: v for k, v in os.environ.items() if k != "FEEDBACK_STORE_URL"}

    def run_process(
        *args: object, stdin: bytes = b"", env: dict[str, str] | None = None
    ) -> subprocess.CompletedProcess[bytes]:
        command = [sys.executable, "-m", "feedback_store", *map(str, args)]
        environment = {**known, "PYTHONPATH": os.pathsep.join(sys.path), **(env or {})}
        return subprocess.run(
            command, input=stdin, capture_output=True, check=False, timeout=60,
            cwd=tmp_path, env=environment,
        )  # fmt: skip

    return run_process
