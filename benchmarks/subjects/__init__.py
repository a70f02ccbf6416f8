"""What is measured: our stores, what people would use instead, and what the machine allows."""

import importlib

from benchmarks.subjects.base import Subject

NAMES = ("limit", "naive", "sqlite", "jsonl", "sqlitestore")
"""The subjects, ours last."""

PEERS = ("naive", "sqlite")
OURS = ("jsonl", "sqlitestore")
CACHED = ("cached", "cachedsqlite")
"""Ours with a layer around them, which only some rows ask."""

TITLES = {
    "limit": "limit",
    "naive": "naive JSONL",
    "sqlite": "sqlite3, tuned",
    "jsonl": "JsonlStore",
    "sqlitestore": "SqliteStore",
    "cached": "JsonlStore behind CachedStore",
    "cachedsqlite": "SqliteStore behind CachedStore",
}


def subject(name: str) -> type[Subject]:
    """Return the class of a subject; nothing else is imported, so that memory is its own."""
    module = importlib.import_module(f"benchmarks.subjects.{name}_subject")
    made: type[Subject] = module.Measured
    return made
