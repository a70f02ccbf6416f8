"""One run of the index on disk: the lines of a stretch of one data file, to be searched in place.

Layout, in the machine's own byte order (a file from another machine is not recognised, and made
again): a header of 128 bytes, then for ``n`` lines the arrays

    u64[n]  hashes, sorted         i64[n]  stamps        u32[n]  lengths
    u64[n]  hashes, file order     u64[n]  offsets       u32[n]  line of each sorted hash

and at last a checksum, u32, of every 4 KiB of those (see `feedback_store.backends.jsonl.blocks`).

A run never changes: it is written beside, synced and renamed. Everything in it can be made again
from the data file, so whatever looks wrong about one is answered by leaving it aside.
"""

import mmap
import struct
from array import array
from bisect import bisect_left
from collections.abc import Sequence
from typing import Literal, NamedTuple
from zlib import crc32

from feedback_store.backends.jsonl.blocks import (
    BLOCK_BYTES,
    Blocks,
    checksums_bytes,
    checksums_of,
)
from feedback_store.backends.jsonl.records import Records
from feedback_store.backends.jsonl.traits import TraitTable, read, written

_MAGIC = b"FSINDEX2"
_ORDER_MARK = 0x01020304
_HEADER = struct.Struct("=8sII16s16sQQQQQQQQQ")
_CHECKED = struct.Struct("=I")
HEADER_BYTES = 128
_RECORD_BYTES = 44  # and the number of the traits
_FEW_TRAITS = 1 << 16
_TYPECODES: dict[int, Literal["H", "I"]] = {2: "H", 4: "I"}
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

    def __init__(
        self, stretch: Stretch, shape: tuple[int, int], body: memoryview, checksums: memoryview
    ) -> None:
        self.stretch = stretch
        self.count, self._width = shape
        n = self.count
        self._blocks = Blocks(body, checksums)
        self._to_prove = True  # some block of the sorted hashes
        self._sorted = body[: 8 * n].cast("Q")
        self._hashes = body[8 * n : 16 * n].cast("Q")
        self._stamps = body[16 * n : 24 * n].cast("q")
        self._offsets = body[24 * n : 32 * n].cast("Q")
        self._lengths = body[32 * n : 36 * n].cast("I")
        self._order = body[36 * n : 40 * n].cast("I")

    def first(self, hashed: int) -> int:
        """Return where the lines with that hash begin among the sorted ones, -1 for none."""
        first = bisect_left(self._sorted, hashed)
        # What was compared on both sides of the place proves it, once these two are proven.
        if self._to_prove:
            self._blocks.prove(8 * max(first - 1, 0), 8 * min(first + 1, self.count))
            self._to_prove = 0 in self._blocks.proven[: -(-8 * self.count // BLOCK_BYTES)]
        return first if first < self.count and self._sorted[first] == hashed else -1

    def find(self, hashed: int, first: int) -> list[tuple[int, int]]:
        """Return offset and length of the lines with that hash, the last one first."""
        n, last = self.count, first + 1
        while last < n and self._sorted[last] == hashed:
            last += 1
        prove_at = self._blocks.prove_at
        for i in range(first + 1, min(last + 1, n)):
            prove_at(8 * i)
        found: list[tuple[int, int]] = []
        for i in range(last - 1, first - 1, -1):
            prove_at(36 * n + 4 * i)
            position = self._order[i]
            prove_at(24 * n + 8 * position)
            prove_at(32 * n + 4 * position)
            found.append((self._offsets[position], self._lengths[position]))
        return found

    def extend(self, records: Records, table: TraitTable, first: int = 0) -> None:
        """Add this run's lines to ``records``, but for its first ones."""
        body, n = self._blocks.body, self.count
        self._blocks.prove(0, len(body))
        records.hashes.frombytes(self._hashes[first:].cast("B"))
        records.stamps.frombytes(self._stamps[first:].cast("B"))
        records.offsets.frombytes(self._offsets[first:].cast("B"))
        records.lengths.frombytes(self._lengths[first:].cast("B"))
        records.responses.frombytes(body[40 * n + 4 * first : 44 * n])
        end = (_RECORD_BYTES + self._width) * n
        numbers = [table.number(traits) for traits in read(bytes(body[end:]))]
        places = body[_RECORD_BYTES * n : end].cast(_TYPECODES[self._width])[first:]
        records.traits.extend(array("I", map(numbers.__getitem__, places)))
        mapped = body.obj
        if isinstance(mapped, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):
            # It was copied: a process need not hold both. Whoever searches it reads it again.
            mapped.madvise(mmap.MADV_DONTNEED)


def parse_run(data: memoryview) -> Run | None:
    """Return the run that a file holds, or None when it is not whole or not of this kind."""
    if len(data) < HEADER_BYTES:
        return None
    header = bytes(data[: _HEADER.size])
    if _CHECKED.unpack_from(data, _HEADER.size)[0] != crc32(header):
        return None
    magic, mark, checked, identity, reading, count, width, size, *numbers = _HEADER.unpack(header)
    if magic != _MAGIC or mark != _ORDER_MARK:
        return None
    end = HEADER_BYTES + size
    body, checksums = data[HEADER_BYTES:end], data[end:]
    if len(checksums) != checksums_bytes(len(body)) or crc32(checksums) != checked:
        return None
    return Run(Stretch(identity, reading, *numbers), (count, width), body, checksums)


def format_run(stretch: Stretch, records: Records, table: TraitTable) -> bytes:
    """Return the file of a run; it tells no traits but those of its lines."""
    sorted_hashes, order = _sorted(records.hashes)
    used = sorted(set(records.traits))
    places = {number: place for place, number in enumerate(used)}
    width = 2 if len(used) <= _FEW_TRAITS else 4
    arrays = (
        sorted_hashes,
        records.hashes,
        records.stamps,
        records.offsets,
        records.lengths,
        order,
        records.responses,
        array(_TYPECODES[width], map(places.__getitem__, records.traits)),
    )
    listed = written(table.all[number] for number in used)
    body = memoryview(b"".join([*(part.tobytes() for part in arrays), listed]))
    checksums = checksums_of(body)
    identity, reading, *numbers = stretch
    shape = len(records), width, len(body)
    header = _HEADER.pack(
        _MAGIC, _ORDER_MARK, crc32(checksums), identity, reading, *shape, *numbers
    )
    checked = (header + _CHECKED.pack(crc32(header))).ljust(HEADER_BYTES, b"\0")
    return b"".join((checked, body, checksums))


def _sorted(hashes: "array[int]") -> tuple["array[int]", "array[int]"]:
    """Return the hashes in order, and the line of each; equal ones in the order of the file.

    One integer carries both, because a list of integers sorts several times faster than one of
    pairs; the runs that a merge puts together are sorted stretches, which the sort finds.
    """
    joined = sorted([hashed << _POSITION_BITS | i for i, hashed in enumerate(hashes)])
    order = array("I", [both & _POSITION_MASK for both in joined])
    return array("Q", [both >> _POSITION_BITS for both in joined]), order
