"""`FeedbackStore`: what apps hold. Every verb works the same on every store."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from types import TracebackType
from typing import Any, Self

import attrs

from feedback_store import operations
from feedback_store.entry import FeedbackEntry
from feedback_store.errors import InvalidEntryError
from feedback_store.group_commit import GroupCommit
from feedback_store.query import Page, Query
from feedback_store.report import Check, CheckReport, CompactReport, Status
from feedback_store.stats import Stats
from feedback_store.store import Outcome, Store, SupportsCheck, SupportsCompact

_EVERYTHING = Query()
_BATCH = 1000


def _check_type(entry: object) -> None:
    if not isinstance(entry, FeedbackEntry):
        msg = (
            f"an entry must be a FeedbackEntry, not a {type(entry).__name__}; "
            "make one by FeedbackEntry(...), or by decode(...) from JSON"
        )
        raise InvalidEntryError(msg)


@attrs.frozen(kw_only=True)
class BatchResult:
    """What became of many entries.

    Attributes:
        added: how many were new.
        unchanged: how many were there already, with the same content.
        conflicts: the ids under which other content stands; nothing was stored for those.
    """

    added: int = 0
    unchanged: int = 0
    conflicts: tuple[str, ...] = ()

    @property
    def total(self) -> int:
        """How many entries were given."""
        return self.added + self.unchanged + len(self.conflicts)

    def __add__(self, other: "BatchResult") -> "BatchResult":
        """Return the result of both batches."""
        return BatchResult(
            added=self.added + other.added,
            unchanged=self.unchanged + other.unchanged,
            conflicts=self.conflicts + other.conflicts,
        )


class FeedbackStore:
    """Feedback, kept in a `Store`.

    Open one by `feedback_store.open_store`, or put it around any store of your own. It may be
    used from any number of threads, and in children after a ``fork()``. As a context manager it
    closes itself.

    Every verb may raise `StoreUnavailableError` (the medium failed) and `StoreClosedError`.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._group = GroupCommit(store.append)

    def __repr__(self) -> str:
        """Show the store and its location."""
        return f"FeedbackStore({self._store!r})"

    @property
    def store(self) -> Store:
        """The store below, for what only it can do."""
        return self._store

    def add(self, entry: FeedbackEntry) -> Outcome:
        """Store a new entry, durably; threads that add at the same time share one sync.

        Returns:
            ADDED, or UNCHANGED when the same content stands there already, so that a retry is
            harmless.

        Raises:
            DuplicateEntryError: other content stands under its id.
            InvalidEntryError: it is larger than the store takes.
        """
        _check_type(entry)  # here, so that it harms nobody who shares the group
        outcome = self._group.add(entry)
        if outcome is Outcome.CONFLICT:
            raise operations.conflict(entry.id)
        return outcome

    def add_many(self, entries: Iterable[FeedbackEntry]) -> BatchResult:
        """Store many entries, a batch at a time; each batch is durable before the next begins.

        A conflict does not stop the others. After an error, what came before it is stored, and
        the same call may be made again: what is there already counts as unchanged.

        Raises:
            InvalidEntryError: one is larger than the store takes; its batch is not stored.
        """
        result = BatchResult()
        remaining = iter(entries)
        while batch := list(islice(remaining, _BATCH)):
            outcomes = self.add_each(batch)
            result += BatchResult(
                added=outcomes.count(Outcome.ADDED),
                unchanged=outcomes.count(Outcome.UNCHANGED),
                conflicts=tuple(
                    entry.id
                    for entry, outcome in zip(batch, outcomes, strict=True)
                    if outcome is Outcome.CONFLICT
                ),
            )
        return result

    def add_each(self, entries: Sequence[FeedbackEntry]) -> Sequence[Outcome]:
        """Store some entries by one append, and say what became of each, in their order.

        A conflict is an outcome here, and no error. All that is added is durable at once, so that
        this is for as many as belong together; `add_many` is for any number.

        Raises:
            InvalidEntryError: one is larger than the store takes; nothing was stored.
        """
        for entry in entries:
            _check_type(entry)
        return self._store.append(entries)

    def put(self, entry: FeedbackEntry) -> Outcome:
        """Store an entry in place of whatever stands under its id.

        What is replaced gives its first timestamp; ``updated_at`` is now.

        Returns:
            ADDED, UPDATED, or UNCHANGED when the same content stands there already.

        Raises:
            InvalidEntryError: it is larger than the store takes.
        """
        _check_type(entry)
        return operations.put(self._store, entry)

    def update(
        self, id: str, *, add_issues: Iterable[str] = (), **fields: Any  # noqa: ANN401  # any field's value
    ) -> FeedbackEntry:  # fmt: skip
        """Change an entry, as one step that no other write can come between.

        Args:
            id: the entry.
            add_issues: issues to add to those it has.
            **fields: new values, by the names of the entry's fields (``rating=1``) and its
                metadata's (``explanation="..."``); ``extra={...}`` is merged into its extras.

        Returns:
            The entry as it is now; ``updated_at`` tells when, unless nothing changed.

        Raises:
            EntryNotFoundError: no entry has that id.
            InvalidEntryError: an unknown or fixed field, or a value that does not fit.
        """
        return operations.update(self._store, id, add_issues, fields)

    def delete(self, *ids: str) -> int:
        """Erase entries from the medium itself; say how many were there.

        Missing ones do not count, and raise nothing.
        """
        return self._store.erase(ids)

    def delete_where(self, query: Query) -> int:
        """Erase every entry that matches; say how many."""
        return operations.delete_where(self._store, query)

    def get(self, id: str) -> FeedbackEntry:
        """Return the entry.

        Raises:
            EntryNotFoundError: no entry has that id.
        """
        entry = operations.find(self._store, id)
        if entry is None:
            raise operations.not_found(id)
        return entry

    def find(self, id: str) -> FeedbackEntry | None:
        """Return the entry, or None when there is none."""
        return operations.find(self._store, id)

    def scan(self, query: Query = _EVERYTHING) -> Iterator[FeedbackEntry]:
        """Yield every entry that matches, as of this call, oldest first unless told.

        By time, it takes constant memory; an order by rating needs all of them at once.
        """
        return operations.scan(self._store, query)

    def page(
        self,
        query: Query = _EVERYTHING,
        limit: int = 50,
        *,
        cursor: str | None = None,
        page: int | None = None,
    ) -> Page:
        """Return one page of what matches, newest first unless told.

        Args:
            query: which entries, in which order.
            limit: how many entries a page has.
            cursor: `Page.next_cursor` of the page before: neither repeats nor skips an entry
                while others write.
            page: the number of the page instead, from 1.

        Raises:
            InvalidQueryError: a limit or page below 1, a cursor of another order, or both a
                cursor and a page.
        """
        return operations.page(self._store, query, limit, cursor, page)

    def count(self, query: Query = _EVERYTHING) -> int:
        """Return how many entries match."""
        return operations.count(self._store, query)

    def stats(self, query: Query = _EVERYTHING) -> Stats:
        """Return the numbers about what matches."""
        return operations.stats(self._store, query)

    def check(self) -> CheckReport:
        """Examine the store: problems are told in the report, not raised."""
        if isinstance(self._store, SupportsCheck):
            return self._store.check()
        entries = self.count()
        found = Check(name="entries", status=Status.OK, message=f"{entries} entries")
        return CheckReport(location=repr(self._store), checks=(found,))

    def compact(self) -> CompactReport:
        """Give back the space of superseded entries, where the store keeps any."""
        if isinstance(self._store, SupportsCompact):
            return self._store.compact()
        self._store.scan(_EVERYTHING)  # a store that was closed says so
        return CompactReport()

    def close(self) -> None:
        """Close the store; may be repeated."""
        self._store.close()

    def __enter__(self) -> Self:
        """Return the store itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the store."""
        self.close()
