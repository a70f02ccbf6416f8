"""What a worker does with object stores: a task at a time, of which it tells the time."""

import gc
import importlib
import threading
import time
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from functools import partial
from itertools import count
from multiprocessing import get_context
from typing import Any

from benchmarks.entries import DataSet, id_of
from benchmarks.objects import by_hand
from benchmarks.objects.adding import KINDS, Adding
from benchmarks.objects.place import Place
from benchmarks.objects.subject import Objects
from benchmarks.tasks import peak_bytes
from feedback_store import Query

_APART = 1_000
"""Between the numbers of entries that are added for different reasons."""


class ObjectSession:
    """The object stores of this process.

    Args:
        size: how many entries a store has.
        months: over how many months.
        crowd: how many small objects make a month crowded.
    """

    def __init__(self, size: int, months: int, crowd: int) -> None:
        self._data = DataSet(size, months)
        self._crowd_size = crowd
        self._small: dict[str, int] = {}
        self._numbers = count(2 * _APART)
        self._opened: dict[str, Objects] = {}
        self._prepared: Callable[[], object] | None = None
        self._adding: Adding | None = None

    def do(self, task: str, arguments: dict[str, Any]) -> dict[str, Any]:
        """Do a task, by the name of a public method."""
        answer: dict[str, Any] = getattr(self, task)(**arguments)
        return answer

    def build(self, place: dict[str, Any]) -> dict[str, Any]:
        """Make a compacted store with all entries."""
        _apart(_build, Place(**place), self._data)
        return {}

    def load(
        self, place: dict[str, Any], month: str | None, *, ours: bool, collected: bool
    ) -> dict[str, Any]:
        """Open, load all entries or those of a month, and keep them: in a process that is new."""
        answer: dict[str, Any] = _apart(_load, Place(**place), month, ours, collected)
        return answer

    def prepare(self, place: dict[str, Any], verb: str, k: int, *, cold: bool) -> dict[str, Any]:
        """Make ready for calling a verb the ``k``-th time, of a store that has read all, or new."""
        at = Place(**place)
        if cold:
            self._prepared = partial(self._call_cold, at, verb, k)
            return {}
        if at.url not in self._opened:
            self._opened[at.url] = Objects(at)
            self._opened[at.url].scan()
        self._prepared = self._action(self._opened[at.url], verb, k)
        return {}

    def act(self) -> dict[str, Any]:
        """Call what was made ready."""
        assert self._prepared is not None
        began = time.perf_counter()
        self._prepared()
        return {"seconds": time.perf_counter() - began}

    def _call_cold(self, place: Place, verb: str, k: int) -> None:
        subject = Objects(place)
        self._action(subject, verb, k)()
        subject.close()

    def _action(self, subject: Objects, verb: str, k: int) -> Callable[[], object]:
        """Return a verb with its arguments; the ``k``-th time they are others."""
        last = self._data.size - 1
        verb, _, crowded = verb.partition(", ")
        if crowded:
            self._crowd(subject, verb)
        if verb == "add":
            return self._addition(subject, k + (_APART if crowded else 0))
        of_entry: dict[str, Callable[[], object]] = {
            "get newest": partial(subject.get, id_of(last - k)),
            "get oldest": partial(subject.get, id_of(k)),
            "update": partial(subject.update, id_of(last - k), f"changed by step {k}"),
            "erase": partial(subject.erase, id_of(last - k)),
        }
        action: Callable[[], object] = of_entry.get(verb) or getattr(subject, verb)
        return action

    def _addition(self, subject: Objects, number: int) -> Callable[[], object]:
        """Return what adds one of the entries that come after the data set."""
        (mapping,) = self._data.mappings(self._data.size + number, 1)
        return partial(subject.add, subject.prepare(mapping))

    def _crowd(self, subject: Objects, verb: str) -> None:
        """See that the newest month has many small objects, of which a compaction makes one."""
        there = self._small.get(subject.place.url, 0)
        for _ in range(there, self._crowd_size):
            self._addition(subject, next(self._numbers))()
        self._small[subject.place.url] = 0 if verb == "compact" else self._crowd_size

    def prepare_adds(
        self, place: dict[str, Any], kind: str, callers: int, each: int
    ) -> dict[str, Any]:
        """Make entries ready to be added by some callers at the same time."""
        wanted = 1 + callers * each
        mappings = list(self._data.mappings(self._data.size, wanted))
        self._adding = KINDS[kind](Place(**place), mappings, callers)
        return {}

    def add(self) -> dict[str, Any]:
        """Add what was made ready."""
        assert self._adding is not None
        answer = self._adding.run()
        self._adding.close()
        return answer

    def close(self) -> dict[str, Any]:
        """Close the stores."""
        for subject in self._opened.values():
            subject.close()
        return {}


def _apart(call: Callable[..., Any], *arguments: object) -> Any:  # noqa: ANN401  # of any call
    """Return what a call returns in a process of its own, forked from this one.

    So it need not import anything, and its memory is its own. Nobody forks once there are threads.
    """
    assert threading.active_count() == 1, "a client has started threads already"
    importlib.import_module("s3fs")
    with get_context("fork").Pool(1) as pool:
        return pool.apply(call, arguments)


def _build(place: Place, data: DataSet) -> None:
    subject = Objects(place)
    subject.build(data)
    subject.close()


def _load(place: Place, month: str | None, ours: bool, collected: bool) -> dict[str, Any]:  # noqa: FBT001  # passed on by position
    if not collected:
        gc.disable()
    began = time.perf_counter()
    if ours:
        query = Query() if month is None else _query_of(month)
        subject = Objects(place)
        entries: Sequence[object] = subject.load_of(query)
    else:
        entries = by_hand.load(place, month)
    seconds = time.perf_counter() - began
    return {"seconds": seconds, "peak_bytes": peak_bytes(), "entries": len(entries)}


def _query_of(month: str) -> Query:
    """Return what asks for all entries of a month, such as ``"2025-10"``."""
    since = datetime.fromisoformat(f"{month}-01T00:00:00Z")
    until = (since + timedelta(days=31)).replace(day=1)
    return Query(since=since, until=until)
