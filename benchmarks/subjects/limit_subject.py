"""The limit: the bare calls without which nobody can do it, and nothing around them."""

import gc
import os
from collections.abc import Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import msgspec

from benchmarks.entries import line_of
from benchmarks.subjects.base import Subject, put_in_place


class Measured(Subject):
    """Lines that are ready beforehand, one write and one fdatasync each."""

    def __init__(self, folder: Path, *, synced: bool = True) -> None:
        super().__init__(folder, synced=synced)
        folder.mkdir(parents=True, exist_ok=True)
        self._path = folder / "lines.jsonl"
        self._file = os.open(self._path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o644)

    def prepare(self, mapping: dict[str, Any]) -> bytes:
        """Return the line itself: encoding is not part of the limit."""
        return line_of(mapping) + b"\n"

    def add(self, entry: bytes) -> None:
        """Write and sync."""
        os.write(self._file, entry)
        if self.synced:
            os.fdatasync(self._file)

    def add_many(self, entries: Sequence[bytes]) -> None:
        """Write and sync, once for all."""
        with open(self._file, "ab", closefd=False) as file:
            file.writelines(entries)
        os.fdatasync(self._file)

    def load(self) -> Sequence[object]:
        """Decode every line to plain dictionaries, with the collector off."""
        gc.disable()
        decode = msgspec.json.Decoder().decode
        entries = [decode(line) for line in self._path.read_bytes().split(b"\n") if line]
        gc.enable()
        return entries

    def scan(self) -> int:
        """Decode every line, one at a time."""
        decode = msgspec.json.Decoder().decode
        with self._path.open("rb") as file:
            return sum(1 for line in file if decode(line))

    def snapshot(self) -> object:
        """Copy the lines, and look at none."""
        with self._path.open("rb") as file:
            pieces = iter(lambda: file.read(1 << 20).replace(b"\n", b",\n"), b"")
            put_in_place(self.target, chain([b"["], pieces, [b"{}]"]))
        return None

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)
