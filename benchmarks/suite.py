"""The operations that are compared, and how each is measured."""

import os
import shutil
from collections.abc import Sequence
from itertools import count
from pathlib import Path
from statistics import median
from typing import Any

import attrs

from benchmarks.crew import Worker, crew, output_of, seconds_of
from benchmarks.entries import DataSet
from benchmarks.subjects import NAMES

_IMPORTS = {
    "limit": "import attrs, msgspec",
    "naive": "import fcntl, json, os",
    "sqlite": "import json, sqlite3",
    "jsonl": "import feedback_store",
    "sqlitestore": "import feedback_store.backends.sqlite",
}
_TIMED = "import sys, time; began = time.perf_counter(); {}; print(time.perf_counter() - began)"
_READS = 4
"""Reads after a write, each round: one takes the naive service a second."""

_COLD = """
import sys
from pathlib import Path
from benchmarks.entries import id_of
from benchmarks.subjects import subject
subject(sys.argv[1])(Path(sys.argv[2])).get(id_of(int(sys.argv[3])))
"""


@attrs.frozen
class Scale:
    """How long measuring may take.

    Attributes:
        data: the entries that are there.
        rounds: how often everything is measured.
        operations: how many operations a loop does at most.
        seconds: how long a loop goes on at most.
    """

    data: DataSet
    rounds: int
    operations: int
    seconds: float


class Bench:
    """The folders of all subjects, and the ways to measure in them.

    Args:
        folder: an empty folder on the disk that is to be measured.
        scale: how long it may take.
    """

    def __init__(self, folder: Path, scale: Scale) -> None:
        self.scale = scale
        self._folder = folder
        self._next = scale.data.size
        self._names = count()

    def build(self, names: Sequence[str] = NAMES, *, written: bool = True) -> None:
        """Make folders of subjects: one that is only read, and one that is written to if asked."""
        for name in names:
            with self._worker(name, self._of("read", name)) as worker:
                worker.call("build")
            if written:
                self._copy(name, self._of("write", name))

    def _of(self, kind: str, name: str) -> Path:
        return self._folder / kind / name

    def _copy(self, name: str, target: Path) -> None:
        shutil.copytree(self._of("read", name), target)
        os.sync()

    def _session(self, name: str, folder: Path, *, synced: bool = True) -> dict[str, Any]:
        data = self.scale.data
        told = {"name": name, "folder": folder, "size": data.size, "months": data.months}
        return {**told, "synced": synced}

    def _worker(self, name: str, folder: Path, *, synced: bool = True) -> Worker:
        return Worker(**self._session(name, folder, synced=synced))

    def _numbers(self, wanted: int) -> dict[str, int]:
        """Return numbers of entries that nobody has added yet."""
        first, self._next = self._next, self._next + wanted
        return {"first": first, "count": wanted}

    def add(self, name: str, *, threads: int = 1, processes: int = 1, synced: bool = True) -> float:
        """Return how many entries a second are added by threads or processes together."""
        session = self._session(name, self._of("write", name), synced=synced)
        wanted = self.scale.operations * (threads * processes if synced else 4)
        with crew([session] * processes) as workers:
            for worker in workers:
                worker.call("prepare", **self._numbers(wanted // processes + 1))
            for worker in workers:
                worker.send("add", seconds=self.scale.seconds, threads=threads)
            answers = [worker.receive() for worker in workers]
        elapsed = max(a["ended"] for a in answers) - min(a["began"] for a in answers)
        return float(sum(a["done"] for a in answers) / elapsed)

    def add_many(self, name: str) -> float:
        """Return how many entries a second are imported into an empty store."""
        folder = self._folder / f"bulk-{next(self._names)}"
        with self._worker(name, folder) as worker:
            worker.call("prepare", first=0, count=self.scale.data.size)
            rate = _rate(worker.call("add_many"))
        shutil.rmtree(folder)
        os.sync()
        return rate

    def loop(self, name: str, task: str, kind: str) -> float:
        """Return how many operations a second a warm process does."""
        with self._worker(name, self._of(kind, name)) as worker:
            worker.call("warm")
            numbers = self._numbers(self.scale.operations)
            return _rate(worker.call(task, **numbers, seconds=self.scale.seconds))

    def cold_get(self, name: str) -> float:
        """Return the seconds from opening the store to the answer, in a process that is new."""
        with self._worker(name, self._of("read", name)) as worker:
            return float(worker.call("cold_get", i=next(self._names))["seconds"])

    def whole_get(self, name: str) -> float:
        """Return the seconds of a process that does nothing but get one entry."""
        i = next(self._names) * 7_919 % self.scale.data.size
        return seconds_of(_COLD, name, self._of("read", name), i)

    def read_own_write(self, name: str) -> float:
        """Return the seconds of a get right after the durable add, in the same process."""
        numbers = self._numbers(_READS)
        with self._worker(name, self._of("write", name)) as worker:
            worker.call("warm")
            worker.call("prepare", **numbers)
            ids = list(range(numbers["first"], numbers["first"] + _READS))
            return float(median(worker.call("each_add_then_get", ids=ids)["each"]))

    def read_admin_page(self, name: str) -> float:
        """Return the seconds of a page and statistics right after a durable add."""
        with self._worker(name, self._of("write", name)) as worker:
            worker.call("once", verb="page")
            worker.call("prepare", **self._numbers(self.scale.operations))
            answer = worker.call("each_add_then_admin", seconds=self.scale.seconds)
            return float(median(answer["each"]))

    def read_foreign_write(self, name: str) -> float:
        """Return the seconds of a get right after another process's durable add."""
        session = self._session(name, self._of("write", name))
        each: list[float] = []
        with crew([session] * 2) as (writer, reader):
            reader.call("warm")
            for _ in range(_READS):
                numbers = self._numbers(1)
                writer.call("prepare", **numbers)
                writer.call("each_add")
                each.extend(reader.call("get_new", ids=[numbers["first"]])["each"])
        return median(each)

    def warm(self, name: str, verb: str) -> float:
        """Return the seconds of a verb that reads, in a process that has called it before."""
        told = {"times": self.scale.operations, "seconds": self.scale.seconds}
        with self._worker(name, self._of("read", name)) as worker:
            return float(median(worker.call("repeat", verb=verb, **told)["each"]))

    def once(self, name: str, verb: str, told: str) -> float:
        """Return what a new process tells of one call of a verb that reads."""
        with self._worker(name, self._of("read", name)) as worker:
            return float(worker.call("once", verb=verb)[told])

    def compact(self, name: str) -> float:
        """Return the seconds that it takes to give back the space of updated entries."""
        folder = self._folder / f"compact-{next(self._names)}"
        self._copy(name, folder)
        with self._worker(name, folder, synced=False) as worker:
            worker.call("update", **self._numbers(self.scale.operations), seconds=60)
            os.sync()
            seconds = float(worker.call("once", verb="compact")["seconds"])
        shutil.rmtree(folder)
        os.sync()
        return seconds

    def bytes_per_entry(self, name: str) -> float:
        """Return the size of all files, shared out among the entries."""
        files = [path for path in self._of("read", name).rglob("*") if path.is_file()]
        return sum(path.stat().st_size for path in files) / self.scale.data.size

    def import_seconds(self, name: str) -> float:
        """Return what a new process pays for the import alone."""
        return float(output_of(_TIMED.format(_IMPORTS[name])))


def _rate(answer: dict[str, Any]) -> float:
    return float(answer["done"]) / float(answer["ended"] - answer["began"])
