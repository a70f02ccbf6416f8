"""The processes that do the work, seen from the one that measures."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, ClassVar, Self

ROOT = Path(__file__).parent.parent


class Worker:
    """A fresh process with one subject in it; as a context manager it ends with the block.

    Attributes:
        program: the module that runs in it.
    """

    program: ClassVar = "benchmarks.worker"

    def __init__(self, **session: Any) -> None:  # noqa: ANN401  # the arguments of `Session`
        command = [sys.executable, "-m", self.program, json.dumps(session, default=str)]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT
        )

    def send(self, task: str, **arguments: Any) -> None:  # noqa: ANN401  # those of the task
        """Let it begin with a task."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps([task, arguments]) + "\n")
        self._process.stdin.flush()

    def receive(self) -> dict[str, Any]:
        """Wait for the answer.

        Raises:
            RuntimeError: the process has died; it has said why on standard error.
        """
        assert self._process.stdout is not None
        if not (line := self._process.stdout.readline()):
            msg = "a worker has died"
            raise RuntimeError(msg)
        answer: dict[str, Any] = json.loads(line)
        return answer

    def call(self, task: str, **arguments: Any) -> dict[str, Any]:  # noqa: ANN401  # those of the task
        """Send a task and wait for its answer."""
        self.send(task, **arguments)
        return self.receive()

    def close(self) -> None:
        """Let it close its store, and wait for its end."""
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()
        self._process.wait()

    def __enter__(self) -> Self:
        """Return the worker itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End it."""
        self.close()


@contextmanager
def crew(sessions: Sequence[dict[str, Any]]) -> Iterator[list[Worker]]:
    """Start several workers, and end them with the block."""
    workers = [Worker(**session) for session in sessions]
    try:
        yield workers
    finally:
        for worker in workers:
            worker.close()


def output_of(program: str, *arguments: object) -> str:
    """Return what a Python program prints in a process of its own."""
    command = [sys.executable, "-c", program, *map(str, arguments)]
    return subprocess.run(command, check=True, cwd=ROOT, capture_output=True, text=True).stdout


def seconds_of(program: str, *arguments: object) -> float:
    """Return how long a Python program takes from its start to its end, in seconds."""
    began = time.perf_counter()
    output_of(program, *arguments)
    return time.perf_counter() - began
