"""What stands beside a snapshot, and lets whoever finds it know that it is whole.

The manifest of ``feedback.json`` is ``feedback.json.manifest.json``. Two files cannot be replaced
at once: so the manifest goes first, and tells of the snapshot that it announces and of the one
that may still be there. Whichever of the two a reader finds beside it, at any instant and after
any crash, is told of in full.
"""

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import attrs

from feedback_store.codec import format_time
from feedback_store.errors import SnapshotError

MANIFEST_SUFFIX = ".manifest.json"
VERSION = 1


def manifest_name(name: str) -> str:
    """Return the name of the manifest of a snapshot."""
    return name + MANIFEST_SUFFIX


@attrs.frozen(kw_only=True)
class FilePart:
    """A file of a snapshot that is a folder of several.

    Attributes:
        name: its path below the folder.
        entries: how many entries it holds.
        size_bytes: its size, in bytes.
        sha256: the SHA-256 of its bytes, in hexadecimal digits.
    """

    name: str
    entries: int
    size_bytes: int
    sha256: str


@attrs.frozen(kw_only=True)
class Manifest:
    """What a snapshot is.

    Attributes:
        format: ``json``, ``jsonl``, ``csv``, ``parquet``, ``kto``, ``dpo``, or ``raw`` before the
            first two for the rows of a table as they are.
        compression: ``".gz"``, ``".zst"``, or nothing.
        encrypted: whether it is encrypted.
        entries: how many entries or rows are in it.
        skipped: how many matched and are not in it: training data takes only what it can use.
        whole: whether all entries were asked for, and no query chose among them.
        first: the time of the earliest entry; None where there is none, or it is not known.
        last: the time of the latest.
        version: the store's version token when the snapshot was begun, where it has one.
        created_at: when the snapshot was begun.
        size_bytes: the size of the file, or of all of its files, in bytes.
        sha256: the SHA-256 of the file's bytes, in hexadecimal digits; of a folder, that of the
            ``sha256sum`` list of its files.
        files: the files of a folder; none for a single file.
    """

    format: str
    compression: str = ""
    encrypted: bool = False
    entries: int
    skipped: int = 0
    whole: bool = True
    first: datetime | None = None
    last: datetime | None = None
    version: str | None = None
    created_at: datetime
    size_bytes: int
    sha256: str
    files: tuple[FilePart, ...] = ()


def to_bytes(snapshot: Manifest, before: Sequence[Manifest]) -> bytes:
    """Return the manifest of a snapshot, which also tells of those that may still be there."""
    shown = {
        "manifest": VERSION,
        "snapshot": to_mapping(snapshot),
        "before": [to_mapping(one) for one in before],
    }
    return json.dumps(shown, indent=2, ensure_ascii=False).encode() + b"\n"


def to_mapping(snapshot: Manifest) -> dict[str, Any]:
    """Return a manifest as the JSON object that it is written as."""
    shown: dict[str, Any] = attrs.asdict(snapshot)
    for name in ("first", "last", "created_at"):
        if shown[name] is not None:
            shown[name] = format_time(shown[name])
    return shown


def from_bytes(data: bytes, name: str) -> tuple[Manifest, ...]:
    """Return the snapshots that a manifest tells of: the one announced, then what was before it.

    Raises:
        SnapshotError: it is no manifest, or one of a newer version of this library.
    """
    try:
        told = json.loads(data)
        version = told["manifest"]
        if version == VERSION:
            return tuple(_read(one) for one in (told["snapshot"], *told["before"]))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        msg = f"{name} is no manifest of a snapshot, or was damaged; export again"
        raise SnapshotError(msg) from error
    msg = f"{name} has version {version!r} of the manifest, and {VERSION} is known here; upgrade"
    raise SnapshotError(msg)


def _read(told: dict[str, Any]) -> Manifest:
    names = {field.name for field in attrs.fields(Manifest)}
    given = {name: value for name, value in told.items() if name in names}
    for name in ("first", "last", "created_at"):
        if given.get(name) is not None:
            given[name] = datetime.fromisoformat(given[name])
    given["files"] = tuple(FilePart(**part) for part in given.get("files", ()))
    return Manifest(**given)
