"""Feedback in a folder of month files."""

from feedback_store.backends.jsonl.store import JsonlStore

__all__ = ["JsonlStore"]
