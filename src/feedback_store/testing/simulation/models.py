"""Models of filesystems: what a sync makes durable, and what a power cut may leave.

``"posix"`` is the strictest judge of a program: nothing is durable but what POSIX says that a sync
of the file (its bytes and size), or of the folder (its names), has made durable, and all else may
be kept or lost, each thing for itself. It is what a store should be built for.

``"ext4"`` is what most servers have: changes of names and rights go through a journal in their
order, a sync that has to write the journal writes all of it, and a file that takes the place of
another has the bytes first that it had by then (``data=ordered``, ``auto_da_alloc``). The latter is
what ext4 does unless told otherwise: a heuristic for programs that do not sync, no guarantee, and
least of all one for newer kernels.

``"ordered"`` keeps a prefix of all that was done, the last write of it torn; some journals, and a
SIGKILL, are like that. In each of them, what a failed sync has lost may be missing.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import combinations, product
from typing import NamedTuple, Protocol

import attrs

from feedback_store.testing.simulation.medium import (
    Change,
    DataChange,
    Inode,
    Medium,
    NameChange,
    Option,
    Options,
    Rights,
    RightsChange,
)
from feedback_store.testing.simulation.tearing import (
    Data,
    apply_all,
    remains,
    remains_in_blocks,
)

_FEW = 3
"""Lost changes of which each combination is tried."""


class _Sync(Protocol):
    def __call__(self, medium: Medium, inode: Inode, /, *, whole: bool) -> None: ...


class Model(NamedTuple):
    """A model of a filesystem.

    Attributes:
        sync: what a sync of a file makes durable, given the medium, the file, and whether all of
            the file was asked for (fsync) or what reading it needs (fdatasync).
        sync_folder: what a sync of a folder makes durable.
        options: what may have happened to what is pending.
    """

    sync: _Sync
    sync_folder: Callable[[Medium, str], None]
    options: Options


# ------------------------------------------------------------------------------------- posix


def _posix_sync(medium: Medium, inode: Inode, *, whole: bool) -> None:
    medium.settle(
        lambda change: (
            _is_data_of(change, inode)
            or (whole and isinstance(change, RightsChange) and change.inode is inode)
        )
    )


def _posix_sync_folder(medium: Medium, folder: str) -> None:
    medium.settle(lambda change: isinstance(change, NameChange) and change.folder == folder)


def _posix_options(medium: Medium, *, every_cut: bool) -> list[Sequence[Option]]:
    found: list[Sequence[Option]] = [
        [Option(), Option(change.what, names=(change,))]
        for change in medium.pending
        if isinstance(change, NameChange)
    ]
    rights: dict[Inode, list[RightsChange]] = {}
    for change in medium.pending:
        if isinstance(change, RightsChange):
            rights.setdefault(change.inode, []).append(change)
    found += [_rights(medium.rights[inode], changes) for inode, changes in rights.items()]
    for inode, written in _files(medium).items():
        data = [change.data for change in written]
        left = remains(medium.contents.get(inode, b""), data, every_cut=every_cut)
        found.append(_contents(written, left))
    return found


def _rights(before: Rights, changes: Sequence[RightsChange]) -> Sequence[Option]:
    """Return what a file may have: any mode, and any owner, that it had since its sync."""
    inode, last = changes[-1].inode, changes[-1]
    modes, owners = zip(before, *(change.rights for change in changes), strict=True)
    others = [
        Option(f"{last.what}: {rights}", rights={inode: rights})
        for rights in dict.fromkeys(product(modes, owners))
        if rights not in (before, last.rights)
    ]
    return [Option(), Option(last.what, rights={inode: last.rights}), *others]


# -------------------------------------------------------------------------------------- ext4


def _ext4_sync(medium: Medium, inode: Inode, *, whole: bool) -> None:
    """Write the bytes, and the journal where these, a cut, or the name of a new file need it.

    Another name for the file is no reason for that, nor are its rights, unless asked for.
    """
    concerned = any(
        _is_data_of(change, inode)
        or (isinstance(change, NameChange) and change.makes and inode in change.names.values())
        or (whole and isinstance(change, RightsChange) and change.inode is inode)
        for change in medium.pending
    )
    medium.settle(lambda change: _is_data_of(change, inode))
    if concerned:
        _commit(medium)


def _ext4_sync_folder(medium: Medium, folder: str) -> None:
    if any(isinstance(change, NameChange) and change.folder == folder for change in medium.pending):
        _commit(medium)


def _commit(medium: Medium) -> None:
    flushed = _flushed(medium.pending)
    medium.settle(lambda change: change in flushed or _is_journaled(change))


def _flushed(changes: Sequence[Change]) -> set[Change]:
    """Return the bytes that are written before files take the place of others.

    They are those that a file has by then: not what is written later, nor what a sync has lost.
    """
    flushed: set[Change] = set()
    for place, change in enumerate(changes):
        if isinstance(change, NameChange) and change.replaces:
            for inode in filter(None, change.names.values()):
                flushed.update(each for each in changes[:place] if _is_data_of(each, inode))
    return flushed


def _ext4_options(medium: Medium, *, every_cut: bool) -> list[Sequence[Option]]:  # noqa: ARG001  # it writes whole blocks
    pending = medium.pending
    journal = [change for change in pending if _is_journaled(change)]
    options: list[Option] = []
    for length in _prefixes(journal):
        kept = journal[:length]
        option = Option(
            f"the first {length} of {len(journal)} changes in the journal" if length else "",
            names=tuple(change for change in kept if isinstance(change, NameChange)),
            rights={c.inode: c.rights for c in kept if isinstance(c, RightsChange)},
        )
        end = pending.index(kept[-1]) + 1 if kept else 0
        options += _with_flushed(option, medium, _flushed(pending[:end]))
    return [*_in_blocks(medium).values(), options]  # the journal last: what it has flushed counts


def _with_flushed(option: Option, medium: Medium, flushed: set[Change]) -> Iterator[Option]:
    """Yield an option of the journal, with what may be left of the files that it has flushed."""
    if not flushed:
        yield option
        return
    after = Medium()
    after.contents, after.pending = dict(medium.contents), list(medium.pending)
    after.settle(flushed.__contains__)
    inodes = {change.inode for change in flushed if isinstance(change, DataChange)}
    later = [left for inode, left in _in_blocks(after).items() if inode in inodes]
    for chosen in product(*([whole, none, *others] for none, whole, *others in later)):
        contents = {inode: after.contents[inode] for inode in inodes}
        for each in chosen:
            contents.update(each.contents)
        words = [option.what, *(each.what for each in chosen if each.what)]
        yield attrs.evolve(option, what=", ".join(words), contents=contents)


def _in_blocks(medium: Medium) -> dict[Inode, Sequence[Option]]:
    """Return what may be left of each file, with what a sync has lost and without it."""
    found: dict[Inode, Sequence[Option]] = {}
    for inode, changes in _files(medium).items():
        before = medium.contents.get(inode, b"")
        left = list(remains_in_blocks(before, [change.data for change in changes]))
        safe = [change.data for change in changes if not change.lost]
        if len(safe) < len(changes):
            left += remains_in_blocks(before, safe)
        found[inode] = _contents(changes, left)
    return found


# ----------------------------------------------------------------------------------- ordered


def _ordered_sync(medium: Medium, inode: Inode, *, whole: bool) -> None:  # noqa: ARG001  # as the others
    medium.settle(_is_safe)


def _ordered_sync_folder(medium: Medium, folder: str) -> None:  # noqa: ARG001  # as the others
    medium.settle(_is_safe)


def _ordered_options(medium: Medium, *, every_cut: bool) -> list[Sequence[Option]]:
    options: list[Option] = []
    lost = [change for change in medium.pending if not _is_safe(change)]
    for count in range(len(lost) + 1) if len(lost) <= _FEW else (0, len(lost)):
        for missing in combinations(lost, count):
            pending = [change for change in medium.pending if change not in missing]
            options += _ordered(medium, pending, every_cut=every_cut)
    return [options]


def _ordered(medium: Medium, pending: Sequence[Change], *, every_cut: bool) -> Iterator[Option]:
    for length in _prefixes(pending):
        words = f"the first {length} of {len(pending)} changes" if length else ""
        kept = pending[:length]
        yield _prefix(medium, kept, words)
        last = kept[-1] if kept else None
        if isinstance(last, DataChange) and last.data.data:
            for way, torn in remains(b"", [Data(0, last.data.data)], every_cut=every_cut):
                if torn and len(torn) < len(last.data.data):
                    change = DataChange(last.inode, Data(last.data.offset, torn), last.what)
                    yield _prefix(medium, [*kept[:-1], change], f"{words}, {way}")


def _prefix(medium: Medium, kept: Sequence[Change], words: str) -> Option:
    data: dict[Inode, list[Data]] = {}
    for change in kept:
        if isinstance(change, DataChange):
            data.setdefault(change.inode, []).append(change.data)
    return Option(
        words,
        names=tuple(change for change in kept if isinstance(change, NameChange)),
        contents={i: apply_all(medium.contents.get(i, b""), ds) for i, ds in data.items()},
        rights={c.inode: c.rights for c in kept if isinstance(c, RightsChange)},
    )


# ------------------------------------------------------------------------------------ common


def _is_safe(change: Change) -> bool:
    return not (isinstance(change, DataChange) and change.lost)


def _is_data_of(change: Change, inode: Inode) -> bool:
    return isinstance(change, DataChange) and change.inode is inode and not change.lost


def _is_journaled(change: Change) -> bool:
    return not isinstance(change, DataChange)


def _prefixes(changes: Sequence[Change]) -> list[int]:
    """Return how many of the changes may be kept: none, all, or some, but no half of a rename."""
    halves = {n for n, c in enumerate(changes, 1) if isinstance(c, NameChange) and c.halved}
    return list(dict.fromkeys([0, len(changes), *sorted({*range(len(changes))} - halves)]))


def _files(medium: Medium) -> dict[Inode, list[DataChange]]:
    """Return the files with pending bytes, and these."""
    files: dict[Inode, list[DataChange]] = {}
    for change in medium.pending:
        if isinstance(change, DataChange):
            files.setdefault(change.inode, []).append(change)
    return files


def _contents(changes: Sequence[DataChange], left: Iterable[tuple[str, bytes]]) -> Sequence[Option]:
    """Return what may be left of a file as options: first nothing and all, then the rest, once."""
    inode, what = changes[0].inode, changes[0].what
    (_, none), (words, whole), *others = left
    rest: dict[bytes, str] = {}
    for way, content in others:
        rest.setdefault(content, way)
    return [
        Option(contents={inode: none}),
        Option(f"{what}: {words}", contents={inode: whole}),
        *(
            Option(f"{what}: {way}", contents={inode: content})
            for content, way in rest.items()
            if content not in (none, whole)
        ),
    ]


MODELS = {
    "posix": Model(_posix_sync, _posix_sync_folder, _posix_options),
    "ext4": Model(_ext4_sync, _ext4_sync_folder, _ext4_options),
    "ordered": Model(_ordered_sync, _ordered_sync_folder, _ordered_options),
}
"""The models, by name."""
