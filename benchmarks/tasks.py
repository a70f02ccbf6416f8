"""What a worker does: one subject in one process, and loops that tell the time they took."""

import resource
import sys
import threading
import time
from collections.abc import Callable, Sequence
from itertools import count
from pathlib import Path
from typing import Any

from benchmarks.building import build
from benchmarks.entries import DataSet, id_of
from benchmarks.subjects import subject
from benchmarks.subjects.base import Subject

_STRIDE = 7_919
_KNOWN = 1_000
"""Ids are asked for in steps of a prime: spread over everything, and the same in every run."""


class Session:
    """One subject in this process.

    Args:
        name: which subject.
        folder: where its store is.
        size: how many entries are in it.
        months: over how many months.
        synced: whether a write waits for the medium.
    """

    def __init__(
        self, name: str, folder: str, size: int, months: int, *, synced: bool = True
    ) -> None:
        self._name = name
        self._kind = subject(name)
        self._folder = Path(folder)
        self._data = DataSet(size, months)
        self._synced = synced
        self._opened: Subject | None = None
        self._changes = count(time.monotonic_ns())
        self._prepared: list[Any] = []

    def do(self, task: str, arguments: dict[str, Any]) -> dict[str, Any]:
        """Do a task, by the name of a public method."""
        answer: dict[str, Any] = getattr(self, task)(**arguments)
        return answer

    @property
    def _subject(self) -> Subject:
        if self._opened is None:
            self._opened = self._kind(self._folder, synced=self._synced)
        return self._opened

    def build(self) -> dict[str, Any]:
        """Make the folder with all entries in it, by the quickest way."""
        build(self._name, self._folder, self._data)
        return {}

    def prepare(self, first: int, count: int) -> dict[str, Any]:
        """Make entries ready to be added, from number ``first`` on."""
        mappings = self._data.mappings(first, count)
        self._prepared = [self._subject.prepare(mapping) for mapping in mappings]
        return {}

    def warm(self) -> dict[str, Any]:
        """Do once what the first call alone pays for: opening files, mapping the index."""
        self._subject.get(id_of(0))
        return {}

    def add(self, seconds: float, threads: int = 1) -> dict[str, Any]:
        """Add what is prepared, by some threads, until it is done or the time is over."""
        self._subject.add(self._prepared[0])
        rest = self._prepared[1:]
        shares = [rest[i::threads] for i in range(threads)]
        return in_threads([(self._subject.add, share) for share in shares], seconds)

    def add_many(self) -> dict[str, Any]:
        """Add what is prepared, at once."""
        began = time.monotonic()
        self._subject.add_many(self._prepared)
        return {"done": len(self._prepared), "began": began, "ended": time.monotonic()}

    def update(self, first: int, count: int, seconds: float) -> dict[str, Any]:
        """Update entries, until it is done or the time is over."""
        return in_threads([(self._update, range(first, first + count))], seconds)

    def _update(self, i: int) -> None:
        change = f"changed by step {i}, {next(self._changes)}"  # never to what it is already
        self._subject.update(id_of(i * _STRIDE % self._data.size), change)

    def get(self, first: int, count: int, seconds: float) -> dict[str, Any]:
        """Get entries, until it is done or the time is over."""
        return in_threads([(self._get, range(first, first + count))], seconds)

    def _get(self, i: int) -> None:
        self._subject.get(id_of(i * _STRIDE % self._data.size))

    def get_again(self, first: int, count: int, seconds: float) -> dict[str, Any]:
        """Get some entries, each of which was asked for before, until the time is over."""
        known = range(min(_KNOWN, self._data.size))
        for i in known:
            self._get(i)
        numbers = [i % len(known) for i in range(first, first + count)]
        return in_threads([(self._get, numbers)], seconds)

    def get_new(self, ids: list[int]) -> dict[str, Any]:
        """Get entries that were just added, by their numbers; tell the seconds of each."""
        return {"each": [_seconds(self._subject.get, id_of(i)) for i in ids]}

    def each_add(self) -> dict[str, Any]:
        """Add what is prepared; tell the seconds of each."""
        return {"each": [_seconds(self._subject.add, entry) for entry in self._prepared]}

    def each_add_then_get(self, ids: list[int]) -> dict[str, Any]:
        """Add what is prepared, and get it back; tell the seconds of each get."""
        each: list[float] = []
        for i, entry in zip(ids, self._prepared, strict=True):
            self._subject.add(entry)
            each.append(_seconds(self._subject.get, id_of(i)))
        return {"each": each}

    def each_update(self, first: int, count: int) -> dict[str, Any]:
        """Update entries; tell the seconds of each."""
        return {"each": [_seconds(self._update, i) for i in range(first, first + count)]}

    def each_get(self, first: int, count: int) -> dict[str, Any]:
        """Get entries; tell the seconds of each."""
        return {"each": [_seconds(self._get, i) for i in range(first, first + count)]}

    def cold_get(self, i: int) -> dict[str, Any]:
        """Open the store and get one entry: for a process that has done nothing yet."""
        id = id_of(i * _STRIDE % self._data.size)
        return {"seconds": _seconds(lambda: self._subject.get(id))}

    def each_add_then_admin(self, seconds: float) -> dict[str, Any]:
        """Add what is prepared, and read page and statistics; tell the seconds of each reading."""
        each: list[float] = []
        deadline = time.monotonic() + seconds
        for entry in self._prepared:
            self._subject.add(entry)
            each.append(_seconds(self._read_admin_page))
            if time.monotonic() > deadline:
                break
        return {"each": each}

    def _read_admin_page(self) -> None:
        self._subject.page()
        self._subject.stats()

    def repeat(self, verb: str, times: int, seconds: float) -> dict[str, Any]:
        """Call a verb without arguments again and again; tell the seconds of each but the first."""
        call: Callable[[], object] = getattr(self._subject, verb)
        call()
        each: list[float] = []
        deadline = time.monotonic() + seconds
        while len(each) < times and (not each or time.monotonic() < deadline):
            each.append(_seconds(call))
        return {"each": each}

    def once(self, verb: str) -> dict[str, Any]:
        """Call a verb without arguments; tell the seconds and the process's peak memory."""
        call: Callable[[], object] = getattr(self._subject, verb)
        began = time.perf_counter()
        answer = call()
        seconds = time.perf_counter() - began
        many = len(answer) if isinstance(answer, Sequence) else answer
        return {"seconds": seconds, "peak_bytes": peak_bytes(), "answer": repr(many)[:80]}

    def close(self) -> dict[str, Any]:
        """Close the store."""
        if self._opened is not None:
            self._opened.close()
        return {}


def _seconds(call: Callable[..., object], *arguments: object) -> float:
    began = time.perf_counter()
    call(*arguments)
    return time.perf_counter() - began


def in_threads(
    shares: list[tuple[Callable[[Any], object], Sequence[Any]]], seconds: float
) -> dict[str, Any]:
    """Do every share in a thread of its own; all begin together, and none goes on for longer."""
    done = [0] * len(shares)
    errors: list[Exception] = []
    start = threading.Barrier(len(shares) + 1)

    def work(k: int) -> None:
        call, items = shares[k]
        start.wait()
        deadline = time.monotonic() + seconds
        try:
            for item in items:
                call(item)
                done[k] += 1
                if time.monotonic() > deadline:
                    return
        except Exception as error:  # noqa: BLE001  # raised again below, in the thread that asked
            errors.append(error)

    threads = [threading.Thread(target=work, args=(k,)) for k in range(len(shares))]
    for thread in threads:
        thread.start()
    start.wait()
    began = time.monotonic()
    for thread in threads:
        thread.join()
    ended = time.monotonic()
    if errors:
        raise errors[0]
    return {"done": sum(done), "began": began, "ended": ended}


def peak_bytes() -> int:
    """Return the most memory that this process has held.

    What it was started from counts too, which is why the process that starts it stays small.
    """
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
