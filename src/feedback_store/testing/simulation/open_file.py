"""An open file of a simulated disk."""

import errno

from feedback_store.backends.jsonl.disk import FileStatus
from feedback_store.testing.simulation.machine import Machine
from feedback_store.testing.simulation.medium import Inode
from feedback_store.testing.simulation.tearing import Data
from feedback_store.testing.simulation.tree import failure


class SimulatedFile:
    """An open file; see `File` of the seam."""

    def __init__(
        self, machine: Machine, process: str, path: str, inode: Inode, *, writes: bool = True
    ) -> None:
        self._machine = machine
        self._process = process
        self._path = path
        self._inode = inode
        self._writes = writes
        self._failures_seen = inode.failures
        self._token: object = machine.open(process, inode)
        self._open = True

    def _enter(self, name: str, *, changes: bool = False) -> int | None:
        self._need_open()
        return self._machine.enter(self._process, name, self._path, changes=changes)

    def _need_open(self) -> None:
        if not self._open:
            raise failure(errno.EBADF, self._path)

    def status(self) -> FileStatus:
        """See `File.status`."""
        self._enter("file_status")
        return status_of(self._inode)

    def size(self) -> int:
        """See `File.size`."""
        self._enter("size")
        return len(self._inode.data or b"")

    def read(self, offset: int, size: int) -> bytes:
        """See `File.read`."""
        self._enter("read")
        return (self._inode.data or b"")[offset : offset + size]

    def append(self, data: bytes) -> int:
        """See `File.append`."""
        taken = self._enter("append", changes=True)
        if not self._writes:
            raise failure(errno.EBADF, self._path)
        data = bytes(data[:taken])
        offset = len(self._inode.data or b"")
        self._machine.write(self._inode, Data(offset, data), self._path)
        self._machine.note(self._process, f"append {len(data)} bytes to {self._path}")
        return len(data)

    def truncate(self, size: int) -> None:
        """See `File.truncate`."""
        self._enter("truncate", changes=True)
        if not self._writes:
            raise failure(errno.EINVAL, self._path)
        self._machine.write(self._inode, Data(size, None), self._path)
        self._machine.note(self._process, f"cut {self._path} to {size} bytes")

    def sync(self, *, rights: bool = False) -> None:
        """See `File.sync`. After a failure others who had the file open are told once as well."""
        self._need_open()
        try:
            self._enter("sync", changes=True)
        except OSError:
            self._machine.lose(self._inode)
            self._failures_seen = self._inode.failures
            self._machine.note(self._process, f"sync {self._path} fails")
            raise
        self._machine.sync(self._inode, whole=rights)
        if self._failures_seen < self._inode.failures:
            self._failures_seen = self._inode.failures
            raise failure(errno.EIO, self._path)
        self._machine.note(self._process, f"sync {self._path}")

    def map(self) -> memoryview:
        """See `File.map`."""
        self._enter("map")
        return memoryview(self._inode.data or b"")

    def set_owner(self, user: int, group: int) -> None:
        """See `File.set_owner`."""
        self._enter("set_owner", changes=True)
        self._machine.change_rights(self._inode, self._inode.mode, (user, group), self._path)
        self._machine.note(self._process, f"give {self._path} to {user}:{group}")

    def lock(self, timeout_s: float) -> bool:  # noqa: ARG002  # there is no time here
        """See `File.lock`."""
        self._enter("lock", changes=True)
        return self._machine.lock(self._token)

    def unlock(self) -> None:
        """See `File.unlock`."""
        self._enter("unlock", changes=True)
        self._machine.unlock(self._token)

    def close(self) -> None:
        """See `File.close`. A lock goes with its open file."""
        if self._open:
            self._open = False
            self._machine.close(self._token)

    def __del__(self) -> None:
        """Close the file with its last holder."""
        self.close()


def status_of(inode: Inode) -> FileStatus:
    """Return what the system tells of a file or folder."""
    size = len(inode.data or b"")
    return FileStatus(inode.number, size, inode.modified_ns, inode.mode, inode.owner)
