"""Living beside an older writer, while a service is being moved.

That writer appends to the month file without a lock, and updates by copying the file to
``<month>.jsonl.tmp`` under a portalocker lock, which it frees *before* it puts the copy in place.
Whatever is appended between the copy and the replacement is lost with the old file. So here

- a write also takes the lock on the month file, and looks whether the file is still the one at its
  path;
- nothing is acknowledged before no ``.tmp`` is there *and then* the path still leads to the file
  that was synced; else the copy is awaited, read, and what it lacks is written again. The order
  matters: a copy that begins after the first look contains what was written before it;
- a rewrite exchanges the two files instead of replacing one, and takes over what the older writer
  still appends to the old one.

Its reader knows no revisions, and shows an updated entry twice until the next compaction. It syncs
nothing: a file that it has put in place is durable once this store has written to it again.
"""

import errno
import os
import time
from collections.abc import Iterable

from feedback_store.backends.jsonl.disk import Disk, File
from feedback_store.backends.jsonl.layout import write_all
from feedback_store.backends.jsonl.naming import MonthName, is_temporary, parse_name, plain_name
from feedback_store.backends.jsonl.part import Part
from feedback_store.backends.jsonl.replacement import Replacement
from feedback_store.backends.jsonl.rewriting import Copy, Rewriter
from feedback_store.backends.jsonl.store import JsonlStore, Syncs
from feedback_store.backends.jsonl.writing import FileReplacedError, Lines, Writer, Written
from feedback_store.errors import LockTimeoutError
from feedback_store.report import CompactReport

STALE_S = 5.0
"""A copy that has not grown for this long belongs to a writer that died."""

GRACE_S = 0.3
"""How long an older writer may take between opening a file and writing to it, in seconds."""

_PAUSE_S = 0.005
_TRIES = 200
_TIMEOUT_S = 30.0


class BesideWriter(Writer):
    """A `Writer` that also holds the lock on the month file itself while it writes."""

    patience_s = GRACE_S

    def _write_month(self, month: str, lines: Lines, done: list[Written]) -> None:
        part = self._part_of(month)
        file = self._opened(part)
        lock_file(file, part.path)
        try:
            there = self._disk.status(part.path)
            if there is None or there.inode != file.status().inode:
                self._folder.forget(part.name)
                raise FileReplacedError(errno.EAGAIN, "replaced by an older writer", part.path)
            super()._write_month(month, lines, done)
        finally:
            file.unlock()

    def _cut_back(self, done: Iterable[Written]) -> None:
        """Cut nothing: an older writer may have appended meanwhile. The next write seals it."""
        for written in done:
            self._folder.forget(written.part.name)


class BesideRewriter(Rewriter):
    """A `Rewriter` that loses nothing which an older writer appends to the file it replaces."""

    def _rewrite(self, month: str, drop: frozenset[str]) -> CompactReport:
        """Rewrite one month, all of it under both locks: else a copy would outrun it for ever."""
        for _ in range(_TRIES):
            report = self._rewrite_locked(month, drop)
            if report is not None:
                # A copy that began before has what was just left out, and puts it back.
                await_copy(self._disk, os.path.join(self._layout.path, plain_name(month).name))
                return report
            time.sleep(_PAUSE_S)
        return CompactReport()

    def _rewrite_locked(self, month: str, drop: frozenset[str]) -> CompactReport | None:
        """Rewrite one month, or return None while an older writer's copy is about to replace it."""
        with self._lock:
            with self._state:
                self._folder.refresh()
            part = self._folder.part(plain_name(month))
            if part is None:
                return super()._rewrite(month, drop)
            file = self._disk.open_append(part.path)
            lock_file(file, part.path)
            try:
                there = self._disk.status(part.path)
                if there is None or there.inode != file.status().inode:
                    return None
                if copy_is_alive(self._disk, part.path):
                    return None
                return super()._rewrite(month, drop)
            finally:
                file.unlock()

    def _remove_stale_files(self) -> None:
        """Take over what an older writer appended to a file that was exchanged and never removed.

        Whoever exchanged it has died before it could.
        """
        for name in self._disk.list(self._layout.path):
            month = parse_name(name[1:].rsplit(".", 2)[0])
            if is_temporary(name) and month is not None and month.plain:
                with self._lock, self._state:
                    self._rescue(month, os.path.join(self._layout.path, name))
        super()._remove_stale_files()

    def _rescue(self, month: MonthName, path: str) -> None:
        self._folder.refresh()
        part = self._folder.part(month)
        if part is None:
            return
        left = part.sibling(month, path, self._disk.open_append(path))
        left.catch_up(left.status.size_bytes)
        records = left.records()
        lines = [
            left.file.read(*place) for place in zip(records.offsets, records.lengths, strict=True)
        ]
        lines = [line for line in lines if self._folder.find(left.decode(line).id) is None]
        if lines:
            file = self._disk.open_append(part.path)
            write_all(file, b"".join(b"\n" * part.open_ended + line + b"\n" for line in lines))
            file.sync()

    def _swap(self, month: str, copies: "list[Copy]", new: Replacement) -> CompactReport:
        """Take the month's place; the locks are held already."""
        self._dropped = copies[-1].is_dropped
        with self._state:
            return self._take_place(month, copies, new)

    def _replace(self, new: Replacement, before: list[Part]) -> None:
        old = next((part for part in before if part.name == new.name), None)
        if old is None or new.part is None:
            super()._replace(new, before)
            return
        self._disk.exchange(new.temporary, new.path)
        self._sync_folder()  # an older writer may write to the new file from now on
        quiet_since = time.monotonic()
        while True:
            if self._take_over(old, new.part):
                quiet_since = time.monotonic()
            elif time.monotonic() - quiet_since >= GRACE_S:
                break
            time.sleep(_PAUSE_S)
        self._disk.unlink(new.temporary)

    def _take_over(self, old: Part, new: Part) -> bool:
        """Write what came to the old file into the new one; say whether there was anything."""
        known = len(old.records())
        status = old.file.status()
        if status.size_bytes == old.known_end:
            return False
        old.status = status
        old.catch_up(status.size_bytes)
        records = old.records()
        for i in range(known, len(records)):
            line = old.file.read(records.offsets[i], records.lengths[i])
            absent = new.find(old.decode(line).id, records.hashes[i]) is None
            if absent and not self._dropped(records.hashes[i], line):
                self._append(new, line)
        return True

    @staticmethod
    def _append(new: Part, line: bytes) -> None:
        assert new.writer is not None
        write_all(new.writer, line + b"\n")
        new.status = new.writer.status()
        new.gate.sync(new.writer, new.status.size_bytes)
        new.catch_up(new.status.size_bytes)


class BesideOlderWriterStore(JsonlStore):
    """A `JsonlStore` whose folder an older writer uses as well; its arguments are the same."""

    writer_class = BesideWriter
    rewriter_class = BesideRewriter

    def __repr__(self) -> str:
        """Show the absolute location."""
        return f"BesideOlderWriterStore({self.path!r})"

    def _is_settled(self, syncs: Syncs) -> bool:
        """Say whether the path leads to the file that was synced, and no copy without it comes."""
        files = {part.path: file for part, file, _ in syncs if part.name.plain}
        waited = [await_copy(self._disk, path) for path in files]
        there = {path: self._disk.status(path) for path in files}
        kept = all(s is not None and s.inode == files[p].status().inode for p, s in there.items())
        return kept and not any(waited)


def await_copy(disk: Disk, path: str) -> bool:
    """Wait while an older writer's copy of a month file is under way; say whether there was one.

    Raises:
        LockTimeoutError: it did not end.
    """
    deadline = time.monotonic() + _TIMEOUT_S
    waited = False
    while copy_is_alive(disk, path):
        if time.monotonic() > deadline:
            msg = f"{path}: an older writer's update has not ended for {_TIMEOUT_S:g} s"
            raise LockTimeoutError(msg)
        waited = True
        time.sleep(_PAUSE_S)
    return waited


def copy_is_alive(disk: Disk, path: str) -> bool:
    """Say whether an older writer's copy of a month file is about to replace it."""
    status = disk.status(f"{path}.tmp")
    return status is not None and time.time_ns() - status.modified_ns < STALE_S * 1e9


def lock_file(file: File, path: str) -> None:
    """Take the older writers' lock on a month file."""
    if not file.lock(_TIMEOUT_S):
        msg = f"{path}: an older writer held the lock on the file for {_TIMEOUT_S:g} s"
        raise LockTimeoutError(msg)
