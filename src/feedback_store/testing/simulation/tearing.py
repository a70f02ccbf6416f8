"""What may be left of bytes that were written and not synced.

A file is changed by writes and cuts. Each may be kept or lost; where a write is kept and one before
it is not, zeros stand in its place. Of a write that is the last one kept, only the first bytes may
be there, or its length with zeros in place of its last bytes, its first ones, or all of them: size
and data of a file reach the medium apart from each other (ALICE, section 2).
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


def apply_all(before: bytes, changes: Sequence[Data]) -> bytes:
    """Return the bytes after the changes; zeros stand where nothing was written."""
    content = before
    for change in changes:
        start = content[: change.offset].ljust(change.offset, b"\0")
        after = b"" if change.data is None else change.data + content[change.end :]
        content = start + after
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
    yield "", before
    yield "all of it", apply_all(before, changes)
    for kept in _subsets(len(changes)):
        some = [changes[i] for i in kept]
        words = f"changes {', '.join(str(i + 1) for i in kept)} of {len(changes)}"
        if len(kept) < len(changes):
            yield words, apply_all(before, some)
        if some[-1].data:
            yield from _torn(words, before, some, every_cut=every_cut)


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
    *earlier, last = changes
    data = last.data or b""
    size = len(data)
    yield (
        f"{words}, zeros for the last",
        apply_all(before, [*earlier, Data(last.offset, bytes(size))]),
    )
    for cut in range(1, size) if every_cut else _telling_cuts(data, last.offset):
        ways = {
            f"{cut} bytes of the last": data[:cut],
            f"zeros after {cut} bytes of the last": data[:cut].ljust(size, b"\0"),
            f"zeros for the first {cut} bytes of the last": data[cut:].rjust(size, b"\0"),
        }
        for way, torn in ways.items():
            yield f"{words}, {way}", apply_all(before, [*earlier, Data(last.offset, torn)])


def _telling_cuts(data: bytes, offset: int) -> list[int]:
    """Return some places to cut: the ends, the middle, around newlines and at blocks."""
    size = len(data)
    cuts = {1, size // 2, size - 1}
    newline = data.find(b"\n")
    cuts |= {newline, newline + 1}
    cuts |= set(range(BLOCK_BYTES - offset % BLOCK_BYTES, size, BLOCK_BYTES))
    return sorted(cut for cut in cuts if 0 < cut < size)


def remains_in_blocks(before: bytes, changes: Sequence[Data]) -> Iterator[tuple[str, bytes]]:
    """Yield what a filesystem may leave that writes the blocks of a file in order.

    The file ends at a block, or has its full size and zeros from a block on: an append within a
    block sets the size at once, and the block follows.
    """
    yield "", before
    whole = apply_all(before, changes)
    yield "all of it", whole
    start = min(change.offset for change in changes)
    if len(whole) <= start:
        return
    yield "its size with zeros", whole[:start].ljust(len(whole), b"\0")
    for cut in range(start - start % BLOCK_BYTES + BLOCK_BYTES, len(whole), BLOCK_BYTES):
        yield f"the blocks before byte {cut}", whole[:cut]
        yield f"its size with zeros from byte {cut}", whole[:cut].ljust(len(whole), b"\0")
