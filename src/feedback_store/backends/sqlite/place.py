"""Where a database file is: making it, with durable names, and seeing that it is still the one."""

import errno
import os
from pathlib import Path

import attrs

MEMORY = ":memory:"
"""The path of a database that is gone with the process."""

_NO_SYNC_OF_FOLDERS = {errno.EINVAL, errno.EBADF}
"""What some filesystems say to it."""


@attrs.frozen
class Place:
    """The file of a store, and what it looks like from outside.

    Attributes:
        path: the file, absolute.
        folder_mode: the mode of folders that are made, whatever the umask.
        file_mode: the mode of the file, whatever the umask; SQLite gives it to those beside it.
        owner: user and group of what is made; those of the folder when None and the process runs
            as root, so that an administrator's command does not lock the app out.
    """

    path: str
    folder_mode: int
    file_mode: int
    owner: tuple[int, int] | None

    def identity(self) -> tuple[int, int] | None:
        """Return what tells the file that is there from every other one; None without one."""
        try:
            found = os.stat(self.path)  # noqa: PTH116  # on the way of every call
        except (FileNotFoundError, NotADirectoryError):
            return None
        return found.st_dev, found.st_ino

    def make(self) -> None:
        """Make the file and the folders above it, all with durable names.

        It comes before the schema: where that is, the names are durable, whoever made them.

        Raises:
            OSError: something cannot be made.
        """
        path = Path(self.path)
        self._make_folder(path.parent)
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, self.file_mode)
        except FileExistsError:
            pass  # nobody holds a lock by a file that this process would have to open and close
        else:
            try:
                os.fchmod(descriptor, self.file_mode)
                self._own(path)
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        for folder in path.parents:
            sync_folder(folder)

    def _make_folder(self, folder: Path) -> None:
        if folder.exists():
            return
        self._make_folder(folder.parent)
        try:
            folder.mkdir()
        except FileExistsError:
            return  # another process was faster
        folder.chmod(self.folder_mode)
        self._own(folder)

    def _own(self, path: Path) -> None:
        if self.owner is not None:
            os.chown(path, *self.owner)
        elif hasattr(os, "geteuid") and os.geteuid() == 0:
            above = path.parent.stat()
            os.chown(path, above.st_uid, above.st_gid)


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable, where we may and the filesystem can."""
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except PermissionError:
        return  # a folder that we may not open is not one that we, or our kin, have made
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _NO_SYNC_OF_FOLDERS:
            raise
    finally:
        os.close(descriptor)
