"""Rows of tables: CSV files, and whatever else yields keys and rows."""

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from feedback_store.migrate.rows import MAX_LINE_BYTES, Row, open_bytes

_KEYS = frozenset({"id", "message_id", "vote_id"})
_TEXTS = ({"question", "answer"}, {"user_query", "bot_response"})
_DELIMITERS = ",;\t"


class Table(Protocol):
    """A table of a database, as `feedback_store.backends` reads one."""

    def rows(self) -> Iterator[tuple[str, Mapping[str, Any]]]:
        """Yield each row with ``<table>-<primary key>``, in the order of the keys."""
        ...


def of_table(table: Table) -> Iterator[Row]:
    """Yield the rows of a table; what they are told by is the id of one that has none."""
    for number, (id, value) in enumerate(table.rows(), 1):
        yield Row(f"row {id}", number, value, fallback_id=id)


def looks_like_feedback(columns: Sequence[str], *, keyed: bool = False) -> bool:
    """Say whether columns are those of feedback: two texts, and an id or another key."""
    there = set(columns)
    return any(texts <= there for texts in _TEXTS) and (keyed or bool(there & _KEYS))


def columns_of_csv(path: Path) -> list[str]:
    """Return the header of a CSV file; nothing where there is none.

    Raises:
        OSError: it cannot be read.
        EOFError: it cannot be unpacked.
    """
    with open_bytes(path) as stream:
        first = stream.readline(MAX_LINE_BYTES).decode("utf-8-sig", "surrogateescape")
    try:
        return next(csv.reader([first], delimiter=_delimiter_in(first)), [])
    except csv.Error:
        return []


def _delimiter_in(header: str) -> str:
    return max(_DELIMITERS, key=header.count)


def of_csv(path: Path) -> Iterator[Row]:
    """Yield the rows of a CSV file with a header; blank lines are none."""
    columns = columns_of_csv(path)
    with open_bytes(path) as raw:
        # What is no UTF-8 harms its own row only: such a half character is refused in any text.
        stream = io.TextIOWrapper(raw, "utf-8-sig", "surrogateescape", newline="")
        source = _Lines(stream)
        reader = csv.reader(source, delimiter=_delimiter_in(stream.readline()), strict=True)
        number = 0
        while True:
            source.taken.clear()
            problem, cells = "", []
            try:
                cells = _next_of(reader)
            except StopIteration:
                return
            except csv.Error:
                problem = "not CSV: a quote stands where none can, or is not closed"
            where = f"{path.name}:{source.number - len(source.taken) + 1}"
            if cells and len(cells) != len(columns):
                problem = f"it has {len(cells)} cells, and the header {len(columns)}"
            if problem:
                source.give_back()
            if cells or problem:
                number += 1
                value = None if problem else dict(zip(columns, cells, strict=True))
                yield Row(where, number, value, sum(map(len, cells)), problem)


class _Lines:
    """The lines of a file below its header, of which some may be read once more.

    A quote that is not closed takes the lines after it into its own row. When such a row turns out
    to be none, all of its lines but the first are tried again, so that it hides nobody else.
    """

    def __init__(self, stream: io.TextIOWrapper) -> None:
        self.number = 1
        self.taken: list[str] = []
        self._stream = stream
        self._again: list[str] = []

    def __iter__(self) -> "_Lines":
        return self

    def __next__(self) -> str:
        line = self._again.pop() if self._again else self._stream.readline()
        if not line:
            raise StopIteration
        self.number += 1
        self.taken.append(line)
        return line

    def give_back(self) -> None:
        self._again.extend(reversed(self.taken[1:]))
        self.number -= len(self.taken) - 1


def _next_of(reader: Iterator[list[str]]) -> list[str]:
    """Return the next row. Its cells may be as long as a line of JSON, not only 128 KiB."""
    limit = csv.field_size_limit(MAX_LINE_BYTES)  # it is one for the whole process
    try:
        return next(reader)
    finally:
        csv.field_size_limit(limit)
