"""An older service, imitated: what it does to a month file, in a process of its own.

It appends without a lock and without a sync. It updates by copying the file, line by line, to
``<month>.jsonl.tmp`` under a portalocker lock on the file, which it frees before it puts the copy
in the file's place.

Run as ``python older_writer.py FILE SECONDS``; it prints the ids that it has appended, as JSON.
"""

import json
import random
import sys
import time
from pathlib import Path

import portalocker


def line_of(key: str, rating: int) -> str:
    """Return a line as that service writes it: naive local time, escapes, no id of its own."""
    entry = {
        "message_id": key,
        "question": "Wie geht das?",
        "answer": "So geht das. " * 20,
        "rating": rating,
        "sources": [],
        "metadata": {"response_time": 1.5},
        "timestamp": "2025-10-05T12:00:00.000001",
    }
    return json.dumps(entry) + "\n"


def append(path: Path, key: str) -> None:
    """Append a line without any lock."""
    with path.open("a", encoding="utf-8") as file:
        file.write(line_of(key, 1))


def copy(path: Path, key: str, rating: int) -> Path:
    """Copy the file with one rating changed, under a lock that is free when this returns."""
    temporary = path.with_name(path.name + ".tmp")
    with path.open(encoding="utf-8") as source, temporary.open("w", encoding="utf-8") as target:
        portalocker.lock(source, portalocker.LockFlags.EXCLUSIVE)
        for line in source:
            entry = json.loads(line)
            if entry["message_id"] == key:
                entry["rating"] = rating
            target.write(json.dumps(entry) + "\n")
    return temporary


def update(path: Path, key: str, rating: int) -> None:
    """Change a rating by copying the file and replacing it."""
    copy(path, key, rating).replace(path)


def main() -> None:
    """Append and update for some seconds."""
    path, seconds = Path(sys.argv[1]), float(sys.argv[2])
    until = time.monotonic() + seconds
    appended: list[str] = []
    chance = random.Random(1)
    while time.monotonic() < until:
        appended.append(f"older-{len(appended)}")
        append(path, appended[-1])
        if len(appended) % 10 == 0:
            update(path, chance.choice(appended), 0)
        time.sleep(0.001)
    sys.stdout.write(json.dumps(appended))


if __name__ == "__main__":
    main()
