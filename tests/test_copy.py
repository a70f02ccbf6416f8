"""`copy`: every entry arrives exactly, whatever the two stores are, however often it is cut short.

`tests/cli/test_cli_copy.py` has real processes that are killed.
"""

import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, closing
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import count, product
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import attrs
import fsspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from feedback_store import (
    FeedbackEntry,
    FeedbackStore,
    Outcome,
    Query,
    Store,
    StoreUnavailableError,
    decode,
    encode,
)
from feedback_store.backends.jsonl import JsonlStore
from feedback_store.backends.jsonl.beside import BesideOlderWriterStore
from feedback_store.backends.memory import MemoryStore
from feedback_store.backends.objects import ObjectStore
from feedback_store.backends.sqlite import SqliteStore
from feedback_store.migrate import CopyResult, copy, copying
from feedback_store.testing import FiveVerbs, batches, queries

Opener = Callable[[Path], Store]

# One line for every kind of store: each is copied into each.
OPENERS: dict[str, Opener] = {
    "memory": lambda _: MemoryStore(),
    "month files": lambda place: JsonlStore(place / "months", durability="os"),
    "sqlite": lambda place: SqliteStore(place / "feedback.db", durability="os"),
    "five verbs only": lambda _: FiveVerbs(MemoryStore()),
    "objects": lambda place: ObjectStore(
        fsspec.filesystem("memory"), f"{place}/objects", unique_across_months=True
    ),
}
PAIRS = list(product(OPENERS, repeat=2))

NOON = datetime(2025, 10, 5, 12, 0, 0, 123000, tzinfo=UTC)

# Unknown keys, nulls that were spelled out, numbers of every type, an id and times of its own.
SPECIAL = (
    '{"message_id":"m","question":"\u2028","answer":"\\n","rating":1.0,'
    '"timestamp":"2025-02-03T10:00:00.000001Z","sources":null,"metadata":{"token_count":null,'
    '"issues":[],"n":1,"x":1.0,"timestamp":"2025-02-03T11:00:00"},"id":"m/rider","user_id":null,'
    '"updated_at":"2025-03-01T00:00:00.500Z","z":{"b":-0.0,"a":[1,1.0,true,null,'
    '18446744073709551616,1e22]},"previous_ratings":[0]}'
).encode()


def an_entry(number: int = 0, **fields: Any) -> FeedbackEntry:  # noqa: ANN401  # any field's value
    """Return the entry of that number, a minute after the one before it."""
    time = NOON + timedelta(minutes=number)
    given = {"message_id": f"m-{number:04}", "question": "?", "answer": "!", "timestamp": time}
    return FeedbackEntry(**{**given, **fields})


def filled(store: Store, entries: Iterable[FeedbackEntry]) -> Store:
    """Return the store with entries in it; of those that share an id, the first."""
    store.append(list(entries))
    return store


def lines(store: Store) -> list[bytes]:
    """Return all that a store holds, as encoded lines, oldest first."""
    return [encode(entry) for entry in store.scan(Query())]


class Watched(FiveVerbs):
    """A store that tells what was read from it, and what is appended, as it happens."""

    def __init__(self, store: Store, events: list[object]) -> None:
        super().__init__(store)
        self.events = events

    def scan(self, query: Query) -> Iterator[FeedbackEntry]:
        """Tell each entry when it is wanted."""
        self.events.append("scan")
        for entry in self._store.scan(query):
            self.events.append(entry.id)
            yield entry

    def append(self, entries: Sequence[FeedbackEntry]) -> Sequence[Outcome]:
        """Tell how many came at once, when they are stored."""
        outcomes = self._store.append(entries)
        self.events.append(len(entries))
        return outcomes


class Failing(FiveVerbs):
    """A store whose n-th append fails, with what it brought stored or not."""

    def __init__(self, store: Store, at: int, *, stores: bool) -> None:
        super().__init__(store)
        self._calls = count(1)
        self._at = at
        self._stores = stores

    def append(self, entries: Sequence[FeedbackEntry]) -> Sequence[Outcome]:
        """Fail, if this is the call."""
        fails = next(self._calls) == self._at
        outcomes = self._store.append(entries) if self._stores or not fails else ()
        if fails:
            msg = "the disk is gone"
            raise StoreUnavailableError(msg)
        return outcomes


@pytest.mark.parametrize(("source", "target"), PAIRS)
@given(entries=batches(max_size=8), batch_size=st.integers(1, 5))
def test_entries_arrive_exactly(
    source: str, target: str, entries: list[FeedbackEntry], batch_size: int
) -> None:
    """Between any two kinds of stores, what is encoded from the target is the source's, bytewise.

    Copying again changes nothing, and finds all of it unchanged.
    """
    with tempfile.TemporaryDirectory() as folder, ExitStack() as open_stores:
        places = [Path(folder) / name for name in ("a", "b")]
        a, b = (
            open_stores.enter_context(closing(OPENERS[name](place)))
            for name, place in zip((source, target), places, strict=True)
        )
        expected = lines(filled(a, entries))
        assert CopyResult(added=len(expected)) == copy(a, b, batch_size=batch_size)
        assert expected == lines(b)
        assert list(a.scan(Query())) == list(b.scan(Query()))
        assert CopyResult(unchanged=len(expected)) == copy(a, b, batch_size=batch_size)
        assert expected == lines(b) == lines(a)


@pytest.mark.parametrize(("source", "target"), PAIRS)
def test_nothing_of_an_entry_is_lost(source: str, target: str, tmp_path: Path) -> None:
    """Unknown keys, nulls, types of numbers, id and times are those of the line that was read."""
    a, b = OPENERS[source](tmp_path / "a"), OPENERS[target](tmp_path / "b")
    copy(filled(a, [decode(SPECIAL)]), b)
    assert [SPECIAL] == lines(b)


def test_what_apps_hold_is_copied_too() -> None:
    """Source and target may each be a `FeedbackStore` or a `Store`."""
    a, b, c = MemoryStore(), MemoryStore(), MemoryStore()
    filled(a, [an_entry()])
    assert CopyResult(added=1) == copy(FeedbackStore(a), b)
    assert CopyResult(added=1) == copy(b, FeedbackStore(c))
    assert lines(a) == lines(c)


@given(entries=batches(max_size=8), query=queries(where=True))
def test_only_what_matches_is_copied(entries: list[FeedbackEntry], query: Query) -> None:
    """With a query, what matches arrives and nothing else, oldest first whatever its order."""
    a, b = FeedbackStore(filled(MemoryStore(), entries)), MemoryStore()
    result = copy(a, b, query, batch_size=1)
    matching = [entry for entry in a.scan() if query.matches(entry)]
    assert CopyResult(added=len(matching)) == result
    assert [entry.id for entry in matching] == list(b._entries)
    assert list(map(encode, matching)) == lines(b)


def test_a_source_that_is_not_there_leaves_no_trace(tmp_path: Path) -> None:
    """What does not exist reads as empty, and the target is not made for it."""
    a, b = (JsonlStore(tmp_path / name) for name in "ab")
    assert CopyResult() == copy(a, b)
    assert [] == list(tmp_path.iterdir())


# ---------------------------------------------------------------------------------- going on


@pytest.mark.parametrize("stores", [False, True])
@pytest.mark.parametrize("kind", OPENERS)
def test_a_copy_that_failed_goes_on(kind: str, stores: bool, tmp_path: Path) -> None:
    """Wherever the target fails, and whether it stored the batch or not, the same call goes on."""
    expected = lines(a := filled(MemoryStore(), map(an_entry, range(20))))
    for at in range(1, 6):
        b = OPENERS[kind](tmp_path / str(at))
        with pytest.raises(StoreUnavailableError, match="the disk is gone"):
            copy(a, Failing(b, at, stores=stores), batch_size=4)
        arrived = 4 * (at if stores else at - 1)
        assert expected[:arrived] == lines(b)
        assert CopyResult(added=20 - arrived, unchanged=arrived) == copy(a, b, batch_size=4)
        assert expected == lines(b)


def test_a_source_that_failed_is_read_on(tmp_path: Path) -> None:
    """When the source fails in the middle, whole batches have arrived, and the call goes on."""

    class Torn(FiveVerbs):
        def scan(self, query: Query) -> Iterator[FeedbackEntry]:
            for number, entry in enumerate(self._store.scan(query)):
                if number == 7:
                    msg = "the medium cannot be read"
                    raise StoreUnavailableError(msg)
                yield entry

    a, b = filled(MemoryStore(), map(an_entry, range(10))), JsonlStore(tmp_path)
    with pytest.raises(StoreUnavailableError):
        copy(Torn(a), b, batch_size=3)
    assert lines(a)[:6] == lines(b)
    assert CopyResult(added=4, unchanged=6) == copy(a, b)


@pytest.mark.parametrize("batch_size", [1, 3, 1000])
def test_a_batch_is_stored_before_the_next_is_read(batch_size: int) -> None:
    """The source is read batch by batch: no more than one batch is ever held."""
    events: list[object] = []
    a = filled(MemoryStore(), map(an_entry, range(10)))
    copy(Watched(a, events), Watched(MemoryStore(), events), batch_size=batch_size)
    stored = waiting = 0
    for event in events:
        if isinstance(event, int):
            assert waiting == event
            stored, waiting = stored + event, 0
        elif event != "scan":
            waiting += 1
            assert waiting <= batch_size
    assert (10, 0) == (stored, waiting)


def test_large_entries_make_small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """A batch is bounded in bytes too, whatever number is allowed."""
    events: list[object] = []
    monkeypatch.setattr(copying, "BATCH_BYTES", 2500)
    large = (an_entry(number, answer="a" * 1000) for number in range(7))
    assert 7 == copy(filled(MemoryStore(), large), Watched(MemoryStore(), events)).added
    assert [3, 3, 1] == events


def test_progress_is_told_after_every_batch() -> None:
    """What is told never goes back, ends with the result, and reckons all that was read."""
    a = filled(MemoryStore(), map(an_entry, range(10)))
    b = filled(MemoryStore(), [an_entry(4), an_entry(5, answer="other")])
    told: list[CopyResult] = []
    result = copy(a, b, progress=told.append, batch_size=3)
    assert [3, 6, 9, 10] == [so_far.read for so_far in told]
    assert [(3, 0, 0), (4, 1, 1), (7, 1, 1), (8, 1, 1)] == [
        (so_far.added, so_far.unchanged, len(so_far.conflicts)) for so_far in told
    ]
    assert result == told[-1]


def test_progress_may_end_the_copy() -> None:
    """What the function raises comes out, and what was copied stays."""

    def stop(_: CopyResult) -> None:
        raise KeyboardInterrupt

    a, b = filled(MemoryStore(), map(an_entry, range(10))), MemoryStore()
    with pytest.raises(KeyboardInterrupt):
        copy(a, b, progress=stop, batch_size=4)
    assert lines(a)[:4] == lines(b)


# --------------------------------------------------------------------------------- conflicts

OTHERS: dict[str, dict[str, Any]] = {
    "other content": {"answer": "other"},
    "another time": {"timestamp": NOON + timedelta(days=40)},
    "another time, a microsecond away": {"timestamp": NOON + timedelta(microseconds=1)},
    "a time of its update": {"updated_at": NOON},
    "another type of number": {"rating": 1.0},
    "a key more": {"extra": {"channel": "web"}},
    "a null spelled out": {"spelled": {"user_id": None}},
    "keys in another order": {"extra": {"b": 1, "a": 1}},
}


@pytest.mark.parametrize("kind", OPENERS)
@pytest.mark.parametrize("difference", OTHERS)
def test_anything_else_under_the_id_is_a_conflict(
    kind: str, difference: str, tmp_path: Path
) -> None:
    """Only what is exactly the same is unchanged; what the target holds is left as it is."""
    extra = {"a": 1, "b": 1} if difference == "keys in another order" else {}
    wanted = an_entry(rating=1, extra=extra)
    other = attrs.evolve(wanted, **OTHERS[difference])
    a = filled(MemoryStore(), [wanted, an_entry(1), an_entry(2)])
    b = filled(OPENERS[kind](tmp_path), [other, an_entry(1)])
    result = copy(a, b)
    assert CopyResult(added=1, unchanged=1, conflicts=(wanted.id,)) == result
    assert (3, False) == (result.read, result.complete)
    assert encode(other) in lines(b)
    assert result.conflicts == copy(a, b).conflicts


def test_the_last_instant_can_be_compared() -> None:
    """A store that finds nothing by its id is asked for a stretch of time, to the end of time."""
    last = an_entry(timestamp=datetime.max.replace(tzinfo=UTC))
    a, b = filled(MemoryStore(), [last]), FiveVerbs(filled(MemoryStore(), [last]))
    assert CopyResult(unchanged=1) == copy(a, b)


def test_a_target_without_get_is_read_once_a_batch() -> None:
    """Where nothing is found by its id, what is there is compared by one scan for a batch."""
    events: list[object] = []
    a, b = (filled(MemoryStore(), map(an_entry, range(10))) for _ in range(2))
    assert CopyResult(unchanged=10) == copy(a, Watched(b, events), batch_size=5)
    assert 2 == events.count("scan")


def test_what_is_erased_meanwhile_is_told() -> None:
    """What somebody erased just after it was found there is not claimed to be there."""

    class Erased(MemoryStore):
        def get(self, id: str) -> FeedbackEntry | None:
            self.erase([id])
            return super().get(id)

    b = Erased()
    filled(b, [an_entry()])
    assert CopyResult(conflicts=("m-0000",)) == copy(filled(MemoryStore(), [an_entry()]), b)


def test_what_the_target_refuses_does_not_harm_the_rest() -> None:
    """An entry that is too large for the target is told with the reason; all others arrive."""
    large = {3, 4, 17}
    a = filled(
        MemoryStore(), (an_entry(n, answer="secret" * (200 * (n in large))) for n in range(20))
    )
    b = MemoryStore(max_entry_bytes=400)
    told: list[CopyResult] = []
    result = copy(a, b, progress=told.append, batch_size=10)
    assert (17, (), [f"m-{n:04}" for n in sorted(large)]) == (
        result.added, result.conflicts, list(result.refused),
    )  # fmt: skip
    assert (20, False, [10, 20]) == (result.read, result.complete, [r.read for r in told])
    assert all("at most 400 are allowed" in reason for reason in result.refused.values())
    assert "secret" not in str(result)
    assert 17 == len(lines(b))


# ---------------------------------------------------------------------------------- refusals


def test_a_store_is_not_copied_onto_itself(tmp_path: Path) -> None:
    """The same object, and the same folder under another name or not there yet, are refused."""
    store = MemoryStore()
    (tmp_path / "link").symlink_to(tmp_path / "there", target_is_directory=True)
    here = JsonlStore(tmp_path / "there")
    second = partial(JsonlStore, tmp_path)
    same: list[tuple[Any, Any]] = [
        (store, store),
        (FeedbackStore(store), store),
        (FeedbackStore(store), FeedbackStore(store)),
        (here, JsonlStore(os.path.relpath(tmp_path / "there"))),
        (here, JsonlStore(tmp_path / "link")),
        (here, BesideOlderWriterStore(tmp_path / "there")),
        (second(), second()),
    ]
    for a, b in same:
        with pytest.raises(ValueError, match=r"are the same store: .*Store"):
            copy(a, b)
    filled(here, [an_entry()])
    for a, b in same[3:]:
        with pytest.raises(ValueError, match="are the same store"):
            copy(b, a)
    assert CopyResult(added=1) == copy(here, JsonlStore(tmp_path / "elsewhere"))


@pytest.mark.parametrize("kind", OPENERS)
def test_a_copy_onto_itself_that_is_not_noticed_is_harmless(kind: str, tmp_path: Path) -> None:
    """Where it cannot be known that both are one store, all is found unchanged."""
    store = filled(OPENERS[kind](tmp_path), map(an_entry, range(10)))
    before = lines(store)
    assert CopyResult(unchanged=10) == copy(FiveVerbs(store), store, batch_size=3)
    assert before == lines(store)


def test_a_place_that_is_no_path_is_not_compared(tmp_path: Path) -> None:
    """What another kind of store calls its path says nothing about the disk."""

    class Elsewhere(MemoryStore):
        path: object = "bucket/there"

    a, b = Elsewhere(), Elsewhere()
    filled(a, [an_entry()])
    assert CopyResult(added=1) == copy(a, b)
    b.path = 7
    assert CopyResult(unchanged=1) == copy(a, b)


@pytest.mark.parametrize("batch_size", [0, -1])
def test_a_batch_has_an_entry(batch_size: int) -> None:
    """A batch size below 1 is refused before anything is read."""
    with pytest.raises(ValueError, match="batch_size must be 1 or more"):
        copy(MemoryStore(), MemoryStore(), batch_size=batch_size)


# --------------------------------------------------------------------------------- real rows


@pytest.mark.parametrize("kind", OPENERS)
def test_real_rows_go_there_and_back(real_rows: Path, kind: str, tmp_path: Path) -> None:
    """A month of a real service arrives exactly in any store, and comes back the same."""
    shutil.copytree(real_rows / "month_files", tmp_path / "source")
    source = JsonlStore(tmp_path / "source", naive_tz=ZoneInfo("Europe/Berlin"))
    there, back = OPENERS[kind](tmp_path / "there"), JsonlStore(tmp_path / "back")
    expected = lines(source)
    assert expected
    assert CopyResult(added=len(expected)) == copy(source, there)
    assert CopyResult(added=len(expected)) == copy(there, back)
    assert expected == lines(there) == lines(back)
