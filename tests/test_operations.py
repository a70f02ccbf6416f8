"""`operations`: what follows from the five verbs, where a store's own answers are not asked."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given

from feedback_store import (
    FeedbackEntry,
    Metadata,
    Order,
    Outcome,
    Page,
    Query,
    Stats,
    changing,
    operations,
)
from feedback_store.backends.memory import MemoryStore
from feedback_store.store import Change
from feedback_store.testing import FiveVerbs, batches, entries, model, queries

NOON = datetime(2025, 10, 5, 12, tzinfo=UTC)


def make(id: str = "a", **fields: Any) -> FeedbackEntry:  # noqa: ANN401  # any field's value
    """Return an entry with the required fields and those given."""
    needed = {"message_id": id, "question": "", "answer": "", "timestamp": NOON}
    return FeedbackEntry(**{**needed, **fields})


class Eager(MemoryStore):
    """A store with a faster way for everything, which says what was asked of it."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[str] = []

    def scan(self, query: Query) -> Iterator[FeedbackEntry]:
        """Yield everything, whatever the query: a hint is only a hint."""
        self.asked.append("scan")
        return super().scan(Query(order=query.order))

    def get(self, id: str) -> FeedbackEntry | None:
        """Find an entry."""
        self.asked.append("get")
        return super().get(id)

    def page(self, query: Query, limit: int, cursor: str | None, number: int | None) -> Page:
        """Return an empty page."""
        self.asked.append("page")
        return Page(entries=(), total=0)

    def count(self, query: Query) -> int:
        """Return a number."""
        self.asked.append("count")
        return -1

    def stats(self, query: Query) -> Stats:
        """Return no numbers."""
        self.asked.append("stats")
        return Stats()


def test_faster_ways_are_asked_where_there_are_any() -> None:
    """What a store answers itself is asked of it, and not derived."""
    store = Eager()
    operations.find(store, "a")
    operations.page(store, Query(), 1)
    operations.count(store, Query())
    operations.stats(store, Query())
    assert ["get", "page", "count", "stats"] == store.asked


def test_a_function_is_never_given_to_a_store() -> None:
    """A query with a function of the app's is answered by a scan, which is filtered here."""
    store = Eager()
    store.append([make("a", rating=1), make("b")])
    query = Query(where=lambda entry: entry.rating == 1)
    assert ["a"] == [entry.id for entry in operations.page(store, query, 9).entries]
    assert (1, 1) == (operations.count(store, query), operations.stats(store, query).total)
    assert {"scan"} == set(store.asked)


@given(batches(), queries(where=True))
def test_correctness_does_not_rest_on_the_filter_of_a_store(
    batch: list[FeedbackEntry], query: Query
) -> None:
    """Where a scan yields more than matches, only what matches comes out."""
    store = Eager()
    store.append(batch)
    there = [entry for entry in MemoryStore.scan(store, Query()) if model.matches(entry, query)]
    expected = model.ordered(there, query.order or Order.OLDEST)
    assert expected == list(operations.scan(FiveVerbs(store), query))


@given(entries(ids=["a"]), entries(ids=["a"]))
def test_sameness_is_that_of_the_model(a: FeedbackEntry, b: FeedbackEntry) -> None:
    """Two entries say the same when their JSON does, but for its times."""
    assert (model.content(a) == model.content(b)) == operations.same_content(a, b)
    assert operations.same_content(a, a)


def test_put_adds_again_what_was_erased_meanwhile() -> None:
    """When an entry is erased between `append` and `rewrite`, `put` adds the new one."""

    class ErasedMeanwhile(MemoryStore):
        """A store in which someone erases each entry that conflicts, once."""

        def append(self, entries: Sequence[FeedbackEntry]) -> Sequence[Outcome]:
            outcomes = super().append(entries)
            self.erase([e.id for e, o in zip(entries, outcomes, strict=True) if o == "conflict"])
            return outcomes

    store = ErasedMeanwhile()
    store.append([make(rating=0)])
    new = make(rating=1, timestamp=NOON + timedelta(days=1))
    assert Outcome.ADDED is changing.put(store, new).outcome
    assert [new] == list(store.scan(Query()))


def test_put_sees_what_another_put_meanwhile() -> None:
    """When someone else puts the same content between, nothing is written again."""

    class PutMeanwhile(MemoryStore):
        """A store in which someone else is always a moment earlier."""

        def rewrite(self, id: str, change: Change) -> FeedbackEntry:
            versions.append(super().rewrite(id, change))
            versions.append(super().rewrite(id, change))
            return versions[-1]

    versions: list[FeedbackEntry] = []
    store = PutMeanwhile()
    store.append([make(rating=0)])
    assert Outcome.UPDATED is changing.put(store, make(rating=1)).outcome
    assert versions[0] is versions[1]


def test_update_keeps_a_time_that_is_given() -> None:
    """`updated_at` can be given, when changes are copied from elsewhere."""
    store = MemoryStore()
    store.append([make()])
    changing.update(store, "a", (), {"rating": 1, "updated_at": NOON})
    assert NOON == next(store.scan(Query())).updated_at


def test_update_replaces_the_metadata_first() -> None:
    """New metadata as a whole, and single fields of it, may be given together."""
    old = make(metadata=Metadata(token_count=7, issues=["a"]))
    fields = {"metadata": Metadata(issues=["b"]), "explanation": "e"}
    new = changing.changed(old, ("c",), fields)
    assert Metadata(issues=["b", "c"], explanation="e") == new.metadata


def test_deleting_goes_by_batches() -> None:
    """However many entries match, all are erased and counted."""
    store = MemoryStore()
    store.append([make(str(n)) for n in range(2345)])
    assert 2345 == changing.delete_where(store, Query(), store.erase)
    assert [] == list(store.scan(Query()))


def test_pages_hold_only_what_they_show() -> None:
    """A page by rating keeps no more than its entries, however many there are."""
    store = MemoryStore()
    store.append([make(str(n), rating=n / 1000) for n in range(1000)])
    page = operations.page(store, Query(order=Order.RATING_DESC), 3)
    assert (["999", "998", "997"], 1000) == ([entry.id for entry in page.entries], page.total)
