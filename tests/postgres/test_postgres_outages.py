"""A server that is killed, refuses, or is cut off: what was told then holds.

Promise 23: what was acknowledged is there; a connection that is lost while a change is committed
is "outcome unknown"; and a retry with the same id is harmless.
"""

import os
import shutil
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import attrs
import pytest
from cutting_proxy import CuttingProxy
from jsonl_harness import DEEP, an_entry, await_true, fork, needs_fork, wait_for
from killing import Journal
from pg_server import PASSWORD, OwnServer, PostgresServer, own_server, programs

from feedback_store import (
    DurabilityError,
    FeedbackEntry,
    FeedbackStore,
    Outcome,
    Query,
    StoreUnavailableError,
)
from feedback_store.backends.postgres import PostgresStore

KILLS = 30 if DEEP else 4
WRITERS = 3
AT_LEAST = 25
"""Entries that are acknowledged between two kills."""


@pytest.fixture
def own(postgres: PostgresServer) -> Iterator[OwnServer]:
    """A server for one test, which may kill it."""
    found = programs()
    if found is None:
        pytest.skip("no PostgreSQL of our own, and others are not killed")
    with own_server(found) as server:
        yield server


def ids(store: PostgresStore) -> list[str]:
    """Return the ids of all entries."""
    return [entry.id for entry in store.scan(Query())]


class Writer:
    """A process that adds entries one after the other, and tries each until it is acknowledged."""

    def __init__(self, name: str, url: str, journal: Journal, end: Path) -> None:
        self.name, self.url, self.journal, self.end = name, url, journal, end

    def run(self) -> None:
        """Add until the file that means the end is there."""
        feedback = FeedbackStore(PostgresStore(self.url))
        number = 0
        while not self.end.exists():
            number += 1
            entry = an_entry(f"{self.name}-{number}")
            outcome = self._until_told(feedback, entry.id)
            self.journal.note(self.name, f"{entry.id} {outcome}")
        feedback.close()

    def _until_told(self, feedback: FeedbackStore, id: str) -> Outcome:
        while True:
            try:
                return feedback.add(an_entry(id))
            except DurabilityError:
                self.journal.note("unknown", id)
            except StoreUnavailableError:
                self.journal.note("failed", id)


@needs_fork
@pytest.mark.timeout(600)
def test_no_acknowledged_entry_is_lost_when_the_server_is_killed(
    own: OwnServer, tmp_path: Path
) -> None:
    """Every acknowledged entry is there, each once; retries are ADDED or UNCHANGED, no conflict."""
    url, journal, end = own.new_database(), Journal(tmp_path), tmp_path / "end"
    names = [f"writer{n}" for n in range(WRITERS)]
    pids = [fork(Writer(name, url, journal, end).run) for name in names]

    def acknowledged() -> list[str]:
        return [line for name in names for line in journal.lines(name)]

    for _ in range(KILLS):
        goal = len(acknowledged()) + AT_LEAST
        await_true(lambda goal=goal: len(acknowledged()) >= goal, "writers that go on")  # type: ignore[misc]  # a default
        own.kill()
        own.start()
    goal = len(acknowledged()) + AT_LEAST
    await_true(lambda: len(acknowledged()) >= goal, "writers that go on")
    end.touch()
    assert [0] * WRITERS == [wait_for(pid) for pid in pids]

    told = [line.split() for line in acknowledged()]
    assert {"added", "unchanged"} >= {outcome for _, outcome in told}
    with closing(PostgresStore(url)) as store:
        assert sorted(id for id, _ in told) == sorted(ids(store))
        assert store.check(deep=True).ok


def test_after_a_restart_the_next_call_works(own: OwnServer) -> None:
    """Every connection is lost by then; reads and writes throw them away and go on."""
    calls: list[Callable[[PostgresStore], object]] = [
        lambda store: store.get("a"),
        lambda store: store.count(Query()),
        lambda store: list(store.scan(Query())),
        lambda store: store.append([an_entry("b")]),
        lambda store: store.rewrite("a", lambda e: attrs.evolve(e, rating=1 - (e.rating or 0))),
        lambda store: store.erase(["b"]),
        lambda store: store.version(),
    ]
    with closing(PostgresStore(own.new_database())) as store:
        store.append([an_entry("a")])
        for call in calls:
            own.kill()
            own.start()
            call(store)
        assert ["a"] == ids(store)


def test_a_server_that_is_away_is_told_without_the_password() -> None:
    """Who refuses is named by host, port and database; the password is nowhere in it."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    url = f"postgresql://ada:{PASSWORD}@127.0.0.1:{port}/feedback"
    store = PostgresStore(url, connect_retry_s=0)
    with pytest.raises(StoreUnavailableError, match=f"ada@127.0.0.1:{port}/feedback") as caught:
        store.append([an_entry()])
    assert PASSWORD not in str(caught.value)
    store.close()


def test_a_refusing_server_is_tried_again_for_a_while(own: OwnServer) -> None:
    """A call that comes while the server is being started waits for it, up to its limit."""
    url = own.new_database()
    own.stop()
    store = PostgresStore(url, connect_retry_s=0.2)
    began = time.monotonic()
    with pytest.raises(StoreUnavailableError):
        store.count(Query())
    assert time.monotonic() - began < 5
    own.start()
    assert 0 == store.count(Query())
    store.close()


@pytest.mark.parametrize(
    ("pass_on", "again"), [(True, Outcome.UNCHANGED), (False, Outcome.ADDED)], ids=["done", "not"]
)
def test_a_commit_without_an_answer_is_of_unknown_outcome(
    postgres_url: str, pass_on: bool, again: Outcome
) -> None:
    """Whether the server had done it or not: DurabilityError, and the same call is harmless."""
    with CuttingProxy(postgres_url) as proxy, closing(PostgresStore(proxy.url)) as store:
        store.append([an_entry("first")])
        proxy.cut_at(b"COMMIT\x00", pass_on=pass_on)
        with pytest.raises(DurabilityError, match="outcome is unknown") as caught:
            store.append([an_entry("a")])
        assert PASSWORD not in str(caught.value)
        assert 1 == proxy.cuts
        assert [again] == list(store.append([an_entry("a")]))
        assert ["a", "first"] == ids(store)


def test_what_is_lost_before_the_commit_was_not_done(postgres_url: str) -> None:
    """A connection that is cut at the insert is no unknown outcome: nothing was committed."""
    with CuttingProxy(postgres_url) as proxy, closing(PostgresStore(proxy.url)) as store:
        store.append([an_entry("first")])
        proxy.cut_at(b"INSERT", pass_on=True)
        with pytest.raises(StoreUnavailableError) as caught:
            store.append([an_entry("a")])
        assert not isinstance(caught.value, DurabilityError)
        assert ["first"] == ids(store)
        assert [Outcome.ADDED] == list(store.append([an_entry("a")]))


@pytest.mark.parametrize("pass_on", [True, False])
def test_a_change_is_made_once_when_its_beginning_is_lost(postgres_url: str, pass_on: bool) -> None:
    """A connection that turns out to be lost at BEGIN is replaced, and nobody is told."""
    with CuttingProxy(postgres_url) as proxy, closing(PostgresStore(proxy.url)) as store:
        store.append([an_entry("a", rating=None)])
        calls: list[int] = []
        proxy.cut_at(b"BEGIN", pass_on=pass_on)

        def change(entry: FeedbackEntry) -> FeedbackEntry:
            calls.append(1)
            return attrs.evolve(entry, rating=1)

        store.rewrite("a", change)
        assert ([1], 1) == (calls, proxy.cuts)


def test_a_read_is_made_once_more_when_its_connection_is_lost(postgres_url: str) -> None:
    """A reader is not told that a connection was lost; it is asked on another one."""
    with CuttingProxy(postgres_url) as proxy, closing(PostgresStore(proxy.url)) as store:
        store.append([an_entry("a")])
        proxy.cut_at(b"count(*)", pass_on=False)
        assert (1, 1) == (store.count(Query()), proxy.cuts)


def test_a_scan_that_is_cut_says_so(postgres_url: str) -> None:
    """A scan that loses its connection in the middle raises, and never ends as if it were whole."""
    with CuttingProxy(postgres_url) as proxy, closing(PostgresStore(proxy.url)) as store:
        store.append([an_entry(f"{n:05}") for n in range(3000)])
        found = store.scan(Query())
        first = next(found)
        proxy.cut_at(b"FETCH", pass_on=False)
        with pytest.raises(StoreUnavailableError):
            list(found)
        assert "00000" == first.id
        assert 3000 == store.count(Query())


def test_the_server_ends_with_the_process_that_started_it(postgres: PostgresServer) -> None:
    """However a test run is ended, no server is left: the kernel tells it."""
    found = programs()
    if found is None:
        pytest.skip("no PostgreSQL of our own")
    reading, writing = os.pipe()

    def serve() -> None:
        with own_server(found) as server:
            assert server._process is not None
            os.write(writing, f"{server._process.pid} {server.log.parent}\n".encode())
            os.kill(os.getpid(), 9)

    assert -9 == wait_for(fork(serve))
    os.close(writing)
    with os.fdopen(reading) as told:
        pid, folder = told.read().split()
    await_true(lambda: not _runs(int(pid)), "a server that ends")
    shutil.rmtree(folder)  # which nobody could remove who was killed


def _runs(pid: int) -> bool:
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False
    return status.rpartition(")")[2].split()[0] != "Z"
