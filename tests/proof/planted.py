"""Bugs that people make, planted into the month-file store: the explorer must find each one.

Each is the real store with one mistake, in it or in the way it calls the disk.
"""

import contextlib
import errno
import random
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from typing import Any, NamedTuple, cast
from unittest import mock

import grouped
from month_files import MONTH_FILES
from subject import FOLDER, open_store, small_indexes, subject

from feedback_store import FeedbackEntry
from feedback_store.backends.jsonl import JsonlStore, part
from feedback_store.backends.jsonl import store as store_module
from feedback_store.backends.jsonl.disk import Disk
from feedback_store.backends.jsonl.part import Part
from feedback_store.backends.jsonl.replacement import Replacement
from feedback_store.backends.jsonl.rewriting import Copy, Rewriter
from feedback_store.backends.jsonl.work import Work
from feedback_store.errors import DurabilityError
from feedback_store.testing.simulation import (
    PAIRS,
    SMALL,
    Add,
    Compact,
    Effort,
    Explorer,
    Fault,
    Reopen,
    SimulatedDisk,
    Tally,
    Update,
    Workload,
    an_entry,
    explore,
    explore_faults,
    explore_stops,
)

_QUICK = Effort(limit=60)
_TURNS = 200
_MONTH = f"{FOLDER}/feedback_2025-01.jsonl"
_BY_NAME = {workload.name: workload for workload in (*SMALL, *PAIRS, *MONTH_FILES)}

Opener = Callable[[SimulatedDisk], JsonlStore]


class Bug(NamedTuple):
    """A bug, and the exploration that must find it.

    Attributes:
        name: what the mistake is.
        plant: puts it in place for as long as it lasts.
        find: explores the store that an opener opens.
        opener: opens the store that has the bug.
    """

    name: str
    plant: Callable[[], AbstractContextManager[object]]
    find: Callable[[Opener], Tally]
    opener: Opener = open_store


class Proxy:
    """A disk, a file or a lock that passes on every call which is not told otherwise."""

    def __init__(self, inner: Any) -> None:  # noqa: ANN401  # any of the three
        self._inner = inner

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401  # whatever it has
        return getattr(self._inner, name)


def on(kind: type[Proxy]) -> Opener:
    """Return what opens the store on a disk with a mistake."""

    def opener(disk: SimulatedDisk) -> JsonlStore:
        return open_store(cast("SimulatedDisk", kind(disk)))

    return opener


def running(*names: str, effort: Effort = _QUICK) -> Callable[[Opener], Tally]:
    """Explore these workloads."""

    def find(opener: Opener) -> Tally:
        tally = Tally()
        for name in names:
            tally.add(explore(subject(opener), _BY_NAME[name], effort))
        return tally

    return find


def _planted(target: object, name: str, value: object) -> Callable[[], Any]:
    return lambda: mock.patch.object(target, name, value)


# ----------------------------------------------------------------------- in the calls to the disk


class NoFolderSync(Proxy):
    """Names are never synced."""

    def sync_folder(self, path: str) -> None:
        """Do nothing."""


class _Retrying(Proxy):
    def sync(self, *, rights: bool = False) -> None:
        try:
            self._inner.sync(rights=rights)
        except OSError:
            self._inner.sync(rights=rights)


class RetriesSync(Proxy):
    """A sync that failed is made again, and believed."""

    def open_append(self, path: str) -> Any:  # noqa: ANN401  # a file
        """Open a file whose syncs are made again."""
        return _Retrying(self._inner.open_append(path))


class _DataLock:
    def __init__(self, disk: Disk) -> None:
        self._disk = disk
        self._file: Any = None

    def acquire(self, timeout_s: float) -> bool:
        self._file = self._disk.open_append(_MONTH)
        return bool(self._file.lock(timeout_s))

    def release(self) -> None:
        self._file.close()

    def close(self) -> None:
        """Nothing stays open."""


class LocksTheData(Proxy):
    """The lock of the writers is on the month file, which a rewrite replaces."""

    def lock(self, path: str) -> Any:  # noqa: ANN401  # a lock
        """Return the lock on the month file."""
        if path.endswith("/lock") and self._inner.machine.find(_MONTH) is not None:
            return _DataLock(self._inner)
        return self._inner.lock(path)


# --------------------------------------------------------------------------------- in the store


def os_durability(disk: SimulatedDisk) -> JsonlStore:
    """Open a store that never syncs."""
    store = JsonlStore(FOLDER, disk=disk, lock_timeout_s=0, durability="os")
    store._writer.patience_s = 0
    return store


@contextlib.contextmanager
def renames_first() -> Iterator[None]:
    """Put the new file in place, and sync it then."""
    sync, put = Replacement.sync, Rewriter._put

    def _later(self: Replacement, *, rights: bool = False) -> None:
        self._write()

    def _put(self: Rewriter, new: Replacement, before: list[Part]) -> None:
        put(self, new, before)
        sync(new, rights=True)

    with ExitStack() as stack:
        stack.enter_context(mock.patch.object(Replacement, "sync", _later))
        stack.enter_context(mock.patch.object(Rewriter, "_put", _put))
        yield


@contextlib.contextmanager
def syncs_later() -> Iterator[None]:
    """Acknowledge a write, and sync it at the next one."""
    sync = JsonlStore._sync
    waiting: list[Any] = []

    def _later(self: JsonlStore, syncs: Any) -> None:  # noqa: ANN401  # what is to be synced
        if waiting:
            with contextlib.suppress(DurabilityError, OSError):
                sync(self, waiting.pop())
        waiting.append(syncs)

    with mock.patch.object(JsonlStore, "_sync", _later):
        yield


def _keeps_a_backup(self: Rewriter, new: Replacement, before: list[Part]) -> None:
    for old in before:
        self._disk.rename(old.path, f"{old.path}.bak")
    self._disk.rename(new.temporary, new.path)


def _writes_in_place(self: Rewriter, new: Replacement, before: list[Part]) -> None:
    copy = self._disk.open(new.temporary)
    target = self._disk.open_append(new.path)
    target.truncate(0)
    target.append(copy.read(0, copy.size()))
    target.sync()
    self._disk.unlink(new.temporary)


_STALE = Workload(
    "stale index",
    ((Update("e1", 0), Compact(), Reopen(), Update("e2", 0), Reopen()),),
    (Add.of(*(an_entry(n) for n in range(1, 7))), Reopen()),
)
_TWICE = Workload(
    "compact twice, add",
    ((Update("e1", 0), Compact(), Update("e1", 0.5), Compact()), (Add.of(an_entry(5)),)),
    (Add.of(an_entry(1), an_entry(2)),),
)


def stale_indexes(opener: Opener) -> Tally:
    """Explore compactions of a month that has an index."""
    with small_indexes():
        return explore(subject(opener), _STALE, _QUICK)


def many_turns(opener: Opener) -> Tally:
    """Explore two compactions beside an add, with three switches at random calls."""
    rng = random.Random(0)
    explorer = Explorer(subject(opener), _TWICE, Effort(limit=4))
    calls = list(explorer.run().calls.values())
    for _ in range(_TURNS):
        explorer.run(schedule=tuple(1 + rng.randrange(calls[0]) for _ in range(3)))
    return explorer.tally


def failing_syncs(opener: Opener) -> Tally:
    """Explore an add whose sync fails."""
    kinds = [Fault("sync", 1, errno.EIO), Fault("sync", 1, errno.EIO, drops_pages=True)]
    return explore_faults(subject(opener), _BY_NAME["adds"], _QUICK, lambda: kinds)


BUGS = (
    Bug("no fsync", contextlib.nullcontext, running("adds"), os_durability),
    Bug("no folder fsync", contextlib.nullcontext, running("the first add"), on(NoFolderSync)),
    Bug("rename before fsync", renames_first, running("compact")),
    Bug("acknowledges before fsync", syncs_later, running("adds")),
    Bug("retries a failed fsync", contextlib.nullcontext, failing_syncs, on(RetriesSync)),
    Bug(
        "locks the data file",
        contextlib.nullcontext,
        many_turns,
        on(LocksTheData),
    ),
    Bug(
        "torn tail not sealed",
        _planted(Part, "open_ended", property(lambda _: False)),
        running("adds"),
    ),
    Bug(
        "compaction drops a late append",
        _planted(Copy, "copy_rest", lambda _self, _new: None),
        running("add, compact"),
    ),
    Bug(
        "a stale index is trusted",
        _planted(Part, "identify", lambda _self, _end: bytes(16)),
        stale_indexes,
    ),
    Bug(
        "erase leaves the old bytes",
        _planted(Rewriter, "_replace", _keeps_a_backup),
        running("erase"),
    ),
    Bug(
        "month chosen by the clock",
        _planted(FeedbackEntry, "month", property(lambda _: "2026-11")),
        running("adds"),
    ),
    Bug(
        "unchanged without a sync",
        _planted(Work, "keep", lambda *_: None),
        running("two add the same"),
    ),
    Bug(
        "a name is left to who made it",
        _planted(store_module, "sync_name", lambda *_: None),
        lambda opener: explore_stops(subject(opener), _BY_NAME["add, compact"], _QUICK),
    ),
    Bug("rewrites in place", _planted(Rewriter, "_replace", _writes_in_place), running("compact")),
    Bug(
        "zeros swallow their neighbour",
        _planted(part, "between_nuls", lambda _line: iter(())),
        running("no newline"),
    ),
    Bug("the group wakes early", grouped.planted, grouped.explore_group_commit),
)
