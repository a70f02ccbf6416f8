"""Reading entries from JSONL or a JSON array, a row at a time, each with the place it stands at."""

import gzip
import re
import zlib
from collections.abc import Iterator
from datetime import UTC, datetime, tzinfo
from pathlib import Path
from typing import IO, Protocol

import attrs
import click

from feedback_store import codec
from feedback_store.entry import FeedbackEntry
from feedback_store.errors import InvalidEntryError

MAX_LINE_BYTES = 16 * 1024 * 1024
"""The longest line that is looked at: a file without newlines must not fill the memory."""

_BOM = b"\xef\xbb\xbf"
_DATED = re.compile(r"feedback_(\d{4}-\d{2}|\d{8})\.")


@attrs.frozen(kw_only=True)
class Row:
    """One row of a source: an entry, or why it is none.

    Attributes:
        where: the file and the line, or the place in the array.
        entry: what it holds.
        problem: why it holds none; never quotes the row.
        size_bytes: how long the row was, where that is known.
    """

    where: str
    entry: FeedbackEntry | None = None
    problem: str = ""
    size_bytes: int = 0


class _Stream(Protocol):
    def read(self) -> bytes: ...

    def readline(self, size: int, /) -> bytes: ...


class Source:
    """A file, or standard input for ``-``; compressed when its name ends in ``.gz``.

    Args:
        path: the file.
        naive_tz: the zone of times that name none.
    """

    def __init__(self, path: str, naive_tz: tzinfo) -> None:
        self.name = "standard input" if path == "-" else path
        self.size_bytes = Path(path).stat().st_size if Path(path).is_file() else None
        self._path = path
        self._is_gzip = path.endswith(".gz")
        self._naive_tz = naive_tz
        self._fallback_time = date_of(Path(path).name)
        self._raw: IO[bytes] | None = None
        self._position_bytes = 0

    @property
    def position_bytes(self) -> int:
        """How much of the file was read, to show progress."""
        if self.size_bytes is not None and self._raw is not None and not self._raw.closed:
            self._position_bytes = self._raw.tell()
        return self._position_bytes

    def rows(self) -> Iterator[Row]:
        """Yield every row that is not blank, in order.

        When the file cannot be read to its end, the last row says so: what came before stays.
        """
        where = self.name
        try:
            with click.open_file(self._path, "rb") as raw:
                self._raw = raw
                for row in self._rows_of(_uncompressed(raw) if self._is_gzip else raw):
                    where = row.where
                    yield row
        except (OSError, EOFError, zlib.error) as error:
            # Of errors about compressed data, some would quote the file.
            reason = getattr(error, "strerror", None) or "damaged, or no gzip file"
            yield Row(where=where, problem=f"cannot be read any further: {reason}")
        self._position_bytes = self.size_bytes or 0

    def _rows_of(self, stream: _Stream) -> Iterator[Row]:
        """Tell an array from lines by the first character that is not blank."""
        lines = ((n, line) for n, line in enumerate(_lines(stream), 1) if line.strip())
        for number, line in lines:
            if line.removeprefix(_BOM).lstrip().startswith(b"["):
                yield from self._items(line + stream.read())
                return
            yield self._row(f"{self.name}:{number}", line)
            break
        for number, line in lines:
            yield self._row(f"{self.name}:{number}", line)

    def _row(self, where: str, line: bytes) -> Row:
        size = len(line)
        if size > MAX_LINE_BYTES:
            problem = f"the line is longer than {MAX_LINE_BYTES} bytes"
            return Row(where=where, problem=problem, size_bytes=size)
        try:
            entry = codec.decode(line, naive_tz=self._naive_tz, fallback_time=self._fallback_time)
        except InvalidEntryError as error:
            return Row(where=where, problem=str(error), size_bytes=size)
        return Row(where=where, entry=entry, size_bytes=size)

    def _items(self, text: bytes) -> Iterator[Row]:
        try:
            items = codec.parse(text)
        except InvalidEntryError as error:
            yield Row(where=self.name, problem=f"not a JSON array as a whole: {error}")
            return
        for number, item in enumerate(items, 1):
            where = f"{self.name}: item {number}"
            try:
                entry = codec.from_mapping(
                    item, naive_tz=self._naive_tz, fallback_time=self._fallback_time
                )
            except InvalidEntryError as error:
                yield Row(where=where, problem=str(error))
            else:
                yield Row(where=where, entry=entry)


def _uncompressed(raw: IO[bytes]) -> gzip.GzipFile:
    return gzip.GzipFile(fileobj=raw)


def _lines(stream: _Stream) -> Iterator[bytes]:
    """Yield lines; of one that is too long, only enough to see that it is."""
    while line := stream.readline(MAX_LINE_BYTES + 1):
        yield line
        while len(line) > MAX_LINE_BYTES and not line.endswith(b"\n"):
            line = stream.readline(MAX_LINE_BYTES + 1)


def date_of(name: str) -> datetime | None:
    """Return the start of the UTC month or day that a file's name tells, if it tells one.

    ``feedback_2025-02.jsonl`` is the month, ``feedback_20250217.jsonl`` the day.
    """
    found = _DATED.match(name)
    if not found:
        return None
    day = f"{found[1]}-01" if "-" in found[1] else found[1]
    try:
        return datetime.fromisoformat(day).replace(tzinfo=UTC)
    except ValueError:
        return None
