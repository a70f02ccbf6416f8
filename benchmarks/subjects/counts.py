"""Statistics of the peers: plain counters, with all that `feedback_store.Stats` tells."""

from collections import Counter, defaultdict
from collections.abc import Iterable


class Counts:
    """Counters of entries.

    Attributes:
        ratings: entries by class of rating: 1, 0 and -1 for good, neutral and bad, and None.
        months: entries by month.
        issues: entries by issue.
        types: entries by source type and class of rating.
        responses: how many entries tell a response time.
        response_us: their sum, in microseconds.
        first: the earliest timestamp.
        last: the latest timestamp.
    """

    def __init__(self) -> None:
        self.ratings: Counter[int | None] = Counter()
        self.months: Counter[str] = Counter()
        self.issues: Counter[str] = Counter()
        self.types: dict[str, Counter[int | None]] = defaultdict(Counter)
        self.responses = 0
        self.response_us = 0
        self.first: str | None = None
        self.last: str | None = None

    def count(
        self, month: str, rating: float | None, types: Iterable[str], seconds: float | None
    ) -> None:
        """Count an entry."""
        known = seconds is not None
        response_us = round(seconds * 1_000_000) if seconds is not None else 0
        self.add(month, rating, types, 1, int(known), response_us)

    def add(  # the columns of a row
        self, month: str, rating: float | None, types: Iterable[str],
        total: int, responses: int, response_us: int,
    ) -> None:  # fmt: skip
        """Count entries of one month, one rating and the same source types."""
        good = None if rating is None else (rating > 0.5) - (rating < 0.5)
        self.ratings[good] += total
        self.months[month] += total
        self.responses += responses
        self.response_us += response_us
        for kind in types:
            self.types[kind][good] += total
