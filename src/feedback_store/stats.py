"""Numbers about many entries, as values that add up."""

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import datetime

import attrs

from feedback_store.entry import FeedbackEntry
from feedback_store.frozen import EMPTY, FrozenDict
from feedback_store.rating import Rating


@attrs.frozen(kw_only=True)
class Group:
    """The ratings of some of the entries.

    Attributes:
        total: how many entries there are.
        positive: how many of them are rated positive.
        rated: how many of them are rated at all.
    """

    total: int = 0
    positive: int = 0
    rated: int = 0

    @property
    def helpful_rate(self) -> float | None:
        """The share of positive among rated ones, 0 to 1; None when nothing is rated."""
        return self.positive / self.rated if self.rated else None

    def __add__(self, other: "Group") -> "Group":
        """Return the group of both."""
        return Group(
            total=self.total + other.total,
            positive=self.positive + other.positive,
            rated=self.rated + other.rated,
        )


@attrs.frozen(kw_only=True)
class Stats:
    """Numbers about a set of entries: ``Stats.of(a) + Stats.of(b) == Stats.of(a + b)``.

    Attributes:
        total: how many entries there are.
        positive: how many are rated above 0.5.
        negative: how many are rated below 0.5.
        neutral: how many are rated exactly 0.5.
        unrated: how many have no rating.
        by_month: entries per UTC month of their timestamp, such as ``{"2025-10": 3}``.
        by_issue: entries per issue, of all entries whatever their rating.
        by_source_type: a `Group` per source type; an entry counts once for a type, and for
            ``"unknown"`` where it has no source or a source has no type.
        response_time_total_us: the sum of all response times, in whole microseconds: integers
            add up exactly, in any order, which floating-point seconds do not.
        response_time_count: how many entries told a response time.
        first: the earliest timestamp, None without entries.
        last: the latest timestamp, None without entries.
    """

    total: int = 0
    positive: int = 0
    negative: int = 0
    neutral: int = 0
    unrated: int = 0
    by_month: Mapping[str, int] = EMPTY
    by_issue: Mapping[str, int] = EMPTY
    by_source_type: Mapping[str, Group] = EMPTY
    response_time_total_us: int = 0
    response_time_count: int = 0
    first: datetime | None = None
    last: datetime | None = None

    @classmethod
    def of(cls, entries: Iterable[FeedbackEntry]) -> "Stats":
        """Count the entries, in one pass and constant memory."""
        counting = Counting()
        for entry in entries:
            counting.count(entry)
        return counting.result()

    @property
    def rated(self) -> int:
        """How many entries have a rating."""
        return self.positive + self.negative + self.neutral

    @property
    def helpful_rate(self) -> float | None:
        """The share of positive among rated ones, 0 to 1; None when nothing is rated."""
        return self.positive / self.rated if self.rated else None

    @property
    def mean_response_time(self) -> float | None:
        """The mean response time in seconds; None when no entry tells one."""
        if not self.response_time_count:
            return None
        return self.response_time_total_us / (self.response_time_count * 1_000_000)

    def __add__(self, other: "Stats") -> "Stats":
        """Return the numbers of both sets together."""
        return Stats(
            total=self.total + other.total,
            positive=self.positive + other.positive,
            negative=self.negative + other.negative,
            neutral=self.neutral + other.neutral,
            unrated=self.unrated + other.unrated,
            by_month=_sum_counts(self.by_month, other.by_month),
            by_issue=_sum_counts(self.by_issue, other.by_issue),
            by_source_type=_sum_groups(self.by_source_type, other.by_source_type),
            response_time_total_us=self.response_time_total_us + other.response_time_total_us,
            response_time_count=self.response_time_count + other.response_time_count,
            first=min((t for t in (self.first, other.first) if t), default=None),
            last=max((t for t in (self.last, other.last) if t), default=None),
        )


class Counting:
    """Numbers that are still being counted: the mutable half of `Stats.of`, and of kept sums."""

    def __init__(self) -> None:
        self.ratings: Counter[Rating] = Counter()
        self.months: Counter[tuple[int, int]] = Counter()
        self.issues: Counter[str] = Counter()
        self.types: dict[str, Counter[Rating]] = {}
        self.response_us = 0
        self.responses = 0
        self.first: datetime | None = None
        self.last: datetime | None = None

    def count(self, entry: FeedbackEntry) -> None:
        """Count an entry."""
        rating = Rating.of(entry.rating)
        self.ratings[rating] += 1
        when = entry.timestamp
        self.months[when.year, when.month] += 1
        self.issues.update(frozenset(entry.metadata.issues))
        for kind in entry.source_types:
            self.types.setdefault(kind, Counter())[rating] += 1
        if (response_time := entry.metadata.response_time) is not None:
            self.response_us += to_microseconds(response_time)
            self.responses += 1
        if self.first is None or when < self.first:
            self.first = when
        if self.last is None or when > self.last:
            self.last = when

    def result(self) -> Stats:
        """Return the numbers so far."""
        return Stats(
            total=self.ratings.total(),
            positive=self.ratings[Rating.POSITIVE],
            negative=self.ratings[Rating.NEGATIVE],
            neutral=self.ratings[Rating.NEUTRAL],
            unrated=self.ratings[Rating.UNRATED],
            by_month=FrozenDict({f"{y:04}-{m:02}": n for (y, m), n in sorted(self.months.items())}),
            by_issue=FrozenDict(sorted(self.issues.items())),
            by_source_type=FrozenDict({k: _group(n) for k, n in sorted(self.types.items())}),
            response_time_total_us=self.response_us,
            response_time_count=self.responses,
            first=self.first,
            last=self.last,
        )


def to_microseconds(seconds: float) -> int:
    """Return seconds as whole microseconds; any finite number, however large, has some."""
    whole = int(seconds)
    return whole * 1_000_000 + round((seconds - whole) * 1_000_000)


def _group(ratings: Counter[Rating]) -> Group:
    total = ratings.total()
    return Group(
        total=total, positive=ratings[Rating.POSITIVE], rated=total - ratings[Rating.UNRATED]
    )


def _sum_counts(a: Mapping[str, int], b: Mapping[str, int]) -> FrozenDict:
    return FrozenDict({key: a.get(key, 0) + b.get(key, 0) for key in sorted({*a, *b})})


def _sum_groups(a: Mapping[str, Group], b: Mapping[str, Group]) -> FrozenDict:
    none = Group()
    return FrozenDict({key: a.get(key, none) + b.get(key, none) for key in sorted({*a, *b})})
