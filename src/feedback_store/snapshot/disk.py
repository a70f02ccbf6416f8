"""A folder on a disk, in which files appear whole and last."""

import contextlib
import errno
import os
import secrets
import shutil
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import BinaryIO

from feedback_store.errors import LockTimeoutError
from feedback_store.exchanging import exchange
from feedback_store.snapshot.locking import LeaderLock

_LOCK_NAME = ".snapshots.lock"
_LOCK_TIMEOUT_S = 600.0
"""How long an export waits for another one to the same folder."""
_LOCK_POLL_S = 0.05


class LocalFolder:
    """A folder on a disk: see `places.Folder`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.shown = str(path)

    @contextlib.contextmanager
    def draft(self, name: str) -> Iterator["LocalDraft"]:
        """See `Folder.draft`. What a killed process has left of the same name is removed first."""
        make_durably(self.path)
        if (self.path / name).is_dir():
            raise IsADirectoryError(errno.EISDIR, "a folder is there", str(self.path / name))
        self._remove_left(name)
        temporary = self.path / f".{name}.{secrets.token_hex(8)}.tmp"
        # The umask decides about the mode, as for any file of this user.
        number = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
        with os.fdopen(number, "wb", buffering=0) as file:
            draft = LocalDraft(file, temporary, self.path / name)
            try:
                yield draft
            finally:
                if not draft.published:
                    temporary.unlink(missing_ok=True)

    def _remove_left(self, name: str) -> None:
        for left in self.path.glob(f".{_escaped(name)}.*.tmp"):
            if left.is_dir():
                shutil.rmtree(left)
            else:
                left.unlink(missing_ok=True)

    def write(self, name: str, data: bytes) -> None:
        """See `Folder.write`."""
        with self.draft(name) as draft:
            view = memoryview(data)
            while view:
                view = view[draft.file.write(view) :]
            draft.publish()

    def open(self, name: str) -> BinaryIO:
        """See `Folder.open`."""
        return (self.path / name).open("rb")

    def keep(self, name: str, kept: str) -> None:
        """See `Folder.keep`. A link costs nothing; where there are none, it is a copy."""
        try:
            os.link(self.path / name, self.path / kept)
        except FileExistsError:
            return  # kept by an export that was cut short after this
        except OSError:
            with (self.path / name).open("rb") as file, self.draft(kept) as draft:
                while data := file.read(1 << 20):
                    draft.file.write(data)
                draft.publish()

    def names(self) -> list[str]:
        """See `Folder.names`."""
        try:
            return os.listdir(self.path)  # noqa: PTH208  # names are wanted
        except FileNotFoundError:
            return []

    def size(self, name: str) -> tuple[int, float] | None:
        """See `Folder.size`."""
        try:
            status = (self.path / name).stat()
        except FileNotFoundError:
            return None
        return status.st_size, status.st_mtime

    def remove(self, name: str) -> None:
        """See `Folder.remove`."""
        (self.path / name).unlink(missing_ok=True)

    @contextlib.contextmanager
    def tree(self, name: str) -> Iterator["LocalTree"]:
        """See `Folder.tree`. What killed processes have left of it is removed first."""
        make_durably(self.path)
        self._remove_left(name)
        temporary = self.path / f".{name}.{secrets.token_hex(8)}.tmp"
        temporary.mkdir()
        try:
            yield LocalTree(temporary, self.path / name)
        finally:
            if temporary.is_file():  # a file was there before, and now has the temporary name
                temporary.unlink()
            shutil.rmtree(temporary, ignore_errors=True)

    def alone(self) -> AbstractContextManager[None]:
        """See `Folder.alone`: by a lock on a file beside, which the system frees at any death."""
        make_durably(self.path)
        return _alone(self.path / _LOCK_NAME)


@contextlib.contextmanager
def _alone(path: Path) -> Iterator[None]:
    lock = LeaderLock(path)
    deadline = time.monotonic() + _LOCK_TIMEOUT_S
    while not lock.take():
        if time.monotonic() > deadline:
            msg = f"{path}: another export to this folder takes more than {_LOCK_TIMEOUT_S:.0f} s"
            raise LockTimeoutError(msg)
        time.sleep(_LOCK_POLL_S)
    try:
        yield
    finally:
        lock.free()


class LocalDraft:
    """A file under a temporary name: see `places.Draft`."""

    def __init__(self, file: BinaryIO, temporary: Path, path: Path) -> None:
        self.file = file
        self.published = False
        self._temporary = temporary
        self._path = path

    def publish(self) -> None:
        """See `Draft.publish`."""
        keep_mode(self.file.fileno(), self._path)
        os.fsync(self.file.fileno())
        self._temporary.replace(self._path)
        self.published = True
        sync_folder(self._path.parent)


class LocalTree:
    """A folder under a temporary name: see `places.Tree`."""

    def __init__(self, temporary: Path, path: Path) -> None:
        self._temporary = temporary
        self._path = path

    @contextlib.contextmanager
    def draft(self, path: str) -> Iterator[LocalDraft]:
        """See `Tree.draft`."""
        place = self._temporary / path
        with LocalFolder(place.parent).draft(place.name) as draft:
            yield draft

    def publish(self) -> None:
        """See `Tree.publish`: exchanged for what is there, as one step.

        Where the filesystem cannot do that, what is there is moved away first; for an instant
        nothing is there then.
        """
        sync_folder(self._temporary)
        try:
            exchange(str(self._temporary), str(self._path))  # what was there is removed afterwards
        except FileNotFoundError:
            self._temporary.rename(self._path)
        except OSError:
            before = self._temporary.with_name(self._temporary.name.replace(".tmp", ".before.tmp"))
            self._path.rename(before)
            self._temporary.rename(self._path)
            shutil.rmtree(before, ignore_errors=True)
        sync_folder(self._path.parent)


def keep_mode(number: int, path: Path) -> None:
    """Give an open file the mode and the owner of the one that it replaces."""
    try:
        status = path.stat()
    except FileNotFoundError:
        return
    os.fchmod(number, status.st_mode & 0o7777)
    own = os.fstat(number)
    if (own.st_uid, own.st_gid) != (status.st_uid, status.st_gid):
        with contextlib.suppress(PermissionError):  # only root may give files away
            os.fchown(number, status.st_uid, status.st_gid)


def make_durably(path: Path) -> None:
    """Make a folder and those above it, so that their names last."""
    if path.is_dir():
        return
    make_durably(path.parent)
    with contextlib.suppress(FileExistsError):
        path.mkdir()
    sync_folder(path.parent)


def sync_folder(path: Path) -> None:
    """Sync the names in a folder."""
    number = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(number)
    except OSError as error:
        if error.errno != errno.EINVAL:  # which is said where folders cannot be synced
            raise
    finally:
        os.close(number)


def _escaped(name: str) -> str:
    return "".join(f"[{letter}]" if letter in "*?[" else letter for letter in name)
