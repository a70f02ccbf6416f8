"""Two processes on one store: what one has acknowledged, the next answer of the other shows."""

import os
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import attrs
import pytest
from jsonl_harness import DEEP, an_entry, fork, needs_fork, wait_for

from feedback_store import FeedbackStore, Query, Store
from feedback_store.backends.jsonl import JsonlStore
from feedback_store.backends.sqlite import SqliteStore
from feedback_store.layers import CachedStore
from feedback_store.store import SupportsCompact

pytestmark = [needs_fork]

ROUNDS = 200 if DEEP else 25
OPENERS: dict[str, Callable[[Path], Store]] = {
    "jsonl": lambda place: JsonlStore(place, durability="os"),
    "sqlite": lambda place: SqliteStore(place / "feedback.db", durability="os"),
    "sqlite with a rollback journal": lambda place: SqliteStore(
        place / "feedback.db", durability="os", journal_mode="delete"
    ),
}


class Turns:
    """Two processes that take turns, so that each knows what the other has done."""

    def __init__(self) -> None:
        self._there, self._back = os.pipe(), os.pipe()

    def let_the_other(self) -> None:
        """In the one that asks: let the other do its next step, and return when it is done."""
        os.write(self._there[1], b"x")
        assert b"x" == os.read(self._back[0], 1), "the other process has ended"

    def serve(self, steps: list[Callable[[], object]]) -> None:
        """In the other one: do a step whenever it is asked for."""
        os.close(self._back[0])
        for step in steps:
            os.read(self._there[0], 1)
            step()
            os.write(self._back[1], b"x")

    def begin(self, steps: Callable[[], list[Callable[[], object]]]) -> int:
        """Start the other process; it makes its own steps, with stores of its own."""
        pid = fork(lambda: self.serve(steps()))
        os.close(self._back[1])  # so that a death of the other is the end of the pipe
        return pid


@pytest.mark.parametrize("kind", OPENERS)
@pytest.mark.parametrize("writer_is_cached", [True, False])
def test_what_one_process_has_written_another_sees(
    tmp_path: Path, kind: str, *, writer_is_cached: bool
) -> None:
    """Every kind of answer shows each write of another process at once, and is remembered else."""

    def writes() -> list[Callable[[], object]]:
        below = OPENERS[kind](tmp_path)
        feedback = FeedbackStore(CachedStore(below) if writer_is_cached else below)
        steps: list[Callable[[], object]] = []
        for n in range(ROUNDS):
            steps.append(lambda n=n: feedback.add(an_entry(str(n))))  # type: ignore[misc]  # a lambda
            steps.append(lambda n=n: feedback.update(str(n), rating=1))  # type: ignore[misc]  # a lambda
        return steps

    turns = Turns()
    pid = turns.begin(writes)
    with closing(CachedStore(OPENERS[kind](tmp_path))) as store:
        feedback = FeedbackStore(store)
        for n in range(ROUNDS):
            assert feedback.find(str(n)) is None
            for positive in (n, n + 1):
                turns.let_the_other()
                before = store.info().hits
                for _ in range(2):
                    assert positive - n == feedback.get(str(n)).rating
                    assert n + 1 == feedback.count() == feedback.page(limit=2).total
                    assert positive == feedback.stats().positive
                    assert positive == feedback.count(Query(rating="positive"))
                assert before + 5 == store.info().hits
    assert 0 == wait_for(pid)


@pytest.mark.parametrize("kind", OPENERS)
def test_what_one_process_has_erased_no_other_shows(tmp_path: Path, kind: str) -> None:
    """After another process has erased or compacted, nothing that is remembered is shown."""

    def erasures() -> list[Callable[[], object]]:
        store = OPENERS[kind](tmp_path)
        assert isinstance(store, SupportsCompact)
        steps: list[Callable[[], object]] = []
        for n in range(ROUNDS):
            steps.append(lambda n=n: store.erase([str(n)]))  # type: ignore[misc]  # a lambda
            steps.append(store.compact)
        return steps

    with closing(OPENERS[kind](tmp_path)) as before:
        before.append([an_entry(str(n)) for n in range(ROUNDS)])
        for n in range(ROUNDS):
            before.rewrite(str(n), lambda entry: attrs.evolve(entry, rating=1))
    turns = Turns()
    pid = turns.begin(erasures)
    with closing(CachedStore(OPENERS[kind](tmp_path))) as store:
        feedback = FeedbackStore(store)
        for n in range(ROUNDS):
            _show(feedback, {str(left) for left in range(n, ROUNDS)})
            turns.let_the_other()  # erases one
            _show(feedback, {str(left) for left in range(n + 1, ROUNDS)})
            turns.let_the_other()  # compacts
            _show(feedback, {str(left) for left in range(n + 1, ROUNDS)})
    assert 0 == wait_for(pid)


def _show(feedback: FeedbackStore, there: set[str]) -> None:
    """See that every kind of answer, remembered or not, shows these entries and no others."""
    for _ in range(2):
        assert there == {str(n) for n in range(ROUNDS) if feedback.find(str(n)) is not None}
        assert there == {entry.id for entry in feedback.page(limit=ROUNDS).entries}
        assert len(there) == feedback.count() == feedback.stats().positive
