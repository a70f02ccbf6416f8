"""Sealed months: compressed files, read like the others.

A compressed file cannot be read from the middle, so its contents are unpacked once, at the first
read, into an anonymous temporary file (in memory while it is small) that goes with its reader. What
the index knows needs no unpacking at all.
"""

import logging
import os
import tempfile
import threading
from collections.abc import Callable
from typing import IO

from feedback_store.backends.jsonl.disk import Disk, FileStatus, Readable
from feedback_store.compressing import Unpacker, unpacker_for

logger = logging.getLogger("feedback_store.jsonl")

_PIECE_BYTES = 1 << 20
_IN_MEMORY_BYTES = 8 << 20


class SealedFile:
    """The contents of a compressed file, as something that is only read."""

    def __init__(self, path: str, packed: Readable, unpacker: Callable[[], Unpacker]) -> None:
        self._path = path
        self._packed = packed
        self._unpacker = unpacker
        self._mutex = threading.Lock()
        self._pid = os.getpid()
        self._contents: IO[bytes] | None = None
        self._size = 0
        self.damage = ""

    def status(self) -> FileStatus:
        """Return the status of the compressed file."""
        return self._packed.status()

    def size(self) -> int:
        """Return the size of the contents, in bytes."""
        self._look_for_a_fork()
        with self._mutex:
            self._unpacked()
            return self._size

    def read(self, offset: int, size: int) -> bytes:
        """See `File.read`."""
        self._look_for_a_fork()
        with self._mutex:
            contents = self._unpacked()
            contents.seek(offset)
            return contents.read(size)

    def _look_for_a_fork(self) -> None:
        """Unpack anew in a child: the open file has one offset for it and for its parent.

        Nor can the mutex be trusted there: a thread of the parent may have held it.
        """
        if self._pid != os.getpid():
            self._pid = os.getpid()
            self._mutex = threading.Lock()
            self._forget()

    def _unpacked(self) -> IO[bytes]:
        """Return the contents, as far as they can be unpacked.

        Raises:
            OSError: the disk failed, or has no room for them; that says nothing about the file.
        """
        if self._contents is None:
            # Without a buffer: what a fork duplicates must not be written twice.
            contents: IO[bytes] = tempfile.SpooledTemporaryFile(_IN_MEMORY_BYTES, buffering=0)  # noqa: SIM115  # it lives as long as this object
            try:
                self._unpack(contents)
            except OSError:
                contents.close()
                raise
            except Exception as error:  # noqa: BLE001  # each format has errors of its own
                self.damage = f"unpacks only in part: {type(error).__name__}"
                logger.error("%s %s", self._path, self.damage)  # noqa: TRY400  # the trace says no more
            self._size = contents.tell()
            self._contents = contents
        return self._contents

    def _unpack(self, contents: IO[bytes]) -> None:
        """Unpack all members: files that were compressed apart may have been joined."""
        unpacker, begun, offset = self._unpacker(), False, 0
        while piece := self._packed.read(offset, _PIECE_BYTES):
            offset += len(piece)
            while piece:
                _write_all(contents, unpacker.decompress(piece))
                begun = not unpacker.eof
                piece = b"" if begun else unpacker.unused_data
                if not begun:
                    unpacker = self._unpacker()
        if begun:
            msg = "the file ends before its contents do"
            raise EOFError(msg)

    def sync(self, *, rights: bool = False) -> None:
        """Make the compressed file durable."""
        self._packed.sync(rights=rights)

    def close(self) -> None:
        """Give back the contents."""
        with self._mutex:
            self._forget()
        self._packed.close()

    def __del__(self) -> None:
        """Give back the contents with their last reader: the store may have dropped it before."""
        self._forget()

    def _forget(self) -> None:
        if self._contents is not None:
            self._contents.close()
            self._contents = None


def _write_all(contents: IO[bytes], data: bytes) -> None:
    taken = contents.write(data)
    while taken < len(data):
        taken += contents.write(data[taken:])


def open_sealed(disk: Disk, path: str) -> SealedFile:
    """Open a compressed month by its suffix.

    Raises:
        MissingExtraError: the file is .zst, and nothing that reads it is installed.
    """
    return SealedFile(path, disk.open(path), unpacker_for(path))
