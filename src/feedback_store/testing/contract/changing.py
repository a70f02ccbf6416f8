"""What `Store.rewrite` promises."""

# ruff: noqa: SIM300  # asserts read `expected == actual`

from contextlib import closing
from datetime import timedelta
from typing import Any

import attrs
import pytest
from hypothesis import given

from feedback_store.codec import encode
from feedback_store.entry import FeedbackEntry, Metadata
from feedback_store.errors import EntryNotFoundError, InvalidEntryError
from feedback_store.facade import FeedbackStore
from feedback_store.query import Query
from feedback_store.store import Outcome, Store
from feedback_store.testing.contract.base import NOON, ContractBase, an_entry, drawn, lines
from feedback_store.testing.strategies import entries


class _Refused(Exception):  # noqa: N818  # what an app's own change may raise
    """An error that no store knows."""


class ChangingContract(ContractBase):
    """Tests of `Store.rewrite`."""

    def test_a_change_is_stored_and_returned(self, store: Store) -> None:
        """The result of the change is what is returned, and what stands there afterwards."""
        store.append([an_entry("a"), an_entry("b")])
        expected = an_entry("a", rating=1, metadata=Metadata(explanation="Now it is right."))
        assert expected == store.rewrite("a", lambda _: expected)
        assert [encode(expected), encode(an_entry("b"))] == lines(store)
        assert expected == FeedbackStore(store).find("a")

    def test_the_change_is_given_what_stands_there(self, store: Store) -> None:
        """Each change sees the result of the one before."""
        store.append([an_entry(metadata=Metadata(token_count=0))])
        for _ in range(5):
            store.rewrite("a", _count_up)
        assert [5] == [entry.metadata.token_count for entry in store.scan(Query())]

    def test_a_change_that_raises_leaves_no_trace(self, store: Store) -> None:
        """What the change raises comes out as it is, and the entry stays as it was."""

        def refuse(entry: FeedbackEntry) -> FeedbackEntry:
            raise _Refused(entry.id)

        store.append([an_entry()])
        with pytest.raises(_Refused, match="a"):
            store.rewrite("a", refuse)
        assert [encode(an_entry())] == lines(store)
        store.rewrite("a", lambda entry: attrs.evolve(entry, rating=1))
        assert [encode(an_entry(rating=1))] == lines(store)

    @pytest.mark.parametrize(
        "change", [{"id": "b"}, {"timestamp": NOON + timedelta(days=31)}], ids=["id", "timestamp"]
    )
    def test_an_entry_cannot_move(self, store: Store, change: dict[str, Any]) -> None:
        """A change of the id or the timestamp is refused, and nothing is changed."""
        store.append([an_entry()])
        with pytest.raises(InvalidEntryError):
            store.rewrite("a", lambda entry: attrs.evolve(entry, **change))
        assert [encode(an_entry())] == lines(store)

    def test_a_too_large_result_is_refused(self, store: Store) -> None:
        """A result above the limit is an InvalidEntryError, and nothing is changed."""
        store.append([an_entry()])
        with pytest.raises(InvalidEntryError):
            store.rewrite("a", lambda e: attrs.evolve(e, answer="x" * self.max_entry_bytes))
        assert [encode(an_entry())] == lines(store)

    def test_what_is_missing_cannot_be_changed(self, store: Store) -> None:
        """Without an entry it is an EntryNotFoundError (a KeyError), and `change` is not asked."""
        asked: list[FeedbackEntry] = []

        def ask(entry: FeedbackEntry) -> FeedbackEntry:
            asked.append(entry)
            return entry

        store.append([an_entry("b")])
        with pytest.raises(EntryNotFoundError) as caught:
            store.rewrite("a", ask)
        assert isinstance(caught.value, KeyError)
        assert [] == asked
        assert [encode(an_entry("b"))] == lines(store)

    @pytest.mark.parametrize("id", ["", "\ud800"])
    def test_an_id_that_no_entry_can_have_is_missing(self, store: Store, id: str) -> None:
        """An id that no entry can have is like one that no entry has."""
        with pytest.raises(EntryNotFoundError):
            store.rewrite(id, lambda entry: entry)
        assert FeedbackStore(store).find(id) is None

    def test_an_equal_result_changes_nothing(self, store: Store) -> None:
        """A change that gives back an equal entry leaves what is stored to the last byte."""
        entry = an_entry(spelled={"user_id": None}, extra={"n": 1})
        store.append([entry])
        returned = store.rewrite("a", lambda _: an_entry(extra={"n": 1.0}))
        assert entry == returned
        assert [encode(entry)] == lines(store)

    def test_a_truth_value_in_place_of_a_number_is_a_change(self, store: Store) -> None:
        """True in place of 1 is another value, though Python calls them equal."""
        store.append([an_entry(extra={"n": [1]})])
        store.rewrite("a", lambda entry: attrs.evolve(entry, extra={"n": [True]}))
        assert [encode(an_entry(extra={"n": [True]}))] == lines(store)

    def test_a_changed_entry_is_held_against_what_it_is_now(self, store: Store) -> None:
        """After a change, the new content is UNCHANGED, and the first content a CONFLICT."""
        store.append([an_entry()])
        store.rewrite("a", lambda entry: attrs.evolve(entry, rating=1))
        given = [an_entry(rating=1), an_entry()]
        assert [Outcome.UNCHANGED, Outcome.CONFLICT] == list(store.append(given))
        assert [encode(an_entry(rating=1))] == lines(store)

    def test_entries_of_every_month_can_be_changed(self, store: Store) -> None:
        """A change finds its entry in whatever month, and touches no other."""
        times = [NOON + timedelta(days=31 * i) for i in range(5)]
        given = [an_entry(str(i), timestamp=time) for i, time in enumerate(times)]
        store.append(given)
        for entry in given:
            store.rewrite(entry.id, lambda e: attrs.evolve(e, answer=e.id))
        expected = [encode(attrs.evolve(entry, answer=entry.id)) for entry in given]
        assert expected == lines(store)

    @drawn
    @given(old=entries(ids=["a"]), new=entries(ids=["a"]))
    def test_any_entry_can_become_any_other(self, old: FeedbackEntry, new: FeedbackEntry) -> None:
        """What a change gives back is stored to the last byte, spelled-out nulls included."""
        new = attrs.evolve(new, timestamp=old.timestamp)
        with closing(self.make_store()) as store:
            store.append([old])
            store.rewrite("a", lambda _: new)
            assert [encode(old if new == old else new)] == lines(store)


def _count_up(entry: FeedbackEntry) -> FeedbackEntry:
    counted = attrs.evolve(entry.metadata, token_count=(entry.metadata.token_count or 0) + 1)
    return attrs.evolve(entry, metadata=counted)
