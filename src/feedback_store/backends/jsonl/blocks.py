"""Bytes that are mapped from disk, and checked a block at a time when they are first looked at.

Opening a large file then reads next to nothing of it, and no flipped bit is believed.
"""

import errno
from array import array
from zlib import crc32

BLOCK_BYTES = 4096


class BlockDamagedError(OSError):
    """A block holds something else than what was written to it."""


class Blocks:
    """A body of bytes, with a CRC-32 of every 4 KiB of it.

    Attributes:
        body: the bytes.
        proven: for each block, whether it was checked.
    """

    __slots__ = ("_checksums", "body", "proven")

    def __init__(self, body: memoryview, checksums: memoryview) -> None:
        self.body = body
        self._checksums = checksums.cast("I")
        self.proven = bytearray(len(self._checksums))

    def prove(self, start: int, end: int) -> None:
        """Check the blocks of a stretch of the body, each once.

        Raises:
            BlockDamagedError: one of them is not as it was written.
        """
        for block in range(start // BLOCK_BYTES, (end - 1) // BLOCK_BYTES + 1):
            if not self.proven[block]:
                data = self.body[block * BLOCK_BYTES : (block + 1) * BLOCK_BYTES]
                if crc32(data) != self._checksums[block]:
                    raise BlockDamagedError(errno.EIO, "a block of the index is damaged")
                self.proven[block] = 1

    def prove_at(self, place: int) -> None:
        """Check the block of one byte, or of a number that begins there: none lies across two."""
        if not self.proven[place // BLOCK_BYTES]:
            self.prove(place, place + 1)


def checksums_of(body: memoryview) -> bytes:
    """Return the checksums of a body, as they are written behind it."""
    starts = range(0, len(body), BLOCK_BYTES)
    return array("I", [crc32(body[start : start + BLOCK_BYTES]) for start in starts]).tobytes()


def checksums_bytes(body_bytes: int) -> int:
    """Return how long the checksums of a body of that length are."""
    return 4 * -(-body_bytes // BLOCK_BYTES)
