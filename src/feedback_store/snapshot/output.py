"""The way of a snapshot's bytes: compressed, encrypted, counted, and written to a file.

All of that is done by a thread of its own while the next bytes are made: compression, checksums and
writing let other threads run meanwhile. What was written is also synced now and then, so that the
last sync, which somebody waits for, is short.
"""

import hashlib
import os
import queue
import threading
from collections.abc import Sequence
from types import TracebackType
from typing import Any, BinaryIO, Self

from feedback_store.compressing import packer_for
from feedback_store.snapshot.encrypting import Encrypting

_QUEUED = 8
_SYNC_BYTES = 16 << 20
_GATHER_BYTES = 1 << 18
_sync = getattr(os, "fdatasync", os.fsync)  # which macOS lacks


class Output:
    """Takes the bytes of a snapshot, as a context; at the end of the block all are in the file.

    Args:
        file: the file, open for writing, unbuffered; it stays open.
        compression: ``".gz"``, ``".zst"``, or nothing.
        recipients: who can read it; where there are any, it is encrypted.

    Attributes:
        size_bytes: how many bytes went into the file, once the block has ended.
        sha256: their SHA-256 in hexadecimal digits, once the block has ended.
    """

    def __init__(
        self, file: BinaryIO, compression: str = "", recipients: Sequence[Any] = ()
    ) -> None:
        self.size_bytes = 0
        self.sha256 = ""
        self._counted = _Counted(file)
        self._packer = packer_for(compression)
        self._recipients = recipients
        self._held: list[bytes] = []
        self._held_bytes = 0
        self._queue: queue.Queue[bytes | None] = queue.Queue(_QUEUED)
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="snapshot writer", daemon=True)

    def write(self, data: bytes) -> int:
        """Take bytes in; small ones are gathered.

        Raises:
            OSError: what was taken in before could not be written.
        """
        self._held.append(data)
        self._held_bytes += len(data)
        if self._held_bytes >= _GATHER_BYTES:
            self._pass_on()
        return len(data)

    def _pass_on(self) -> None:
        if self._error is not None:
            raise self._error
        self._queue.put(b"".join(self._held))
        self._held, self._held_bytes = [], 0

    def __enter__(self) -> Self:
        """Begin."""
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Write the rest, or, after an error, what is on its way."""
        if error is None and self._held:
            self._queue.put(b"".join(self._held))
        self._queue.put(None)
        self._thread.join()
        if error is None and self._error is not None:
            raise self._error
        self.size_bytes, self.sha256 = self._counted.size_bytes, self._counted.hasher.hexdigest()

    def _run(self) -> None:
        try:
            self._write_all()
        except BaseException as error:  # noqa: BLE001  # whoever writes, or ends the block, raises it
            self._error = error
            while self._queue.get() is not None:  # or the one who writes would wait for ever
                continue

    def _write_all(self) -> None:
        encrypting = Encrypting(self._counted, self._recipients) if self._recipients else None
        sink = self._counted if encrypting is None else encrypting
        try:
            while (data := self._queue.get()) is not None:
                if packed := self._packer.compress(data):
                    sink.write(packed)
            sink.write(self._packer.flush())
        finally:
            if encrypting is not None:
                encrypting.close()


class _Counted:
    """A file that counts what goes into it."""

    def __init__(self, file: BinaryIO) -> None:
        self.size_bytes = 0
        self.hasher = hashlib.sha256()
        self._file = file
        self._unsynced_bytes = 0

    def write(self, data: bytes) -> int:
        """Write all of the bytes."""
        view = memoryview(data)
        while view:
            view = view[self._file.write(view) :]
        self.hasher.update(data)
        self.size_bytes += len(data)
        self._unsynced_bytes += len(data)
        if self._unsynced_bytes >= _SYNC_BYTES:
            self._unsynced_bytes = 0
            _sync(self._file.fileno())
        return len(data)

    def flush(self) -> None:
        """Do nothing: the file is not buffered."""
