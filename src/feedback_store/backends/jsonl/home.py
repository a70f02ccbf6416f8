"""Which folder a store is at home in, and the lock of that one.

The path stays, while what stands there may change: a backup is put in place by renaming, a volume
is unmounted. The open lock file would then guard the folder that is gone, so the store looks
whether the folder is still the one, and takes the lock of the new one, or refuses where that is no
store.
"""

from collections.abc import Callable
from typing import TypeVar

from feedback_store.backends.jsonl.layout import Layout
from feedback_store.backends.jsonl.locking import WriteLock
from feedback_store.backends.jsonl.writing import FileReplacedError
from feedback_store.errors import StoreUnavailableError

T = TypeVar("T")

_TRIES = 10


class Home:
    """The folder of a store that writes.

    Attributes:
        prepared: whether this process has seen that everything is there which a writer needs.
        inode: the number of the folder whose locks are in use.
    """

    def __init__(self, layout: Layout, lock: WriteLock, maintenance: WriteLock) -> None:
        self._layout = layout
        self._disk = layout.disk
        self._lock = lock
        self._maintenance = maintenance
        self.prepared = False
        self.inode = -1

    def prepare(self) -> None:
        """Make what a writer needs, once."""
        if not self.prepared:
            self._layout.prepare()
            self.inode = self._inode_there()
            self.prepared = True

    def locked(self, step: Callable[[], T]) -> T:
        """Run a step under the write lock, again where someone replaced a file without it."""
        for _ in range(_TRIES):
            try:
                with self._lock:
                    return step()
            except FileReplacedError:
                self.come()
            except FileNotFoundError:
                if self._disk.status(self._layout.lock_path) is not None:
                    raise
                self.come()
                self._layout.prepare()  # the state folder was removed, as one may
        msg = (
            f"{self._layout.path}: a file is replaced again and again; "
            "beside_older_writer=True may help"
        )
        raise StoreUnavailableError(msg)

    def come(self) -> None:
        """Use the locks of the folder that stands there now.

        Raises:
            StoreUnavailableError: it is gone, or no store: it must not be made one, for it may be
                what lies under a volume that is missing.
        """
        inode = self._inode_there()
        if inode == self.inode:
            return
        if self._disk.status(self._layout.lock_path) is None:
            raise self._gone("another folder is there")
        self._lock.close()
        self._maintenance.close()
        self.inode = inode

    def _inode_there(self) -> int:
        if (status := self._disk.status(self._layout.path)) is None:
            raise self._gone("the folder is gone")
        return status.inode

    def _gone(self, what: str) -> StoreUnavailableError:
        error = StoreUnavailableError(
            f"{self._layout.path}: {what} since the store was opened; see whether its volume is "
            "still mounted, then open the store again"
        )
        error.filename = self._layout.path
        return error
