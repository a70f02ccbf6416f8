"""Many threads and processes at once: histories, forks, and locks.

Promises 4, 13, 14, 17, 18, 19, 20 and 21. A history records when each call began and ended; a
small checker then asks whether every read is explained by the writes before it and beside it.
"""

import os
import signal
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import NamedTuple

import attrs
import pytest
from jsonl_harness import (
    DEEP,
    MONTH,
    NOON,
    Shared,
    an_entry,
    contents,
    fork,
    ids,
    in_child,
    needs_fork,
    wait_for,
)

from feedback_store import (
    FeedbackStore,
    LockTimeoutError,
    Metadata,
    Order,
    Outcome,
    Query,
)
from feedback_store.backends.jsonl import JsonlStore, index, part

pytestmark = [needs_fork]

ROUNDS = 200 if DEEP else 40
NOVEMBER = NOON.replace(month=11)


class Event(NamedTuple):
    """One call of a history.

    Attributes:
        kind: ``"write"`` or ``"read"``.
        id: the entry.
        value: the number that was written or read, -1 for none.
        begun_ns: when it was called, by the clock that all processes share.
        ended_ns: when it came back.
    """

    kind: str
    id: str
    value: int
    begun_ns: int
    ended_ns: int


def unexplained(history: list[Event]) -> list[Event]:
    """Return the reads that no order of the writes explains.

    Each entry has one writer, which writes 0, 1, 2, … one after the other. A read must show no
    less than what was written before it began, and no more than what had begun when it ended; and
    of two reads, the later one must not show less.
    """
    found = []
    writes: dict[str, list[Event]] = defaultdict(list)
    reads: dict[str, list[Event]] = defaultdict(list)
    for event in history:
        (writes if event.kind == "write" else reads)[event.id].append(event)
    for id, some in reads.items():
        latest: list[Event] = []
        for read in sorted(some, key=lambda event: event.begun_ns):
            least = max((w.value for w in writes[id] if w.ended_ns < read.begun_ns), default=-1)
            most = max((w.value for w in writes[id] if w.begun_ns < read.ended_ns), default=-1)
            seen = max((r.value for r in latest if r.ended_ns < read.begun_ns), default=-1)
            if not max(least, seen) <= read.value <= most:
                found.append(read)
            latest.append(read)
    return found


def test_the_checker_finds_what_it_looks_for() -> None:
    """A stale read, one from the future and one that goes back are found; a fair one is not."""
    writes = [Event("write", "a", 0, 0, 10), Event("write", "a", 1, 20, 30)]
    fair = [Event("read", "a", 0, 12, 15), Event("read", "a", 0, 22, 25)]
    stale = Event("read", "a", 0, 35, 40)
    early = Event("read", "a", 1, 12, 15)
    newer, back = Event("read", "a", 1, 21, 22), Event("read", "a", 0, 23, 29)
    assert [] == unexplained([*writes, *fair])
    assert [stale] == unexplained([*writes, *fair, stale])
    assert [early] == unexplained([*writes, early])
    assert [back] == unexplained([*writes, newer, back])


class Recorder:
    """Writes and reads that are recorded."""

    def __init__(self, folder: Path) -> None:
        self.store = JsonlStore(folder, compact_share=0.3)
        self.history: list[Event] = []

    def write(self, id: str) -> None:
        """Add an entry, then change it over and over."""
        feedback = FeedbackStore(self.store)
        for value in range(ROUNDS):
            begun = time.monotonic_ns()
            if value == 0:
                feedback.add(an_entry(id, metadata=Metadata(token_count=0)))
            else:
                feedback.update(id, token_count=value)
            self.history.append(Event("write", id, value, begun, time.monotonic_ns()))

    def read(self, chosen: list[str], done: Callable[[], bool]) -> None:
        """Read entries, by themselves and all together, until the writers are done."""
        while not done():
            for id in chosen:
                begun = time.monotonic_ns()
                entry = self.store.get(id)
                value = -1 if entry is None else entry.metadata.token_count or 0
                self.history.append(Event("read", id, int(value), begun, time.monotonic_ns()))
            begun = time.monotonic_ns()
            entries = list(self.store.scan(Query()))
            ended = time.monotonic_ns()
            shown = {entry.id: int(entry.metadata.token_count or 0) for entry in entries}
            assert len(shown) == len(entries), "an entry came twice"
            self.history.extend(Event("read", id, shown.get(id, -1), begun, ended) for id in chosen)


def test_every_read_is_explained_by_the_writes_before_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Promises 4, 14 and 18: in any thread of any process, beside writers and compactors."""
    monkeypatch.setattr(part, "_BLOAT_BYTES", 2000)
    monkeypatch.setattr(index.Index.flush, "__defaults__", (5,))
    folder, memory = tmp_path / "store", [Shared() for _ in range(3)]
    chosen = [f"{process}-{thread}" for process in range(2) for thread in range(2)]
    stop = Shared()

    def writing(process: int) -> None:
        recorder = Recorder(folder)
        threads = [
            threading.Thread(target=recorder.write, args=(f"{process}-{thread}",))
            for thread in range(2)
        ]
        reader = threading.Thread(
            target=recorder.read,
            args=(chosen, lambda: not any(thread.is_alive() for thread in threads)),
        )
        for thread in [*threads, reader]:
            thread.start()
        for thread in [*threads, reader]:
            thread.join()
        memory[process].report = recorder.history

    def reading() -> None:
        recorder = Recorder(folder)
        recorder.read(chosen, lambda: stop.phase == 1)
        memory[2].report = recorder.history[:8000]

    def compacting() -> None:
        store = JsonlStore(folder)
        while stop.phase == 0:
            store.compact()

    writers = [fork(partial(writing, process)) for process in range(2)]
    others = [fork(reading), fork(compacting)]
    codes = [wait_for(pid) for pid in writers]
    stop.phase = 1
    assert [0] * 4 == codes + [wait_for(pid) for pid in others]
    history = [Event(*event) for shared in memory for event in shared.report]
    assert {"write", "read"} == {event.kind for event in history}
    assert [] == unexplained(history)
    assert set(chosen) == contents(folder).keys()


def test_no_update_is_lost_among_processes(tmp_path: Path) -> None:
    """Promise 18: read, change and write is one step, whoever else does the same."""
    with closing(JsonlStore(tmp_path)) as store:
        store.append([an_entry("counter", trace_id="0")])

    def count() -> None:
        with closing(JsonlStore(tmp_path)) as mine:
            for _ in range(ROUNDS):
                mine.rewrite(
                    "counter",
                    lambda entry: attrs.evolve(entry, trace_id=str(int(entry.trace_id or 0) + 1)),
                )

    assert [0] * 4 == [wait_for(pid) for pid in [fork(count) for _ in range(4)]]
    with closing(JsonlStore(tmp_path)) as store:
        entry = store.get("counter")
    assert entry is not None
    assert str(4 * ROUNDS) == entry.trace_id


def test_one_id_is_added_once_whoever_adds_it(tmp_path: Path) -> None:
    """Promises 17 and 18: of many who bring the same entry, one adds it, the others find it."""
    shared = [Shared() for _ in range(4)]

    def add(number: int) -> None:
        with closing(JsonlStore(tmp_path)) as store:
            outcomes = [store.append([an_entry(str(i))])[0] for i in range(ROUNDS)]
            shared[number].report = outcomes

    pids = [fork(partial(add, number)) for number in range(4)]
    assert [0] * 4 == [wait_for(pid) for pid in pids]
    for outcomes in zip(*(memory.report for memory in shared), strict=True):
        assert ["added", "unchanged", "unchanged", "unchanged"] == sorted(outcomes)
    assert ROUNDS == (tmp_path / MONTH).read_bytes().count(b"\n")


def test_a_reader_keeps_the_version_that_it_began_with(tmp_path: Path) -> None:
    """Promise 14: a scan shows its own moment, whatever is added, erased and compacted since."""
    with closing(JsonlStore(tmp_path)) as store:
        store.append([an_entry(str(i), timestamp=NOON.replace(second=i)) for i in range(20)])
        expected = ids(store)
        with closing(JsonlStore(tmp_path)) as reader:
            scans = [reader.scan(Query()), reader.scan(Query(order=Order.NEWEST))]
            begun = [next(scan).id for scan in scans]
            store.append([an_entry("new")])
            store.rewrite("5", lambda entry: attrs.evolve(entry, rating=1))
            store.erase(["7"])
            store.compact()
            rest = [[entry.id for entry in scan] for scan in scans]
            assert expected == [begun[0], *rest[0]]
            assert expected[::-1] == [begun[1], *rest[1]]
            assert sorted({*expected, "new"} - {"7"}) == sorted(ids(reader))


def test_two_stores_count_lines_alike(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that takes over another's index counts no line, damaged or superseded, twice."""
    monkeypatch.setattr(index.Index.flush, "__defaults__", (4,))
    with closing(JsonlStore(tmp_path)) as a, closing(JsonlStore(tmp_path)) as b:
        for number in range(40):
            a.append([an_entry(str(number))])
            if number % 3 == 0:
                b.rewrite(str(number), lambda entry: attrs.evolve(entry, rating=1))
            if number % 7 == 0:
                assert a.get(str(number)) == b.get(str(number))
        assert ids(a) == ids(b)
        data = (tmp_path / MONTH).read_bytes()
        for store in (a, b):
            known = store._folder.parts()[0].index
            assert data.count(b"\n") == known.lines == len(known)
            assert 14 == known.superseded
            assert len(data) == known.end


# ---------------------------------------------------------------------------------------- forks


def test_a_child_may_use_the_store_while_threads_of_the_parent_write(tmp_path: Path) -> None:
    """Promise 20: whatever the threads held at the fork, the child adds, reads and compacts."""
    store = JsonlStore(tmp_path)
    feedback = FeedbackStore(store)
    feedback.add(an_entry("first"))
    stop = threading.Event()

    def write(name: int) -> None:
        number = 0
        while not stop.is_set():
            feedback.add(an_entry(f"parent-{name}-{number}"))
            number += 1

    threads = [threading.Thread(target=write, args=(name,)) for name in range(3)]
    for thread in threads:
        thread.start()

    def child(number: int) -> None:
        assert Outcome.ADDED is feedback.add(an_entry(f"child-{number}"))
        assert store.get("first") is not None
        if number % 4 == 0:
            store.compact()

    try:
        codes = [wait_for(fork(partial(child, number))) for number in range(12)]
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert [0] * 12 == codes
    found = ids(store)
    assert len(set(found)) == len(found)
    assert {f"child-{number}" for number in range(12)} <= set(found)
    assert set(found) == contents(tmp_path).keys()
    store.close()


def test_two_threads_may_fork_at_the_same_time(tmp_path: Path) -> None:
    """Promise 20: forks that meet leave no lock behind that nobody frees."""
    with closing(JsonlStore(tmp_path)) as store:
        store.append([an_entry("first")])
        codes: list[int] = []

        def forking(name: int) -> None:
            for number in range(10):
                pid = fork(partial(store.append, [an_entry(f"{name}-{number}")]))
                codes.append(wait_for(pid))

        threads = [threading.Thread(target=forking, args=(name,)) for name in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert [0] * 30 == codes
        store.append([an_entry("last")])
        assert 32 == len(ids(store))


def test_a_child_does_not_free_its_parents_lock(tmp_path: Path) -> None:
    """Promise 20: a child that uses the store, closes it and ends leaves the lock to its parent."""
    with closing(JsonlStore(tmp_path, lock_timeout_s=0.2)) as store:
        store.append([an_entry("first")])
        with closing(JsonlStore(tmp_path, lock_timeout_s=0.2)) as other, store._lock:

            def child() -> str:
                try:
                    store.append([an_entry("child")])
                except LockTimeoutError:
                    store.close()
                    return "waited"
                return "came in"

            assert "waited" == in_child(child)
            with pytest.raises(LockTimeoutError):
                other.append([an_entry("other")])
        assert ["first"] == ids(store)


def test_a_living_child_does_not_keep_its_parents_lock(tmp_path: Path) -> None:
    """Promise 20: a child forked within a write, and then busy elsewhere, blocks nobody."""
    shared = Shared()
    with closing(JsonlStore(tmp_path)) as store:
        store.append([an_entry("first")])
        with store._lock:
            pid = fork(lambda: shared.await_phase(1))
        with closing(JsonlStore(tmp_path, lock_timeout_s=5)) as other:
            other.append([an_entry("other")])
        store.append([an_entry("second")])
        shared.phase = 1
        assert 0 == wait_for(pid)
        assert ["first", "other", "second"] == ids(store)


# ---------------------------------------------------------------------------------------- locks


def holder(folder: Path, shared: Shared) -> int:
    """Fork a child that takes the lock and keeps it; return its pid."""

    def hold() -> None:
        store = JsonlStore(folder)
        with store._lock:
            shared.phase = 1
            shared.await_phase(2)

    pid = fork(hold)
    shared.await_phase(1)
    return pid


def test_a_killed_holder_does_not_keep_the_lock(tmp_path: Path) -> None:
    """Promise 19: the kernel frees what a killed process held, at once."""
    with closing(JsonlStore(tmp_path, lock_timeout_s=30)) as store:
        store.append([an_entry("a")])
        pid = holder(tmp_path, Shared())
        os.kill(pid, signal.SIGKILL)
        assert -signal.SIGKILL == wait_for(pid)
        store.append([an_entry("b")])
        assert ["a", "b"] == ids(store)


def test_waiting_for_the_lock_ends(tmp_path: Path) -> None:
    """Promise 21: after the timeout a typed error names the file; reading never waits."""
    shared = Shared()
    with closing(JsonlStore(tmp_path, lock_timeout_s=0.05)) as store:
        store.append([an_entry("a")])
        pid = holder(tmp_path, shared)
        for write in (
            lambda: store.append([an_entry("b")]),
            lambda: store.rewrite("a", lambda entry: attrs.evolve(entry, rating=1)),
            lambda: store.erase(["a"]),
        ):
            with pytest.raises(LockTimeoutError, match=r"lock.*lock_timeout_s") as caught:
                write()
            assert isinstance(caught.value, TimeoutError)
        assert ["a"] == ids(store)
        assert store.get("a") == an_entry("a")
        shared.phase = 2
        assert 0 == wait_for(pid)
        store.append([an_entry("b")])
        assert ["a", "b"] == ids(store)


def test_threads_wait_for_each_other_with_the_same_timeout(tmp_path: Path) -> None:
    """Promise 21: a thread that waits for another of the same process gives up as well."""
    with closing(JsonlStore(tmp_path, lock_timeout_s=0.05)) as store:
        store.append([an_entry("a")])
        caught: list[BaseException] = []

        def add() -> None:
            try:
                store.append([an_entry("b")])
            except LockTimeoutError as error:
                caught.append(error)

        with store._lock:
            thread = threading.Thread(target=add)
            thread.start()
            thread.join()
        assert [LockTimeoutError] == [type(error) for error in caught]
        assert ["a"] == ids(store)


def test_signals_while_waiting_and_writing_do_no_harm(tmp_path: Path) -> None:
    """Promise 21: EINTR is no error: a process under a rain of signals writes all it has."""

    def write() -> None:
        count = 0

        def handle(*_: object) -> None:
            nonlocal count
            count += 1

        signal.signal(signal.SIGALRM, handle)
        signal.setitimer(signal.ITIMER_REAL, 0.0005, 0.0005)
        with closing(JsonlStore(tmp_path)) as store:
            for number in range(ROUNDS):
                store.append([an_entry(f"{os.getpid()}-{number}")])
            store.compact()
        signal.setitimer(signal.ITIMER_REAL, 0)
        assert count > 10

    assert [0] * 3 == [wait_for(pid) for pid in [fork(write) for _ in range(3)]]
    assert 3 * ROUNDS == len(contents(tmp_path))


class _Interrupted(BaseException):
    """What a handler of a signal may raise, as Ctrl-C does."""


VERBS: dict[str, Callable[[JsonlStore], object]] = {
    "append": lambda store: store.append([an_entry("new"), an_entry("nov", timestamp=NOVEMBER)]),
    "rewrite": lambda store: store.rewrite("a", lambda old: attrs.evolve(old, rating=1)),
    "erase": lambda store: store.erase(["b"]),
    "compact": lambda store: store.compact(),
}


@pytest.mark.parametrize("verb", VERBS)
def test_an_interrupt_leaves_all_or_nothing(verb: str, tmp_path: Path) -> None:
    """A handler that raises, wherever it strikes: each entry is as before or as after."""

    def interrupted(after_s: float) -> None:
        def handle(*_: object) -> None:
            raise _Interrupted

        store = JsonlStore(tmp_path)
        store.get("a")
        signal.signal(signal.SIGALRM, handle)
        try:
            signal.setitimer(signal.ITIMER_REAL, after_s)
            VERBS[verb](store)
        except _Interrupted:
            pass  # in the child's last breath: what is left of it are its files

    for number in range(ROUNDS):
        with closing(JsonlStore(tmp_path)) as store:
            store.erase(["new", "nov"])
            store.append([an_entry("a"), an_entry("b", answer="x" * 2000)])
            store.rewrite("a", lambda old: attrs.evolve(old, rating=0))
        before = contents(tmp_path)
        wait_for(fork(partial(interrupted, 0.00005 * (1 + number))))
        between = contents(tmp_path)
        with closing(JsonlStore(tmp_path, lock_timeout_s=5)) as store:
            VERBS[verb](store)
            after = contents(tmp_path)
            for id in before.keys() | between.keys() | after.keys():
                assert between.get(id) in (before.get(id), after.get(id)), (number, id)
            store.compact()
        assert after == contents(tmp_path)
        assert [] == list(tmp_path.glob(".*.tmp"))
