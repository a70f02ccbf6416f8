"""Older snapshots, kept beside the newest under names that tell their time.

The newest has its name always. Before it is replaced, what is there gets a second name:
``feedback.json`` is kept as ``feedback.2025-10-05T120000Z.json``, with a manifest of its own.
"""

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from feedback_store.snapshot.forms import stem_of
from feedback_store.snapshot.manifest import Manifest, manifest_name, to_bytes
from feedback_store.snapshot.places import Folder

_TIME = "%Y-%m-%dT%H%M%S.%fZ"
_TOLD = re.compile(r"\d{4}-\d\d-\d\dT\d{6}\.\d{6}Z")


def kept_name(name: str, time: datetime) -> str:
    """Return the name under which a snapshot of that time is kept."""
    stem, suffixes = stem_of(name)
    return f"{stem}.{time.astimezone(UTC).strftime(_TIME)}{suffixes}"


def kept(folder: Folder, name: str) -> list[tuple[datetime, str]]:
    """Return those that are kept, the newest first, with their times."""
    stem, suffixes = stem_of(name)
    found = []
    for other in folder.names():
        told = other.removeprefix(f"{stem}.").removesuffix(suffixes)
        if other == f"{stem}.{told}{suffixes}" and _TOLD.fullmatch(told):
            time = datetime.strptime(told, _TIME).replace(tzinfo=UTC)
            found.append((time, other))
    return sorted(found, reverse=True)


def keep(folder: Folder, name: str, present: Sequence[Manifest]) -> None:
    """Give what is there now a second name.

    Args:
        folder: where it is.
        name: its name.
        present: what may be there, by its manifest; none where nothing is known of it.
    """
    status = folder.size(name)
    if status is None:
        return
    time = present[0].created_at if present else datetime.fromtimestamp(status[1], UTC)
    second = kept_name(name, time)
    if present:
        folder.write(manifest_name(second), to_bytes(present[0], present[1:]))
    folder.keep(name, second)


def prune(folder: Folder, name: str, count: int | None, age: timedelta | None) -> None:
    """Remove those beyond a number or an age; where neither is told, none."""
    oldest = None if age is None else datetime.now(UTC) - age
    for place, (time, other) in enumerate(kept(folder, name)):
        if (count is not None and place >= count) or (oldest is not None and time < oldest):
            folder.remove(other)
            folder.remove(manifest_name(other))
