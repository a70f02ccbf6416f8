"""What the tests of snapshots share."""

import json
from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path
from typing import Any

from jsonl_harness import NOON, an_entry

from feedback_store import FeedbackEntry, FeedbackStore
from feedback_store.backends.memory import MemoryStore


def store_of(entries: Iterable[FeedbackEntry]) -> FeedbackStore:
    """Return a store in memory that holds entries."""
    store = FeedbackStore(MemoryStore())
    store.add_many(entries)
    return store


def some_entries(number: int = 3, **fields: Any) -> list[FeedbackEntry]:  # noqa: ANN401  # any field's value
    """Return entries of several months, the oldest first."""
    return [
        an_entry(f"m-{i:04}", timestamp=NOON + i * timedelta(days=20), **fields)
        for i in range(number)
    ]


def manifest_of(target: Path) -> dict[str, Any]:
    """Return what the manifest of a snapshot says of it."""
    told: dict[str, Any] = json.loads(Path(f"{target}.manifest.json").read_bytes())["snapshot"]
    return told
