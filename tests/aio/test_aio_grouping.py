"""Many tasks that add at the same time: shared commits, and what becomes of each."""

import os
import threading
from pathlib import Path

import anyio
import pytest
from crowd import Crowd, a_crowd, make, own_threads, until

from feedback_store import (
    DuplicateEntryError,
    InvalidEntryError,
    Outcome,
    StoreFullError,
    StoreUnavailableError,
    open_async_store,
    open_store,
)
from feedback_store.group_commit import MAX_GROUP

pytestmark = pytest.mark.anyio
crowd = pytest.fixture(a_crowd)


@pytest.fixture
def syncs(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return the descriptors of all files that were synced."""
    synced: list[int] = []
    sync = os.fdatasync

    def counting(descriptor: int) -> None:
        synced.append(descriptor)
        sync(descriptor)

    monkeypatch.setattr(os, "fdatasync", counting)
    return synced


async def test_a_thousand_adds_share_syncs_and_a_thread(tmp_path: Path, syncs: list[int]) -> None:
    """1,000 tasks that add at once need a tenth of the syncs at most, and one thread."""
    before, most = threading.active_count(), 0
    outcomes: list[Outcome] = []

    async def add(n: int) -> None:
        nonlocal most
        outcomes.append(await store.add(make(str(n))))
        most = max(most, len(own_threads()))

    async with open_async_store(tmp_path / "feedback") as store:
        async with anyio.create_task_group() as tasks:
            for n in range(1000):
                tasks.start_soon(add, n)
        assert [Outcome.ADDED] * 1000 == outcomes
        assert 0 < len(syncs) <= 100
        assert 1 == most
        assert threading.active_count() <= before + 3
    with open_store(tmp_path / "feedback") as reopened:
        assert {str(n) for n in range(1000)} == {entry.id for entry in reopened.scan()}


async def test_a_lone_task_never_waits(crowd: Crowd) -> None:
    """One task's entries are appended one by one, each at once."""
    crowd.medium.let_go.set()
    for id in "abc":
        await crowd.add(id)
    assert [["a"], ["b"], ["c"]] == crowd.medium.groups


async def test_those_who_come_meanwhile_share_the_next_group(crowd: Crowd) -> None:
    """While one append is under way, all who come wait, and go together, in their order."""
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(crowd.add, "a")
        await until(lambda: crowd.medium.at_work)
        for n, id in enumerate("bcdefgh", 1):
            tasks.start_soon(crowd.add, id)
            await crowd.queue(n)
        crowd.medium.let_go.set()
    assert [["a"], list("bcdefgh")] == crowd.medium.groups
    assert [Outcome.ADDED] * 8 == list(crowd.outcomes.values())


async def test_each_gets_its_own_outcome(crowd: Crowd) -> None:
    """Of a group, a conflict is an error to its task alone, and a retry is unchanged."""
    crowd.medium.let_go.set()
    await crowd.add("b")
    crowd.medium.let_go.clear()
    errors: list[Exception] = []

    async def conflict() -> None:
        try:
            await crowd.store.add(make("b", answer="another"))
        except DuplicateEntryError as error:
            errors.append(error)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(crowd.add, "a")
        await until(lambda: crowd.medium.at_work)
        tasks.start_soon(conflict)
        tasks.start_soon(crowd.add, "b")
        tasks.start_soon(crowd.add, "c")
        await crowd.queue(3)
        crowd.medium.let_go.set()
    assert (Outcome.UNCHANGED, Outcome.ADDED) == (crowd.outcomes["b"], crowd.outcomes["c"])
    assert ["another entry stands under the id 'b'"] == [str(e).split(";")[0] for e in errors]


async def test_a_group_has_a_bound(crowd: Crowd) -> None:
    """However many wait, a group takes no more than the bound, and the others the next."""
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(crowd.add, "first")
        await until(lambda: crowd.medium.at_work)
        for n in range(MAX_GROUP + 5):
            tasks.start_soon(crowd.add, str(n))
        await crowd.queue(MAX_GROUP + 5)
        crowd.medium.let_go.set()
    assert [1, MAX_GROUP, 5] == [len(group) for group in crowd.medium.groups]


async def test_what_is_no_entry_joins_no_group(crowd: Crowd) -> None:
    """A value that is no entry is refused before anyone shares a group with it."""
    with pytest.raises(InvalidEntryError, match="must be a FeedbackEntry, not a dict"):
        await crowd.store.add({"message_id": "a"})  # type: ignore[arg-type]  # that is the point
    assert [] == own_threads()


async def test_a_refused_entry_harms_no_other(crowd: Crowd) -> None:
    """Of a group with one entry that the store refuses, only that one fails."""
    async with anyio.create_task_group() as tasks:
        for id in ("a", "b", "refused", "c"):
            tasks.start_soon(crowd.add, id)
        crowd.medium.let_go.set()
    assert isinstance(crowd.outcomes.pop("refused"), InvalidEntryError)
    assert dict.fromkeys("abc", Outcome.ADDED) == crowd.outcomes
    assert ["a", "b", "c"] == sorted(crowd.stored())


async def test_an_error_reaches_every_member(crowd: Crowd) -> None:
    """When the medium fails, all of the group learn it, with a trace that does not grow."""
    crowd.medium.error = lambda: StoreFullError("full")
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(crowd.add, "first")
        await until(lambda: crowd.medium.at_work)
        for n in range(49):
            tasks.start_soon(crowd.add, str(n))
        await crowd.queue(49)
        crowd.medium.let_go.set()
    assert {StoreFullError} == {type(error) for error in crowd.outcomes.values()}
    assert 50 == len(crowd.outcomes)
    error = crowd.outcomes["48"]
    assert isinstance(error, StoreFullError)
    depth, trace = 0, error.__traceback__
    while trace is not None:
        depth, trace = depth + 1, trace.tb_next
    assert depth < 15
    crowd.medium.error = None
    assert Outcome.ADDED is await crowd.store.add(make("after"))


async def test_whatever_an_append_raises_the_next_group_is_served(crowd: Crowd) -> None:
    """An interrupt that strikes the thread is told as a failed write, and the thread goes on."""
    crowd.medium.let_go.set()
    crowd.medium.error = SystemExit
    with pytest.raises(StoreUnavailableError, match="interrupted"):
        await crowd.store.add(make("a"))
    crowd.medium.error = None
    with anyio.fail_after(10):
        assert Outcome.ADDED is await crowd.store.add(make("a"))


async def test_reads_do_not_hold_up_adds(crowd: Crowd) -> None:
    """While as many slow reads are under way as may be, an entry is added all the same."""
    async with anyio.create_task_group() as tasks:
        for _ in range(5):
            tasks.start_soon(crowd.store.count)
        await until(lambda: crowd.medium.at_work == 2)
        tasks.start_soon(crowd.add, "a")
        await until(lambda: crowd.medium.at_work == 3)
        crowd.medium.let_go.set()
    assert 3 == crowd.medium.most_at_work
    assert len(own_threads()) <= 3
    assert {"a": Outcome.ADDED} == crowd.outcomes
