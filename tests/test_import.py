"""What `import feedback_store` costs, said in modules rather than in seconds."""

import subprocess
import sys

# Each belongs to one backend, one format or one tool, and is paid for by whoever uses that.
HEAVY = {
    "anyio",
    "apscheduler",
    "asyncio",
    "backports.zstd",
    "botocore",
    "cachetools",
    "cattrs",
    "click",
    "concurrent_log_handler",
    "fsspec",
    "hypothesis",
    "importlib.metadata",
    "portalocker",
    "prometheus_client",
    "psycopg",
    "pyarrow",
    "pyrage",
    "pytest",
    "pythonjsonlogger",
    "rich",
    "s3fs",
    "sqlite3",
    "trio",
}

PROGRAM = """
import sys
before = set(sys.modules)
import feedback_store
print(*sorted(set(sys.modules) - before), sep="\\n")
"""


def import_in_a_new_process() -> subprocess.CompletedProcess[str]:
    """Import the package where nothing else was imported, with warnings as errors."""
    command = [sys.executable, "-W", "error", "-c", PROGRAM]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


def test_the_core_imports_nothing_that_only_a_part_needs() -> None:
    """Importing the package imports no optional package, and no library of a single backend."""
    imported = set(import_in_a_new_process().stdout.split())
    assert "feedback_store" in imported
    assert set() == HEAVY & imported


def test_importing_is_silent() -> None:
    """Importing the package succeeds with warnings as errors, and prints nothing."""
    done = import_in_a_new_process()
    assert (0, "") == (done.returncode, done.stderr)
