"""`JsonlStore`: a folder of month files."""

import contextlib
import errno
import os
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, tzinfo
from typing import Literal, TypeVar

from feedback_store.backends.jsonl import checking, reading
from feedback_store.backends.jsonl.answering import Asked
from feedback_store.backends.jsonl.disk import Disk, Readable
from feedback_store.backends.jsonl.doubts import Doubts
from feedback_store.backends.jsonl.folder import Folder
from feedback_store.backends.jsonl.home import Home
from feedback_store.backends.jsonl.layout import Layout
from feedback_store.backends.jsonl.locking import WriteLock
from feedback_store.backends.jsonl.os_disk import OsDisk
from feedback_store.backends.jsonl.part import Part
from feedback_store.backends.jsonl.rewriting import Rewriter
from feedback_store.backends.jsonl.settling import look_after, sync_name
from feedback_store.backends.jsonl.syncing import SyncGate
from feedback_store.backends.jsonl.view import View
from feedback_store.backends.jsonl.work import Work, absolute
from feedback_store.backends.jsonl.writing import FileReplacedError, Writer
from feedback_store.codec import MAX_ENTRY_BYTES, encode
from feedback_store.entry import FeedbackEntry
from feedback_store.errors import InvalidEntryError, StoreClosedError
from feedback_store.failures import Worded, sync_failed
from feedback_store.forking import watch_forks
from feedback_store.operations import not_found
from feedback_store.query import Page, Query
from feedback_store.report import CheckReport, CompactReport
from feedback_store.stats import Stats
from feedback_store.store import Change, Lines, Outcome

T = TypeVar("T")
Syncs = list[tuple[Part, Readable, int]]


class JsonlStore:
    """A `Store` in a folder of files ``feedback_YYYY-MM.jsonl``, one entry a line.

    The page on the file format tells what is in the folder, the one on durability what it
    promises and why. Any number of threads and processes of one machine may use the folder.

    Args:
        path: the folder; it is made at the first write.
        naive_tz: the time zone of timestamps that name none, in lines by other writers.
        durability: ``"sync"``: a write is acknowledged when the medium has it; ``"os"``: when the
            kernel has it, which survives the process but not a power cut.
        max_entry_bytes: the size that one encoded entry may have.
        lock_timeout_s: how long to wait for another writer, in seconds.
        folder_mode: the mode of folders that are made, whatever the umask.
        file_mode: the mode of files that are made, whatever the umask.
        owner: user and group id of what is made; unless given, the process's own, or, for root,
            those of the folder.
        compact_share: the share of a month's bytes that superseded lines may take before the
            store compacts the month by itself; 1 or more to never do so.
        disk: the disk to use instead of the machine's, for tests.
    """

    writer_class: type[Writer] = Writer
    rewriter_class: type[Rewriter] = Rewriter

    def __init__(  # noqa: PLR0913  # each is an operator's choice with a default
        self,
        path: str | os.PathLike[str],
        *,
        naive_tz: tzinfo = UTC,
        durability: Literal["sync", "os"] = "sync",
        max_entry_bytes: int = MAX_ENTRY_BYTES,
        lock_timeout_s: float = 30.0,
        folder_mode: int = 0o775,
        file_mode: int = 0o664,
        owner: tuple[int, int] | None = None,
        compact_share: float = 0.5,
        disk: Disk | None = None,
    ) -> None:
        if durability not in ("sync", "os"):
            raise ValueError('durability must be "sync" or "os"')
        self.path = absolute(path)
        self._disk: Disk = OsDisk() if disk is None else disk
        self._durable = durability == "sync"
        self._max_entry_bytes = max_entry_bytes
        self._compact_share = compact_share
        self._state = threading.RLock()
        self._layout = Layout(self._disk, self.path, folder_mode, file_mode, owner)
        self._folder = Folder(self._layout, naive_tz)
        self._lock = WriteLock(self._disk, self._layout.lock_path, lock_timeout_s)
        self._doubts = Doubts(self._layout)
        maintenance = WriteLock(self._disk, self._layout.maintenance_path, lock_timeout_s)
        self._writer = self.writer_class(self._disk, self._folder, self._layout)
        self._rewriter = self.rewriter_class(
            self._layout, self._folder, self._lock, self._state, maintenance
        )
        self._home = Home(self._layout, self._lock, maintenance)
        self._view = View(self._folder.traits)
        self._closed = False
        watch_forks(self)

    def __repr__(self) -> str:
        """Show the absolute location."""
        return f"JsonlStore({self.path!r})"

    def append(self, entries: Sequence[FeedbackEntry]) -> Sequence[Outcome]:
        """See `Store.append`. One write and one sync per month that is touched."""
        self._check_open()
        pairs = [(entry, encode(entry, self._max_entry_bytes)) for entry in entries]
        if not pairs:
            return []
        with Worded(self.path):
            self._home.prepare()
            outcomes, syncs = self._home.locked(lambda: self._append(pairs))
            self._sync(syncs)
            while not self._is_settled(syncs):
                _, syncs = self._home.locked(lambda: self._append(pairs))
                self._sync(syncs)
            self._look_after(syncs)
        return outcomes

    def _append(self, pairs: list[tuple[FeedbackEntry, bytes]]) -> tuple[list[Outcome], Syncs]:
        with self._state:
            self._refresh_to_write()
            work = Work(self._folder, self._doubts)
            outcomes = [work.judge(entry, line) for entry, line in pairs]
            return outcomes, self._do(work)

    def _do(self, work: Work) -> Syncs:
        return work.syncs + [(w.part, w.file, w.end) for w in self._writer.write(work.months)]

    def rewrite(self, id: str, change: Change) -> FeedbackEntry:
        """See `Store.rewrite`. The new revision is appended: the month is not rewritten."""
        self._check_open()
        with Worded(self.path):
            if not self._home.prepared and self._disk.status(self.path) is None:
                raise not_found(id)
            self._home.prepare()
            entry, syncs = self._home.locked(lambda: self._rewrite(id, change))
            self._sync(syncs)
            while not self._is_settled(syncs):
                entry, syncs = self._home.locked(lambda: self._rewrite(id, change))
                self._sync(syncs)
            self._look_after(syncs)
        return entry

    def _rewrite(self, id: str, change: Change) -> tuple[FeedbackEntry, Syncs]:
        with self._state:
            self._refresh_to_write()
            if (found := self._folder.find(id)) is None:
                raise not_found(id)
        old, part, offset, length = found
        new = change(old)
        if (new.id, new.timestamp) != (old.id, old.timestamp):
            msg = "a change may not touch id or timestamp: delete the entry and add another"
            raise InvalidEntryError(msg)
        with self._state:
            work = Work(self._folder, self._doubts)
            if new == old:
                work.keep(old, part, offset, length)
            else:
                work.supersede(new, encode(new, self._max_entry_bytes), part, length)
            return new, self._do(work)

    def erase(self, ids: Iterable[str]) -> int:
        """See `Store.erase`. The months concerned are rewritten without the entries."""
        self._check_open()
        wanted = frozenset(ids)
        with Worded(self.path):
            if not wanted or self._disk.status(self.path) is None:
                return 0
            self._home.prepare()
            self._home.come()
            return self._rewriter.erase(wanted)

    def compact(self) -> CompactReport:
        """See `SupportsCompact.compact`: months with superseded or damaged lines are rewritten."""
        self._check_open()
        with Worded(self.path):
            if self._disk.status(self.path) is None:
                return CompactReport()
            self._home.prepare()
            self._home.come()
            return self._rewriter.compact()

    def scan(self, query: Query) -> Iterator[FeedbackEntry]:
        """See `Store.scan`. Memory does not grow with the entries, but for 50 bytes each."""
        with Worded(self.path):
            return reading.worded_scan(self.path, self._ask(query).entries())

    def lines(self, query: Query) -> Iterator[Lines]:
        """See `SupportsLines.lines`. Most are copied as they stand."""
        with Worded(self.path):
            return reading.worded_scan(self.path, reading.lines(self, self._ask, query))

    def page(self, query: Query, limit: int, cursor: str | None, number: int | None) -> Page:
        """See `SupportsPage.page`. By the index, where it tells all that is asked."""
        with Worded(self.path):
            return reading.page(self, self._ask, query, limit, cursor, number)

    def count(self, query: Query) -> int:
        """See `SupportsCount.count`. By the index, where it tells all that is asked."""
        with Worded(self.path):
            return reading.count(self, self._ask, query)

    def stats(self, query: Query) -> Stats:
        """See `SupportsStats.stats`. By the index, where it tells all that is asked."""
        with Worded(self.path):
            if query.is_empty:
                return self._read(lambda: self._view.refresh(self._folder.parts()).stats())
            return reading.stats(self, self._ask, query)

    def _ask(self, query: Query) -> Asked:
        return self._read(lambda: Asked(self._view.refresh(self._folder.parts()), query))

    def get(self, id: str) -> FeedbackEntry | None:
        """See `SupportsGet.get`. One read, by the index."""
        self._check_open()
        with Worded(self.path), self._state:
            self._folder.refresh()
            found = self._folder.find(id)
        return None if found is None else found[0]

    def version(self) -> str:
        """See `SupportsVersion.version`. A status call per month."""
        with Worded(self.path):
            return self._read(self._folder.version)

    def check(self, *, deep: bool = False) -> CheckReport:
        """See `SupportsCheck.check`. A deep one reads every line, whatever the index says."""
        self._check_open()
        return checking.check(self._layout, self._folder, self._state, deep=deep)

    def close(self) -> None:
        """See `Store.close`."""
        with self._state:
            if not self._closed and self._home.prepared:  # a reader leaves all as it was
                with contextlib.suppress(OSError):  # it can be made again
                    self._folder.keep()
            self._closed = True
            self._folder.forget_all()
            self._view.forget()
        self._lock.close()
        self._rewriter.close()

    def _read(self, look: Callable[[], T]) -> T:
        self._check_open()
        with self._state:
            self._folder.refresh()
            return look()

    def _check_open(self) -> None:
        if self._closed:
            raise StoreClosedError(f"{self!r} was closed; open it again")

    def _refresh_to_write(self) -> None:
        self._folder.refresh()
        if self._folder.inode != self._home.inode:
            raise FileReplacedError(errno.EAGAIN, "another folder is there", self.path)

    def _sync(self, syncs: Syncs) -> None:
        if not self._durable:
            return
        for part, file, end in syncs:
            try:
                part.gate.sync(file, end)
            except OSError as error:
                with self._state:
                    stretch = part.gate.durable_end, max(end, part.known_end)
                    self._doubts.add(part.name.name, part.status.inode, *stretch)
                    self._folder.forget(part.name)
                raise sync_failed(error, part.path) from error
            sync_name(self._disk, self.path, part)

    def _is_settled(self, syncs: Syncs) -> bool:  # noqa: ARG002  # for those who live beside others
        """Say whether what was synced stays where it is; else it is looked for and synced again."""
        return True

    def _look_after(self, syncs: Syncs) -> None:
        parts = [part for part, _, _ in syncs]
        look_after(parts, self._state, self._rewriter, self._compact_share)

    def before_fork(self) -> None:
        """Come to rest: nobody writes, and nobody changes what is known."""
        self._lock.mutex.acquire()
        self._state.acquire()

    def after_fork_in_parent(self) -> None:
        """Go on."""
        self._state.release()
        self._lock.mutex.release()

    def after_fork_in_child(self) -> None:
        """Take locks of one's own; open files may be shared, since no offset is."""
        self._state = threading.RLock()
        self._lock.after_fork()
        self._rewriter.after_fork(self._state)
        for part in self._folder.opened():
            part.gate = SyncGate()
