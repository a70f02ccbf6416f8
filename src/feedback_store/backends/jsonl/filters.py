"""Which months an id is certainly not in: one file that spares a new process opening them.

To open a month is cheap, to open the months of three years for one entry is not. For each month
this file holds what its file looked like when all of its lines were known (inode number, size, time
of change), and 32 to 64 bits for each line, of which that of its id is set: a Bloom filter with one
hash function (Bloom, 1970). While the file looks the same, an id whose bit is not set is not in
it; where the bit is set, or the file looks otherwise, or anything here is not as it was written,
the month is opened and asked itself. So the file may be missing, old or damaged, and never hides
an entry.

Layout, in the machine's own byte order: a header of 32 bytes, a directory in JSON that begins and
ends at a multiple of 8 bytes, the filters, and the checksums of those. Nobody changes it: it is
written anew by a writer that closes its store after it had to open several months.
"""

import contextlib
import json
import os
import struct
import time
from collections.abc import Iterable
from typing import NamedTuple
from zlib import crc32

from feedback_store.backends.jsonl.blocks import (
    BlockDamagedError,
    Blocks,
    checksums_of,
)
from feedback_store.backends.jsonl.disk import Disk, FileStatus
from feedback_store.backends.jsonl.layout import Layout
from feedback_store.backends.jsonl.naming import FILTERS_NAME
from feedback_store.backends.jsonl.part import Part

WORTH_MONTHS = 4
"""Months that had to be opened before the file is written again."""

_MAGIC = b"FSFILTR1"
_ORDER_MARK = 0x01020304
_HEADER = struct.Struct("=8sIIQQ")
_ALIGNMENT = 8
_BITS_PER_LINE = 32
_LEAST_POWER = 15  # of two: the bits of one block, so that every filter begins at a block
_HASH_BITS = 64
_RACY_NS = 50_000_000
"""Two changes within the clock's tick share one time, so what is young may change unseen."""


class Section(NamedTuple):
    """The filter of one month.

    Attributes:
        name: the name of its file.
        inode: see `FileStatus`; the file is believed to be the same while these three are.
        size_bytes: see `FileStatus`.
        modified_ns: see `FileStatus`.
        power: it has two to this power of bits.
        start: where it begins in the body, in bytes.
    """

    name: str
    inode: int
    size_bytes: int
    modified_ns: int
    power: int
    start: int

    def is_of(self, status: FileStatus | None) -> bool:
        """Say whether a file looks as it did."""
        return status is not None and status[:3] == self[1:4]


class Filters:
    """What the file tells; nothing where it is not there, or not whole."""

    def __init__(self, sections: Iterable[Section] = (), blocks: Blocks | None = None) -> None:
        self.sections = {section.name: section for section in sections}
        self._blocks = blocks

    def rules_out(self, name: str, status: FileStatus | None, hashed: int) -> bool:
        """Say whether no line of a file that looks like this has an id with that hash."""
        section = self.sections.get(name)
        if section is None or self._blocks is None or not section.is_of(status):
            return False
        bit = hashed >> (_HASH_BITS - section.power)
        place = section.start + bit // 8
        try:
            self._blocks.prove_at(place)
        except BlockDamagedError:
            self.sections.clear()
            return False
        return not self._blocks.body[place] >> bit % 8 & 1

    def bits(self, name: str) -> bytes | None:
        """Return the bits of a month, None where they are damaged."""
        section = self.sections[name]
        end = section.start + (1 << section.power) // 8
        assert self._blocks is not None, "there are sections"
        try:
            self._blocks.prove(section.start, end)
        except BlockDamagedError:
            return None
        return bytes(self._blocks.body[section.start : end])


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
    magic, mark, checked, directory_bytes, body_bytes = _HEADER.unpack_from(data)
    if magic != _MAGIC or mark != _ORDER_MARK:
        return None
    start = _HEADER.size + directory_bytes
    directory = data[_HEADER.size : start]
    body, checksums = data[start : start + body_bytes], data[start + body_bytes :]
    if crc32(checksums, crc32(directory)) != checked:
        return None
    sections = [Section(*told) for told in json.loads(bytes(directory))]
    return Filters(sections, Blocks(body, checksums))


def keep_filters(layout: Layout, known: Filters, parts: Iterable[Part]) -> None:
    """Write the file anew, where that spares whoever comes next opening several months.

    Args:
        layout: where it is.
        known: what the file told when it was read.
        parts: the months that were opened since.
    """
    made: dict[str, tuple[FileStatus, bytes]] = {}
    for part in parts:
        status = layout.disk.status(part.path)
        section = known.sections.get(part.name.name)
        if (section is None or not section.is_of(status)) and _is_settled(part, status):
            assert status is not None, "it is settled"
            made[part.name.name] = status, _bits_of(part)
    if len(made) < WORTH_MONTHS:
        return
    for section in list(known.sections.values()):
        status = layout.disk.status(os.path.join(layout.path, section.name))
        if section.name in made or status is None or not section.is_of(status):
            continue
        if (bits := known.bits(section.name)) is not None:
            made[section.name] = status, bits
    with contextlib.suppress(OSError):  # it spares time, and nothing else
        layout.replace(os.path.join(layout.index_path, FILTERS_NAME), _formatted(made))


def _is_settled(part: Part, status: FileStatus | None) -> bool:
    """Say whether all that stands in the file is known, and it would be seen to change."""
    if status is None or part.distrusted or part.damage or status[:3] != part.file.status()[:3]:
        return False
    if part.name.plain and not part.known_end == part.index.end == status.size_bytes:
        return False
    return time.time_ns() - status.modified_ns > _RACY_NS


def _bits_of(part: Part) -> bytes:
    power = max(_LEAST_POWER, (_BITS_PER_LINE * len(part.index) - 1).bit_length())
    bits, shift = bytearray((1 << power) // 8), _HASH_BITS - power
    for hashed in part.records().hashes:
        bit = hashed >> shift
        bits[bit >> 3] |= 1 << (bit & 7)
    return bytes(bits)


def _formatted(made: dict[str, tuple[FileStatus, bytes]]) -> bytes:
    sections: list[Section] = []
    start = 0
    for name, (status, bits) in sorted(made.items()):
        power = (8 * len(bits)).bit_length() - 1
        sections.append(Section(name, *status[:3], power, start))
        start += len(bits)
    directory = json.dumps(sections).encode()
    directory += b" " * (-len(directory) % _ALIGNMENT)
    body = b"".join(made[section.name][1] for section in sections)
    checksums = checksums_of(memoryview(body))
    checked = crc32(checksums, crc32(directory))
    header = _HEADER.pack(_MAGIC, _ORDER_MARK, checked, len(directory), len(body))
    return b"".join((header, directory, body, checksums))
