"""The command that shows many entries: list."""

import csv
import io
import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from click.testing import Result

from feedback_store import FeedbackEntry, FeedbackStore, Metadata, decode
from feedback_store.cli.shapes import CSV_COLUMNS

Invoke = Callable[..., Result]

START = datetime(2025, 2, 17, tzinfo=UTC)


def entry(
    key: str,
    days: float = 0,
    **fields: Any,  # noqa: ANN401  # any field's value
) -> FeedbackEntry:
    """Return an entry of a number of days after the start."""
    texts = {"question": f"question {key}", "answer": f"answer {key}", **fields}
    return FeedbackEntry(message_id=key, timestamp=START + timedelta(days=days), **texts)


@pytest.fixture
def entries(store: FeedbackStore) -> list[FeedbackEntry]:
    """Three entries that differ in everything that can be asked for."""
    entries = [
        entry(
            "a", 0, rating=1, user_id="ann", sources=[{"type": "wiki"}],
            extra={"channel": "web", "level": 3},
        ),
        entry(
            "b", 1, rating=0, sources=[{"type": "faq"}],
            metadata=Metadata(issues=("x", "y"), explanation="Too LONG", conversation_id="c1"),
        ),
        entry("c", 2, metadata=Metadata(issues=("z",)), extra={"level": "3"}),
    ]  # fmt: skip
    store.add_many(entries)
    return entries


def ids(jsonl: str) -> str:
    """Return the ids of the lines, joined."""
    return "".join(decode(line.encode()).id for line in jsonl.splitlines())


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ((), "cba"),
        (("--rating", "positive"), "a"),
        (("--rating", "unrated"), "c"),
        (("--since", "2025-02-18"), "cb"),
        (("--until", "2025-02-18"), "a"),
        (("--since", "2025-02-18T01:00+01:00", "--until", "2025-02-19T00:00Z"), "b"),
        (("--since", "2025-02-18T00:00:01"), "c"),
        (("--issue", "y"), "b"),
        (("--issue", "y", "--issue", "z"), "cb"),
        (("--source-type", "wiki"), "a"),
        (("--source-type", "wiki", "--source-type", "unknown"), "ca"),
        (("--text", "too long"), "b"),
        (("--message-id", "a"), "a"),
        (("--conversation-id", "c1"), "b"),
        (("--user-id", "ann"), "a"),
        (("--has-explanation",), "b"),
        (("--no-explanation",), "ca"),
        (("--match", "channel=web"), "a"),
        (("--match", "level=3"), "a"),
        (("--match", 'level="3"'), "c"),
        (("--match", "level=3", "--match", "channel=tv"), ""),
        (("--order", "oldest"), "abc"),
        (("--order", "rating_desc"), "abc"),
        (("--order", "rating_asc"), "bac"),
        (("--limit", "2"), "cb"),
        (("--limit", "0"), "cba"),
        (("--all", "--order", "oldest"), "abc"),
    ],
)
def test_each_option_asks_for_what_it_says(
    invoke: Invoke, entries: list[FeedbackEntry], options: tuple[str, ...], expected: str
) -> None:
    """Every filter and order of `Query` is an option, and all that are given hold."""
    assert expected == ids(invoke("list", "--json", *options).stdout)
    assert expected == ids(invoke("list", "--format", "jsonl", "--all", *options).stdout) or (
        "--limit" in options
    )


def test_pages_follow_each_other(invoke: Invoke, entries: list[FeedbackEntry]) -> None:
    """The cursor that a page ends with gives the next one; the last page has none."""
    first = invoke("list", "--json", "--limit", "2")
    assert first.stderr.startswith("2 of 3 entries; the next page: --cursor ")
    cursor = first.stderr.split()[-1]
    second = invoke("list", "--json", "--limit", "2", "--cursor", cursor)
    assert ("cb", "a", "") == (ids(first.stdout), ids(second.stdout), second.stderr)


def test_a_cursor_belongs_to_a_page(invoke: Invoke) -> None:
    """--cursor with --all is wrong use."""
    assert 2 == invoke("list", "--all", "--cursor", "x").exit_code


def test_the_table_ends_with_the_total(invoke: Invoke, entries: list[FeedbackEntry]) -> None:
    """The table has a line for each entry, and says how many there are and how to go on."""
    lines = invoke("list", "--limit", "2").stdout.splitlines()
    assert "time" == lines[0].split()[0]
    assert ["2025-02-19", "2025-02-18"] == [line.split()[0] for line in lines[1:3]]
    assert lines[3].startswith("2 of 3 entries; the next page: --cursor ")
    assert "3 of 3 entries" == invoke("list", "--all").stdout.splitlines()[-1]
    assert "0 of 0 entries\n" == invoke("list", "--text", "nothing").stdout


@pytest.mark.parametrize("columns", ["1", "40", "80", "109", "110", "250"])
def test_the_table_fits_the_terminal(
    invoke: Invoke, store: FeedbackStore, monkeypatch: pytest.MonkeyPatch, columns: str
) -> None:
    """No line is wider than the terminal, and on a wide one an id stands on one line."""
    monkeypatch.setenv("COLUMNS", columns)
    key = "123e4567-e89b-12d3-a456-426614174000"
    store.add(entry(key, question="long " * 100, metadata=Metadata(explanation="x" * 500)))
    *table, _ = invoke("list").stdout.splitlines()
    if int(columns) >= 40:
        assert int(columns) >= max(len(line) for line in table)
    assert (int(columns) >= 110) == (key in "\n".join(table))


def test_a_long_table_lines_up(invoke: Invoke, store: FeedbackStore) -> None:
    """A table of any length has one header, and one width for each column."""
    store.add_many(entry(f"{i:04}", i / 1000) for i in range(450))
    header, *rows, total = invoke("list", "--all").stdout.splitlines()
    assert (450, "450 of 450 entries") == (len(rows), total)
    assert {header.index("question")} == {row.index("question") for row in rows}


def test_the_table_neutralises_escape_sequences(invoke: Invoke, store: FeedbackStore) -> None:
    """What users wrote cannot steer the terminal, nor be taken for markup."""
    evil = "\x1b]0;title\x07 \x9b31m [red]not markup[/red] \r\n\u202eback"
    store.add(entry("k\x1b[2J", question=evil, metadata=Metadata(issues=(evil,), explanation=evil)))
    output = invoke("list").stdout
    assert all(c == "\n" or c.isprintable() for c in output)
    assert "\\x1b" in output


def test_csv_has_its_columns(invoke: Invoke, entries: list[FeedbackEntry]) -> None:
    """CSV has the documented columns, with numbers as numbers and absent values empty."""
    rows = list(csv.DictReader(io.StringIO(invoke("list", "--format", "csv").stdout)))
    assert [list(CSV_COLUMNS)] * 3 == [list(row) for row in rows]
    newest, middle, oldest = rows
    assert ("", "0", "1") == (newest["rating"], middle["rating"], oldest["rating"])
    assert ("x; y", "Too LONG", "c1") == tuple(
        middle[name] for name in ("issues", "explanation", "conversation_id")
    )
    assert "2025-02-17T00:00:00.000Z" == oldest["timestamp"]


def test_the_help_names_the_columns_of_csv(invoke: Invoke) -> None:
    """The columns stand in the help of `list`, in their order."""
    assert ", ".join(CSV_COLUMNS) in " ".join(invoke("list", "--help").stdout.split())


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r"])
def test_no_cell_of_csv_is_a_formula(invoke: Invoke, store: FeedbackStore, start: str) -> None:
    """A text that a spreadsheet would run gets an apostrophe; a negative number does not."""
    formula = f"{start}1+1,\n2"
    store.add(entry("k", answer=formula, metadata=Metadata(response_time=-1.5)))
    output = invoke("list", "--format", "csv").stdout_bytes.decode()
    (row,) = csv.DictReader(io.StringIO(output, newline=""))
    assert ("'" + formula, "-1.5") == (row["answer"], row["response_time"])


def test_all_entries_stream(
    invoke: Invoke, store: FeedbackStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With --all, no shape asks for more entries than it is about to print."""
    ahead = 0
    worst = 0

    def scan(*_: object) -> Iterator[FeedbackEntry]:
        nonlocal ahead, worst
        for i in range(1000):
            ahead += 1
            worst = max(worst, ahead)
            yield entry(str(i))

    def count_down(found: FeedbackEntry) -> bytes:
        nonlocal ahead
        ahead -= 1
        return json.dumps({"id": found.id}).encode()

    monkeypatch.setattr(FeedbackStore, "scan", scan)
    monkeypatch.setattr("feedback_store.codec.encode", count_down)
    assert 1000 == len(invoke("list", "--all", "--json").stdout.splitlines())
    assert 1 == worst
