"""An export takes constant memory: as much for many entries as for few."""

import subprocess
import sys
from pathlib import Path

import pytest
from jsonl_harness import DEEP

ENTRIES = 1_000_000 if DEEP else 60_000
FORMATS = ("json", "jsonl.gz", "csv", "parquet")

# What the interpreter, the library and the store's index take: some 50 bytes an entry.
LIMIT_MB = 150 if DEEP else 60
PYARROW_MB = 0 if DEEP else 65

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
    """A folder of month files with many entries."""
    path = tmp_path_factory.mktemp("many") / "store"
    subprocess.run([sys.executable, "-c", BUILD, str(path), str(ENTRIES)], check=True)
    return path


@pytest.mark.timeout(600)
@pytest.mark.parametrize("suffix", FORMATS)
def test_an_export_takes_constant_memory(folder: Path, tmp_path: Path, suffix: str) -> None:
    """The peak of a process that exports all there is stays under a bound."""
    if suffix == "parquet":
        pytest.importorskip("pyarrow")
    command = [sys.executable, "-c", EXPORT, str(folder), str(tmp_path / f"f.{suffix}")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    number, peak_mb = map(int, done.stdout.split())
    assert ENTRIES == number
    assert peak_mb < LIMIT_MB + (PYARROW_MB if suffix == "parquet" else 0)
