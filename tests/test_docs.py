"""Every example in the documentation runs as it stands.

Blocks marked `python` share one namespace per file; blocks marked `console` run in a shell, each
`$ ` line a command, the lines below it what it prints (`...` stands for anything; no lines, no
comparison). All blocks of a file run in order, in one new folder. A comment above a block can say

    <!-- not run: the reason -->
    <!-- exits 1: the reason -->         the exit code of the block's last command
"""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

import pytest
from s3_endpoint import ENVIRONMENT, own_endpoint
from sybil import Document, Example
from sybil.example import SybilFailure
from sybil.parsers.markdown import CodeBlockParser, PythonCodeBlockParser

if TYPE_CHECKING:
    from pg_server import PostgresServer

ROOT = Path(__file__).parent.parent
PAGES = [
    page
    for page in [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
    if "_build" not in page.parts
]

COMMENT = re.compile(r"<!-- (?P<what>not run|exits (?P<code>\d+)): *\w.+? -->\s*\Z")
# Names under which a block would look like an example, and escape.
UNTESTED = re.compile(r"^ *(?:```|~~~) *(?:py|pycon|python3|bash|sh|shell)\b", re.MULTILINE)
# A character that no program prints, before the exit code of each command.
MARK = "\x1e"


def comment_above(example: Example) -> re.Match[str] | None:
    """Find the comment that stands directly above a block."""
    return COMMENT.search(example.document.text[: example.start])


def commands_of(block: str) -> list[tuple[str, list[str]]]:
    """Split a console block into commands and the lines that each is said to print."""
    commands: list[tuple[str, list[str]]] = []
    for line in block.splitlines():
        if line.startswith("$ "):
            commands.append((line[2:], []))
        elif commands and commands[-1][0].endswith("\\") and not commands[-1][1]:
            commands[-1] = (f"{commands[-1][0]}\n{line}", [])
        elif commands:
            commands[-1][1].append(line.rstrip())
    return commands


def is_as_said(said: list[str], printed: str) -> bool:
    """Compare what a command prints with what the page says, `...` standing for anything."""
    text = "\n".join(said).strip()
    pattern = "".join(
        r"(?:.*\n)*?" if line == "..." else re.escape(line).replace(r"\.\.\.", ".*?") + "\n"
        for line in text.splitlines()
    )
    actual = "".join(f"{line.rstrip()}\n" for line in printed.strip().splitlines())
    return not text or re.fullmatch(pattern, actual) is not None


def run_console(example: Example) -> str | None:
    """Run a console block in one shell; say what is not as the page says."""
    commands = commands_of(example.parsed)
    lines = [f"{command}\nprintf '{MARK}%s\\n' $?\n" for command, _ in commands]
    bin_folder = Path(sys.executable).parent
    settings = {
        "PATH": f"{bin_folder}{os.pathsep}{os.environ['PATH']}",
        "HOME": str(Path.cwd()),
        "COLUMNS": "100",
        "LC_ALL": "C.UTF-8",
        "NO_COLOR": "1",
        "TERM": "dumb",
        "TZ": "UTC",
    }
    done = subprocess.run(
        ["bash", "-c", "exec 2>&1\n" + "".join(lines)],
        env=os.environ | settings,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        encoding="utf-8",
        check=False,
        timeout=60,
    )
    results = re.findall(rf"(.*?){MARK}(\d+)\n", done.stdout, re.DOTALL)
    comment = comment_above(example)
    codes = [0] * (len(commands) - 1) + [int(comment["code"] or 0) if comment else 0]
    if len(results) != len(commands):
        return f"the shell stopped early:\n{done.stdout}"
    for (command, said), code, (printed, actual_code) in zip(commands, codes, results, strict=True):
        if code != int(actual_code):
            return f"{command!r} exited with {actual_code}, not {code}:\n{printed}"
        if not is_as_said(said, printed):
            return f"{command!r} printed\n{printed}"
    return None


def run_page(page: Path) -> None:
    """Run the blocks of one page, in order, in the current folder."""
    document = Document.parse(
        str(page), PythonCodeBlockParser(), CodeBlockParser("console", run_console)
    )
    for example in document.examples():
        comment = comment_above(example)
        if comment is None or comment["what"] != "not run":
            example.evaluate()


@pytest.fixture(scope="module")
def bucket() -> Iterator[dict[str, str]]:
    """An endpoint of S3 with the bucket that pages speak of: what a process must know of it."""
    if missing := [name for name in ("s3fs", "moto", "flask") if find_spec(name) is None]:
        pytest.skip(f"not installed: {', '.join(missing)}")
    with own_endpoint() as endpoint:
        endpoint.filesystem().mkdir("my-bucket")
        yield {**ENVIRONMENT, "AWS_ENDPOINT_URL": str(endpoint.url)}


@pytest.fixture
def database(postgres: "PostgresServer") -> Iterator[dict[str, str]]:
    """A server with the empty database that pages speak of: what a process must know of it."""
    parts = urlsplit(postgres.url_of("app"))
    postgres.drop(parts.geturl())
    yield {
        "PGHOST": parts.hostname or "",
        "PGPORT": str(parts.port or 5432),
        "PGUSER": unquote(parts.username or ""),
        "PGPASSWORD": unquote(parts.password or ""),
        "PGDATABASE": urlsplit(postgres.new_database("app")).path[1:],
    }
    postgres.drop(parts.geturl())


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_examples_run(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    """What a page shows is what happens, and no block escapes under another name."""
    monkeypatch.chdir(tmp_path)
    if "s3://my-bucket" in page.read_text("utf-8"):
        for name, value in request.getfixturevalue("bucket").items():
            monkeypatch.setenv(name, value)
    if "postgresql:///app" in page.read_text("utf-8"):
        for name, value in request.getfixturevalue("database").items():
            monkeypatch.setenv(name, value)
    assert [] == UNTESTED.findall(page.read_text("utf-8"))
    run_page(page)


@pytest.mark.parametrize(
    ("text", "is_true"),
    [
        ("```python\nx = 1\n```\n\n```python\nassert x == 1\n```\n", True),
        ("```python\nassert False\n```\n", False),
        ("<!-- not run: it is wrong -->\n```python\nassert False\n```\n", True),
        ("<!-- not run: -->\n```python\nassert False\n```\n", False),
        ("```console\n$ echo one; echo two\none\n...\n$ echo a b c\na ... c\n```\n", True),
        ("```console\n$ echo one\ntwo\n```\n", False),
        ("```console\n$ false\n```\n", False),
        ("<!-- exits 1: it is false -->\n```console\n$ true\n$ false\n```\n", True),
        ("```console\n$ printf %s \\\n  one\none\n$ exit 0\n$ true\n```\n", False),
    ],
)
def test_a_wrong_page_is_caught(text: str, is_true: bool, tmp_path: Path) -> None:
    """The runner accepts a page that tells the truth, and no other."""
    page = tmp_path / "page.md"
    page.write_text(text, "utf-8")
    try:
        run_page(page)
    except (AssertionError, SybilFailure):
        assert not is_true
    else:
        assert is_true
