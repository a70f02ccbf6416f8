"""What a PostgreSQL store promises beyond the suite: settings, secrets, schema, time and memory."""

import logging
import random
import string
import threading
import tracemalloc
from collections.abc import Iterator
from contextlib import closing
from typing import Any
from urllib.parse import urlsplit

import attrs
import psycopg
import pytest
from jsonl_harness import an_entry, await_true, in_child, needs_fork
from pg_server import PASSWORD, PostgresServer

from feedback_store import (
    FeedbackEntry,
    FeedbackStore,
    InvalidEntryError,
    LockTimeoutError,
    Metadata,
    Outcome,
    Query,
    StoreReadOnlyError,
    StoreUnavailableError,
    encode,
    open_store,
)
from feedback_store.backends.postgres import PostgresStore, schema
from feedback_store.backends.postgres.wording import in_words
from feedback_store.errors import StoreFullError


@pytest.fixture
def store(postgres_url: str) -> Iterator[PostgresStore]:
    """A store in a database of its own."""
    with closing(PostgresStore(postgres_url, lock_timeout_s=20)) as store:
        yield store


def ids(store: PostgresStore) -> list[str]:
    """Return the ids of all entries."""
    return [entry.id for entry in store.scan(Query())]


def alter_database(postgres: PostgresServer, url: str, setting: str) -> None:
    """Give a database a default that all new connections to it have."""
    postgres.ask(f'ALTER DATABASE "{urlsplit(url).path[1:]}" SET {setting}')


# -------------------------------------------------------------------------------- durability


@pytest.mark.parametrize(("durability", "mode"), [("sync", "on"), ("os", "off")])
def test_a_commit_waits_for_the_disk_whatever_the_default_is(
    postgres: PostgresServer, postgres_url: str, durability: str, mode: str
) -> None:
    """``synchronous_commit`` inside our transactions is ours, not the role's or the database's."""
    other = {"on": "off", "off": "on"}[mode]
    alter_database(postgres, postgres_url, f"synchronous_commit = {other}")
    assert [(other,)] == postgres.ask("SHOW synchronous_commit", postgres_url)
    with closing(PostgresStore(postgres_url, durability=durability)) as store:  # type: ignore[arg-type]  # one of the two
        store.append([an_entry()])
        with store._database.transaction() as connection:
            assert (mode,) == connection.execute("SHOW synchronous_commit").fetchone()
        assert f"synchronous_commit {mode}" in store.check()["write"].message


def test_what_was_there_already_is_durable_when_it_is_acknowledged(
    postgres: PostgresServer, postgres_url: str
) -> None:
    """UNCHANGED is told after the log is on the disk, up to what another has put there unsynced."""
    with (
        closing(PostgresStore(postgres_url, durability="os")) as careless,
        closing(PostgresStore(postgres_url)) as store,
    ):
        store.append([an_entry("first")])
        postgres.ask("ALTER SYSTEM SET wal_writer_delay = '10s'")
        postgres.ask("SELECT pg_reload_conf()")
        try:
            careless.append([an_entry("a")])
            ((written,),) = postgres.ask("SELECT pg_current_wal_insert_lsn()", postgres_url)
            assert [Outcome.UNCHANGED] == list(store.append([an_entry("a")]))
            flushed = f"SELECT pg_current_wal_flush_lsn() >= '{written}'::pg_lsn"
            assert [(True,)] == postgres.ask(flushed, postgres_url)
        finally:
            postgres.ask("ALTER SYSTEM RESET wal_writer_delay")
            postgres.ask("SELECT pg_reload_conf()")


def test_a_server_without_fsync_fails_the_check(store: PostgresStore) -> None:
    """The check asks the server itself, and tells its version and the schema's."""
    report = store.check()
    assert "fsync" in [check.name for check in report.checks]
    assert ("ok", "warning") == (report["fsync"].status, report["location"].status)
    store.append([an_entry()])
    assert ["ok"] * len(report.checks) == [
        c.status for c in store.check().checks[: len(report.checks)]
    ]
    assert "version 1" in store.check()["schema"].message


# ----------------------------------------------------------------------------------- secrets


def test_a_password_is_shown_nowhere(postgres_url: str, caplog: pytest.LogCaptureFixture) -> None:
    """Not by repr, errors and their causes, check, warnings, or the log, at any level."""
    wrong = postgres_url.replace(PASSWORD, f"{PASSWORD}-wrong")
    told: list[object] = []
    with caplog.at_level(logging.DEBUG), closing(PostgresStore(wrong)) as store:
        with pytest.raises(StoreUnavailableError) as caught:
            store.append([an_entry()])
        told += [caught.value, repr(caught.value), caught.value.__cause__, repr(store)]
        told.append(store.check())
    with closing(PostgresStore(postgres_url)) as store:
        told += [repr(store), repr(FeedbackStore(store)), store.check(deep=True)]
    assert [] == [text for text in map(str, told) if PASSWORD in text]
    assert PASSWORD not in caplog.text


def test_no_text_of_users_is_in_an_error(store: PostgresStore) -> None:
    """An error of the server about data is told by its name alone: its words may quote data."""
    store.append([an_entry()])
    with psycopg.connect(store._address.conninfo) as connection:
        with pytest.raises(psycopg.Error) as caught:
            connection.execute("SELECT 'secret words'::integer")
        assert "secret" in str(caught.value)
        assert "secret" not in str(in_words(caught.value, store._address))


# ------------------------------------------------------------------------------------ schema


def test_a_newer_schema_is_refused(postgres: PostgresServer, postgres_url: str) -> None:
    """What a newer version wrote is neither read nor changed."""
    with closing(PostgresStore(postgres_url)) as store:
        store.append([an_entry()])
    postgres.ask("UPDATE feedback_schema SET version = 99", postgres_url)
    with closing(PostgresStore(postgres_url)) as store:
        for call in (lambda: store.count(Query()), lambda: store.append([an_entry("b")])):
            with pytest.raises(StoreUnavailableError, match="newer version"):
                call()
        assert "newer version" in store.check()["readable"].message
    assert [(1,)] == postgres.ask("SELECT count(*) FROM feedback", postgres_url)


def test_many_make_the_schema_at_once(postgres_url: str) -> None:
    """Stores that meet at the first write all succeed, and there is one schema."""
    stores = [PostgresStore(postgres_url) for _ in range(6)]
    gate = threading.Barrier(len(stores))
    told: dict[int, object] = {}

    def add(number: int) -> None:
        gate.wait()
        told[number] = list(stores[number].append([an_entry(str(number))]))

    threads = [threading.Thread(target=add, args=(n,)) for n in range(len(stores))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [[Outcome.ADDED]] * len(stores) == list(told.values())
    assert [str(n) for n in range(len(stores))] == ids(stores[0])
    for store in stores:
        store.close()


def test_several_stores_share_a_database(postgres: PostgresServer, postgres_url: str) -> None:
    """Tables of other names, and in other schemas, are other stores."""
    postgres.ask('CREATE SCHEMA "Team"', postgres_url)
    options: list[dict[str, Any]] = [
        {},
        {"table": "order"},
        {"table": "Feedback"},
        {"schema": "Team"},
    ]
    for number, option in enumerate(options):
        with open_store(postgres_url, **option) as store:
            assert 0 == store.count()
            store.add(an_entry(str(number)))
            store.delete("absent")
            store.compact()
    for number, option in enumerate(options):
        with open_store(postgres_url, **option) as store:
            assert [str(number)] == [entry.id for entry in store.scan()]


def test_an_encoding_without_every_character_is_refused(postgres: PostgresServer) -> None:
    """A database in Latin-1 is refused at the first call, not at the first emoji."""
    url = postgres.new_database()
    postgres.drop(url)
    name = urlsplit(url).path[1:]
    options = "ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0"
    postgres.ask(f'CREATE DATABASE "{name}" {options}')
    store = PostgresStore(url)
    with pytest.raises(StoreUnavailableError, match="LATIN1"):
        store.append([an_entry()])
    store.close()
    postgres.drop(url)


# --------------------------------------------------------------------- waiting, and typed errors


def test_waiting_for_a_connection_ends(postgres_url: str) -> None:
    """Where all connections are in use, the error says so, and names the option."""
    with closing(PostgresStore(postgres_url, max_connections=1, lock_timeout_s=0.2)) as store:
        store.append([an_entry(f"{n:05}") for n in range(2000)])
        scan = store.scan(Query())
        next(scan)
        with pytest.raises(LockTimeoutError, match="max_connections"):
            store.count(Query())
        del scan
        assert 2000 == store.count(Query())


def test_a_dropped_scan_gives_its_connection_back(postgres_url: str) -> None:
    """However many scans are begun and dropped, there is a connection for the next call."""
    with closing(PostgresStore(postgres_url, max_connections=2, lock_timeout_s=5)) as store:
        store.append([an_entry(f"{n:05}") for n in range(2000)])
        for _ in range(10):
            assert "00000" == next(store.scan(Query())).id
        assert 2000 == store.count(Query())


def test_waiting_for_another_writer_ends(store: PostgresStore, postgres_url: str) -> None:
    """Whoever holds a row for too long is not waited for: a typed error, and nothing changed."""
    store.append([an_entry("a", rating=0)])
    with (
        closing(PostgresStore(postgres_url, lock_timeout_s=0.1)) as hasty,
        psycopg.connect(store._address.conninfo) as other,
    ):
        other.execute("SELECT 1 FROM feedback FOR UPDATE")
        with pytest.raises(LockTimeoutError):
            hasty.rewrite("a", lambda entry: attrs.evolve(entry, rating=1))
        other.rollback()
        assert [0] == [entry.rating for entry in hasty.scan(Query())]


def test_a_database_that_may_only_be_read_says_so(
    postgres: PostgresServer, postgres_url: str
) -> None:
    """Writing without the right to is StoreReadOnlyError, and reading goes on."""
    with closing(PostgresStore(postgres_url)) as store:
        store.append([an_entry("a")])
    name = f"reader_{urlsplit(postgres_url).path[-8:]}"
    postgres.ask(f"CREATE ROLE {name} LOGIN PASSWORD 'reading'", postgres_url)
    postgres.ask(f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {name}", postgres_url)
    url = postgres_url.replace(urlsplit(postgres_url).netloc.rpartition("@")[0], f"{name}:reading")
    try:
        with closing(PostgresStore(url)) as reader:
            with pytest.raises(StoreReadOnlyError, match="permission denied"):
                reader.append([an_entry("b")])
            assert ["a"] == ids(reader)
            assert "error" == reader.check()["write"].status
    finally:
        postgres.ask(f"DROP OWNED BY {name}", postgres_url)
        postgres.ask(f"DROP ROLE {name}", postgres_url)


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (psycopg.errors.DiskFull("no space left"), StoreFullError),
        (psycopg.errors.ReadOnlySqlTransaction("read-only"), StoreReadOnlyError),
        (psycopg.errors.LockNotAvailable("timeout"), LockTimeoutError),
        (psycopg.errors.DeadlockDetected("deadlock"), LockTimeoutError),
        (psycopg.errors.TooManyConnections("too many"), StoreUnavailableError),
        (psycopg.errors.InternalError_("bad page"), StoreUnavailableError),
    ],
    ids=lambda value: value.__name__ if isinstance(value, type) else type(value).__name__,
)
def test_errors_of_the_server_are_typed(
    store: PostgresStore, error: psycopg.Error, kind: type[Exception]
) -> None:
    """Each error that an operator can act upon has its own class, and says what to do."""
    made = in_words(error, store._address)
    assert (kind, store._address.shown) == (type(made), made.filename)
    assert "; " in str(made)


# ------------------------------------------------------------------------- scans, forks, versions


def test_a_scan_takes_constant_memory(store: PostgresStore) -> None:
    """A scan of ten times as much takes no more memory, and sees nothing of what is written."""
    answer = "x" * 2000
    store.append([an_entry(f"{n:05}", answer=answer) for n in range(12_000)])
    tracemalloc.start()
    try:
        seen = 0
        for entry in store.scan(Query()):
            seen += 1
            if seen == 100:
                store.append([an_entry("99999"), an_entry("00000x")])
            assert "x" not in entry.id
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert 12_000 == seen
    assert peak < 12_000_000, "half of the entries were in memory"


@needs_fork
def test_a_fork_in_the_middle_of_a_scan(store: PostgresStore) -> None:
    """Both sides go on with the scan as it was, on connections of their own, and both write."""
    store.append([an_entry(f"{n:05}") for n in range(3000)])
    scan = store.scan(Query())
    assert "00000" == next(scan).id

    def child() -> int:
        store.append([an_entry("child")])
        return len(list(scan))

    assert 2999 == in_child(child)
    store.append([an_entry("parent")])
    assert 2999 == len(list(scan))
    assert {"child", "parent"} < set(ids(store))


def test_a_closing_store_lets_its_scans_end(store: PostgresStore) -> None:
    """A scan that is under way when the store is closed yields the rest."""
    store.append([an_entry(f"{n:05}") for n in range(3000)])
    scan = store.scan(Query())
    next(scan)
    store.close()
    assert 2999 == len(list(scan))


def test_the_version_tells_of_changes_by_others(store: PostgresStore) -> None:
    """A change by SQL is seen too, and one that commits later than a younger one."""
    store.append([an_entry("a")])
    seen = [store.version()]
    with (
        psycopg.connect(store._address.conninfo) as slow,
        psycopg.connect(store._address.conninfo) as fast,
    ):
        slow.execute("DELETE FROM feedback WHERE id = 'none'")  # begins first
        fast.execute("UPDATE feedback SET rating = rating")
        fast.commit()
        seen.append(store.version())
        slow.execute("DELETE FROM feedback WHERE id = 'a'")
        slow.commit()
        seen.append(store.version())
        assert 3 == len(set(seen))
        fast.execute("TRUNCATE feedback")
        fast.commit()
        assert store.version() not in seen


# --------------------------------------------------------------------------- contents


def test_characters_that_a_column_cannot_hold_come_back(store: PostgresStore) -> None:
    """U+0000 and U+0001 in every place come back as they were, are found, and counted."""
    nasty = "a\x00b\x01c\x01\x01\\\t\n\r\"{},'%s\u2028"
    entry = FeedbackEntry(
        message_id=nasty, id=f"{nasty}!", question=nasty, answer=nasty, user_id=nasty,
        sources=[{"type": nasty}],
        metadata=Metadata(issues=[nasty], conversation_id=nasty, explanation=nasty),
    )  # fmt: skip
    for more in (0, 100):  # by INSERT, and by COPY
        store.erase([entry.id])
        store.append([entry, *(an_entry(f"{nasty}{n}") for n in range(more))])
        assert encode(entry) == encode(store.get(entry.id) or an_entry())
        queries = [
            Query(issues=[nasty]), Query(source_types=[nasty]), Query(user_id=nasty),
            Query(conversation_id=nasty), Query(message_id=nasty), Query(text=nasty),
            Query(match={"user_id": nasty}),
        ]  # fmt: skip
        assert [1] * len(queries) == [store.count(query) for query in queries]
        assert {nasty: 1} == dict(store.stats(Query()).by_issue)


def test_ids_are_ordered_by_their_characters(store: PostgresStore) -> None:
    """Also where a column holds a character as two."""
    given = ["a", "a\x00", "a\x00b", "a\x01", "a\x01\x01", "a\x02", "ab", "é", "\U0001f600"]
    store.append([an_entry(id) for id in reversed(given)])
    assert sorted(given) == ids(store)
    page = FeedbackStore(store).page(Query(order="oldest"), 3)
    rest = FeedbackStore(store).page(Query(order="oldest"), 9, cursor=page.next_cursor)
    assert sorted(given) == [entry.id for entry in (*page.entries, *rest.entries)]


def test_long_texts_are_taken_where_an_index_is_on_them(store: PostgresStore) -> None:
    """Only an id has a bound of its own, and one above it is refused before anything is written."""
    long = "".join(random.Random(1).choices(string.printable, k=20_000))
    entry = an_entry("a", message_id=long, user_id=long, metadata=Metadata(conversation_id=long))
    for more in (0, 100):  # by INSERT, and by COPY
        store.erase(["a"])
        store.append([entry, *(an_entry(f"{more}-{n}") for n in range(more))])
        found = [store.count(Query(**{k: long})) for k in ("message_id", "user_id")]  # type: ignore[arg-type]  # texts
        assert [1, 1] == found
        assert 1 == store.count(Query(conversation_id=long))
    store.append([an_entry(long[:2600])])
    with pytest.raises(InvalidEntryError, match="2600"):
        store.append([an_entry("b"), an_entry(long[:2601])])
    assert store.get("b") is None


def test_a_damaged_row_is_left_out_and_told(
    store: PostgresStore, caplog: pytest.LogCaptureFixture
) -> None:
    """Its neighbours are served, check counts it, and its place can be taken again."""
    store.append([an_entry(id) for id in ("a", "b", "c", "d", "e")])
    with psycopg.connect(store._address.conninfo) as connection:
        connection.execute("UPDATE feedback SET body = '{\"secret\": ' WHERE id = 'b'")
        connection.execute("UPDATE feedback SET rating = 0.25 WHERE id = 'd'")
        connection.execute(
            "UPDATE feedback SET body = replace(body, '\"e\"', '\"f\"') WHERE id = 'e'"
        )
    assert ["a", "c", "d", "f"] == ids(store)
    assert "secret" not in caplog.text
    assert "3 damaged rows" in store.check(deep=True)["damaged_rows"].message
    assert [Outcome.ADDED] * 2 == list(store.append([an_entry("b"), an_entry("e")]))
    assert ["a", "b", "c", "d", "e"] == ids(store)
    assert "2 damaged rows were set aside" in store.check()["quarantine"].message
    assert 2 == store.erase(["b", "e"])
    assert "quarantine" not in [check.name for check in store.check().checks]


def test_what_a_reader_holds_is_seen_until_it_ends(store: PostgresStore) -> None:
    """A lock that is waited for is released when the other ends, and nothing is lost."""
    store.append([an_entry("a", rating=0)])
    done: list[object] = []
    with psycopg.connect(store._address.conninfo) as other:
        other.execute("SELECT 1 FROM feedback FOR UPDATE")
        thread = threading.Thread(
            target=lambda: done.append(
                store.rewrite("a", lambda entry: attrs.evolve(entry, rating=1))
            )
        )
        thread.start()
        waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
        with psycopg.connect(store._address.conninfo, autocommit=True) as watcher:
            await_true(lambda: (watcher.execute(waiting).fetchone() or (0,))[0], "a waiting writer")
        assert [] == done
        other.rollback()
        thread.join()
    assert [1] == [entry.rating for entry in store.scan(Query())]


def test_the_schema_has_the_version_that_the_docs_name() -> None:
    """One migration so far: the page on the schema tells of version 1."""
    assert 1 == len(schema.MIGRATIONS)
