"""The benchmarks run, and print the tables that they promise. No figure in them is looked at."""

import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from benchmarks import asked, page
from benchmarks.__main__ import main
from benchmarks.building import build
from benchmarks.entries import DataSet, line_of, timestamp_of
from benchmarks.objects.operations import OPERATIONS, sentence_on
from benchmarks.rows import DECIDING, REMEMBERED, ROWS, SIZED
from benchmarks.subjects import OURS, PEERS, subject
from benchmarks.subjects.counts import Counts

from feedback_store import Stats, decode, encode

ROOT = Path(__file__).parent.parent


def tables_of(*arguments: str, folder: Path) -> list[list[list[str]]]:
    """Run the benchmarks at their smallest; return the cells of the tables that they print."""
    command = [sys.executable, "-m", "benchmarks", *arguments, "--smoke", "--folder", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
    blocks = [block.splitlines() for block in done.stdout.split("\n\n") if block.startswith("|")]
    return [[[c.strip() for c in line.strip("|").split("|")] for line in b] for b in blocks]


def test_the_comparison_has_every_row_and_a_ratio_in_each(tmp_path: Path) -> None:
    """Every operation is measured for ours and a peer, and ours are put into relation."""
    (header, rule, *rows), again, (_, _, *deciding) = tables_of(folder=tmp_path)
    assert {len(header)} == {len(row) for row in [rule, *rows]}
    assert [row.title for row in ROWS] == [row[0] for row in rows]
    for title in ["JsonlStore", "SqliteStore"]:
        columns = [header.index(title), header.index(f"{title} : best peer")]
        assert [] == [row[0] for row in rows if not all(row[column] for column in columns)]
    assert list(DECIDING) == [row[0] for row in deciding if all(row)]
    assert list(REMEMBERED) == [row[0] for row in again[2:] if all(row)]
    assert [] == list(tmp_path.iterdir())


def test_growth_has_a_ratio_in_each_row(tmp_path: Path) -> None:
    """Adding, updating and reading are compared between two sizes, for both of ours."""
    ((header, _, *rows),) = tables_of("growth", folder=tmp_path)
    assert "ratio" == header[4]
    assert [] == [row[:2] for row in rows if float(row[4]) <= 0]
    every = {"durable add", "durable update", "get, warm", "statistics, warm"}
    for title in ("JsonlStore", "SqliteStore"):
        assert every < {row[1] for row in rows if row[0] == title}


def test_ours_are_measured_at_three_sizes(tmp_path: Path) -> None:
    """Every row of them has three figures, for both of ours, and for the cache where it answers."""
    ((header, _, *rows),) = tables_of("sizes", folder=tmp_path)
    assert 6 == len(header)
    assert [] == [row for row in rows if not all(row)]
    stores = {title: {row[2] for row in rows if row[0] == title} for title in SIZED}
    assert {2, 4} == set(map(len, stores.values()))
    assert set(REMEMBERED) == {title for title, names in stores.items() if len(names) == 4}


def test_what_the_object_store_asks_of_a_bucket(tmp_path: Path) -> None:
    """Loads, operations and adds have their tables, and every cell in them is filled."""
    if missing := [name for name in ("s3fs", "moto", "flask", "anyio") if find_spec(name) is None]:
        pytest.skip(f"not installed: {', '.join(missing)}")
    loads, operations, adds = tables_of("objects", folder=tmp_path)
    assert [] == [row for rows in (loads, operations, adds) for row in rows if not all(row)]
    assert ["on", "off"] * 2 == [row[1] for row in loads[2:]]
    assert [operation.title for operation in OPERATIONS] == [row[0] for row in operations[2:]]
    assert ["threads", "tasks"] == [row[0].split()[1] for row in adds[2:]]
    requests = {row[0]: dict(zip(operations[0], row, strict=True)) for row in operations[2:]}
    assert ("1", "0") == (requests["get, warm"]["LIST"], requests["get, warm"]["GET"])
    assert "1" == requests["add"]["PUT"]


def test_a_month_that_a_page_needs_not_is_told() -> None:
    """The sentence below the table says which objects the page fetched, and complains of others."""
    assert "fetched objects of 2025-10, and no other" in sentence_on(["2025-10"])
    assert "does not ask for:** 2025-08, 2025-11" in sentence_on(["2025-08", "2025-10", "2025-11"])
    assert "of no month" in sentence_on([])


def test_the_docs_take_all_rows_or_none(capsys: pytest.CaptureFixture[str]) -> None:
    """A part of the rows is never written over all of them."""
    with pytest.raises(SystemExit):
        main(["--write", "--only", "get"])
    assert "--write goes without --only" in capsys.readouterr().err


def odd_entries(data: DataSet) -> Iterator[dict[str, Any]]:
    """Yield entries of every class of rating, without sources, and with a source of no type."""
    oddities: list[dict[str, Any]] = [
        {"rating": None, "sources": []},
        {"rating": 0.5, "sources": [{"title": "A"}, {"title": "B", "type": "faq"}]},
        {"rating": 0.25, "metadata": {"issues": ["inaccurate", "Ü"]}},
    ]
    for i, entry in enumerate(data.mappings(data.size, 90)):
        yield entry | oddities[i % len(oddities)]


def told(stats: object) -> dict[str, Any]:
    """Return all that statistics tell, whoever made them."""
    if isinstance(stats, Counts):
        types = {kind: Counter(ratings) for kind, ratings in stats.types.items()}
        groups = {kind: (n.total(), n[1], n.total() - n[None]) for kind, n in types.items()}
        return vars(stats) | {"types": groups}
    assert isinstance(stats, Stats)
    assert stats.first is not None
    assert stats.last is not None
    classes = {1: stats.positive, 0: stats.neutral, -1: stats.negative, None: stats.unrated}
    return {
        "ratings": classes,
        "months": stats.by_month,
        "issues": stats.by_issue,
        "types": {k: (g.total, g.positive, g.rated) for k, g in stats.by_source_type.items()},
        "responses": stats.response_time_count,
        "response_us": stats.response_time_total_us,
        "first": timestamp_of(stats.first),
        "last": timestamp_of(stats.last),
    }


def test_all_subjects_give_the_same_answers(tmp_path: Path) -> None:
    """Peers are asked for all that ours tell, so that the figures are about the same thing."""
    data = DataSet(1200)
    answers: list[list[object]] = []
    for name in PEERS + OURS:
        build(name, tmp_path / name, data)
        made = subject(name)(tmp_path / name, synced=False)
        for entry in odd_entries(data):
            made.add(made.prepare(entry))
        found = made.page(), made.search()
        totals = [answer.total for answer in found]
        assert totals[0] > asked.LIMIT
        assert totals[1] > 0
        ids = [getattr(e, "id", None) or e["message_id"] for page in found for e in page.entries]
        answers.append([totals, ids, told(made.stats()), made.count()])
        made.close()
    assert [answers[0]] * len(answers) == answers


@pytest.mark.parametrize("months", [1, 3])
def test_the_entries_are_what_the_docs_say(months: int) -> None:
    """They take 901 bytes a line, come in the order of time, and are written as ours are."""
    data = DataSet(3000, months)
    lines = [line_of(mapping) for mapping in data.mappings(0, data.size)]
    assert 901 == pytest.approx(sum(map(len, lines)) / len(lines) + 1, abs=5)
    assert lines[:100] == [encode(decode(line)) for line in lines[:100]]
    times = [decode(line).timestamp for line in lines]
    assert sorted(times) == times
    assert data.names() == sorted({f"{time:%Y-%m}" for time in times})


@pytest.mark.parametrize("section", page.PAGES)
def test_every_section_has_its_place(section: str) -> None:
    """What is measured for an hour has somewhere to go."""
    text = page.PAGES[section].read_text("utf-8")
    assert text.count(f"<!-- {section}: begin -->") == text.count(f"<!-- {section}: end -->") == 1


def test_a_section_of_the_page_is_replaced(tmp_path: Path) -> None:
    """Only what stands between the markers changes, however often; no section is an error."""
    text = "before\n<!-- growth: begin -->\nold\n<!-- growth: end -->\nafter\n"
    file = tmp_path / "page.md"
    file.write_text(text, "utf-8")
    for _ in range(2):
        page.write("growth", "new", file)
    assert text.replace("old", "\nnew\n") == file.read_text("utf-8")
    with pytest.raises(ValueError, match="comparison"):
        page.write("comparison", "new", file)
