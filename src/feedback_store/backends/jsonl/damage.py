"""Finding the damaged lines of a part: those that the index does not know."""

from collections.abc import Iterator

from feedback_store.backends.jsonl.lines import between_nuls
from feedback_store.backends.jsonl.part import CHUNK_BYTES, Part


def damaged_lines(part: Part) -> Iterator[tuple[int, bytes]]:
    """Yield number and bytes of every line that is neither good nor blank."""
    good = set(part.records().offsets)
    number, offset, rest = 0, 0, b""
    size = part.status.size_bytes if part.name.plain else part.file.size()
    while offset < size and (piece := part.file.read(offset, min(CHUNK_BYTES, size - offset))):
        *lines, tail = (rest + piece).split(b"\n")
        start = offset - len(rest)
        offset += len(piece)
        for line in lines:
            number += 1
            yield from ((number, bad) for bad in _bad(line, start, good))
            start += len(line) + 1
        rest = tail
    yield from ((number + 1, bad) for bad in _bad(rest, size - len(rest), good))


def _bad(line: bytes, start: int, good: set[int]) -> Iterator[bytes]:
    """Yield what of a line is neither good nor blank: all of it, or what a good entry leaves."""
    stretches = [] if start in good or not line else [(0, line)]
    between = list(between_nuls(line))
    if any(start + offset in good for offset, _ in between):
        stretches = [place for place in between if start + place[0] not in good]
    yield from (stretch for _, stretch in stretches if not stretch.isspace())
