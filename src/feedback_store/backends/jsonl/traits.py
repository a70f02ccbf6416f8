"""What questions ask of an entry besides its time, as one number.

Many entries have the same traits: a rating, some issues, some source types. So each set of them is
looked at once for a question, however many entries have it, and a line keeps its number.
"""

import json
from collections.abc import Iterable
from typing import NamedTuple

from feedback_store.query import Query
from feedback_store.rating import Rating
from feedback_store.stats import to_microseconds
from feedback_store.wire import Glimpse

NO_RESPONSE = 2**32 - 1
"""Stands for an entry that tells no response time, or one that its traits tell."""


class Traits(NamedTuple):
    """What questions ask of an entry besides its time.

    Attributes:
        rating: the class of its rating.
        issues: its issues, sorted, each once.
        source_types: the types of its sources, sorted.
        explained: whether there is an explanation that says something.
        response_us: its response time in microseconds, where a line's number cannot hold it.
    """

    rating: Rating
    issues: tuple[str, ...]
    source_types: tuple[str, ...]
    explained: bool
    response_us: int | None

    def match(self, query: Query) -> bool:
        """Say whether an entry with these may match, as far as they tell."""
        if query.rating not in (None, self.rating):
            return False
        if query.has_explanation not in (None, self.explained):
            return False
        if query.issues and not set(query.issues).intersection(self.issues):
            return False
        return not query.source_types or bool(set(query.source_types) & set(self.source_types))


class TraitTable:
    """The traits that a store has met, each with a number. To be changed by one thread at a time.

    Attributes:
        all: the traits by their numbers; it only grows.
    """

    def __init__(self) -> None:
        self.all: list[Traits] = []
        self._numbers: dict[Traits, int] = {}
        self._seen: dict[tuple[object, ...], int] = {}

    def number(self, traits: Traits) -> int:
        """Return the number of traits, a new one where they are new."""
        number = self._numbers.setdefault(traits, len(self.all))
        if number == len(self.all):
            self.all.append(traits)
        return number

    def of(self, seen: Glimpse) -> tuple[int, int]:
        """Return the number of an entry's traits, and its response time as lines keep it."""
        response, odd = NO_RESPONSE, None
        if seen.response_time is not None:
            response = to_microseconds(seen.response_time)
            if not 0 <= response < NO_RESPONSE:
                response, odd = NO_RESPONSE, response
        rating = Rating.of(seen.rating)
        key = rating, seen.issues, seen.source_types, seen.explained, odd
        number = self._seen.get(key)
        if number is None:
            issues, types = sorted(set(seen.issues)), sorted(seen.source_types)
            traits = Traits(rating, tuple(issues), tuple(types), seen.explained, odd)
            number = self._seen[key] = self.number(traits)
        return number, response


def written(traits: Iterable[Traits]) -> bytes:
    """Return traits as JSON, as a run of the index holds them."""
    return json.dumps(list(traits), separators=(",", ":")).encode()


def read(data: bytes) -> list[Traits]:
    """Return what `written` wrote."""
    return [
        Traits(Rating(rating), tuple(issues), tuple(types), explained, response_us)
        for rating, issues, types, explained, response_us in json.loads(data)
    ]
