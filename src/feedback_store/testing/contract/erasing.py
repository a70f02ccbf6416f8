"""What `Store.erase` promises."""

# ruff: noqa: PLR2004, SIM300  # asserts read `expected == actual`, and a number in one is the expectation

from contextlib import closing
from datetime import timedelta

import attrs
from hypothesis import given
from hypothesis import strategies as st

from feedback_store.codec import encode
from feedback_store.entry import FeedbackEntry
from feedback_store.facade import FeedbackStore
from feedback_store.query import Query
from feedback_store.store import Outcome, Store
from feedback_store.testing.contract.base import NOON, ContractBase, an_entry, drawn, lines
from feedback_store.testing.strategies import batches


class ErasingContract(ContractBase):
    """Tests of `Store.erase`."""

    def test_an_erased_entry_is_gone(self, store: Store) -> None:
        """What was erased is found by no verb; what was not is as before."""
        store.append([an_entry(id) for id in ("a", "b", "c")])
        assert 2 == store.erase(["c", "a"])
        feedback = FeedbackStore(store)
        assert [encode(an_entry("b"))] == lines(store)
        assert [None, None] == [feedback.find("a"), feedback.find("c")]
        assert (1, 1, 1) == (feedback.count(), feedback.stats().total, feedback.page().total)

    def test_missing_ids_do_not_count(self, store: Store) -> None:
        """Ids without an entry do not count, whatever they look like, and are no error."""
        store.append([an_entry("a")])
        assert 0 == store.erase(["b", "", "A", "a ", "\ud800", "\x00"])
        assert 1 == store.erase(["b", "a"])
        assert 0 == store.erase(["a"])

    def test_an_id_counts_once(self, store: Store) -> None:
        """An id that is given twice counts once."""
        store.append([an_entry("a"), an_entry("b")])
        assert 1 == store.erase(["a", "a", "a"])
        assert [encode(an_entry("b"))] == lines(store)

    def test_erasing_nothing_does_nothing(self, store: Store) -> None:
        """No ids, nothing erased; any iterable of ids will do."""
        store.append([an_entry("a")])
        assert 0 == store.erase([])
        assert 0 == store.erase(iter(()))
        assert 1 == store.erase(id for id in ("a",))

    def test_a_changed_entry_is_erased_whole(self, store: Store) -> None:
        """No earlier version comes back when an entry that was changed is erased."""
        store.append([an_entry("a"), an_entry("b")])
        store.rewrite("a", lambda entry: attrs.evolve(entry, rating=1))
        assert 1 == store.erase(["a"])
        assert [encode(an_entry("b"))] == lines(store)
        FeedbackStore(store).compact()
        assert [encode(an_entry("b"))] == lines(store)

    def test_an_erased_id_is_free_again(self, store: Store) -> None:
        """After erasing, other content may be added under the id, and erased again."""
        later = NOON + timedelta(days=31)
        for entry in (an_entry(), an_entry(rating=1), an_entry(timestamp=later), an_entry()):
            assert [Outcome.ADDED] == list(store.append([entry]))
            assert [encode(entry)] == lines(store)
            assert 1 == store.erase(["a"])
            assert [] == lines(store)

    def test_erasing_goes_across_months(self, store: Store) -> None:
        """One call erases entries of any months."""
        times = [NOON + timedelta(days=31 * i) for i in range(5)]
        store.append([an_entry(str(i), timestamp=time) for i, time in enumerate(times)])
        assert 3 == store.erase(["0", "2", "4"])
        assert ["1", "3"] == [entry.id for entry in store.scan(Query())]

    def test_nothing_of_an_erased_entry_stays_on_the_medium(self, store: Store) -> None:
        """When `erase` returns, no byte of the entry's id and texts is left in the medium."""
        secret = an_entry("secret-id", question="secret-question")
        store.append([secret, an_entry("b")])
        store.rewrite("secret-id", lambda e: attrs.evolve(e, answer="secret-answer"))
        before = self.raw_bytes(store)
        assert [True, True] == [b"secret-question" in before, b"secret-answer" in before]
        store.erase(["secret-id"])
        assert b"secret" not in self.raw_bytes(store)
        assert [encode(an_entry("b"))] == lines(store)

    @drawn
    @given(batch=batches(), ids=st.sets(st.sampled_from(["a", "b", "B", "\U0001f600", "other"])))
    def test_exactly_what_is_asked_for_is_erased(
        self, batch: list[FeedbackEntry], ids: set[str]
    ) -> None:
        """What is erased and what is left are together what was there."""
        with closing(self.make_store()) as store:
            store.append(batch)
            kept = [encode(entry) for entry in store.scan(Query()) if entry.id not in ids]
            assert len({entry.id for entry in batch} & ids) == store.erase(sorted(ids))
            assert kept == lines(store)
