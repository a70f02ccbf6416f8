"""One run of the index on disk: the lines of a stretch of one data file, to be searched in place.

Layout, in the machine's own byte order (a file from another machine is not recognised, and made
again): a header of 128 bytes, then for ``n`` lines the arrays

    u64[n]  hashes, sorted         i64[n]  stamps        u32[n]  lengths
    u64[n]  hashes, file order     u64[n]  offsets       u32[n]  line of each sorted hash

A run never changes: it is written beside, synced and renamed. Everything in it can be made again
from the data file, so whatever looks wrong about one is answered by leaving it aside.
"""

import struct
from array import array
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from typing import NamedTuple
from zlib import crc32

from feedback_store.backends.jsonl.records import Records

_MAGIC = b"FSINDEX1"
_ORDER_MARK = 0x01020304
_HEADER = struct.Struct("=8sI4x16s16sQQQQQQQ")
_CHECKED = struct.Struct("=I")
HEADER_BYTES = 128
_RECORD_BYTES = 40
_POSITION_BITS = 32
_POSITION_MASK = (1 << _POSITION_BITS) - 1


class Stretch(NamedTuple):
    """What a run covers, and what was found there.

    Attributes:
        identity: 16 bytes that tell the data file, as it was then, from every other.
        reading: 16 bytes that tell how lines were read (the time zone of naive times).
        start: the first byte covered.
        end: the byte after the last one covered.
        lines: how many newlines there are in it.
        damaged: how many damaged lines.
        superseded: how many earlier lines its lines have taken the place of.
        superseded_bytes: the length of those.
    """

    identity: bytes
    reading: bytes
    start: int
    end: int
    lines: int
    damaged: int
    superseded: int
    superseded_bytes: int


def joined(stretches: Sequence[Stretch]) -> Stretch:
    """Return the stretch of consecutive ones: its last one tells the file as it was latest."""
    return stretches[-1]._replace(
        start=stretches[0].start,
        lines=sum(s.lines for s in stretches),
        damaged=sum(s.damaged for s in stretches),
        superseded=sum(s.superseded for s in stretches),
        superseded_bytes=sum(s.superseded_bytes for s in stretches),
    )


class Run:
    """A run that was opened, or is about to be written."""

    def __init__(self, stretch: Stretch, body: memoryview) -> None:
        self.stretch = stretch
        self.count = n = len(body) // _RECORD_BYTES
        self._sorted = body[: 8 * n].cast("Q")
        self._hashes = body[8 * n : 16 * n].cast("Q")
        self._stamps = body[16 * n : 24 * n].cast("q")
        self._offsets = body[24 * n : 32 * n].cast("Q")
        self._lengths = body[32 * n : 36 * n].cast("I")
        self._order = body[36 * n :].cast("I")

    def first(self, hashed: int) -> int:
        """Return where the lines with that hash begin among the sorted ones, -1 for none."""
        first = bisect_left(self._sorted, hashed)
        return first if first < self.count and self._sorted[first] == hashed else -1

    def find(self, hashed: int, first: int) -> Iterator[tuple[int, int]]:
        """Yield offset and length of the lines with that hash, the last one first."""
        last = first
        while last < self.count and self._sorted[last] == hashed:
            last += 1
        for i in range(last - 1, first - 1, -1):
            position = self._order[i]
            yield self._offsets[position], self._lengths[position]

    def extend(self, records: Records) -> None:
        """Add this run's lines to ``records``."""
        records.hashes.frombytes(self._hashes.cast("B"))
        records.stamps.frombytes(self._stamps.cast("B"))
        records.offsets.frombytes(self._offsets.cast("B"))
        records.lengths.frombytes(self._lengths.cast("B"))


def parse_run(data: memoryview) -> Run | None:
    """Return the run that a file holds, or None when it is not whole or not of this kind."""
    if len(data) < HEADER_BYTES or (len(data) - HEADER_BYTES) % _RECORD_BYTES:
        return None
    header = bytes(data[: _HEADER.size])
    if _CHECKED.unpack_from(data, _HEADER.size)[0] != crc32(header):
        return None
    magic, mark, identity, reading, count, *numbers = _HEADER.unpack(header)
    if magic != _MAGIC or mark != _ORDER_MARK:
        return None
    body = data[HEADER_BYTES:]
    if count * _RECORD_BYTES != len(body):
        return None
    return Run(Stretch(identity, reading, *numbers), body)


def format_run(stretch: Stretch, records: Records) -> bytes:
    """Return the file of a run."""
    _, _, *numbers = stretch
    header = _HEADER.pack(
        _MAGIC, _ORDER_MARK, stretch.identity, stretch.reading, len(records), *numbers
    )
    checked = header + _CHECKED.pack(crc32(header))
    sorted_hashes, order = _sorted(records.hashes)
    arrays = (
        sorted_hashes,
        records.hashes,
        records.stamps,
        records.offsets,
        records.lengths,
        order,
    )
    return checked.ljust(HEADER_BYTES, b"\0") + b"".join(part.tobytes() for part in arrays)


def _sorted(hashes: "array[int]") -> tuple["array[int]", "array[int]"]:
    """Return the hashes in order, and the line of each; equal ones in the order of the file.

    One integer carries both, because a list of integers sorts several times faster than one of
    pairs; the runs that a merge puts together are sorted stretches, which the sort finds.
    """
    joined = sorted([hashed << _POSITION_BITS | i for i, hashed in enumerate(hashes)])
    order = array("I", [both & _POSITION_MASK for both in joined])
    return array("Q", [both >> _POSITION_BITS for both in joined]), order
