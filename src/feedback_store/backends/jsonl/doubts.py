"""What must not be believed to be durable, though it can be read.

After a sync failed, the kernel may show bytes that never reached the medium, and further syncs say
nothing about them. Until the file is replaced, an entry that stands there does not count as stored:
whoever brings it again has it written again. Other processes are told by an empty file whose name
says all; it need not be durable, because a power cut shows what the medium has.
"""

import contextlib
import os
import re

from feedback_store.backends.jsonl.layout import Layout
from feedback_store.backends.jsonl.part import Part

_MARK = re.compile(r"doubt\.(feedback_[^/]+)\.(\d+)\.(\d+)-(\d+)")


class Doubts:
    """The doubtful stretches of files, as this process knows them and as others have told."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._disk = layout.disk
        self._own: set[tuple[str, int, int, int]] = set()
        self._all: set[tuple[str, int, int, int]] = set()

    def add(self, part: Part, start: int, end: int) -> None:
        """Doubt the bytes from ``start`` to ``end``, and tell other processes."""
        inode = part.status.inode
        self._own.add((part.name.name, inode, start, end))
        mark = f"doubt.{part.name.name}.{inode}.{start}-{end}"
        with contextlib.suppress(OSError):  # at least this process knows
            self._layout.create(os.path.join(self._layout.state_path, mark)).close()

    def look(self) -> None:
        """Take in what other processes have told."""
        names = self._disk.list(self._layout.state_path)
        told = (found for name in names if (found := _MARK.fullmatch(name)))
        self._all = self._own | {(m[1], int(m[2]), int(m[3]), int(m[4])) for m in told}

    def hold(self, part: Part, offset: int) -> bool:
        """Say whether the line at an offset must be written again, as of the last look."""
        name, inode = part.name.name, part.status.inode
        return any(
            (name, inode) == doubt[:2] and doubt[2] <= offset < doubt[3] for doubt in self._all
        )


def discard_doubts(layout: Layout, name: str) -> None:
    """Remove what was told of a file that was replaced."""
    for found in layout.disk.list(layout.state_path):
        if (mark := _MARK.fullmatch(found)) and mark[1] == name:
            layout.disk.unlink(os.path.join(layout.state_path, found))
