"""What `FeedbackStore` promises on every store: adding, putting, changing, deleting, finding."""

# ruff: noqa: PLR2004, SIM300  # asserts read `expected == actual`, and a number in one is the expectation

from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given

from feedback_store.batch import BatchResult
from feedback_store.codec import encode
from feedback_store.entry import FeedbackEntry, Metadata
from feedback_store.errors import (
    DuplicateEntryError,
    EntryNotFoundError,
    InvalidEntryError,
    StoreClosedError,
)
from feedback_store.facade import FeedbackStore
from feedback_store.query import Query
from feedback_store.store import Outcome
from feedback_store.testing.contract.base import NOON, ContractBase, an_entry, drawn, lines
from feedback_store.testing.strategies import batches, entries, queries

LATER = NOON + timedelta(days=40)


class FacadeContract(ContractBase):
    """Tests of the verbs that apps call."""

    def test_add_says_what_became_of_the_entry(self, feedback: FeedbackStore) -> None:
        """A new entry is ADDED, the same again UNCHANGED; other content raises, storing nothing."""
        assert Outcome.ADDED is feedback.add(an_entry())
        assert Outcome.UNCHANGED is feedback.add(an_entry(timestamp=LATER))
        with pytest.raises(DuplicateEntryError):
            feedback.add(an_entry(rating=1))
        assert [encode(an_entry())] == lines(feedback.store)

    @pytest.mark.parametrize("verb", ["add", "put", "add_many"])
    def test_only_entries_are_taken(self, feedback: FeedbackStore, verb: str) -> None:
        """A dictionary, or anything else that is no entry, is an InvalidEntryError."""
        for wrong in ({"message_id": "a"}, None, b"{}"):
            with pytest.raises(InvalidEntryError):
                getattr(feedback, verb)([an_entry(), wrong] if verb == "add_many" else wrong)
        assert [] == lines(feedback.store)

    def test_add_many_counts(self, feedback: FeedbackStore) -> None:
        """Every entry is counted; a conflict stops no other, and is told by its id."""
        feedback.add(an_entry("same"))
        feedback.add(an_entry("other"))
        given = [an_entry("a"), an_entry("other", rating=1), an_entry("same"), an_entry("b")]
        result = feedback.add_many(entry for entry in given)
        assert BatchResult(added=2, unchanged=1, conflicts=("other",)) == result
        assert len(given) == result.total
        assert ["a", "b", "other", "same"] == [entry.id for entry in feedback.scan()]

    def test_add_many_takes_more_than_a_batch(self, feedback: FeedbackStore) -> None:
        """However many entries there are, all are stored; again, all are unchanged."""
        many = [an_entry(f"{n:04}") for n in range(2345)]
        assert BatchResult(added=2345) == feedback.add_many(many)
        assert BatchResult(unchanged=2345) == feedback.add_many(many)
        assert [entry.id for entry in many] == [entry.id for entry in feedback.scan()]

    def test_put_adds_what_is_new(self, feedback: FeedbackStore) -> None:
        """Without anything to replace, `put` adds the entry as it is."""
        assert Outcome.ADDED is feedback.put(an_entry())
        assert [encode(an_entry())] == lines(feedback.store)

    def test_put_replaces_and_keeps_the_first_time(self, feedback: FeedbackStore) -> None:
        """What is replaced gives its timestamp; all else is new, and `updated_at` is now."""
        feedback.add(an_entry(user_id="ada", extra={"channel": "web"}))
        before = datetime.now(UTC)
        assert Outcome.UPDATED is feedback.put(an_entry(rating=1, timestamp=LATER))
        stored = feedback.get("a")
        assert stored.updated_at is not None
        assert before <= stored.updated_at <= datetime.now(UTC)
        assert an_entry(rating=1, updated_at=stored.updated_at) == stored
        assert 1 == feedback.count()

    def test_put_of_the_same_content_changes_nothing(self, feedback: FeedbackStore) -> None:
        """The same content again is UNCHANGED, whenever it was given: no new `updated_at`."""
        feedback.put(an_entry())
        assert Outcome.UNCHANGED is feedback.put(an_entry(timestamp=LATER, updated_at=LATER))
        assert [encode(an_entry())] == lines(feedback.store)

    @drawn
    @given(old=entries(ids=["a"]), new=entries(ids=["a"]))
    def test_put_replaces_anything(self, old: FeedbackEntry, new: FeedbackEntry) -> None:
        """After `put` the content is the new one, whatever the old one was; a retry is harmless."""
        with closing(self.make_store()) as store:
            feedback = FeedbackStore(store)
            feedback.put(old)
            feedback.put(new)
            assert old.timestamp == feedback.get("a").timestamp
            assert Outcome.UNCHANGED is feedback.put(new)

    def test_update_changes_fields_by_name(self, feedback: FeedbackStore) -> None:
        """Fields of the entry and of its metadata are named alike; all others stay."""
        feedback.add(an_entry(user_id="ada", metadata=Metadata(token_count=7)))
        before = datetime.now(UTC)
        returned = feedback.update("a", rating=0.5, explanation="Half right.", trace_id="t")
        metadata = Metadata(token_count=7, explanation="Half right.")
        assert returned.updated_at is not None
        assert before <= returned.updated_at <= datetime.now(UTC)
        expected = an_entry(
            user_id="ada", trace_id="t", rating=0.5, metadata=metadata,
            updated_at=returned.updated_at,
        )  # fmt: skip
        assert expected == returned == feedback.get("a")

    def test_update_merges_extras(self, feedback: FeedbackStore) -> None:
        """Given extras are put over the entry's own, which stay otherwise."""
        feedback.add(an_entry(extra={"channel": "web", "region": "eu"}))
        feedback.update("a", extra={"region": None, "shown": True})
        expected = {"channel": "web", "region": None, "shown": True}
        assert expected == dict(feedback.get("a").extra)

    def test_update_adds_issues_once(self, feedback: FeedbackStore) -> None:
        """Issues are added behind those that are there, each once; one text is one issue."""
        feedback.add(an_entry(metadata=Metadata(issues=["wrong"])))
        feedback.update("a", add_issues=["slow", "wrong", "slow"])
        feedback.update("a", add_issues="rude")
        assert ("wrong", "slow", "rude") == feedback.get("a").metadata.issues
        feedback.update("a", issues=["fine"], add_issues=["short"])
        assert ("fine", "short") == feedback.get("a").metadata.issues

    def test_update_that_changes_nothing_leaves_the_entry(self, feedback: FeedbackStore) -> None:
        """An update to what is there already sets no `updated_at`, and writes nothing."""
        entry = an_entry(extra={"channel": "web"}, metadata=Metadata(issues=["wrong"]))
        feedback.add(entry)
        same: dict[str, Any] = {"rating": 0, "extra": {"channel": "web"}, "add_issues": ["wrong"]}
        assert entry == feedback.update("a", **same) == feedback.update("a")
        assert [encode(entry)] == lines(feedback.store)

    @pytest.mark.parametrize(
        "wrong",
        [
            {"ratings": 1},
            {"timestamp": NOON},
            {"message_id": "b"},
            {"spelled": {}},
            {"rating": 2},
            {"rating": True},
            {"question": None},
            {"issues": "wrong"},
            {"extra": {"rating": 1}},
            {"extra": [1]},
            {"extra": {"n": float("nan")}},
            {"metadata": {"explanation": "No."}},
            {"metadata": {"explanation": "No."}, "explanation": "No."},
            {"add_issues": [1]},
            {"add_issues": [["wrong"]]},
            {"add_issues": None},
            {"answer": "\ud800"},
        ],
        ids=str,
    )
    def test_update_refuses_what_does_not_fit(
        self, feedback: FeedbackStore, wrong: dict[str, Any]
    ) -> None:
        """Unknown and fixed names, and values that do not fit, are errors; nothing changes."""
        feedback.add(an_entry())
        with pytest.raises(InvalidEntryError):
            feedback.update("a", **wrong)
        assert [encode(an_entry())] == lines(feedback.store)

    def test_what_is_missing_is_missing_everywhere(self, feedback: FeedbackStore) -> None:
        """Without an entry, `get` and `update` raise, `find` gives None, `delete` counts none."""
        feedback.add(an_entry("b"))
        with pytest.raises(EntryNotFoundError):
            feedback.get("a")
        with pytest.raises(EntryNotFoundError):
            feedback.update("a", rating=1)
        assert feedback.find("a") is None
        assert 0 == feedback.delete("a")

    def test_get_and_find_give_the_entry(self, feedback: FeedbackStore) -> None:
        """An entry is found by its id, not by its message's, as it was stored."""
        entry = an_entry("m/ada", message_id="m", spelled={"name": None})
        feedback.add(entry)
        assert encode(entry) == encode(feedback.get("m/ada"))
        assert entry == feedback.find("m/ada")
        assert feedback.find("m") is None

    def test_delete_counts_what_was_there(self, feedback: FeedbackStore) -> None:
        """Missing ids and ids given twice do not count."""
        feedback.add_many(an_entry(id) for id in "abc")
        assert 2 == feedback.delete("a", "x", "b", "a")
        assert 0 == feedback.delete()
        assert [encode(an_entry("c"))] == lines(feedback.store)

    @drawn
    @given(batch=batches(), query=queries(where=True))
    def test_delete_where_erases_what_matches(
        self, batch: list[FeedbackEntry], query: Query
    ) -> None:
        """Exactly what matches is erased, and counted."""
        with closing(self.make_store()) as store:
            store.append(batch)
            kept = [encode(entry) for entry in store.scan(Query()) if not query.matches(entry)]
            expected = len(lines(store)) - len(kept)
            assert expected == FeedbackStore(store).delete_where(query)
            assert kept == lines(store)

    def test_check_finds_nothing_wrong(self, feedback: FeedbackStore) -> None:
        """A store that was only used as it should be has a report without errors."""
        feedback.add_many(an_entry(id) for id in "abc")
        feedback.update("a", rating=1)
        feedback.delete("b")
        assert feedback.check().ok

    def test_compact_changes_nothing_that_shows(self, feedback: FeedbackStore) -> None:
        """Before and after `compact` the entries are the same, to the last byte."""
        feedback.add_many(an_entry(id) for id in "abc")
        feedback.update("a", rating=1)
        feedback.delete("b")
        before = lines(feedback.store)
        feedback.compact()
        assert before == lines(feedback.store)

    def test_a_context_closes_the_store(self, feedback: FeedbackStore) -> None:
        """Leaving the context closes the store; closing again is fine."""
        with feedback as entered:
            entered.add(an_entry())
        with pytest.raises(StoreClosedError):
            feedback.scan()
        feedback.close()
