"""Making the folder of a store, its state folder, and files with the right mode and owner."""

import json
import os
import secrets

import attrs

from feedback_store.backends.jsonl.disk import Disk, File
from feedback_store.backends.jsonl.naming import STATE_FOLDER, temporary_name
from feedback_store.errors import StoreUnavailableError

FORMAT_VERSION = 1
"""The version of the layout that this code writes."""


@attrs.frozen
class Layout:
    """Where the files of a store are, and what they look like from outside.

    Attributes:
        disk: the disk.
        path: the folder, absolute.
        folder_mode: the mode of folders that are made, whatever the umask.
        file_mode: the mode of files that are made, whatever the umask.
        owner: user and group of what is made; those of the folder itself when None and the process
            runs as root, so that an administrator's command does not lock the app out.
    """

    disk: Disk
    path: str
    folder_mode: int
    file_mode: int
    owner: tuple[int, int] | None

    @property
    def state_path(self) -> str:
        """The folder of lock and index."""
        return os.path.join(self.path, STATE_FOLDER)

    @property
    def lock_path(self) -> str:
        """The side file of the write lock."""
        return os.path.join(self.state_path, "lock")

    @property
    def maintenance_path(self) -> str:
        """The side file of the lock that compaction and erasure hold from start to end."""
        return os.path.join(self.state_path, "maintenance.lock")

    @property
    def index_path(self) -> str:
        """The folder of the index."""
        return os.path.join(self.state_path, "index")

    @property
    def _format_path(self) -> str:
        return os.path.join(self.state_path, "format")

    def prepare(self) -> None:
        """Make what a writer needs, durably; cheap when it is there.

        The format file is made last, so that where it is, everything above it is durable too.

        Raises:
            OSError: something cannot be made.
            StoreUnavailableError: the store was written by a newer version.
        """
        if self._is_prepared():
            self.check_format()
            return
        made = self._make_folders(self.path)
        for folder in dict.fromkeys(made + self._ancestors()):
            self._sync(folder)
        for path in (self.state_path, self.index_path):
            self._make_folder(path)
            self._restore_rights(path, self.folder_mode)
        for path in (self.lock_path, self.maintenance_path):
            self._touch(path)
        for folder in (self.index_path, self.state_path):
            self.disk.sync_folder(folder)
        text = json.dumps({"format": FORMAT_VERSION}).encode() + b"\n"
        try:
            self.replace(self._format_path, text)
        except FileNotFoundError:  # a process that was faster has cleared it away as stale
            if self.disk.status(self._format_path) is None:
                raise
        self.disk.sync_folder(self.path)

    def _is_prepared(self) -> bool:
        """Say whether all is there; a power cut, or somebody, may have taken a part of it."""
        paths = (self._format_path, self.lock_path, self.maintenance_path)
        return all(self.disk.status(path) is not None for path in paths)

    def check_format(self) -> None:
        """Refuse a store that was written by a newer version.

        Raises:
            StoreUnavailableError: it was; nothing was changed.
        """
        try:
            text = self.disk.open(self._format_path).read(0, 4096)
            version = int(json.loads(text)["format"])
        except (ValueError, KeyError, TypeError, FileNotFoundError, NotADirectoryError):
            return  # all of the state folder can be made again, this file too
        if version > FORMAT_VERSION:
            msg = (
                f"{self.path} was written by a newer version of feedback_store (format {version}, "
                f"this one knows {FORMAT_VERSION}); upgrade, nothing was changed"
            )
            raise StoreUnavailableError(msg)

    def _make_folders(self, path: str) -> list[str]:
        """Make a folder and those above it; return the folders whose names changed by that."""
        if self.disk.status(path) is not None:
            return []
        parent = os.path.dirname(path)
        made = self._make_folders(parent) if parent != path else []
        self._make_folder(path)
        return [*made, parent]

    def _ancestors(self) -> list[str]:
        """Return the folder and all above it: whoever made them may have died before a sync."""
        folders = [self.path]
        while (parent := os.path.dirname(folders[-1])) != folders[-1]:
            folders.append(parent)
        return folders

    def _sync(self, folder: str) -> None:
        try:
            self.disk.sync_folder(folder)
        except PermissionError:
            return  # a folder that we may not open is not one that we, or our kin, have made

    def _make_folder(self, path: str) -> None:
        if self.disk.make_folder(path, self.folder_mode):
            self.own(path)

    def _touch(self, path: str) -> None:
        if self.disk.status(path) is None:
            try:
                self.create(path)
            except FileExistsError:
                return  # another process was faster
        self.claim(path)

    def claim(self, path: str) -> None:
        """Give a file that is still empty the right mode and owner, durably.

        Whoever made it may have died, or lost power, before that.
        """
        self._restore_rights(path, self.file_mode)
        self.disk.open(path).sync(rights=True)

    def _restore_rights(self, path: str, mode: int) -> None:
        try:
            if (status := self.disk.status(path)) is not None and status.mode != mode:
                self.disk.set_mode(path, mode)
            if status is not None and self.wanted_owner() not in (None, status.owner):
                self.own(path)
        except PermissionError:
            return  # it is another user's, who let us in

    def create(self, path: str) -> File:
        """Make a file that must not exist, with the store's mode and owner."""
        file = self.disk.create(path, self.file_mode)
        if (owner := self.wanted_owner()) is not None:
            file.set_owner(*owner)
        return file

    def own(self, path: str) -> None:
        """Give a path the owner that new files get."""
        if (owner := self.wanted_owner()) is not None:
            self.disk.set_owner(path, *owner)

    def wanted_owner(self) -> tuple[int, int] | None:
        """Return the owner that new files get, or None when the system's choice is right."""
        if self.owner is not None:
            return self.owner
        if not hasattr(os, "geteuid") or os.geteuid() != 0:
            return None
        status = self.disk.status(self.path)
        return None if status is None or status.owner == (0, 0) else status.owner

    def temporary(self, path: str) -> str:
        """Return the path of a new hidden file beside another."""
        folder, name = os.path.split(path)
        return os.path.join(folder, temporary_name(name, secrets.token_hex(8)))

    def replace(self, path: str, data: bytes) -> None:
        """Put a small file in place as one step: whole and durable, or as it was."""
        temporary = self.temporary(path)
        file = self.create(temporary)
        try:
            write_all(file, data)
            file.sync()
            self.disk.rename(temporary, path)
        except BaseException:
            self.disk.unlink(temporary)
            raise
        self.disk.sync_folder(os.path.dirname(path))


def write_all(file: File, data: bytes) -> None:
    """Write all of the bytes, however many the system takes at a time."""
    taken = 0
    while taken < len(data):
        taken += file.append(data[taken:])
