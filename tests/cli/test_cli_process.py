"""The program as a process: streams, signals, terminals, and what it costs to start."""

import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

Run = Callable[..., subprocess.CompletedProcess[bytes]]

ENTRY = {"message_id": "m", "question": "q", "answer": "a", "timestamp": "2025-02-17T10:00:00Z"}

WITHOUT = """
import sys
class Refuse:
    def find_spec(self, name, *_):
        if name == {name!r}:
            raise ModuleNotFoundError(name=name)
from importlib import util
found = util.find_spec
util.find_spec = lambda name: None if name == {name!r} else found(name)
sys.meta_path.insert(0, Refuse())
from feedback_store.cli import main

main()
"""


def rows(count: int) -> bytes:
    """Return that many entries as lines."""
    return b"".join(
        json.dumps({**ENTRY, "message_id": str(i)}).encode() + b"\n" for i in range(count)
    )


def on_terminal(
    folder: Path, *args: object, keys: bytes = b"", columns: int = 100
) -> tuple[int, str]:
    """Run a command with a terminal on all streams; return its exit code and what was shown."""
    main, side = pty.openpty()
    env = {
        **os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "TERM": "xterm",
        "COLUMNS": str(columns),
    }  # fmt: skip
    process = subprocess.Popen(
        [sys.executable, "-m", "feedback_store", *map(str, args)],
        stdin=side, stdout=side, stderr=side, cwd=folder, env=env, close_fds=True,
    )  # fmt: skip
    os.close(side)
    if keys:
        os.write(main, keys)
    shown = b""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and select.select([main], [], [], 60)[0]:
        try:
            data = os.read(main, 65536)
        except OSError:  # Linux says so when the other side is closed
            break
        if not data:
            break
        shown += data
    os.close(main)
    return process.wait(60), shown.decode()


def test_a_store_lives_through_the_commands(run: Run, tmp_path: Path) -> None:
    """What one process stores, the next ones find, change and erase."""
    (tmp_path / "rows.jsonl").write_bytes(rows(3))
    done = run("import", "rows.jsonl", "./s")
    assert (0, b"", b"3 added, 0 unchanged, 0 conflicting, 0 refused\n") == (
        done.returncode, done.stderr, done.stdout,
    )  # fmt: skip
    environment = {"FEEDBACK_STORE_URL": "./s"}
    assert b"updated 1\n" == run("update", "1", "--rating", "1", env=environment).stdout
    assert 1 == json.loads(run("get", "1", "s").stdout)["rating"]
    assert 1 == json.loads(run("stats", "s", "--json").stdout)["positive"]
    assert b"2 deleted, 0 not found\n" == run("delete", "0", "2", "-s", "s").stdout
    assert 0 == run("compact", "s").returncode
    assert 1 == len(run("list", "s", "--json").stdout.splitlines())
    assert (0, True) == (
        (done := run("check", "s", "--json")).returncode, json.loads(done.stdout)["ok"],
    )  # fmt: skip


def test_a_list_can_be_imported(run: Run, tmp_path: Path) -> None:
    """What `list` prints as JSON, `import` takes: the same entries, in any store."""
    (tmp_path / "rows.jsonl").write_bytes(rows(3))
    run("import", "rows.jsonl", "a")
    listed = run("list", "a", "--all", "--json").stdout
    done = run("import", "-", "b", stdin=listed)
    assert b"3 added, 0 unchanged, 0 conflicting, 0 refused\n" == done.stdout
    assert listed == run("list", "b", "--all", "--json").stdout


def test_output_is_utf8_whatever_the_locale(run: Run) -> None:
    """JSON is UTF-8 where the locale is not, and text is spelled out rather than fatal."""
    env = {"PYTHONIOENCODING": "latin-1", "PYTHONUTF8": "0"}
    entry = {**ENTRY, "question": "日本 👍", "id": "ключ"}
    done = run("add", "-", "s", stdin=json.dumps(entry).encode(), env=env)
    assert (0, b"added \\u043a\\u043b\\u044e\\u0447\n") == (done.returncode, done.stdout)
    for options in (["--json"], ["--format", "csv"]):
        assert "日本 👍".encode() in run("list", "s", *options, env=env).stdout
    assert 0 == run("list", "s", env=env).returncode


@pytest.mark.parametrize("name", ["click", "rich"])
def test_a_missing_package_is_named(tmp_path: Path, name: str) -> None:
    """Without click or rich, one line names the extra, and the exit code is 2."""
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT.format(name=name)], capture_output=True, text=True,
        check=False, timeout=60, cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )  # fmt: skip
    expected = f"Error: the command line needs {name}: pip install 'feedback-store[cli]'\n"
    assert (2, "", expected) == (done.returncode, done.stdout, done.stderr)


def test_help_imports_neither_rich_nor_a_store(run: Run) -> None:
    """The help is fast because nothing is imported that only a command needs."""
    done = run("--help", env={"PYTHONPROFILEIMPORTTIME": "1"})
    imported = {line.split("|")[-1].strip() for line in done.stderr.decode().splitlines()}
    assert {"click", "feedback_store.cli.program"} <= imported
    heavy = {"rich", "cattrs", "fsspec", "filelock", "sqlite3", "asyncio", "http"}
    heavy |= {"feedback_store.backends", "feedback_store.layers", "feedback_store.testing"}
    assert set() == heavy & imported


def test_a_reader_that_stops_early_is_fine(run: Run, tmp_path: Path) -> None:
    """When the reader of a pipe goes away, the program ends without a word, and with 0."""
    run("import", "-", "s", stdin=rows(5000))
    for options in (["--json"], ["--format", "csv"], []):
        process = subprocess.Popen(
            [sys.executable, "-m", "feedback_store", "list", "s", "--all", *options],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        )  # fmt: skip
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        with process.stderr as stderr:
            assert b"" == stderr.read()
        assert 0 == process.wait(60)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no full device")
def test_output_that_cannot_be_written_is_a_problem(run: Run, tmp_path: Path) -> None:
    """A full disk behind standard output is told in one line, and the exit code is 1."""
    run("import", "-", "s", stdin=rows(3))
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [sys.executable, "-m", "feedback_store", "list", "s", "--json"], stdout=full,
            stderr=subprocess.PIPE, check=False, timeout=60, cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        )  # fmt: skip
    assert (1, 1) == (done.returncode, len(done.stderr.splitlines()))
    assert done.stderr.startswith(b"Error: ")


def test_ctrl_c_ends_with_130(run: Run, tmp_path: Path) -> None:
    """An interrupted import ends with 130 and without a traceback, and can be made again."""
    process = subprocess.Popen(
        [sys.executable, "-m", "feedback_store", "import", "-", "s"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )  # fmt: skip
    assert process.stdin is not None
    process.stdin.write(rows(1500))  # more than a batch: the first is stored while it waits
    process.stdin.flush()
    month = tmp_path / "s" / "feedback_2025-02.jsonl"
    deadline = time.monotonic() + 60
    while not (month.exists() and month.stat().st_size) and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert (130, b"") == (process.returncode, errors.strip())
    again = json.loads(run("import", "-", "s", "--json", stdin=rows(1500)).stdout)
    assert (1500, 0, 0) == (
        again["added"] + again["unchanged"], again["conflicting"], again["refused"],
    )  # fmt: skip
    assert 0 == run("check", "s").returncode


def test_on_a_terminal_get_is_indented_and_harmless(run: Run, tmp_path: Path) -> None:
    """On a terminal JSON is indented, unless --json is given, and no control character is raw."""
    run("add", "-", "s", stdin=json.dumps({**ENTRY, "question": "\x1b[31m\x9b31m\u202e"}).encode())
    code, shown = on_terminal(tmp_path, "get", "m", "s")
    assert (0, "\\u001b[31m\\u009b31m\\u202e") == (
        code,
        json.dumps(json.loads(shown)["question"])[1:-1],
    )
    assert '\r\n  "question": "\\u001b[31m\\u009b31m\\u202e",' in shown
    for options in (["get", "m", "s", "--json"], ["list", "s", "--json"]):
        _, line = on_terminal(tmp_path, *options)
        assert 1 == len(line.splitlines())
        assert not re.search("[\x00-\x09\x0e-\x1f\x7f-\x9f\u202e]", line)
    for options in (["list", "s"], ["list", "s", "--format", "csv"]):
        _, shown = on_terminal(tmp_path, *options)
        assert "\\x1b[31m\\x9b31m\\u202e" in shown.replace("\r\n", "")
        assert not re.search("\x1b\\[31m|[\x7f-\x9f\u202e]", shown)


@pytest.mark.parametrize(
    ("keys", "options", "code", "left"),
    [(b"y\n", [], 0, 0), (b"n\n", [], 1, 1), (b"\n", [], 1, 1), (b"", ["--yes"], 0, 0)],
)
def test_on_a_terminal_delete_asks(
    run: Run, tmp_path: Path, keys: bytes, options: list[str], code: int, left: int
) -> None:
    """On a terminal, entries are erased only after a yes, or with --yes."""
    run("add", "-", "s", stdin=json.dumps(ENTRY).encode())
    ended, shown = on_terminal(tmp_path, "delete", "m", "-s", "s", *options, keys=keys)
    assert (code, bool(keys)) == (ended, "Erase 1 entry for good? [y/N]" in shown)
    assert left == json.loads(run("stats", "s", "--json").stdout)["total"]


def test_on_a_terminal_import_shows_a_bar(run: Run, tmp_path: Path) -> None:
    """On a terminal a bar is shown; a problem that is told meanwhile stands on a line alone."""
    (tmp_path / "rows.jsonl").write_bytes(rows(2500) + b"{\n")
    code, shown = on_terminal(tmp_path, "import", "rows.jsonl", "s")
    assert (1, True) == (code, "%" in shown)
    plain = re.sub("\x1b\\[[0-9;?]*[a-zA-Z]", "", shown)
    assert re.search(
        "^Error: rows.jsonl:2501: refused: .*$", plain.replace("\r", "\n"), re.MULTILINE
    )
    assert plain.rstrip().endswith("2500 added, 0 unchanged, 0 conflicting, 1 refused")


def test_on_a_terminal_export_shows_a_bar(tmp_path: Path) -> None:
    """The bar knows how many there are; a table of a snapshot's numbers stands alone at the end."""
    (tmp_path / "rows.jsonl").write_bytes(rows(2500))
    assert 0 == on_terminal(tmp_path, "import", "rows.jsonl", "s")[0]
    code, shown = on_terminal(tmp_path, "export", "s", "f.csv")
    assert (0, True) == (code, "100%" in shown)
    plain = re.sub("\x1b\\[[0-9;?]*[a-zA-Z]", "", shown)
    assert re.search(r"2500 entries as csv, \d+ bytes, SHA-256 \w+… to f.csv\s*$", plain)
    code, shown = on_terminal(tmp_path, "import", "f.csv", "t")
    assert 1 == code
    assert 1 == shown.count("Error")
