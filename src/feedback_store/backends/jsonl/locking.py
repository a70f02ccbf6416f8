"""The write lock of a store: one thread of one process at a time.

Between processes it is a kernel lock on a side file, which dies with its holder; within the
process a mutex stands before it, because a kernel lock belongs to an open file, not to a thread.
"""

import os
import threading
import time
from types import TracebackType

from feedback_store.backends.jsonl.disk import Disk, FileLock
from feedback_store.errors import LockTimeoutError


class WriteLock:
    """A lock to be used as a context manager.

    Args:
        disk: where the side file is.
        path: the side file, in a folder that exists when the lock is first taken.
        timeout_s: how long to wait, in seconds.
    """

    def __init__(self, disk: Disk, path: str, timeout_s: float) -> None:
        self._disk = disk
        self._path = path
        self._timeout_s = timeout_s
        self._lock: FileLock | None = None
        self._pid = os.getpid()
        self.mutex = threading.RLock()
        self._held = False

    def __enter__(self) -> None:
        """Take the lock.

        Raises:
            LockTimeoutError: another held it for all of the timeout.
            RuntimeError: this thread holds it already: a change called the store.
        """
        self.take(self._timeout_s)

    def take(self, timeout_s: float) -> None:
        """Take the lock within a time of its own; see `__enter__`."""
        deadline = time.monotonic() + timeout_s
        if not self.mutex.acquire(timeout=max(timeout_s, 0)):
            raise self._timed_out(timeout_s)
        try:
            if self._held:
                msg = "a change must not call the store that it changes"
                raise RuntimeError(msg)
            if not self._file_lock().acquire(max(deadline - time.monotonic(), 0)):
                raise self._timed_out(timeout_s)
        except BaseException:
            self.mutex.release()
            raise
        self._held = True

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Free the lock."""
        try:
            self._held = False
            self._file_lock().release()
        finally:
            self.mutex.release()

    def _file_lock(self) -> FileLock:
        if self._lock is None:
            self._lock = self._disk.lock(self._path)
        return self._lock

    def _timed_out(self, timeout_s: float) -> LockTimeoutError:
        msg = (
            f"{self._path}: another writer held the lock for {timeout_s:g} s; see who has it open "
            "(fuser, lsof), or open the store with a longer lock_timeout_s"
        )
        return LockTimeoutError(msg)

    def after_fork(self) -> None:
        """Start anew in a child: the parent's open file is the parent's lock."""
        inherited, self._lock = self._lock, None
        if inherited is not None:
            inherited.close()
        self.mutex = threading.RLock()
        self._held = False

    def close(self) -> None:
        """Close the side file."""
        with self.mutex:
            if self._lock is not None and not self._held:
                self._lock.close()
                self._lock = None
