"""`CachedStore`: what is remembered, for how long, how much of it, and what is not."""

import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import attrs
import pytest
from jsonl_harness import NOON, an_entry

from feedback_store import (
    CompactReport,
    EntryNotFoundError,
    FeedbackEntry,
    FeedbackStore,
    InvalidQueryError,
    Metadata,
    Outcome,
    Page,
    Query,
    Stats,
    Store,
    StoreClosedError,
    StoreUnavailableError,
    decode,
    encode,
    open_store,
)
from feedback_store.backends.memory import MemoryStore
from feedback_store.backends.sqlite import SqliteStore
from feedback_store.layers import CachedStore, CacheInfo
from feedback_store.layers.cache.sizes import size_bytes
from feedback_store.store import (
    SupportsCheck,
    SupportsCompact,
    SupportsCount,
    SupportsGet,
    SupportsPage,
    SupportsStats,
    SupportsVersion,
)
from feedback_store.testing import FiveVerbs

NEWEST = Query(order="newest")

READS: dict[str, Callable[[FeedbackStore], object]] = {
    "get": lambda feedback: feedback.find("a"),
    "get what is absent": lambda feedback: feedback.find("absent"),
    "page": lambda feedback: feedback.page(limit=2),
    "count": lambda feedback: feedback.count(),
    "stats": lambda feedback: feedback.stats(),
}
WRITES: dict[str, Callable[[Store], object]] = {
    "append": lambda store: store.append([an_entry("b")]),
    "append what is there": lambda store: store.append([an_entry("a")]),
    "append nothing": lambda store: store.append([]),
    "rewrite": lambda store: store.rewrite("a", lambda e: attrs.evolve(e, rating=1)),
    "rewrite to the same": lambda store: store.rewrite("a", lambda entry: entry),
    "erase": lambda store: store.erase(["a"]),
    "erase what is not there": lambda store: store.erase(["absent"]),
    "compact": lambda store: isinstance(store, SupportsCompact) and store.compact(),
}


class Broken(MemoryStore):
    """A store in memory that counts what it is asked, and fails when told to."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = 0
        self.versions = 0
        self.fails = False

    def _work(self) -> None:
        if self.fails:
            raise StoreUnavailableError("the disk is gone")

    def scan(self, query: Query) -> Iterator[FeedbackEntry]:
        """Count."""
        self.asked += 1
        self._work()
        return super().scan(query)

    def get(self, id: str) -> FeedbackEntry | None:
        """Count."""
        self.asked += 1
        self._work()
        return super().get(id)

    def version(self) -> str:
        """Count."""
        self.versions += 1
        self._work()
        return super().version()

    def compact(self) -> CompactReport:
        """Count."""
        self.asked += 1
        self._work()
        return CompactReport(months=1)


class Clock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        """Return the time."""
        return self.now


@pytest.fixture
def inner() -> Broken:
    """Return a store with an entry."""
    inner = Broken()
    inner.append([an_entry("a")])
    return inner


def cached(inner: Store, **options: Any) -> tuple[CachedStore, FeedbackStore]:  # noqa: ANN401  # any option's value
    """Return a cache around a store, and what apps hold around the cache."""
    store = CachedStore(inner, **options)
    return store, FeedbackStore(store)


def big(id: str) -> FeedbackEntry:
    """Return an entry of somewhat more than 10,000 bytes."""
    return an_entry(id, answer="x" * 10_000)


# ----------------------------------------------------------------------- remembered, and forgotten


@pytest.mark.parametrize("read", READS)
@pytest.mark.parametrize("revalidate", ["always", "ttl", "never"])
def test_what_is_asked_again_is_remembered(inner: Broken, read: str, revalidate: str) -> None:
    """The store below is asked once; the second answer is the very same value."""
    store, feedback = cached(inner, revalidate=revalidate)
    first = READS[read](feedback)
    asked = inner.asked
    assert first is READS[read](feedback)
    assert (1, asked) == (asked, inner.asked)
    assert (1, 1) == (store.info().hits, store.info().misses)


def test_every_argument_belongs_to_the_question(inner: Broken) -> None:
    """Pages by other queries, limits, cursors and numbers are other answers, and so on."""
    _, feedback = cached(inner)
    inner.append([an_entry(id) for id in "bcd"])
    inner.append([an_entry("e", rating=1, extra={"n": 1}), an_entry("f", extra={"n": True})])
    plain = FeedbackStore(inner)
    cursor = plain.page(limit=2).next_cursor
    other = plain.page(limit=2, cursor=cursor).next_cursor
    queries = [Query(), Query(rating="positive"), Query(match={"n": 1})]
    queries += [Query(match={"n": True}), Query(order="oldest"), Query(text="?")]
    for _ in range(2):
        for query in queries:
            assert plain.count(query) == feedback.count(query)
            assert plain.stats(query) == feedback.stats(query)
            for limit in (1, 2):
                assert plain.page(query, limit) == feedback.page(query, limit)
                assert plain.page(query, limit, page=2) == feedback.page(query, limit, page=2)
        for place in (cursor, other):
            assert plain.page(limit=2, cursor=place) == feedback.page(limit=2, cursor=place)
        for id in ("a", "f", "count", "absent"):
            assert plain.find(id) == feedback.find(id)


@pytest.mark.parametrize("write", WRITES)
@pytest.mark.parametrize("revalidate", ["always", "ttl", "never"])
def test_every_write_forgets_everything(inner: Broken, write: str, revalidate: str) -> None:
    """After any write through the layer, one that changes nothing too, everything is read anew."""
    store, feedback = cached(inner, revalidate=revalidate)
    for read in READS.values():
        read(feedback)
    WRITES[write](store)
    assert (0, 0, 0) == _held(store)
    for read in READS.values():
        assert read(FeedbackStore(inner)) == read(feedback)
    assert 0 == store.info().hits


def _held(store: CachedStore) -> tuple[int, int, int]:
    info = store.info()
    return info.results, info.entries, info.size_bytes


@pytest.mark.parametrize("write", ["append", "rewrite", "erase", "compact"])
@pytest.mark.parametrize("revalidate", ["always", "ttl", "never"])
def test_a_write_that_fails_forgets_everything_too(
    inner: Broken, write: str, revalidate: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may have been written all the same; and afterwards, answers are remembered again."""
    store, feedback = cached(inner, revalidate=revalidate)
    before = feedback.get("a")
    wrong = an_entry("a", rating=1)

    def written_and_failed(*_: object) -> None:
        inner._entries["a"] = wrong
        inner._version += 1
        raise StoreUnavailableError("outcome unknown")

    monkeypatch.setattr(inner, write, written_and_failed)
    with pytest.raises(StoreUnavailableError, match="outcome unknown"):
        WRITES[write](store)
    assert before != wrong
    assert wrong == feedback.get("a")
    assert wrong is feedback.get("a")
    assert 1 == store.info().hits


def test_a_change_is_given_what_the_store_has(inner: Broken) -> None:
    """`rewrite` never works on an entry that is remembered, and may be old."""
    store, feedback = cached(inner, revalidate="never")
    assert 0 == feedback.get("a").rating
    inner.rewrite("a", lambda entry: attrs.evolve(entry, rating=0.5))
    store.rewrite("a", lambda entry: attrs.evolve(entry, name=f"was {entry.rating}"))
    assert "was 0.5" == feedback.get("a").name


def test_scans_are_not_remembered(inner: Broken) -> None:
    """A scan asks the store below each time, and so does a query with a function of the app's."""
    store, feedback = cached(inner, revalidate="never")
    where = Query(where=lambda entry: entry.rating == 0)
    asks: list[Callable[[], object]] = [
        lambda: list(feedback.scan()),
        lambda: feedback.page(where),
        lambda: feedback.count(where),
        lambda: feedback.stats(where),
    ]
    for ask in asks:
        asked = inner.asked
        ask()
        ask()
        assert asked + 2 == inner.asked
    assert (0, 0) == (store.info().hits, store.info().misses)


# ------------------------------------------------------------------------------ time and versions


def test_another_writer_is_seen_at_once(inner: Broken) -> None:
    """With the default setting, what is written past the layer is in the very next answer."""
    _, feedback = cached(inner, ttl_s=1e9)
    for n in range(5):
        assert n + 1 == feedback.count() == feedback.stats().total == feedback.page().total
        assert feedback.find(f"new {n}") is None
        inner.append([an_entry(f"new {n}")])
        assert feedback.find(f"new {n}") is not None


def test_the_version_is_asked_before_each_answer(inner: Broken) -> None:
    """With the default setting, time does not matter, and each answer costs one question."""
    clock = Clock()
    _, feedback = cached(inner, ttl_s=1, timer=clock)
    for n in range(5):
        feedback.count()
        clock.now += 1e6
        assert (1, n + 1) == (inner.asked, inner.versions)


def test_the_version_is_asked_when_the_time_has_passed(inner: Broken) -> None:
    """By "ttl", all results live on while the version stays; when it changes, all are dropped."""
    clock = Clock()
    store, feedback = cached(inner, ttl_s=10, revalidate="ttl", timer=clock)
    assert 1 == feedback.count()
    clock.now += 9.99
    feedback.stats()
    assert (1, 2) == (inner.versions, inner.asked)
    clock.now += 0.01
    feedback.count()
    assert (2, 2) == (inner.versions, inner.asked)
    clock.now += 9.99
    inner.append([an_entry("b")])
    assert (1, 1) == (feedback.count(), feedback.stats().total)
    assert (2, 2) == (inner.versions, inner.asked)
    clock.now += 0.01
    assert (2, 2) == (feedback.count(), feedback.stats().total)
    assert (3, 4) == (inner.versions, inner.asked)
    assert 2 == store.info().results


@pytest.mark.parametrize("versioned", [True, False])
def test_without_the_version_time_alone_counts(inner: Broken, *, versioned: bool) -> None:
    """By "never", and for a store without a version, each result lives for its own time."""
    clock = Clock()
    below: Store = inner if versioned else FiveVerbs(inner)
    _, feedback = cached(
        below, ttl_s=10, revalidate="never" if versioned else "always", timer=clock
    )
    feedback.count()
    clock.now += 5
    feedback.stats()
    inner.append([an_entry("b")])
    clock.now += 4.99
    assert (1, 1) == (feedback.count(), feedback.stats().total)
    clock.now += 0.01
    assert (2, 1) == (feedback.count(), feedback.stats().total)
    clock.now += 5
    assert (2, 2) == (feedback.count(), feedback.stats().total)
    assert 0 == inner.versions


@pytest.mark.parametrize("revalidate", ["ttl", "never"])
def test_time_is_counted_from_before_the_question(revalidate: str) -> None:
    """However long the store takes to answer, what it saw at first is not served for longer."""
    clock = Clock()

    class Slow(MemoryStore):
        def version(self) -> str:
            version = super().version()
            self.be_slow()
            return version

        def scan(self, query: Query) -> Iterator[FeedbackEntry]:
            found = super().scan(query)
            self.be_slow()
            return found

        def be_slow(self) -> None:
            if clock.now >= 1010 and not self._entries:
                self.append([an_entry("a")])
                clock.now += 7

    _, feedback = cached(Slow(), ttl_s=10, revalidate=revalidate, timer=clock)
    assert 0 == feedback.count()
    clock.now += 10
    assert 0 == feedback.count()
    clock.now += 2
    assert 0 == feedback.count()
    clock.now += 1
    assert 1 == feedback.count()


@pytest.mark.parametrize("revalidate", ["ttl", "never"])
def test_the_version_goes_with_the_answers(inner: Broken, revalidate: str) -> None:
    """Who asks the layer for the version gets no answer afterwards that is older."""
    store, feedback = cached(inner, revalidate=revalidate)
    assert isinstance(store, SupportsVersion)
    assert 1 == feedback.count()
    before = store.version()
    assert 1 == feedback.count()
    inner.append([an_entry("b")])
    assert before != store.version()
    assert 2 == feedback.count()


def test_caches_may_stand_on_each_other(inner: Broken) -> None:
    """The version of the lower one is that of its answers, so the upper one can rely on it."""
    _, feedback = cached(CachedStore(inner, revalidate="never"))
    assert 1 == feedback.count()
    inner.append([an_entry("b")])
    assert 2 == feedback.count()


# ---------------------------------------------------------------------------------------- failures


@pytest.mark.parametrize("read", READS)
def test_errors_are_not_remembered(inner: Broken, read: str) -> None:
    """An error comes as it is, and leaves nothing behind: the next answer is the store's."""
    store, feedback = cached(inner, revalidate="never")
    inner.fails = True
    for _ in range(2):
        with pytest.raises(StoreUnavailableError, match="the disk is gone"):
            READS[read](feedback)
    inner.fails = False
    assert READS[read](FeedbackStore(inner)) == READS[read](feedback)
    assert 0 == store.info().hits


@pytest.mark.parametrize("read", READS)
def test_no_answer_stands_in_for_an_error(inner: Broken, read: str) -> None:
    """Where the version is asked and fails, that is raised, whatever is remembered."""
    _, always = cached(inner)
    clock = Clock()
    _, later = cached(inner, revalidate="ttl", timer=clock)
    for feedback in (always, later):
        READS[read](feedback)
    clock.now += 300
    inner.fails = True
    for feedback in (always, later):
        with pytest.raises(StoreUnavailableError, match="the disk is gone"):
            READS[read](feedback)


def test_a_missing_entry_is_still_an_error(inner: Broken) -> None:
    """That there is no such entry may be remembered; `FeedbackStore.get` raises each time."""
    _, feedback = cached(inner)
    for _ in range(2):
        with pytest.raises(EntryNotFoundError):
            feedback.get("absent")
    assert 1 == inner.asked


def test_wrong_questions_are_refused_each_time(inner: Broken) -> None:
    """What is no question is an error, asked of the layer directly too."""
    store, _ = cached(inner)
    assert isinstance(store, SupportsPage)
    for _ in range(2):
        with pytest.raises(InvalidQueryError):
            store.page(NEWEST, 0, None, None)
        with pytest.raises(InvalidQueryError):
            store.page(NEWEST, 1, "no cursor", None)


# ------------------------------------------------------------------------------------------ bounds


def test_entries_are_bounded() -> None:
    """The least recently used results go first, until the entries of all are within the bound."""
    inner = Broken()
    inner.append([an_entry(id) for id in "abcdef"])
    store, feedback = cached(inner, max_entries=4)
    for id in "abc":
        feedback.get(id)
    feedback.count()
    assert (4, 4, 0) == (store.info().results, store.info().entries, store.info().evictions)
    feedback.get("a")  # used again: the oldest is now b
    feedback.page(limit=2)
    assert (3, 4, 2) == (store.info().results, store.info().entries, store.info().evictions)
    hits = store.info().hits
    for read in (lambda: feedback.get("a"), lambda: feedback.page(limit=2), feedback.count):
        read()
    assert hits + 3 == store.info().hits
    feedback.get("b")
    assert hits + 3 == store.info().hits


def test_bytes_are_bounded() -> None:
    """However many results there are, their bytes stay within the bound."""
    inner = Broken()
    inner.append([big(str(n)) for n in range(40)])
    store, feedback = cached(inner, max_bytes=100_000)
    for n in range(40):
        feedback.get(str(n))
        feedback.find("?" * 1000 + str(n))
        assert store.info().size_bytes <= 100_000
    info = store.info()
    assert 5 <= info.results < 20
    assert info.results == info.entries
    assert 80 == info.evictions + info.results
    assert 70_000 < info.size_bytes


def test_long_questions_count() -> None:
    """The bytes of a question are held too: nobody fills the memory by asking for nonsense."""
    store, feedback = cached(MemoryStore(), max_bytes=100_000)
    for n in range(40):
        assert 0 == feedback.count(Query(text="x" * 10_000 + str(n)))
        assert feedback.find("x" * 10_000 + str(n)) is None
    assert store.info().results < 10
    feedback.find("x" * 100_000)
    assert store.info().size_bytes <= 100_000


@pytest.mark.parametrize("options", [{"max_entries": 3}, {"max_bytes": 40_000}])
def test_what_is_too_large_is_not_kept(options: dict[str, int]) -> None:
    """It is answered all the same, and displaces nothing."""
    inner = Broken()
    inner.append([big(str(n)) for n in range(4)])
    store, feedback = cached(inner, **options)
    feedback.get("1")
    for _ in range(2):
        assert 4 == len(feedback.page(limit=4).entries)
    info = store.info()
    assert (0, 3, 1, 0) == (info.hits, info.misses, info.results, info.evictions)
    feedback.get("1")
    assert 1 == store.info().hits


def test_a_result_that_is_read_anew_takes_the_place_of_the_old_one(inner: Broken) -> None:
    """The same question counts once, however often it is read."""
    clock = Clock()
    store, feedback = cached(inner, revalidate="never", ttl_s=10, timer=clock)
    sizes = set()
    for _ in range(5):
        feedback.page()
        feedback.count()
        clock.now += 10
        sizes.add(_held(store))
    assert 1 == len(sizes)
    assert (2, 2) == _held(store)[:2]


def test_the_estimate_of_bytes_is_honest() -> None:
    """It is never less than what Python allocates for entries, and not much more."""
    metadata = Metadata(response_time=1.5, issues=["a", "b"], extra={"k": [1, {"n": "m" * 50}]})
    lines = [
        encode(
            an_entry(
                f"message-{n}",
                answer="ä" * 400,
                user_id=f"user-{n}",
                sources=[{"title": f"title {n}", "content": "c" * 300}],
                metadata=metadata,
            )
        )
        for n in range(500)
    ]
    decode(lines[0])
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    page = Page(entries=tuple(map(decode, lines)), total=500)
    after, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    taken = after - before
    assert taken * 0.95 <= size_bytes(page) <= taken * 1.5
    counted = Stats.of(page.entries)
    assert size_bytes(Stats()) < size_bytes(counted) < 10_000


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"ttl_s": 0}, "ttl_s must be more than 0"),
        ({"ttl_s": -1}, "ttl_s must be more than 0"),
        ({"ttl_s": float("nan")}, "ttl_s must be more than 0"),
        ({"revalidate": "sometimes"}, '"always", "ttl" or "never"'),
        ({"max_entries": 0}, "max_entries and max_bytes"),
        ({"max_bytes": 0}, "max_entries and max_bytes"),
    ],
)
def test_wrong_options_are_refused(wrong: dict[str, Any], message: str) -> None:
    """An option that makes no sense is a ValueError that says what would."""
    with pytest.raises(ValueError, match=message):
        CachedStore(MemoryStore(), **wrong)


# ------------------------------------------------------------------------------------ what it is


def test_it_has_all_the_faster_ways() -> None:
    """It offers each of them, derived where the store below lacks it, but no version of its own."""
    ways = (SupportsGet, SupportsPage, SupportsCount, SupportsStats, SupportsCheck, SupportsCompact)
    for below in (MemoryStore(), FiveVerbs(MemoryStore()), SqliteStore(":memory:")):
        with closing(CachedStore(below)) as store:
            assert [True] * 7 == [isinstance(store, way) for way in (Store, *ways)]
            assert isinstance(below, SupportsVersion) == isinstance(store, SupportsVersion)
            assert isinstance(below, SupportsVersion) == issubclass(type(store), SupportsVersion)
            assert isinstance(store, CachedStore)
            assert f"CachedStore({below!r})" == repr(store)
            assert below is store.store


def test_check_and_compact_are_those_of_the_store(inner: Broken) -> None:
    """They are passed on; where the store has none, they are those of any store."""
    store, feedback = cached(inner)
    assert CompactReport(months=1) == feedback.compact() == store.compact()
    assert "1 entries" == feedback.check()["entries"].message
    assert "MemoryStore()" == feedback.check().location
    plain, _ = cached(FiveVerbs(inner))
    assert CompactReport() == plain.compact()
    with closing(CachedStore(SqliteStore(":memory:"))) as sqlite:
        assert (
            sqlite.store.check() == sqlite.check() if isinstance(sqlite.store, SqliteStore) else 0
        )


def _spoiling(entry: Any, page: Any, stats: Any) -> list[Callable[[], object]]:  # noqa: ANN401  # as if by a caller without types
    return [
        lambda: setattr(entry, "rating", 1),
        lambda: setattr(entry.metadata, "issues", ()),
        lambda: entry.sources[0].update(type="other"),
        lambda: entry.sources[0]["tags"].append("u"),
        entry.metadata.extra["deep"].clear,
        lambda: entry.metadata.extra["deep"]["list"].append(2),
        lambda: entry.metadata.extra["deep"]["list"][1].pop("a"),
        lambda: setattr(page, "total", 7),
        lambda: page.entries.append(entry),
        lambda: setattr(stats, "total", 7),
        stats.by_month.clear,
        lambda: stats.by_issue.update(y=1),
        lambda: stats.by_source_type.pop("web"),
    ]


@pytest.mark.parametrize("url", ["mem://", "sqlite://", "folder"])
def test_what_is_remembered_cannot_be_changed(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Entries, pages and statistics refuse every change, so no caller can spoil those of others."""
    monkeypatch.chdir(tmp_path)
    metadata = Metadata(issues=["x"], extra={"deep": {"list": [1, {"a": 1}]}})
    given = an_entry("a", sources=[{"type": "web", "tags": ["t"]}], metadata=metadata)
    with open_store(url, cache_ttl_s=300) as feedback:
        feedback.add(given)
        entry, page, stats = feedback.get("a"), feedback.page(), feedback.stats()
        for change in _spoiling(entry, page, stats):
            with pytest.raises((TypeError, AttributeError)):
                change()
        assert given == feedback.get("a") == feedback.page().entries[0]
        assert entry is feedback.get("a")
        assert Stats.of([given]) == feedback.stats()
        assert isinstance(feedback.store, CachedStore)
        assert 4 == feedback.store.info().hits


def _through_the_facade(read: Callable[[FeedbackStore], object]) -> Callable[[Store], object]:
    return lambda store: read(FeedbackStore(store))


VERBS: dict[str, Callable[[Store], object]] = {
    **{name: _through_the_facade(read) for name, read in READS.items()},
    **WRITES,
    "scan": lambda store: store.scan(Query()),
    "check": lambda store: isinstance(store, SupportsCheck) and store.check(),
    "version": lambda store: isinstance(store, SupportsVersion) and store.version(),
}


class NeverClosed(Broken):
    """A store that answers although it was closed, as some do."""

    def close(self) -> None:
        """Count."""
        self.asked += 1


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("revalidate", ["always", "ttl", "never"])
def test_a_closed_cache_answers_nothing(verb: str, revalidate: str) -> None:
    """Closing closes the store below; afterwards every verb raises, remembered or not."""
    inner = NeverClosed()
    store = CachedStore(inner, revalidate=revalidate)  # type: ignore[arg-type]  # one of the three
    store.append([an_entry("a")])
    for read in READS.values():
        read(FeedbackStore(store))
    asked = inner.asked
    store.close()
    store.close()
    assert asked + 2 == inner.asked
    assert 0 == store.info().results
    with pytest.raises(StoreClosedError, match=r"CachedStore\(.*\) was closed"):
        VERBS[verb](store)
    assert asked + 2 == inner.asked


def test_counts(inner: Broken) -> None:
    """Each answer is a hit or a miss; a new cache has none of them."""
    store, feedback = cached(inner)
    assert CacheInfo() == store.info()
    for _ in range(3):
        for read in READS.values():
            read(feedback)
    info = store.info()
    assert (10, 5, 0, 5, 5) == (
        info.hits, info.misses, info.evictions, info.results, info.entries,
    )  # fmt: skip
    feedback.add(an_entry("b"))
    assert attrs.evolve(info, results=0, entries=0, size_bytes=0) == store.info()
    with pytest.raises(AttributeError):
        setattr(info, "hits", 0)  # noqa: B010  # a checker would refuse the plain way


# ----------------------------------------------------------------------------------- open_store


def test_open_store_puts_it_in_place() -> None:
    """`cache_ttl_s` is the time to live; without it, nothing is remembered."""
    absent: list[dict[str, Any]] = [{}, {"cache_ttl_s": None}, {"cache_revalidate": "never"}]
    for options in absent:
        with open_store("mem://", **options) as feedback:
            assert isinstance(feedback.store, MemoryStore)
    with open_store("mem://", cache_ttl_s=0.5, max_entry_bytes=10_000) as feedback:
        assert "FeedbackStore(CachedStore(MemoryStore()))" == repr(feedback)
        assert Outcome.ADDED is feedback.add(an_entry("a"))
        assert 1 == feedback.count() == feedback.count()
        assert isinstance(feedback.store, CachedStore)
        assert 1 == feedback.store.info().hits


def test_open_store_passes_the_setting_on() -> None:
    """By "never", the cache does not notice who writes past it."""
    with open_store("mem://", cache_ttl_s=300, cache_revalidate="never") as feedback:
        assert 0 == feedback.count()
        assert isinstance(feedback.store, CachedStore)
        feedback.store.store.append([an_entry("a", timestamp=NOON)])
        assert 0 == feedback.count()


@pytest.mark.parametrize("seconds", [0, -1, float("nan")])
def test_open_store_refuses_a_time_that_is_none(seconds: float) -> None:
    """Zero is no way to say "no cache": the error says what is."""
    with pytest.raises(ValueError, match="cache_ttl_s must be more than 0 seconds, or None"):
        open_store("mem://", cache_ttl_s=seconds)
