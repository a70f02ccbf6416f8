"""The file that is about to take a month's place."""

import os

from feedback_store.backends.jsonl.disk import File
from feedback_store.backends.jsonl.layout import Layout, write_all
from feedback_store.backends.jsonl.naming import MonthName
from feedback_store.backends.jsonl.part import MEMORY_LINES, Part
from feedback_store.backends.jsonl.records import Line
from feedback_store.compressing import Packer, packer_for
from feedback_store.failures import sync_failed

_PIECE_BYTES = 1 << 20


class Replacement:
    """A new month file under a hidden name, and its index as it grows.

    Attributes:
        name: the name that it will have.
        path: the path that it will have.
        part: what is known of it, for a plain file: its lines need not be read again.
    """

    def __init__(self, layout: Layout, name: MonthName, like: Part) -> None:
        self._layout = layout
        self.name = name
        self.path = os.path.join(layout.path, name.name)
        self.temporary = layout.temporary(self.path)
        there = like.file.status()  # as it is now: an administrator may have changed it
        self._file: File = layout.disk.create(self.temporary, there.mode)
        self._packer: Packer = packer_for(name.suffix)
        self._lines: list[bytes] = []
        self._keys: list[Line] = []
        self._size = 0
        self._own(there.owner)
        self.part: Part | None = None
        if name.plain:
            self.part = like.sibling(name, self.path, self._file)

    def _own(self, owner: tuple[int, int]) -> None:
        if self._file.status().owner == owner:
            return
        try:
            self._file.set_owner(*owner)
        except PermissionError:
            return  # only root may give files away; the mode still lets the group in

    def add(self, known: Line, line: bytes) -> None:
        """Add a line, without its newline, of which that is known."""
        self._keys.append(known._replace(offset=self._size, length=len(line)))
        self._lines.append(line)
        self._size += len(line) + 1
        if self._size >= _PIECE_BYTES:
            self._write()

    def _write(self) -> None:
        if not self._lines:
            return
        data = b"\n".join(self._lines) + b"\n"
        write_all(self._file, self._packer.compress(data))
        if self.part is not None:
            self.part.note_written(data, self._keys, self._file.status())
            self.part.index.flush(self.part.identify, MEMORY_LINES)
        self._lines, self._keys, self._size = [], [], 0

    def sync(self, *, rights: bool = False) -> None:
        """Write out what was added, and make it durable.

        Raises:
            DurabilityError: the sync failed; the month is as it was.
        """
        self._write()
        try:
            self._file.sync(rights=rights)
            if self.part is not None:
                self.part.gate.note_durable(self.part.index.end)
        except OSError as error:
            raise sync_failed(error, self.temporary) from error
        if self.part is not None:
            self.part.index.flush(self.part.identify)

    def finish(self) -> None:
        """End the compression, where there is one, and make everything durable."""
        self._write()
        write_all(self._file, self._packer.flush())
        self.sync(rights=True)

    @property
    def size_bytes(self) -> int:
        """The size of the file so far."""
        return self._file.size()

    def abandon(self) -> None:
        """Remove it: the month stays as it was."""
        self._layout.disk.unlink(self.temporary)
