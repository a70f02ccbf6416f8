"""A fresh process with one subject in it: a task a line comes in, an answer a line goes out."""

import json
import sys
from collections.abc import Callable
from typing import Any, Protocol

from benchmarks.tasks import Session


class Serves(Protocol):
    """What does the tasks."""

    def do(self, task: str, arguments: dict[str, Any]) -> dict[str, Any]:
        """Do a task, by its name."""
        ...

    def close(self) -> object:
        """Close what is open."""
        ...


def serve(make: Callable[..., Serves]) -> None:
    """Serve until the input ends."""
    session = make(**json.loads(sys.argv[1]))
    for line in sys.stdin:
        task, arguments = json.loads(line)
        print(json.dumps(session.do(task, arguments)), flush=True)
    session.close()


if __name__ == "__main__":
    serve(Session)
