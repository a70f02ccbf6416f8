"""What a store promises to many threads."""

# ruff: noqa: SIM300  # asserts read `expected == actual`

import itertools
from functools import partial

import attrs

from feedback_store.codec import encode
from feedback_store.entry import FeedbackEntry, Metadata
from feedback_store.errors import DuplicateEntryError
from feedback_store.facade import FeedbackStore
from feedback_store.query import Query
from feedback_store.store import Outcome, Store
from feedback_store.testing.contract.base import ContractBase, all_at_once, an_entry, lines

THREADS = 8
EACH = 10


def _add_each(feedback: FeedbackStore, ids: list[str]) -> list[Outcome]:
    return [feedback.add(an_entry(id)) for id in ids]


def _become(new: FeedbackEntry, _: FeedbackEntry) -> FeedbackEntry:
    return new


class ThreadsContract(ContractBase):
    """Tests with several threads on one store."""

    def test_threads_lose_nothing(self, feedback: FeedbackStore) -> None:
        """Threads that add distinct entries at once all succeed, and all is there."""
        ids = [[f"{thread}-{n}" for n in range(EACH)] for thread in range(THREADS)]
        all_at_once(*(partial(_add_each, feedback, some) for some in ids))
        assert sorted(id for some in ids for id in some) == [e.id for e in feedback.scan()]

    def test_threads_with_the_same_entries_store_them_once(self, feedback: FeedbackStore) -> None:
        """Of the threads that add one entry at once, one gets ADDED, the others UNCHANGED."""
        ids = [str(n) for n in range(EACH)]
        outcomes = all_at_once(*[partial(_add_each, feedback, ids)] * THREADS)
        expected = [Outcome.ADDED] + [Outcome.UNCHANGED] * (THREADS - 1)
        assert [expected] * EACH == [sorted(column) for column in zip(*outcomes, strict=True)]
        assert ids == [entry.id for entry in feedback.scan()]

    def test_of_rivals_one_wins(self, feedback: FeedbackStore) -> None:
        """Of the threads that add other content under one id, one wins, and the others know."""

        def add(question: str) -> str | None:
            try:
                feedback.add(an_entry(question=question))
            except DuplicateEntryError:
                return None
            return question

        results = all_at_once(*(partial(add, str(thread)) for thread in range(THREADS)))
        winners = [question for question in results if question is not None]
        assert 1 == len(winners)
        assert winners == [entry.question for entry in feedback.scan()]

    def test_no_change_is_lost(self, store: Store) -> None:
        """Changes of one entry by many threads come one after the other: each counts."""
        store.append([an_entry(metadata=Metadata(token_count=0))])

        def count_up(entry: FeedbackEntry) -> FeedbackEntry:
            counted = (entry.metadata.token_count or 0) + 1
            return attrs.evolve(entry, metadata=Metadata(token_count=counted))

        def change() -> None:
            for _ in range(EACH):
                store.rewrite("a", count_up)

        all_at_once(*[change] * THREADS)
        assert [THREADS * EACH] == [entry.metadata.token_count for entry in store.scan(Query())]

    def test_an_entry_is_erased_once(self, store: Store) -> None:
        """Of the threads that erase the same entries at once, each entry counts for one."""
        ids = [str(n) for n in range(EACH)]
        store.append([an_entry(id) for id in ids])
        assert EACH == sum(all_at_once(*[partial(store.erase, ids)] * THREADS))
        assert [] == lines(store)

    def test_readers_see_whole_entries_only(self, store: Store) -> None:
        """Readers beside a writer see each entry as it was before a change or after it."""
        versions = [an_entry(answer=letter * 5000) for letter in "xyz"]
        allowed = {encode(version) for version in versions}
        store.append(versions[:1])

        def write() -> list[bytes]:
            for version in itertools.islice(itertools.cycle(versions), EACH):
                store.rewrite("a", partial(_become, version))
            return []

        def read() -> list[bytes]:
            return [line for _ in range(EACH) for line in lines(store)]

        seen = [line for part in all_at_once(write, read, read) for line in part]
        assert 2 * EACH == len(seen)
        assert set() == set(seen) - allowed
