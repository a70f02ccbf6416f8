"""What one can do with any store: derived from its five verbs, once, for every backend.

Where a store offers a faster way (`SupportsGet` and its kin) that is asked instead, unless the
query holds a ``where``: a function of the app's can only be applied here.
"""

import heapq
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from functools import cache
from itertools import islice
from typing import cast

import attrs

from feedback_store.codec import encode
from feedback_store.cursor import Cursor
from feedback_store.entry import FeedbackEntry
from feedback_store.errors import (
    DuplicateEntryError,
    EntryNotFoundError,
    InvalidQueryError,
)
from feedback_store.query import Order, Page, Query
from feedback_store.report import Check, CheckReport, CompactReport, Status
from feedback_store.stats import Stats
from feedback_store.store import (
    Lines,
    Store,
    SupportsCheck,
    SupportsCompact,
    SupportsCount,
    SupportsGet,
    SupportsGetMany,
    SupportsLines,
    SupportsPage,
    SupportsStats,
)

FIXED = frozenset({"id", "timestamp", "message_id"})
"""Fields that no update may change: what an entry is about, and where it is kept."""


def same_content(a: FeedbackEntry, b: FeedbackEntry) -> bool:
    """Say whether two entries say the same, whenever they were given.

    ``timestamp``, ``updated_at`` and ``metadata.timestamp`` do not count: a browser that sends
    its feedback again stamps it anew.
    """
    return a == b or _timeless(a) == _timeless(b)


def _timeless(entry: FeedbackEntry) -> tuple[object, ...]:
    told = entry.metadata
    rest = {key: value for key, value in told.extra.items() if key != "timestamp"}
    fields = (getattr(entry, name) for name in _TIMELESS)
    known = (told.response_time, told.token_count, told.conversation_id, told.explanation)
    return (*fields, *known, told.issues, rest)


_TIMELESS = tuple(
    field.name
    for field in attrs.fields(FeedbackEntry)
    if field.name not in {"timestamp", "updated_at", "metadata", "spelled"}
)


def conflict(id: str) -> DuplicateEntryError:
    """Return the error for an entry that stands under the id with other content."""
    msg = f"another entry stands under the id {id!r}; use put to replace it, or another id"
    return DuplicateEntryError(msg)


def not_found(id: str) -> EntryNotFoundError:
    """Return the error for an id without an entry."""
    return EntryNotFoundError(f"no entry has the id {id!r}")


def matching(store: Store, query: Query) -> Iterator[FeedbackEntry]:
    """Yield what matches, in the store's order (by time), filtered again."""
    entries = store.scan(query)
    conditions = query.conditions()
    if not conditions:
        return entries
    if len(conditions) == 1:
        return filter(conditions[0], entries)
    return (entry for entry in entries if all(holds(entry) for holds in conditions))


def scan(store: Store, query: Query) -> Iterator[FeedbackEntry]:
    """Yield what matches, in the order that the query asks for, oldest first unless it does."""
    query = query.ordered(Order.OLDEST)
    entries = matching(store, query)
    if query.order in (Order.OLDEST, Order.NEWEST):
        return entries
    return iter(sorted(entries, key=lambda entry: rating_key(entry, query.order)))


def lines(store: Store, query: Query) -> Iterator[Lines]:
    """Yield what `scan` would, as lines of JSON, a bounded piece at a time."""
    query = query.ordered(Order.OLDEST)
    plain = query.where is None and query.order in (Order.OLDEST, Order.NEWEST)
    if plain and _offers(type(store), SupportsLines):
        return cast("SupportsLines", store).lines(query)
    return encoded(scan(store, query))


def encoded(entries: Iterable[FeedbackEntry]) -> Iterator[Lines]:
    """Yield entries as lines of JSON."""
    piece: list[bytes] = []
    size_bytes = 0
    for entry in entries:
        piece.append(line := encode(entry))
        size_bytes += len(line)
        if size_bytes >= _PIECE_BYTES:
            yield Lines(b"\n".join(piece), len(piece))
            piece, size_bytes = [], 0
    if piece:
        yield Lines(b"\n".join(piece), len(piece))


_PIECE_BYTES = 1 << 18


def rating_key(entry: FeedbackEntry, order: Order | None) -> tuple[bool, float]:
    """Return what sorts by rating, ascending: unrated last, ties left as they come."""
    if entry.rating is None:
        return True, 0.0
    return False, -entry.rating if order is Order.RATING_DESC else entry.rating


@cache
def _offers(kind: type[Store], protocol: type) -> bool:
    """Say whether stores of a class offer a faster way: asking a protocol costs as much as that."""
    return issubclass(kind, protocol)


def find(store: Store, id: str) -> FeedbackEntry | None:
    """Return the entry, or None when there is none."""
    if _offers(type(store), SupportsGet):
        return cast("SupportsGet", store).get(id)
    return next((entry for entry in store.scan(Query()) if entry.id == id), None)


def find_many(store: Store, ids: Collection[str]) -> Mapping[str, FeedbackEntry]:
    """Return the entries that there are, by their ids."""
    if _offers(type(store), SupportsGetMany):
        return cast("SupportsGetMany", store).get_many(ids)
    if _offers(type(store), SupportsGet):
        found = ((id, cast("SupportsGet", store).get(id)) for id in ids)
        return {id: entry for id, entry in found if entry is not None}
    wanted = frozenset(ids)
    return {entry.id: entry for entry in store.scan(Query()) if entry.id in wanted}


def present(store: Store, ids: Collection[str]) -> list[str]:
    """Return those ids under which there is an entry, in their order."""
    there = find_many(store, ids)
    return [id for id in ids if id in there]


def page(
    store: Store, query: Query, limit: int, cursor: str | None = None, number: int | None = None
) -> Page:
    """Return one page, newest first unless the query says otherwise.

    Args:
        store: the store.
        query: which entries.
        limit: how many entries a page has, 1 or more.
        cursor: `Page.next_cursor` of the page before; stable while others write.
        number: the page's number instead, from 1.

    Raises:
        InvalidQueryError: a limit or number below 1, a cursor and a number at once, or a
            cursor that was not made for this order.
    """
    query = query.ordered(Order.NEWEST)
    if limit < 1 or (number is not None and number < 1):
        msg = "limit and page must be 1 or more"
        raise InvalidQueryError(msg)
    if cursor is not None and number is not None:
        msg = "give a cursor or a page number, not both"
        raise InvalidQueryError(msg)
    after = None if cursor is None else Cursor.parse(cursor, query.order)
    if query.where is None and _offers(type(store), SupportsPage):
        return cast("SupportsPage", store).page(query, limit, cursor, number)
    return derived_page(store, query, limit, after, number or 1)


def derived_page(store: Store, query: Query, limit: int, after: Cursor | None, number: int) -> Page:
    """Return a page of what the store's scan gives: what `page` does where there is no faster way.

    The query names its order; the arguments were checked.
    """
    counted = _Counted(matching(store, query))
    entries: Iterator[FeedbackEntry] = iter(counted)
    if after is not None:
        entries = filter(after.precedes, entries)
    wanted = limit * number + 1
    if query.order in (Order.OLDEST, Order.NEWEST):
        chosen = list(islice(entries, limit * (number - 1), wanted))
    else:
        chosen = heapq.nsmallest(wanted, entries, key=lambda e: rating_key(e, query.order))
        chosen = chosen[limit * (number - 1) :]
    return page_of(chosen, limit, counted.exhaust(), query.order)


def page_of(chosen: Sequence[FeedbackEntry], limit: int, total: int, order: Order | None) -> Page:
    """Return the page that begins with the chosen entries, of which there may be one too many."""
    shown = tuple(chosen[:limit])
    more = len(chosen) > limit
    next_cursor = str(Cursor.at(shown[-1], order)) if more else None
    return Page(entries=shown, total=total, next_cursor=next_cursor)


class _Counted:
    """An iterator that knows how many there were in all."""

    def __init__(self, entries: Iterator[FeedbackEntry]) -> None:
        self._entries = entries
        self._count = 0

    def __iter__(self) -> Iterator[FeedbackEntry]:
        for entry in self._entries:
            self._count += 1
            yield entry

    def exhaust(self) -> int:
        return self._count + sum(1 for _ in self._entries)


def count(store: Store, query: Query) -> int:
    """Return how many entries match."""
    if query.where is None and _offers(type(store), SupportsCount):
        return cast("SupportsCount", store).count(query)
    return sum(1 for _ in matching(store, query))


def stats(store: Store, query: Query) -> Stats:
    """Return the statistics of what matches."""
    if query.where is None and _offers(type(store), SupportsStats):
        return cast("SupportsStats", store).stats(query)
    return Stats.of(matching(store, query))


def check(store: Store) -> CheckReport:
    """Examine a store; of one that cannot do so itself, the entries are read and counted."""
    if isinstance(store, SupportsCheck):
        return store.check()
    entries = count(store, Query())
    found = Check(name="entries", status=Status.OK, message=f"{entries} entries")
    return CheckReport(location=repr(store), checks=(found,))


def compact(store: Store) -> CompactReport:
    """Give back the space of superseded entries, where the store keeps any."""
    if isinstance(store, SupportsCompact):
        return store.compact()
    store.scan(Query())  # a store that was closed says so
    return CompactReport()
