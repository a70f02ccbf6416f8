"""The lines of all parts, as questions look at them, kept in memory and up to date.

A question about many entries (a page, a number, a scan) must not read the months for it, nor look
at each line anew. So a process that is asked keeps the index's arrays, which of the lines still
count, and the sum of those; 40 bytes a line. What is written is taken in line by line: the next
question costs what was written since the last one.

Contract: after `refresh`, a line is alive exactly when no later line is of the same id. Later is:
in a later part, or further on in the same one.
"""

import operator
import weakref
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from itertools import compress, islice, pairwise
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
    """The lines of one part.

    The part is referred to weakly: once the store has dropped it, its file is closed, whoever still
    remembers its lines.

    Attributes:
        key: tells the part from others that are there with it.
        records: its good lines; they are only added to.
        alive: a byte for each of them: 1 while it counts, 0 once it is superseded.
        codes: a byte for each of them: the number of its traits, `MANY_TRAITS` where it is larger.
        first: no line is of an earlier stamp.
        last: no line is of a later stamp.
        in_order: whether the lines stand in the order of time.
    """

    def __init__(self, part: Part) -> None:
        self.key = id(part)
        self._part = weakref.ref(part)
        self._discards = part.index.discards
        self.records = Records()
        self.alive = bytearray()
        self.codes = bytearray()
        self.first = self.last = 0
        self.in_order = True

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
        before = len(self)
        new = self.part.records(before)
        if self.part.index.discards != self._discards:
            return False
        if len(new):
            self.records.extend(new)
            self.alive.extend(b"\1" * len(new))
            self.codes.extend(min(number, MANY_TRAITS) for number in new.traits)
            ends = min(new.stamps), max(new.stamps)
            self.first = min(self.first, ends[0]) if before else ends[0]
            self.last = max(self.last, ends[1]) if before else ends[1]
            later = islice(self.records.stamps, max(before - 1, 0), None)
            self.in_order = self.in_order and all(a <= b for a, b in pairwise(later))
        return True

    def places_of(self, hashed: int) -> Iterator[int]:
        """Yield the places of the lines of a hash."""
        for offset, _ in self.part.index.find(hashed):
            yield bisect_left(self.records.offsets, offset)

    def id_at(self, i: int) -> str | None:
        """Return the id of the entry at a place; None where it can no longer be read."""
        try:
            line = self.part.file.read(self.records.offsets[i], self.records.lengths[i])
            return self.part.decode_known(line).id
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
        if not self.tally.ends_known:
            self.tally.first = self.tally.last = None
            for columns in self._columns:
                if stamps := list(compress(columns.records.stamps, columns.alive)):
                    self.tally.stretch(min(stamps), max(stamps))
            self.tally.ends_known = True
        return self.tally.stats()

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
            for i in lines:
                self._enter(columns, i)

    def _look_at_all(self) -> None:
        hidden = superseded_lines([columns.snapshot() for columns in self._columns])
        self.tally = Tally(self.traits)
        for k, columns in enumerate(self._columns):
            columns.alive = bytearray(b"\1" * len(columns))
            for i in hidden.get(k, ()):
                columns.alive[i] = 0
            self.tally.add_some(columns.records, 0, columns.alive)

    def _enter(self, columns: Columns, i: int) -> None:
        """Find out whether a new line counts, and which it supersedes."""
        hashed = columns.records.hashes[i]
        places = [(some, j) for some in self._columns for j in sorted(some.places_of(hashed))]
        if len(places) > 1:
            id = columns.id_at(i)
            same = [(some, j) for some, j in places if some.id_at(j) == id]
            if same and same[-1] != (columns, i):
                columns.alive[i] = 0
                return
            for some, j in same[:-1]:
                if some.alive[j]:
                    some.alive[j] = 0
                    self.tally.remove(some.records, j, columns.records.stamps[i])
        self.tally.add(columns.records, i)


def _anew(part: Part) -> Columns:
    """Return the lines of a part that was read anew."""
    while not (columns := Columns(part)).take_new():
        continue
    return columns
