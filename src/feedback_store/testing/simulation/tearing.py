"""What may be left of bytes that were written and not synced.

A file is changed by writes and cuts. Each may be kept or lost; where a write is kept and one before
it is not, zeros stand in its place. Of a write that is the last one kept, only the first bytes may
be there, or its length with zeros in place of its last bytes, its first ones, or all of them: size
and data of a file reach the medium apart from each other (ALICE, section 2). An earlier write may
have zeros in it as well, at cuts that tell much, with those after it whole or all zeros.
"""

from collections.abc import Iterator, Sequence
from itertools import combinations
from typing import NamedTuple

BLOCK_BYTES = 4096
"""What a filesystem writes as one."""

_FEW = 4


class Data(NamedTuple):
    """A change of a file's bytes.

    Attributes:
        offset: where the bytes were written, or how long the file is after a cut.
        data: the bytes, None for a cut.
    """

    offset: int
    data: bytes | None

    @property
    def end(self) -> int:
        """The size that the file needs for it."""
        return self.offset + len(self.data or b"")

    def head(self, size: int, *, zeros: bool) -> "Data":
        """Return what it is where only the first bytes of the file were written.

        Args:
            size: how many of the file's bytes were.
            zeros: whether its length is there all the same, with zeros at its end.
        """
        if self.data is None or self.end <= size:
            return self
        head = self.data[: max(size - self.offset, 0)]
        return Data(self.offset, head.ljust(len(self.data), b"\0") if zeros else head)

    def under(self, later: "Data") -> "list[Data]":
        """Return what of it a later change leaves: the bytes that it neither replaces nor cuts."""
        if self.data is None or self.end <= later.offset:
            return [self]
        parts = [Data(self.offset, self.data[: max(later.offset - self.offset, 0)])]
        if later.data is not None:
            start = max(later.end, self.offset)
            parts.append(Data(start, self.data[start - self.offset :]))
        return [part for part in parts if part.data]


def apply_all(before: bytes, changes: Sequence[Data]) -> bytes:
    """Return the bytes after the changes; zeros stand where nothing was written."""
    content = before
    for offset, data in changes:
        start = content[:offset].ljust(offset, b"\0")
        content = start if data is None else start + data + content[offset + len(data) :]
    return content


def remains(
    before: bytes, changes: Sequence[Data], *, every_cut: bool
) -> Iterator[tuple[str, bytes]]:
    """Yield what may be left, each with words for it: first nothing of it, then all of it.

    Args:
        before: the bytes that are durable.
        changes: what came since, in order.
        every_cut: whether the last write is torn at every byte, or at some that tell much.
    """
    count = len(changes)
    yield "", before
    yield "all of it", apply_all(before, changes)
    for kept in _subsets(count):
        some = [changes[i] for i in kept]
        words = f"changes {', '.join(str(i + 1) for i in kept)} of {count}"
        if len(kept) < count:
            yield words, apply_all(before, some)
        if some[-1].data:
            yield from _torn(words, before, some, every_cut=every_cut)
        if count <= _FEW or len(kept) == count:  # else there are too many
            yield from _torn_within(words, before, some)


def _subsets(count: int) -> Iterator[Sequence[int]]:
    """Yield the sets of changes to look at: all when they are few, else those that miss one end."""
    if count <= _FEW:
        for size in range(count, 0, -1):
            yield from combinations(range(count), size)
        return
    for size in range(count, 0, -1):
        yield range(size)
    for first in range(1, count):
        yield range(first, count)


def _torn(
    words: str, before: bytes, changes: Sequence[Data], *, every_cut: bool
) -> Iterator[tuple[str, bytes]]:
    """Tear the last of the changes, in each of the ways."""
    offset, data = changes[-1].offset, changes[-1].data or b""
    size = len(data)
    base = apply_all(before, changes[:-1])
    start = base[:offset].ljust(offset, b"\0")
    behind = base[offset:]
    yield f"{words}, zeros for the last", start + bytes(size) + behind[size:]
    for cut in range(1, size) if every_cut else _telling_cuts(data, offset):
        yield f"{words}, {cut} bytes of the last", start + data[:cut] + behind[cut:]
        for what, torn in _with_zeros(data, cut):
            yield f"{words}, {what} of the last", start + torn + behind[size:]


def _torn_within(words: str, before: bytes, changes: Sequence[Data]) -> Iterator[tuple[str, bytes]]:
    """Tear a change that is not the last one: bytes of it are missing, or of those after it too."""
    for place, (offset, data) in enumerate(changes[:-1]):
        if not data:
            continue
        base, later = apply_all(before, changes[:place]), changes[place + 1 :]
        for cut in _telling_cuts(data, offset):
            for what, torn in _with_zeros(data, cut):
                yield (
                    f"{words}, {what} of number {place + 1} of them",
                    apply_all(base, [Data(offset, torn), *later]),
                )
            heads = [change.head(offset + cut, zeros=True) for change in changes[place:]]
            yield f"{words}, zeros from byte {offset + cut}", apply_all(base, heads)


def _with_zeros(data: bytes, cut: int) -> Iterator[tuple[str, bytes]]:
    yield f"zeros after {cut} bytes", data[:cut].ljust(len(data), b"\0")
    yield f"zeros for the first {cut} bytes", data[cut:].rjust(len(data), b"\0")


def _telling_cuts(data: bytes, offset: int) -> list[int]:
    """Return some places to cut: the ends, the middle, around newlines and at blocks."""
    size = len(data)
    cuts = {1, size // 2, size - 1}
    newline = data.find(b"\n")
    cuts |= {newline, newline + 1}
    cuts |= {block - offset for block in _blocks(Data(offset, data))}
    return sorted(cut for cut in cuts if 0 < cut < size)


def remains_in_blocks(before: bytes, changes: Sequence[Data]) -> Iterator[tuple[str, bytes]]:
    """Yield what a filesystem may leave that writes a file in the order of its changes, in blocks.

    The file ends after one of the changes, or at a block, or has its full size and zeros from one
    of these on: an append within a block sets the size at once, and the block follows.
    """
    yield "", before
    yield "all of it", apply_all(before, changes)
    for count in range(len(changes), 0, -1):
        some = changes[:count]
        words = f"the first {count} of {len(changes)} changes"
        if count < len(changes):
            yield words, apply_all(before, some)
        torn = [c for c in (some if count == len(changes) else some[-1:]) if c.data]
        for size in sorted({change.offset for change in torn}):
            heads = [change.head(size, zeros=True) for change in some]
            yield f"{words}, with zeros from byte {size}", apply_all(before, heads)
        for size in sorted({size for change in torn for size in _blocks(change)}):
            for zeros, way in ((False, "the blocks before"), (True, "zeros from")):
                heads = [change.head(size, zeros=zeros) for change in some]
                kept = [head for head in heads if head.data != b""]
                yield f"{words}, {way} byte {size}", apply_all(before, kept)


def _blocks(change: Data) -> range:
    """Return where blocks begin within a write."""
    return range(change.offset - change.offset % BLOCK_BYTES + BLOCK_BYTES, change.end, BLOCK_BYTES)
