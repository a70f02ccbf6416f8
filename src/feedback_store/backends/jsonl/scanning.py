"""Reading many entries in order, as of one moment, without holding them all.

The index gives the place and time of every line, so that lines are read in the order in which
they are wanted and decoded once. Months that overlap (an older writer put an entry by its own
clock) are merged; others follow each other, and the lines of a month are not even chosen before it
is its turn.
"""

import heapq
import sys
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import compress, islice
from typing import NamedTuple, Protocol, TypeAlias

from feedback_store.backends.jsonl.disk import Readable
from feedback_store.backends.jsonl.part import Part
from feedback_store.backends.jsonl.records import Records
from feedback_store.collecting import collector_paused
from feedback_store.entry import FeedbackEntry
from feedback_store.errors import InvalidEntryError

Hint: TypeAlias = Callable[[bytes], bool]
"""Says whether a line may hold an entry that is wanted; it errs on the side of yes."""

_FIRST_PIECE, _LAST_PIECE = 64, 1024
"""Lines that are decoded at a time: few at first, for a page wants no more."""

WINDOW_BYTES = 1 << 18
"""What is read at a time: lines that follow each other cost one read for many."""


class Snapshot(NamedTuple):
    """A part as it was at one moment; the file it holds open stays as it is.

    Attributes:
        file: the open file.
        decode: reads a line as the store does.
        records: all good lines.
    """

    file: Readable
    decode: Callable[[bytes], FeedbackEntry]
    records: Records


def snapshot(parts: Iterable[Part]) -> list[Snapshot]:
    """Return the parts as they are now."""
    return [Snapshot(part.file, part.decode_known, part.records()) for part in parts]


class Lines(Protocol):
    """Gives the lines that are wanted when they are."""

    def __call__(self, *, backwards: bool) -> Iterator[int]:
        """Yield them in the order of time, or backwards."""
        ...


class Chosen(NamedTuple):
    """The lines of a part that are wanted.

    Attributes:
        part: the part.
        first: no line is of an earlier stamp.
        last: no line is of a later stamp.
        lines: gives them, in the order of time or backwards.
    """

    part: Snapshot
    first: int
    last: int
    lines: Lines


def in_order(
    chosen: Iterable[Chosen], *, backwards: bool, hint: Hint | None = None
) -> Iterator[FeedbackEntry]:
    """Yield the entries of lines by time and id; those that the hint rules out may be missing."""
    for group in groups_of(chosen, backwards=backwards):
        yield from merged(group, hint, backwards=backwards)


def groups_of(chosen: Iterable[Chosen], *, backwards: bool) -> list[list[Chosen]]:
    """Return them by time, those that share a stretch of it together."""
    groups = _overlapping(sorted(chosen, key=lambda some: some.first))
    return groups[::-1] if backwards else groups


def merged(
    group: Sequence[Chosen], hint: Hint | None, *, backwards: bool
) -> Iterator[FeedbackEntry]:
    """Yield the entries of all by time and id."""
    streams = [_entries(some, hint, backwards=backwards) for some in group]
    if len(streams) == 1:
        return streams[0]
    return heapq.merge(*streams, key=time_and_id, reverse=backwards)


def living(parts: Sequence[Snapshot]) -> list[Chosen]:
    """Return all lines but the superseded ones."""
    hidden = superseded_lines(parts)
    return [
        _sorted(part, [i for i in range(len(part.records)) if i not in hidden.get(k, ())])
        for k, part in enumerate(parts)
        if len(part.records)
    ]


def _sorted(part: Snapshot, lines: list[int]) -> Chosen:
    stamps = part.records.stamps
    lines.sort(key=stamps.__getitem__)

    def give(*, backwards: bool) -> Iterator[int]:
        return reversed(lines) if backwards else iter(lines)

    return Chosen(part, min(stamps), max(stamps), give)


def superseded_lines(parts: Sequence[Snapshot]) -> dict[int, set[int]]:
    """Return, per part, the lines that a later one takes the place of.

    Later is: in a later part, or further on in the same one. Equal hashes are nearly always equal
    ids; the lines of those few are read to make sure.
    """
    repeated: set[int] = set()
    shares = 1 + sum(len(part.records) for part in parts) // _SHARE_LINES
    for k in range(shares):
        repeated |= _repeated([_share(part.records, k, shares) for part in parts])
    return _resolve(parts, repeated) if repeated else {}


_SHARE_LINES = 1 << 16
"""Hashes that are looked at together: a set of a million takes 100 MB."""


def _repeated(hashes: "list[Callable[[], Iterable[int]]]") -> set[int]:
    """Return those hashes that are there more than once."""
    seen: set[int] = set()
    total = 0
    for give in hashes:
        some = list(give())
        total += len(some)
        seen.update(some)
    repeated: set[int] = set()
    if len(seen) < total:
        seen.clear()
        for give in hashes:
            for hashed in give():
                (repeated if hashed in seen else seen).add(hashed)
    return repeated


def _share(records: Records, k: int, shares: int) -> "Callable[[], Iterable[int]]":
    """Return what gives the hashes of one share of all: equal ones are in the same."""
    if shares == 1:
        return lambda: records.hashes
    of_share = bytes(byte % shares == k for byte in range(256))
    # One byte of each hash tells its share, in steps that are not Python's.
    place = 0 if sys.byteorder == "little" else 7
    return lambda: compress(
        records.hashes,
        bytes(memoryview(records.hashes).cast("B")[place::8]).translate(of_share),
    )


def _resolve(parts: Sequence[Snapshot], repeated: set[int]) -> dict[int, set[int]]:
    last: dict[str, tuple[int, int]] = {}
    hidden: dict[int, set[int]] = defaultdict(set)
    for i, part in enumerate(parts):
        records, lines = part.records, LineReader(part.file)
        for position, hashed in enumerate(records.hashes):
            if hashed not in repeated:
                continue
            line = lines.read(records.offsets[position], records.lengths[position])
            try:
                id = part.decode(line).id
            except InvalidEntryError:
                continue  # changed in place since it was read; it will be read anew
            if id in last:
                where, superseded = last[id]
                hidden[where].add(superseded)
            last[id] = (i, position)
    return hidden


def _overlapping(chosen: list[Chosen]) -> list[list[Chosen]]:
    """Group parts, sorted by where they begin, that share a stretch of time."""
    groups: list[list[Chosen]] = []
    end: int | None = None
    for some in chosen:
        if end is not None and some.first <= end:
            groups[-1].append(some)
            end = max(end, some.last)
        else:
            groups.append([some])
            end = some.last
    return groups


def _entries(chosen: Chosen, hint: Hint | None, *, backwards: bool) -> Iterator[FeedbackEntry]:
    """Yield the entries of lines that are in the order of time; those of one time by id."""
    part = chosen.part
    reader, stamps = LineReader(part.file, backwards=backwards), part.records.stamps
    for piece in pieces_of(chosen, backwards=backwards):
        entries = decoded(part, piece, reader, hint)
        if len(set(map(stamps.__getitem__, piece))) < len(piece):
            entries.sort(key=time_and_id, reverse=backwards)
        yield from entries


def pieces_of(chosen: Chosen, *, backwards: bool) -> Iterator[list[int]]:
    """Yield its lines, some at a time; lines of one time are never parted."""
    stamps, size = chosen.part.records.stamps, _FIRST_PIECE
    lines = chosen.lines(backwards=backwards)
    ahead = next(lines, None)
    while ahead is not None:
        piece = [ahead, *islice(lines, size - 1)]
        while (ahead := next(lines, None)) is not None and stamps[ahead] == stamps[piece[-1]]:
            piece.append(ahead)
        yield piece
        size = min(2 * size, _LAST_PIECE)


def decoded(
    part: Snapshot, lines: Iterable[int], reader: "LineReader", hint: Hint | None
) -> list[FeedbackEntry]:
    """Return the entries of lines, but for those that the hint rules out."""
    entries: list[FeedbackEntry] = []
    offsets, lengths = part.records.offsets, part.records.lengths
    with collector_paused():
        for i in lines:
            line = reader.read(offsets[i], lengths[i])
            if hint is None or hint(line):
                try:
                    entries.append(part.decode(line))
                except InvalidEntryError:
                    continue  # changed in place since it was read; it will be read anew
    return entries


def time_and_id(entry: FeedbackEntry) -> tuple[object, str]:
    """Return what entries are ordered by."""
    return entry.timestamp, entry.id


class LineReader:
    """Reads lines of a file through a window that follows them, forwards or backwards."""

    def __init__(self, file: Readable, *, backwards: bool = False) -> None:
        self._file = file
        self._backwards = backwards
        self._start = 0
        self._window = b""

    def read(self, offset: int, length: int) -> bytes:
        """Return the bytes of one line."""
        at = offset - self._start
        if at < 0 or at + length > len(self._window):
            size = max(length, WINDOW_BYTES)
            self._start = max(0, offset + length - size) if self._backwards else offset
            self._window = self._file.read(self._start, size)
            at = offset - self._start
        return self._window[at : at + length]
