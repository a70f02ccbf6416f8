"""Answering queries: which of the two ways, and until the answer is of one moment."""

from collections.abc import Callable, Iterator
from typing import TypeVar

from feedback_store import operations
from feedback_store.backends.jsonl.answering import Asked, is_told
from feedback_store.cursor import Cursor
from feedback_store.failures import Worded
from feedback_store.query import Order, Page, Query
from feedback_store.stats import Stats
from feedback_store.store import Lines, Store

T = TypeVar("T")
Ask = Callable[[Query], Asked]
"""Gives the lines that a query is about, as they are at the call."""

_BY_TIME = (Order.NEWEST, Order.OLDEST)
_TRIES = 5


def page(
    store: Store,
    ask: Ask,
    query: Query,
    limit: int,
    cursor: str | None,
    number: int | None,
) -> Page:
    """Return a page; where lines have to be read to count, that of a scan.

    Args:
        store: the store, for its scans.
        ask: asks the index.
        query: which entries.
        limit: how many entries a page has.
        cursor: after which entry it begins, None for the first page.
        number: which page it is instead.
    """
    query = query.ordered(Order.NEWEST)
    after = None if cursor is None else Cursor.parse(cursor, query.order)
    if not is_told(query) or query.order not in _BY_TIME:
        return operations.derived_page(store, query, limit, after, number or 1)
    for _ in range(_TRIES):
        asked = ask(query)
        found = asked.page(limit, after, number or 1)
        if not asked.is_doubtful():  # else a line was changed in place since: the count held it
            return found
    return ask(query).page(limit, after, number or 1)


def worded_scan(path: str, found: Iterator[T]) -> Iterator[T]:
    """Yield what was found; what fails meanwhile is an error of ours."""
    with Worded(path):
        yield from found


def lines(store: Store, ask: Ask, query: Query) -> Iterator[Lines]:
    """Return the lines that match."""
    if not is_told(query):
        return operations.encoded(operations.matching(store, query))
    return ask(query).written()


def count(store: Store, ask: Ask, query: Query) -> int:
    """Return how many entries match."""
    if not is_told(query):
        return sum(1 for _ in operations.matching(store, query))
    return ask(query).count()


def stats(store: Store, ask: Ask, query: Query) -> Stats:
    """Return the numbers of what matches."""
    if not is_told(query):
        return Stats.of(operations.matching(store, query))
    return ask(query).stats()
