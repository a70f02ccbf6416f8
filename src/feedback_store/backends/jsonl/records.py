"""What the index knows of each line: four numbers, in flat arrays.

A line is known by the 64-bit BLAKE2b hash of its id, its place, its length and its time. Arrays
hold a million lines in 28 MB, and are written to and mapped from disk as they are.
"""

import hashlib
from array import array
from typing import TypeAlias

NewLine: TypeAlias = tuple[int, int, int, int, int]
"""A line that was appended: hash, offset in the bytes written, stamp, length, and the length of the
line that it supersedes, 0 when there is none."""


def hash_of(id: str) -> int:
    """Return 64 bits of the id's BLAKE2b hash: the same in every process, unlike ``hash()``."""
    digest = hashlib.blake2b(id.encode(errors="surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "little")


class Records:
    """Lines in the order of the file.

    Attributes:
        hashes: the hash of each line's id.
        offsets: where the line begins, in bytes.
        stamps: the entry's time, in microseconds since 1970.
        lengths: the line's length in bytes, without its newline.
    """

    __slots__ = ("hashes", "lengths", "offsets", "stamps")

    def __init__(self) -> None:
        self.hashes = array("Q")
        self.offsets = array("Q")
        self.stamps = array("q")
        self.lengths = array("I")

    def __len__(self) -> int:
        """How many lines there are."""
        return len(self.hashes)

    def add(self, hashed: int, offset: int, stamp: int, length: int) -> None:
        """Add one line at the end."""
        self.hashes.append(hashed)
        self.offsets.append(offset)
        self.stamps.append(stamp)
        self.lengths.append(length)

    def extend(self, other: "Records") -> None:
        """Add the lines of another one at the end."""
        self.hashes.extend(other.hashes)
        self.offsets.extend(other.offsets)
        self.stamps.extend(other.stamps)
        self.lengths.extend(other.lengths)
