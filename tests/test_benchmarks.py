"""The benchmarks run, and print the tables that they promise. No figure in them is looked at."""

import subprocess
import sys
from pathlib import Path

import pytest
from benchmarks import page
from benchmarks.entries import DataSet, line_of
from benchmarks.rows import ROWS

from feedback_store import decode, encode

ROOT = Path(__file__).parent.parent


def rows_of(*arguments: str, folder: Path) -> list[list[str]]:
    """Run the benchmarks at their smallest; return the cells of what they print."""
    command = [sys.executable, "-m", "benchmarks", *arguments, "--smoke", "--folder", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
    lines = [line for line in done.stdout.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_the_comparison_has_every_row_and_a_ratio_in_each(tmp_path: Path) -> None:
    """Every operation is measured for ours and a peer, and ours is put into relation."""
    header, rule, *rows = rows_of(folder=tmp_path)
    assert {len(header)} == {len(row) for row in [rule, *rows]}
    assert [row.title for row in ROWS] == [row[0] for row in rows]
    assert [] == [row[0] for row in rows if not (row[5] and row[6])]
    assert [] == list(tmp_path.iterdir())


def test_growth_has_a_ratio_in_each_row(tmp_path: Path) -> None:
    """Adding, updating and reading are compared between two sizes."""
    header, _, *rows = rows_of("growth", folder=tmp_path)
    assert "ratio" == header[3]
    assert {"durable add", "durable update", "get, warm"} < {row[0] for row in rows}
    assert [] == [row[0] for row in rows if float(row[3]) <= 0]


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
