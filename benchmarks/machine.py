"""What has to be known of a machine before its figures mean anything; nothing that names it."""

import os
import platform
import sqlite3
import time
from importlib.metadata import version
from pathlib import Path
from statistics import median

import msgspec

_SYNCS = 200


def sync_seconds(folder: Path) -> float:
    """Return what one fdatasync after a write of 901 bytes costs here, the median of many."""
    path = folder / "sync"
    each: list[float] = []
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for _ in range(_SYNCS):
        os.write(file, b"\n".rjust(901))
        began = time.perf_counter()
        os.fdatasync(file)
        each.append(time.perf_counter() - began)
    os.close(file)
    path.unlink()
    return median(each)


def facts(*syncs: float) -> str:
    """Return a sentence about cores, versions, and what a sync cost at different times."""
    costs = " to ".join(f"{seconds * 1e6:.0f}" for seconds in sorted(syncs))
    return f"{setting()}; an fdatasync costs {costs} µs; the page cache is warm."


def setting(*packages: str) -> str:
    """Return how many cores there are, and which versions, those of some packages too."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    versions = [
        f"{platform.python_implementation()} {platform.python_version()}",
        f"SQLite {sqlite3.sqlite_version}",
        f"msgspec {msgspec.__version__}",
        *(f"{package} {version(package)}" for package in packages),
        f"{platform.system()} on {platform.machine()}",
    ]
    return f"{cores} cores; {', '.join(versions)}"
