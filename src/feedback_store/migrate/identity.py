"""What a file was when it was read: a migration must not move what has changed since."""

from pathlib import Path
from typing import NamedTuple

from feedback_store.errors import StoreUnavailableError


class Identity(NamedTuple):
    """What tells a file from what it was before, and from any other."""

    device: int
    inode: int
    size_bytes: int
    changed_ns: int

    @classmethod
    def of(cls, path: Path) -> "Identity":
        """Return that of a file that is there."""
        found = path.stat()
        return cls(found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns)


def check_unchanged(path: Path, identity: Identity) -> None:
    """See that a file is what it was when it was planned.

    Raises:
        StoreUnavailableError: it is not.
    """
    try:
        is_same = Identity.of(path) == identity
    except FileNotFoundError:
        is_same = False
    if not is_same:
        msg = (
            f"{path}: the file has changed since it was planned, perhaps somebody still writes "
            "to it; see that nobody does, and migrate again: what is there stays"
        )
        raise StoreUnavailableError(msg)
