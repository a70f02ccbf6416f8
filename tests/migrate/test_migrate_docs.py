"""The page on migration leaves nothing out."""

import re
from pathlib import Path

import attrs
import pytest

from feedback_store.mapping import VOTES_COLUMNS, Assumption
from feedback_store.migrate import FileReport, Kind, Report
from feedback_store.migrate.recognising import SUFFIXES

PAGE = (Path(__file__).parents[2] / "docs" / "reference" / "migration.md").read_text("utf-8")
ROWS = re.findall(r"^\| (.+?) \|", PAGE, re.MULTILINE)


def test_every_assumption_is_documented() -> None:
    """Each has a row, in the order in which reports tell them, and no other row looks like one."""
    told = [row.strip("`") for row in ROWS if re.fullmatch(r"`[a-z_]+`", row)]
    expected = [str(assumption) for assumption in Assumption]
    assert expected == [name for name in told if name in expected]
    assert set(told) <= {*expected, *VOTES_COLUMNS, "table", "other"}


def test_every_kind_is_documented() -> None:
    """Each has a row, in the order in which they are read."""
    kinds = [str(kind) for kind in Kind]
    assert kinds == [row.strip("`") for row in ROWS if row.strip("`") in kinds]


@pytest.mark.parametrize("column", VOTES_COLUMNS)
def test_every_column_of_votes_is_documented(column: str) -> None:
    """Each stands in the table of what becomes of it."""
    assert any(f"`{column}`" in row for row in ROWS)


def test_every_key_of_a_report_is_documented() -> None:
    """What the JSON has is told, and so are the names that are looked into."""
    keys = {*Report(source="x").as_json(), *(field.name for field in attrs.fields(FileReport))}
    counts = {"rows", "entries", "superseded", "added", "unchanged", "conflicting", "in_place"}
    assert set() == {key for key in keys - counts if f"`{key}`" not in PAGE}
    assert set() == {suffix for suffix in SUFFIXES if f"`{suffix}`" not in PAGE}
