"""Snapshots: what a store holds, as one file that is always whole; and reading it back."""

from feedback_store.snapshot.exporting import export
from feedback_store.snapshot.forms import FORMATS
from feedback_store.snapshot.manifest import FilePart, Manifest
from feedback_store.snapshot.reading import read, verify
from feedback_store.snapshot.schedule import SnapshotSchedule
from feedback_store.snapshot.schedule_exports import ScheduleStatus
from feedback_store.snapshot.schedule_times import parse_every

__all__ = [
    "FORMATS",
    "FilePart",
    "Manifest",
    "ScheduleStatus",
    "SnapshotSchedule",
    "export",
    "parse_every",
    "read",
    "verify",
]
