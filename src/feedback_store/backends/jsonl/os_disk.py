"""The real disk, by the system's calls."""

import contextlib
import errno
import fcntl
import mmap
import os
import sys
import time

from feedback_store.backends.jsonl.disk import FileStatus
from feedback_store.exchanging import exchange

_FIRST_PAUSE_S = 0.00005
_LONGEST_PAUSE_S = 0.002
_new = tuple.__new__  # a named tuple's own constructor costs as much as the system call


class OsFile:
    """An open file; see `File`."""

    __slots__ = ("_path", "descriptor")

    def __init__(self, path: str, descriptor: int) -> None:
        self._path = path
        self.descriptor = descriptor

    def status(self) -> FileStatus:
        """See `File.status`."""
        return _status(os.fstat(self.descriptor))

    def size(self) -> int:
        """See `Readable.size`. No offset is used anywhere, and this is what asks for least."""
        return os.lseek(self.descriptor, 0, os.SEEK_END)

    def read(self, offset: int, size: int) -> bytes:
        """See `File.read`. One call may give less than there is; only nothing means the end."""
        data = os.pread(self.descriptor, size, offset)
        if len(data) == size or not data:
            return data
        parts = [data]
        missing = size - len(data)
        while missing and (more := os.pread(self.descriptor, missing, offset + size - missing)):
            parts.append(more)
            missing -= len(more)
        return b"".join(parts)

    def append(self, data: bytes) -> int:
        """See `File.append`."""
        try:
            return os.write(self.descriptor, data)
        except OSError as error:
            raise _named(error, self._path) from None

    def truncate(self, size: int) -> None:
        """See `File.truncate`."""
        os.ftruncate(self.descriptor, size)

    def sync(self, *, rights: bool = False) -> None:
        """See `File.sync`. On macOS only F_FULLFSYNC reaches the medium."""
        try:
            if sys.platform == "darwin":
                fcntl.fcntl(self.descriptor, fcntl.F_FULLFSYNC)
            elif rights:
                os.fsync(self.descriptor)
            else:
                os.fdatasync(self.descriptor)
        except OSError as error:
            raise _named(error, self._path) from None

    def map(self) -> memoryview:
        """See `File.map`."""
        if not os.fstat(self.descriptor).st_size:
            return memoryview(b"")
        return memoryview(mmap.mmap(self.descriptor, 0, access=mmap.ACCESS_READ))

    def set_owner(self, user: int, group: int) -> None:
        """See `File.set_owner`."""
        os.fchown(self.descriptor, user, group)

    def lock(self, timeout_s: float) -> bool:
        """See `File.lock`."""
        import portalocker  # noqa: PLC0415  # 90 ms that only a store beside an older writer needs

        flags = portalocker.LockFlags.EXCLUSIVE | portalocker.LockFlags.NON_BLOCKING
        deadline = time.monotonic() + timeout_s
        while True:
            try:
                portalocker.lock(self.descriptor, flags)
            except portalocker.AlreadyLocked:
                if time.monotonic() >= deadline:
                    return False
                time.sleep(_LONGEST_PAUSE_S)
            else:
                return True

    def unlock(self) -> None:
        """See `File.unlock`."""
        import portalocker  # noqa: PLC0415  # as above

        portalocker.unlock(self.descriptor)

    def close(self) -> None:
        """See `File.close`."""
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1

    def __del__(self) -> None:
        """Close the file with its last holder: a reader may outlive the store's interest in it."""
        with contextlib.suppress(OSError):
            self.close()


class OsLock:
    """A kernel lock on a side file; see `FileLock`.

    The file stays open between uses and is never deleted: whoever waits on a deleted one waits
    for nobody. Waiting is by trying again, with pauses that grow: a blocking wait knows no
    timeout.
    """

    def __init__(self, path: str) -> None:
        from filelock import lock_descriptor, unlock_descriptor  # noqa: PLC0415  # 50 ms, once a store writes

        self._lock, self._unlock = lock_descriptor, unlock_descriptor
        self._path = path
        self._descriptor = -1

    def acquire(self, timeout_s: float) -> bool:
        """See `FileLock.acquire`. A lock on a file that is no longer there guards nothing."""
        deadline = time.monotonic() + timeout_s
        while True:
            if self._descriptor < 0:
                self._descriptor = os.open(self._path, os.O_RDWR | os.O_CLOEXEC)
            if not self._wait(deadline):
                return False
            if os.fstat(self._descriptor).st_nlink:
                return True
            self.close()  # deleted since: whoever comes now locks another file

    def _wait(self, deadline: float) -> bool:
        pause = _FIRST_PAUSE_S
        while not self._lock(self._descriptor, blocking=False):
            if time.monotonic() >= deadline:
                return False
            time.sleep(pause)
            pause = min(pause * 1.5, _LONGEST_PAUSE_S)
        return True

    def release(self) -> None:
        """See `FileLock.release`."""
        self._unlock(self._descriptor)

    def close(self) -> None:
        """See `FileLock.close`."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


class OsDisk:
    """The filesystem of this machine; see `Disk`."""

    def status(self, path: str) -> FileStatus | None:
        """See `Disk.status`."""
        try:
            return _status(os.stat(path))
        except (FileNotFoundError, NotADirectoryError):
            return None

    def list(self, folder: str) -> list[str]:
        """See `Disk.list`."""
        try:
            return os.listdir(folder)
        except FileNotFoundError:
            return []

    def open(self, path: str) -> OsFile:
        """See `Disk.open`."""
        return OsFile(path, os.open(path, os.O_RDONLY | os.O_CLOEXEC))

    def open_append(self, path: str) -> OsFile:
        """See `Disk.open_append`."""
        return OsFile(path, os.open(path, os.O_RDWR | os.O_APPEND | os.O_CLOEXEC))

    def create(self, path: str, mode: int) -> OsFile:
        """See `Disk.create`. The mode is set afterwards, because the umask would cut it."""
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        file = OsFile(path, os.open(path, flags, mode))
        try:
            os.fchmod(file.descriptor, mode)
        except OSError:
            os.unlink(path)
            raise
        return file

    def rename(self, source: str, target: str) -> None:
        """See `Disk.rename`."""
        os.replace(source, target)

    def exchange(self, a: str, b: str) -> None:
        """See `Disk.exchange`."""
        exchange(a, b)

    def unlink(self, path: str) -> None:
        """See `Disk.unlink`."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)

    def make_folder(self, path: str, mode: int) -> bool:
        """See `Disk.make_folder`."""
        try:
            os.mkdir(path, mode)
        except FileExistsError:
            return False
        os.chmod(path, mode)
        return True

    def sync_folder(self, path: str) -> None:
        """See `Disk.sync_folder`. A filesystem that cannot sync folders says EINVAL."""
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        except OSError as error:
            if error.errno != errno.EINVAL:
                raise _named(error, path) from None
        finally:
            os.close(descriptor)

    def touch_folder(self, path: str) -> None:
        """See `Disk.touch_folder`."""
        os.utime(path)

    def set_mode(self, path: str, mode: int) -> None:
        """See `Disk.set_mode`."""
        os.chmod(path, mode)

    def set_owner(self, path: str, user: int, group: int) -> None:
        """See `Disk.set_owner`."""
        os.chown(path, user, group)

    def lock(self, path: str) -> OsLock:
        """See `Disk.lock`."""
        return OsLock(path)


def _status(found: os.stat_result) -> FileStatus:
    return _new(
        FileStatus,
        (
            found.st_ino,
            found.st_size,
            found.st_mtime_ns,
            found.st_mode & 0o7777,
            (found.st_uid, found.st_gid),
        ),
    )


def _named(error: OSError, path: str) -> OSError:
    """Return the error with the path, which calls on an open file do not tell."""
    return type(error)(error.errno, error.strerror, path)
