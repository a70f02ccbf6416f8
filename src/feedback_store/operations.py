"""What one can do with any store: derived from its five verbs, once, for every backend.

Where a store offers a faster way (`SupportsGet` and its kin) that is asked instead, unless the
query holds a ``where``: a function of the app's can only be applied here.
"""

import heapq
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from functools import cache
from itertools import islice
from typing import Any, cast

import attrs

from feedback_store.cursor import Cursor
from feedback_store.entry import OWN_KEYS, OWN_METADATA_KEYS, FeedbackEntry, Metadata
from feedback_store.errors import (
    DuplicateEntryError,
    EntryNotFoundError,
    InvalidEntryError,
    InvalidQueryError,
)
from feedback_store.frozen import FrozenDict
from feedback_store.query import Order, Page, Query
from feedback_store.stats import Stats
from feedback_store.store import (
    Outcome,
    Store,
    SupportsCount,
    SupportsGet,
    SupportsPage,
    SupportsStats,
)

FIXED = frozenset({"id", "timestamp", "message_id"})
"""Fields that no update may change: what an entry is about, and where it is kept."""

_ERASE_BATCH = 1000


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
    return _derived_page(store, query, limit, after, number or 1)


def _derived_page(
    store: Store, query: Query, limit: int, after: Cursor | None, number: int
) -> Page:
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
    shown = tuple(chosen[:limit])
    more = len(chosen) > limit
    next_cursor = str(Cursor.at(shown[-1], query.order)) if more else None
    return Page(entries=shown, total=counted.exhaust(), next_cursor=next_cursor)


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


def put(store: Store, entry: FeedbackEntry) -> Outcome:
    """Store an entry in place of what stands under its id.

    It keeps the timestamp of what it replaces and gets ``updated_at``; the same content again
    is UNCHANGED, and nothing is written.
    """
    while True:
        outcome = store.append([entry])[0]
        if outcome is not Outcome.CONFLICT:
            return outcome
        try:
            store.rewrite(entry.id, lambda old: _replacing(old, entry))
        except EntryNotFoundError:
            continue  # erased since: then it can be added
        return Outcome.UPDATED


def _replacing(old: FeedbackEntry, new: FeedbackEntry) -> FeedbackEntry:
    if same_content(old, new):
        return old
    return attrs.evolve(new, timestamp=old.timestamp, updated_at=datetime.now(UTC))


def update(
    store: Store, id: str, add_issues: Iterable[str], fields: dict[str, Any]
) -> FeedbackEntry:  # fmt: skip
    """Change fields of the entry and of its metadata by their names; see `FeedbackStore.update`."""
    check_names(fields)
    added = (add_issues,) if isinstance(add_issues, str) else add_issues
    issues = Metadata(issues=added).issues  # checked before the store is asked
    return store.rewrite(id, lambda old: changed(old, issues, fields))


def check_names(fields: dict[str, Any]) -> None:
    """Refuse names that no update can change.

    Raises:
        InvalidEntryError: naming the first of them, and what can be given.
    """
    known = (OWN_KEYS | OWN_METADATA_KEYS | {"extra"}) - FIXED
    for name in fields:
        if name in FIXED:
            msg = f"{name} cannot be changed: delete the entry and add another"
            raise InvalidEntryError(msg)
        if name not in known:
            msg = f"{name!r} is no field of an entry; fields are {', '.join(sorted(known))}"
            raise InvalidEntryError(msg)


def changed(old: FeedbackEntry, issues: tuple[str, ...], fields: dict[str, Any]) -> FeedbackEntry:
    """Return the entry with fields replaced, extras merged and issues added.

    ``updated_at`` is now, unless given, or unless nothing changes.
    """
    metadata = old.metadata
    if "metadata" in fields:
        metadata = attrs.evolve(old, metadata=fields["metadata"]).metadata
    told = {name: value for name, value in fields.items() if name in OWN_METADATA_KEYS}
    if told:
        metadata = attrs.evolve(metadata, **told)
    if added := [issue for issue in dict.fromkeys(issues) if issue not in metadata.issues]:
        metadata = attrs.evolve(metadata, issues=(*metadata.issues, *added))
    own = {name: value for name, value in fields.items() if name in OWN_KEYS}
    if "extra" in fields:
        more = attrs.evolve(old, extra=fields["extra"]).extra
        own["extra"] = FrozenDict({**old.extra, **more})
    new = attrs.evolve(old, **{**own, "metadata": metadata})
    if new == old:
        return old
    return new if "updated_at" in fields else attrs.evolve(new, updated_at=datetime.now(UTC))


def delete_where(store: Store, query: Query) -> int:
    """Erase every entry that matches; say how many."""
    ids = [entry.id for entry in matching(store, query)]
    return sum(store.erase(ids[i : i + _ERASE_BATCH]) for i in range(0, len(ids), _ERASE_BATCH))
