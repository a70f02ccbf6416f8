"""Workloads of a folder of month files: damage, sealed months, an index, older writers."""

import gzip
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from unittest import mock

import attrs
from subject import FOLDER, open_store

from feedback_store import FeedbackEntry, decode, encode
from feedback_store.backends.jsonl import JsonlStore, beside
from feedback_store.backends.jsonl.beside import BesideOlderWriterStore
from feedback_store.backends.jsonl.layout import write_all
from feedback_store.failures import Worded
from feedback_store.testing.simulation import (
    Actor,
    Add,
    Compact,
    Erase,
    Operation,
    Put,
    Reopen,
    SimulatedDisk,
    Update,
    Workload,
    an_entry,
)

MODE = 0o664


def path_of(month: int) -> str:
    """Return the path of a month file of 2025."""
    return f"{FOLDER}/feedback_2025-{month:02}.jsonl"


@attrs.frozen
class Foreign:
    """Another program appends bytes to a month file, without a lock."""

    what: str
    data: bytes
    entries: tuple[FeedbackEntry, ...] = ()
    month: int = 1

    def __str__(self) -> str:
        """Tell of it."""
        return f"another program appends {self.what}"

    def run(self, actor: Actor, operation: Operation) -> str:
        """See `Step.run`."""
        with Worded(FOLDER):
            return self._run(actor, operation)

    def _run(self, actor: Actor, operation: Operation) -> str:
        for entry in self.entries:
            actor.ledger.may(operation, entry.id, entry)
        scheduler, actor.disk.machine.scheduler = actor.disk.machine.scheduler, None
        try:  # between its open and its write nothing comes: nobody could help that
            file = actor.disk.open_append(path_of(self.month))
            whole = file.read(0, file.size())[-1:] in (b"", b"\n")
            write_all(file, self.data if whole else b"\n" + self.data)  # not to be our own fault
        finally:
            actor.disk.machine.scheduler = scheduler
        file.sync()
        for entry in self.entries:
            actor.ledger.owe(operation, entry.id, entry)
            actor.ledger.owe_later(entry.id)
        return "done"


def older_append(entry: FeedbackEntry) -> Foreign:
    """Return the step in which an older writer appends an entry."""
    return Foreign(f"{entry.id}", encode(entry) + b"\n", (entry,))


@attrs.frozen
class OlderUpdate:
    """An older writer changes a rating: it copies the file under a lock, frees it, and renames."""

    id: str
    rating: float

    def __str__(self) -> str:
        """Tell of it."""
        return f"an older writer updates {self.id} to {self.rating:g}"

    def run(self, actor: Actor, operation: Operation) -> str:
        """See `Step.run`."""
        with Worded(FOLDER):
            return self._run(actor, operation)

    def _run(self, actor: Actor, operation: Operation) -> str:
        disk, path = actor.disk, path_of(1)
        source = disk.open_append(path)
        if disk.status(f"{path}.tmp") is not None:
            disk.unlink(f"{path}.tmp")
        target = disk.create(f"{path}.tmp", MODE)
        source.lock(0)
        new = None
        for line in source.read(0, source.size()).splitlines(keepends=True):
            if b'"id":"' + self.id.encode() + b'"' in line:
                new = attrs.evolve(decode(line), rating=self.rating)
                actor.ledger.may(operation, self.id, new)
                target.append(encode(new) + b"\n")
            else:
                target.append(line)
        target.sync(rights=True)
        source.unlock()
        disk.rename(f"{path}.tmp", path)
        disk.sync_folder(FOLDER)
        if new is not None:
            actor.ledger.owe(operation, self.id, new)
        return "done"


@attrs.frozen
class Seal:
    """An operator compresses a month that is over, while nobody writes to it."""

    month: int

    def __str__(self) -> str:
        """Tell of it."""
        return f"compress month {self.month}"

    def run(self, actor: Actor, operation: Operation) -> str:
        """See `Step.run`."""
        with Worded(FOLDER):
            return self._run(actor)

    def _run(self, actor: Actor) -> str:
        disk, path = actor.disk, path_of(self.month)
        if disk.status(path) is None:
            return "nothing to do"
        file = disk.open(path)
        hidden = f"{FOLDER}/.seal.tmp"
        disk.unlink(hidden)
        packed = disk.create(hidden, MODE)
        write_all(packed, gzip.compress(file.read(0, file.size()), mtime=0))
        packed.sync(rights=True)
        disk.rename(hidden, f"{path}.gz")
        disk.sync_folder(FOLDER)
        disk.unlink(path)
        disk.sync_folder(FOLDER)
        return "done"


_SOME = (Add.of(an_entry(1), an_entry(2), an_entry(3, 2)),)
_WHOLE = encode(an_entry(7))
_TORN = Foreign("half a line", _WHOLE[:40])
_NO_NEWLINE = Foreign("a line without a newline", _WHOLE, (an_entry(7),))
_BAD = Foreign("a damaged line", b'{"id": "e7", "question": oops}\n')
_SEALED = (*_SOME, Update("e1", 0), Seal(1))

MONTH_FILES = (
    Workload("torn tail", ((Add.of(an_entry(5)), Compact()),), (*_SOME, _TORN)),
    Workload("no newline", ((Add.of(an_entry(5)), Update("e7", 0)),), (*_SOME, _NO_NEWLINE)),
    Workload("damaged", ((Compact(), Erase.of("e7")),), (*_SOME, _BAD)),
    Workload("damaged, erase", ((Erase.of("e7"),),), (*_SOME, _BAD)),
    Workload("seal a month", ((Seal(1), Add.of(an_entry(5))),), _SOME),
    Workload("sealed: late add", ((Add.of(an_entry(5)), Compact()),), _SEALED),
    Workload("sealed: update", ((Update("e1", 0.25), Compact()),), _SEALED),
    Workload("sealed: erase", ((Erase.of("e1"), Erase.of("e2")),), _SEALED),
    Workload(
        "index runs",
        ((*(Add.of(an_entry(n)) for n in range(4, 14)), Reopen(), Update("e5", 0), Compact()),),
        _SOME,
    ),
    Workload("index, put", ((Put(an_entry(1, text="b")), Reopen(), Erase.of("e2")),), _SOME),
)
"""One process."""

_E5, _OLD = an_entry(5), older_append(an_entry(8))

BESIDE = (
    Workload("add, older add", ((Add.of(_E5),), (_OLD,)), _SOME),
    Workload("add, older update", ((Add.of(_E5),), (OlderUpdate("e2", 0),)), _SOME),
    Workload("update, older add", ((Update("e1", 0),), (_OLD,)), _SOME),
    Workload("compact, older add", ((Compact(),), (_OLD,)), (*_SOME, Update("e1", 0))),
    Workload("erase, older add", ((Erase.of("e1"),), (_OLD,)), _SOME),
    Workload("erase, older update", ((Erase.of("e1"),), (OlderUpdate("e2", 0),)), _SOME),
)
"""One of our processes, opened to live beside an older writer, and that one."""


def open_beside(disk: SimulatedDisk) -> JsonlStore:
    """Open the store that lives beside an older writer."""
    return open_store(disk, BesideOlderWriterStore)


@contextmanager
def without_waiting() -> Iterator[None]:
    """Take the pauses out of living beside an older writer: here others run at every call."""
    with ExitStack() as stack:
        for name in ("GRACE_S", "_PAUSE_S"):
            stack.enter_context(mock.patch.object(beside, name, 0))
        stack.enter_context(mock.patch.object(beside.BesideWriter, "patience_s", 0))
        yield


def clock() -> int:
    """Return the time: how old a copy is decides whether it is waited for."""
    return time.time_ns()
