"""The standard library's sqlite3, tuned by hand: what a careful engineer would write."""

import json
import sqlite3
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.subjects.base import Subject

_SCHEMA = """
CREATE TABLE IF NOT EXISTS entry (
  id TEXT PRIMARY KEY, timestamp TEXT NOT NULL, rating REAL, body TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS by_time ON entry (timestamp, id);
CREATE INDEX IF NOT EXISTS by_rating ON entry (rating, timestamp, id);
"""
_INSERT = "INSERT INTO entry VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING"
_RATINGS = """
SELECT substr(timestamp, 1, 7), count(*), sum(rating > 0.5), sum(rating < 0.5) FROM entry GROUP BY 1
"""
_ISSUES = """
SELECT issue.value, count(*)
FROM entry, json_each(entry.body, '$.metadata.issues') AS issue GROUP BY 1
"""


class Measured(Subject):
    """One table with the whole entry as JSON, WAL, a connection per thread, cached statements."""

    def __init__(self, folder: Path, *, synced: bool = True) -> None:
        super().__init__(folder, synced=synced)
        folder.mkdir(parents=True, exist_ok=True)
        self._path = folder / "feedback.db"
        self._own = threading.local()
        if not self._path.exists():
            self._connection.executescript(_SCHEMA)

    @property
    def _connection(self) -> sqlite3.Connection:
        connection: sqlite3.Connection | None = getattr(self._own, "connection", None)
        if connection is None:
            connection = sqlite3.connect(self._path, timeout=60, isolation_level=None)
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute(f"PRAGMA synchronous={'FULL' if self.synced else 'OFF'}")
            connection.execute("PRAGMA mmap_size=1073741824")
            connection.execute("PRAGMA cache_size=-65536")
            connection.execute("PRAGMA temp_store=MEMORY")
            self._own.connection = connection
        return connection

    def add(self, entry: dict[str, Any]) -> None:
        """Insert a row, a transaction of its own."""
        self._connection.execute(_INSERT, _row(entry))

    def add_many(self, entries: Sequence[dict[str, Any]]) -> None:
        """Insert all rows in one transaction."""
        connection = self._connection
        connection.execute("BEGIN IMMEDIATE")
        connection.executemany(_INSERT, map(_row, entries))
        connection.execute("COMMIT")

    def update(self, id: str, explanation: str) -> None:
        """Read, change and write a row in one transaction."""
        connection = self._connection
        connection.execute("BEGIN IMMEDIATE")
        (body,) = connection.execute("SELECT body FROM entry WHERE id = ?", (id,)).fetchone()
        entry = json.loads(body)
        entry["metadata"]["explanation"] = explanation
        change = (json.dumps(entry, ensure_ascii=False), id)
        connection.execute("UPDATE entry SET body = ? WHERE id = ?", change)
        connection.execute("COMMIT")

    def get(self, id: str) -> object:
        """Select by the primary key."""
        row = self._connection.execute("SELECT body FROM entry WHERE id = ?", (id,)).fetchone()
        if row is None:
            raise KeyError(id)
        return json.loads(row[0])

    def load(self) -> Sequence[object]:
        """Select all, in the order of time."""
        rows = self._connection.execute("SELECT body FROM entry ORDER BY timestamp, id")
        return [json.loads(body) for (body,) in rows]

    def scan(self) -> int:
        """Select all, in the order of time, one at a time."""
        rows = self._connection.execute("SELECT body FROM entry ORDER BY timestamp, id")
        return sum(1 for (body,) in rows if json.loads(body))

    def count(self) -> int:
        """Let the database count."""
        (count,) = self._connection.execute("SELECT count(*) FROM entry").fetchone()
        return int(count)

    def stats(self) -> object:
        """Let the database group."""
        connection = self._connection
        return connection.execute(_RATINGS).fetchall(), connection.execute(_ISSUES).fetchall()

    def compact(self) -> None:
        """Rebuild the file."""
        self._connection.execute("VACUUM")
        self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def close(self) -> None:
        """Close this thread's connection."""
        self._connection.close()


def _row(entry: dict[str, Any]) -> tuple[str, str, float | None, str]:
    body = json.dumps(entry, ensure_ascii=False)
    return entry["message_id"], entry["timestamp"], entry["rating"], body
