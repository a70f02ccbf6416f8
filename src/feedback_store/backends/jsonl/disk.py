"""The seam to the disk: every byte that the store reads or writes goes through a `Disk`.

It is as narrow as the store's needs, so that a simulated disk can take its place in tests: one
that forgets what was not synced, fails at the n-th call, or stops at any of them. Everything
raises ``OSError`` as the system does; the store words it for people.
"""

from typing import NamedTuple, Protocol


class FileStatus(NamedTuple):
    """What the system tells of a file or folder.

    Attributes:
        inode: its number on its device; it may come back once a file is gone.
        size_bytes: its size.
        modified_ns: when it was last changed, in nanoseconds since 1970.
        mode: its permission bits.
        owner: the ids of its user and its group.
    """

    inode: int
    size_bytes: int
    modified_ns: int
    mode: int
    owner: tuple[int, int]


class Readable(Protocol):
    """Something open for reading. It closes itself when nobody holds it any longer."""

    def status(self) -> FileStatus:
        """Return the status of the open file, whatever its name leads to by now."""
        ...

    def size(self) -> int:
        """Return how many bytes can be read."""
        ...

    def read(self, offset: int, size: int) -> bytes:
        """Return up to ``size`` bytes from ``offset``; fewer only at the end of the file."""
        ...

    def sync(self, *, rights: bool = False) -> None:
        """Make the file's bytes durable, and its size, but not its name.

        Args:
            rights: whether its mode and owner must be durable too, which may cost more.
        """
        ...

    def close(self) -> None:
        """Close the file; may be repeated."""
        ...


class File(Readable, Protocol):
    """An open file."""

    def append(self, data: bytes) -> int:
        """Write at the end of the file, by one call; return how many bytes were taken."""
        ...

    def truncate(self, size: int) -> None:
        """Cut the file to ``size`` bytes."""
        ...

    def map(self) -> memoryview:
        """Return the whole file, read-only, without reading it yet; for files that never change."""
        ...

    def set_owner(self, user: int, group: int) -> None:
        """Give the file to a user and a group."""
        ...

    def lock(self, timeout_s: float) -> bool:
        """Lock the file itself, as older writers do; False when that took too long."""
        ...

    def unlock(self) -> None:
        """Free the lock on the file itself."""
        ...


class FileLock(Protocol):
    """A lock between processes, freed by the kernel when its holder dies."""

    def acquire(self, timeout_s: float) -> bool:
        """Take the lock, or return False when another held it for all that time.

        Raises:
            FileNotFoundError: the file is not there, so that nobody could share the lock.
        """
        ...

    def release(self) -> None:
        """Free the lock."""
        ...

    def close(self) -> None:
        """Close the file of the lock, without freeing what a parent process holds."""
        ...


class Disk(Protocol):
    """A filesystem. Paths are absolute; a name is durable once its folder is synced."""

    def status(self, path: str) -> FileStatus | None:
        """Return the status of what the path leads to, or None when there is nothing."""
        ...

    def list(self, folder: str) -> list[str]:
        """Return the names in a folder, none when it is not there."""
        ...

    def open(self, path: str) -> File:
        """Open a file for reading."""
        ...

    def open_append(self, path: str) -> File:
        """Open a file that exists for reading and for writing at its end."""
        ...

    def create(self, path: str, mode: int) -> File:
        """Make a file that must not exist, with exactly this mode, open as `open_append` does."""
        ...

    def rename(self, source: str, target: str) -> None:
        """Put a file in the place of another, as one step."""
        ...

    def exchange(self, a: str, b: str) -> None:
        """Let two files change their names, as one step."""
        ...

    def unlink(self, path: str) -> None:
        """Remove a name; no error when it is not there."""
        ...

    def make_folder(self, path: str, mode: int) -> bool:
        """Make a folder with exactly this mode; return False when it is there already."""
        ...

    def sync_folder(self, path: str) -> None:
        """Make the names in a folder durable."""
        ...

    def touch_folder(self, path: str) -> None:
        """Set a folder's time of change to now: whoever looks at it looks again."""
        ...

    def set_mode(self, path: str, mode: int) -> None:
        """Give what the path leads to a mode."""
        ...

    def set_owner(self, path: str, user: int, group: int) -> None:
        """Give what the path leads to to a user and a group."""
        ...

    def lock(self, path: str) -> FileLock:
        """Return the lock that the file of this path stands for; it must exist when it is taken."""
        ...
