"""An export takes constant memory: as much for many entries as for few."""

import subprocess
import sys
from pathlib import Path

import pytest
from jsonl_harness import DEEP

FEW, MANY = 3_000, 1_000_000 if DEEP else 60_000
FORMATS = ("json", "jsonl.gz", "csv", "parquet")

# The store's index takes 50 bytes an entry; the entries themselves, 900 each, would take 54 MB.
GROWTH_MB = 80 if DEEP else 25
LIMIT_MB = 150

BUILD = """
import sys
from datetime import UTC, datetime, timedelta
from feedback_store import FeedbackEntry, open_store

start = datetime(2024, 1, 1, tzinfo=UTC)
with open_store(sys.argv[1], durability="os") as store:
    store.add_many(
        FeedbackEntry(message_id=f"m-{i:08}", question="?" * 80, answer="x" * 700, rating=i % 2,
                      timestamp=start + i * timedelta(seconds=80))
        for i in range(int(sys.argv[2]))
    )
"""
EXPORT = """
import sys
from pathlib import Path
from feedback_store import open_store

with open_store(sys.argv[1]) as store:
    written = store.export(sys.argv[2])
# Not ru_maxrss: a child inherits its parent's peak there.
status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
print(written.entries, int(status["VmHWM"].split()[0]) // 1024)
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two stores: of few entries, and of many."""
    path = tmp_path_factory.mktemp("stores")
    for number in (FEW, MANY):
        build = [sys.executable, "-c", BUILD, str(path / str(number)), str(number)]
        subprocess.run(build, check=True)
    return path


def peak_mb(store: Path, target: Path) -> int:
    """Return the peak of a process that exports all of a store."""
    command = [sys.executable, "-c", EXPORT, str(store), str(target)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    number, peak_mb = map(int, done.stdout.split())
    assert int(store.name) == number
    return peak_mb


@pytest.mark.timeout(600)
@pytest.mark.parametrize("suffix", FORMATS)
def test_an_export_takes_constant_memory(folder: Path, tmp_path: Path, suffix: str) -> None:
    """The peak of a process hardly grows with what there is to export."""
    if suffix == "parquet":
        pytest.importorskip("pyarrow")
    few, many = (peak_mb(folder / str(n), tmp_path / f"{n}.{suffix}") for n in (FEW, MANY))
    assert many - few < GROWTH_MB
    assert many < LIMIT_MB
