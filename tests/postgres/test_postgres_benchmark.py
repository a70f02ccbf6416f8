"""The benchmark of the PostgreSQL store runs, and prints the table that it promises."""

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
from pg_server import programs

ROOT = Path(__file__).parent.parent.parent


def test_the_store_is_measured_beside_sql_by_hand(tmp_path: Path) -> None:
    """Every row has both sides, their ratio, and what is wanted of it."""
    if find_spec("matplotlib") is None or programs() is None:
        pytest.skip("needs what benchmarks need, and a PostgreSQL of our own")
    command = [sys.executable, "-m", "benchmarks", "postgres", "--smoke", "--folder", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
    lines = [line for line in done.stdout.splitlines() if line.startswith("|")]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    assert [6] * 8 == [len(row) for row in rows]
    assert [] == [row for row in rows if not all(row)]
