"""The lines of all parts, as questions look at them, kept in memory and up to date.

A question about many entries (a page, a number, a scan) must not read the months for it, nor look
at each line anew. So a process that is asked keeps the index's arrays, which of the lines still
count, and the sum of those; 50 bytes a line. What is written is taken in line by line: the next
question costs what was written since the last one.

Contract: after `refresh`, a line is alive exactly when no later line is of the same id. Later is:
in a later part, or further on in the same one.
"""

import operator
import weakref
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from itertools import compress, islice
from typing import Self

from feedback_store.backends.jsonl.part import Part
from feedback_store.backends.jsonl.records import Records
from feedback_store.backends.jsonl.scanning import Snapshot, superseded_lines
from feedback_store.backends.jsonl.tally import Tally
from feedback_store.backends.jsonl.traits import TraitTable
from feedback_store.errors import InvalidEntryError
from feedback_store.stats import Stats

MANY_TRAITS = 255

_MANY = 4096
"""New lines for which it is cheaper to look at all lines again than to look up each."""


class Columns:
    """The lines of one part, in the order of time; those of one time in the order of the file.

    The part is referred to weakly: once the store has dropped it, its file is closed, whoever still
    remembers its lines.

    Attributes:
        key: tells the part from others that are there with it.
        records: its good lines, in the order of the file; they are only added to.
        times: their stamps, in order.
        lines: for each time, which line it is.
        alive: for each time, 1 while the line counts, 0 once it is superseded.
        codes: for each time, the number of the line's traits, `MANY_TRAITS` where it is larger.
    """

    def __init__(self, part: Part) -> None:
        self.key = id(part)
        self._part = weakref.ref(part)
        self._discards = part.index.discards
        self.records = Records()
        self.times = array("q")
        self.lines: array[int] | range = array("I")
        self.alive = bytearray()
        self.codes = bytearray()

    @property
    def part(self) -> Part:
        """The part, which the store has not dropped."""
        part = self._part()
        assert part is not None, "only what is current is looked at"
        return part

    def is_of(self, part: Part) -> bool:
        """Say whether these are the lines of a part."""
        return self._part() is part

    def __len__(self) -> int:
        """How many lines there are."""
        return len(self.alive)

    def take_new(self) -> bool:
        """Take in the lines that came; return False where all were read anew, to other places."""
        before, index = len(self), self.part.index
        if len(index) == before and index.discards == self._discards:
            return True
        new = self.part.records(before)
        if index.discards != self._discards:
            return False
        if self.times is self.records.stamps:
            self.times, self.lines = self.times[:], array("I", self.lines)
        self.records.extend(new)
        if len(new) > _MANY:
            self._sort()
        else:
            for line in range(before, len(self.records)):
                self._insert(line)
        return True

    def _insert(self, line: int) -> None:
        """Put a line where its time is: near the end, nearly always."""
        stamp = self.records.stamps[line]
        at = bisect_right(self.times, stamp)
        self.times.insert(at, stamp)
        assert isinstance(self.lines, array), "it is one before a line is put in"
        self.lines.insert(at, line)
        self.alive.insert(at, 1)
        self.codes.insert(at, min(self.records.traits[line], MANY_TRAITS))

    def _sort(self) -> None:
        """Put all lines in order; which of them count is to be found out."""
        stamps, traits = self.records.stamps, self.records.traits
        # A month that stands in the order of time needs no arrays for it, until a line is added.
        self.lines, self.times = range(len(stamps)), stamps
        if not all(map(operator.le, stamps, islice(stamps, 1, None))):
            self.lines = array("I", sorted(self.lines, key=stamps.__getitem__))
            self.times = array("q", map(stamps.__getitem__, self.lines))
            traits = array("I", map(traits.__getitem__, self.lines))
        few = max(traits) <= MANY_TRAITS
        self.codes = bytearray(traits.tolist() if few else (min(t, MANY_TRAITS) for t in traits))
        self.alive = bytearray(b"\1" * len(stamps))

    def at(self, line: int) -> int:
        """Return where a line is in the order of time."""
        stamp = self.records.stamps[line]
        first, end = bisect_left(self.times, stamp), bisect_right(self.times, stamp)
        return bisect_left(self.lines, line, first, end)

    def lines_of(self, hashed: int) -> Iterator[int]:
        """Yield the lines of a hash."""
        for offset, _ in self.part.index.find(hashed):
            yield bisect_left(self.records.offsets, offset)

    def id_of(self, line: int) -> str | None:
        """Return the id of a line's entry; None where it can no longer be read."""
        records = self.records
        try:
            data = self.part.file.read(records.offsets[line], records.lengths[line])
            return self.part.decode_known(data).id
        except InvalidEntryError:
            return None

    def snapshot(self) -> Snapshot:
        """Return the part as scans take it."""
        return Snapshot(self.part.file, self.part.decode_known, self.records)


class View:
    """The lines of all parts of a folder. It is to be used by one thread at a time.

    Attributes:
        traits: what the numbers of traits stand for.
        tally: the numbers of all lines that count.
    """

    def __init__(self, traits: TraitTable) -> None:
        self.traits = traits
        self.forget()

    def forget(self) -> None:
        """Start anew."""
        self._columns: list[Columns] = []
        self.tally = Tally(self.traits)
        self._stats: Stats | None = None

    @property
    def columns(self) -> Sequence[Columns]:
        """The lines by parts, the oldest month first."""
        return self._columns

    def stats(self) -> Stats:
        """Return the numbers of all lines that count; the same value until something comes."""
        if self._stats is None:
            self._stats = self._counted()
        return self._stats

    def _counted(self) -> Stats:
        firsts = (some.times[at] for some in self._columns if (at := some.alive.find(1)) >= 0)
        lasts = (some.times[at] for some in self._columns if (at := some.alive.rfind(1)) >= 0)
        return self.tally.stats(min(firsts, default=None), max(lasts, default=None))

    def refresh(self, parts: Sequence[Part]) -> Self:
        """Take in what came to the parts, and which parts there are; return itself."""
        try:
            self._refresh(parts)
        except BaseException:
            self.forget()  # it may have come between two halves of a change
            raise
        return self

    def _refresh(self, parts: Sequence[Part]) -> None:
        known = {columns.key: columns for columns in self._columns}
        kept = [known.get(id(part)) for part in parts]
        before = [
            some if some is not None and some.is_of(part) else Columns(part)
            for some, part in zip(kept, parts, strict=True)
        ]
        gone = len(known) > sum(map(operator.is_, kept, before))
        sizes = [len(columns) for columns in before]
        self._columns = [some if some.take_new() else _anew(some.part) for some in before]
        new = [
            (columns, range(size, len(columns)))
            for columns, size in zip(self._columns, sizes, strict=True)
            if len(columns) > size
        ]
        if new or gone or self._columns != before:
            self._stats = None
        if gone or self._columns != before or sum(len(lines) for _, lines in new) > _MANY:
            self._look_at_all()
            return
        for columns, lines in new:
            for line in lines:
                self._enter(columns, line)

    def _look_at_all(self) -> None:
        hidden = superseded_lines([columns.snapshot() for columns in self._columns])
        self.tally = Tally(self.traits)
        for k, columns in enumerate(self._columns):
            columns.alive = bytearray(b"\1" * len(columns))
            for line in hidden.get(k, ()):
                columns.alive[columns.at(line)] = 0
            self.tally.add_some(columns.records, list(compress(columns.lines, columns.alive)))

    def _enter(self, columns: Columns, line: int) -> None:
        """Find out whether a new line counts, and which it supersedes."""
        hashed = columns.records.hashes[line]
        found = [(some, i) for some in self._columns for i in sorted(some.lines_of(hashed))]
        if len(found) > 1:
            id = columns.id_of(line)
            same = [(some, i) for some, i in found if some.id_of(i) == id]
            if same and same[-1] != (columns, line):
                columns.alive[columns.at(line)] = 0
                return
            for some, i in same[:-1]:
                if some.alive[at := some.at(i)]:
                    some.alive[at] = 0
                    self.tally.count(some.records, i, -1)
        self.tally.count(columns.records, line, 1)


def _anew(part: Part) -> Columns:
    """Return the lines of a part that was read anew."""
    while not (columns := Columns(part)).take_new():
        continue
    return columns
