"""A snapshot as a source of entries: trusted only after its manifest."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from feedback_store import snapshot
from feedback_store.cli.source import Row
from feedback_store.cli.terminal import without_secrets
from feedback_store.snapshot.manifest import manifest_name

_ABOUT_BYTES = 1024
"""What an entry is taken for, since its size is not known: a batch ends by their number."""


def is_snapshot(path: str) -> bool:
    """Say whether a source is to be trusted only after its manifest: it has one, or is a URL."""
    if path == "-":
        return False
    return "://" in path or Path(manifest_name(path)).is_file()


class SnapshotSource:
    """A snapshot with its manifest: nothing of it is given before all of it is verified.

    Args:
        path: a path or URL.
        identities: keys that can read it, where it is encrypted.
    """

    size_bytes: int | None = None
    position_bytes = 0

    def __init__(self, path: str, identities: Sequence[str]) -> None:
        self.name = without_secrets(path)
        self._path = path
        self._identities = identities

    def rows(self) -> Iterator[Row]:
        """Yield every entry."""
        entries = snapshot.read(self._path, identities=self._identities)
        for number, entry in enumerate(entries, 1):
            yield Row(where=f"{self.name}: item {number}", entry=entry, size_bytes=_ABOUT_BYTES)
