"""What must not be believed to be durable, though it can be read.

After a sync failed, the kernel may show bytes that never reached the medium, and further syncs say
nothing about them. Until the file is replaced, an entry that stands there does not count as stored:
whoever brings it again has it written again. Other processes are told by an empty file whose name
says all; it need not be durable, because a power cut shows what the medium has.
"""

import contextlib
import errno
import os
import re
from collections.abc import Iterator
from typing import TypeAlias

from feedback_store.backends.jsonl.disk import Readable
from feedback_store.backends.jsonl.layout import Layout
from feedback_store.backends.jsonl.syncing import SyncGate

_MARK = re.compile(r"doubt\.(feedback_[^/]+)\.(\d+)\.(\d+)-(\d+)")

Doubt: TypeAlias = tuple[str, int, int, int]
"""The name of a file, its inode number, and the stretch."""


class Doubts:
    """The doubtful stretches of files, as this process knows them and as others have told."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._disk = layout.disk
        self._own: set[Doubt] = set()
        self._all: set[Doubt] = set()

    def add(self, name: str, inode: int, start: int, end: int) -> None:
        """Doubt the bytes of a file from ``start`` to ``end``, and tell other processes."""
        self._own.add((name, inode, start, end))
        _tell(self._layout, (name, inode, start, end))

    def look(self) -> None:
        """Take in what other processes have told."""
        self._all = self._own | set(_told(self._layout))

    def hold(self, name: str, inode: int, offset: int) -> bool:
        """Say whether the line at an offset must be written again, as of the last look."""
        return any(
            (name, inode) == doubt[:2] and doubt[2] <= offset < doubt[3] for doubt in self._all
        )


def sync_undoubted(layout: Layout, name: str, gate: SyncGate, file: Readable, end: int) -> None:
    """Make lines durable that are about to enter the index.

    The failure is left with the gate, which tells it to whoever would acknowledge them, and with
    other processes: the kernel tells it only once.

    Raises:
        OSError: the sync fails, or has failed before: what is read there may not be on the medium,
            and an index of it must not outlive a power cut.
    """
    inode = file.status().inode
    try:
        gate.sync(file, end)
    except OSError:
        _tell(layout, (name, inode, gate.durable_end, end))
        raise
    if any((name, inode) == doubt[:2] for doubt in _told(layout)):
        raise OSError(errno.EIO, "a sync of the file has failed")


def _tell(layout: Layout, doubt: Doubt) -> None:
    name, inode, start, end = doubt
    mark = f"doubt.{name}.{inode}.{start}-{end}"
    with contextlib.suppress(OSError):  # at least this process knows
        layout.create(os.path.join(layout.state_path, mark)).close()


def _told(layout: Layout) -> Iterator[Doubt]:
    for name in layout.disk.list(layout.state_path):
        if mark := _MARK.fullmatch(name):
            yield mark[1], int(mark[2]), int(mark[3]), int(mark[4])


def discard_doubts(layout: Layout, name: str) -> None:
    """Remove what was told of a file that was replaced."""
    for found in layout.disk.list(layout.state_path):
        if (mark := _MARK.fullmatch(found)) and mark[1] == name:
            layout.disk.unlink(os.path.join(layout.state_path, found))
