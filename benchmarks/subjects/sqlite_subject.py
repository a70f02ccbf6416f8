"""The standard library's sqlite3, tuned by hand: what a careful engineer would write.

The tables are made for an app with an admin page: what is filtered by and counted stands in indexes
that answer alone, without the rows. Every add pays for all of them, in all rows of the table.
"""

import json
import sqlite3
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks import asked
from benchmarks.entries import timestamp_of
from benchmarks.subjects.base import Found, Subject, put_in_place
from benchmarks.subjects.counts import Counts

_SCHEMA = """
CREATE TABLE IF NOT EXISTS entry (
  id TEXT PRIMARY KEY, timestamp TEXT NOT NULL, rating REAL, types TEXT NOT NULL,
  response_us INTEGER, body TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS by_time ON entry (timestamp, id);
CREATE INDEX IF NOT EXISTS by_rating ON entry (rating, timestamp, id);
CREATE INDEX IF NOT EXISTS by_group ON entry (rating, types, substr(timestamp, 1, 7), response_us);
CREATE TABLE IF NOT EXISTS issue (
  name TEXT, negative INTEGER, timestamp TEXT, id TEXT,
  PRIMARY KEY (name, negative, timestamp, id)
) WITHOUT ROWID;
"""
_INSERT = "INSERT INTO entry VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING"
_INSERT_ISSUE = "INSERT OR IGNORE INTO issue VALUES (?, ?, ?, ?)"
_GROUPS = """
SELECT substr(timestamp, 1, 7), rating, types, count(*), count(response_us), sum(response_us)
FROM entry GROUP BY rating, types, 1
"""
_ISSUES = "SELECT name, count(*) FROM issue GROUP BY name"
_MATCHING = """
FROM issue WHERE name = ? AND negative = 1 AND issue.timestamp >= ? AND issue.timestamp < ?
"""
_COUNT = f"SELECT count(*) {_MATCHING}"
_PAGE = f"""
SELECT body {_MATCHING.replace("issue", "issue JOIN entry USING (id)", 1)}
ORDER BY issue.timestamp DESC, id DESC LIMIT ?
"""
_SEARCH = """
SELECT id FROM entry
WHERE body LIKE ?1 AND (
  json_extract(body, '$.question') LIKE ?1
  OR json_extract(body, '$.answer') LIKE ?1
  OR json_extract(body, '$.metadata.explanation') LIKE ?1
)
ORDER BY timestamp DESC, id DESC
"""
_GET = "SELECT body FROM entry WHERE id = ?"


class Measured(Subject):
    """The whole entry as JSON beside its keys, WAL, a connection per thread, cached statements."""

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
            # OFF is quicker still, but a power cut may then damage the whole file.
            connection.execute(f"PRAGMA synchronous={'FULL' if self.synced else 'NORMAL'}")
            connection.execute("PRAGMA mmap_size=1073741824")
            connection.execute("PRAGMA cache_size=-65536")
            connection.execute("PRAGMA temp_store=MEMORY")
            self._own.connection = connection
        return connection

    def add(self, entry: dict[str, Any]) -> None:
        """Insert the rows of an entry, a transaction of its own."""
        self.add_many([entry])

    def add_many(self, entries: Sequence[dict[str, Any]]) -> None:
        """Insert all rows in one transaction."""
        connection = self._connection
        connection.execute("BEGIN IMMEDIATE")
        for entry in entries:
            if connection.execute(_INSERT, _row(entry)).rowcount and "issues" in entry["metadata"]:
                connection.executemany(_INSERT_ISSUE, _issue_rows(entry))
        connection.execute("COMMIT")

    def update(self, id: str, explanation: str) -> None:
        """Read, change and write a row in one transaction; no index knows explanations."""
        connection = self._connection
        connection.execute("BEGIN IMMEDIATE")
        (body,) = connection.execute(_GET, (id,)).fetchone()
        entry = json.loads(body)
        entry["metadata"]["explanation"] = explanation
        change = (json.dumps(entry, ensure_ascii=False), id)
        connection.execute("UPDATE entry SET body = ? WHERE id = ?", change)
        connection.execute("COMMIT")

    def get(self, id: str) -> object:
        """Select by the primary key."""
        row = self._connection.execute(_GET, (id,)).fetchone()
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
        """Let the database group, along an index; add up what entries have several of here."""
        connection = self._connection
        counts = Counts()
        connection.execute("BEGIN")
        for month, rating, types, *numbers in connection.execute(_GROUPS):
            total, responses, response_us = numbers
            counts.add(month, rating, json.loads(types), total, responses, response_us or 0)
        counts.issues.update(dict(connection.execute(_ISSUES)))
        (counts.first,) = connection.execute("SELECT min(timestamp) FROM entry").fetchone()
        (counts.last,) = connection.execute("SELECT max(timestamp) FROM entry").fetchone()
        connection.execute("COMMIT")
        return counts

    def page(self) -> Found:
        """Count and find along an index that has all that is asked for."""
        connection = self._connection
        wanted = (asked.ISSUE, timestamp_of(asked.SINCE), timestamp_of(asked.UNTIL))
        connection.execute("BEGIN")
        (total,) = connection.execute(_COUNT, wanted).fetchone()
        rows = connection.execute(_PAGE, (*wanted, asked.LIMIT)).fetchall()
        connection.execute("COMMIT")
        return Found(total, [json.loads(body) for (body,) in rows])

    def snapshot(self) -> object:
        """Select all bodies, in the order of time, and join them."""
        rows = self._connection.execute("SELECT body FROM entry ORDER BY timestamp, id")
        bodies = ",\n".join([body for (body,) in rows])
        put_in_place(self.target, [b"[", bodies.encode(), b"]"])
        return None

    def search(self) -> Found:
        """Look through all rows once, and read again what is shown."""
        connection = self._connection
        connection.execute("BEGIN")
        ids = connection.execute(_SEARCH, (f"%{asked.TEXT}%",)).fetchall()
        entries = [self.get(id) for (id,) in ids[: asked.LIMIT]]
        connection.execute("COMMIT")
        return Found(len(ids), entries)

    def compact(self) -> None:
        """Rebuild the file."""
        self._connection.execute("VACUUM")
        self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def close(self) -> None:
        """Close this thread's connection."""
        self._connection.close()


def _row(entry: dict[str, Any]) -> tuple[str, str, float | None, str, int | None, str]:
    types = sorted({source.get("type", "unknown") for source in entry["sources"]} or {"unknown"})
    seconds = entry["metadata"].get("response_time")
    response_us = None if seconds is None else round(seconds * 1_000_000)
    body = json.dumps(entry, ensure_ascii=False)
    key = entry["message_id"], entry["timestamp"]
    return *key, entry["rating"], json.dumps(types), response_us, body


def _issue_rows(entry: dict[str, Any]) -> list[tuple[str, bool, str, str]]:
    negative = entry["rating"] is not None and entry["rating"] < 0.5
    key = negative, entry["timestamp"], entry["message_id"]
    return [(name, *key) for name in entry["metadata"]["issues"]]
