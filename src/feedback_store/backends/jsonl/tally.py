"""Numbers about many lines, counted from what the index knows of them.

Lines are counted by their traits, of which there are few: what a set of traits adds to the
statistics is worked out once, when they are asked for.
"""

from collections import Counter
from collections.abc import Sequence

from feedback_store.backends.jsonl.records import Records
from feedback_store.backends.jsonl.traits import NO_RESPONSE, TraitTable
from feedback_store.stamps import time_of
from feedback_store.stats import Counting, Stats


class Tally:
    """What is known of some lines together."""

    def __init__(self, table: TraitTable) -> None:
        self._table = table
        self._traits: Counter[int] = Counter()
        self._months: Counter[tuple[int, int]] = Counter()
        self._responses = self._response_us = 0

    def count(self, records: Records, line: int, sign: int) -> None:
        """Count one line, or, with -1, take it out."""
        self._traits[records.traits[line]] += sign
        self._months[_month_of(records.stamps[line])] += sign
        if (response := records.responses[line]) != NO_RESPONSE:
            self._responses += sign
            self._response_us += sign * response

    def add_some(self, records: Records, lines: Sequence[int]) -> None:
        """Count lines, which are in the order of time."""
        if not lines:
            return
        self._traits.update(map(records.traits.__getitem__, lines))
        responses = list(map(records.responses.__getitem__, lines))
        silent = responses.count(NO_RESPONSE)
        self._responses += len(responses) - silent
        self._response_us += sum(responses) - silent * NO_RESPONSE
        first, last = (_month_of(records.stamps[line]) for line in (lines[0], lines[-1]))
        if first == last:
            self._months[first] += len(lines)
        else:
            self._months.update(_month_of(records.stamps[line]) for line in lines)

    def stats(self, first: int | None, last: int | None) -> Stats:
        """Return the numbers as statistics of lines with these first and last stamps."""
        sums = Counting()
        for number, count in self._traits.items():
            if count:
                self._expand(sums, number, count)
        sums.months.update({month: count for month, count in self._months.items() if count})
        sums.responses += self._responses
        sums.response_us += self._response_us
        if first is not None and last is not None:
            sums.first, sums.last = time_of(first), time_of(last)
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
