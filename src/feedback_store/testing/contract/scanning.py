"""What `Store.scan` promises."""

# ruff: noqa: SIM300  # asserts read `expected == actual`

from contextlib import closing
from datetime import UTC, datetime, timedelta
from functools import partial

import attrs
import pytest
from hypothesis import given

from feedback_store.codec import encode
from feedback_store.entry import FeedbackEntry
from feedback_store.query import Order, Query
from feedback_store.store import Store
from feedback_store.testing.contract.base import NOON, ContractBase, an_entry, drawn
from feedback_store.testing.strategies import batches, queries

MICROSECOND = timedelta(microseconds=1)


def _ids(store: Store, order: Order | None = None) -> list[str]:
    return [entry.id for entry in store.scan(Query(order=order))]


class ScanningContract(ContractBase):
    """Tests of `Store.scan`."""

    def test_a_new_store_reads_as_empty(self, store: Store) -> None:
        """A location where nothing was stored yet reads as empty; it is no error."""
        assert [] == list(store.scan(Query()))

    @pytest.mark.parametrize("order", [None, *Order])
    def test_a_scan_goes_by_time(self, store: Store, order: Order | None) -> None:
        """Ascending for no order and for the oldest, descending for every other one."""
        times = {
            "c": datetime(2025, 2, 1, tzinfo=UTC),
            "b": datetime(2025, 1, 31, 23, 59, 59, 999999, tzinfo=UTC),
            "e": NOON + MICROSECOND,
            "d": NOON,
            "a": datetime(1, 1, 1, tzinfo=UTC),
            "f": datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC),
        }
        store.append([an_entry(id, timestamp=time) for id, time in times.items()])
        ascending = order in {None, Order.OLDEST}
        assert ["a", "b", "c", "d", "e", "f"][:: 1 if ascending else -1] == _ids(store, order)

    def test_equal_times_go_by_id(self, store: Store) -> None:
        """Entries of one time come by id, in the order of the characters' code points."""
        ids = ["", "A", "Z", "a", "z", "é", "\uffee", "\U0001f600"][1:]
        store.append([an_entry(id) for id in reversed(ids)])
        assert ids == _ids(store)
        assert ids[::-1] == _ids(store, Order.NEWEST)

    def test_the_order_is_that_of_the_instants(self, store: Store) -> None:
        """Times with and without a fraction of a second are ordered as times, not as text."""
        whole = NOON.replace(microsecond=0)
        later = [whole, whole + MICROSECOND, whole + timedelta(milliseconds=1)]
        store.append([an_entry(str(9 - i), timestamp=time) for i, time in enumerate(later)])
        assert ["9", "8", "7"] == _ids(store)

    def test_a_changed_entry_comes_once(self, store: Store) -> None:
        """An entry that was changed comes once, as it is now, in its old place."""
        store.append([an_entry(id) for id in ("a", "b", "c")])
        for rating in (0.25, 0.75, 1):
            store.rewrite("b", partial(attrs.evolve, rating=rating))
        found = [(entry.id, entry.rating) for entry in store.scan(Query())]
        assert [("a", 0), ("b", 1), ("c", 0)] == found

    @pytest.mark.parametrize("order", [Order.OLDEST, Order.NEWEST])
    def test_a_scan_is_as_of_the_call(self, store: Store, order: Order) -> None:
        """What is written after the call, and before the first entry is taken, does not show."""
        months = [NOON + timedelta(days=31 * i) for i in range(4)]
        store.append([an_entry(str(i), timestamp=time) for i, time in enumerate(months)])
        expected = [encode(entry) for entry in store.scan(Query(order=order))]
        scan = store.scan(Query(order=order))
        store.append([an_entry("new"), an_entry("newer", timestamp=months[2])])
        store.rewrite("1", lambda entry: attrs.evolve(entry, rating=1))
        store.erase(["2"])
        assert expected == [encode(entry) for entry in scan]

    def test_a_scan_under_way_is_as_of_its_call(self, store: Store) -> None:
        """What is written while a scan is under way does not show in it."""
        store.append([an_entry(str(i), timestamp=NOON + i * MICROSECOND) for i in range(9)])
        scan = store.scan(Query())
        seen = [next(scan).id]
        store.append([an_entry("new", timestamp=NOON + 20 * MICROSECOND)])
        store.erase(["8"])
        seen.extend(entry.id for entry in scan)
        assert [str(i) for i in range(9)] == seen

    def test_scans_do_not_disturb_each_other(self, store: Store) -> None:
        """Two scans at once each yield everything."""
        store.append([an_entry(id) for id in ("a", "b", "c")])
        pairs = zip(store.scan(Query()), store.scan(Query(order=Order.NEWEST)), strict=True)
        assert [("a", "c"), ("b", "b"), ("c", "a")] == [(x.id, y.id) for x, y in pairs]

    @drawn
    @given(batch=batches(), query=queries())
    def test_no_match_is_missing(self, batch: list[FeedbackEntry], query: Query) -> None:
        """Whatever the query, a scan yields all that matches it, each once, in order."""
        with closing(self.make_store()) as store:
            store.append(batch)
            everything = list(store.scan(Query(order=query.order)))
            expected = [encode(entry) for entry in everything if query.matches(entry)]
            found = [encode(entry) for entry in store.scan(query) if query.matches(entry)]
            assert expected == found

    @drawn
    @given(batch=batches())
    def test_both_directions_yield_the_same(self, batch: list[FeedbackEntry]) -> None:
        """Newest first is oldest first, backwards, and both are sorted by (timestamp, id)."""
        with closing(self.make_store()) as store:
            store.append(batch)
            keys = [(entry.timestamp, entry.id) for entry in store.scan(Query())]
            newest = [(e.timestamp, e.id) for e in store.scan(Query(order=Order.NEWEST))]
            assert sorted(set(keys)) == keys
            assert keys[::-1] == newest
