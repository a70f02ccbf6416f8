"""What the optional protocols promise: to answer exactly as the derived way would."""

from collections.abc import Callable
from contextlib import closing

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from feedback_store import operations
from feedback_store.codec import encode
from feedback_store.entry import FeedbackEntry
from feedback_store.facade import FeedbackStore
from feedback_store.query import Order, Page, Query
from feedback_store.store import Store, SupportsVersion
from feedback_store.testing.contract.base import ContractBase, an_entry, drawn
from feedback_store.testing.narrow import FiveVerbs
from feedback_store.testing.strategies import batches, queries

_Step = Callable[[Store], object]

_WRITES: tuple[_Step, ...] = (
    lambda store: store.append([an_entry("a")]),
    lambda store: store.append([an_entry("b")]),
    lambda store: store.rewrite("a", lambda entry: attrs.evolve(entry, rating=1)),
    lambda store: store.rewrite("a", lambda entry: attrs.evolve(entry, rating=0)),
    lambda store: store.erase(["a"]),
    lambda store: store.append([an_entry("a")]),
    lambda store: store.erase(["a", "b"]),
)


def _version(store: Store) -> str:
    if not isinstance(store, SupportsVersion):
        pytest.skip("this store offers no version(), which is its right")
    return store.version()


def _shown(page: Page) -> tuple[list[bytes], int, bool]:
    return [encode(entry) for entry in page.entries], page.total, page.next_cursor is not None


class FasterWaysContract(ContractBase):
    """Tests of `SupportsGet` and its kin, each held against the five verbs alone."""

    @drawn
    @given(batch=batches(), query=queries())
    def test_faster_answers_are_the_derived_ones(
        self, batch: list[FeedbackEntry], query: Query
    ) -> None:
        """Counts, statistics and entries by id are the same by the store's way and the derived."""
        with closing(self.make_store()) as store:
            store.append(batch)
            fast, derived = FeedbackStore(store), FeedbackStore(FiveVerbs(store))
            assert derived.count(query) == fast.count(query)
            assert derived.stats(query) == fast.stats(query)
            ids = ("a", "b", "B", "\U0001f600", "other")
            for id in ids:
                assert _line(derived.find(id)) == _line(fast.find(id))
            expected = operations.find_many(FiveVerbs(store), ids)
            found = operations.find_many(store, ids)
            assert {i: encode(e) for i, e in expected.items()} == {
                i: encode(e) for i, e in found.items()
            }

    @drawn
    @given(
        batch=batches(), query=queries(), order=st.sampled_from((None, Order.OLDEST, Order.NEWEST))
    )
    def test_faster_lines_are_the_derived_ones(
        self, batch: list[FeedbackEntry], query: Query, order: Order | None
    ) -> None:
        """The lines of a store are those that its entries make, each on a line of its own."""
        query = attrs.evolve(query, order=order)
        with closing(self.make_store()) as store:
            store.append(batch)
            pieces = list(operations.lines(store, query))
            expected = [encode(entry) for entry in operations.scan(FiveVerbs(store), query)]
            assert expected == [line for piece in pieces for line in piece.data.split(b"\n")]
            assert len(expected) == sum(piece.number for piece in pieces)

    @drawn
    @given(
        batch=batches(max_size=8),
        query=queries(),
        order=st.sampled_from(Order),
        limit=st.integers(1, 4),
    )
    def test_faster_pages_are_the_derived_ones(
        self, batch: list[FeedbackEntry], query: Query, order: Order, limit: int
    ) -> None:
        """Pages by number and by cursor are the same by the store's way and the derived."""
        query = attrs.evolve(query, order=order)
        with closing(self.make_store()) as store:
            store.append(batch)
            fast, derived = FeedbackStore(store), FeedbackStore(FiveVerbs(store))
            for number in (1, 2, 3):
                expected = derived.page(query, limit, page=number)
                assert _shown(expected) == _shown(fast.page(query, limit, page=number))
                if expected.next_cursor is not None:
                    after = derived.page(query, limit, cursor=expected.next_cursor)
                    given = fast.page(query, limit, cursor=expected.next_cursor)
                    assert _shown(after) == _shown(given)

    def test_faster_answers_follow_every_write(self, store: Store) -> None:
        """After each write, count, statistics, page and entry are those of the moment."""
        fast, derived = FeedbackStore(store), FeedbackStore(FiveVerbs(store))
        for write in _WRITES:
            write(store)
            assert derived.count() == fast.count()
            assert derived.stats() == fast.stats()
            assert _shown(derived.page()) == _shown(fast.page())
            assert derived.find("a") == fast.find("a")

    def test_the_version_changes_with_the_contents(self, store: Store) -> None:
        """Every write that changes something gives a version that was never there before."""
        seen = [_version(store)]
        for write in _WRITES:
            write(store)
            seen.append(_version(store))
        assert len(seen) == len(set(seen))

    def test_the_version_stays_while_nothing_is_written(self, store: Store) -> None:
        """Reading does not change the version, or no result could ever be remembered."""
        store.append([an_entry("a")])
        before = _version(store)
        feedback = FeedbackStore(store)
        feedback.get("a")
        feedback.page()
        feedback.stats()
        assert before == _version(store)

    def test_a_second_instance_sees_the_version_change(self, store: Store) -> None:
        """The version changes in every instance, whichever of them writes."""
        with closing(self.open_second(store)) as second:
            seen = [_version(second)]
            for write in _WRITES:
                write(store)
                seen.append(_version(second))
            assert len(seen) == len(set(seen))


def _line(entry: FeedbackEntry | None) -> bytes | None:
    return None if entry is None else encode(entry)
