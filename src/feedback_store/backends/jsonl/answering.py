"""Answers to queries, from what the index knows of each line.

Time, rating, issues, source types and explanation are decided without reading a line; lines are
read for entries that are to be shown, and where a query asks for more.
"""

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from functools import partial
from itertools import compress, islice
from typing import NamedTuple

from feedback_store.backends.jsonl import copying, scanning
from feedback_store.backends.jsonl.hints import hint_of
from feedback_store.backends.jsonl.scanning import Chosen, Snapshot
from feedback_store.backends.jsonl.tally import Tally
from feedback_store.backends.jsonl.traits import TraitTable
from feedback_store.backends.jsonl.view import MANY_TRAITS, Columns, View
from feedback_store.cursor import Cursor
from feedback_store.entry import FeedbackEntry
from feedback_store.operations import page_of
from feedback_store.query import Order, Page, Query
from feedback_store.stamps import stamp_of
from feedback_store.stats import Stats
from feedback_store.store import Lines, descending

_NEVER, _FOREVER = -(2**63), 2**63 - 1


def is_told(query: Query) -> bool:
    """Say whether the index tells all that a query asks for."""
    exact = (query.message_id, query.conversation_id, query.user_id, query.where)
    return exact == (None, None, None, None) and not (query.text or query.match)


class Slice(NamedTuple):
    """Lines of a part that may match, in the order of time.

    Attributes:
        part: the part.
        lines: which lines.
        mask: a byte for each of them: 1 where it matches as far as the index tells.
    """

    part: Snapshot
    lines: "array[int] | range"
    mask: bytes

    def between(self, low: int, high: int, *, backwards: bool) -> Iterator[int]:
        """Yield those that match, from one stamp up to another."""
        stamp_at = self.part.records.stamps.__getitem__
        first = bisect_left(self.lines, low, key=stamp_at)
        last = bisect_right(self.lines, high, first, key=stamp_at)
        if not backwards:
            yield from compress(self.lines[first:last], self.mask[first:last])
            return
        # From match to match: a page wants a few of the last.
        while (last := self.mask.rfind(1, first, last)) >= 0:
            yield self.lines[last]

    def matching(self) -> list[int]:
        """Return all that match."""
        return list(compress(self.lines, self.mask))

    def chosen(self, low: int, high: int) -> Chosen:
        """Return them as scans take them."""
        stamps = self.part.records.stamps
        ends = stamps[self.lines[0]], stamps[self.lines[-1]]
        return Chosen(self.part, *ends, partial(self.between, low, high))


class _Wanted:
    """Which traits match a query."""

    def __init__(self, query: Query, traits: TraitTable) -> None:
        self._wanted = bytes(some.match(query) for some in traits.all)
        few, many = self._wanted[:MANY_TRAITS], self._wanted[MANY_TRAITS:]
        self._codes = few.ljust(MANY_TRAITS, b"\0") + bytes([1 in many])
        self._codes_tell = len(set(many)) <= 1  # those with large numbers match all, or none

    def mask(self, columns: Columns, start: int, end: int) -> bytes:
        """Return a byte for each line of a stretch of time: 1 where its traits match."""
        if self._codes_tell:
            return bytes(columns.codes[start:end].translate(self._codes))
        number_of = columns.records.traits.__getitem__
        numbers = map(number_of, columns.lines[start:end])
        return bytes(map(self._wanted.__getitem__, numbers))


def _both(a: bytes, b: bytes) -> bytes:
    """Return 1 where both have a 1: as one large number, which takes no step for each."""
    both = int.from_bytes(a, "little") & int.from_bytes(b, "little")
    return both.to_bytes(len(a), "little")


class Asked:
    """A query over all lines as they are now; made while nobody changes them, used at leisure.

    Args:
        view: the lines, up to date.
        query: what is asked.
    """

    def __init__(self, view: View, query: Query) -> None:
        self._query = query
        self._traits = view.traits
        self._since = None if query.since is None else stamp_of(query.since)
        self._until = None if query.until is None else stamp_of(query.until)
        asked = (query.rating, query.has_explanation) != (None, None)
        asked = asked or bool(query.issues or query.source_types)
        self._wanted = _Wanted(query, view.traits) if asked else None
        self._parts = [columns.part for columns in view.columns]
        slices = map(self._slice, view.columns)
        self._slices = [some for some in slices if some is not None]

    def _slice(self, columns: Columns) -> Slice | None:
        """Return the lines of a part that match, None where all are of another time."""
        times = columns.times
        start = 0 if self._since is None else bisect_left(times, self._since)
        end = len(times) if self._until is None else bisect_left(times, self._until)
        if start >= end:
            return None
        mask = bytes(columns.alive[start:end])
        if self._wanted is not None:
            mask = _both(mask, self._wanted.mask(columns, start, end))
        return Slice(columns.snapshot(), columns.lines[start:end], mask)

    def count(self) -> int:
        """Return how many lines match, as far as the index tells."""
        return sum(some.mask.count(1) for some in self._slices)

    def stats(self) -> Stats:
        """Return the numbers of those lines."""
        tally, ends = Tally(self._traits), list[int]()
        for some in self._slices:
            if lines := some.matching():
                stamps = some.part.records.stamps
                ends += [stamps[lines[0]], stamps[lines[-1]]]
                tally.add_some(some.part.records, lines)
        return tally.stats(min(ends, default=None), max(ends, default=None))

    def is_doubtful(self) -> bool:
        """Say whether a line was met since that is no longer what it was."""
        return any(part.distrusted for part in self._parts)

    def entries(self, low: int = _NEVER, high: int = _FOREVER) -> Iterator[FeedbackEntry]:
        """Yield the entries of those lines by time, backwards where the query wants the newest.

        Args:
            low: the stamp of the first that is wanted.
            high: the stamp of the last that is wanted.
        """
        chosen = [some.chosen(low, high) for some in self._slices]
        backwards = descending(self._query)
        return scanning.in_order(chosen, backwards=backwards, hint=hint_of(self._query))

    def written(self) -> Iterator[Lines]:
        """Yield the lines themselves, in the same order; for queries that the index answers."""
        chosen = [some.chosen(_NEVER, _FOREVER) for some in self._slices]
        return copying.lines_in_order(chosen, backwards=descending(self._query))

    def page(self, limit: int, after: Cursor | None, number: int) -> Page:
        """Return a page of a query of which the index tells all, by time."""
        if after is None:
            entries = self.entries()
        else:
            here = stamp_of(after.timestamp)
            ends = (here, _FOREVER) if after.order is Order.OLDEST else (_NEVER, here)
            entries = filter(after.precedes, self.entries(*ends))
        skipped = limit * (number - 1)
        chosen = list(islice(entries, skipped, skipped + limit + 1))
        return page_of(chosen, limit, self.count(), self._query.order)
