"""What `Store.append` promises."""

# ruff: noqa: SIM300  # asserts read `expected == actual`

from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Any

import attrs
import pytest
from hypothesis import given

from feedback_store.codec import encode
from feedback_store.entry import FeedbackEntry, Metadata
from feedback_store.errors import InvalidEntryError
from feedback_store.query import Query
from feedback_store.store import Outcome, Store
from feedback_store.testing.contract.base import NOON, ContractBase, an_entry, drawn, lines
from feedback_store.testing.strategies import batches

LATER = NOON + timedelta(days=40)


class AddingContract(ContractBase):
    """Tests of `Store.append`."""

    def test_a_new_entry_is_added(self, store: Store) -> None:
        """An entry that was not there is ADDED, and is there afterwards, as it was given."""
        entry = an_entry("a", metadata=Metadata(issues=["wrong"], extra={"channel": "web"}))
        assert [Outcome.ADDED] == list(store.append([entry]))
        assert [encode(entry)] == lines(store)

    def test_the_same_entry_again_is_unchanged(self, store: Store) -> None:
        """The same entry again is UNCHANGED, and stands there once."""
        entry = an_entry()
        store.append([entry])
        assert [Outcome.UNCHANGED] == list(store.append([entry]))
        assert [encode(entry)] == lines(store)

    @pytest.mark.parametrize(
        "change",
        [
            {"timestamp": LATER},
            {"updated_at": LATER},
            {"metadata": Metadata(extra={"timestamp": "2025-10-05T12:00:01Z"})},
            {"metadata": Metadata()},
        ],
        ids=["timestamp", "updated_at", "metadata.timestamp", "no metadata.timestamp"],
    )
    def test_times_do_not_make_another_entry(self, store: Store, change: dict[str, Any]) -> None:
        """The same content at another time is UNCHANGED, and the first times stay."""
        entry = an_entry(metadata=Metadata(extra={"timestamp": "2025-10-05T12:00:00Z"}))
        store.append([entry])
        assert [Outcome.UNCHANGED] == list(store.append([attrs.evolve(entry, **change)]))
        assert [encode(entry)] == lines(store)

    @pytest.mark.parametrize(
        "change",
        [
            {"message_id": "another"},
            {"question": "Why?"},
            {"answer": "so."},
            {"rating": None},
            {"sources": [{"title": "A"}]},
            {"user_id": "ada"},
            {"correction": ""},
            {"extra": {"channel": "web"}},
            {"metadata": Metadata(issues=["wrong"])},
            {"metadata": Metadata(explanation="No.")},
            {"metadata": Metadata(extra={"region": None})},
        ],
        ids=str,
    )
    def test_other_content_is_a_conflict(self, store: Store, change: dict[str, Any]) -> None:
        """Other content under the id is a CONFLICT, and nothing of it is stored."""
        store.append([an_entry()])
        assert [Outcome.CONFLICT] == list(store.append([attrs.evolve(an_entry(), **change)]))
        assert [encode(an_entry())] == lines(store)

    @pytest.mark.parametrize(
        ("there", "given", "outcome"),
        [
            (1, True, Outcome.CONFLICT),
            (False, 0, Outcome.CONFLICT),
            ([{"n": 1}], [{"n": True}], Outcome.CONFLICT),
            (1, 1.0, Outcome.UNCHANGED),
            (None, 0, Outcome.CONFLICT),
            ("1", 1, Outcome.CONFLICT),
        ],
    )
    def test_values_are_the_same_as_json_has_it(
        self, store: Store, there: object, given: object, outcome: Outcome
    ) -> None:
        """A number is the same as an equal number, but never as a truth value, at any depth."""
        store.append([an_entry(extra={"flag": there})])
        assert [outcome] == list(store.append([an_entry(extra={"flag": given})]))
        assert [encode(an_entry(extra={"flag": there}))] == lines(store)

    def test_keys_that_say_nothing_make_no_other_entry(self, store: Store) -> None:
        """An entry that spells out a null is the same as one that leaves the key away."""
        store.append([an_entry()])
        assert [Outcome.UNCHANGED] == list(store.append([an_entry(spelled={"user_id": None})]))
        assert [encode(an_entry())] == lines(store)

    def test_outcomes_come_in_the_order_of_the_entries(self, store: Store) -> None:
        """There is one outcome for each entry, in their order, whatever their months."""
        store.append([an_entry("same"), an_entry("other")])
        given = [
            an_entry("other", rating=1),
            an_entry("new", timestamp=LATER),
            an_entry("same"),
            an_entry("newer", timestamp=NOON - timedelta(days=400)),
        ]
        expected = [Outcome.CONFLICT, Outcome.ADDED, Outcome.UNCHANGED, Outcome.ADDED]
        assert expected == list(store.append(given))

    def test_entries_of_one_call_see_those_before_them(self, store: Store) -> None:
        """In one call, the first of an id is stored, and the others are held against it."""
        first, again, other = an_entry(), an_entry(timestamp=LATER), an_entry(rating=1)
        expected = [Outcome.ADDED, Outcome.UNCHANGED, Outcome.CONFLICT]
        assert expected == list(store.append((first, again, other)))
        assert [encode(first)] == lines(store)

    def test_appending_nothing_does_nothing(self, store: Store) -> None:
        """No entries, no outcomes, and nothing changes."""
        assert [] == list(store.append([]))
        assert [] == lines(store)

    def test_an_id_is_unique_across_months(self, store: Store) -> None:
        """An id that stands in one month is known when the same id comes for another."""
        old = an_entry(timestamp=NOON - timedelta(days=4000))
        store.append([old])
        assert [Outcome.CONFLICT] == list(store.append([an_entry(rating=1)]))
        assert [encode(old)] == lines(store)

    def test_several_may_rate_one_message(self, store: Store) -> None:
        """Entries with one message_id and ids of their own are entries of their own."""
        entries = [an_entry(id, message_id="m") for id in ("m", "m/ada", "m/grace")]
        assert [Outcome.ADDED] * 3 == list(store.append(entries))
        assert [encode(entry) for entry in entries] == lines(store)

    def test_similar_ids_are_different(self, store: Store) -> None:
        """Ids are compared by their characters, with no folding, trimming or escaping."""
        ids = ["a", "A", "a ", " a", "é", "e\u0301", "a\x00", "../a", "a/b", "%61", "'", '"', "\\"]
        assert [Outcome.ADDED] * len(ids) == list(store.append([an_entry(id) for id in ids]))
        assert sorted(ids) == [entry.id for entry in store.scan(Query())]

    def test_a_too_large_entry_is_refused_with_its_call(self, store: Store) -> None:
        """An entry above the limit is an InvalidEntryError, and nothing of the call is stored."""
        with pytest.raises(InvalidEntryError):
            store.append([an_entry("small"), self._entry_of(self.max_entry_bytes + 1)])
        assert [] == lines(store)

    def test_the_largest_entry_is_taken(self, store: Store) -> None:
        """An entry of exactly the allowed size is stored as it is."""
        entry = self._entry_of(self.max_entry_bytes)
        assert [Outcome.ADDED] == list(store.append([entry]))
        assert [encode(entry)] == lines(store)

    def _entry_of(self, size_bytes: int) -> FeedbackEntry:
        padding = size_bytes - len(encode(an_entry("large", answer="")))
        return an_entry("large", answer="x" * padding)

    def test_the_first_and_the_last_time_can_be_stored(self, store: Store) -> None:
        """Every time that an entry can have can be stored, from the year 1 to 9999."""
        first = an_entry("first", timestamp=datetime.min.replace(tzinfo=UTC))
        last = an_entry("last", timestamp=datetime.max.replace(tzinfo=UTC))
        store.append([last, first])
        assert [encode(first), encode(last)] == lines(store)

    @drawn
    @given(batch=batches())
    def test_every_entry_comes_back_as_it_was_given(self, batch: list[FeedbackEntry]) -> None:
        """What is stored encodes to the very line that was given, spelled-out nulls included."""
        with closing(self.make_store()) as store:
            outcomes = store.append(batch)
            added = [e for e, o in zip(batch, outcomes, strict=True) if o is Outcome.ADDED]
            assert sorted(map(encode, added)) == sorted(lines(store))
            assert len({entry.id for entry in batch}) == len(added)

    @drawn
    @given(batch=batches())
    def test_every_call_may_be_repeated(self, batch: list[FeedbackEntry]) -> None:
        """The same call again changes nothing, and adds nothing."""
        with closing(self.make_store()) as store:
            first = store.append(batch)
            stored = lines(store)
            again = {Outcome.ADDED: Outcome.UNCHANGED}
            assert [again.get(outcome, outcome) for outcome in first] == list(store.append(batch))
            assert stored == lines(store)
