"""Rows of a source, one at a time, each with the place that it stands at."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any, NamedTuple, Protocol

from feedback_store import codec
from feedback_store.compressing import unpacked
from feedback_store.errors import InvalidEntryError
from feedback_store.mapping.values import opened

MAX_LINE_BYTES = 16 * 1024 * 1024
"""The longest line that is looked at: a file without newlines must not fill the memory."""

BOM = b"\xef\xbb\xbf"


class Row(NamedTuple):
    """One row of a source.

    Attributes:
        where: the source and the line, or the place in it, as a report tells it.
        number: its number in the source, from 1 on; the same each time that it is read.
        value: the keys and values; None where there are none.
        size_bytes: how long it was, where that is known.
        problem: why there are none; never quotes the row.
        fallback_id: the id that it gets if it has none.
    """

    where: str
    number: int
    value: Mapping[str, Any] | None = None
    size_bytes: int = 0
    problem: str = ""
    fallback_id: str | None = None


class Stream(Protocol):
    """What lines are read from."""

    def readline(self, size: int, /) -> bytes:
        """Return a line with its newline, or as much of it as the size allows."""
        ...


def lines(stream: Stream, max_bytes: int) -> Iterator[bytes]:
    """Yield lines; of one that is too long, only enough to see that it is."""
    while line := stream.readline(max_bytes + 1):
        yield line
        while len(line) > max_bytes and not line.endswith(b"\n"):
            line = stream.readline(max_bytes + 1)


def open_bytes(path: Path) -> IO[bytes]:
    """Open a file to be read, unpacked if its name ends in ``.gz`` or ``.zst``.

    Raises:
        OSError: it cannot be opened.
        MissingExtraError: it is ``.zst``, and nothing that reads it is installed.
    """
    if not path.name.endswith((".gz", ".zst")):
        return path.open("rb")
    return unpacked(path.open("rb"), path.name)


def of_lines(path: Path) -> Iterator[Row]:
    """Yield the rows of a file of JSON lines; blank lines are none."""
    with open_bytes(path) as stream:
        for number, line in enumerate(lines(stream, MAX_LINE_BYTES), 1):
            if line.removeprefix(BOM).strip():
                yield _row_of(f"{path.name}:{number}", number, line)


def _row_of(where: str, number: int, line: bytes) -> Row:
    size = len(line)
    if size > MAX_LINE_BYTES:
        return Row(where, number, None, size, f"the line is longer than {MAX_LINE_BYTES} bytes")
    try:
        return of_value(where, number, codec.parse(line), size)
    except InvalidEntryError as error:
        return Row(where, number, None, size, str(error))


def of_value(
    where: str, number: int, value: object, size_bytes: int = 0, fallback_id: str | None = None
) -> Row:
    """Return the row of a value of JSON, which should be an object."""
    if isinstance(value, Mapping):
        return Row(where, number, value, size_bytes, "", fallback_id)
    problem = f"an entry is a JSON object, not a {type(value).__name__}"
    return Row(where, number, None, size_bytes, problem)


def whole(path: Path) -> Any:  # noqa: ANN401  # any JSON value
    """Return the one JSON value that a file holds.

    Raises:
        InvalidEntryError: it holds none.
        OSError: it cannot be read.
        EOFError: it cannot be unpacked.
    """
    with open_bytes(path) as stream:
        return codec.parse(stream.read())


def of_array(path: Path) -> Iterator[Row]:
    """Yield the items of an array of JSON, which is read as a whole; a single object is one."""
    value = whole(path)
    for number, item in enumerate(value if isinstance(value, list) else [value], 1):
        yield of_value(f"{path.name}: item {number}", number, item)


def ratings_in(value: object) -> Mapping[str, Any] | None:
    """Return what a browser keeps as ``messageRatings``: an object of message id to entry.

    The value is that object, or has it under this key, perhaps as a text of JSON, which is all
    that a browser's storage can hold. None for any other value.
    """
    if not isinstance(value, Mapping):
        return None
    if "messageRatings" in value:
        try:
            ratings = opened(value["messageRatings"], "messageRatings")
        except InvalidEntryError:
            return None
        return ratings if isinstance(ratings, Mapping) else None
    looks_like_an_entry = value.keys() & {"message_id", "id", "question", "answer"}
    values = value.values()
    if not value or looks_like_an_entry or not all(isinstance(item, Mapping) for item in values):
        return None
    return value if any(item.keys() & {"question", "rating", "answer"} for item in values) else None


def of_ratings(path: Path) -> Iterator[Row]:
    """Yield the entries of a browser's back-up: see `ratings_in`."""
    ratings = ratings_in(whole(path)) or {}
    for number, (id, value) in enumerate(ratings.items(), 1):
        where = f"{path.name}: item {number}"
        try:
            yield of_value(where, number, opened(value, "the item"), fallback_id=id or None)
        except InvalidEntryError as error:
            yield Row(where, number, problem=str(error))
