"""The index of one data file: runs on disk for what is old, a dictionary for what is new.

Runs are merged four at a time into one, like the levels of a log-structured merge tree (O'Neil
et al., 1996): a file of a million lines has about eight, each line is rewritten some six times,
and no write ever costs what is there already. A process that starts maps the runs and reads only
the last lines of the data file. Runs cover the file from its start without gaps.
"""

import contextlib
import logging
import os
import secrets
import sys
from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias
from weakref import WeakMethod

from feedback_store.backends.jsonl.disk import Disk, File
from feedback_store.backends.jsonl.index_file import Run, Stretch, format_run, joined, parse_run
from feedback_store.backends.jsonl.layout import Layout, write_all
from feedback_store.backends.jsonl.records import Line, Records
from feedback_store.backends.jsonl.traits import TraitTable

logger = logging.getLogger("feedback_store.jsonl")

FLUSH_LINES = 512
"""New lines that are kept in memory before they become a run: what a fresh process reads."""

SUFFIX = ".idx"
_FAN_IN = 4

Identify: TypeAlias = Callable[[int], bytes | None]
"""Gives the identity of a data file up to a byte, or None when it is shorter than that."""

Listed: TypeAlias = Mapping[str, Sequence[int]]
"""Where the runs of an index end, by data file and beginning: one listing for all data files."""

Settle: TypeAlias = Callable[[], None]
"""A method that makes all lines that are known durable, or raises `OSError`: no run may outlive its
lines."""


class Tail:
    """The lines after the last run, in memory."""

    def __init__(self) -> None:
        self.records = Records()
        self.positions: dict[int, list[int]] = {}
        self.lines = self.damaged = self.superseded = self.superseded_bytes = 0

    def add(self, line: Line, shift: int = 0) -> None:
        """Add a line, so many bytes further on."""
        self.positions.setdefault(line.hashed, []).append(len(self.records))
        self.records.add(line, shift)


class Index:
    """Finds the lines of an id in one data file.

    Attributes:
        end: the byte up to which lines are known.
        discards: how often all of it was forgotten: lines then have other places.
    """

    def __init__(
        self, layout: Layout, name: str, reading: bytes, settle: Settle, traits: TraitTable
    ) -> None:
        self._layout = layout
        self._traits = traits
        self._disk = layout.disk
        self._folder = layout.index_path
        self._name = name
        self._stem = os.path.join(self._folder, name)
        self._reading = reading
        self._settle = WeakMethod(settle)  # it is the part's, which would keep itself alive
        self._runs: list[Run] = []
        self._tail = Tail()
        self._persistent = True
        self.end = 0
        self.discards = 0

    @property
    def runs_end(self) -> int:
        """The byte up to which runs reach."""
        return self._runs[-1].stretch.end if self._runs else 0

    @property
    def lines(self) -> int:
        """How many newlines stand before `end`."""
        return sum(run.stretch.lines for run in self._runs) + self._tail.lines

    @property
    def damaged(self) -> int:
        """How many damaged lines there are before `end`."""
        return sum(run.stretch.damaged for run in self._runs) + self._tail.damaged

    @property
    def superseded(self) -> int:
        """How many lines have been superseded by a later one."""
        return sum(run.stretch.superseded for run in self._runs) + self._tail.superseded

    @property
    def superseded_bytes(self) -> int:
        """The length of the superseded lines."""
        runs = sum(run.stretch.superseded_bytes for run in self._runs)
        return runs + self._tail.superseded_bytes

    def __len__(self) -> int:
        """How many good lines there are, superseded ones included."""
        return sum(run.count for run in self._runs) + len(self._tail.records)

    def find(self, hashed: int) -> "list[tuple[int, int]]":
        """Return offset and length of the lines with that hash, the last one first."""
        found: list[tuple[int, int]] = []
        if (positions := self._tail.positions.get(hashed)) is not None:
            records = self._tail.records
            found = [(records.offsets[i], records.lengths[i]) for i in reversed(positions)]
        for run in reversed(self._runs):
            if (first := run.first(hashed)) >= 0:
                found += run.find(hashed, first)
        return found

    def length_of(self, hashed: int) -> int:
        """Return the length of the last line with that hash, 0 when there is none."""
        found = self.find(hashed)
        return found[0][1] if found else 0

    def add(self, line: Line, shift: int = 0) -> None:
        """Add a good line, so many bytes further on than it says."""
        if line.superseded_bytes:
            self._tail.superseded += 1
            self._tail.superseded_bytes += line.superseded_bytes + 1
        self._tail.add(line, shift)

    def advance(self, end: int, lines: int, damaged: int) -> None:
        """Say that everything before ``end`` is known, after so many more lines."""
        self.end = end
        self._tail.lines += lines
        self._tail.damaged += damaged

    def records(self, first: int = 0) -> Records:
        """Return a copy of all good lines, in the order of the file, but for the first ones."""
        records = Records()
        for run in self._runs:
            if first < run.count:
                run.extend(records, self._traits, max(first, 0))
            first -= run.count
        records.extend(self._tail.records, max(first, 0))
        return records

    def discard(self) -> None:
        """Forget everything, on disk too: it was not what it should be, and can be made again."""
        logger.warning("the index of %s is damaged, and made again", self._name)
        with contextlib.suppress(OSError):  # who may only read leaves the damaged one there
            discard_runs(self._disk, self._folder, self._name, set())
        self._runs, self._tail, self.end = [], Tail(), 0
        self.discards += 1

    def load(self, identify: Identify, listed: Listed | None = None) -> None:
        """Take the runs on disk that belong to the data file as it is."""
        self._adopt(identify, listed=listed)
        self.end = self.runs_end

    def flush(self, identify: Identify, lines: int = FLUSH_LINES) -> None:
        """Make a run of the new lines when they are many, unless another process has done so."""
        if len(self._tail.records) < lines:
            return
        total = self._counts()
        if self._adopt(identify, self.end):  # what reaches further than we have read is not for us
            self._forget_before(self.runs_end, total)
            if len(self._tail.records) < lines:
                return
        identity = identify(self.end)
        if identity is None:
            return
        tail = self._tail
        counts = (tail.lines, tail.damaged, tail.superseded, tail.superseded_bytes)
        stretch = Stretch(identity, self._reading, self.runs_end, self.end, *counts)
        self._runs.append(self._write(stretch, tail.records))
        self._tail = Tail()
        self._merge()

    def _merge(self) -> None:
        while len(self._runs) >= _FAN_IN:
            last = self._runs[-_FAN_IN:]
            if last[0].count > _FAN_IN * last[-1].count:
                return
            records = Records()
            for run in last:
                run.extend(records, self._traits)
            merged = joined([run.stretch for run in last])
            self._runs[-_FAN_IN:] = [self._write(merged, records)]
            for run in last:
                self._disk.unlink(self._path(run.stretch.start, run.stretch.end))

    def _write(self, stretch: Stretch, records: Records) -> Run:
        """Return a run, from disk if it can be written there: who may only read keeps it here."""
        data = format_run(stretch, records, self._traits)
        path = self._path(stretch.start, stretch.end)
        body = memoryview(data)
        if self._persistent:
            try:
                settle = self._settle()
                assert settle is not None, "only the part asks its index"
                settle()
                body = self._save(path, data).map()
            except FileNotFoundError:
                pass  # no writer has made the folder of the index yet
            except OSError as error:
                self._persistent = False
                logger.info("the index stays in memory: %s", error.strerror)
        run = parse_run(body)
        assert run is not None, "a run must be readable as soon as it is written"
        return run

    def _save(self, path: str, data: bytes) -> File:
        temporary = f"{path}.{secrets.token_hex(8)}.tmp"
        file = self._layout.create(temporary)
        try:
            write_all(file, data)
            file.sync()
            self._disk.rename(temporary, path)
        except OSError:
            self._disk.unlink(temporary)
            raise
        return file

    def run_names(self) -> set[str]:
        """Return the names of the runs on disk."""
        stretches = (run.stretch for run in self._runs)
        return {os.path.basename(self._path(s.start, s.end)) for s in stretches}

    def _path(self, start: int, end: int) -> str:
        return f"{self._stem}.{start}-{end}{SUFFIX}"

    def _adopt(
        self, identify: Identify, limit: int = sys.maxsize, *, listed: Listed | None = None
    ) -> bool:
        """Take runs from disk that continue ours, the longest first; say whether there were."""
        found: list[Run] = []
        start = self.runs_end
        while (run := self._next(start, identify, limit, listed)) is not None:
            found.append(run)
            start = run.stretch.end
        self._runs += found  # all at once: where a call fails, nothing was taken
        return bool(found)

    def _next(
        self, start: int, identify: Identify, limit: int, listed: Listed | None
    ) -> Run | None:
        runs = list_runs(self._disk, self._folder) if listed is None else listed
        for end in sorted(runs.get(f"{self._name}.{start}", ()), reverse=True):  # the longest first
            if not start < end <= limit:
                continue  # an empty one would be taken again and again
            path = self._path(start, end)
            try:
                run = parse_run(self._disk.open(path).map())
            except OSError:
                if listed is not None:  # that was a moment ago
                    return self._next(start, identify, limit, None)
                continue  # merged away meanwhile, or not ours to read: it can be made again
            if run is None or run.stretch[1:4] != (self._reading, start, end):
                continue
            if run.stretch.identity == identify(end):
                return run
        return None

    def _counts(self) -> tuple[int, int, int, int]:
        return self.lines, self.damaged, self.superseded, self.superseded_bytes

    def _forget_before(self, end: int, total: tuple[int, int, int, int]) -> None:
        """Drop from memory the lines that an adopted run holds by now; keep the total counts."""
        records = self._tail.records
        self._tail = tail = Tail()
        first = bisect_left(records.offsets, end)
        for i in range(first, len(records)):
            tail.add(records.line(i))
        rest = [both - runs for both, runs in zip(total, self._counts(), strict=True)]
        tail.lines, tail.damaged, tail.superseded, tail.superseded_bytes = rest


def list_runs(disk: Disk, folder: str) -> dict[str, list[int]]:
    """Return where the runs in a folder end, by data file and beginning."""
    found: dict[str, list[int]] = {}
    for name in disk.list(folder):
        begins, _, end = name.removesuffix(SUFFIX).rpartition("-")
        if end.isdecimal():
            found.setdefault(begins, []).append(int(end))
    return found


def discard_runs(disk: Disk, folder: str, name: str, keep: set[str]) -> None:
    """Remove the runs of a data file that is about to be replaced, but for those of its heir."""
    for found in disk.list(folder):
        if found.startswith(f"{name}.") and SUFFIX in found and found not in keep:
            disk.unlink(os.path.join(folder, found))
