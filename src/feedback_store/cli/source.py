"""Reading entries from JSONL or a JSON array, a row at a time, each with the place it stands at."""

import gzip
import zlib
from collections.abc import Iterator
from datetime import tzinfo
from pathlib import Path
from typing import IO, Protocol

import attrs
import click

from feedback_store import codec
from feedback_store.entry import FeedbackEntry
from feedback_store.errors import InvalidEntryError
from feedback_store.migrate.naming import date_of
from feedback_store.migrate.rows import BOM, MAX_LINE_BYTES, lines

__all__ = ["MAX_LINE_BYTES", "Row", "Source", "date_of"]


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
        numbered = (
            (n, line) for n, line in enumerate(lines(stream, MAX_LINE_BYTES), 1) if line.strip()
        )
        for number, line in numbered:
            if line.removeprefix(BOM).lstrip().startswith(b"["):
                yield from self._array(line, numbered, stream)
                return
            yield self._row(f"{self.name}:{number}", line)
            break
        for number, line in numbered:
            yield self._row(f"{self.name}:{number}", line)

    def _array(
        self, opening: bytes, numbered: Iterator[tuple[int, bytes]], stream: _Stream
    ) -> Iterator[Row]:
        """Yield the rows of an array; line by line where each has one, as snapshots are written."""
        alone = opening.removeprefix(BOM).strip() == b"["
        number, first = next(numbered, (0, b"")) if alone else (0, b"")
        if not _is_object(_element(first)):
            yield from self._items(opening + first + stream.read())
            return
        yield self._row(f"{self.name}:{number}", _element(first))
        last = first
        for number, last in numbered:
            if last.strip() != b"]":
                yield self._row(f"{self.name}:{number}", _element(last))
        if last.strip() != b"]":
            yield Row(where=self.name, problem="the array has no end: the file was cut off")

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


def _element(line: bytes) -> bytes:
    return line.strip().removesuffix(b",")


def _is_object(text: bytes) -> bool:
    try:
        return isinstance(codec.parse(text), dict)
    except InvalidEntryError:
        return False


def _uncompressed(raw: IO[bytes]) -> gzip.GzipFile:
    return gzip.GzipFile(fileobj=raw)
