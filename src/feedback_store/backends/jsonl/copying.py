"""Giving lines as they stand in the files, for whoever wants JSON and not entries.

Most lines of a month are wanted, and stand in the order of time: such a stretch is copied by one
read, and looked at as a whole. What is not so (lines between which others were superseded, lines
of one time, which go by id, months that overlap) is taken line by line, or by way of the entries;
so is a stretch that would not mean the same anywhere: see `wire.mean_the_same_anywhere`.
"""

from collections.abc import Iterable, Iterator, Sequence

from feedback_store.backends.jsonl.scanning import (
    Chosen,
    LineReader,
    Snapshot,
    decoded,
    groups_of,
    merged,
    pieces_of,
    time_and_id,
)
from feedback_store.operations import encoded
from feedback_store.store import Lines
from feedback_store.wire import mean_the_same_anywhere

_STRETCH_BYTES = 4 << 20


def lines_in_order(chosen: Iterable[Chosen], *, backwards: bool) -> Iterator[Lines]:
    """Yield the lines by the time and id of their entries."""
    for group in groups_of(chosen, backwards=backwards):
        if len(group) == 1:
            yield from _lines(group[0], backwards=backwards)
        else:
            yield from encoded(merged(group, None, backwards=backwards))


def _lines(chosen: Chosen, *, backwards: bool) -> Iterator[Lines]:
    part = chosen.part
    reader = LineReader(part.file, backwards=backwards)
    for piece in pieces_of(chosen, backwards=backwards):
        data = _stretch(part, piece)
        if data is None:
            data = _joined(part, piece, reader)
        if data is not None and mean_the_same_anywhere(data, len(piece)):
            yield Lines(data, len(piece))
            continue
        entries = decoded(part, piece, reader, None)
        entries.sort(key=time_and_id, reverse=backwards)
        yield from encoded(entries)


def _has_ties(part: Snapshot, piece: Sequence[int]) -> bool:
    return len(set(map(part.records.stamps.__getitem__, piece))) < len(piece)


def _stretch(part: Snapshot, piece: list[int]) -> bytes | None:
    """Return lines that follow each other in the file; None where they do not, or in doubt."""
    first, last, count = piece[0], piece[-1], len(piece)
    if piece != list(range(first, first + count)) or _has_ties(part, piece):
        return None
    offsets, lengths = part.records.offsets, part.records.lengths
    start, end = offsets[first], offsets[last] + lengths[last]
    # One byte between two lines, and no line of another kind: then it is all of them. That the
    # byte is a newline is looked at with the lines.
    if end - start != sum(lengths[first : last + 1]) + count - 1 or end - start > _STRETCH_BYTES:
        return None
    return part.file.read(start, end - start)


def _joined(part: Snapshot, piece: list[int], reader: LineReader) -> bytes | None:
    """Return lines one by one; None where they are to be sorted by id, or are too large."""
    offsets, lengths = part.records.offsets, part.records.lengths
    if _has_ties(part, piece) or sum(map(lengths.__getitem__, piece)) > _STRETCH_BYTES:
        return None
    return b"\n".join([reader.read(offsets[i], lengths[i]) for i in piece])
