"""Files as older services left them, and what becomes of them. All rows are made up."""

import gzip
import json
import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from feedback_store import FeedbackEntry, Query, Store, encode
from feedback_store.migrate import Report

NOON = datetime(2025, 2, 17, 12, tzinfo=UTC)
SECRET = "what a person wrote"


def a_row(id: str, day: int = 17, **fields: Any) -> dict[str, Any]:  # noqa: ANN401  # any JSON value
    """Return a row as the day files have it: the time stands in the metadata only."""
    return {
        "message_id": id,
        "question": f"{SECRET}: {id}?",
        "answer": f"Answer {id}.",
        "rating": 1,
        "sources": [{"title": "Manual", "type": "wiki", "content": "..."}],
        "metadata": {
            "response_time": 1.5,
            "token_count": None,
            "timestamp": f"2025-02-{day:02}T12:00:00.123Z",
            "previous_ratings": [1, 0],
        },
        **fields,
    }


def a_month_row(id: str, day: int = 19, **fields: Any) -> dict[str, Any]:  # noqa: ANN401  # as above
    """Return a row as the month files have it: a naive time of a clock at UTC+1 besides."""
    return a_row(id, day, **{"timestamp": f"2025-02-{day:02}T13:00:00.456789", **fields})


def line(row: object) -> bytes:
    """Return a row as a line."""
    return json.dumps(row).encode() + b"\n"


def write_lines(path: Path, *rows: object) -> Path:
    """Write a file of lines; what is bytes already, as it is."""
    data = b"".join(row if isinstance(row, bytes) else line(row) for row in rows)
    if path.suffix == ".gz":
        data = gzip.compress(data)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def write_database(path: Path, script: str, *values: tuple[object, ...]) -> Path:
    """Write a database: a script, whose last statement is run for each of the values."""
    *statements, last = [part for part in script.split(";") if part.strip()]
    with closing(sqlite3.connect(path)) as connection:
        for statement in statements:
            connection.execute(statement)
        connection.executemany(last, values)
        connection.commit()
    return path


TORN = b'{"message_id": "torn", "question": "what a person wr'
BAD = {"feedback_20250218.jsonl:2", "feedback_20250218.jsonl:5"}
"""The bad lines of `write_older_files`."""


def write_older_files(folder: Path) -> Path:
    """Write a small folder with every trouble: history, bad lines, and four layouts."""
    write_lines(folder / "feedback.jsonl", a_row("s-1", 16), a_row("both", 16, rating=0))
    write_lines(
        folder / "feedback_20250217.jsonl", a_row("d-1"), a_row("d-2"), a_row("d-1", rating=0)
    )
    write_lines(
        folder / "feedback_20250218.jsonl",
        *(a_row("d-3", 18), TORN + b"\n", b"\n", a_row("both", 18), b"[1, 2]\n", a_row("d-2", 18)),
    )
    write_lines(folder / "feedback_2025-02.jsonl", a_month_row("m-1"), a_month_row("m-2", 20))
    return folder


ROWS = 12
SUPERSEDED = 3
ENTRIES = {"s-1", "both", "d-1", "d-2", "d-3", "m-1", "m-2"}


def lines_of(store: Store) -> dict[str, bytes]:
    """Return all that a store holds, by id, each once."""
    entries = list(store.scan(Query()))
    assert len(entries) == len({entry.id for entry in entries})
    return {entry.id: encode(entry) for entry in entries}


def by_id(store: Store) -> dict[str, FeedbackEntry]:
    """Return all that a store holds, by id."""
    return {entry.id: entry for entry in store.scan(Query())}


def data_of(folder: Path) -> dict[str, bytes]:
    """Return the bytes of the files in a folder, by their names."""
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir()) if path.is_file()}


def counts(report: Report) -> tuple[int, int, int, int, int]:
    """Return how many rows were added, unchanged, conflicting, superseded and refused."""
    stored = (report.added, report.unchanged, len(report.conflicts))
    return (*stored, report.superseded, len(report.refused))
