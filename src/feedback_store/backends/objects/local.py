"""Objects on this machine's disk, where fsspec syncs nothing and lists by halves."""

import builtins
import os
from pathlib import Path

from feedback_store.backends.objects.bucket import Bucket
from feedback_store.backends.objects.naming import ObjectName
from feedback_store.errors import StoreUnavailableError
from feedback_store.failures import in_words

_LOOKS = 100


class LocalBucket(Bucket):
    """The objects of a store in a folder of this machine."""

    def list(self, folder: str = "") -> "tuple[builtins.list[ObjectName], builtins.list[str]]":
        """See `Bucket.list`. Names come in no order here, so it is done until two are the same.

        Else one listing could miss what was removed meanwhile, and also what replaced it.
        """
        before = super().list(folder)
        for _ in range(_LOOKS):
            found = super().list(folder)
            if found == before:
                break
            before = found
        return before

    def _put(self, path: str, data: bytes) -> None:
        """Under another name first, synced, renamed; then the folders."""
        _write(Path(path), data)

    def worded(self, error: Exception) -> StoreUnavailableError:
        """See `Bucket.worded`. A disk has a word for what is wrong, and no secret."""
        if isinstance(error, OSError) and error.errno is not None:
            return in_words(error, self.shown)
        return super().worded(error)


def _write(target: Path, data: bytes) -> None:
    folders = _make_folder(target.parent)
    temporary = target.with_name(f"{target.name}.tmp")  # no name is ever used twice
    try:
        with temporary.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    for folder in (target.parent, *folders):
        _sync(folder)


def _make_folder(folder: Path) -> list[Path]:
    """Make a folder and those above it; return those in which one was made."""
    if folder.is_dir():
        return []
    made = _make_folder(folder.parent)
    folder.mkdir(exist_ok=True)
    return [folder.parent, *made]


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
