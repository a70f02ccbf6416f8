"""What a store promises when it is closed, opened again, or opened twice."""

# ruff: noqa: SIM300  # asserts read `expected == actual`

import os
import sys
from collections.abc import Callable
from contextlib import closing, suppress

import attrs
import pytest
from hypothesis import example, given, settings

from feedback_store.codec import encode
from feedback_store.entry import FeedbackEntry
from feedback_store.errors import StoreClosedError
from feedback_store.facade import FeedbackStore
from feedback_store.query import Order, Query
from feedback_store.store import (
    Store,
    SupportsCheck,
    SupportsCompact,
    SupportsCount,
    SupportsGet,
    SupportsGetMany,
    SupportsPage,
    SupportsStats,
    SupportsVersion,
)
from feedback_store.testing.contract.base import ContractBase, an_entry, drawn, lines
from feedback_store.testing.strategies import batches

VERBS: dict[str, Callable[[Store], object]] = {
    "append": lambda store: store.append([an_entry("b")]),
    "append nothing": lambda store: store.append([]),
    "scan": lambda store: store.scan(Query()),
    "scan backwards": lambda store: store.scan(Query(order=Order.NEWEST)),
    "rewrite": lambda store: store.rewrite("a", lambda entry: entry),
    "erase": lambda store: store.erase(["a"]),
    "erase nothing": lambda store: store.erase([]),
    "get": lambda store: isinstance(store, SupportsGet) and store.get("a"),
    "get_many": lambda store: isinstance(store, SupportsGetMany) and store.get_many(["a"]),
    "page": lambda s: isinstance(s, SupportsPage) and s.page(Query(order="newest"), 1, None, None),
    "count": lambda store: isinstance(store, SupportsCount) and store.count(Query()),
    "stats": lambda store: isinstance(store, SupportsStats) and store.stats(Query()),
    "version": lambda store: isinstance(store, SupportsVersion) and store.version(),
    "compact": lambda store: isinstance(store, SupportsCompact) and store.compact(),
    "check": lambda store: isinstance(store, SupportsCheck) and store.check(),
}


class LifetimeContract(ContractBase):
    """Tests of `Store.close`, and of what outlives it."""

    def test_closing_may_be_repeated(self, store: Store) -> None:
        """The second and the third call of `close` do nothing."""
        store.append([an_entry()])
        for _ in range(3):
            store.close()

    def test_every_verb_of_a_closed_store_says_so(self, store: Store) -> None:
        """After `close`, every verb that the store has raises StoreClosedError, at the call."""
        store.append([an_entry("a")])
        offered = [name for name, call in VERBS.items() if call(store) is not False]
        store.close()
        for name in offered:
            with pytest.raises(StoreClosedError):
                pytest.fail(f"{name} gave {VERBS[name](store)!r}")

    def test_what_is_stored_is_there_after_reopening(self, store: Store) -> None:
        """Added, changed and erased entries are as they were, after closing and opening again."""
        store.append([an_entry(id) for id in ("a", "b", "c")])
        store.rewrite("b", lambda entry: attrs.evolve(entry, rating=1))
        store.erase(["c"])
        with closing(self.reopen(store)) as again:
            assert [encode(an_entry("a")), encode(an_entry("b", rating=1))] == lines(again)

    # Opening is slow on most media, and a few examples say as much as many.
    @settings(drawn, max_examples=max(5, drawn.max_examples // 5))
    @example(batch=[])
    @given(batch=batches())
    def test_every_entry_is_the_same_after_reopening(self, batch: list[FeedbackEntry]) -> None:
        """Every line is the same, to the last byte, after closing and opening again."""
        with closing(self.make_store()) as store:
            store.append([an_entry("always"), *batch])
            stored = lines(store)
            with closing(self.reopen(store)) as again:
                assert stored == lines(again)

    def test_a_second_instance_sees_what_the_first_writes(self, store: Store) -> None:
        """What one instance adds, changes and erases, another one sees at once."""
        with closing(self.open_second(store)) as second:
            store.append([an_entry("a"), an_entry("b")])
            assert [encode(an_entry("a")), encode(an_entry("b"))] == lines(second)
            second.rewrite("a", lambda entry: attrs.evolve(entry, rating=1))
            second.erase(["b"])
            assert [encode(an_entry("a", rating=1))] == lines(store)

    @pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
    def test_a_store_opened_before_a_fork_works_in_the_child(self, store: Store) -> None:
        """A child reads and writes through the store that its parent opened, and so does it."""
        feedback = FeedbackStore(store)
        feedback.add(an_entry("before"))
        assert 0 == _in_a_child(lambda: feedback.add(an_entry("child")))
        feedback.add(an_entry("parent"))
        assert ["before", "child", "parent"] == [entry.id for entry in feedback.scan()]


def _in_a_child(work: Callable[[], object]) -> int:
    """Run it in a forked child; return the child's exit code."""
    sys.stdout.flush()
    pid = os.fork()
    if pid == 0:
        code = 1
        with suppress(BaseException):  # the child must never return into pytest
            work()
            code = 0
        os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
