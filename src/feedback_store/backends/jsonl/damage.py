"""Finding the damaged lines of a part: those that the index does not know."""

from collections.abc import Iterator

from feedback_store.backends.jsonl.part import CHUNK_BYTES, Part


def damaged_lines(part: Part) -> Iterator[tuple[int, bytes]]:
    """Yield number and bytes of every line that is neither good nor blank."""
    good = set(part.records().offsets)
    number, offset, rest = 0, 0, b""
    size = part.status.size_bytes if part.name.plain else part.file.size()
    while offset < size and (piece := part.file.read(offset, CHUNK_BYTES)):
        *lines, tail = (rest + piece).split(b"\n")
        start = offset - len(rest)
        offset += len(piece)
        for line in lines:
            number += 1
            if start not in good and line and not line.isspace():
                yield number, line
            start += len(line) + 1
        rest = tail
    if rest and not rest.isspace() and size - len(rest) not in good:
        yield number + 1, rest
