"""The command `migrate`: what it says, what it does, and how it ends."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from older import (
    BAD,
    ENTRIES,
    SECRET,
    a_month_row,
    a_row,
    by_id,
    data_of,
    line,
    write_database,
    write_lines,
    write_older_files,
)

from feedback_store import FeedbackEntry, StoreUnavailableError, open_store
from feedback_store.backends.sqlite import SqliteStore
from feedback_store.cli.program import program
from feedback_store.mapping import Assumption
from feedback_store.migrate import FileReport, Kind, Report, wording

Invoke = Callable[..., Result]


@pytest.fixture
def invoke(monkeypatch: pytest.MonkeyPatch) -> Invoke:
    """Run a command in this process."""
    monkeypatch.delenv("FEEDBACK_STORE_URL", raising=False)

    def run(*args: object) -> Result:
        result = CliRunner().invoke(program, [str(arg) for arg in args])
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    return run


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """Return a folder with older files: see `write_older_files`."""
    return write_older_files(tmp_path / "old")


@pytest.fixture
def clean(tmp_path: Path) -> Path:
    """Return a folder with older files in which nothing is damaged."""
    rows = [a_row("a"), a_row("b"), a_row("a", rating=0)]
    write_lines(tmp_path / "clean" / "feedback_20250217.jsonl", *rows)
    write_lines(tmp_path / "clean" / "feedback_2025-02.jsonl", a_month_row("m"))
    return tmp_path / "clean"


def entries(url: str) -> dict[str, FeedbackEntry]:
    """Return what a store holds, by id."""
    with open_store(url) as store:
        return by_id(store.store)


def test_a_dry_run_tells_everything_and_writes_nothing(
    invoke: Invoke, clean: Path, tmp_path: Path
) -> None:
    """What was recognised, what it will become, and what will be assumed."""
    before = data_of(clean)
    result = invoke("migrate", clean, f"sqlite:///{tmp_path}/x.db", "--dry-run")
    assert (0, "") == (result.exit_code, result.stderr)
    assert [
        f"{clean}: 4 rows: 3 entries, 1 superseded, 0 refused; nothing was written",
        "entries by month: 2025-02: 3",
        "assumed: 1 times without a zone were taken to be in UTC",
        "assumed: 1 of those contradict the time in their metadata",
        "assumed: 3 have no time but the one in their metadata",
        "1 of these times look as if the clock stood at UTC+01:00: --assume-tz +01:00",
        "feedback_20250217.jsonl (day file): 3 rows, 2 entries, 1 superseded",
        "feedback_2025-02.jsonl (month file): 1 rows, 1 entries",
    ] == result.stdout.splitlines()
    assert (before, {"clean"}) == (data_of(clean), {path.name for path in tmp_path.iterdir()})


@pytest.mark.parametrize("url", ["sqlite:///{}/x.db", "jsonl:///{}/new", "file://{}/objects"])
def test_a_folder_is_migrated(invoke: Invoke, clean: Path, tmp_path: Path, url: str) -> None:
    """Every row is accounted for, the files move, and again there is nothing to do."""
    target = url.format(tmp_path)
    result = invoke("migrate", clean, target)
    assert (0, "") == (result.exit_code, result.stderr)
    first = "4 rows: 3 added, 0 unchanged, 0 conflicting, 1 superseded, 0 refused"
    assert f"{clean}: {first}; 3 entries verified" == result.stdout.splitlines()[0]
    assert "moved to legacy_backup/feedback_2025-02.jsonl" in result.stdout
    assert "this report is kept in legacy_backup/migration.json" in result.stdout
    assert {"a", "b", "m"} == entries(target).keys()
    assert {} == data_of(clean)
    result = invoke("migrate", clean, target)
    assert (0, "") == (result.exit_code, result.stderr)
    assert "legacy_backup/ holds from earlier runs: feedback_2025-02.jsonl" in result.stdout


def test_problems_are_told_by_file_and_line(invoke: Invoke, old: Path, tmp_path: Path) -> None:
    """On standard error, one a line; the exit code is 1, and nothing of a row is shown."""
    target = f"sqlite:///{tmp_path}/x.db"
    result = invoke("migrate", old, target)
    assert 1 == result.exit_code
    told = re.findall(r"^Error: (\S+): refused: ", result.stderr, re.MULTILINE)
    assert sorted(BAD) == sorted(told)
    assert SECRET not in result.output
    assert ENTRIES == entries(target).keys()
    assert "stays: some of its rows were refused" in result.stdout
    result = invoke("migrate", old, target, "--move", "all")
    assert (1, {}) == (result.exit_code, data_of(old))


def test_conflicts_are_told(invoke: Invoke, clean: Path, tmp_path: Path) -> None:
    """With the id; what stands there stays."""
    target = f"sqlite:///{tmp_path}/x.db"
    with open_store(target) as store:
        store.add(FeedbackEntry(message_id="b", question="?", answer="other"))
    result = invoke("migrate", clean, target)
    assert (1, "other") == (result.exit_code, entries(target)["b"].answer)
    assert (
        "Error: feedback_20250217.jsonl:2: conflict: 'b': something else stands under its id\n"
        == result.stderr
    )


def test_json_is_the_report(invoke: Invoke, old: Path, tmp_path: Path) -> None:
    """The totals, every file, every problem; the same counts as in words."""
    result = invoke("migrate", old, f"sqlite:///{tmp_path}/x.db", "--json", "--keep-sources")
    told = json.loads(result.stdout)
    assert (12, 7, 7, 3, 2) == tuple(
        told[key] for key in ("rows", "entries", "added", "superseded", "refused")
    )
    assert (True, True, False) == (told["applied"], told["verified"], told["complete"])
    assert BAD == {item["where"] for file in told["files"] for item in file["refused"]}
    assert [None] * 4 == [file["moved_to"] for file in told["files"]]
    assert 4 == len(data_of(old))


def test_options_say_how_rows_are_understood(invoke: Invoke, tmp_path: Path) -> None:
    """Zone, scale, tags and table."""
    script = "CREATE TABLE a (id, question, answer, rating, timestamp, feedback_tags);"
    row = ("1", "q", "a", 4, "2025-02-17T12:00:00", None)
    second = f"{script} {script.replace('TABLE a', 'TABLE b')}"
    write_database(tmp_path / "x.db", f"{second} INSERT INTO b VALUES (?, ?, ?, ?, ?, ?)", row)
    votes = [
        {"vote_id": n, "user_query": "q", "bot_response": "a", "feedback_tags": [tag]}
        for n, tag in enumerate(("Fine", "looks good / accurate & clear", "Bad"))
    ]
    write_lines(tmp_path / "votes.jsonl", *votes)
    url = f"jsonl:///{tmp_path}/new"
    options = ("--scale", "stars", "--assume-tz", "+01:00", "--positive-tag", "fine")
    assert 1 == invoke("migrate", tmp_path / "x.db", url, *options).exit_code
    assert 0 == invoke("migrate", tmp_path / "x.db", url, *options, "--table", "b").exit_code
    assert 0 == invoke("migrate", tmp_path / "votes.jsonl", url, *options).exit_code
    found = entries(url)
    assert (0.75, "2025-02-17T11:00:00+00:00") == (
        found["1"].rating, found["1"].timestamp.isoformat(),
    )  # fmt: skip
    assert [1, 1, 0] == [found[f"votes-{n}"].rating for n in range(3)]
    assert (tmp_path / "x.db").exists()


def test_a_folder_is_migrated_into_itself(invoke: Invoke, clean: Path) -> None:
    """Month files are the store already, and the day files come in."""
    result = invoke("migrate", clean, clean)
    assert (0, "") == (result.exit_code, result.stderr)
    assert "feedback_2025-02.jsonl (month file): 1 rows, 1 unchanged; stays" in result.stdout
    assert {"feedback_2025-02.jsonl"} == data_of(clean).keys()
    assert {"a", "b", "m"} == entries(str(clean)).keys()


@pytest.mark.parametrize(
    ("args", "code", "message"),
    [
        (("empty",), 1, "there is nothing to migrate"),
        (("nowhere",), 1, "nothing is there to migrate"),
        (("clean", "--keep-sources", "--move", "all"), 2, "contradict"),
        (("clean", "--scale", "seven"), 2, "seven"),
        (("clean", "--assume-tz", "Nowhere"), 2, "time zone"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, tuple) else None,
)
def test_wrong_use_and_nothing_to_do(
    invoke: Invoke, clean: Path, tmp_path: Path, args: tuple[str, ...], code: int, message: str
) -> None:
    """Each is told in one line, and no store is made for it."""
    (tmp_path / "empty").mkdir()
    result = invoke("migrate", tmp_path / args[0], tmp_path / "new", *args[1:])
    assert code == result.exit_code
    (told,) = result.stderr.splitlines()
    assert message in told
    assert not (tmp_path / "new").exists()
    assert 2 == len(data_of(clean))


def test_a_migration_that_is_cut_short_says_so(
    invoke: Invoke, clean: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What failed is told, that nothing is lost by it too, and the same command goes on."""

    def fail(*_: object) -> None:
        msg = "the disk is gone"
        raise StoreUnavailableError(msg)

    target = f"sqlite:///{tmp_path}/x.db"
    with monkeypatch.context() as patched:
        patched.setattr(SqliteStore, "append", fail)
        result = invoke("migrate", clean, target)
    assert 1 == result.exit_code
    assert [
        "Cut short. The same command goes on from there.", "Error: the disk is gone",
    ] == result.stderr.splitlines()  # fmt: skip
    assert 2 == len(data_of(clean))
    assert 0 == invoke("migrate", clean, target).exit_code


def test_a_bar_is_shown_on_a_terminal(tmp_path: Path) -> None:
    """And nowhere else: standard output is the same."""
    import pty  # noqa: PLC0415  # not on every system

    rows = b"".join(line(a_row(f"a-{n}")) for n in range(3000))
    write_lines(tmp_path / "feedback_20250217.jsonl", rows)
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "feedback_store", "migrate", str(tmp_path), "mem://"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "TERM": "xterm"}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=theirs, env=environment
    ) as process:
        os.close(theirs)
        shown = b""
        try:
            while piece := os.read(ours, 4096):
                shown += piece
        except OSError:  # the other side is closed
            pass
        assert process.stdout is not None
        told = process.stdout.read()
    os.close(ours)
    assert 0 == process.returncode
    assert b"3000 rows: 3000 added" in told
    assert b"verifying" in shown
    assert b"\x1b" not in told


def test_every_assumption_has_words() -> None:
    """A report says each of them, with how often it was made."""
    file = FileReport(name="x", kind=Kind.OTHER, assumed={str(a): 3 for a in Assumption})
    lines = list(wording.worded(Report(source="x", files=(file,), zone="UTC+01:00")))
    assert len(Assumption) == len([text for text in lines if text.startswith("assumed: 3 ")])
    assert "taken to be in UTC+01:00" in "\n".join(lines)
