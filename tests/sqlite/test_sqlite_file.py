"""The database file: how it is made, told from others, brought up to date, and looked after."""

import errno
import logging
import os
import resource
import signal
import sqlite3
import stat
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import attrs
import pytest
from jsonl_harness import an_entry, in_child, needs_fork, outcome_of

from feedback_store import (
    LockTimeoutError,
    Outcome,
    Query,
    StoreFullError,
    StoreUnavailableError,
    encode,
    open_store,
)
from feedback_store.backends.sqlite import SqliteStore, folding, journal, schema
from feedback_store.report import Status
from feedback_store.stats import to_microseconds


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Return the path of a database in a folder that is not there yet."""
    return tmp_path / "data" / "feedback.db"


@pytest.fixture
def store(file: Path) -> Iterator[SqliteStore]:
    """Return a store with one entry."""
    with closing(SqliteStore(file, lock_timeout_s=0.2)) as store:
        store.append([an_entry("a", metadata=issues("wrong"))])
        yield store


def issues(*names: str) -> Any:  # noqa: ANN401  # what the field takes
    """Return metadata with these issues."""
    return attrs.evolve(an_entry().metadata, issues=names)


def ids(store: SqliteStore) -> list[str]:
    """Return the ids of all entries."""
    return [entry.id for entry in store.scan(Query())]


def pragma(file: Path, name: str) -> Any:  # noqa: ANN401  # any value
    """Ask SQLite, as somebody else."""
    with closing(sqlite3.connect(file)) as connection:
        return connection.execute(f"PRAGMA {name}").fetchone()[0]


# --------------------------------------------------------------------------------- the file


def test_urls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Three slashes for a relative path, four for an absolute one; the location is shown."""
    monkeypatch.chdir(tmp_path)
    for url, path in (
        ("sqlite:///f.db", tmp_path / "f.db"),
        (f"sqlite:///{tmp_path}/g.db", tmp_path / "g.db"),
    ):
        with open_store(url) as store:
            store.add(an_entry())
            assert f"FeedbackStore(SqliteStore('{path}'))" == repr(store)
            assert path.exists()
    for url in ("sqlite://", "sqlite:///:memory:"):
        with open_store(url) as store:
            store.add(an_entry())
            assert 1 == store.count()
    assert {"f.db", "g.db"} == {path.name for path in tmp_path.iterdir()}


def test_reading_makes_nothing(file: Path) -> None:
    """A place where nothing is reads as empty, and stays as it is."""
    with closing(SqliteStore(file)) as store:
        assert [] == ids(store)
        assert None is store.get("a")
        assert (0, 0) == (store.count(Query()), store.stats(Query()).total)
        assert 0 == store.erase(["a"])
        assert "absent" in store.version()
        assert Status.WARNING is store.check()["location"].status
    assert not file.parent.exists()


def test_modes_do_not_depend_on_the_umask(file: Path) -> None:
    """Those who share the folder can write, whoever made the files."""
    before = os.umask(0o077)
    try:
        with closing(SqliteStore(file)) as store:
            store.append([an_entry()])
            modes = {p.name: stat.S_IMODE(p.stat().st_mode) for p in file.parent.iterdir()}
    finally:
        os.umask(before)
    assert {"feedback.db": 0o664, "feedback.db-wal": 0o664, "feedback.db-shm": 0o664} == modes
    assert 0o775 == stat.S_IMODE(file.parent.stat().st_mode)


def test_the_file_says_whose_it_is(store: SqliteStore, file: Path) -> None:
    """Other programs can tell by the application id, and the version of the schema."""
    assert schema.APPLICATION_ID == pragma(file, "application_id")
    assert len(schema.MIGRATIONS) == pragma(file, "user_version")
    assert "wal" == pragma(file, "journal_mode")
    assert schema.PAGE_BYTES == pragma(file, "page_size")


def test_another_programs_database_is_refused(file: Path) -> None:
    """It is not changed in any way, neither by a read nor by a write."""
    file.parent.mkdir()
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("CREATE TABLE theirs (x)")
    before = file.read_bytes()
    with closing(SqliteStore(file)) as store:
        for call in (lambda: store.append([an_entry()]), lambda: ids(store), store.compact):
            with pytest.raises(StoreUnavailableError, match="another program's database"):
                call()
        assert not store.check().ok
    assert before == file.read_bytes()
    assert ["feedback.db"] == [path.name for path in file.parent.iterdir()]


def test_what_is_no_database_is_refused(file: Path) -> None:
    """A text file is told of, and not touched."""
    file.parent.mkdir()
    file.write_bytes(b"no database" * 1000)
    with closing(SqliteStore(file)) as store:
        with pytest.raises(StoreUnavailableError, match="no database"):
            store.append([an_entry()])
        assert not store.check().ok
    assert b"no database" * 1000 == file.read_bytes()


def test_a_newer_schema_is_refused(store: SqliteStore, file: Path) -> None:
    """Both reading and writing say which version it is; nothing is changed."""
    with closing(sqlite3.connect(file)) as connection:
        connection.execute(f"PRAGMA user_version = {len(schema.MIGRATIONS) + 1}")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    store.close()
    before = file.read_bytes()
    with closing(SqliteStore(file)) as newer:
        for call in (lambda: newer.append([an_entry("b")]), lambda: ids(newer), newer.compact):
            with pytest.raises(StoreUnavailableError, match="newer version of feedback_store"):
                call()
    assert before == file.read_bytes()


def test_an_older_schema_is_brought_up_to_date(
    store: SqliteStore, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By whoever comes first, a reader too; entries stay as they are."""
    store.close()
    steps = [*schema.MIGRATIONS, lambda c: c.execute("CREATE TABLE later (x)")]
    monkeypatch.setattr(schema, "MIGRATIONS", steps)
    with closing(SqliteStore(file)) as newer:
        assert ["a"] == ids(newer)
        assert len(steps) == pragma(file, "user_version")
        newer.append([an_entry("b")])
        assert ["a", "b"] == ids(newer)


def test_a_migration_that_fails_leaves_the_older_schema(
    store: SqliteStore, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each step is one transaction."""

    def broken(connection: sqlite3.Connection) -> None:
        connection.execute("CREATE TABLE later (x)")
        connection.execute("no SQL")

    store.close()
    known = schema.MIGRATIONS
    with monkeypatch.context() as patch:
        patch.setattr(schema, "MIGRATIONS", [*known, broken])
        with closing(SqliteStore(file)) as newer, pytest.raises(StoreUnavailableError):
            newer.append([an_entry("b")])
    assert len(known) == pragma(file, "user_version")
    with closing(SqliteStore(file)) as older:
        assert ["a"] == ids(older)


@pytest.mark.parametrize("content", [None, b""])
def test_a_maker_that_died_before_the_schema(file: Path, content: bytes | None) -> None:
    """A folder, or an empty file, is all that it may leave: it reads as empty, and is made."""
    file.parent.mkdir()
    if content is not None:
        file.write_bytes(content)
    with closing(SqliteStore(file)) as store:
        assert [] == ids(store)
        assert [Outcome.ADDED] == list(store.append([an_entry()]))


def test_a_file_that_is_gone_is_not_made_anew(store: SqliteStore, file: Path) -> None:
    """What lies at the path may be what is under a volume that is missing."""
    for path in file.parent.iterdir():
        path.unlink()
    for call in (lambda: store.append([an_entry("b")]), lambda: ids(store)):
        with pytest.raises(StoreUnavailableError, match="gone since the store was opened"):
            call()
    assert [] == list(file.parent.iterdir())


def test_a_backup_that_is_put_in_place_is_taken_up(store: SqliteStore, file: Path) -> None:
    """An open store goes on with the file that is at the path."""
    other = file.with_name("other.db")
    with closing(SqliteStore(other)) as backup:
        backup.append([an_entry("from the backup")])
    store.compact()
    version = store.version()
    for name in ("-wal", "-shm"):
        file.with_name(file.name + name).unlink(missing_ok=True)
    other.replace(file)
    assert ["from the backup"] == ids(store)
    assert version != store.version()
    store.append([an_entry("b")])
    assert ["b", "from the backup"] == sorted(ids(SqliteStore(file)))


# ------------------------------------------------------------------------------ the journal


@pytest.mark.parametrize("kind", ["nfs4", "virtiofs", "fuse.sshfs", "ext4"])
def test_the_journal_is_chosen_by_the_filesystem(
    file: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, kind: str
) -> None:
    """A log that shares memory gets damaged on network filesystems; one warning says why."""
    mode = "wal" if kind == "ext4" else "delete"
    monkeypatch.setattr(journal, "filesystem_of", lambda _: kind)
    caplog.set_level(logging.WARNING)
    with closing(SqliteStore(file)) as store:
        for id in "abc":
            store.append([an_entry(id)])
        assert mode == pragma(file, "journal_mode")
        with store._database.alone() as connection:
            level = connection.execute("PRAGMA synchronous").fetchone()[0]
    assert {"wal": 2, "delete": 3}[mode] == level
    assert (mode == "delete") == (kind in caplog.text)
    assert len(caplog.records) == (mode == "delete")


def test_a_log_on_a_network_filesystem_is_told_of(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`check` sees what an operator would not."""
    assert Status.OK is store.check()["journal"].status
    monkeypatch.setattr(journal, "filesystem_of", lambda _: "cifs")
    assert Status.ERROR is store.check()["journal"].status


def test_the_kind_of_a_filesystem(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The last mount over the longest beginning of the path counts."""
    mounts = tmp_path / "mountinfo"
    real = os.path.realpath(tmp_path)
    mounts.write_text(
        "1 0 8:1 / / rw - ext4 /dev/sda rw\n"
        f"2 1 0:9 / {real}/a\\040b rw,relatime shared:1 - 9p host rw\n"
        f"3 1 0:9 / {real}/c rw - nfs4 server rw\n4 3 0:9 / {real}/c rw - xfs /dev/sdb rw\n"
    )
    monkeypatch.setattr(journal, "_MOUNTS", str(mounts))
    found = [journal.filesystem_of(f"{real}/{name}") for name in ("a b/f.db", "c/f.db", "cc/f.db")]
    assert ["9p", "xfs", "ext4"] == found
    monkeypatch.setattr(journal, "_MOUNTS", str(tmp_path / "none"))
    assert "" == journal.filesystem_of("/")


def test_the_real_filesystem_is_known() -> None:
    """The system's own table is read."""
    if Path("/proc/self/mountinfo").exists():
        assert journal.filesystem_of("/")


# ----------------------------------------------------------------------- locks, limits, damage


def test_a_writer_that_holds_the_lock_is_waited_for(store: SqliteStore, file: Path) -> None:
    """After the timeout a typed error; nothing is stored, and readers are never kept waiting."""
    with closing(sqlite3.connect(file, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(LockTimeoutError):
            store.append([an_entry("b")])
        assert ["a"] == ids(store)
        other.execute("ROLLBACK")
    assert [Outcome.ADDED] == list(store.append([an_entry("b")]))


@needs_fork
def test_a_file_size_limit(file: Path) -> None:
    """A write that fails is a typed error; what was there is served, and writing works after it.

    SQLite does not pass on the system's reason here.
    """

    def limited() -> object:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        store = SqliteStore(file)
        store.append([an_entry("a")])
        size = file.with_name("feedback.db-wal").stat().st_size
        resource.setrlimit(resource.RLIMIT_FSIZE, (size + 4096, resource.RLIM_INFINITY))
        outcome = outcome_of(lambda: store.append([an_entry("b", answer="x" * 100_000)]))
        read = ids(store)
        no_limit = resource.RLIM_INFINITY
        resource.setrlimit(resource.RLIMIT_FSIZE, (no_limit, no_limit))
        return [outcome[0], read, outcome_of(lambda: store.append([an_entry("c")])), ids(store)]

    assert ["StoreUnavailableError", ["a"], ["ok"], ["a", "c"]] == in_child(limited)


def test_a_full_database(store: SqliteStore) -> None:
    """No space is a typed error; reading goes on, and writing does once there is space."""
    with store._database.alone() as connection:
        (pages,) = connection.execute("PRAGMA page_count").fetchone()
        connection.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(StoreFullError, match="free some space"):
        store.append([an_entry("b", answer="x" * 100_000)])
    assert ["a"] == ids(store)
    assert [Outcome.ADDED] == list(store.append([an_entry("b", answer="x" * 100_000)]))


def test_a_damaged_entry_takes_nobody_with_it(
    store: SqliteStore, file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """It is left out, told of, set aside when its place is needed, and erased with its id."""
    store.append([an_entry("b"), an_entry("c")])
    store.compact()  # so that labels and tallies know them
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("UPDATE entry SET body = '{\"b\": secret' WHERE id = 'b'")
        connection.commit()
    assert ["a", "c"] == ids(store)
    assert None is store.get("b")
    assert "secret" not in caplog.text
    assert "1 damaged rows: n = 2" in store.check()["damaged_rows"].message
    assert [Outcome.ADDED] == list(store.append([an_entry("b", answer="new")]))
    assert "1 damaged rows were set aside" == store.check()["quarantine"].message
    assert Status.OK is store.check(deep=True)["numbers"].status
    assert 3 == store.count(Query()) == store.stats(Query()).total
    store.erase(["b"])
    assert b"secret" not in b"".join(path.read_bytes() for path in file.parent.iterdir())


def test_wrong_numbers_are_found_and_made_anew(
    store: SqliteStore, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Labels and tallies hold nothing that the entries do not say."""
    monkeypatch.setattr(folding.fold, "__kwdefaults__", {"at_least": 1})
    store.append([an_entry("b", metadata=issues("wrong"), rating=1)])
    assert Status.OK is store.check(deep=True)["numbers"].status
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("UPDATE label SET class = 3 WHERE n = 1 AND name = 1")
        connection.commit()
    assert Status.OK is store.check()["numbers"].status, "the sums are right"
    assert Status.WARNING is store.check(deep=True)["numbers"].status
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("UPDATE tally SET total = total + 1")
        connection.commit()
    assert Status.WARNING is store.check()["numbers"].status
    store.compact()
    assert Status.OK is store.check(deep=True)["numbers"].status
    assert 2 == store.count(Query(issues=["wrong"]))


def test_numbers_of_any_size_add_up(store: SqliteStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Response times are summed exactly, however large."""
    monkeypatch.setattr(folding.fold, "__kwdefaults__", {"at_least": 1})
    times = [1e300, 0.1, 2**70]
    for i, seconds in enumerate(times):
        metadata = attrs.evolve(an_entry().metadata, response_time=seconds)
        store.append([an_entry(str(i), metadata=metadata)])
    derived = store.stats(Query(where=None))
    assert sum(to_microseconds(seconds) for seconds in times) == derived.response_time_total_us


def test_io_errors_keep_their_number(file: Path) -> None:
    """A folder that cannot be made says so with the system's error."""
    file.parent.write_bytes(b"a file")
    with closing(SqliteStore(file)) as store, pytest.raises(StoreUnavailableError) as caught:
        store.append([an_entry()])
    assert caught.value.errno in (errno.ENOTDIR, errno.EEXIST)


def test_entries_keep_their_bytes(store: SqliteStore, file: Path) -> None:
    """What is in the file is the codec's line."""
    with closing(sqlite3.connect(file)) as connection:
        (body,) = connection.execute("SELECT body FROM entry").fetchone()
    assert encode(an_entry("a", metadata=issues("wrong"))).decode() == body
