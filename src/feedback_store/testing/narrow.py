"""A store with every faster way taken away, to hold the faster ways against the derived ones."""

from collections.abc import Iterable, Iterator, Sequence

from feedback_store.entry import FeedbackEntry
from feedback_store.query import Query
from feedback_store.store import Change, Outcome, Store


class FiveVerbs:
    """A layer through which only the five verbs of `Store` are visible.

    What is asked through it is answered by `feedback_store.operations` alone.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    def __repr__(self) -> str:
        """Show what is below."""
        return f"FiveVerbs({self._store!r})"

    def append(self, entries: Sequence[FeedbackEntry]) -> Sequence[Outcome]:
        """See `Store.append`."""
        return self._store.append(entries)

    def scan(self, query: Query) -> Iterator[FeedbackEntry]:
        """See `Store.scan`."""
        return self._store.scan(query)

    def rewrite(self, id: str, change: Change) -> FeedbackEntry:
        """See `Store.rewrite`."""
        return self._store.rewrite(id, change)

    def erase(self, ids: Iterable[str]) -> int:
        """See `Store.erase`."""
        return self._store.erase(ids)

    def close(self) -> None:
        """See `Store.close`."""
        self._store.close()
