"""The commands export, verify-snapshot and import of snapshots, as people use them."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result
from jsonl_harness import an_entry

from feedback_store import FeedbackStore

Invoke = Callable[..., Result]
pyrage = pytest.importorskip("pyrage")


@pytest.fixture
def filled(store: FeedbackStore) -> FeedbackStore:
    """The store with three entries."""
    store.add_many(an_entry(f"m-{i}", rating=i % 2) for i in range(3))
    return store


def test_export_writes_what_import_reads(
    filled: FeedbackStore, invoke: Invoke, tmp_path: Path
) -> None:
    """All entries go out, and come in again elsewhere; the manifest is looked at."""
    target = tmp_path / "out" / "feedback.json.gz"
    told = invoke("export", target)
    assert 0 == told.exit_code
    assert told.stdout.startswith("3 entries as json, ")
    assert "as it was written" in invoke("verify-snapshot", target).stdout
    told = invoke("import", target, tmp_path / "new")
    assert "3 added, 0 unchanged, 0 conflicting, 0 refused\n" == told.stdout


def test_the_store_may_come_first(filled: FeedbackStore, invoke: Invoke, tmp_path: Path) -> None:
    """``export STORE TARGET``, or the store by its option or the environment."""
    for places in (["kept://", tmp_path / "a.json"], ["-s", "kept://", tmp_path / "b.json"]):
        assert 0 == invoke("export", *places).exit_code
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()
    assert 2 == invoke("export", "a", "b", "c").exit_code


def test_filters_and_formats(filled: FeedbackStore, invoke: Invoke, tmp_path: Path) -> None:
    """A query chooses, and the format may be named."""
    target = tmp_path / "kto.jsonl"
    told = invoke("export", "--rating", "positive", "--format", "kto", "--json", target)
    manifest = json.loads(told.stdout)
    assert ("kto", 1, False) == (manifest["format"], manifest["entries"], manifest["whole"])
    assert True is json.loads(target.read_bytes())["label"]


def test_a_damaged_snapshot_is_not_imported(
    filled: FeedbackStore, invoke: Invoke, tmp_path: Path
) -> None:
    """Exit code 1, one sentence, and nothing of it in the store."""
    target = tmp_path / "feedback.jsonl"
    invoke("export", target)
    target.write_bytes(target.read_bytes().replace(b"How?", b"Who?", 1))
    for command in (("verify-snapshot", target), ("import", target, tmp_path / "new")):
        told = invoke(*command)
        assert 1 == told.exit_code
        assert "SHA-256 differs" in told.stderr
        assert 1 == told.stderr.count("\n")
    assert "0\n" in invoke("stats", tmp_path / "new").stdout or not (tmp_path / "new").exists()


def test_an_encrypted_snapshot_is_imported_with_a_key(
    filled: FeedbackStore, invoke: Invoke, tmp_path: Path
) -> None:
    """The key is in a file, as age-keygen writes it."""
    secret = pyrage.x25519.Identity.generate()
    key = tmp_path / "key.txt"
    key.write_text(f"# created: today\n# public key: {secret.to_public()}\n{secret}\n")
    target = tmp_path / "feedback.json.age"
    assert 0 == invoke("export", "-r", secret.to_public(), target).exit_code
    assert 1 == invoke("import", target, tmp_path / "new").exit_code
    told = invoke("import", "--identity", key, target, tmp_path / "new")
    assert told.stdout.startswith("3 added")


def test_older_snapshots_are_kept(filled: FeedbackStore, invoke: Invoke, tmp_path: Path) -> None:
    """So many, or for so many days."""
    for _ in range(4):
        invoke("export", "--keep", "2", tmp_path / "f.json")
    assert 3 == len([p for p in tmp_path.glob("f.*") if "manifest" not in p.name])
    invoke("export", "--keep-days", "0", tmp_path / "f.json")
    assert 1 == len([p for p in tmp_path.glob("f.*") if "manifest" not in p.name])


@pytest.mark.parametrize(
    "args",
    [
        ("f.txt",), ("--keep", "-1", "f.json"), ("--format", "xml", "f.json"), ("f.json.age",),
        ("--raw", "f.json"), ("--every", "blue moon", "f.json"), ("--cron", "* * *", "f.json"),
        ("--once", "--every", "hour", "f.json"), ("-r", "nope", "f.json.age"),
    ],
    ids=" ".join,
)  # fmt: skip
def test_wrong_use_is_told_in_a_line(
    filled: FeedbackStore, invoke: Invoke, tmp_path: Path, args: tuple[str, ...]
) -> None:
    """Exit code 2, what is wrong, where the help is; and nothing is written."""
    told = invoke("export", *args[:-1], tmp_path / args[-1])
    assert 2 == told.exit_code
    assert 1 == told.stderr.count("\n")
    assert "--help" in told.stderr
    assert not (tmp_path / args[-1]).exists()


def test_once_exports_unless_a_schedule_does(
    filled: FeedbackStore, invoke: Invoke, tmp_path: Path
) -> None:
    """A crontab on each worker's machine may call it; it says when it has left it to another."""
    from feedback_store.snapshot.locking import LeaderLock  # noqa: PLC0415  # for this test alone

    target = tmp_path / "f.json"
    assert "3 entries" in invoke("export", "--once", target).stdout
    lock = LeaderLock(tmp_path / ".f.json.leader")
    assert lock.take()
    told = invoke("export", "--once", target)
    assert (0, "") == (told.exit_code, told.stdout)
    assert "not exported" in told.stderr
    lock.free()


def test_a_command_that_stays_exports_until_it_is_ended(tmp_path: Path) -> None:
    """At once and then on time; SIGTERM ends it with code 0, and the file is whole."""
    command = [sys.executable, "-m", "feedback_store"]
    store = tmp_path / "store"
    add = [*command, "add", "--message-id", "m", "--question", "?", "--answer", "!", str(store)]
    subprocess.run(add, check=True, capture_output=True)
    export = [*command, "export", str(store), str(tmp_path / "f.json"), "--every", "0.3s", "--json"]
    with subprocess.Popen(export, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        told = [json.loads(process.stdout.readline()) for _ in range(3)]
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=30)
    assert (0, b"") == (process.returncode, errors)
    assert [1, 1, 1] == [one["entries"] for one in told]
    assert 1 == len(json.loads((tmp_path / "f.json").read_bytes()))


def test_a_scheduled_export_that_fails_says_so_and_goes_on(tmp_path: Path) -> None:
    """On standard error, in a line each time; when the place is mended, it exports."""
    command = [sys.executable, "-m", "feedback_store"]
    store, target = tmp_path / "store", tmp_path / "f.json"
    add = [*command, "add", "--message-id", "m", "--question", "?", "--answer", "!", str(store)]
    subprocess.run(add, check=True, capture_output=True)
    target.mkdir()  # where the file should be
    export = [*command, "export", str(store), str(target), "--every", "0.3s", "--retry-wait", "0.1"]
    with subprocess.Popen(export, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        told = process.stderr.readline().decode()
        target.rmdir()
        written = process.stdout.readline()
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=30)
    assert 0 == process.returncode
    assert f"Error: an export failed: {target}: a folder is there; " in told
    assert b"1 entries" in written


def test_four_commands_export_once_on_time(tmp_path: Path) -> None:
    """Beside four workers, as containers run them: per period there is one export, not four."""
    command = [sys.executable, "-m", "feedback_store"]
    store, period_s, lasts_s = tmp_path / "store", 1.0, 4.0
    add = [*command, "add", "--message-id", "m", "--question", "?", "--answer", "!", str(store)]
    subprocess.run(add, check=True, capture_output=True)
    export = [*command, "export", str(store), str(tmp_path / "f.json"), "--every", f"{period_s}s"]
    workers = [
        subprocess.Popen(export, stdout=subprocess.PIPE, stderr=subprocess.PIPE) for _ in range(4)
    ]
    deadline = time.monotonic() + 60
    while not (tmp_path / "f.json").exists():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    time.sleep(lasts_s)
    for worker in workers:
        worker.send_signal(signal.SIGTERM)
    outputs = [worker.communicate(timeout=30) for worker in workers]
    assert [0] * 4 == [worker.returncode for worker in workers]
    assert [b""] * 4 == [errors for _, errors in outputs]
    made = sorted(output.count(b"1 entries") for output, _ in outputs)
    assert [0, 0, 0] == made[:3]
    assert 2 <= made[3] <= lasts_s / period_s + 2
