"""`GroupCommit`: many threads, one append."""

import os
import signal
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from feedback_store import (
    FeedbackEntry,
    InvalidEntryError,
    Outcome,
    StoreFullError,
    StoreUnavailableError,
)
from feedback_store.group_commit import MAX_GROUP, GroupCommit, Ticket, _Queue, _Ticket, serve

Append = Callable[[Sequence[FeedbackEntry]], Sequence[Outcome]]


def entry(id: str) -> FeedbackEntry:
    """Return an entry with that id."""
    return FeedbackEntry(message_id=id, question="", answer="")


class Medium:
    """An append that waits to be let go, and remembers what came together."""

    def __init__(self) -> None:
        self.groups: list[list[str]] = []
        self.entered = threading.Semaphore(0)
        self.let_go = threading.Semaphore(0)
        self.error: BaseException | None = None

    def append(self, entries: Sequence[FeedbackEntry]) -> list[Outcome]:
        """Wait, then store, or raise what was told."""
        self.groups.append([e.id for e in entries])
        self.entered.release()
        assert self.let_go.acquire(timeout=60)
        if self.error is not None:
            error, self.error = self.error, None
            raise error
        if any(e.id == "refused" for e in entries):
            raise InvalidEntryError("refused")
        return [Outcome.ADDED] * len(entries)


class Crowd:
    """Threads that add entries to a medium, one after the other, while it is at work."""

    def __init__(self, medium: Medium, threads: ThreadPoolExecutor) -> None:
        self.group = GroupCommit(medium.append)
        self.medium = medium
        self.threads = threads

    def lead(self, id: str) -> "Future[Outcome]":
        """Add an entry, and return when the medium is at work on it."""
        future = self.threads.submit(self.group.add, entry(id))
        assert self.medium.entered.acquire(timeout=60)
        return future

    def follow(self, *ids: str) -> "list[Future[Outcome]]":
        """Add entries, and return when each of them waits, in their order."""
        futures = []
        for id in ids:
            waiting = len(self.group._queue.waiting)
            futures.append(self.threads.submit(self.group.add, entry(id)))
            while len(self.group._queue.waiting) == waiting:
                threading.Event().wait(0.001)
        return futures


@pytest.fixture
def crowd() -> "Crowd":
    """Return threads around a medium that waits to be let go."""
    return Crowd(Medium(), ThreadPoolExecutor(20))


def test_a_lone_thread_never_waits() -> None:
    """One thread's entries are appended one by one, each at once."""
    groups: list[int] = []

    def append(entries: Sequence[FeedbackEntry]) -> list[Outcome]:
        groups.append(len(entries))
        return [Outcome.ADDED]

    group = GroupCommit(append)
    assert [Outcome.ADDED] * 3 == [group.add(entry(id)) for id in "abc"]
    assert [1, 1, 1] == groups


def test_those_who_come_meanwhile_share_the_next_round(crowd: Crowd) -> None:
    """While one append is under way, all who come wait, and go together, in their order."""
    futures = [crowd.lead("a"), *crowd.follow(*"bcdefgh")]
    crowd.medium.let_go.release(2)
    assert [Outcome.ADDED] * 8 == [future.result(60) for future in futures]
    assert [["a"], list("bcdefgh")] == crowd.medium.groups


def test_each_gets_its_own_outcome(crowd: Crowd) -> None:
    """Outcomes go to those whose entries they are about."""
    outcomes = {"b": Outcome.CONFLICT, "c": Outcome.UNCHANGED, "d": Outcome.ADDED}
    first = crowd.lead("a")
    futures = crowd.follow(*outcomes)
    crowd.group._append = lambda entries: [outcomes[e.id] for e in entries]
    crowd.medium.let_go.release()
    assert Outcome.ADDED is first.result(60)
    assert list(outcomes.values()) == [future.result(60) for future in futures]


def test_a_group_has_a_bound() -> None:
    """However many wait, a round takes no more than the bound, and the others the next."""
    queue = _Queue()
    for n in range(MAX_GROUP + 5):
        queue.join(_Ticket(entry(str(n))))
    assert [MAX_GROUP, 5, 0] == [len(queue.take()) for _ in range(3)]


def test_a_refused_entry_harms_no_other(crowd: Crowd) -> None:
    """Of a group with one entry that the store refuses, only that one fails."""
    first = crowd.lead("a")
    good, refused, fine = crowd.follow("b", "refused", "c")
    crowd.medium.let_go.release(6)
    assert [Outcome.ADDED] * 3 == [future.result(60) for future in (first, good, fine)]
    with pytest.raises(InvalidEntryError):
        refused.result(60)
    halves = [["b", "refused", "c"], ["b"], ["refused", "c"], ["refused"], ["c"]]
    assert [["a"], *halves] == crowd.medium.groups


def test_a_refused_entry_costs_few_appends() -> None:
    """The one that is refused among many is found in a few appends, and the others are stored."""
    sizes: list[int] = []

    def append(entries: Sequence[FeedbackEntry]) -> list[Outcome]:
        sizes.append(len(entries))
        if any(e.id == "refused" for e in entries):
            raise InvalidEntryError("refused")
        return [Outcome.ADDED] * len(entries)

    group = [Ticket(entry(str(n))) for n in range(MAX_GROUP)]
    group[777] = Ticket(entry("refused"))
    serve(append, group)
    assert [777] == [n for n, ticket in enumerate(group) if ticket.error is not None]
    assert MAX_GROUP - 1 == [ticket.outcome for ticket in group].count(Outcome.ADDED)
    assert len(sizes) < 25


def test_an_error_reaches_every_member(crowd: Crowd) -> None:
    """When the medium fails, all of the group learn it, and those of the next are served."""
    first = crowd.lead("a")
    failing = crowd.follow("b", "c", "d")
    crowd.medium.let_go.release()
    assert crowd.medium.entered.acquire(timeout=60)
    after = crowd.follow("e", "f")
    crowd.medium.error = StoreFullError("full")
    crowd.medium.let_go.release(2)
    for future in failing:
        with pytest.raises(StoreFullError):
            future.result(60)
    assert [Outcome.ADDED] * 3 == [future.result(60) for future in (first, *after)]


@pytest.mark.parametrize("interrupt", [KeyboardInterrupt, SystemExit])
def test_an_interrupt_of_the_leader_strands_nobody(
    crowd: Crowd, interrupt: type[BaseException]
) -> None:
    """Its group learns that the write was cut short, and those who wait go on without it."""
    first = crowd.lead("a")
    leader, member = crowd.follow("b", "c")
    crowd.medium.let_go.release()
    assert crowd.medium.entered.acquire(timeout=60)
    after = crowd.follow("d", "e")
    crowd.medium.error = interrupt()
    crowd.medium.let_go.release(2)
    with pytest.raises(interrupt):
        leader.result(60)
    with pytest.raises(StoreUnavailableError, match="interrupted") as caught:
        member.result(60)
    assert isinstance(caught.value.__cause__, interrupt)
    assert [Outcome.ADDED] * 3 == [future.result(60) for future in (first, *after)]
    assert ["d", "e"] == crowd.medium.groups[-1]


class _Interrupt(BaseException):
    """What a signal's handler raises."""


def test_an_interrupt_of_a_waiting_thread_strands_nobody(crowd: Crowd) -> None:
    """A thread that is interrupted while it waits is not waited for, and takes no lead along."""

    def interrupt(number: int, frame: object) -> None:
        raise _Interrupt

    def let_all_go() -> None:
        while len(crowd.group._queue.waiting) < 1:
            threading.Event().wait(0.001)
        behind.extend(crowd.follow("behind"))
        os.kill(os.getpid(), signal.SIGUSR1)

    behind: list[Future[Outcome]] = []
    first = crowd.lead("a")
    before = signal.signal(signal.SIGUSR1, interrupt)
    try:
        helper = crowd.threads.submit(let_all_go)
        with pytest.raises(_Interrupt):  # signals reach the main thread, which waits here
            crowd.group.add(entry("interrupted"))
    finally:
        signal.signal(signal.SIGUSR1, before)
    helper.result(60)
    crowd.medium.let_go.release(2)
    assert [Outcome.ADDED] * 2 == [future.result(60) for future in (first, *behind)]
    assert [["a"], ["behind"]] == crowd.medium.groups


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")  # with threads is the point
def test_a_child_does_not_wait_for_its_parent(crowd: Crowd) -> None:
    """A fork while others write leaves the child with a queue of its own, free to use."""
    first = crowd.lead("a")
    waiting = crowd.follow("b")
    pid = os.fork()
    if pid == 0:
        signal.alarm(30)
        crowd.group._append = lambda entries: [Outcome.UNCHANGED] * len(entries)
        os._exit(0 if crowd.group.add(entry("child")) is Outcome.UNCHANGED else 1)
    assert 0 == os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    crowd.medium.let_go.release(2)
    assert [Outcome.ADDED] * 2 == [future.result(60) for future in (first, *waiting)]


def test_many_threads_lose_nothing() -> None:
    """Under load, every add returns, and each entry is appended exactly once."""
    stored: list[str] = []

    def append(entries: Sequence[FeedbackEntry]) -> list[Outcome]:
        stored.extend(e.id for e in entries)
        return [Outcome.ADDED] * len(entries)

    group = GroupCommit(append)
    ids = [str(n) for n in range(2000)]
    with ThreadPoolExecutor(16) as threads:
        outcomes = list(threads.map(lambda id: group.add(entry(id)), ids))
    assert [Outcome.ADDED] * len(ids) == outcomes
    assert sorted(ids) == sorted(stored)
