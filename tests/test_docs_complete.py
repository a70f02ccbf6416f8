"""The reference leaves nothing out, and names nothing that is not there."""

import ast
import inspect
import json
import re
import shutil
import subprocess
from pathlib import Path
from types import ModuleType

import attrs
import pytest

import feedback_store
from feedback_store import FeedbackEntry, Metadata, Query, errors, opening
from feedback_store import store as waist
from feedback_store.backends.jsonl import JsonlStore, checking
from feedback_store.backends.memory import MemoryStore
from feedback_store.backends.objects import ObjectStore
from feedback_store.backends.objects.opening import open_url
from feedback_store.backends.postgres import PostgresStore
from feedback_store.backends.sqlite import SqliteStore
from feedback_store.entry import OWN_KEYS, OWN_METADATA_KEYS
from feedback_store.layers import CachedStore

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"


def page(name: str) -> str:
    """Return the text of a page."""
    return (DOCS / name).read_text("utf-8")


def missing(names: set[str], pattern: str, text: str) -> set[str]:
    """Return the names that a pattern, with the name in place of ``@``, does not find."""
    return {
        name
        for name in names
        if not re.search(pattern.replace("@", re.escape(name)), text, re.MULTILINE)
    }


def options_of(cls: type) -> set[str]:
    """Return the keyword-only arguments of a class."""
    parameters = inspect.signature(cls).parameters.values()
    return {p.name for p in parameters if p.kind is p.KEYWORD_ONLY}


def classes_of(module: ModuleType) -> set[str]:
    """Return the names of the classes that a module defines."""
    found = inspect.getmembers(module, inspect.isclass)
    return {name for name, cls in found if cls.__module__ == module.__name__}


def test_every_error_is_documented() -> None:
    """Every error class has a heading of its own, with when it comes and what to do."""
    sections = re.split(r"^## ", page("reference/errors.md"), flags=re.MULTILINE)[1:]
    headed = {section.split("\n")[0].strip("`"): section for section in sections}
    assert classes_of(errors) == headed.keys()
    for name in headed.keys() - {"FeedbackStoreError"}:
        assert "*When:*" in headed[name], name
        assert "*What to do:*" in headed[name], name


def test_every_public_name_is_in_the_reference() -> None:
    """What `feedback_store` offers is what the page on the API shows, no more and no less."""
    directive = r"^\.\. auto(?:class|exception|function):: (\w+)$"
    shown = re.findall(directive, page("reference/api.md"), re.MULTILINE)
    assert sorted(feedback_store.__all__) == sorted(shown)


def test_every_faster_way_is_in_the_reference() -> None:
    """The page on the API shows every optional protocol of a store."""
    names = {name for name in vars(waist) if name.startswith("Supports")}
    assert set() == missing(
        names, r"autoclass:: feedback_store\.store\.@$", page("reference/api.md")
    )


def test_every_option_is_documented() -> None:
    """The page on options has a row for every option of every store, and no other row."""
    text = page("reference/urls-and-options.md")
    rows = set(re.findall(r"^\| `(\w+)` \|", text, re.MULTILINE))
    folder = set(inspect.signature(opening._open_folder).parameters) - {"path", "options"}
    cache = {name for name in inspect.signature(opening.open_store).parameters if "cache" in name}
    shipped = (JsonlStore, MemoryStore, SqliteStore, PostgresStore, ObjectStore, CachedStore)
    of_urls = {"storage_options"} & set(inspect.signature(open_url).parameters)
    assert folder.union(cache, of_urls, *map(options_of, shipped)) == rows


def test_every_default_is_documented() -> None:
    """The defaults in the table are those of the code."""
    text = page("reference/urls-and-options.md")
    told = dict(re.findall(r"^\| `(\w+)` \| (.+?) \|", text, re.MULTILINE))
    spelled = {
        "naive_tz": "`datetime.UTC`",
        "folder_mode": "`0o775`",
        "file_mode": "`0o664`",
        "durability": '`"sync"`',
        "journal_mode": '`"auto"`',
        "max_entry_bytes": "1,048,576",
        "revalidate": '`"always"`',
        "max_entries": "10,000",
        "max_bytes": "67,108,864",
        "timer": "`time.monotonic`",
        "table": '`"feedback"`',
        "compression": '`"gzip"`',
        "cache_bytes": "134,217,728",
        "cache_folder_bytes": "1,073,741,824",
        "max_batch": "1,000",
        "now_ns": "`time.time_ns`",
    }
    for store in (JsonlStore, SqliteStore, PostgresStore, ObjectStore, CachedStore):
        for name, parameter in inspect.signature(store).parameters.items():
            if parameter.kind is parameter.KEYWORD_ONLY:
                assert spelled.get(name, str(parameter.default)) == told[name], name


def test_every_scheme_is_documented() -> None:
    """The page on URLs shows every scheme that ships."""
    schemes = set(opening._OPENERS)
    assert set() == missing(schemes, r"^\| `@://", page("reference/urls-and-options.md"))


def test_every_filter_is_documented() -> None:
    """Every field of a query stands in a heading of the page on queries."""
    headings = "\n".join(re.findall(r"^## .+$", page("reference/query.md"), re.MULTILINE))
    assert set() == missing({f.name for f in attrs.fields(Query)}, r"`@`", headings)


@pytest.mark.parametrize(
    ("cls", "keys"), [(FeedbackEntry, OWN_KEYS), (Metadata, OWN_METADATA_KEYS)]
)
def test_every_key_is_documented(cls: type, keys: frozenset[str]) -> None:
    """Every key of a line stands in a table of the page on the file format."""
    assert set() == missing(set(keys), r"^\| `@` \|", page("reference/file-format.md")), cls


def test_every_check_is_documented() -> None:
    """Every check that a folder of month files makes stands in the table of checks."""
    names = set(re.findall(r'(?:name=|_failed\()"(\w+)"', inspect.getsource(checking)))
    table = "\n".join(re.findall(r"^\| `.+$", page("how-to/compact-and-check.md"), re.MULTILINE))
    assert names
    assert set() == missing(names, "`@`", table)


def test_every_command_is_in_the_changelog() -> None:
    """The changelog names every verb of the store and every command."""
    pytest.importorskip("click")
    from feedback_store.cli.program import program  # noqa: PLC0415  # needs an extra

    text = (ROOT / "CHANGELOG.md").read_text("utf-8")
    verbs = {name for name in vars(feedback_store.FeedbackStore) if not name.startswith("_")}
    assert set() == missing((verbs - {"close", "store"}) | set(program.commands), "`@`", text)


def proofs() -> list[tuple[int, str]]:
    """Return the promises of the page on durability, each with a module that proves it."""
    rows = re.findall(
        r"^\| (\d+) \|.*\| (.+?) \|$", page("explanation/durability.md"), re.MULTILINE
    )
    return [(int(n), name) for n, tests in rows for name in re.findall(r"`(test_\w+)`", tests)]


def test_proofs_are_there() -> None:
    """Every test module that the page on durability names exists."""
    named = set(re.findall(r"`(test_\w+)`", page("explanation/durability.md")))
    there = {path.stem for path in (ROOT / "tests").rglob("test_*.py")}
    assert set() == named - there


def test_proofs_know_of_their_promises() -> None:
    """A module that is named as the proof of a promise says in its docstring that it is."""
    promised: dict[str, set[int]] = {}
    for path in (ROOT / "tests" / "jsonl").glob("test_jsonl_*.py"):
        docstring = ast.get_docstring(ast.parse(path.read_text("utf-8"))) or ""
        told = re.search(r"Promises? ((?:\d+|,|and|\s)+)", docstring)
        promised[path.stem] = set(map(int, re.findall(r"\d+", told[1]))) if told else set()
    unknown = [(n, name) for n, name in proofs() if name in promised and n not in promised[name]]
    assert proofs()
    assert [] == unknown


@pytest.mark.parametrize("text", ["README.md", "CONTRIBUTING.md"])
def test_links_of_the_front_pages_lead_somewhere(text: str) -> None:
    """Every relative link outside the documentation leads to a file; Sphinx checks those inside."""
    links = re.findall(r"\]\(([^):#]+)\)", (ROOT / text).read_text("utf-8"))
    assert [] == [link for link in links if not (ROOT / link).exists()]


@pytest.mark.skipif(shutil.which("jq") is None, reason="jq is not installed")
def test_the_jq_line_reads_a_store(tmp_path: Path) -> None:
    """The jq command of the page on the file format gives the entries, damaged lines or not."""
    match = re.search(
        r"^\$ (cat .+?\n.*jq .+?)\n```", page("reference/file-format.md"), re.MULTILINE | re.DOTALL
    )
    assert match is not None
    with feedback_store.open_store(tmp_path / "data/feedback") as store:
        for number in range(3):
            store.add(FeedbackEntry(message_id=f"m-{number}", question="?", answer="!", rating=0))
        store.add(FeedbackEntry(message_id="m-1", id="m-1/x", question="?", answer="!"))
        store.update("m-1", rating=1)
        for month in (tmp_path / "data/feedback").glob("*.jsonl"):
            with month.open("a") as file:
                file.write('{"message_id": "m-2", "quest\n[1]\n\n')
        expected = {e.id: json.loads(feedback_store.encode(e)) for e in store.scan()}
    done = subprocess.run(
        ["bash", "-c", match[1]], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert expected == {entry.get("id", entry["message_id"]): entry for entry in found}
    assert len(expected) == len(found)
