"""Rows of sums, as a database adds them up, into statistics."""

from collections import Counter
from collections.abc import Iterable

from feedback_store.sql.classes import CLASSES, month_of_number
from feedback_store.stamps import time_of
from feedback_store.stats import Counting


class Sums(Counting):
    """Statistics that come in sums: entries of one class, one month, and the same names."""

    def add_all(self, number: int, month: int, total: int, responses: int, us: int) -> None:
        """Add entries of one class and month.

        Args:
            number: that of the class.
            month: its number.
            total: how many entries there are.
            responses: how many of them tell a response time.
            us: the sum of these, in microseconds.
        """
        self.ratings[CLASSES[number]] += total
        self.months[month_of_number(month)] += total
        self.responses += responses
        self.response_us += us

    def add_issue(self, issue: str, total: int) -> None:
        """Add entries that have an issue."""
        self.issues[issue] += total

    def add_type(self, source_type: str, number: int, total: int) -> None:
        """Add entries of one class that have a source of a type."""
        self.types.setdefault(source_type, Counter())[CLASSES[number]] += total

    def add_ends(self, stamps: Iterable[int | None]) -> None:
        """Add times, of which the first and the last are told."""
        times = [time_of(stamp) for stamp in stamps if stamp is not None]
        self.first = min((t for t in (self.first, *times) if t), default=None)
        self.last = max((t for t in (self.last, *times) if t), default=None)
