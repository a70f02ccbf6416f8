"""The names that a simulated kernel knows, and the errors that it raises for them."""

import errno
import os
from collections.abc import Iterator

from feedback_store.testing.simulation.medium import Inode


def folder_of(path: str) -> str:
    """Return the folder in which a path has its name."""
    return path.rpartition("/")[0] or "/"


def failure(code: int, path: str) -> OSError:
    """Return the error that the system raises for this code."""
    return OSError(code, os.strerror(code), path)


class Tree:
    """What each path leads to, for everyone on the machine."""

    def __init__(self, root: Inode) -> None:
        self._names: dict[str, dict[str, Inode]] = {"/": {"": root}}

    def find(self, path: str) -> Inode | None:
        """Return what a path leads to, or None."""
        folder, _, name = path.rpartition("/")  # as folder_of, which would take longer
        return self._names.get(folder or "/", {}).get(name)

    def need(self, path: str) -> Inode:
        """Return what a path leads to.

        Raises:
            FileNotFoundError: nothing.
            NotADirectoryError: it leads through a file.
        """
        if (inode := self.find(path)) is None:
            above = path
            while (there := self.find(above)) is None:
                above = above.rpartition("/")[0]
            raise failure(errno.ENOENT if there.data is None else errno.ENOTDIR, path)
        return inode

    def need_file(self, path: str) -> Inode:
        """Return the file that a path leads to.

        Raises:
            OSError: as `need`, and IsADirectoryError for a folder.
        """
        if (inode := self.need(path)).data is None:
            raise failure(errno.EISDIR, path)
        return inode

    def need_folder(self, path: str) -> Inode:
        """Return the folder that a path leads to.

        Raises:
            OSError: as `need`, and NotADirectoryError for a file.
        """
        if (inode := self.need(path)).data is not None:
            raise failure(errno.ENOTDIR, path)
        return inode

    def names_in(self, folder: str) -> list[str]:
        """Return the names in a folder."""
        return [name for name in self._names.get(folder, ()) if name]

    def link(self, path: str, inode: Inode | None) -> None:
        """Let a path lead to something else, or to nothing."""
        names = self._names.setdefault(folder_of(path), {})
        name = path.rpartition("/")[2]
        if (before := names.pop(name, None)) is not None:
            before.links -= 1
        if inode is not None:
            names[name] = inode
            inode.links += 1

    def items(self) -> Iterator[tuple[str, Inode]]:
        """Yield each path, but the root, and what it leads to."""
        for folder, names in self._names.items():
            for name, inode in names.items():
                if name:
                    yield f"{folder.rstrip('/')}/{name}", inode
