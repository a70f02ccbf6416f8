"""The awaited verbs answer as those of `FeedbackStore` do, and take the same."""

import inspect
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import attrs
import pytest
from crowd import Crowd, a_crowd, make, until
from hypothesis import given
from hypothesis import strategies as st

from feedback_store import (
    BatchResult,
    FeedbackEntry,
    FeedbackStore,
    FeedbackStoreError,
    InvalidEntryError,
    Page,
    Query,
    open_async_store,
    open_store,
)
from feedback_store.aio import AsyncFeedbackStore
from feedback_store.backends.memory import MemoryStore
from feedback_store.testing import queries

crowd = pytest.fixture(a_crowd)

SYNCHRONOUS = {"store", "on_change", "scan"}
"""What is not awaited: the store below, a subscription, and what ``async for`` reads."""

OWN = {"aclose"}
"""What the awaited store has beyond the other."""

BOTH = ("asyncio", "trio")
NOON = datetime(2025, 10, 5, 12, tzinfo=UTC)
IDS = st.sampled_from("abcd")


def public(cls: type) -> dict[str, Any]:
    """Return the verbs and properties of a class."""
    return {name: value for name, value in vars(cls).items() if not name.startswith("_")}


def parameters(verb: object) -> list[tuple[object, ...]]:
    """Return names, kinds and defaults of what a verb takes."""
    assert callable(verb)
    taken = inspect.signature(verb).parameters.values()
    return [(p.name, p.kind, p.default) for p in taken]


def test_every_verb_has_an_awaited_twin() -> None:
    """No verb of `FeedbackStore` is missing, and there is none besides."""
    assert public(FeedbackStore).keys() == public(AsyncFeedbackStore).keys() - OWN


@pytest.mark.parametrize("name", sorted(public(FeedbackStore).keys() - {"store"}))
def test_twins_take_the_same(name: str) -> None:
    """Names, kinds and defaults of the parameters are those of the verb, and what is returned."""
    verb, twin = public(FeedbackStore)[name], public(AsyncFeedbackStore)[name]
    assert parameters(verb) == parameters(twin)
    assert (name not in SYNCHRONOUS) == inspect.iscoroutinefunction(twin)
    if name != "scan":
        returned = inspect.signature(verb).return_annotation
        assert returned == inspect.signature(twin).return_annotation


# ---------------------------------------------------------------------- the same answers

ENTRIES = st.builds(
    FeedbackEntry,
    message_id=IDS,
    question=st.just("q"),
    answer=st.sampled_from(["a", "b"]),
    rating=st.sampled_from([0, 1, None]),
    timestamp=st.just(NOON),
)
CALLS = st.one_of(
    st.tuples(st.sampled_from(["add", "put"]), st.tuples(ENTRIES | st.just("no entry"))),
    st.tuples(st.sampled_from(["add_each", "add_many"]), st.tuples(st.lists(ENTRIES))),
    st.tuples(st.sampled_from(["get", "find", "delete", "update"]), st.tuples(IDS)),
    st.tuples(st.just("delete"), st.lists(IDS).map(tuple)),
    st.tuples(st.sampled_from(["scan", "count", "stats", "delete_where"]), st.tuples(queries())),
    st.tuples(st.just("page"), st.tuples(queries(), st.integers(0, 3))),
    st.tuples(st.sampled_from(["check", "compact", "scan", "page", "count"]), st.just(())),
)


def timeless(answer: object) -> object:
    """Return an answer without the time of the call, and an error as what it says."""
    if isinstance(answer, FeedbackEntry):
        return attrs.evolve(answer, updated_at=None)
    if isinstance(answer, list | tuple):
        return [timeless(part) for part in answer]
    if isinstance(answer, FeedbackStoreError):
        return type(answer), str(answer)
    if isinstance(answer, Page):
        return timeless(answer.entries), answer.total, answer.next_cursor
    return answer


def answer_of(store: FeedbackStore, verb: str, given: Sequence[Any]) -> object:
    """Return what a verb answers, or the error that it raises."""
    options = {"rating": 0.5, "add_issues": ["slow"]} if verb == "update" else {}
    try:
        answer = getattr(store, verb)(*given, **options)
        return list(answer) if verb == "scan" else answer
    except FeedbackStoreError as error:
        return error


async def awaited_answer_of(store: AsyncFeedbackStore, verb: str, given: Sequence[Any]) -> object:
    """Return what the awaited verb answers, or the error that it raises."""
    options = {"rating": 0.5, "add_issues": ["slow"]} if verb == "update" else {}
    try:
        if verb == "scan":
            return [entry async for entry in store.scan(*given)]
        return await getattr(store, verb)(*given, **options)
    except FeedbackStoreError as error:
        return error


@pytest.mark.parametrize("backend", BOTH)
@given(calls=st.lists(CALLS, min_size=5, max_size=30))
def test_every_answer_is_the_same(backend: str, calls: list[tuple[str, Sequence[Any]]]) -> None:
    """Whatever is called in whichever order: answers, errors and what is left are the same."""
    store = FeedbackStore(MemoryStore())

    async def compare() -> None:
        async with AsyncFeedbackStore(FeedbackStore(MemoryStore())) as awaited:
            for verb, given in [*calls, ("scan", ())]:
                expected = timeless(answer_of(store, verb, given))
                assert expected == timeless(await awaited_answer_of(awaited, verb, given))

    anyio.run(compare, backend=backend)


# ------------------------------------------------------------------------- what is its own


@pytest.mark.anyio
async def test_many_may_come_from_a_stream() -> None:
    """`add_many` takes iterators and asynchronous iterators, and counts each entry once."""

    async def stream(first: int, last: int) -> AsyncIterator[FeedbackEntry]:
        for n in range(first, last):
            await anyio.lowlevel.checkpoint()
            yield make(str(n))

    async with open_async_store("mem://") as store:
        entries: Iterable[FeedbackEntry] | AsyncIterable[FeedbackEntry]
        assert BatchResult() == await store.add_many([])
        assert BatchResult() == await store.add_many(stream(0, 0))
        assert BatchResult(added=2001) == await store.add_many(stream(0, 2001))
        entries = (make(str(n)) for n in range(1000, 3000))
        assert BatchResult(added=999, unchanged=1001) == await store.add_many(entries)
        other = [make("1", answer="other"), make("new")]
        assert BatchResult(added=1, conflicts=("1",)) == await store.add_many(other)
        assert 3001 == await store.count()


@pytest.mark.anyio
async def test_batches_before_a_refused_one_are_kept() -> None:
    """After an error in one batch of `add_many`, what came before it is stored."""
    async with open_async_store("mem://", max_entry_bytes=500) as store:
        many = [make(str(n)) for n in range(1500)]
        with pytest.raises(InvalidEntryError):
            await store.add_many([*many, make("large", answer="x" * 500)])
        assert 1000 == await store.count()


@pytest.mark.anyio
async def test_many_can_be_cancelled_between_two_batches(crowd: Crowd) -> None:
    """A cancelled `add_many` finishes the batch that is under way, and begins no other."""

    def many() -> Iterator[FeedbackEntry]:
        yield from (make(str(n)) for n in range(100_000))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(crowd.store.add_many, many())
        await until(lambda: crowd.medium.at_work)
        tasks.cancel_scope.cancel()
        crowd.medium.let_go.set()
    assert [1000] == [len(group) for group in crowd.medium.groups]


@pytest.mark.anyio
async def test_a_subscriber_is_told_of_awaited_changes() -> None:
    """A callback hears of what was added, in the order in which it was acknowledged."""
    told: list[str] = []
    async with open_async_store("mem://") as store:
        with store.on_change(lambda event: told.append(f"{event.kind} {event.id}")):
            await store.add(make("a"))
            await store.put(make("a", answer="other"))
            await store.delete("a")
            await until(lambda: len(told) == 3)
    assert ["added a", "updated a", "erased a"] == told


def test_it_says_where_it_is(tmp_path: Path) -> None:
    """Its repr shows the store below, which can be reached; opening it touches nothing."""
    store = open_async_store(tmp_path / "feedback", max_threads=3)
    assert f"AsyncFeedbackStore({store.store!r})" == repr(store)
    assert str(tmp_path / "feedback") in repr(store)
    anyio.run(store.close)
    assert [] == list(tmp_path.iterdir())


@pytest.mark.anyio
async def test_others_see_what_it_wrote(tmp_path: Path) -> None:
    """What is acknowledged is there for a store that is opened beside it."""
    async with open_async_store(tmp_path / "feedback") as store:
        await store.add(make("a"))
        with open_store(tmp_path / "feedback") as other:
            assert 1 == other.count(Query(message_id="a"))
