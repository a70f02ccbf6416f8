"""Numbers about many lines, counted from what the index knows of them.

Lines are counted by their traits, of which there are few: what a set of traits adds to the
statistics is worked out once, when they are asked for.
"""

from collections import Counter
from collections.abc import Sequence
from itertools import compress

from feedback_store.backends.jsonl.records import Records
from feedback_store.backends.jsonl.traits import NO_RESPONSE, TraitTable
from feedback_store.stamps import time_of
from feedback_store.stats import Counting, Stats


class Tally:
    """What is known of some lines together.

    Attributes:
        total: how many lines there are.
        first: the stamp of the earliest line, None without any.
        last: the stamp of the latest one.
        ends_known: whether the two still hold: a line that was one of them is gone.
    """

    def __init__(self, table: TraitTable) -> None:
        self._table = table
        self._traits: Counter[int] = Counter()
        self._months: Counter[tuple[int, int]] = Counter()
        self._responses = self._response_us = 0
        self.total = 0
        self.first: int | None = None
        self.last: int | None = None
        self.ends_known = True

    def add(self, records: Records, i: int) -> None:
        """Count one line."""
        stamp = records.stamps[i]
        self._count(records, i, 1)
        self.stretch(stamp, stamp)

    def remove(self, records: Records, i: int, heir: int) -> None:
        """Take out one line, for one of the stamp ``heir`` that was counted in its place."""
        stamp = records.stamps[i]
        self._count(records, i, -1)
        if stamp != heir and stamp in (self.first, self.last):
            self.ends_known = False

    def _count(self, records: Records, i: int, sign: int) -> None:
        self.total += sign
        self._traits[records.traits[i]] += sign
        self._months[_month_of(records.stamps[i])] += sign
        if (response := records.responses[i]) != NO_RESPONSE:
            self._responses += sign
            self._response_us += sign * response

    def add_some(self, records: Records, start: int, mask: Sequence[int]) -> None:
        """Count lines from ``start`` on: those for which there is a 1."""
        end = start + len(mask)
        traits, responses, stamps = (
            list(compress(numbers[start:end], mask))
            for numbers in (records.traits, records.responses, records.stamps)
        )
        if not stamps:
            return
        self.total += len(stamps)
        self._traits.update(traits)
        silent = responses.count(NO_RESPONSE)
        self._responses += len(responses) - silent
        self._response_us += sum(responses) - silent * NO_RESPONSE
        first, last = min(stamps), max(stamps)
        self.stretch(first, last)
        if _month_of(first) == _month_of(last):
            self._months[_month_of(first)] += len(stamps)
        else:
            self._months.update(map(_month_of, stamps))

    def stretch(self, first: int, last: int) -> None:
        """Say that there are lines of these stamps."""
        self.first = first if self.first is None else min(self.first, first)
        self.last = last if self.last is None else max(self.last, last)

    def stats(self) -> Stats:
        """Return the numbers as statistics."""
        sums = Counting()
        for number, count in self._traits.items():
            if count:
                self._expand(sums, number, count)
        sums.months.update({month: count for month, count in self._months.items() if count})
        sums.responses += self._responses
        sums.response_us += self._response_us
        if self.first is not None and self.last is not None:
            sums.first, sums.last = time_of(self.first), time_of(self.last)
        return sums.result()

    def _expand(self, sums: Counting, number: int, count: int) -> None:
        traits = self._table.all[number]
        sums.ratings[traits.rating] += count
        for issue in traits.issues:
            sums.issues[issue] += count
        for kind in traits.source_types:
            sums.types.setdefault(kind, Counter())[traits.rating] += count
        if traits.response_us is not None:
            sums.responses += count
            sums.response_us += count * traits.response_us


def _month_of(stamp: int) -> tuple[int, int]:
    time = time_of(stamp)
    return time.year, time.month
