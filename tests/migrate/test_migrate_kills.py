"""Promise 16: a migration that is killed anywhere, and run again, comes to the same end.

Each call that changes a disk is the last one before SIGKILL, once; of a real and complete
migration, with history, bad lines, and files of four layouts.
"""

import json
import re
import shutil
from collections.abc import Callable
from contextlib import closing
from itertools import islice
from pathlib import Path

import attrs
import pytest
from jsonl_harness import DEEP, Steps, faults, needs_fork, needs_strace, trace
from older import BAD, ENTRIES, ROWS, SUPERSEDED, data_of, lines_of, write_older_files

from feedback_store import Store, open_store
from feedback_store.backends.jsonl import JsonlStore
from feedback_store.backends.sqlite import SqliteStore
from feedback_store.migrate import Move, Report, apply, plan

pytestmark = [needs_strace, needs_fork, pytest.mark.timeout(600)]

CALLS = (
    *("mkdir", "write", "pwrite64", "fdatasync", "fsync", "rename", "link", "unlink"),
    *("fchmod", "chmod", "ftruncate"),
)
LEAST = {"mkdir": 1, "fsync": 8, "fdatasync": 1, "link": 3, "unlink": 3}
"""How many of these there must be at least: else nothing was examined."""

STEPS: dict[str, int] = {} if DEEP else {"pwrite64": 3}
"""Of the calls that a database makes by the hundred, a sample is enough for every day."""

AGAIN = 1 if DEEP else 5
"""Of the runs that were killed, every so many are killed again while they go on."""


def elsewhere(place: Path) -> Store:
    """Open month files in a folder of their own."""
    return JsonlStore(place / "store")


def in_the_folder(place: Path) -> Store:
    """Open month files in the folder of the source, whose month file is then the store's."""
    return JsonlStore(place / "old")


def database(place: Path) -> Store:
    """Open a database in the folder of the source."""
    return SqliteStore(place / "old" / "feedback.db")


def bucket(place: Path) -> Store:
    """Open objects in a folder of their own."""
    return open_store(f"file://{place}/objects").store


OPENERS: list[Callable[[Path], Store]] = [elsewhere, in_the_folder, database, bucket]


def migrated(place: Path, opener: Callable[[Path], Store]) -> Report:
    """Migrate, in batches of two."""
    with closing(opener(place)) as store:
        return apply(plan(place / "old", target=store), store, move=Move.ALL, batch_size=2)


@attrs.frozen
class Migration(Steps):
    """What the child does."""

    place: Path
    opener: Callable[[Path], Store]

    def run(self) -> object:
        """Migrate."""
        return migrated(self.place, self.opener).as_json()


def refused_in(place: Path, report: Report) -> set[str]:
    """Return the rows that this run tells as refused, and those that the accounts do."""
    told = {problem.where for problem in report.refused}
    for account in (place / "old" / "legacy_backup").glob("migration.json*"):
        files = json.loads(account.read_bytes())["files"]
        told |= {problem["where"] for file in files for problem in file["refused"]}
    return told


def judge(
    place: Path, opener: Callable[[Path], Store], before: dict[str, bytes]
) -> dict[str, bytes]:
    """See that all is as it should be after a run; return the entries."""
    in_place = {"feedback_2025-02.jsonl"} if opener is in_the_folder else set()
    left = {name for name in data_of(place / "old") if not name.startswith("feedback.db")}
    assert in_place == left
    kept = data_of(place / "old" / "legacy_backup")
    accounts = {name for name in kept if name.startswith("migration.json")}
    assert accounts
    assert {n: d for n, d in before.items() if n not in in_place} == {
        name: data for name, data in kept.items() if name not in accounts
    }
    with closing(opener(place)) as store:
        return lines_of(store)


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("opener", OPENERS, ids=lambda opener: opener.__name__)
def test_killed_at_every_call_and_run_again(
    opener: Callable[[Path], Store], call: str, tmp_path: Path
) -> None:
    """The end is the same: each entry once, every source kept, every bad line told."""
    template = write_older_files(tmp_path / "template")
    report, expected = whole(template, tmp_path, opener)
    assert (ROWS, SUPERSEDED, BAD) == (
        report.rows, report.superseded, {problem.where for problem in report.refused},
    )  # fmt: skip
    assert ENTRIES == expected.keys()
    kills = killed_everywhere(template, tmp_path, opener, call, STEPS.get(call, 1), BAD, expected)
    assert opener is bucket or kills >= LEAST.get(call, 0)


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("opener", OPENERS, ids=lambda opener: opener.__name__)
def test_real_rows_survive_a_kill_at_every_call(
    opener: Callable[[Path], Store], call: str, real_rows: Path, tmp_path: Path
) -> None:
    """Those of a real service, too: 21 entries and their two older revisions."""
    template = tmp_path / "template"
    template.mkdir()
    for file in (real_rows / "month_files").iterdir():
        (template / file.name).write_bytes(file.read_bytes())
    report, expected = whole(template, tmp_path, opener)
    assert (23, 2, 21) == (report.rows, report.superseded, len(expected))
    killed_everywhere(template, tmp_path, opener, call, STEPS.get(call, 1), set(), expected)


def whole(
    template: Path, tmp_path: Path, opener: Callable[[Path], Store]
) -> tuple[Report, dict[str, bytes]]:
    """Migrate untouched; return what is told, and the entries."""
    shutil.copytree(template, tmp_path / "whole" / "old")
    report = migrated(tmp_path / "whole", opener)
    return report, judge(tmp_path / "whole", opener, data_of(template))


def killed_everywhere(  # what differs between the two tests
    template: Path,
    tmp_path: Path,
    opener: Callable[[Path], Store],
    call: str,
    step: int,
    bad: set[str],
    expected: dict[str, bytes],
) -> int:
    """Kill a migration at every call, run it again, and see that it ends the same; count kills."""
    before, kills = data_of(template), 0
    for fault in islice(faults(call, "signal=KILL"), 0, None, step):
        place = tmp_path / "place"
        shutil.copytree(template, place / "old")
        options = (f"--trace={call}", f"--{fault}")
        is_hit = trace(Migration(place, opener), tmp_path / "log", *options).hit
        if is_hit and kills % AGAIN == 0:
            trace(Migration(place, opener), tmp_path / "log", *options)
        again = migrated(place, opener)
        assert (True, (), "") == (again.is_verified, again.conflicts, again.problem)
        assert bad <= refused_in(place, again)
        assert expected == judge(place, opener, before)
        shutil.rmtree(place)
        if not is_hit:
            break
        kills += 1
    return kills


def test_a_file_moves_in_an_order_that_survives_a_power_cut(tmp_path: Path) -> None:
    """Links, their folder, the account, its folder, and only then the old names, one by one.

    Each step is durable before the next one begins: a second name that a power cut takes, after the
    first one is gone, would be a file that is lost.
    """
    write_older_files(tmp_path / "old")
    calls = "link,fsync,unlink,mkdir"
    traced = trace(Migration(tmp_path, elsewhere), tmp_path / "log", f"--trace={calls}")
    old, backup = str(tmp_path / "old"), str(tmp_path / "old" / "legacy_backup")
    steps = [step for text in traced.log if (step := step_of(text, old, backup))]
    links, leaving = ["link"] * 4, ["leave", "sync old"] * 4
    account = ["sync file", "link account", "unlink", "sync backup"]
    assert ["mkdir", "sync old", *links, "sync backup", *account, *leaving] == steps


def step_of(text: str, old: str, backup: str) -> str:
    """Return what a call does to the folder of the source; nothing of other calls."""
    found = re.search(r"(\w+)\((.*)\) += 0", text)
    if found is None or old not in text:
        return ""
    call, args = found.groups()
    if call == "fsync":
        path = args.partition("<")[2].rstrip(">")
        return {old: "sync old", backup: "sync backup"}.get(path, "sync file")
    if call == "link":
        return "link account" if "migration.json" in args else "link"
    if call == "unlink":
        return "unlink" if backup in args else "leave"
    return call
