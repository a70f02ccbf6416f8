"""What every subject can be asked for; each does what it can."""

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple


def put_in_place(path: Path, pieces: Iterable[bytes]) -> None:
    """Write a file as a careful engineer does: beside it, synced, renamed, the folder synced."""
    temporary = path.with_suffix(".tmp")
    with temporary.open("wb") as file:
        file.writelines(pieces)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    os.fsync(folder)
    os.close(folder)


class Found(NamedTuple):
    """A page of an answer.

    Attributes:
        total: how many entries match in all.
        entries: the first of them.
    """

    total: int
    entries: Sequence[Any]


class Subject:
    """A store of feedback in a folder.

    Args:
        folder: where it is, or is to be made.
        synced: whether a write is acknowledged only when the medium has it.
    """

    def __init__(self, folder: Path, *, synced: bool = True) -> None:
        self.folder = folder
        self.synced = synced

    def prepare(self, mapping: dict[str, Any]) -> Any:  # noqa: ANN401  # each takes entries in its own form
        """Return the entry as an app of this subject has it in hand before it stores it."""
        return mapping

    def add(self, entry: Any) -> None:  # noqa: ANN401  # as above
        """Store one entry."""
        raise NotImplementedError

    def add_many(self, entries: Sequence[Any]) -> None:
        """Store many entries at once."""
        raise NotImplementedError

    def update(self, id: str, explanation: str) -> None:
        """Change the explanation of an entry."""
        raise NotImplementedError

    def get(self, id: str) -> object:
        """Return the entry, or raise KeyError."""
        raise NotImplementedError

    def load(self) -> Sequence[object]:
        """Return all entries."""
        raise NotImplementedError

    def scan(self) -> int:
        """Look at every entry, keep none, and say how many there were."""
        raise NotImplementedError

    def count(self) -> int:
        """Return how many entries there are."""
        raise NotImplementedError

    def stats(self) -> object:
        """Return all that `feedback_store.Stats` tells."""
        raise NotImplementedError

    def page(self) -> Found:
        """Return the newest negative entries with an issue of some days, and how many there are.

        What is asked for stands in `benchmarks.asked`, as for a search.
        """
        raise NotImplementedError

    def search(self) -> Found:
        """Return the newest entries with a text in them, and how many there are."""
        raise NotImplementedError

    @property
    def target(self) -> Path:
        """Where a snapshot goes: outside the folder, whose files are counted."""
        return self.folder.parent / f"{self.folder.name}.json"

    def snapshot(self) -> object:
        """Write all entries as one JSON array, so that a reader finds the old or the new one."""
        raise NotImplementedError

    def compact(self) -> None:
        """Give back the space of what was superseded."""
        raise NotImplementedError

    def close(self) -> None:
        """Close what is open."""
