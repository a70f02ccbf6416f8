"""Parquet in a folder, a file for each month: ``month=2025-10/feedback.parquet``.

The form of folder names is Hive's, which query engines know: they read only the months that a query
asks for. On a disk the whole folder is exchanged for the new one at once; a bucket cannot do that,
and there each file is whole at every instant, but some may be new while others are old.
"""

import hashlib
from collections.abc import Iterator, Sequence
from itertools import groupby

from feedback_store.entry import FeedbackEntry
from feedback_store.errors import SnapshotError
from feedback_store.snapshot.manifest import FilePart, Manifest
from feedback_store.snapshot.material import Material
from feedback_store.snapshot.output import Output
from feedback_store.snapshot.parquet import ParquetFile, chunks_of
from feedback_store.snapshot.places import Folder, Tree

_CHUNK_BYTES = 1 << 20


def write_months(material: Material, tree: Tree) -> list[FilePart]:
    """Write a file for each month; return what they are, in the order of time."""
    parts: list[FilePart] = []
    for month, entries in groupby(material.entries(), key=month_of):
        path = f"month={month}/feedback.parquet"
        with tree.draft(path) as draft:
            with Output(draft.file) as output, ParquetFile(output) as file:
                for chunk in chunks_of(entries):
                    file.add(chunk)
            draft.publish()
        part = FilePart(
            name=path, entries=file.rows, size_bytes=output.size_bytes, sha256=output.sha256
        )
        parts.append(part)
    return parts


def month_of(entry: FeedbackEntry) -> str:
    """Return the UTC month of an entry: ``2025-10``."""
    return f"{entry.timestamp.year:04}-{entry.timestamp.month:02}"


def sum_of(parts: Sequence[FilePart]) -> str:
    """Return the SHA-256 of what ``sha256sum`` would print of the files."""
    listed = "".join(f"{part.sha256}  {part.name}\n" for part in parts)
    return hashlib.sha256(listed.encode()).hexdigest()


def verify_files(folder: Folder, name: str, told: Sequence[Manifest]) -> Manifest:
    """Return which snapshot a folder of files is.

    Raises:
        SnapshotError: it is none of those that the manifest tells of.
    """
    problems = []
    for one in told:
        problem = next(_differences(folder, name, one.files), None)
        if problem is None:
            return one
        problems.append(problem)
    raise SnapshotError(f"{name} is damaged, or was changed: {problems[0]}; export again")


def _differences(folder: Folder, name: str, files: Sequence[FilePart]) -> Iterator[str]:
    for part in files:
        hasher = hashlib.sha256()
        try:
            with folder.open(f"{name}/{part.name}") as file:
                while data := file.read(_CHUNK_BYTES):
                    hasher.update(data)
        except FileNotFoundError:
            yield f"{part.name} is missing"
        else:
            if hasher.hexdigest() != part.sha256:
                yield f"{part.name} is not as it was written"
