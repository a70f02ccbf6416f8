"""Which months and which lines a query's times leave."""

import sys
from datetime import datetime
from typing import NamedTuple, Self

from feedback_store.query import Query
from feedback_store.stamps import stamp_of


class Span(NamedTuple):
    """A half-open stretch of time.

    Attributes:
        since: in microseconds since 1970.
        until: as ``since``.
        first: the first month of it, such as ``"2025-10"``; empty for no bound.
        last: the last month that may be in it.
    """

    since: int
    until: int
    first: str
    last: str

    @classmethod
    def of(cls, query: Query) -> Self:
        """Return that of a query."""
        since, until = query.since, query.until
        return cls(
            -sys.maxsize if since is None else stamp_of(since),
            sys.maxsize if until is None else stamp_of(until),
            "" if since is None else _month(since),
            "9999-12" if until is None else _month(until),
        )

    def may_have(self, month: str) -> bool:
        """Say whether entries of a month may lie in it."""
        return self.first <= month <= self.last


def _month(time: datetime) -> str:
    return f"{time.year:04}-{time.month:02}"
