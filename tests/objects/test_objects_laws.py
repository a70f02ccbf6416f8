"""The laws: what is visible does not depend on who read, wrote or compacted when, or stopped where.

Processes with clocks of their own share a bucket. While one of them compacts or erases, another
acts between any two of its requests; or it stops there, and never comes back. Whatever happens, a
new process sees what the writes alone say.
"""

import itertools
import random
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, ClassVar, TypeAlias

import pytest
from fsspec.implementations.memory import MemoryFileSystem
from hypothesis import given
from hypothesis import strategies as st
from jsonl_harness import an_entry

from feedback_store import FeedbackEntry, Query, encode
from feedback_store.backends.objects import ObjectStore
from feedback_store.backends.objects.clock import Clock
from feedback_store.backends.objects.lines import Contents, Line, hash_of
from feedback_store.backends.objects.merging import merged
from feedback_store.store import Outcome

Step: TypeAlias = tuple[int, str, str, str]
"""Which process does what, to which id, with which text."""

IDS = ("a", "b", "c")
HOUR_NS = 3_600_000_000_000
_numbers = itertools.count()


class Stopped(BaseException):
    """The process was killed at a request."""


class HookedFileSystem(MemoryFileSystem):  # type: ignore[misc]  # fsspec has no types
    """A bucket in memory, where something else may happen before each request."""

    protocol = "hooked"
    store: ClassVar[dict[str, Any]] = {}  # pyright: ignore[reportIncompatibleVariableOverride]  # its own is one for all too
    pseudo_dirs: ClassVar[list[str]] = [""]
    hooks: ClassVar[list[Callable[[], object]]] = []

    def _before(self) -> None:
        """Let somebody else act now; what they ask for in turn is asked without a hook."""
        kind = type(self)
        hooks, kind.hooks = kind.hooks, []
        try:
            for hook in hooks:
                hook()
        finally:
            kind.hooks = hooks

    def ls(self, path: str, detail: bool = True, **kwargs: Any) -> Any:  # noqa: ANN401, FBT002  # fsspec's own
        """List, later."""
        self._before()
        return super().ls(path, detail=detail, **kwargs)

    def cat_file(self, path: str, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401  # as above
        """Read, later."""
        self._before()
        return super().cat_file(path, *args, **kwargs)

    def pipe_file(self, path: str, value: bytes, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401  # as above
        """Write, later."""
        self._before()
        super().pipe_file(path, value, *args, **kwargs)

    def rm_file(self, path: str) -> None:
        """Remove, later."""
        self._before()
        super().rm_file(path)


class Bucket:
    """A bucket that several processes use, and what should be visible in it."""

    def __init__(self) -> None:
        HookedFileSystem.store.clear()
        HookedFileSystem.hooks = []
        self.root = f"/bucket-{next(_numbers)}"
        skews = (0, -HOUR_NS, HOUR_NS)
        self.processes = [self.process(skew) for skew in skews]
        self.model: dict[str, bytes] = {}
        self.unknown: set[str] = set()

    def process(self, skew_ns: int = 0) -> ObjectStore:
        """Return another process, whose clock is wrong by so much."""
        ticks = itertools.count(1_700_000_000_000_000_000 + skew_ns, 1000)
        return ObjectStore(
            HookedFileSystem(), self.root, retry_attempts=1, now_ns=lambda: next(ticks)
        )

    def act(self, who: int, verb: str, id: str, text: str) -> None:
        """Let a process do something, and note what should be visible then."""
        store = self.processes[who]
        if verb == "add":
            entry = an_entry(id, answer=text)
            if store.append([entry]) == [Outcome.ADDED]:
                assert id not in self.model or id in self.unknown
                self._note(id, encode(entry))
        elif verb == "change" and store.get(id) is not None:
            changed = store.rewrite(id, lambda entry: with_answer(entry, text))
            self._note(id, encode(changed))
        elif verb == "erase":
            count = store.erase([id])
            assert id in self.unknown or count == (id in self.model)
            self._note(id, None)
        elif verb == "compact":
            store.compact()

    def _note(self, id: str, line: bytes | None) -> None:
        self.unknown.discard(id)
        self.model.pop(id, None)
        if line is not None:
            self.model[id] = line

    def visible(self, store: ObjectStore) -> dict[str, bytes]:
        """Return what a process sees."""
        return {entry.id: encode(entry) for entry in store.scan(Query())}

    def check(self) -> None:
        """See that everybody sees what should be visible."""
        for store in (*self.processes, self.process()):
            found = self.visible(store)
            for id in self.unknown:  # an erasure was cut short: it has taken place, or not yet
                assert found.get(id) in {None, self.model.get(id)}
            certain = {id: line for id, line in self.model.items() if id not in self.unknown}
            assert certain == {id: line for id, line in found.items() if id not in self.unknown}

    def bytes(self) -> bytes:
        """Return all bytes of all objects as they read, and all names."""
        store = self.process()
        found = [
            month
            for name, names in store._months.listed().items()
            for month in [store._months.look(name, names)]
        ]
        lines = [line.body for month in found for c in month.contents.values() for line in c.lines]
        return b"\n".join(lines)


def with_answer(entry: FeedbackEntry, text: str) -> FeedbackEntry:
    """Return the entry with another answer."""
    return an_entry(entry.id, answer=text)


def at_request(number: int, action: Callable[[], object]) -> Callable[[], None]:
    """Return a hook that acts before one of the requests to come."""
    requests = itertools.count()

    def hook() -> None:
        if next(requests) == number:
            action()

    return hook


def stop() -> None:
    """Be killed."""
    raise Stopped


_steps = st.tuples(
    st.integers(0, 2),
    st.sampled_from(("add", "add", "change", "erase", "compact", "compact")),
    st.sampled_from(IDS),
    st.sampled_from(("one", "two", "three")),
)
_slow = st.tuples(
    st.integers(0, 2), st.sampled_from(("erase", "compact")), st.sampled_from(IDS), st.just("")
)


@given(
    before=st.lists(_steps, max_size=6),
    slow=_slow,
    at=st.integers(0, 12),
    meanwhile=st.lists(_steps, max_size=4),
    after=st.lists(_steps, max_size=4),
)
def test_others_may_act_between_any_two_requests(
    before: list[Step],
    slow: Step,
    at: int,
    meanwhile: list[Step],
    after: list[Step],
) -> None:
    """A compaction or erasure that is held up across anything changes nothing that is visible."""
    bucket = Bucket()
    for step in before:
        bucket.act(*step)
    who, verb, id, _ = slow
    others = [((who + 1) % 3 if step[0] == who else step[0], *step[1:]) for step in meanwhile]
    came: set[str] = set()

    def act() -> None:
        for step in others:
            bucket.act(*step)
            came.add(step[2])

    if verb == "erase":
        bucket.unknown.add(id)  # while it goes on, the entry may be there or not
    HookedFileSystem.hooks = [at_request(at, act)]
    try:
        if verb == "compact":
            bucket.processes[who].compact()
        else:
            bucket.processes[who].erase([id])
            if id in came:
                bucket.unknown.add(id)  # which of the two came first is theirs to say
            else:
                bucket._note(id, None)
    finally:
        HookedFileSystem.hooks = []
    bucket.check()
    for step in after:
        bucket.act(*step)
        bucket.check()


@given(
    before=st.lists(_steps, max_size=8),
    slow=_slow,
    at=st.integers(0, 12),
    after=st.lists(_steps, max_size=4),
)
def test_a_process_may_stop_at_any_request(
    before: list[Step],
    slow: Step,
    at: int,
    after: list[Step],
) -> None:
    """What a compaction leaves half done is visible to nobody; an erasure is done again."""
    bucket = Bucket()
    for step in before:
        bucket.act(*step)
    who, verb, id, _ = slow
    HookedFileSystem.hooks = [at_request(at, stop)]
    try:
        with suppress(Stopped):
            bucket.act(who, verb, id, "")
            HookedFileSystem.hooks = []
    finally:
        stopped, HookedFileSystem.hooks = bool(HookedFileSystem.hooks), []
    if stopped:
        bucket.processes[who].close()
        bucket.processes[who] = bucket.process()
        if verb == "erase" and id in bucket.model:
            bucket.unknown.add(id)
    bucket.check()
    for step in after:
        bucket.act(*step)
        bucket.check()
    bucket.process().erase(IDS)
    assert bucket.bytes() == b""


def some_contents(seed: int) -> list[Contents]:
    """Return objects of some writers, with lines and erasures of few ids."""
    chance = random.Random(seed)
    clocks = [Clock(lambda: chance.randrange(10) * 1_000_000, node) for node in range(3)]
    made: list[Contents] = []
    for _ in range(chance.randrange(1, 7)):
        clock = chance.choice(clocks)
        ids = chance.sample(IDS, chance.randrange(3))
        lines = tuple(Line(clock.tick(), id, 0, b"%d" % chance.randrange(9)) for id in ids)
        erased = {hash_of(id): clock.tick() for id in chance.sample(IDS, chance.randrange(2))}
        made.append(Contents(lines, erased))
    return made


def seen(some: Sequence[Contents]) -> tuple[dict[str, Line], dict[str, str]]:
    """Return what objects come to."""
    state = merged(some)
    return {line.id: line for line in state.visible()}, state.erased


@given(st.integers(0, 10**9), st.randoms(use_true_random=False))
def test_merging_is_commutative_associative_and_idempotent(
    seed: int, chance: random.Random
) -> None:
    """Objects in any order, any of them several times, and merges of merges, come to the same."""
    objects = some_contents(seed)
    expected = seen(objects)
    shuffled = objects + chance.choices(objects, k=len(objects))
    chance.shuffle(shuffled)
    assert seen(shuffled) == expected
    middle = chance.randrange(len(objects) + 1)
    halves = [merged(objects[:middle]), merged(objects[middle:])]
    again = [Contents(tuple(half.lines.values()), half.erased) for half in halves]
    assert seen(again) == expected


@given(st.integers(0, 10**9), st.data())
def test_any_subset_may_be_compacted_any_number_of_times(seed: int, data: st.DataObject) -> None:
    """What counts of some objects, beside them or in their place, changes nothing."""
    objects = some_contents(seed)
    expected = seen(objects)
    for _ in range(3):
        some = data.draw(st.lists(st.sampled_from(objects), unique_by=id))
        state = merged(some)
        made = Contents(tuple(state.visible()), state.erased)
        removed = data.draw(st.lists(st.sampled_from(some), unique_by=id)) if some else []
        gone = set(map(id, removed))
        objects = [contents for contents in objects if id(contents) not in gone] + [made]
        assert seen(objects)[0] == expected[0]


@pytest.mark.parametrize("at", range(8))
def test_a_compactor_that_stalled_across_an_erasure_brings_nothing_back(at: int) -> None:
    """It puts what it has read, with the erased entry in it, and the erasure is later than that."""
    bucket = Bucket()
    for id in IDS:
        bucket.act(1, "add", id, "one")

    def erase() -> None:
        bucket.act(2, "erase", "a", "")
        bucket.act(2, "compact", "", "")

    HookedFileSystem.hooks = [at_request(at, erase)]
    bucket.processes[0].compact()
    HookedFileSystem.hooks = []
    bucket.act(2, "erase", "a", "")
    bucket.check()
    bucket.act(1, "compact", "", "")
    bucket.check()
    assert b'"a"' not in bucket.bytes()


@pytest.mark.parametrize("at", range(12))
def test_an_erasure_that_was_cut_short_is_done_again(at: int) -> None:
    """Whatever request it was stopped at, the same call leaves nothing of the entry."""
    bucket = Bucket()
    for id in IDS:
        bucket.act(1, "add", id, "one")
    HookedFileSystem.hooks = [at_request(at, stop)]
    with suppress(Stopped):
        bucket.processes[0].erase(["a"])
    HookedFileSystem.hooks = []
    assert bucket.processes[2].erase(["a"]) in {0, 1}
    bucket.model.pop("a")
    bucket.processes[0] = bucket.process()
    bucket.check()
    assert b'"a"' not in bucket.bytes()


def test_nothing_is_removed_while_what_replaces_it_is_not_listed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """An endpoint that does not list what it has just stored loses nothing by that."""
    bucket = Bucket()
    for id in IDS:
        bucket.act(1, "add", id, "one")
    listed = HookedFileSystem().ls(f"{bucket.root}/2025-10", detail=True)
    with monkeypatch.context() as patch:
        patch.setattr(HookedFileSystem, "ls", lambda *_, **__: listed)
        bucket.processes[1].compact()
    bucket.check()
    assert {found["name"] for found in listed} <= set(HookedFileSystem().find(bucket.root))


@pytest.mark.parametrize("at", range(8))
def test_a_reader_that_meets_a_compaction_lists_again(at: int) -> None:
    """An object that is gone when it is fetched has given its place to another."""
    bucket = Bucket()
    for id, text in itertools.product(IDS, ("one", "two")):
        bucket.act(1, "change" if text == "two" else "add", id, text)
    reader = bucket.process()
    HookedFileSystem.hooks = [at_request(at, bucket.processes[1].compact)]
    found = bucket.visible(reader)
    HookedFileSystem.hooks = []
    assert found == bucket.model
