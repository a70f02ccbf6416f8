"""Feedback in one SQLite file."""

from feedback_store.backends.sqlite.store import SqliteStore

__all__ = ["SqliteStore"]
