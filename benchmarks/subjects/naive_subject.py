"""The service that everyone writes first: one JSON line per feedback, a lock, an fsync."""

import fcntl
import json
import os
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

from benchmarks import asked
from benchmarks.entries import timestamp_of
from benchmarks.subjects.base import Found, Subject, put_in_place
from benchmarks.subjects.counts import Counts

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
            yield from _lines(path)

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
        counts = Counts()
        for entry in self._entries():
            metadata, time, rating = entry["metadata"], entry["timestamp"], entry["rating"]
            types = {source.get("type", "unknown") for source in entry["sources"]}
            counts.count(time[:7], rating, types or {"unknown"}, metadata.get("response_time"))
            counts.issues.update(set(metadata.get("issues", ())))
            counts.first = min(counts.first or time, time)
            counts.last = max(counts.last or time, time)
        return counts

    def page(self) -> Found:
        """Read the months that it is about, and keep what matches."""
        since, until = timestamp_of(asked.SINCE), timestamp_of(asked.UNTIL)
        return _newest(
            entry
            for path in self._files()
            if since[:7] <= path.stem[-7:] <= until[:7]
            for entry in _lines(path)
            if since <= entry["timestamp"] < until
            and entry["rating"] is not None
            and entry["rating"] < 0.5
            and asked.ISSUE in entry["metadata"].get("issues", ())
        )

    def snapshot(self) -> object:
        """Read all, and let the encoder write it as one."""
        put_in_place(self.target, [json.dumps(self.load()).encode()])
        return None

    def search(self) -> Found:
        """Read every line, and keep what matches."""
        wanted = asked.TEXT.lower()
        return _newest(
            entry
            for entry in self._entries()
            if wanted in entry["question"].lower()
            or wanted in entry["answer"].lower()
            or wanted in (entry["metadata"].get("explanation") or "").lower()
        )


def _newest(matching: Iterable[Entry]) -> Found:
    entries = sorted(matching, key=lambda e: (e["timestamp"], e["message_id"]), reverse=True)
    return Found(len(entries), entries[: asked.LIMIT])


def _lines(path: Path) -> Iterator[Entry]:
    with path.open(encoding="utf-8") as file:
        yield from map(json.loads, file)
