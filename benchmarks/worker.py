"""A fresh process with one subject in it: a task a line comes in, an answer a line goes out."""

import json
import sys

from benchmarks.tasks import Session


def main() -> None:
    """Serve until the input ends."""
    session = Session(**json.loads(sys.argv[1]))
    for line in sys.stdin:
        task, arguments = json.loads(line)
        print(json.dumps(session.do(task, arguments)), flush=True)
    session.close()


if __name__ == "__main__":
    main()
