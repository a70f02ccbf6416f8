"""`FeedbackStore`: what apps hold. Every verb works the same on every store."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from feedback_store import changing, operations
from feedback_store.batch import BatchResult
from feedback_store.entry import FeedbackEntry
from feedback_store.group_commit import GroupCommit, grouping_of
from feedback_store.hooks import Changes
from feedback_store.query import Page, Query
from feedback_store.redaction import Redact, checked, guarded
from feedback_store.report import CheckReport, CompactReport
from feedback_store.stats import Stats
from feedback_store.store import Outcome, Store
from feedback_store.subscription import Callback, Subscription

if TYPE_CHECKING:
    import os

    from feedback_store.snapshot import Manifest

_EVERYTHING = Query()
_BATCH = 1000


class FeedbackStore:
    """Feedback, kept in a `Store`.

    Open one by `feedback_store.open_store`, or put it around any store of your own. It may be
    used from any number of threads, and in children after a ``fork()``. As a context manager it
    closes itself.

    Args:
        store: where the feedback is kept.
        redact: a function that every entry goes through before this object writes it, from the
            entry as given to the entry as it may be written; an update, after its change. The same
            entry must give the same result, or retries become conflicts. ``id``, ``message_id``
            and ``timestamp`` stay; it must not call the store. When it raises, or returns anything
            else, the write fails with `InvalidEntryError`, which quotes nothing, and nothing of it
            is stored. What is written to the store below directly is not redacted.

    Every verb may raise `StoreUnavailableError` (the medium failed) and `StoreClosedError`.
    """

    def __init__(self, store: Store, *, redact: Redact | None = None) -> None:
        self._store = store
        self._group = GroupCommit(store.append, grouping_of(store))
        self._redact = None if redact is None else guarded(redact)
        self._admit = checked if self._redact is None else self._redact
        self._changes = Changes()

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
            InvalidEntryError: it is larger than the store takes, or ``redact`` failed.
        """
        entry = self._admit(entry)  # here, so that it harms nobody who shares the group
        outcome = self._group.add(entry)
        if outcome is Outcome.CONFLICT:
            raise operations.conflict(entry.id)
        if self._changes.subscriptions:
            self._changes.written((entry,), (outcome,))
        return outcome

    def add_many(self, entries: Iterable[FeedbackEntry]) -> BatchResult:
        """Store many entries, a batch at a time; each batch is durable before the next begins.

        A conflict does not stop the others. After an error, what came before it is stored, and
        the same call may be made again: what is there already counts as unchanged.

        Raises:
            InvalidEntryError: one is larger than the store takes, or ``redact`` failed; its batch
                is not stored.
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
            InvalidEntryError: one is larger than the store takes, or ``redact`` failed; nothing was
                stored.
        """
        entries = [self._admit(entry) for entry in entries]
        outcomes = self._store.append(entries)
        if self._changes.subscriptions:
            self._changes.written(entries, outcomes)
        return outcomes

    def put(self, entry: FeedbackEntry) -> Outcome:
        """Store an entry in place of whatever stands under its id.

        What is replaced gives its first timestamp; ``updated_at`` is now.

        Returns:
            ADDED, UPDATED, or UNCHANGED when the same content stands there already.

        Raises:
            InvalidEntryError: it is larger than the store takes, or ``redact`` failed.
        """
        now, outcome = changing.put(self._store, self._admit(entry))
        if self._changes.subscriptions:
            self._changes.written((now,), (outcome,))
        return outcome

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
            InvalidEntryError: an unknown or fixed field, or a value that does not fit, or
                ``redact`` failed.
        """
        now, outcome = changing.update(self._store, id, add_issues, fields, self._redact)
        if self._changes.subscriptions:
            self._changes.written((now,), (outcome,))
        return now

    def delete(self, *ids: str) -> int:
        """Erase entries from the medium itself; say how many were there.

        Missing ones do not count, and raise nothing.
        """
        if not self._changes.subscriptions:
            return self._store.erase(ids)
        distinct = tuple(dict.fromkeys(ids))
        # Of a single one, the count tells whether it was there.
        seen = operations.present(self._store, distinct) if len(distinct) > 1 else ()
        return self._erase(distinct, seen)

    def delete_where(self, query: Query) -> int:
        """Erase every entry that matches; say how many."""
        return changing.delete_where(self._store, query, lambda ids: self._erase(ids, ids))

    def _erase(self, ids: Sequence[str], seen: Sequence[str]) -> int:
        """Erase, and tell of it: of ids, some of which were seen to be there."""
        count = self._store.erase(ids)
        if self._changes.subscriptions:
            self._changes.erased(ids, seen, count)
        return count

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

    def export(
        self, target: "str | os.PathLike[str]", query: Query = _EVERYTHING, **options: Any  # noqa: ANN401  # those of a snapshot
    ) -> "Manifest":  # fmt: skip
        """Write what matches to a path or URL, as a file that is always whole: a snapshot.

        Its suffix tells the format; see `feedback_store.snapshot.export` for that and the options.
        """
        from feedback_store.snapshot import export  # noqa: PLC0415  # only what is used

        return export(self._store, target, query, **options)

    def check(self) -> CheckReport:
        """Examine the store: problems are told in the report, not raised."""
        return operations.check(self._store)

    def compact(self) -> CompactReport:
        """Give back the space of superseded entries, where the store keeps any."""
        return operations.compact(self._store)

    def on_change(self, callback: Callback, *, max_queued: int = 1000) -> Subscription:
        """Tell a callback of every change that this object makes, until the subscription is closed.

        Once a write is acknowledged, its events are queued, and a thread of the subscription's own
        calls the callback with each, one after the other, in the order in which the writes were
        acknowledged. So the callback may take its time, fail, and call the store. Not told is what
        other objects and processes write, what changes nothing, and a write that raised an error,
        whatever is stored of it. The page "React to changes" tells more.

        Args:
            callback: what to call with each `ChangeEvent`. What it raises is logged.
            max_queued: how many events may wait; when it is full, further ones are dropped.

        Raises:
            ValueError: ``max_queued`` is below 1.
            StoreClosedError: this object was closed.
        """
        return self._changes.subscribe(callback, max_queued)

    def close(self) -> None:
        """Close the store; may be repeated.

        Subscribers finish what is queued, in five seconds at most; what is left then is dropped.
        """
        try:
            self._changes.close()
        finally:
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
