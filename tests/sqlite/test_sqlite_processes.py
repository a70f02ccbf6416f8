"""Forks, threads and other processes: who sees what, and whose locks are whose."""

import os
import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest
from jsonl_harness import an_entry, fork, in_child, needs_fork, wait_for

from feedback_store import FeedbackStore, Outcome, Query
from feedback_store.backends.sqlite import SqliteStore

THREADS = 8


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Return the path of a database."""
    return tmp_path / "feedback.db"


def ids(store: SqliteStore) -> list[str]:
    """Return the ids of all entries."""
    return [entry.id for entry in store.scan(Query())]


@needs_fork
def test_a_fork_in_the_middle_of_a_scan(file: Path) -> None:
    """Both sides go on with the scan as it was, and both can write."""
    with closing(SqliteStore(file)) as store:
        store.append([an_entry(f"{n:03}") for n in range(600)])
        scan = store.scan(Query())
        expected = [next(scan).id]

        def child() -> object:
            store.append([an_entry("child")])
            return [entry.id for entry in scan]

        rest = in_child(child)
        store.append([an_entry("parent")])
        assert [entry.id for entry in scan] == rest
        assert [f"{n:03}" for n in range(600)] == expected + rest
        assert {"child", "parent"} < set(ids(store))


@needs_fork
def test_no_connection_crosses_a_fork(file: Path) -> None:
    """A child must not share the parent's locks: what the parent closes stays the child's.

    Were a connection open at the fork, the child would take the parent's locks for its own, and
    lose what it writes to a log that the parent removes as the last who uses it.
    """
    store = SqliteStore(file)
    store.append([an_entry("before")])
    ready, go = os.pipe(), os.pipe()

    def child() -> None:
        store.append([an_entry("child 1")])
        os.write(ready[1], b"x")
        os.read(go[0], 1)
        store.append([an_entry("child 2")])
        os._exit(0)  # as a worker that is ended: it closes nothing

    pid = fork(child)
    os.read(ready[0], 1)
    store.close()  # the last one here; in the child one is open
    os.write(go[1], b"x")
    assert 0 == wait_for(pid)
    with closing(SqliteStore(file)) as again:
        assert ["before", "child 1", "child 2"] == sorted(ids(again))


@needs_fork
def test_processes_wait_their_turn(file: Path) -> None:
    """Nobody is turned away, and nothing is lost, while all write and read at once."""

    def write(name: int) -> None:
        with closing(SqliteStore(file)) as store:
            for n in range(60):
                assert [Outcome.ADDED] == list(store.append([an_entry(f"{name}-{n}")]))
                assert store.get(f"{name}-{n}") is not None

    pids = [fork(lambda name=name: write(name)) for name in range(4)]  # type: ignore[misc]  # a lambda
    assert [0] * 4 == [wait_for(pid) for pid in pids]
    with closing(SqliteStore(file)) as store:
        assert 240 == store.count(Query()) == len(ids(store))
        assert store.check(deep=True).ok


def test_threads_share_commits(file: Path) -> None:
    """What threads bring at once is one transaction: far fewer commits than entries."""
    with closing(SqliteStore(file)) as store:
        feedback = FeedbackStore(store)
        feedback.add(an_entry("first"))
        commits = []
        with store._database.alone() as connection:
            connection.set_trace_callback(
                lambda sql: commits.append(sql) if sql == "COMMIT" else None
            )
        start = threading.Barrier(THREADS)

        def add(thread: int) -> None:
            start.wait()
            for n in range(40):
                feedback.add(an_entry(f"{thread}-{n}"))

        with ThreadPoolExecutor(THREADS) as pool:
            list(pool.map(add, range(THREADS)))
        assert THREADS * 40 + 1 == feedback.count()
        assert len(commits) < THREADS * 40 / 2


def test_readers_do_not_wait_for_a_writer(file: Path) -> None:
    """While one thread is in the middle of a write, another reads what was there before."""
    with closing(SqliteStore(file)) as store:
        store.append([an_entry("a")])
        inside, done = threading.Event(), threading.Event()

        def change(entry: object) -> object:
            inside.set()
            assert done.wait(30)
            return entry

        writer = threading.Thread(target=store.rewrite, args=("a", change))
        writer.start()
        assert inside.wait(30)
        assert ["a"] == ids(store)
        assert 1 == store.count(Query())
        done.set()
        writer.join()


def test_a_scan_is_of_its_beginning(file: Path) -> None:
    """What others write meanwhile, in this process or another, is not in it."""
    with closing(SqliteStore(file)) as store, closing(SqliteStore(file)) as other:
        store.append([an_entry(f"{n:03}") for n in range(600)])
        scan = store.scan(Query())
        next(scan)
        other.append([an_entry("new")])
        store.rewrite("599", lambda old: an_entry("599", rating=1, timestamp=old.timestamp))
        rest = list(scan)
        assert 599 == len(rest)
        assert {0} == {entry.rating for entry in rest}
        assert 601 == len(ids(store))


def test_scans_that_nobody_ends_give_their_connections_back(file: Path) -> None:
    """However a scan is dropped, the next one finds the connection."""
    with closing(SqliteStore(file)) as store:
        store.append([an_entry(f"{n:03}") for n in range(600)])
        for _ in range(50):
            next(store.scan(Query()))
            store.scan(Query())
        assert 600 == len(ids(store))
        assert len(store._database.pool._idle) <= 9


def test_a_scan_outlives_its_store(file: Path) -> None:
    """Closing takes the rest into memory."""
    store = SqliteStore(file)
    store.append([an_entry(f"{n:03}") for n in range(600)])
    scan = store.scan(Query())
    next(scan)
    store.close()
    assert 599 == len(list(scan))


def test_a_sync_comes_before_an_unchanged_entry_is_acknowledged(file: Path) -> None:
    """Whoever wrote it may have died before its sync: so something is written, and synced."""
    with closing(SqliteStore(file)) as store:
        store.append([an_entry("a")])
        size = file.with_name("feedback.db-wal").stat().st_size
        assert [Outcome.UNCHANGED] == list(store.append([an_entry("a")]))
        assert size < file.with_name("feedback.db-wal").stat().st_size


def test_the_version_is_seen_by_everyone(file: Path) -> None:
    """It changes with each change by anyone, and with nothing else."""
    with closing(SqliteStore(file)) as store, closing(sqlite3.connect(file)) as other:
        store.append([an_entry("a")])
        seen = [store.version()]
        assert seen[0] == store.version()
        other.execute("UPDATE state SET value = value + 1 WHERE key = 'touched'")
        other.commit()
        seen.append(store.version())
        store.append([an_entry("b")])
        seen.append(store.version())
        store.erase(["b"])
        seen.append(store.version())
        assert 4 == len(set(seen))
