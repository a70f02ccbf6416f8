"""Models of filesystems: what a sync makes durable, and what a power cut may leave.

``"posix"`` is the strictest judge of a program: nothing is durable but what POSIX says that a sync
of the file (its bytes and size), or of the folder (its names), has made durable, and all else may
be kept or lost, each thing for itself. ``"ext4"`` is what most servers have: changes of names and
sizes go through a journal in their order, any sync takes all before it along, and a file that takes
the place of another has its data first (``data=ordered``, ``auto_da_alloc``). ``"ordered"`` keeps a
prefix of all that was done, the last write of it torn; some journals, and a SIGKILL, are like that.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

from feedback_store.testing.simulation.medium import (
    Change,
    DataChange,
    Inode,
    Medium,
    NameChange,
    Option,
    Options,
    RightsChange,
)
from feedback_store.testing.simulation.tearing import (
    Data,
    apply_all,
    remains,
    remains_in_blocks,
)


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
    last = {c.inode: c for c in medium.pending if isinstance(c, RightsChange)}
    for inode, change in last.items():
        found.append([Option(), Option(change.what, rights={inode: change.rights})])
    for inode, what, before, changes in _files(medium):
        left = remains(before, changes, every_cut=every_cut)
        found.append([_content(inode, what, words, content) for words, content in left])
    return found


# -------------------------------------------------------------------------------------- ext4


def _ext4_sync(medium: Medium, inode: Inode, *, whole: bool) -> None:  # noqa: ARG001  # as the others
    concerned = any(
        inode in change.names.values() if isinstance(change, NameChange) else change.inode is inode
        for change in medium.pending
    )
    medium.settle(lambda change: _is_data_of(change, inode))
    if concerned:  # the size, at least: all of the journal is committed
        _commit(medium)


def _ext4_sync_folder(medium: Medium, folder: str) -> None:
    if any(isinstance(change, NameChange) and change.folder == folder for change in medium.pending):
        _commit(medium)


def _commit(medium: Medium) -> None:
    _flush_replacements(medium)
    medium.settle(_is_journaled)


def _flush_replacements(medium: Medium) -> None:
    replacing = _replacing(medium.pending)
    medium.settle(lambda change: any(_is_data_of(change, inode) for inode in replacing))


def _replacing(changes: Sequence[Change]) -> list[Inode]:
    """Return the files that take the place of another in one of the changes."""
    renames = [c for c in changes if isinstance(c, NameChange) and c.replaced]
    return [inode for change in renames for inode in change.names.values() if inode is not None]


def _ext4_options(medium: Medium, *, every_cut: bool) -> list[Sequence[Option]]:  # noqa: ARG001  # it writes whole blocks
    journal = [change for change in medium.pending if _is_journaled(change)]
    files = _files(medium)
    whole = {inode: apply_all(before, changes) for inode, _, before, changes in files}
    prefixes = [0, len(journal), *range(1, len(journal))] if journal else [0]
    options = []
    for length in prefixes:
        kept = journal[:length]
        flushed = [inode for inode in _replacing(kept) if inode in whole]
        options.append(
            Option(
                f"the first {length} of {len(journal)} changes in the journal" if length else "",
                names=tuple(change for change in kept if isinstance(change, NameChange)),
                contents={inode: whole[inode] for inode in flushed},
                rights={c.inode: c.rights for c in kept if isinstance(c, RightsChange)},
            )
        )
    found: list[Sequence[Option]] = [
        [_content(i, what, words, content) for words, content in remains_in_blocks(before, changes)]
        for i, what, before, changes in files
    ]
    return [*found, options]  # the journal last: what it has flushed counts


# ----------------------------------------------------------------------------------- ordered


def _ordered_sync(medium: Medium, inode: Inode, *, whole: bool) -> None:  # noqa: ARG001  # as the others
    medium.settle(lambda change: not (isinstance(change, DataChange) and change.lost))


def _ordered_sync_folder(medium: Medium, folder: str) -> None:  # noqa: ARG001  # as the others
    medium.settle(lambda change: not (isinstance(change, DataChange) and change.lost))


def _ordered_options(medium: Medium, *, every_cut: bool) -> list[Sequence[Option]]:
    pending = medium.pending
    options: list[Option] = []
    for length in [0, len(pending), *range(1, len(pending))] if pending else [0]:
        words = f"the first {length} of {len(pending)} changes" if length else ""
        kept = pending[:length]
        options.append(_prefix(medium, kept, words))
        last = kept[-1] if kept else None
        if isinstance(last, DataChange) and last.data.data:
            for way, torn in remains(b"", [Data(0, last.data.data)], every_cut=every_cut):
                if torn and len(torn) < len(last.data.data):
                    change = DataChange(last.inode, Data(last.data.offset, torn), last.what)
                    options.append(_prefix(medium, [*kept[:-1], change], f"{words}, {way}"))
    return [options]


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


def _is_data_of(change: Change, inode: Inode) -> bool:
    return isinstance(change, DataChange) and change.inode is inode and not change.lost


def _is_journaled(change: Change) -> bool:
    return not isinstance(change, DataChange)


def _files(medium: Medium) -> list[tuple[Inode, str, bytes, list[Data]]]:
    """Return the files with pending bytes: with words, what is durable, and what is pending."""
    files: dict[Inode, tuple[str, list[Data]]] = {}
    for change in medium.pending:
        if isinstance(change, DataChange):
            files.setdefault(change.inode, (change.what, []))[1].append(change.data)
    return [
        (inode, what, medium.contents.get(inode, b""), changes)
        for inode, (what, changes) in files.items()
    ]


def _content(inode: Inode, what: str, words: str, content: bytes) -> Option:
    return Option(f"{what}: {words}" if words else "", contents={inode: content})


MODELS = {
    "posix": Model(_posix_sync, _posix_sync_folder, _posix_options),
    "ext4": Model(_ext4_sync, _ext4_sync_folder, _ext4_options),
    "ordered": Model(_ordered_sync, _ordered_sync_folder, _ordered_options),
}
"""The models, by name."""
