"""What pages, counts and statistics promise on every store."""

# ruff: noqa: PLR2004, SIM300  # asserts read `expected == actual`, and a number in one is the expectation

from contextlib import closing
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from feedback_store.codec import encode
from feedback_store.entry import FeedbackEntry, Metadata
from feedback_store.errors import InvalidQueryError
from feedback_store.facade import FeedbackStore
from feedback_store.query import Order, Query
from feedback_store.stats import Group
from feedback_store.testing.contract.base import NOON, ContractBase, an_entry, drawn
from feedback_store.testing.strategies import batches, queries

# Ties in rating and in time, in an order that none of the four orders is.
_RATED = {"d": 1, "a": None, "c": 0, "b": 1.0, "f": 0.5, "e": None, "g": 0}
_HOURS = {"d": 3, "a": 2, "c": 1, "b": 2, "f": 0, "e": 4, "g": 5}

_EXPECTED = {
    Order.OLDEST: "fcabdeg",
    Order.NEWEST: "gedbacf",
    Order.RATING_DESC: "dbfgcea",
    Order.RATING_ASC: "gcfdbea",
}


def _fill(feedback: FeedbackStore) -> None:
    times = {id: NOON + timedelta(hours=hours) for id, hours in _HOURS.items()}
    feedback.add_many(an_entry(id, rating=_RATED[id], timestamp=times[id]) for id in _RATED)


def _walk(feedback: FeedbackStore, query: Query, limit: int) -> list[FeedbackEntry]:
    """Follow the cursors from the first page to the last."""
    page = feedback.page(query, limit)
    found = list(page.entries)
    while page.next_cursor is not None:
        page = feedback.page(query, limit, cursor=page.next_cursor)
        found.extend(page.entries)
    return found


class PagesContract(ContractBase):
    """Tests of `FeedbackStore.page`, `FeedbackStore.count` and `FeedbackStore.stats`."""

    @pytest.mark.parametrize("order", Order)
    def test_entries_come_in_the_order_asked_for(
        self, feedback: FeedbackStore, order: Order
    ) -> None:
        """All four orders: newest first among equal ratings, unrated last."""
        _fill(feedback)
        query = Query(order=order)
        assert _EXPECTED[order] == "".join(entry.id for entry in feedback.scan(query))
        assert _EXPECTED[order] == "".join(entry.id for entry in feedback.page(query).entries)

    def test_pages_are_newest_first_and_scans_oldest_first(self, feedback: FeedbackStore) -> None:
        """Without an order, a page begins with the newest, and a scan with the oldest."""
        _fill(feedback)
        assert _EXPECTED[Order.NEWEST] == "".join(entry.id for entry in feedback.page().entries)
        assert _EXPECTED[Order.OLDEST] == "".join(entry.id for entry in feedback.scan())

    @pytest.mark.parametrize("order", Order)
    @pytest.mark.parametrize("limit", [1, 2, 3, 7, 8])
    def test_pages_are_cut_from_the_whole(
        self, feedback: FeedbackStore, order: Order, limit: int
    ) -> None:
        """By cursor and by number, the pages together are everything, each entry once."""
        _fill(feedback)
        expected = _EXPECTED[order]
        query = Query(order=order)
        assert expected == "".join(entry.id for entry in _walk(feedback, query, limit))
        for number in range(1, len(expected) // limit + 3):
            page = feedback.page(query, limit, page=number)
            cut = expected[limit * (number - 1) : limit * number]
            assert cut == "".join(entry.id for entry in page.entries)
            assert len(expected) == page.total
            assert (limit * number < len(expected)) is (page.next_cursor is not None)

    @pytest.mark.parametrize("order", Order)
    def test_a_cursor_follows_a_numbered_page(self, feedback: FeedbackStore, order: Order) -> None:
        """The cursor of a page that was asked for by its number leads to the next one."""
        _fill(feedback)
        second = feedback.page(Query(order=order), 2, page=2)
        third = feedback.page(Query(order=order), 2, cursor=second.next_cursor)
        assert _EXPECTED[order][4:6] == "".join(entry.id for entry in third.entries)

    @pytest.mark.parametrize("order", Order)
    def test_cursors_are_stable_while_others_write(
        self, feedback: FeedbackStore, order: Order
    ) -> None:
        """Entries that are added or erased between two pages make none repeat or go missing."""
        _fill(feedback)
        expected = _EXPECTED[order]
        first = feedback.page(Query(order=order), 3)
        feedback.delete(expected[2], expected[4])  # the one that the cursor names, and a coming one
        feedback.add(an_entry("x", rating=1, timestamp=NOON + timedelta(days=1)))
        feedback.add(an_entry("y", rating=None, timestamp=NOON - timedelta(days=1)))
        rest = feedback.page(Query(order=order), 9, cursor=first.next_cursor)
        old = [entry.id for entry in rest.entries if entry.id not in "xy"]
        assert list(expected[3] + expected[5:]) == old

    def test_totals_count_what_matches(self, feedback: FeedbackStore) -> None:
        """The total is that of the query, on every page, also beyond the last."""
        _fill(feedback)
        query = Query(rating="positive")
        totals = [feedback.page(query, 1, page=number).total for number in (1, 2, 3)]
        assert [2, 2, 2] == totals
        assert 2 == feedback.count(query)
        assert () == feedback.page(query, 1, page=3).entries

    def test_an_empty_store_has_an_empty_page(self, feedback: FeedbackStore) -> None:
        """Without entries there is a page without entries, a count and a total of none."""
        page = feedback.page()
        assert ((), 0, None) == (page.entries, page.total, page.next_cursor)
        assert (0, 0, None) == (feedback.count(), feedback.stats().total, feedback.stats().first)

    @pytest.mark.parametrize(
        "wrong",
        [
            {"limit": 0},
            {"page": 0},
            {"page": -1},
            {"cursor": "x"},
            {"cursor": ""},
            {"cursor": "é"},
            {"cursor": "bnVsbA==", "page": 1},
        ],
        ids=str,
    )
    def test_what_makes_no_sense_is_refused(
        self, feedback: FeedbackStore, wrong: dict[str, Any]
    ) -> None:
        """A limit or number below 1, what is no cursor, and both at once are errors."""
        _fill(feedback)
        with pytest.raises(InvalidQueryError):
            feedback.page(**wrong)

    def test_a_cursor_belongs_to_its_order(self, feedback: FeedbackStore) -> None:
        """A cursor of one order is refused in another."""
        _fill(feedback)
        cursor = feedback.page(Query(order=Order.NEWEST), 2).next_cursor
        with pytest.raises(InvalidQueryError):
            feedback.page(Query(order=Order.OLDEST), 2, cursor=cursor)
        assert feedback.page(limit=2, cursor=cursor).entries

    def test_statistics_are_those_of_what_matches(self, feedback: FeedbackStore) -> None:
        """Every number is that of the entries that match, and of no other."""
        web = {"channel": "web"}
        slow = Metadata(response_time=1.5, issues=["slow", "slow", "wrong"])
        feedback.add(an_entry("a", rating=1, extra=web, sources=[{"type": "wiki"}, {}]))
        feedback.add(an_entry("b", extra=web, metadata=slow, timestamp=NOON + timedelta(days=31)))
        feedback.add(an_entry("c", rating=None, extra=web, sources=[{"type": "wiki"}] * 2))
        feedback.add(an_entry("d", rating=0.5))
        stats = feedback.stats(Query(match=web))
        assert (3, 1, 1, 0, 1) == (
            stats.total, stats.positive, stats.negative, stats.neutral, stats.unrated,
        )  # fmt: skip
        assert (0.5, 1.5) == (stats.helpful_rate, stats.mean_response_time)
        assert {"2025-10": 2, "2025-11": 1} == dict(stats.by_month)
        assert {"slow": 1, "wrong": 1} == dict(stats.by_issue)
        unknown, wiki = Group(total=2, positive=1, rated=2), Group(total=2, positive=1, rated=1)
        assert {"unknown": unknown, "wiki": wiki} == dict(stats.by_source_type)
        assert (NOON, NOON + timedelta(days=31)) == (stats.first, stats.last)

    @drawn
    @given(batch=batches(), query=queries(where=True), limit=st.integers(1, 7))
    def test_pages_counts_and_scans_agree(
        self, batch: list[FeedbackEntry], query: Query, limit: int
    ) -> None:
        """For any query, the pages together are the scan, and all the totals are its length."""
        with closing(self.make_store()) as store:
            feedback = FeedbackStore(store)
            feedback.add_many(batch)
            query = query.ordered(Order.NEWEST)
            expected = [encode(entry) for entry in feedback.scan(query)]
            assert expected == [encode(entry) for entry in _walk(feedback, query, limit)]
            totals = (feedback.count(query), feedback.stats(query).total)
            assert (len(expected), len(expected)) == totals
            assert len(expected) == feedback.page(query, limit).total
