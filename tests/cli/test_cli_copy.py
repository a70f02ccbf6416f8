"""The command that moves entries between stores: copy."""

import contextlib
import itertools
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import Result
from test_cli_process import on_terminal

from feedback_store import (
    FeedbackEntry,
    FeedbackStore,
    Outcome,
    StoreUnavailableError,
    encode,
    open_store,
)

Invoke = Callable[..., Result]
Run = Callable[..., subprocess.CompletedProcess[bytes]]

# Where entries are copied to and from, below a folder: one line for every kind of store that stays.
URLS = ["jsonl:///{}", "sqlite:///{}"]

NOON = datetime(2025, 10, 5, 12, tzinfo=UTC)
SECRET = "secret of a person"
MANY = 12_000
SOME_BYTES = 400_000  # of about 3,000,000


def an_entry(number: int = 0, **fields: object) -> FeedbackEntry:
    """Return the entry of that number; some hours later than the one before it."""
    given = {
        "message_id": f"m-{number}",
        "question": SECRET,
        "answer": "!",
        "timestamp": NOON + timedelta(hours=number),
    }
    return FeedbackEntry(**{**given, **fields})  # type: ignore[arg-type]  # any field's value


def lines(location: str | Path) -> list[bytes]:
    """Return all that a store holds, as encoded lines, oldest first."""
    with open_store(location) as store:
        return [encode(entry) for entry in store.scan()]


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Return a folder of month files with four entries."""
    with open_store(tmp_path / "source") as store:
        store.add_many(map(an_entry, range(4)))
    return tmp_path / "source"


def test_entries_are_copied(invoke: Invoke, store: FeedbackStore, source: Path) -> None:
    """Every entry arrives exactly, the counts are told, and again nothing changes."""
    result = invoke("copy", source)
    expected = "4 read, 4 added, 0 unchanged, 0 conflicting, 0 refused\n"
    assert (0, expected, "") == (result.exit_code, result.stdout, result.stderr)
    assert lines(source) == [encode(entry) for entry in store.scan()]
    result = invoke("copy", source, "kept://", "--json")
    counts = {"read": 4, "added": 0, "unchanged": 4, "conflicting": 0, "refused": 0}
    assert (0, counts) == (result.exit_code, json.loads(result.stdout))


def test_only_what_matches_is_copied(invoke: Invoke, store: FeedbackStore, source: Path) -> None:
    """The filters of a query choose; that none matches is no problem."""
    assert 0 == invoke("copy", source, "--since", "2025-10-05T14:00Z").exit_code
    assert ["m-2", "m-3"] == [entry.id for entry in store.scan()]
    result = invoke("copy", source, "--since", "2026-01-01")
    assert (0, "0 read", "") == (result.exit_code, result.stdout[:6], result.stderr)


def test_conflicts_are_told_by_their_id(invoke: Invoke, store: FeedbackStore, source: Path) -> None:
    """Other content and another time under an id are told, and what is there stays."""
    there = [an_entry(0, answer="other"), an_entry(2, timestamp=NOON)]
    store.add_many(there)
    result = invoke("copy", source)
    expected = "4 read, 2 added, 0 unchanged, 2 conflicting, 0 refused\n"
    assert (1, expected) == (result.exit_code, result.stdout)
    assert [
        f"Error: conflict: something else stands under the id '{entry.id}'" for entry in there
    ] == result.stderr.splitlines()
    assert there == [store.get(entry.id) for entry in there]
    assert SECRET not in result.output


def test_what_the_target_refuses_is_told(
    invoke: Invoke, store: FeedbackStore, source: Path
) -> None:
    """An entry that is too large is told with its id and the reason; the others arrive."""
    with open_store(source, max_entry_bytes=2_000_000) as origin:
        origin.add(an_entry(1, id="huge", answer=SECRET * 70_000))
    result = invoke("copy", source)
    expected = "5 read, 4 added, 0 unchanged, 0 conflicting, 1 refused\n"
    assert (1, expected) == (result.exit_code, result.stdout)
    assert result.stderr.startswith(
        "Error: refused: the entry with the id 'huge': the entry takes 1"
    )
    assert SECRET not in result.output


def test_problems_are_told_once(invoke: Invoke, store: FeedbackStore, tmp_path: Path) -> None:
    """With many batches, each conflict is told when it comes, and no second time."""
    with open_store(tmp_path / "s") as origin:
        origin.add_many(map(an_entry, range(2500)))
    store.add_many(an_entry(number, answer="other") for number in range(0, 2500, 500))
    result = invoke("copy", tmp_path / "s")
    assert [f"'m-{number}'" for number in range(0, 2500, 500)] == re.findall(
        "the id ('.*')", result.stderr
    )


@pytest.mark.parametrize("name", ["nowhere", "empty"])
def test_an_empty_source_is_a_problem(invoke: Invoke, tmp_path: Path, name: str) -> None:
    """Where nothing is, that is told, and no empty copy is made."""
    (tmp_path / "empty").mkdir()
    result = invoke("copy", tmp_path / name, tmp_path / "target")
    expected = (
        f"Error: there is nothing to copy: {tmp_path / name} does not exist, or holds no entries\n"
    )
    assert (1, expected) == (result.exit_code, result.stderr)
    assert {"empty"} == {path.name for path in tmp_path.iterdir()}


def test_a_store_is_not_copied_onto_itself(invoke: Invoke, source: Path) -> None:
    """The same store under another name is wrong use."""
    result = invoke("copy", source, f"jsonl:///{source}/../source")
    expected = "Error: SOURCE and STORE are the same store. See 'feedback-store copy --help'.\n"
    assert (2, expected) == (result.exit_code, result.stderr)


def test_the_options_reach_their_stores(
    invoke: Invoke, store: FeedbackStore, source: Path, opened_with: dict[str, object]
) -> None:
    """--naive-tz is for SOURCE, --durability for STORE, and who does not know one says so."""
    with (source / "feedback_2025-02.jsonl").open("w") as month:
        month.write('{"message_id":"n","question":"?","answer":"!","timestamp":"2025-02-03T10:00"}')
    options = ("--naive-tz", "Europe/Berlin", "--durability", "os")
    assert 0 == invoke("copy", source, "--store", "kept://", *options).exit_code
    assert {"url": "kept://", "durability": "os"} == opened_with
    assert datetime(2025, 2, 3, 9, tzinfo=UTC) == store.get("n").timestamp
    result = invoke("copy", "mem://", "--naive-tz", "Europe/Berlin")
    assert (2, True) == (result.exit_code, "takes no --naive-tz" in result.stderr)


@pytest.mark.parametrize(
    ("error", "code", "told"),
    [
        (KeyboardInterrupt(), 130, []),
        (StoreUnavailableError("the disk is gone"), 1, ["Error: the disk is gone"]),
    ],
)
def test_a_copy_that_is_cut_short_says_how_far_it_came(
    invoke: Invoke,
    store: FeedbackStore,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    error: BaseException,
    code: int,
    told: list[str],
) -> None:
    """After an interrupt or an error, what was copied is told, and the same command goes on."""
    with open_store(tmp_path / "s") as origin:
        origin.add_many(map(an_entry, range(2500)))
    append, calls = store.store.append, itertools.count(1)

    def fail_once(entries: Sequence[FeedbackEntry]) -> Sequence[Outcome]:
        if next(calls) == 3:
            raise error
        return append(entries)

    monkeypatch.setattr(store.store, "append", fail_once)
    result = invoke("copy", tmp_path / "s")
    counts = "2000 read, 2000 added, 0 unchanged, 0 conflicting, 0 refused"
    cut_short = f"Cut short after: {counts}. The same command goes on from there."
    assert (code, "") == (result.exit_code, result.stdout)
    assert [cut_short, *told] == [line for line in result.stderr.splitlines() if line]
    assert "2500 read, 500 added, 2000 unchanged" in invoke("copy", tmp_path / "s").stdout


def size_of(folder: Path, name: str) -> int:
    """Return how many bytes the files of that name hold, those beside it and below it included."""
    total = 0
    for path in [
        found for place in folder.glob(f"{name}*") for found in (place, *place.rglob("*"))
    ]:
        with contextlib.suppress(FileNotFoundError):  # a temporary file, there a moment ago
            total += path.stat().st_size if path.is_file() else 0
    return total


def start_copy(folder: Path, source: str, target: str) -> "subprocess.Popen[bytes]":
    """Start copying in a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "feedback_store", "copy", source, target],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=folder,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )  # fmt: skip


@pytest.mark.parametrize("sent", [signal.SIGKILL, signal.SIGINT])
@pytest.mark.parametrize(("source", "target"), list(itertools.product(URLS, repeat=2)))
def test_a_killed_copy_goes_on(
    run: Run, tmp_path: Path, source: str, target: str, sent: signal.Signals
) -> None:
    """However often the process is killed, the same command goes on until all is there, exactly."""
    a, b = source.format("a"), target.format("b")
    absolute = [url.format(tmp_path / name) for url, name in ((source, "a"), (target, "b"))]
    with open_store(absolute[0], durability="os") as store:
        store.add_many(an_entry(n, extra={"n": [n, float(n)], "x": None}) for n in range(MANY))
    expected = lines(absolute[0])
    ended: list[int] = []
    arrived = [0]
    while len(set(arrived)) < 4 and len(ended) < 9:  # a kill may come before the first commit
        process = start_copy(tmp_path, a, b)
        enough = size_of(tmp_path, "b") + SOME_BYTES
        while process.poll() is None and size_of(tmp_path, "b") < enough:
            time.sleep(0.005)
        process.send_signal(sent)
        _, told = process.communicate(timeout=60)
        ended.append(process.returncode)
        arrived.append(len(there := lines(absolute[1])))
        assert set(there) <= set(expected)
        assert (sent is signal.SIGINT) == told.startswith(b"Cut short after: ")
    assert {-signal.SIGKILL if sent is signal.SIGKILL else 130} == set(ended)
    assert sorted(arrived) == arrived
    assert (0, 4) == (arrived[0], len({*arrived} - {MANY}))
    done = run("copy", a, b, "--json")
    counts = {"read": MANY, "added": MANY - arrived[-1], "unchanged": arrived[-1]}
    assert (0, b"") == (done.returncode, done.stderr)
    assert {**counts, "conflicting": 0, "refused": 0} == json.loads(done.stdout)
    assert expected == lines(absolute[1])
    assert 0 == run("check", b).returncode


@pytest.mark.parametrize("url", URLS)
def test_real_rows_are_copied(run: Run, real_rows: Path, tmp_path: Path, url: str) -> None:
    """The rows of a real service arrive exactly, by the command too."""
    shutil.copytree(real_rows / "month_files", tmp_path / "months")
    done = run("copy", "months", url.format("there"), "--json")
    expected = lines(tmp_path / "months")
    assert (0, True) == (done.returncode, bool(expected))
    assert len(expected) == json.loads(done.stdout)["added"]
    assert expected == lines(url.format(tmp_path / "there"))


def test_on_a_terminal_it_says_how_far_it_is(tmp_path: Path, source: Path) -> None:
    """On a terminal the counts are shown while it copies; problems stand on lines alone."""
    with open_store(tmp_path / "target") as store:
        store.add(an_entry(1, answer="other"))
    code, shown = on_terminal(tmp_path, "copy", "source", "target")
    plain = re.sub("\x1b\\[[0-9;?]*[a-zA-Z]", "", shown).replace("\r", "\n")
    assert (1, True) == (code, "source" in plain)
    assert "Error: conflict: something else stands under the id 'm-1'" in plain.split("\n")
    assert plain.rstrip().endswith("4 read, 3 added, 0 unchanged, 1 conflicting, 0 refused")
