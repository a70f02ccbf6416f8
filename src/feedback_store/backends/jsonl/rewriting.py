"""Rewriting a month while others read and write: for compaction and for erasure.

Most of the work is done without the write lock: the good lines are copied, in the order of time,
into a hidden file beside the month, and synced. Then, under the lock, what came since is copied
too, the file is synced again and takes the month's place, and the folder is synced. Readers keep
the file that they have open. One process at a time does this: it holds the maintenance lock.
"""

import os
import threading
from collections.abc import Iterable, Iterator

from feedback_store.backends.jsonl import scanning
from feedback_store.backends.jsonl.damage import damaged_lines
from feedback_store.backends.jsonl.doubts import discard_doubts
from feedback_store.backends.jsonl.folder import Folder
from feedback_store.backends.jsonl.index import discard_runs
from feedback_store.backends.jsonl.layout import Layout
from feedback_store.backends.jsonl.locking import WriteLock
from feedback_store.backends.jsonl.naming import FILTERS_NAME, is_temporary
from feedback_store.backends.jsonl.part import Part
from feedback_store.backends.jsonl.quarantine import Quarantine
from feedback_store.backends.jsonl.records import hash_of
from feedback_store.backends.jsonl.replacement import Replacement
from feedback_store.errors import LockTimeoutError, StoreUnavailableError
from feedback_store.failures import sync_failed
from feedback_store.report import CompactReport
from feedback_store.spellings import Needles

_TRIES = 100


class Rewriter:
    """Compacts months and erases entries."""

    def __init__(
        self,
        layout: Layout,
        folder: Folder,
        lock: WriteLock,
        state: threading.RLock,
        maintenance: WriteLock,
    ) -> None:
        self._layout = layout
        self._disk = layout.disk
        self._folder = folder
        self._lock = lock
        self._state = state
        self._maintenance = maintenance
        self._quarantine = Quarantine(layout)

    def compact(self) -> CompactReport:
        """Rewrite months with superseded or damaged lines, or lines written after sealing."""
        with self._maintenance:
            self._remove_stale_files()
            with self._state:
                self._folder.refresh()
                months = [m for m, parts in self._months().items() if _is_worth_it(parts)]
            return sum((self._rewrite(month, frozenset()) for month in months), CompactReport())

    def compact_soon(self, months: Iterable[str]) -> None:
        """Compact these months, unless somebody rewrites at the moment."""
        try:
            self._maintenance.take(0)
        except LockTimeoutError:
            return
        try:
            self._remove_stale_files()
            for month in months:
                self._rewrite(month, frozenset())
        finally:
            self._maintenance.__exit__(None, None, None)

    def erase(self, ids: frozenset[str]) -> int:
        """Rewrite the months that hold entries of these ids; say how many entries there were."""
        with self._maintenance:
            self._remove_stale_files()
            with self._state:
                self._folder.refresh()
                there = {id for id in ids if self._folder.find(id) is not None}
            for _ in range(_TRIES):
                if not (months := self._months_with(ids)):
                    break
                for month in months:
                    self._rewrite(month, ids)
            else:
                msg = f"{self._layout.path}: an older writer keeps replacing files; try again"
                raise StoreUnavailableError(msg)
            self._quarantine.erase(ids)
            self._sync_folder()  # it may have been renamed before, and the sync not have come
            self._refuse_damaged_files()
            return len(there)

    def _refuse_damaged_files(self) -> None:
        """Refuse to call an entry erased that may stand where nothing can be read.

        Raises:
            StoreUnavailableError: a sealed month unpacks only in part.
        """
        with self._state:
            damaged = [part for part in self._folder.parts() if part.damage]
        for part in damaged:
            raise _unreadable(part)

    def _months_with(self, ids: frozenset[str]) -> list[str]:
        """Return the months with a line of one of the ids, or with a damaged one, which may be."""
        hashes = [hash_of(id) for id in ids]
        with self._state:
            self._folder.refresh()
            return [
                month
                for month, parts in self._months().items()
                if not any(part.damage for part in parts)
                and any(_has_damaged(p) or any(map(p.has_line_of, hashes)) for p in parts)
            ]

    def _months(self) -> dict[str, list[Part]]:
        months: dict[str, list[Part]] = {}
        for part in self._folder.parts():
            months.setdefault(part.name.month, []).append(part)
        return months

    def _rewrite(self, month: str, drop: frozenset[str]) -> CompactReport:
        """Rewrite one month without superseded lines, damaged ones, and those of ``drop``."""
        with self._state:
            self._folder.refresh()
            parts = self._months().get(month, [])
            copies = [Copy(part, drop) for part in parts]
        if not copies:
            return CompactReport()
        plain = any(part.name.plain for part in parts)
        name = next(part.name for part in reversed(parts) if part.name.plain or not plain)
        filled = [part for part in parts if part.status.size_bytes]  # an empty one is not claimed
        new = Replacement(self._layout, name, (filled or parts)[-1])
        try:
            _copy_bulk(copies, new)
            if plain:
                new.sync()
            return self._swap(month, copies, new)
        except BaseException:
            new.abandon()
            raise

    def _swap(self, month: str, copies: "list[Copy]", new: Replacement) -> CompactReport:
        with self._lock, self._state:
            return self._take_place(month, copies, new)

    def _take_place(self, month: str, copies: "list[Copy]", new: Replacement) -> CompactReport:
        self._folder.refresh()
        before = [copy.part for copy in copies]
        if self._months().get(month, []) != before:
            new.abandon()  # someone replaced a file without our locks: leave it to the next time
            return CompactReport()
        for part in before:
            if part.damage:  # it was when it was copied that this came out
                raise _unreadable(part)
        damaged: list[bytes] = []
        for copy in copies:
            copy.copy_rest(new)
            damaged.extend(copy.damaged())
        new.finish()
        self._quarantine.keep(month, damaged)
        report = CompactReport(
            months=1,
            superseded=sum(copy.superseded for copy in copies),
            damaged=len(damaged),
            size_bytes_before=sum(part.status.size_bytes for part in before),
            size_bytes_after=new.size_bytes,
        )
        self._put(new, before)
        return report

    def _put(self, new: Replacement, before: list[Part]) -> None:
        """Let the new file take the place of the old ones; an empty one only removes them."""
        keep = new.part.index.run_names() if new.part is not None else set()
        for part in before:
            discard_runs(self._disk, self._folder.index_path, part.name.name, keep)
        self._disk.unlink(os.path.join(self._folder.index_path, FILTERS_NAME))
        self._replace(new, before)
        joined = [part for part in before if part.name != new.name]
        for part in before:
            self._folder.forget(part.name)
        self._sync_folder()
        for part in joined:  # only now: a power cut could keep a removal and lose the rename
            self._disk.unlink(part.path)
        if joined:
            self._sync_folder()
        for part in before:
            discard_doubts(self._layout, part.name.name)
        if new.part is not None and new.part.index.end:
            new.part.named = True
            self._folder.adopt(new.part)

    def _replace(self, new: Replacement, before: list[Part]) -> None:  # noqa: ARG002  # for those who exchange
        if new.part is not None and not new.part.index.end:
            new.abandon()
            self._disk.unlink(new.path)
        else:
            self._disk.rename(new.temporary, new.path)

    def _sync_folder(self) -> None:
        try:
            self._disk.sync_folder(self._layout.path)
        except OSError as error:
            raise sync_failed(error, self._layout.path) from error

    def _remove_stale_files(self) -> None:
        """Remove what a rewrite left that was cut short; we hold the lock that they all hold."""
        layout = self._layout
        for folder in (layout.path, layout.state_path, layout.index_path, self._quarantine.path):
            for name in self._disk.list(folder):
                if is_temporary(name):
                    self._disk.unlink(os.path.join(folder, name))

    def after_fork(self, state: threading.RLock) -> None:
        """Take locks of one's own in a child."""
        self._state = state
        self._maintenance.after_fork()

    def close(self) -> None:
        """Close the side file."""
        self._maintenance.close()


class Copy:
    """A part that is being copied: what it was at the start, and what to leave out."""

    def __init__(self, part: Part, drop: frozenset[str]) -> None:
        self.part = part
        self.at_start = scanning.Snapshot(part.file, part.decode_known, part.records())
        self._drop = drop
        self._hashes = {hash_of(id) for id in drop}
        self._needles = Needles(drop)
        self.superseded = 0

    def is_dropped(self, hashed: int, line: bytes) -> bool:
        """Say whether the line is one of an entry that is being erased."""
        return hashed in self._hashes and self.part.decode(line).id in self._drop

    def copy_rest(self, new: Replacement) -> None:
        """Copy the good lines that came since the start."""
        records = self.part.records()
        for i in range(len(self.at_start.records), len(records)):
            line = self.part.file.read(records.offsets[i], records.lengths[i])
            if not self.is_dropped(records.hashes[i], line):
                new.add(records.line(i), line)

    def damaged(self) -> Iterator[bytes]:
        """Yield the damaged lines that are to be kept aside."""
        for _, line in damaged_lines(self.part):
            if not self._needles.stand_in(line):
                yield line


def _unreadable(part: Part) -> StoreUnavailableError:
    msg = f"{part.path} {part.damage}; restore it from a backup, or move it away, and try again"
    error = StoreUnavailableError(msg)
    error.filename = part.path
    return error


def _has_damaged(part: Part) -> bool:
    """Say whether there are damaged lines, the unfinished one at the end included."""
    return bool(part.index.damaged) or part.known_end > part.index.end


def _is_worth_it(parts: list[Part]) -> bool:
    """Say whether a rewrite gains anything; what unpacks only in part must not be rewritten."""
    if any(part.damage for part in parts):
        return False
    return len(parts) > 1 or any(p.index.superseded or p.index.damaged for p in parts)


def _copy_bulk(copies: list[Copy], new: Replacement) -> None:
    """Copy the lines that still count, all parts together, in the order of time."""
    hidden = scanning.superseded_lines([copy.at_start for copy in copies])
    lines: list[tuple[int, int, int]] = []
    for i, copy in enumerate(copies):
        left_out = hidden.get(i, set())
        copy.superseded = len(left_out)
        stamps = copy.at_start.records.stamps
        lines.extend((stamps[j], i, j) for j in range(len(stamps)) if j not in left_out)
    lines.sort()
    readers = [scanning.LineReader(copy.at_start.file) for copy in copies]
    for _, i, j in lines:
        records = copies[i].at_start.records
        line = readers[i].read(records.offsets[j], records.lengths[j])
        if not copies[i].is_dropped(records.hashes[j], line):
            new.add(records.line(j), line)
