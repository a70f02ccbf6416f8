"""What is measured: our stores, what people would use instead, and what the machine allows."""

import importlib

from benchmarks.subjects.base import Subject

NAMES = ("limit", "naive", "sqlite", "jsonl", "sqlitestore")
"""The subjects, ours last."""

PEERS = ("naive", "sqlite")
OURS = ("jsonl", "sqlitestore")
CACHED = "cached"
"""Ours with a layer around it, which only some rows ask."""

TITLES = {
    "limit": "limit",
    "naive": "naive JSONL",
    "sqlite": "sqlite3, tuned",
    "jsonl": "JsonlStore",
    "sqlitestore": "SqliteStore",
    CACHED: "JsonlStore behind CachedStore",
}


def subject(name: str) -> type[Subject]:
    """Return the class of a subject; nothing else is imported, so that memory is its own."""
    module = importlib.import_module(f"benchmarks.subjects.{name}_subject")
    made: type[Subject] = module.Measured
    return made
