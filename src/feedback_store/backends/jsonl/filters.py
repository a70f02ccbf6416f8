"""Which months an id is certainly not in: one file that spares a new process opening them.

To open a month is cheap, to open the months of three years for one entry is not. This file holds
what each month's file looked like when all of its lines were known (inode number, size, time of
change), and a table: 32 to 64 rows for each line of the largest month, and in each row a bit for
each month. An id's hash leads to two rows; the bits of its month are set in both: a Bloom filter
with two hash functions (Bloom, 1970) for each month, side by side, so that two looks ask all of
them. While a file looks the same, an id without both bits is not in it; where both are set, or
the file looks otherwise, or anything here is not as it was written, the month is opened and asked
itself. So the file may be missing, old or damaged, and never hides an entry.

Layout, in the machine's own byte order: a header of 32 bytes, 24 bytes for each month, their names,
the table, and the checksums of its blocks. Nobody changes it: it is written anew by a writer that
closes its store after it had to open several months.
"""

import contextlib
import os
import struct
import time
from collections.abc import Iterable, Sequence
from typing import NamedTuple
from zlib import crc32

from feedback_store.backends.jsonl.blocks import BlockDamagedError, Blocks, checksums_of
from feedback_store.backends.jsonl.disk import Disk, FileStatus
from feedback_store.backends.jsonl.layout import Layout
from feedback_store.backends.jsonl.naming import FILTERS_NAME
from feedback_store.backends.jsonl.part import Part

WORTH_MONTHS = 4
"""Months that had to be opened before the file is written again."""

_MAGIC = b"FSFILTR2"
_ORDER_MARK = 0x01020304
_HEADER = struct.Struct("=8sIIIIII")
_MONTH = struct.Struct("=QQQ")
_ROWS_PER_LINE = 32
_LEAST_POWER = 12
_HASH_BITS = 64
_RACY_NS = 50_000_000
"""Two changes within the clock's tick share one time, so what is young may change unseen."""


class Table(NamedTuple):
    """The bits of all months.

    Attributes:
        power: there are two to this power of rows.
        width: the bytes of a row.
        blocks: the rows.
    """

    power: int
    width: int
    blocks: Blocks


class Filters:
    """What the file tells; nothing where it is not there, or not whole.

    Attributes:
        looks: what the file of each month looked like: inode number, size and time of change.
    """

    def __init__(
        self, looks: dict[str, tuple[int, int, int]] | None = None, table: Table | None = None
    ) -> None:
        self.looks = looks or {}
        self._bits = {name: number for number, name in enumerate(self.looks)}
        self._table = table

    def row(self, hashed: int) -> int:
        """Return the bits of the months that may have an id with that hash."""
        if self._table is None:
            return 0
        power, width, blocks = self._table
        both = -1
        for row in _rows_of(hashed, power):
            start = row * width
            try:
                blocks.prove(start, start + width)
            except BlockDamagedError:
                self.looks.clear()
                return 0
            both &= int.from_bytes(blocks.body[start : start + width], "little")
        return both

    def rules_out(self, name: str, status: FileStatus | None, row: int) -> bool:
        """Say whether a month whose file looks like this has no id that leads to the row."""
        looked = self.looks.get(name)
        if looked is None or status is None or looked != status[:3]:
            return False
        return not row >> self._bits[name] & 1


def _rows_of(hashed: int, power: int) -> tuple[int, int]:
    """Return the rows of a hash: its upper bits are the number of one, those below of the other."""
    rows = hashed >> (_HASH_BITS - 2 * power)
    return rows >> power, rows & (1 << power) - 1


def read_filters(disk: Disk, folder: str) -> Filters:
    """Return what the file in an index folder tells."""
    try:
        data = disk.open(os.path.join(folder, FILTERS_NAME)).map()
    except OSError:
        return Filters()
    return _parsed(data) or Filters()


def _parsed(data: memoryview) -> Filters | None:
    if len(data) < _HEADER.size:
        return None
    magic, mark, checked, count, names_bytes, power, width = _HEADER.unpack_from(data)
    if magic != _MAGIC or mark != _ORDER_MARK:
        return None
    start = _HEADER.size + _MONTH.size * count + names_bytes
    end = start + (width << power)
    if crc32(data[end:], crc32(data[16:start])) != checked:
        return None
    looks = _MONTH.iter_unpack(data[_HEADER.size : start - names_bytes])
    names = str(data[start - names_bytes : start], "ascii").split()
    table = Table(power, width, Blocks(data[start:end], data[end:]))
    return Filters(dict(zip(names, looks, strict=True)), table)


def keep_filters(layout: Layout, known: Filters, parts: Sequence[Part]) -> None:
    """Write the file anew, where that spares whoever comes next opening several months.

    Args:
        layout: where it is.
        known: what the file told when it was read.
        parts: all months.
    """
    settled: dict[str, tuple[Part, FileStatus]] = {}
    for part in parts:
        status = layout.disk.status(part.path)
        if status is not None and _is_settled(part, status):
            settled[part.name.name] = part, status
    new = [name for name, (_, status) in settled.items() if known.looks.get(name) != status[:3]]
    if len(new) >= WORTH_MONTHS:
        with contextlib.suppress(OSError):  # it spares time, and nothing else
            layout.replace(os.path.join(layout.index_path, FILTERS_NAME), _formatted(settled))


def _is_settled(part: Part, status: FileStatus) -> bool:
    """Say whether all that stands in the file is known, and it would be seen to change."""
    if part.distrusted or part.damage or status[:3] != part.file.status()[:3]:
        return False
    if part.name.plain and not part.known_end == part.index.end == status.size_bytes:
        return False
    return time.time_ns() - status.modified_ns > _RACY_NS


def _formatted(settled: dict[str, tuple[Part, FileStatus]]) -> bytes:
    largest = max(len(part.index) for part, _ in settled.values())
    power = max(_LEAST_POWER, (_ROWS_PER_LINE * largest - 1).bit_length())
    width = -(-len(settled) // 8)
    rows = bytearray(width << power)
    for number, (part, _) in enumerate(settled.values()):
        _enter(rows, part.records().hashes, power, width, number)
    months = b"".join(_MONTH.pack(*status[:3]) for _, status in settled.values())
    names = " ".join(settled).encode("ascii")
    counts = struct.pack("=IIII", len(settled), len(names), power, width)
    checksums = checksums_of(memoryview(rows))
    checked = crc32(checksums, crc32(counts + months + names))
    return b"".join(
        (_MAGIC, struct.pack("=II", _ORDER_MARK, checked), counts, months, names, rows, checksums)
    )


def _enter(rows: bytearray, hashes: Iterable[int], power: int, width: int, number: int) -> None:
    """Set the bit of a month in the rows of each of its hashes."""
    byte, bit = number // 8, 1 << number % 8
    for hashed in hashes:
        for row in _rows_of(hashed, power):
            rows[row * width + byte] |= bit
