"""The leader's lock: which one of several workers makes the snapshots.

It is a kernel lock on a side file that is never deleted, so that a leader that is killed leads no
more: no file stays behind that somebody would have to judge stale. It is held for as long as the
leader works, not for the time of an export: else each of four workers would find it free in turn.
"""

import os
import threading
from pathlib import Path

from feedback_store.failures import Worded
from feedback_store.forking import watch_forks

FILE_MODE = 0o664
"""Whoever may write beside the target may lead, also as another user of the group."""


class LeaderLock:
    """Held by one worker at a time, in all processes of this machine.

    The file must lie on a disk of this machine: over a network a kernel lock may be kept by each
    machine for itself, and two would lead.

    filelock's `lock_descriptor` and not its `FileLock`: where a filesystem has no kernel locks, the
    latter takes a file for the lock, which a killed leader leaves behind; and a descriptor of our
    own can be closed in a forked child without freeing the parent's lock.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = os.fspath(path)
        self._descriptor = -1
        # While it is held, an open file is not yet noted: nobody may fork then.
        self._mutex = threading.Lock()
        watch_forks(self)

    @property
    def held(self) -> bool:
        """Whether this worker leads."""
        return self._descriptor >= 0

    def take(self) -> bool:
        """Become the leader unless another is, without waiting; say whether this worker leads.

        A leader whose file was deleted meanwhile takes part anew: others lock the file that is
        there now.

        Raises:
            StoreUnavailableError: the file cannot be opened or locked; or a subclass of it.
        """
        with self._mutex, Worded(self.path):
            if self.held and not self._is_at_its_path(self._descriptor):
                self._close()
            if not self.held:
                self._descriptor = self._locked()
            return self.held

    def _locked(self) -> int:
        """Return the open file if this worker now has its lock, else -1."""
        from filelock import lock_descriptor  # noqa: PLC0415  # 50 ms, once a schedule runs

        descriptor = self._open()
        try:
            if lock_descriptor(descriptor, blocking=False) and self._is_at_its_path(descriptor):
                return descriptor
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)
        return -1

    def _open(self) -> int:
        Path(self.path).parent.mkdir(parents=True, exist_ok=True)
        flags = os.O_RDWR | os.O_CLOEXEC
        try:
            descriptor = os.open(self.path, flags | os.O_CREAT | os.O_EXCL, FILE_MODE)
        except FileExistsError:
            return os.open(self.path, flags)
        try:
            os.fchmod(descriptor, FILE_MODE)  # the umask would cut it
        except BaseException:
            os.close(descriptor)
            raise
        return descriptor

    def _is_at_its_path(self, descriptor: int) -> bool:
        try:
            there = os.stat(self.path)  # noqa: PTH116  # compared with a descriptor's
        except FileNotFoundError:
            return False
        return os.path.samestat(there, os.fstat(descriptor))

    def free(self) -> None:
        """Lead no more; may be repeated."""
        with self._mutex:
            if self.held:
                self._close()

    def _close(self) -> None:
        # Closing frees it, as no child has a copy: see `after_fork_in_child`.
        os.close(self._descriptor)
        self._descriptor = -1

    def before_fork(self) -> None:
        """Let no file be open that is not noted: a child would keep the lock by it."""
        self._mutex.acquire()

    def after_fork_in_parent(self) -> None:
        """Go on."""
        self._mutex.release()

    def after_fork_in_child(self) -> None:
        """Close the parent's open file, which neither frees nor keeps the parent's lock."""
        self._mutex = threading.Lock()
        if self.held:
            self._close()
