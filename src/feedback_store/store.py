"""The narrow waist: what a backend or a layer implements, and what it promises.

A `Store` has five verbs, each of which no other can express. All else that an app can ask for
follows from them and is written once, in `feedback_store.operations`; where a store can answer
faster, it says so by one of the one-method protocols at the end, and must then answer exactly
as the derived way would. `feedback_store.testing` holds every promise made here as a test.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from enum import StrEnum
from typing import NamedTuple, Protocol, TypeAlias, runtime_checkable

from feedback_store.entry import FeedbackEntry
from feedback_store.query import Page, Query
from feedback_store.report import CheckReport, CompactReport
from feedback_store.stats import Stats

Change: TypeAlias = Callable[[FeedbackEntry], FeedbackEntry]
"""What `Store.rewrite` applies: the entry as it is, to the entry as it shall be."""


class Outcome(StrEnum):
    """What became of an entry."""

    ADDED = "added"
    """It was not there, and is now."""
    UNCHANGED = "unchanged"
    """The same entry was there already; nothing had to be done."""
    CONFLICT = "conflict"
    """Other content stands under the id; nothing was stored."""
    UPDATED = "updated"
    """It took the place of what stood there (by `put` only, never by `append`)."""


@runtime_checkable
class Store(Protocol):
    """A durable set of entries, keyed by ``id``.

    Safe to use from any number of threads. Absent, empty and damaged are three answers: a
    location that does not exist yet reads as empty, a damaged part is skipped, counted and
    reported, and never takes its neighbours with it.
    """

    def append(self, entries: Sequence[FeedbackEntry]) -> Sequence[Outcome]:
        """Store entries that are new, and say what became of each, in their order.

        ADDED, UNCHANGED (the same content stands under the id; `timestamp`, `updated_at` and
        ``metadata.timestamp`` do not count, so that a browser's retry is harmless), or CONFLICT
        (other content stands there; nothing is stored for it). Entries of one call see those
        before them.

        Durability: what is ADDED or UNCHANGED is durable when the call returns.
        Atomicity: each entry is there whole or not at all, for every reader at every time.
        Idempotence: after an error nothing is acknowledged, and the same call may be made again.

        Raises:
            InvalidEntryError: an entry is larger than this store takes; nothing was stored.
            StoreUnavailableError: the medium failed; see its subclasses.
            StoreClosedError: the store was closed.
        """
        ...

    def scan(self, query: Query) -> Iterator[FeedbackEntry]:
        """Yield every entry that matches, each once, as of the call.

        Order: by (timestamp, id), ascending for ``oldest`` and for a query without an order,
        descending for every other one (`descending`): `operations` sorts by rating on top.
        The query is a hint: more than what matches may come, and `operations` filters again,
        so that correctness never rests on a backend's filter.

        Raises:
            StoreUnavailableError: at the call, or while iterating.
            StoreClosedError: the store was closed.
        """
        ...

    def rewrite(self, id: str, change: Change) -> FeedbackEntry:
        """Read the entry, apply ``change``, and store the result, as one step.

        No other write comes between, in any process. ``id`` and ``timestamp`` may not change,
        so that an entry never moves to another month. When ``change`` raises, or gives back an
        equal entry, nothing is written. ``change`` must not call the store. Durable when it
        returns.

        Raises:
            EntryNotFoundError: no entry has that id.
            InvalidEntryError: ``change`` touched ``id`` or ``timestamp``, or its result is too
                large; nothing was changed.
            StoreUnavailableError: the medium failed.
            StoreClosedError: the store was closed.
        """
        ...

    def erase(self, ids: Iterable[str]) -> int:
        """Remove entries from the medium itself, not only from sight; say how many there were.

        Ids without an entry do not count and are no error. When it returns, nothing of the
        entries is left in any file or object of the store, indexes and quarantine included.

        Raises:
            StoreUnavailableError: the medium failed; the same call may be made again.
            StoreClosedError: the store was closed.
        """
        ...

    def close(self) -> None:
        """Give back what the store holds; may be repeated.

        Every later call of another verb raises StoreClosedError.
        """
        ...


def descending(query: Query) -> bool:
    """Say whether `Store.scan` shall yield the newest first for this query."""
    return query.order not in (None, "oldest")


@runtime_checkable
class SupportsGet(Protocol):
    """A store that finds an entry by its id without a scan."""

    def get(self, id: str) -> FeedbackEntry | None:
        """Return the entry, or None when there is none."""
        ...


@runtime_checkable
class SupportsGetMany(Protocol):
    """A store that finds many entries at the price of one, where each would cost a request."""

    def get_many(self, ids: Collection[str]) -> Mapping[str, FeedbackEntry]:
        """Return the entries that there are, by their ids."""
        ...


@runtime_checkable
class SupportsPage(Protocol):
    """A store that answers a page without reading all that matches."""

    def page(self, query: Query, limit: int, cursor: str | None, number: int | None) -> Page:
        """Return what `operations.page` would; ``where`` never comes here."""
        ...


@runtime_checkable
class SupportsCount(Protocol):
    """A store that counts without reading the entries."""

    def count(self, query: Query) -> int:
        """Return how many entries match; ``where`` never comes here."""
        ...


@runtime_checkable
class SupportsStats(Protocol):
    """A store that keeps or computes statistics without reading the entries."""

    def stats(self, query: Query) -> Stats:
        """Return the statistics of what matches; ``where`` never comes here."""
        ...


@runtime_checkable
class SupportsVersion(Protocol):
    """A store that can tell cheaply whether anything changed."""

    def version(self) -> str:
        """Return an opaque token that changes whenever the contents do, in any process."""
        ...


class Lines(NamedTuple):
    """Entries as lines of JSON.

    Attributes:
        data: the lines, in UTF-8, with a newline between two of them and none at the end.
        number: how many there are, 1 or more.
    """

    data: bytes
    number: int


@runtime_checkable
class SupportsLines(Protocol):
    """A store that keeps entries as lines, and can give these without making the entries."""

    def lines(self, query: Query) -> Iterator[Lines]:
        """Yield what `scan` would, exactly what matches, as of the call; a bounded piece at a time.

        `codec.decode` reads each line as the entry, without being told of a zone or a time. The
        order is by time; ``where`` and an order by rating never come here.
        """
        ...


@runtime_checkable
class SupportsCompact(Protocol):
    """A store that can give back the space of what is superseded."""

    def compact(self) -> CompactReport:
        """Rewrite what holds superseded or damaged parts; nothing visible changes."""
        ...


@runtime_checkable
class SupportsCheck(Protocol):
    """A store that can examine itself."""

    def check(self) -> CheckReport:
        """Look at the medium and the contents; problems are told, not raised."""
        ...
