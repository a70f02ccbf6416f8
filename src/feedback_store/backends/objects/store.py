"""`ObjectStore`: a bucket, or any other filesystem of fsspec, without a lock."""

import os
import threading
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from hashlib import blake2b
from typing import Literal

from feedback_store.backends.objects import checking, compacting, erasing
from feedback_store.backends.objects.bucket import Bucket, Filesystem
from feedback_store.backends.objects.buckets import bucket_of
from feedback_store.backends.objects.cache_folder import FOLDER_BYTES, CacheFolder
from feedback_store.backends.objects.clock import Clock
from feedback_store.backends.objects.joining import JOIN_OBJECTS, Joiner
from feedback_store.backends.objects.lines import Contents, Line, entries_of, entry_of, formatted
from feedback_store.backends.objects.months import Months
from feedback_store.backends.objects.naming import ObjectName
from feedback_store.backends.objects.retrying import ATTEMPTS, TIMEOUT_S, Patience
from feedback_store.backends.objects.spans import Span
from feedback_store.codec import MAX_ENTRY_BYTES, encode
from feedback_store.entry import FeedbackEntry
from feedback_store.errors import InvalidEntryError, StoreClosedError
from feedback_store.forking import watch_forks
from feedback_store.group_commit import MAX_GROUP, Grouping
from feedback_store.operations import not_found, same_content
from feedback_store.query import Query
from feedback_store.report import CheckReport, CompactReport
from feedback_store.stamps import stamp_of
from feedback_store.store import Change, Outcome, descending

CACHE_BYTES = 128 * 1024 * 1024
"""What is kept in memory of the objects that were read, unless told otherwise."""


LINGER_S = 0.01
"""A request over a network takes longer than that."""


class ObjectStore:
    """A `Store` in objects that never change, in a bucket or any other filesystem of fsspec.

    Any number of processes on any number of machines may use it at the same time; none waits for
    another. The page on the object layout tells how, and what that costs: ids are unique within a
    month, and of two updates at the same moment the later one counts as a whole.

    Args:
        filesystem: a filesystem of fsspec. It is not used itself: each process makes its own, with
            the same options, that remembers no listings.
        root: where the store is in it, such as ``"bucket/feedback"``.
        max_entry_bytes: the size that one encoded entry may have.
        unique_across_months: whether a writer looks at all months for an id, not only at that of
            the entry: it reads the whole store once, and lists all of it at each write.
        join_objects: how many small objects a month may have before a writer makes one of them; 0
            to leave that to compactions.
        compression: of what a compaction writes; ``"zstd"`` needs the extra of that name, wherever
            the store is read.
        cache_bytes: how much of what was read is kept in memory, in bytes, about.
        cache_folder: a folder of this machine that keeps what was read for processes that come
            later, with nobody else let in. What was erased goes from it at the next listing.
        cache_folder_bytes: how much it keeps, in bytes, about.
        linger_s: how long an ``add`` waits at most, in seconds, for those of other threads or tasks
            that are likely to come at the same time, so that one object holds them all. One that
            is alone does not wait.
        max_batch: how many of them one object holds at most.
        retry_attempts: how often a request over a network is made at most, while that may help.
        retry_timeout_s: after how many seconds no new attempt is made.
        now_ns: the machine's time, in nanoseconds since 1970; another one in tests.

    Attributes:
        root: where the store is in the filesystem.
        grouping: how those who add at the same time share an object.
        cache_revalidate: how a cache around it asks whether it has changed, unless told otherwise.
    """

    cache_revalidate = "ttl"

    def __init__(  # noqa: PLR0913  # each is an operator's choice with a default
        self,
        filesystem: Filesystem,
        root: str,
        *,
        max_entry_bytes: int = MAX_ENTRY_BYTES,
        unique_across_months: bool = False,
        join_objects: int = JOIN_OBJECTS,
        compression: Literal["gzip", "zstd"] = "gzip",
        cache_bytes: int = CACHE_BYTES,
        cache_folder: str | os.PathLike[str] | None = None,
        cache_folder_bytes: int = FOLDER_BYTES,
        linger_s: float = LINGER_S,
        max_batch: int = MAX_GROUP,
        retry_attempts: int = ATTEMPTS,
        retry_timeout_s: float = TIMEOUT_S,
        now_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self._bucket: Bucket = bucket_of(
            filesystem, root, lambda: Patience(retry_attempts, retry_timeout_s)
        )
        self.root = self._bucket.root
        self.grouping = Grouping(linger_s, max_batch)
        self._unique_across_months = unique_across_months
        self._clock = Clock(now_ns)
        self._max_entry_bytes = max_entry_bytes
        self._suffix = compacting.suffix_of(compression)
        folder = None
        if cache_folder is not None:
            folder = CacheFolder(cache_folder, self._bucket.shown, cache_folder_bytes)
        self._months = Months(self._bucket, self._clock, cache_bytes, folder)
        self._joiner = Joiner(self._bucket, self._clock, self._months, self._suffix, join_objects)
        self._writing = threading.Lock()
        self._closed = False
        watch_forks(self)

    def __repr__(self) -> str:
        """Show where it is, without any secret."""
        return f"ObjectStore({self._bucket.shown!r})"

    # ------------------------------------------------------------------------------ writing

    def append(self, entries: Sequence[FeedbackEntry]) -> Sequence[Outcome]:
        """See `Store.append`. One object for each month that is touched."""
        self._check_open()
        pairs = [(entry, encode(entry, self._max_entry_bytes)) for entry in entries]
        with self._writing:
            known = self._known([entry for entry, _ in pairs])
            fresh: dict[str, list[tuple[FeedbackEntry, bytes]]] = {}
            outcomes: list[Outcome] = []
            for entry, body in pairs:
                key = self._scope(entry), entry.id
                if (there := known.get(key)) is None:
                    known[key] = entry
                    fresh.setdefault(entry.month, []).append((entry, body))
                    outcomes.append(Outcome.ADDED)
                else:
                    same = same_content(there, entry)
                    outcomes.append(Outcome.UNCHANGED if same else Outcome.CONFLICT)
            for month, new in sorted(fresh.items()):
                self._write(month, new)
        return outcomes

    def _scope(self, entry: FeedbackEntry) -> str:
        """Return within what its id is unique: a month, or the whole store."""
        return "" if self._unique_across_months else entry.month

    def _known(self, entries: Sequence[FeedbackEntry]) -> dict[tuple[str, str], FeedbackEntry]:
        """Return what stands under the ids of some entries."""
        wanted: dict[str, list[str]] = {}
        for entry in entries:
            wanted.setdefault(self._scope(entry), []).append(entry.id)
        known: dict[tuple[str, str], FeedbackEntry] = {}
        with self._months.lock:
            for scope, ids in wanted.items():
                months = [self._months.look(scope)] if scope else self._months.all()
                for month in months:
                    for id in ids:
                        line = month.state.find(id)
                        if line is not None and (there := entry_of(line)) is not None:
                            known[scope, id] = there
        return known

    def _write(self, month: str, pairs: Iterable[tuple[FeedbackEntry, bytes]]) -> None:
        lines = tuple(
            Line(self._clock.tick(), entry.id, stamp_of(entry.timestamp), body)
            for entry, body in pairs
        )
        name = ObjectName(month, self._clock.tick(), "segment")
        data = formatted(lines)
        self._bucket.write(name.path, data)
        with self._months.lock:
            self._months.note_written(name, Contents(lines, size_bytes=len(data)))
        self._joiner.look_after(month)

    def rewrite(self, id: str, change: Change) -> FeedbackEntry:
        """See `Store.rewrite`. One step among the threads of this process only."""
        self._check_open()
        with self._writing:
            if (old := self.get(id)) is None:
                raise not_found(id)
            new = change(old)
            if (new.id, new.timestamp) != (old.id, old.timestamp):
                msg = "a change may not touch id or timestamp: delete the entry and add another"
                raise InvalidEntryError(msg)
            body = encode(new, self._max_entry_bytes)
            if new != old:
                self._write(new.month, [(new, body)])
            return new

    def erase(self, ids: Iterable[str]) -> int:
        """See `Store.erase`. The months that hold one are written anew."""
        self._check_open()
        with self._writing:
            wanted = frozenset(ids)
            return erasing.erase(self._bucket, self._clock, self._months, wanted, self._suffix)

    def compact(self) -> CompactReport:
        """See `SupportsCompact.compact`: each month becomes one object."""
        self._check_open()
        report = CompactReport()
        for month, names in self._listed().items():
            if [name.kind for name in names] == ["base"]:
                continue  # it holds each entry once, and nothing is erased: it need not be read
            with self._months.lock:
                found = self._months.look(month, names)
                if not compacting.is_worth_it(found):
                    continue
            report += compacting.compact(
                self._bucket, self._clock, self._months, found, self._suffix
            )
        return report

    # ------------------------------------------------------------------------------ reading

    def scan(self, query: Query) -> Iterator[FeedbackEntry]:
        """See `Store.scan`. As of the call; a month that is compacted meanwhile, as of then."""
        self._check_open()
        backwards = descending(query)
        span = Span.of(query)
        with self._months.lock:
            listed = self._months.listed()
            months = [month for month in listed if span.may_have(month)]
            if backwards:
                months.reverse()
            found = [
                (month, listed[month], self._months.known(month, listed[month])) for month in months
            ]
        return self._scanned(found, span, backwards=backwards)

    def _scanned(
        self,
        found: list[tuple[str, list[ObjectName], list[Line] | None]],
        span: Span,
        *,
        backwards: bool,
    ) -> Iterator[FeedbackEntry]:
        for month, names, known in found:
            self._check_open()
            if (lines := known) is None:
                with self._months.lock:
                    lines = list(self._months.look(month, names).state.visible())
            lines = [line for line in lines if span.since <= line.stamp < span.until]
            lines.sort(key=lambda line: (line.stamp, line.id), reverse=backwards)
            yield from entries_of(lines)

    def get(self, id: str) -> FeedbackEntry | None:
        """See `SupportsGet.get`. The newest month first."""
        return self.get_many([id]).get(id)

    def get_many(self, ids: Collection[str]) -> Mapping[str, FeedbackEntry]:
        """See `SupportsGetMany.get_many`. One listing for all, the newest month first."""
        self._check_open()
        found = self._months.find(ids)
        return {entry.id: entry for entry in entries_of(list(found.values()))}

    def version(self) -> str:
        """See `SupportsVersion.version`. It asks for the names of all objects."""
        self._check_open()
        digest = blake2b(digest_size=16)
        for names in self._listed().values():
            for name in names:
                digest.update(f"{name.path}\n".encode())
        return digest.hexdigest()

    def check(self) -> CheckReport:
        """See `SupportsCheck.check`."""
        self._check_open()
        return checking.check(self._bucket, self._clock, self._months)

    def _listed(self) -> dict[str, list[ObjectName]]:
        return self._months.listed()

    # ------------------------------------------------------------------------------ its life

    def close(self) -> None:
        """See `Store.close`."""
        self._closed = True
        with self._months.lock:
            self._months.forget()
        self._bucket.close()

    def _check_open(self) -> None:
        if self._closed:
            msg = f"{self!r} was closed; open it again"
            raise StoreClosedError(msg)

    def before_fork(self) -> None:
        """Come to rest: nobody writes, and nobody changes what is known."""
        self._writing.acquire()
        self._months.lock.acquire()

    def after_fork_in_parent(self) -> None:
        """Go on."""
        self._months.lock.release()
        self._writing.release()

    def after_fork_in_child(self) -> None:
        """Take locks and a clock of one's own: two processes must never give one revision."""
        self._writing = threading.Lock()
        self._clock.start_anew()
        self._months.lock = threading.RLock()
