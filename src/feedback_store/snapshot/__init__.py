"""Snapshots: what a store holds, as one file that is always whole; and reading it back."""

from feedback_store.snapshot.exporting import export
from feedback_store.snapshot.forms import FORMATS
from feedback_store.snapshot.manifest import FilePart, Manifest
from feedback_store.snapshot.reading import read, verify

__all__ = ["FORMATS", "FilePart", "Manifest", "export", "read", "verify"]
