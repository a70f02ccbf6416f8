"""Readers, writers and forks at once: nothing old comes back, and nobody waits for a reader."""

import os
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from typing import Any

import attrs
import pytest
from jsonl_harness import an_entry, fork, in_child, needs_fork, wait_for

from feedback_store import (
    FeedbackEntry,
    FeedbackStore,
    Outcome,
    Query,
    Store,
    StoreUnavailableError,
)
from feedback_store.backends.memory import MemoryStore
from feedback_store.layers import CachedStore
from feedback_store.layers.cache.sizes import size_bytes
from feedback_store.store import Change
from feedback_store.testing import FiveVerbs

WAIT_S = 30
SETTINGS = ["always", "ttl", "never", "without a version"]


class Gate:
    """A place where one caller stops, until it is let go."""

    def __init__(self) -> None:
        self.arrived = threading.Event()
        self._go = threading.Event()
        self.closed = False

    def pass_through(self) -> None:
        """Stop, if the gate is closed and nobody has stopped here yet."""
        if self.closed:
            self.closed = False
            self.arrived.set()
            assert self._go.wait(WAIT_S)

    def open(self) -> None:
        """Let go who stands there."""
        self._go.set()


class Gated(MemoryStore):
    """A store in memory with gates behind its reads, and before and behind its writes."""

    def __init__(self) -> None:
        super().__init__()
        self.has_read, self.is_about_to_write, self.has_written = Gate(), Gate(), Gate()
        self.fails = False

    def get(self, id: str) -> FeedbackEntry | None:
        """Find it, and stop."""
        found = super().get(id)
        self.has_read.pass_through()
        return found

    def scan(self, query: Query) -> Iterator[FeedbackEntry]:
        """Take in everything, and stop."""
        found = list(super().scan(query))
        self.has_read.pass_through()
        return iter(found)

    def append(self, entries: Sequence[FeedbackEntry]) -> Sequence[Outcome]:
        """Stop, append, stop, and fail when told to."""
        self.is_about_to_write.pass_through()
        outcomes = super().append(entries)
        self.has_written.pass_through()
        if self.fails:
            raise StoreUnavailableError("nobody knows whether it was written")
        return outcomes

    def rewrite(self, id: str, change: Change) -> FeedbackEntry:
        """Stop, change, stop."""
        self.is_about_to_write.pass_through()
        entry = super().rewrite(id, change)
        self.has_written.pass_through()
        return entry

    def erase(self, ids: Iterable[str]) -> int:
        """Stop, erase, stop."""
        self.is_about_to_write.pass_through()
        count = super().erase(ids)
        self.has_written.pass_through()
        return count


READS: dict[str, Callable[[FeedbackStore], object]] = {
    "get": lambda feedback: feedback.find("a"),
    "page": lambda feedback: feedback.page(),
    "count": lambda feedback: feedback.count(),
    "stats": lambda feedback: feedback.stats(),
}
WRITES: dict[str, Callable[[Store], object]] = {
    "append": lambda store: store.append([an_entry("b")]),
    "rewrite": lambda store: store.rewrite("a", lambda entry: attrs.evolve(entry, rating=1)),
    "erase": lambda store: store.erase(["a"]),
}


def cached(inner: Store, setting: str) -> CachedStore:
    """Return a cache in one of the settings."""
    if setting == "without a version":
        return CachedStore(FiveVerbs(inner))
    return CachedStore(inner, revalidate=setting)  # type: ignore[arg-type]  # one of the three


@pytest.fixture
def inner() -> Gated:
    """Return a store with an entry."""
    inner = Gated()
    inner.append([an_entry("a")])
    return inner


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    """Return some threads."""
    with ThreadPoolExecutor(8) as threads:
        yield threads


def stopped(
    threads: ThreadPoolExecutor, gate: Gate, call: Callable[..., object], *args: object
) -> "Future[Any]":
    """Begin a call in a thread, and return once it stands at the gate."""
    gate.closed = True
    future = threads.submit(call, *args)
    assert gate.arrived.wait(WAIT_S)
    return future


@pytest.mark.parametrize("setting", SETTINGS)
@pytest.mark.parametrize("read", READS)
@pytest.mark.parametrize("write", WRITES)
def test_a_slow_reader_puts_nothing_back(
    inner: Gated, threads: ThreadPoolExecutor, setting: str, read: str, write: str
) -> None:
    """A reader that has read before a write, and comes back after it, leaves nothing behind."""
    store = cached(inner, setting)
    feedback = FeedbackStore(store)
    before = READS[read](FeedbackStore(inner))
    slow = stopped(threads, inner.has_read, READS[read], feedback)
    WRITES[write](store)
    inner.has_read.open()
    assert before == slow.result(WAIT_S)
    now = READS[read](FeedbackStore(inner))
    assert now == READS[read](feedback)
    assert now == READS[read](feedback)
    assert 1 == store.info().hits


@pytest.mark.parametrize("setting", SETTINGS)
def test_a_write_at_the_last_moment(
    inner: Gated, setting: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A write that comes while a result is weighed, just before it is kept, is not too late."""
    store = cached(inner, setting)
    feedback = FeedbackStore(store)

    def weighed_slowly(value: object) -> int:
        monkeypatch.undo()
        store.append([an_entry("b")])
        return size_bytes(value)

    monkeypatch.setattr("feedback_store.layers.cache.memory.size_bytes", weighed_slowly)
    assert 1 == feedback.count()
    assert (2, 2) == (feedback.count(), feedback.count())


@pytest.mark.parametrize("read", READS)
def test_a_slow_reader_puts_nothing_back_after_anothers_write(
    inner: Gated, threads: ThreadPoolExecutor, read: str
) -> None:
    """The same, when it is written past the layer, and others have asked meanwhile."""
    store = CachedStore(inner)
    feedback = FeedbackStore(store)
    slow = stopped(threads, inner.has_read, READS[read], feedback)
    inner.rewrite("a", lambda entry: attrs.evolve(entry, rating=1))
    inner.append([an_entry("b")])
    now = READS[read](feedback)
    inner.has_read.open()
    assert now != slow.result(WAIT_S)
    assert now == READS[read](feedback)
    assert 1 == store.info().hits


@pytest.mark.parametrize("setting", SETTINGS)
@pytest.mark.parametrize("fails", [False, True])
def test_a_reader_that_began_during_a_write_leaves_nothing(
    inner: Gated, threads: ThreadPoolExecutor, setting: str, *, fails: bool
) -> None:
    """What it has read may be from before the write took place, though it began after it began."""
    store = cached(inner, setting)
    inner.fails = fails
    feedback = FeedbackStore(store)
    writer = stopped(threads, inner.is_about_to_write, WRITES["append"], store)
    slow = stopped(threads, inner.has_read, feedback.count)
    inner.is_about_to_write.open()
    assert fails == isinstance(writer.exception(WAIT_S), StoreUnavailableError)
    inner.has_read.open()
    assert 1 == slow.result(WAIT_S)
    assert (2, 2) == (feedback.count(), feedback.count())


@pytest.mark.parametrize("setting", SETTINGS)
def test_who_has_seen_a_write_gets_nothing_from_before_it(
    inner: Gated, threads: ThreadPoolExecutor, setting: str
) -> None:
    """While a write has taken place and not returned, no question is answered from before it."""
    store = cached(inner, setting)
    feedback = FeedbackStore(store)
    for read in READS.values():
        read(feedback)
    waiting = stopped(threads, inner.is_about_to_write, WRITES["append"], store)
    assert (1, 1, 1) == (feedback.count(), feedback.stats().total, feedback.page().total)
    inner.has_written.closed = True
    inner.is_about_to_write.open()
    assert inner.has_written.arrived.wait(WAIT_S)
    assert 2 == len(list(feedback.scan()))
    assert (2, 2, 2) == (feedback.count(), feedback.stats().total, feedback.page().total)
    inner.has_written.open()
    waiting.result(WAIT_S)


def test_versions_may_come_in_another_order(threads: ThreadPoolExecutor) -> None:
    """A reader that was told a version, and then overtaken, brings no old answer back."""
    gate = Gate()

    class SlowToTell(MemoryStore):
        def version(self) -> str:
            version = super().version()
            gate.pass_through()
            return version

    inner = SlowToTell()
    store = CachedStore(inner, revalidate="ttl")
    feedback = FeedbackStore(store)
    slow = stopped(threads, gate, feedback.count)
    inner.append([an_entry("a")])
    assert 1 == feedback.count() == feedback.stats().total
    gate.open()
    assert slow.result(WAIT_S) in (0, 1)
    inner.append([an_entry("b")])
    assert isinstance(store.version(), str)  # type: ignore[attr-defined]  # the store below has one
    assert (2, 2) == (feedback.count(), feedback.stats().total)


def test_nobody_waits_for_a_reader(inner: Gated, threads: ThreadPoolExecutor) -> None:
    """While the store below is slow to answer one, others ask, are answered, and write."""
    store = CachedStore(inner)
    feedback = FeedbackStore(store)
    assert 1 == feedback.count()
    slow = stopped(threads, inner.has_read, feedback.get, "a")
    others: list[Future[object]] = [
        threads.submit(feedback.count),
        threads.submit(feedback.stats),
        threads.submit(feedback.add, an_entry("b")),
        threads.submit(feedback.get, "a"),
        threads.submit(store.info),
    ]
    for other in others:
        other.result(WAIT_S)
    assert not slow.done()
    inner.has_read.open()
    slow.result(WAIT_S)


@pytest.mark.parametrize("setting", SETTINGS)
def test_many_threads_see_their_own_writes(setting: str) -> None:
    """Threads that write and read at once each see at once what they have written."""
    store = cached(MemoryStore(), setting)
    feedback = FeedbackStore(store)
    rounds, names = 60, "abcdefgh"
    start = threading.Barrier(len(names))

    def work(name: str) -> None:
        start.wait(WAIT_S)
        feedback.add(an_entry(name, rating=None))
        for n in range(1, rounds + 1):
            feedback.update(name, rating=n / rounds)
            for _ in range(3):
                assert n / rounds == feedback.get(name).rating
            if n % 20 == 0:
                feedback.delete(name)
                assert feedback.find(name) is None
                assert name not in [entry.id for entry in feedback.page(limit=20).entries]
                feedback.add(an_entry(name, rating=n / rounds))
            assert feedback.count() <= len(names)

    with ThreadPoolExecutor(len(names)) as pool:
        list(pool.map(work, names))
    assert len(names) == feedback.count() == feedback.stats().total
    info = store.info()
    assert info.hits > 0
    assert info.hits + info.misses >= len(names) * rounds * 4


def test_bounds_hold_among_threads() -> None:
    """However many threads fill it, the cache holds what it may, and counts it right."""
    inner = MemoryStore()
    inner.append([an_entry(str(n)) for n in range(50)])
    store = CachedStore(inner, max_entries=20)
    feedback = FeedbackStore(store)
    start = threading.Barrier(8)

    def ask(first: int) -> None:
        start.wait(WAIT_S)
        for n in range(400):
            feedback.get(str((first * 7 + n) % 50))
            feedback.page(limit=1 + n % 15)
            assert store.info().entries <= 20

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(ask, range(8)))
    held = store._memory._results
    info = store.info()
    assert sum(kept.entries for kept in held.values()) == info.entries
    assert sum(kept.size_bytes for kept in held.values()) == info.size_bytes
    assert 8 * 400 * 2 == info.hits + info.misses


# ------------------------------------------------------------------------------------------- forks


@needs_fork
@pytest.mark.parametrize("setting", SETTINGS)
def test_a_fork_in_the_middle_of_everything(
    inner: Gated, threads: ThreadPoolExecutor, setting: str
) -> None:
    """A child starts anew: no lock, no write and no result of its parent's is left in it."""
    store = cached(inner, setting)
    feedback = FeedbackStore(store)
    feedback.count()
    reader = stopped(threads, inner.has_read, feedback.get, "a")
    writer = stopped(threads, inner.has_written, WRITES["append"], store)

    def child() -> object:
        seen = [store.info().results, feedback.count(), feedback.count(), store.info().hits]
        FeedbackStore(store.store).add(an_entry("past the layer"))
        return [*seen, store.info().misses]

    with store._memory._lock:
        assert [0, 2, 2, 1, 1] == in_child(child)
    inner.has_read.open()
    inner.has_written.open()
    reader.result(WAIT_S)
    writer.result(WAIT_S)
    assert (2, 2) == (feedback.count(), feedback.count())
    assert store.info().hits > 0


@needs_fork
def test_a_fork_in_the_middle_of_a_change(inner: Gated) -> None:
    """A child that is born into a write ends it, and remembers results afterwards."""
    with closing(CachedStore(inner, revalidate="never")) as store:
        feedback = FeedbackStore(store)
        pids = []

        def change(entry: FeedbackEntry) -> FeedbackEntry:
            pids.append(os.fork())
            return attrs.evolve(entry, rating=1)

        def parent() -> None:
            store.rewrite("a", change)
            assert 1 == feedback.get("a").rating == feedback.get("a").rating
            assert 1 == store.info().hits
            if pids[0]:
                assert 0 == wait_for(pids[0])

        assert 0 == wait_for(fork(parent))
