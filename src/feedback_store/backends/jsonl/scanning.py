"""Reading many entries in order, as of one moment, without holding them all.

The index gives the place and time of every line, so that lines are read in the order in which
they are wanted and decoded once. Months that overlap (an older writer put an entry by its own
clock) are merged; others follow each other.
"""

import heapq
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

from feedback_store.backends.jsonl.disk import Readable
from feedback_store.backends.jsonl.part import Part
from feedback_store.backends.jsonl.records import Records
from feedback_store.entry import FeedbackEntry
from feedback_store.errors import InvalidEntryError
from feedback_store.query import Query
from feedback_store.stamps import stamp_of
from feedback_store.store import descending

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


def scan(parts: Sequence[Snapshot], query: Query) -> Iterator[FeedbackEntry]:
    """Yield the entries of the snapshots in order; only ``since`` and ``until`` are applied."""
    since = None if query.since is None else stamp_of(query.since)
    until = None if query.until is None else stamp_of(query.until)
    hidden = superseded_lines(parts)
    chosen = [_choose(part, hidden.get(i), since, until) for i, part in enumerate(parts)]
    runs = [(part, lines) for part, lines in zip(parts, chosen, strict=True) if lines]
    backwards = descending(query)
    runs.sort(key=lambda run: run[0].records.stamps[run[1][0]], reverse=False)
    groups = _overlapping(runs)
    for group in reversed(groups) if backwards else groups:
        streams = [_entries(part, lines, backwards=backwards) for part, lines in group]
        if len(streams) == 1:
            yield from streams[0]
        else:
            yield from heapq.merge(*streams, key=_time_and_id, reverse=backwards)


def superseded_lines(parts: Sequence[Snapshot]) -> dict[int, set[int]]:
    """Return, per part, the lines that a later one takes the place of.

    Later is: in a later part, or further on in the same one. Equal hashes are nearly always equal
    ids; the lines of those few are read to make sure.
    """
    total = sum(len(part.records) for part in parts)
    seen: set[int] = set()
    for part in parts:
        seen.update(part.records.hashes)
    if len(seen) == total:
        return {}
    repeated: set[int] = set()
    seen.clear()
    for part in parts:
        for hashed in part.records.hashes:
            (repeated if hashed in seen else seen).add(hashed)
    return _resolve(parts, repeated)


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


def _choose(
    part: Snapshot, hidden: set[int] | None, since: int | None, until: int | None
) -> list[int]:
    """Return the lines that are wanted, in the order of time."""
    stamps = part.records.stamps
    lines: Iterable[int] = range(len(stamps))
    if hidden:
        lines = (i for i in lines if i not in hidden)
    if since is not None:
        lines = (i for i in lines if stamps[i] >= since)
    if until is not None:
        lines = (i for i in lines if stamps[i] < until)
    return sorted(lines, key=stamps.__getitem__)


def _overlapping(
    runs: list[tuple[Snapshot, list[int]]],
) -> list[list[tuple[Snapshot, list[int]]]]:
    """Group runs, sorted by where they begin, that share a stretch of time."""
    groups: list[list[tuple[Snapshot, list[int]]]] = []
    end: int | None = None
    for part, lines in runs:
        stamps = part.records.stamps
        if end is not None and stamps[lines[0]] <= end:
            groups[-1].append((part, lines))
            end = max(end, stamps[lines[-1]])
        else:
            groups.append([(part, lines)])
            end = stamps[lines[-1]]
    return groups


def _entries(part: Snapshot, lines: list[int], *, backwards: bool) -> Iterator[FeedbackEntry]:
    """Yield the entries of lines that are in the order of time; those of one time by id."""
    records, reader = part.records, LineReader(part.file, backwards=backwards)
    stamps = records.stamps
    together: list[FeedbackEntry] = []
    stamp: int | None = None
    for i in reversed(lines) if backwards else lines:
        if stamps[i] != stamp:
            yield from _by_id(together, backwards=backwards)
            together, stamp = [], stamps[i]
        try:
            together.append(part.decode(reader.read(records.offsets[i], records.lengths[i])))
        except InvalidEntryError:
            continue  # changed in place since it was read; it will be read anew
    yield from _by_id(together, backwards=backwards)


def _by_id(entries: list[FeedbackEntry], *, backwards: bool) -> list[FeedbackEntry]:
    if len(entries) > 1:
        entries.sort(key=lambda entry: entry.id, reverse=backwards)
    return entries


def _time_and_id(entry: FeedbackEntry) -> tuple[object, str]:
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
