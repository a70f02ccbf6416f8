"""Several processes on one server, and entries that are copied to it and back."""

import os
from contextlib import closing
from pathlib import Path

import attrs
import pytest
from hypothesis import HealthCheck, given, settings
from jsonl_harness import DEEP, an_entry, fork, needs_fork, wait_for
from killing import Journal

from feedback_store import FeedbackEntry, FeedbackStore, Outcome, Query, encode, open_store
from feedback_store.backends.jsonl import JsonlStore
from feedback_store.backends.postgres import PostgresStore
from feedback_store.layers import CachedStore
from feedback_store.migrate import copy
from feedback_store.testing import batches

PROCESSES = 4
EACH = 400 if DEEP else 60
ROUNDS = 100 if DEEP else 10


def ids(store: PostgresStore) -> list[str]:
    """Return the ids of all entries."""
    return [entry.id for entry in store.scan(Query())]


@needs_fork
def test_four_processes_write_through_one_server(postgres_url: str, tmp_path: Path) -> None:
    """Ids that all bring are stored once, updates of one entry all count, and none is lost."""
    journal = Journal(tmp_path)

    def write(process: int) -> None:
        with closing(PostgresStore(postgres_url)) as store:
            feedback = FeedbackStore(store)
            for number in range(EACH):
                shared = [an_entry(f"shared-{number}-{n}") for n in range(3)]
                outcomes = store.append(shared if process % 2 else shared[::-1])
                assert {Outcome.ADDED, Outcome.UNCHANGED} >= set(outcomes)
                for entry, outcome in zip(shared, outcomes, strict=True):
                    if outcome is Outcome.ADDED:
                        journal.note(f"added-{process}", entry.id)
                feedback.add(an_entry(f"own-{process}-{number}"))
                feedback.update("counter", add_issues=[f"{process}-{number}"])

    with closing(PostgresStore(postgres_url)) as store:
        store.append([an_entry("counter")])
        pids = [fork(lambda n=n: write(n)) for n in range(PROCESSES)]  # type: ignore[misc]  # a default
        assert [0] * PROCESSES == [wait_for(pid) for pid in pids]
        counter = store.get("counter")
        assert counter is not None
        assert PROCESSES * EACH == len(set(counter.metadata.issues))
        assert 1 + PROCESSES * EACH + 3 * EACH == len(ids(store))
        added = [line for n in range(PROCESSES) for line in journal.lines(f"added-{n}")]
        assert 3 * EACH == len(added) == len(set(added))
        assert store.check(deep=True).ok


@needs_fork
def test_what_one_process_has_written_another_sees_through_its_cache(postgres_url: str) -> None:
    """After each acknowledged write, the next answer of the other process shows it."""
    there, back = os.pipe(), os.pipe()

    def write() -> None:
        with closing(PostgresStore(postgres_url)) as store:
            for number in range(ROUNDS):
                os.read(there[0], 1)
                store.append([an_entry(f"{number:03}")])
                store.rewrite("first", lambda e, n=number: attrs.evolve(e, answer=f"{n}"))  # type: ignore[misc]  # a default
                os.write(back[1], b"x")

    with closing(CachedStore(PostgresStore(postgres_url))) as cached:
        feedback = FeedbackStore(cached)
        feedback.add(an_entry("first"))
        pid = fork(write)
        for number in range(ROUNDS):
            assert 1 + number == feedback.count()
            os.write(there[1], b"x")
            os.read(back[0], 1)
            assert 2 + number == feedback.stats().total
            assert f"{number}" == feedback.get("first").answer
            assert 2 + number == feedback.page().total
        assert 0 == wait_for(pid)
    for end in (*there, *back):
        os.close(end)


@settings(
    deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(batch=batches())
def test_a_copy_to_a_database_and_back_is_the_same_to_the_byte(
    postgres_url: str, tmp_path_factory: pytest.TempPathFactory, batch: list[FeedbackEntry]
) -> None:
    """From month files to PostgreSQL and back: every line is the one that was there at first."""
    folder = tmp_path_factory.mktemp("copy")
    table = f"copy_{folder.name}".replace("-", "_")
    with (
        open_store(folder / "from") as first,
        open_store(postgres_url, table=table) as database,
        open_store(folder / "to") as last,
    ):
        first.store.append(batch)
        copy(first, database)
        copy(database, last)
        expected = [encode(entry) for entry in first.scan()]
        assert expected == [encode(entry) for entry in database.scan()]
        assert expected == [encode(entry) for entry in last.scan()]


def test_many_entries_are_copied_by_batches(postgres_url: str, tmp_path: Path) -> None:
    """What takes many batches arrives whole, and a second copy changes nothing."""
    with closing(JsonlStore(tmp_path, durability="os")) as folder:
        folder.append([an_entry(f"{n:05}", answer="\\ \t\n") for n in range(3500)])
        with open_store(postgres_url) as database:
            before = FeedbackStore(folder)
            assert 3500 == copy(before, database).added
            assert 3500 == copy(before, database).unchanged
            assert [encode(e) for e in before.scan()] == [encode(e) for e in database.scan()]
