"""What goes into a snapshot: entries or lines of a store, counted as they pass."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any, Protocol, TypeAlias, cast, runtime_checkable

from feedback_store import operations
from feedback_store.codec import decode
from feedback_store.entry import FeedbackEntry
from feedback_store.query import Order, Query
from feedback_store.store import Lines, Store, SupportsVersion

Progress: TypeAlias = Callable[[int], object]
"""Called now and then with how many entries have passed; what it raises ends the export."""

_TICK = 1000


@runtime_checkable
class Holder(Protocol):
    """What holds a store, as a `FeedbackStore` does."""

    @property
    def store(self) -> Store:
        """The store below."""
        ...


class Source(Protocol):
    """What can be exported: any store, and whatever else yields entries."""

    def scan(self, query: Query, /) -> Iterator[FeedbackEntry]:
        """Yield what matches; more may come: see `Store.scan`."""
        ...


@runtime_checkable
class RawSource(Protocol):
    """What also has rows that are no entries: a table of other people."""

    def raw_rows(self) -> Iterator[dict[str, Any]]:
        """Yield each row, with values that JSON can say."""
        ...


class Material:
    """The entries of a source that a query chooses, to be gone through once.

    Args:
        source: where they are.
        query: which of them; by time, oldest first, unless it asks for another order.
        progress: see `Progress`.

    Attributes:
        version: the source's version token before, where it has one.
        number: how many have passed.
        first: the earliest time of those.
        last: the latest.
    """

    def __init__(self, source: Source | Holder, query: Query, progress: Progress | None) -> None:
        below = source.store if isinstance(source, Holder) else source
        self._store = cast("Store", below)  # of a store, only its scan is asked for
        self._query = query.ordered(Order.OLDEST)
        self._progress = progress
        self.version = below.version() if isinstance(below, SupportsVersion) else None
        self.number = 0
        self.first: datetime | None = None
        self.last: datetime | None = None

    def lines(self) -> Iterator[Lines]:
        """Yield them as lines of JSON."""
        if self._query.order not in (Order.OLDEST, Order.NEWEST):
            yield from operations.encoded(self.entries())
            return
        for piece in operations.lines(self._store, self._query):
            ends = piece.data.partition(b"\n")[0], piece.data.rpartition(b"\n")[2]
            self._note(decode(line).timestamp for line in ends)
            self._count(piece.number)
            yield piece

    def entries(self) -> Iterator[FeedbackEntry]:
        """Yield them."""
        waiting = 0
        for entry in operations.scan(self._store, self._query):
            time = entry.timestamp
            self.first = time if self.first is None or time < self.first else self.first
            self.last = time if self.last is None or time > self.last else self.last
            waiting += 1
            if waiting == _TICK:
                self._count(waiting)
                waiting = 0
            yield entry
        self._count(waiting)

    def counted(self, rows: Iterable[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
        """Yield rows that are no entries; they count, and tell no time."""
        for number, row in enumerate(rows, 1):
            yield row
            if number % _TICK == 0 and self._progress is not None:
                self._progress(number)

    def _note(self, times: Iterable[datetime]) -> None:
        known = [time for time in (self.first, self.last, *times) if time is not None]
        self.first, self.last = min(known), max(known)

    def _count(self, number: int) -> None:
        self.number += number
        if self._progress is not None:
            self._progress(self.number)
