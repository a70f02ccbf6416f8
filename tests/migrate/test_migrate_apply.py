"""Adding, verifying, moving: every row is accounted for, in every kind of store, however often."""

import errno
import gzip
import json
import os
import shutil
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from datetime import timedelta, timezone
from pathlib import Path

import attrs
import fsspec
import pytest
from older import (
    BAD,
    ENTRIES,
    ROWS,
    SECRET,
    SUPERSEDED,
    TORN,
    a_month_row,
    a_row,
    by_id,
    counts,
    data_of,
    line,
    lines_of,
    write_lines,
    write_older_files,
)

from feedback_store import (
    FeedbackEntry,
    FeedbackStore,
    Outcome,
    Query,
    Store,
    StoreUnavailableError,
    decode,
)
from feedback_store.backends.jsonl import JsonlStore
from feedback_store.backends.memory import MemoryStore
from feedback_store.backends.objects import ObjectStore
from feedback_store.backends.sqlite import SqliteStore
from feedback_store.layers import CachedStore
from feedback_store.migrate import Move, Progress, Report, Rules, Step, apply, moving, plan
from feedback_store.testing import FiveVerbs

Opener = Callable[[Path], Store]

OPENERS: dict[str, Opener] = {
    "memory": lambda _: MemoryStore(),
    "month files": lambda place: JsonlStore(place / "months", durability="os"),
    "sqlite": lambda place: SqliteStore(place / "new.db", durability="os"),
    "five verbs only": lambda _: FiveVerbs(MemoryStore()),
    "objects": lambda place: ObjectStore(
        fsspec.filesystem("memory"), f"{place}/objects", unique_across_months=True
    ),
    "cached": lambda place: CachedStore(SqliteStore(place / "new.db", durability="os")),
}
every_store = pytest.mark.parametrize("kind", OPENERS)


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """Return a folder with older files: see `write_older_files`."""
    return write_older_files(tmp_path / "old")


def migrated(source: Path, store: Store | FeedbackStore, move: Move = Move.NONE) -> Report:
    """Plan and apply."""
    return apply(plan(source, target=store), store, move=move)


# -------------------------------------------------------------------------- rows of a service


@every_store
def test_real_rows_are_accounted_for(kind: str, real_rows: Path, tmp_path: Path) -> None:
    """Of a real service: 23 rows, 21 entries, one id that stands three times; twice the same."""
    source = Path(shutil.copytree(real_rows / "month_files", tmp_path / "real"))
    rows = [
        (json.loads(line)["message_id"], line)
        for name in ("feedback_20250217.jsonl", "feedback_20250218.jsonl", "feedback_2025-02.jsonl")
        for line in (source / name).read_bytes().splitlines()
    ]
    expected = {id: decode(line) for id, line in rows}
    with closing(OPENERS[kind](tmp_path)) as store:
        first = migrated(source, store)
        assert (21, 0, 0, 2, 0) == counts(first)
        assert (23, 21, True) == (first.rows, first.verified, first.complete)
        assert {"naive_time": 5, "contradicting_time": 5, "metadata_time": 18} == dict(
            first.assumed
        )
        assert ({"+01:00": 5}, {"2025-02": 21}) == (first.offsets, first.months)
        assert expected == by_id(store)
        before = lines_of(store)
        again = migrated(source, store)
        assert (0, 21, 0, 2, 0) == counts(again)
        assert (before, True) == (lines_of(store), again.complete)


def test_real_rows_in_the_zone_of_their_clock(real_rows: Path, tmp_path: Path) -> None:
    """With the zone that the report suggests, nothing contradicts."""
    source = Path(shutil.copytree(real_rows / "month_files", tmp_path / "real"))
    rules = Rules(assume_tz=timezone(timedelta(hours=1)))
    store = MemoryStore()
    report = apply(plan(source, rules=rules), store)
    assert {"naive_time": 5, "metadata_time": 18} == dict(report.assumed)
    for entry in by_id(store).values():
        told = decode(line({**a_row("x"), "timestamp": entry.metadata.extra["timestamp"]}))
        assert abs(entry.timestamp - told.timestamp) < timedelta(seconds=1)


# ---------------------------------------------------------------------------------- accounts


@every_store
def test_every_row_is_accounted_for(kind: str, old: Path, tmp_path: Path) -> None:
    """Of a folder with history and bad lines: by file; and a second run adds nothing."""
    with closing(OPENERS[kind](tmp_path)) as store:
        first = migrated(old, store)
        assert (7, 0, 0, SUPERSEDED, 2) == counts(first)
        assert (ROWS, 7, True, False) == (
            first.rows, first.verified, first.is_verified, first.complete,
        )  # fmt: skip
        assert BAD == {problem.where for problem in first.refused}
        assert [(2, 1, 1), (3, 1, 2), (5, 3, 0), (2, 2, 0)] == [
            (file.rows, file.added, file.superseded) for file in first.files
        ]
        assert all(file.accounted == file.rows for file in first.files)
        entries = by_id(store)
        assert ENTRIES == entries.keys()
        assert [1, 0, 18] == [
            entries["both"].rating, entries["d-1"].rating, entries["d-2"].timestamp.day,
        ]  # fmt: skip
        again = migrated(old, store)
        assert (0, 7, 0, SUPERSEDED, 2) == counts(again)
        assert (entries, True) == (by_id(store), again.is_verified)


@every_store
def test_conflicts_are_told_and_nothing_is_overwritten(
    kind: str, old: Path, tmp_path: Path
) -> None:
    """Other content, and another time, under an id; each by file, line and id."""
    with closing(OPENERS[kind](tmp_path)) as store:
        wanted = MemoryStore()
        migrated(old, wanted)
        there = by_id(wanted)
        moved = there["m-2"].timestamp + timedelta(hours=1)
        stands = [
            attrs.evolve(there["m-1"], answer="other"),
            attrs.evolve(there["m-2"], timestamp=moved),
            there["d-3"],
        ]
        store.append(stands)
        report = migrated(old, store, Move.CLEAN)
        assert (4, 1, 2, SUPERSEDED, 2) == counts(report)
        assert [("feedback_2025-02.jsonl:1", "m-1"), ("feedback_2025-02.jsonl:2", "m-2")] == [
            conflict[:2] for conflict in report.conflicts
        ]
        assert ["something else", "another time"] == [
            next(words for words in ("something else", "another time") if words in c.reason)
            for c in report.conflicts
        ]
        assert (5, True, False) == (report.verified, report.is_verified, report.complete)
        assert set(stands) <= set(by_id(store).values())


def test_what_the_store_refuses_is_told(old: Path) -> None:
    """An entry that is too large is told by file and line; the others of its batch arrive."""
    write_lines(old / "feedback_20250219.jsonl", a_row("large", answer="x" * 3000), a_row("small"))
    store = MemoryStore(max_entry_bytes=2000)
    report = migrated(old, store)
    assert (8, 3) == (report.added, len(report.refused))
    assert "feedback_20250219.jsonl:1" in {problem.where for problem in report.refused}
    assert (True, ENTRIES | {"small"}) == (report.is_verified, set(by_id(store)))


def test_nothing_of_a_row_is_told(old: Path) -> None:
    """Neither a report nor its parts hold what somebody wrote."""
    store = MemoryStore()
    made = plan(old)
    report = apply(made, store)
    assert SECRET not in json.dumps(report.as_json()) + repr(report) + repr(made)
    assert by_id(store)["d-1"].question.startswith(SECRET)


def test_progress_is_told(old: Path) -> None:
    """After each batch, with how many there will be."""
    told: list[Progress] = []
    apply(plan(old), MemoryStore(), progress=told.append, batch_size=2, move=Move.NONE)
    adding = [progress for progress in told if progress.step is Step.ADDING]
    assert [1, 2, 4, 5, 7] == [progress.done for progress in adding]
    assert {7} == {progress.total for progress in told}
    assert 7 == [progress.done for progress in told if progress.step is Step.VERIFYING][-1]


@pytest.mark.parametrize("size", [0, -1])
def test_a_batch_has_a_size(size: int, old: Path) -> None:
    """Below 1 is wrong use, before anything is written."""
    store = MemoryStore()
    with pytest.raises(ValueError, match="batch_size"):
        apply(plan(old), store, batch_size=size)
    assert {} == by_id(store)


# ------------------------------------------------------------------------------ verification


class Forgetful(MemoryStore):
    """A store that acknowledges what it does not keep."""

    def append(self, entries: Sequence[FeedbackEntry]) -> Sequence[Outcome]:
        """Keep all but one entry."""
        super().append([entry for entry in entries if entry.id != "d-3"])
        return [Outcome.ADDED] * len(entries)


class Changing(MemoryStore):
    """A store that keeps something else than it was given."""

    def append(self, entries: Sequence[FeedbackEntry]) -> Sequence[Outcome]:
        """Keep one entry with another answer."""
        return super().append(
            [attrs.evolve(e, answer="other") if e.id == "d-3" else e for e in entries]
        )


@pytest.mark.parametrize("kind", [Forgetful, Changing])
def test_what_is_claimed_to_be_there_is_read(kind: type[MemoryStore], old: Path) -> None:
    """Counts alone would be right: the entry itself is missed, by file and line; nothing moves."""
    before = data_of(old)
    report = migrated(old, kind(), Move.ALL)
    assert ["feedback_20250218.jsonl:1"] == [problem.where for problem in report.unverified]
    assert (6, False, False) == (report.verified, report.is_verified, report.complete)
    assert (before, False) == (data_of(old), (old / "legacy_backup").exists())
    assert {"not all is verified"} == {file.stays for file in report.files}


def test_a_source_that_changes_is_noticed(old: Path) -> None:
    """Somebody still writes to it: nothing moves, and the next run takes what was written."""

    class Written(MemoryStore):
        def append(self, entries: Sequence[FeedbackEntry]) -> Sequence[Outcome]:
            with (old / "feedback_2025-02.jsonl").open("ab") as file:
                file.write(line(a_month_row("late")))
            return super().append(entries)

    with pytest.raises(StoreUnavailableError, match="changed since it was planned"):
        migrated(old, Written(), Move.ALL)
    assert not (old / "legacy_backup").exists()
    store = MemoryStore()
    assert 8 == migrated(old, store, Move.ALL).added


# ------------------------------------------------------------------------------------ moving


def test_nothing_moves_unless_told(tmp_path: Path) -> None:
    """Then it does once all is verified, and the next plan names what has moved."""
    write_lines(tmp_path / "feedback_20250217.jsonl", a_row("a"))
    before = data_of(tmp_path)
    report = apply(plan(tmp_path), MemoryStore())
    assert (None, "") == (report.files[0].moved_to, report.files[0].stays)
    assert before == data_of(tmp_path)
    report = apply(plan(tmp_path), MemoryStore(), move=Move.CLEAN)
    assert "legacy_backup/feedback_20250217.jsonl" == report.files[0].moved_to
    assert ({}, before) == (
        data_of(tmp_path),
        {n: d for n, d in data_of(tmp_path / "legacy_backup").items() if n != "migration.json"},
    )
    again = plan(tmp_path).report
    assert ((), ("feedback_20250217.jsonl", "migration.json")) == (again.files, again.backed_up)


def test_a_single_file_moves_when_it_is_told_to(tmp_path: Path) -> None:
    """Into the folder beside it."""
    path = write_lines(tmp_path / "feedback_20250217.jsonl", a_row("a"))
    assert apply(plan(path), MemoryStore(), move=Move.CLEAN).files[0].moved_to
    assert (tmp_path / "legacy_backup" / path.name).is_file()
    assert not path.exists()


def test_files_with_problems_stay_and_so_do_newer_ones(old: Path) -> None:
    """So the next run tells them again; were the newer ones gone, it would see conflicts."""
    store = MemoryStore()
    first = migrated(old, store, Move.CLEAN)
    assert [True, True, False, False] == [bool(file.moved_to) for file in first.files]
    assert "refused" in first.files[2].stays
    assert "newer" in first.files[3].stays
    again = migrated(old, store, Move.CLEAN)
    assert (0, 5, 0, 0, 2) == counts(again)
    mended = (old / "feedback_20250218.jsonl").read_bytes().replace(TORN + b"\n", b"")
    write_lines(old / "feedback_20250218.jsonl", mended.replace(b"[1, 2]\n", line(a_row("mended"))))
    last = migrated(old, store, Move.CLEAN)
    assert (1, 5, 0, 0, 0) == counts(last)
    assert {} == data_of(old)
    assert {
        "feedback.jsonl", "feedback_20250217.jsonl", "feedback_20250218.jsonl",
        "feedback_2025-02.jsonl", "migration.json", "migration.json.1",
    } == data_of(old / "legacy_backup").keys()  # fmt: skip


def test_an_account_is_kept_beside_moved_files(old: Path) -> None:
    """With all files moved, their bad lines are told there, as in the report."""
    report = migrated(old, MemoryStore(), Move.ALL)
    assert "legacy_backup/migration.json" == report.account
    account = json.loads((old / "legacy_backup" / "migration.json").read_bytes())
    assert report.as_json() == account
    assert BAD == {item["where"] for file in account["files"] for item in file["refused"]}


def test_nothing_is_ever_overwritten(tmp_path: Path) -> None:
    """Names that are taken in the folder of moved files are left alone: the next number is."""
    backup = tmp_path / "legacy_backup"
    for number in range(3):
        write_lines(tmp_path / "feedback_20250217.jsonl", a_row(f"a-{number}"))
        if number == 1:
            (backup / "feedback_20250217.jsonl.1").write_bytes(b"not ours")
        report = apply(plan(tmp_path), MemoryStore(), move=Move.CLEAN)
        place = ["", ".2", ".3"][number]
        assert f"legacy_backup/feedback_20250217.jsonl{place}" == report.files[0].moved_to
    assert b"not ours" == (backup / "feedback_20250217.jsonl.1").read_bytes()
    kept = [backup / f"feedback_20250217.jsonl{place}" for place in ("", ".2", ".3")]
    assert ["a-0", "a-1", "a-2"] == [json.loads(p.read_bytes())["message_id"] for p in kept]


@pytest.mark.parametrize("error", [errno.EPERM, errno.EOPNOTSUPP])
def test_files_move_where_there_are_no_links(
    error: int, old: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On such a filesystem a name is taken by an empty file first, and nothing is overwritten."""

    def link(*_: object) -> None:
        raise OSError(error, "no links here")

    monkeypatch.setattr("os.link", link)
    (old / "legacy_backup").mkdir()
    (old / "legacy_backup" / "feedback.jsonl").write_bytes(b"not ours")
    before = data_of(old)
    report = migrated(old, MemoryStore(), Move.ALL)
    assert ("", "legacy_backup/feedback.jsonl.1") == (report.problem, report.files[0].moved_to)
    after = data_of(old / "legacy_backup")
    assert b"not ours" == after.pop("feedback.jsonl")
    assert sorted(before.values()) == sorted(d for n, d in after.items() if n != "migration.json")
    assert {} == data_of(old)


def test_what_cannot_be_moved_stays(old: Path) -> None:
    """A folder that cannot be made is told; the entries are there all the same."""
    (old / "legacy_backup").write_bytes(b"a file")
    store = MemoryStore()
    report = migrated(old, store, Move.ALL)
    assert "could be moved" in report.problem
    assert (True, False, ENTRIES) == (report.is_verified, report.complete, set(by_id(store)))
    assert 5 == len(data_of(old))


def test_links_stay(tmp_path: Path) -> None:
    """A link in the folder is read, and neither it nor its file is moved."""
    write_lines(tmp_path / "there" / "x.jsonl", a_row("a"))
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "feedback.jsonl").symlink_to(tmp_path / "there" / "x.jsonl")
    report = migrated(tmp_path / "old", MemoryStore(), Move.ALL)
    assert (1, "it is a link to a file elsewhere") == (report.added, report.files[0].stays)
    assert (tmp_path / "old" / "feedback.jsonl").is_symlink()


def test_what_a_killed_run_left_of_a_database_is_removed(tmp_path: Path) -> None:
    """The database went and its log did not: the log has two names, and loses the old one."""
    folder = tmp_path / "old"
    backup = folder / "legacy_backup"
    write_lines(backup / "x.db-wal", b"log")
    os.link(backup / "x.db-wal", folder / "x.db-wal")
    write_lines(folder / "y.db-wal", b"of somebody else")
    write_lines(folder / "feedback.jsonl", a_row("a"))
    migrated(folder, MemoryStore(), Move.ALL)
    assert {"y.db-wal"} == data_of(folder).keys()
    assert b"log" == (backup / "x.db-wal").read_bytes()


# ------------------------------------------------------------------------- the same folder


def test_month_files_of_the_target_are_in_place(old: Path) -> None:
    """A store in the folder of the source reads them where they lie: they never move."""
    month = (old / "feedback_2025-02.jsonl").read_bytes()
    with closing(JsonlStore(old)) as store:
        report = migrated(old, store, Move.ALL)
        assert (5, 2, 0, SUPERSEDED, 2) == counts(report)
        assert (7, True) == (report.verified, report.is_verified)
        assert [False, False, False, True] == [file.in_place for file in report.files]
        assert {"feedback_2025-02.jsonl"} == data_of(old).keys()
        assert (old / "feedback_2025-02.jsonl").read_bytes().startswith(month)
        assert ENTRIES == by_id(store).keys()
        again = migrated(old, store, Move.ALL)
        assert (0, 7, 0, 0, 0) == counts(again)
        assert again.complete
        assert 4 == len(again.backed_up)  # three files, and the account


def test_sealed_months_of_the_target_are_in_place(old: Path) -> None:
    """A compressed month is a part of the store as well; so are its damaged lines."""
    sealed = line(a_month_row("z")) + TORN + b"\n"
    (old / "feedback_2025-01.jsonl.gz").write_bytes(gzip.compress(sealed))
    with closing(JsonlStore(old)) as store:
        report = migrated(old, store, Move.ALL)
        assert {"feedback_2025-01.jsonl.gz", "feedback_2025-02.jsonl"} == data_of(old).keys()
        assert "feedback_2025-01.jsonl.gz:2" in {problem.where for problem in report.refused}
        assert (8, ENTRIES | {"z"}) == (report.verified, set(by_id(store)))


def test_a_month_file_of_the_target_that_says_otherwise_is_a_conflict(old: Path) -> None:
    """A day file after it, with another entry under its id, does not overwrite it."""
    write_lines(old / "feedback_20250301.jsonl", a_row("m-1", answer="other"))
    with closing(JsonlStore(old)) as store:
        report = migrated(old, store, Move.CLEAN)
        assert ["m-1"] == [conflict.id for conflict in report.conflicts]
        assert "Answer m-1." == by_id(store)["m-1"].answer
        assert (old / "feedback_20250301.jsonl").exists()


def test_a_store_that_the_plan_does_not_know_of_is_refused(old: Path) -> None:
    """Its month files would move away as if they were only a source."""
    with closing(JsonlStore(old)) as store, pytest.raises(ValueError, match="target=store"):
        apply(plan(old), store, move=Move.ALL)
    assert (old / "feedback_2025-02.jsonl").exists()


def test_month_files_of_another_store_stay(tmp_path: Path) -> None:
    """A folder that is a store of this library keeps its months, whatever the target."""
    with closing(JsonlStore(tmp_path / "old")) as store:
        store.append([decode(line(a_month_row("a")))])
    write_lines(tmp_path / "old" / "feedback_20250101.jsonl", a_row("b"))
    target = MemoryStore()
    report = migrated(tmp_path / "old", target, Move.ALL)
    assert {"a", "b"} == by_id(target).keys()
    assert "belongs to the store" in report.files[1].stays
    with closing(JsonlStore(tmp_path / "old")) as store:
        assert ["a"] == [entry.id for entry in store.scan(Query())]


def test_a_database_in_the_folder_is_the_target(old: Path) -> None:
    """A SQLite store beside the files is not taken for one of them, in either run."""
    with closing(SqliteStore(old / "feedback.db")) as store:
        assert 7 == migrated(old, store, Move.NONE).added
        again = migrated(old, store, Move.ALL)
        assert (7, [("feedback.db", "it is the target")]) == (
            again.unchanged, list(again.passed_over),
        )  # fmt: skip
    with closing(sqlite3.connect(old / "feedback.db")) as connection:
        assert (7,) == connection.execute("SELECT count(*) FROM entry").fetchone()


def test_two_migrations_at_once_come_to_one_end(old: Path, tmp_path: Path) -> None:
    """Whoever is second finds the entries there, and the files gone or with their new names."""
    before = data_of(old)
    with closing(SqliteStore(tmp_path / "new.db")) as store:
        first, second = plan(old, target=store), plan(old, target=store)
        apply(first, store, move=Move.NONE)
        groups = moving._made(old)
        for name in before:  # as far as another run came
            os.link(old / name, groups / name)
        report = apply(second, store, move=Move.ALL)
        assert (0, 7, True) == (report.added, report.unchanged, report.is_verified)
        assert [f"legacy_backup/{name}" for name in sorted(before)] == sorted(
            str(file.moved_to) for file in report.files
        )
        assert ENTRIES == by_id(store).keys()
    shutil.rmtree(old)
