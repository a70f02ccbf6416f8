"""What a power cut may leave of files that are written in place, as those of a database are.

The models of the simulation are for files that grow at their end. What they say of syncs, of names
and of their order holds here as well. But where a write that is lost has replaced bytes, the older
ones are there again, and the disk may take the parts of a file in any order. So:

``"posix"``: each write and each cut is kept or lost for itself, a write may be torn at any byte,
and each sector may be as it was at another time since the sync. ``"ext4"``: the same of blocks, but
what was written to one of them is there in its order. ``"ordered"`` is as it was, a prefix of all
that was done. A cut is not torn: neither do databases expect that, nor filesystems do it.
"""

import itertools
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial

from feedback_store.testing.simulation.medium import DataChange, Inode, Medium, Option, Options
from feedback_store.testing.simulation.models import MODELS
from feedback_store.testing.simulation.tearing import BLOCK_BYTES, Data, apply_all

SECTOR_BYTES = 512
"""What a disk writes as one."""

_MIXTURES = 60
_TIMES = 3
_RAGGED = 3

Way = tuple[str, Callable[[], bytes]]
"""Something that may be left of a file: words for it, and what makes it."""


def in_place(model: str) -> Options:
    """Return what may have happened to what is pending, where files are written in place."""
    plain = MODELS[model].options
    ways = {"posix": _by_sectors, "ext4": _by_blocks}.get(model)
    if ways is None:
        return plain

    def options(medium: Medium, /, *, every_cut: bool) -> list[Sequence[Option]]:
        files: dict[Inode, list[DataChange]] = {}
        others = Medium()
        others.names, others.rights = medium.names, medium.rights
        for change in medium.pending:
            if isinstance(change, DataChange):
                files.setdefault(change.inode, []).append(change)
            else:
                others.pending.append(change)
        found = [
            _options(inode, changes[0].what, ways(medium.contents.get(inode, b""), data))
            for inode, changes in files.items()
            for data in [[change.data for change in changes]]
        ]
        return [*found, *plain(others, every_cut=every_cut)]

    return options


class _Later(Mapping[Inode, bytes]):
    """The bytes of one file, put together when they are asked for: most never are."""

    def __init__(self, inode: Inode, make: Callable[[], bytes]) -> None:
        self._inode = inode
        self._make = make

    def __getitem__(self, inode: Inode) -> bytes:
        if inode is not self._inode:
            raise KeyError(inode)
        return self._make()

    def __iter__(self) -> Iterator[Inode]:
        yield self._inode

    def __len__(self) -> int:
        return 1


def _options(inode: Inode, what: str, ways: Iterator[Way]) -> Sequence[Option]:
    """Return the ways as options; the first of them, that nothing was kept, needs no words."""
    (_, nothing), *others = ways
    told = [Option(f"{what}: {words}", contents=_Later(inode, make)) for words, make in others]
    return [Option(contents=_Later(inode, nothing)), *told]


def _by_blocks(before: bytes, changes: Sequence[Data]) -> Iterator[Way]:
    """Yield what may be left where blocks are written: first nothing, then all."""
    yield from _beginnings(before, changes)
    yield from _mixtures(before, changes, (BLOCK_BYTES,), ragged=0)


def _by_sectors(before: bytes, changes: Sequence[Data]) -> Iterator[Way]:
    """Yield what may be left where sectors, or parts of them, are: first nothing, then all."""
    yield from _beginnings(before, changes)
    count = len(changes)
    for place, change in enumerate(changes):
        words = f"{place + 1} of {count} changes"
        rest = [*changes[:place], *changes[place + 1 :]]
        yield f"all but number {words}", partial(apply_all, before, rest)
        yield f"only number {words}", partial(apply_all, before, [change])
        for torn, way in _torn(change):
            some = [*changes[:place], torn]
            yield f"the first {words}, of the last {way}", partial(apply_all, before, some)
    yield from _mixtures(before, changes, (SECTOR_BYTES, BLOCK_BYTES), ragged=_RAGGED)


def _beginnings(before: bytes, changes: Sequence[Data]) -> Iterator[Way]:
    count = len(changes)
    for size in (0, count, *range(1, count)):
        yield f"the first {size} of {count} changes", partial(apply_all, before, changes[:size])


def _torn(change: Data) -> Iterator[tuple[Data, str]]:
    """Yield the first bytes of a write: at its ends, in its middle, up to a sector."""
    data = change.data or b""
    size = len(data)
    to_sector = SECTOR_BYTES - change.offset % SECTOR_BYTES
    for cut in sorted({1, size // 2, to_sector, size - 1}):
        if 0 < cut < size:
            yield Data(change.offset, data[:cut]), f"{cut} bytes"


def _mixtures(
    before: bytes, changes: Sequence[Data], grains: Sequence[int], *, ragged: int
) -> Iterator[Way]:
    """Yield files of which each part is as it was after some of the changes, by chance.

    Args:
        before: the bytes that are durable.
        changes: what came since.
        grains: the sizes that parts may have.
        ragged: how many parts may be torn anywhere.
    """
    for number in range(_MIXTURES):
        grain, torn = grains[number % len(grains)], number % (ragged + 1)
        make = partial(_mixture, before, changes, grain, torn, number)
        yield f"parts of {grain} bytes from several times ({number})", make


def _mixture(before: bytes, changes: Sequence[Data], grain: int, torn: int, number: int) -> bytes:
    rng = random.Random(f"{number} {len(before)} {len(changes)} {changes[-1].offset}")
    counts = rng.choice(_between_cuts(changes))
    times = [apply_all(before, changes[:n]) for n in rng.sample(counts, min(_TIMES, len(counts)))]
    weights = [rng.random() for _ in times]  # so that few parts, or nearly all, may be the old ones
    size = len(rng.choice(times))
    edges = {*range(grain, size, grain), *(rng.randint(1, size) for _ in range(torn) if size), size}
    content = bytearray()
    for end in sorted(edges):
        (time,) = rng.choices(times, weights)
        content += time[len(content) : end].ljust(end - len(content), b"\0")
    return bytes(content)


def _between_cuts(changes: Sequence[Data]) -> list[range]:
    """Return how many changes there may have been: numbers that no cut comes between.

    A cut is one step for all parts of a file: none of them is gone while one behind it is there.
    """
    cuts = [place + 1 for place, change in enumerate(changes) if change.data is None]
    return [range(*ends) for ends in itertools.pairwise([0, *cuts, len(changes) + 1])]
