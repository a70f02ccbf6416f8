"""What the index knows of each line: six numbers, in flat arrays.

A line is known by the 64-bit BLAKE2b hash of its id, its place, its length and its time, and by
what questions ask of it. Arrays hold a million lines in 36 MB, and are written to and mapped from
disk as they are.
"""

import hashlib
from array import array
from typing import NamedTuple


class Line(NamedTuple):
    """A line that is about to enter the index.

    Attributes:
        hashed: the hash of its id.
        offset: where it begins, in bytes.
        stamp: its entry's time, in microseconds since 1970.
        length: its length in bytes, without its newline.
        superseded_bytes: the length of the line that it supersedes, 0 when there is none.
        trait: the number of its entry's `Traits`.
        response: its entry's response time, in microseconds; `NO_RESPONSE` where there is none.
    """

    hashed: int
    offset: int
    stamp: int
    length: int
    superseded_bytes: int
    trait: int
    response: int


def hash_of(id: str) -> int:
    """Return 64 bits of the id's BLAKE2b hash: the same in every process, unlike ``hash()``."""
    digest = hashlib.blake2b(id.encode(errors="surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "little")


class Records:
    """Lines in the order of the file; the attributes of `Line`, each in an array.

    Attributes:
        hashes: the hash of each line's id.
        offsets: where the line begins, in bytes.
        stamps: the entry's time, in microseconds since 1970.
        lengths: the line's length in bytes, without its newline.
        traits: the number of the entry's traits.
        responses: the entry's response time.
    """

    __slots__ = ("hashes", "lengths", "offsets", "responses", "stamps", "traits")

    def __init__(self) -> None:
        self.hashes = array("Q")
        self.offsets = array("Q")
        self.stamps = array("q")
        self.lengths = array("I")
        self.traits = array("I")
        self.responses = array("I")

    def __len__(self) -> int:
        """How many lines there are."""
        return len(self.hashes)

    def add(self, line: Line, shift: int = 0) -> None:
        """Add one line at the end, so many bytes further on."""
        self.hashes.append(line.hashed)
        self.offsets.append(line.offset + shift)
        self.stamps.append(line.stamp)
        self.lengths.append(line.length)
        self.traits.append(line.trait)
        self.responses.append(line.response)

    def extend(self, other: "Records", first: int = 0) -> None:
        """Add the lines of another one at the end, but for its first ones."""
        for name in self.__slots__:
            getattr(self, name).extend(getattr(other, name)[first:])

    def line(self, i: int) -> Line:
        """Return one line, as one that supersedes nothing."""
        return Line(
            self.hashes[i],
            self.offsets[i],
            self.stamps[i],
            self.lengths[i],
            0,
            self.traits[i],
            self.responses[i],
        )
