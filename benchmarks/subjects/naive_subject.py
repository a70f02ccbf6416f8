"""The service that everyone writes first: one JSON line per feedback, a lock, an fsync."""

import fcntl
import json
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

from benchmarks.subjects.base import Subject

Entry = dict[str, Any]


class Measured(Subject):
    """A file a month. Nothing is checked: the same id may come twice."""

    def __init__(self, folder: Path, *, synced: bool = True) -> None:
        super().__init__(folder, synced=synced)
        folder.mkdir(parents=True, exist_ok=True)

    def _files(self) -> list[Path]:
        return sorted(self.folder.glob("feedback_*.jsonl"), reverse=True)

    def _append(self, month: str, text: str) -> None:
        with (self.folder / f"feedback_{month}.jsonl").open("a", encoding="utf-8") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            file.write(text)
            file.flush()
            if self.synced:
                os.fsync(file.fileno())

    def add(self, entry: Entry) -> None:
        """Lock the month, append a line, sync."""
        self._append(entry["timestamp"][:7], json.dumps(entry) + "\n")

    def add_many(self, entries: Sequence[Entry]) -> None:
        """Do the same with many lines at once."""
        for month, of_month in groupby(entries, key=lambda entry: str(entry["timestamp"])[:7]):
            self._append(month, "".join(json.dumps(entry) + "\n" for entry in of_month))

    def update(self, id: str, explanation: str) -> None:
        """Find the month, and write it anew."""
        for path in self._files():
            with path.open("r+", encoding="utf-8") as file:
                fcntl.flock(file, fcntl.LOCK_EX)
                entries = [json.loads(line) for line in file]
                found = [entry for entry in entries if entry["message_id"] == id]
                if not found:
                    continue
                found[0]["metadata"]["explanation"] = explanation
                self._replace(path, entries)
                return
        raise KeyError(id)

    def _replace(self, path: Path, entries: list[Entry]) -> None:
        temporary = path.with_suffix(".tmp")
        with temporary.open("w", encoding="utf-8") as file:
            file.writelines(json.dumps(entry) + "\n" for entry in entries)
            file.flush()
            if self.synced:
                os.fsync(file.fileno())
        temporary.replace(path)

    def get(self, id: str) -> object:
        """Look through the lines."""
        for entry in self._entries():
            if entry["message_id"] == id:
                return entry
        raise KeyError(id)

    def _entries(self) -> Iterator[Entry]:
        for path in self._files():
            with path.open(encoding="utf-8") as file:
                yield from map(json.loads, file)

    def load(self) -> Sequence[object]:
        """Read every line."""
        return list(self._entries())

    def scan(self) -> int:
        """Read every line, one at a time."""
        return sum(1 for _ in self._entries())

    def count(self) -> int:
        """Count the lines."""
        return sum(path.read_bytes().count(b"\n") for path in self._files())

    def stats(self) -> object:
        """Read every line, and count."""
        ratings: Counter[tuple[str, float]] = Counter()
        issues: Counter[str] = Counter()
        for entry in self._entries():
            ratings[entry["timestamp"][:7], entry["rating"]] += 1
            issues.update(entry["metadata"].get("issues", ()))
        return ratings, issues
