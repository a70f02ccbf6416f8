"""Damaged lines, kept as they were in a folder of their own when their file is rewritten.

A file of the quarantine is named after its contents, so that a rewrite that is cut short and made
again keeps nothing twice.
"""

import hashlib
import os
from collections.abc import Iterable

from feedback_store.backends.jsonl.layout import Layout
from feedback_store.backends.jsonl.naming import QUARANTINE_FOLDER
from feedback_store.spellings import Needles

_PIECE_BYTES = 1 << 20


class Quarantine:
    """The quarantine of a store."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._disk = layout.disk
        self.path = os.path.join(layout.path, QUARANTINE_FOLDER)

    def keep(self, month: str, lines: list[bytes]) -> None:
        """Keep damaged lines of a month, durably."""
        if not lines:
            return
        if self._disk.make_folder(self.path, self._layout.folder_mode):
            self._layout.own(self.path)
        self._disk.sync_folder(self._layout.path)
        data = b"".join(line + b"\n" for line in lines)
        digest = hashlib.blake2b(data, digest_size=8).hexdigest()
        self._layout.replace(os.path.join(self.path, f"feedback_{month}.{digest}.damaged"), data)

    def files(self) -> list[str]:
        """Return the names of the files in it."""
        return sorted(name for name in self._disk.list(self.path) if name.endswith(".damaged"))

    def erase(self, ids: Iterable[str]) -> None:
        """Remove every line that holds one of the ids."""
        needles = Needles(ids)
        for name in self._disk.list(self.path):
            path = os.path.join(self.path, name)
            lines = self._read(path).split(b"\n")
            kept = [line for line in lines if not needles.stand_in(line)]
            if not name.endswith(".damaged"):
                self._disk.unlink(path)  # left by a write that was cut short
            elif len(kept) < len(lines):  # what stays is durable before what goes is removed
                self.keep(name.removeprefix("feedback_")[:7], [line for line in kept if line])
                self._disk.unlink(path)
        if self._disk.status(self.path) is not None:
            self._disk.sync_folder(self.path)

    def _read(self, path: str) -> bytes:
        file = self._disk.open(path)
        return file.read(0, file.size())
