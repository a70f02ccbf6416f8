"""`StoreMachine`: any calls in any order, and the whole contents compared after each."""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

import attrs
import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from feedback_store.codec import encode
from feedback_store.entry import FeedbackEntry
from feedback_store.errors import DuplicateEntryError, EntryNotFoundError
from feedback_store.facade import FeedbackStore
from feedback_store.query import Order, Page, Query
from feedback_store.store import Outcome, Store, SupportsVersion
from feedback_store.testing import model
from feedback_store.testing.strategies import (
    ISSUES,
    batches,
    crowded_timestamps,
    entries,
    queries,
    timestamps,
)

IDS = ("a", "B", "\ue000", "\uffee", "\U0001f600")
"""Few ids, so that calls meet; the last sorts otherwise in UTF-16 than in UTF-8."""

_ids = st.sampled_from(IDS)
_times = crowded_timestamps()
_entries = entries(ids=IDS, times=_times)
_orders = st.sampled_from(Order)
_fields = st.fixed_dictionaries(
    {},
    optional={
        "rating": st.sampled_from((None, 0, 1, 0.5)),
        "answer": st.sampled_from(("", "Now.", "\u2028")),
        "user_id": st.sampled_from((None, "ada")),
        "explanation": st.sampled_from((None, "", "Because.")),
        "token_count": st.sampled_from((None, 7)),
        "issues": st.lists(st.sampled_from(ISSUES), max_size=2),
        "extra": st.dictionaries(
            st.sampled_from(("channel", "n")), st.sampled_from((None, 1, True)), max_size=2
        ),
        "add_issues": st.lists(st.sampled_from(ISSUES), max_size=2),
    },
)


class _Refused(Exception):  # noqa: N818  # what an app's own change may raise
    """An error that no store knows."""


class StoreMachine(RuleBasedStateMachine):
    """A store beside a dictionary of what it should hold.

    ::

        class MyMachine(StoreMachine):
            def make_store(self):
                return MyStore(...)

        TestMyMachine = MyMachine.TestCase

    Define `reopen` too, where the contents outlive the store. Override `teardown` to remove what
    a store leaves behind, and call it above.
    """

    def __init__(self) -> None:
        super().__init__()
        self.store = self.make_store()
        self.model: dict[str, FeedbackEntry] = {}
        self.seen: tuple[str, list[bytes]] | None = None

    def make_store(self) -> Store:
        """Return a new, empty store."""
        raise NotImplementedError

    def reopen(self, store: Store) -> Store:
        """Close the store, and open it again at the same location."""
        raise NotImplementedError

    def teardown(self) -> None:
        """Close the store."""
        self.store.close()

    @property
    def feedback(self) -> FeedbackStore:
        """What apps hold, around the store."""
        return FeedbackStore(self.store)

    def _expected(self, entry: FeedbackEntry) -> Outcome:
        """Add an entry to the model; say what should become of it."""
        there = self.model.setdefault(entry.id, entry)
        if there is entry:
            return Outcome.ADDED
        same = model.content(there) == model.content(entry)
        return Outcome.UNCHANGED if same else Outcome.CONFLICT

    # ---------------------------------------------------------------------------- writing

    @rule(entry=_entries)
    def add(self, entry: FeedbackEntry) -> None:
        """Add one entry."""
        expected = self._expected(entry)
        try:
            outcome = self.feedback.add(entry)
        except DuplicateEntryError:
            outcome = Outcome.CONFLICT
        assert expected is outcome

    @initialize(batch=st.lists(_entries, min_size=2, max_size=6))
    def fill(self, batch: list[FeedbackEntry]) -> None:
        """Begin with some entries."""
        self.add_many(batch)

    @rule(batch=batches(ids=IDS, times=_times))
    def add_many(self, batch: list[FeedbackEntry]) -> None:
        """Add several entries in one call."""
        expected = [self._expected(entry) for entry in batch]
        assert expected == list(self.store.append(batch))

    @precondition(lambda self: bool(self.model))
    @rule(number=st.integers(0, len(IDS) - 1), time=timestamps())
    def retry(self, number: int, time: datetime) -> None:
        """Send an entry that is there once more, stamped anew, as a browser does."""
        there = list(self.model.values())[number % len(self.model)]
        again = attrs.evolve(there, timestamp=time, updated_at=None)
        assert Outcome.UNCHANGED is self.feedback.add(again)
        assert Outcome.UNCHANGED is self.feedback.put(again)

    @rule(entry=_entries)
    def put(self, entry: FeedbackEntry) -> None:
        """Put an entry, whatever stands there."""
        expected = self._expected(entry)
        before = datetime.now(UTC)
        outcome = self.feedback.put(entry)
        if expected is not Outcome.CONFLICT:
            assert expected is outcome
            return
        assert Outcome.UPDATED is outcome
        updated_at = self._updated_at(entry.id, before)
        first = self.model[entry.id].timestamp
        self.model[entry.id] = attrs.evolve(entry, timestamp=first, updated_at=updated_at)

    @rule(id=_ids, given=_fields)
    def update(self, id: str, given: dict[str, Any]) -> None:
        """Change fields by their names."""
        old = self.model.get(id)
        if old is None:
            with pytest.raises(EntryNotFoundError):
                self.feedback.update(id, **given)
            return
        before = datetime.now(UTC)
        new = _updated(old, given)
        returned = self.feedback.update(id, **given)
        if model.content(new) != model.content(old):
            self.model[id] = attrs.evolve(new, updated_at=self._updated_at(id, before))
        assert encode(self.model[id]) == encode(returned)

    def _updated_at(self, id: str, before: datetime) -> datetime | None:
        """Return when the store says that it changed the entry, which must be just now."""
        updated_at = self.feedback.get(id).updated_at
        assert updated_at is not None
        assert before <= updated_at <= datetime.now(UTC)
        return updated_at

    @rule(entry=_entries)
    def rewrite(self, entry: FeedbackEntry) -> None:
        """Change an entry into any other."""
        old = self.model.get(entry.id)
        if old is None:
            with pytest.raises(EntryNotFoundError):
                self.store.rewrite(entry.id, lambda _: entry)
            return
        new = attrs.evolve(entry, timestamp=old.timestamp)
        self.store.rewrite(entry.id, lambda _: new)
        if new != old:
            self.model[entry.id] = new

    @rule(id=_ids)
    def rewrite_raising(self, id: str) -> None:
        """Begin a change that is given up."""

        def refuse(entry: FeedbackEntry) -> FeedbackEntry:
            raise _Refused(entry.id)

        with pytest.raises(_Refused if id in self.model else EntryNotFoundError):
            self.store.rewrite(id, refuse)

    @rule(ids=st.lists(_ids, max_size=2))
    def delete(self, ids: list[str]) -> None:
        """Delete entries, missing ones too."""
        expected = sum(self.model.pop(id, None) is not None for id in set(ids))
        assert expected == self.feedback.delete(*ids)

    # A store that is nearly empty shows few bugs.
    @precondition(lambda self: len(self.model) >= len(IDS) - 1)
    @rule(query=queries(where=True))
    def delete_where(self, query: Query) -> None:
        """Delete what matches."""
        gone = [id for id, entry in self.model.items() if model.matches(entry, query)]
        for id in gone:
            del self.model[id]
        assert len(gone) == self.feedback.delete_where(query)

    @rule()
    def compact(self) -> None:
        """Give back space."""
        self.feedback.compact()

    @precondition(lambda self: type(self).reopen is not StoreMachine.reopen)
    @rule()
    def close_and_open(self) -> None:
        """Close the store and open it again."""
        self.store = self.reopen(self.store)

    # ---------------------------------------------------------------------------- reading

    def _found(self, query: Query, order: Order) -> list[FeedbackEntry]:
        found = [entry for entry in self.model.values() if model.matches(entry, query)]
        return model.ordered(found, order)

    @rule(query=queries(where=True))
    def ask(self, query: Query) -> None:
        """Ask for entries, their number and their statistics."""
        expected = self._found(query, query.order or Order.OLDEST)
        assert _lines(expected) == _lines(self.feedback.scan(query))
        assert len(expected) == self.feedback.count(query)
        stats = self.feedback.stats(query)
        assert model.numbers(expected) == model.numbers_of(stats)
        assert model.same_mean(expected, stats)

    @rule(query=queries(where=True), order=_orders, limit=st.integers(1, 4))
    def leaf_through(self, query: Query, order: Order, limit: int) -> None:
        """Go from page to page, by cursor and by number."""
        query = attrs.evolve(query, order=order)
        expected = self._found(query, order)
        page = self.feedback.page(query, limit)
        for number in range(1, max(1, -(-len(expected) // limit)) + 1):
            cut = expected[limit * (number - 1) : limit * number]
            for found in (page, self.feedback.page(query, limit, page=number)):
                assert (_lines(cut), len(expected)) == (_lines(found.entries), found.total)
            page = self._after(page, query, limit)
        assert page.next_cursor is None

    def _after(self, page: Page, query: Query, limit: int) -> Page:
        if page.next_cursor is None:
            return page
        return self.feedback.page(query, limit, cursor=page.next_cursor)

    # ------------------------------------------------------------------------- the invariant

    @invariant()
    def contents_are_those_of_the_model(self) -> None:
        """Hold all that the store has, in both directions and by id, against the model."""
        expected = _lines(model.ordered(self.model.values(), "oldest"))
        assert expected == _lines(self.store.scan(Query(order=Order.OLDEST)))
        assert expected[::-1] == _lines(self.store.scan(Query(order=Order.NEWEST)))
        assert len(expected) == self.feedback.count()
        for id in IDS:
            found = self.feedback.find(id)
            assert _lines(filter(None, [self.model.get(id)])) == _lines(filter(None, [found]))
        if isinstance(self.store, SupportsVersion):
            version = self.store.version()
            if self.seen is not None and self.seen[1] != expected:
                assert self.seen[0] != version
            self.seen = (version, expected)


def _lines(found: Iterable[FeedbackEntry]) -> list[bytes]:
    return [encode(entry) for entry in found]


def _updated(old: FeedbackEntry, given: dict[str, Any]) -> FeedbackEntry:
    """Return what an update should make of an entry, but for its `updated_at`."""
    given = dict(given)
    metadata = old.metadata
    for name in ("explanation", "token_count", "issues"):
        if name in given:
            metadata = attrs.evolve(metadata, **{name: given.pop(name)})
    for issue in given.pop("add_issues", ()):
        if issue not in metadata.issues:
            metadata = attrs.evolve(metadata, issues=[*metadata.issues, issue])
    extra = {**old.extra, **given.pop("extra", {})}
    return attrs.evolve(old, **given, metadata=metadata, extra=extra)
