"""The simulated machine: one kernel and one medium, which any number of processes share."""

import errno
import random
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

from feedback_store.testing.simulation.faults import FaultPlan, ProcessStopped
from feedback_store.testing.simulation.image import Image, Node
from feedback_store.testing.simulation.medium import (
    DataChange,
    Inode,
    Medium,
    NameChange,
    RightsChange,
)
from feedback_store.testing.simulation.models import MODELS
from feedback_store.testing.simulation.tearing import Data
from feedback_store.testing.simulation.tree import Tree, failure, folder_of

UMASK = 0o022
"""What the simulated processes have: the mode of a new file is set by a call of its own."""

_EPOCH_NS = 1_600_000_000_000_000_000
_TICK_NS = 1_000


class Call(NamedTuple):
    """A call that a process is about to make.

    Attributes:
        process: who makes it.
        name: such as ``"append"``.
        path: of what.
        changes: whether it may change anything on the disk, or take or free a lock.
    """

    process: str
    name: str
    path: str
    changes: bool


class Machine:
    """See the module.

    Attributes:
        medium: what is durable, and what is pending.
        tree: the names as everyone sees them.
        faults: which calls fail.
        watchers: called before each call; what they do to this machine is not watched itself.
        watching: whether one of them runs.
        scheduler: called before each call of a thread that may have to wait for others.
        wait_for_lock: called, with the process, while another holds a lock that it wants; it
            returns whether to try again.
        lock_freed: called when a lock was freed.
        trace: a line for each call that changed something.
        calls: how many calls there were.
    """

    def __init__(self, image: Image | None, model: str, clock: Callable[[], int] | None) -> None:
        self._model = MODELS[model]
        self.medium = Medium()
        self.faults = FaultPlan()
        self.watchers: list[Callable[[Call], None]] = []
        self.watching = False
        self.scheduler: Callable[[str], None] | None = None
        self.wait_for_lock: Callable[[str], bool] | None = None
        self.lock_freed: Callable[[], None] | None = None
        self.trace: list[str] = []
        self.calls = 0
        self._open: dict[object, tuple[str, Inode]] = {}
        self._stopped: set[str] = set()
        self._ticks = 0
        self._clock = clock or self._tick
        root = Inode(1, None, 0o755, (0, 0), self._clock())
        self.medium.rights[root] = (root.mode, root.owner)
        self.tree = Tree(root)
        self._install(image or Image())

    def _tick(self) -> int:
        self._ticks += 1
        return _EPOCH_NS + self._ticks * _TICK_NS

    def _install(self, image: Image) -> None:
        files: dict[Node, Inode] = {}  # a power cut may have left one of them two names
        for path in sorted(image.nodes):
            node = image.nodes[path]
            inode = files.get(node) or Inode(*node, _EPOCH_NS)
            self.tree.link(path, inode)
            self.medium.names[path] = inode
            self.medium.rights[inode] = (node.mode, node.owner)
            if node.content is not None:
                self.medium.contents[inode] = node.content
                files[node] = inode

    # ------------------------------------------------------------------------- each call

    def enter(self, process: str, name: str, path: str, *, changes: bool) -> int | None:
        """Begin a call; return how many bytes it may take, None for all.

        Raises:
            ProcessStopped: the process has ended, or ends here.
            OSError: the call fails.
        """
        if self.watching:
            return None
        if process in self._stopped:
            raise ProcessStopped
        if self.scheduler is not None:
            self.scheduler(process)
        self.calls += 1
        if self.watchers:
            self.watching = True
            try:
                for watcher in self.watchers:
                    watcher(Call(process, name, path, changes))
            finally:
                self.watching = False
            if process in self._stopped:
                raise ProcessStopped
        return self.faults.take(name, path)

    def note(self, process: str, line: str) -> None:
        """Add a line to the trace."""
        if not self.watching:
            self.trace.append(f"{process}:   {line}")

    def stop(self, process: str) -> None:
        """End a process, as SIGKILL does: the kernel keeps its bytes and closes its files."""
        self._stopped.add(process)
        for token in [token for token, (owner, _) in list(self._open.items()) if owner == process]:
            self.close(token)

    # -------------------------------------------------------------------- names and inodes

    def find(self, path: str) -> Inode | None:
        """Return what a path leads to, or None."""
        return self.tree.find(path)

    def change_names(self, changes: Mapping[str, Inode | None], what: str, **kind: bool) -> None:
        """Change names: as one step in each folder, the folder that is named first before others.

        Args:
            changes: what each path leads to afterwards, None for nothing.
            what: how to tell of it.
            kind: what else `NameChange` tells of it.
        """
        folders = list(dict.fromkeys(map(folder_of, changes)))
        for path, inode in changes.items():
            self.tree.link(path, inode)
        for folder in folders:
            self.tree.need(folder).modified_ns = self._clock()
            names = {path: inode for path, inode in changes.items() if folder_of(path) == folder}
            halved = folder != folders[-1]
            self.medium.pending.append(NameChange(folder, names, what, halved=halved, **kind))

    def make(self, path: str, content: bytes | None, mode: int, owner: tuple[int, int]) -> Inode:
        """Make a file or folder; its exact mode is a change of its own.

        Raises:
            FileExistsError: there is something.
        """
        self.tree.need_folder(folder_of(path))
        if self.find(path) is not None:
            raise failure(errno.EEXIST, path)
        inode = Inode(self._free_number(), content, mode & ~UMASK, owner, self._clock())
        self.medium.rights[inode] = (inode.mode, owner)
        self.change_names({path: inode}, f"the new name {path}", makes=True)
        if inode.mode != mode:
            self.change_rights(inode, mode, owner, path)
        return inode

    def _free_number(self) -> int:
        """Return the lowest number that nobody knows any longer, as filesystems do."""
        used = {inode.number for _, inode in list(self._open.values())}
        used |= {inode.number for inode in self.medium.names.values()}
        used |= {inode.number for _, inode in self.tree.items()}
        for change in self.medium.pending:
            if isinstance(change, NameChange):
                used |= {inode.number for inode in change.names.values() if inode is not None}
        return next(number for number in range(2, len(used) + 3) if number not in used)

    def change_rights(self, inode: Inode, mode: int, owner: tuple[int, int], path: str) -> None:
        """Give something another mode or owner."""
        inode.mode, inode.owner = mode, owner
        self.medium.pending.append(RightsChange(inode, (mode, owner), f"the rights of {path}"))

    def touch(self, path: str) -> None:
        """Set the time of change of a folder to now; no promise rests on it after a crash."""
        self.tree.need(path).modified_ns = self._clock()

    # ----------------------------------------------------------------------------- bytes

    def write(self, inode: Inode, change: Data, path: str) -> None:
        """Append to a file, or cut it."""
        before = inode.data or b""
        if change.data is None:
            inode.data = before[: change.offset].ljust(change.offset, b"\0")
        else:
            inode.data = before + change.data
        inode.modified_ns = self._clock()
        if change.data != b"":
            self.medium.pending.append(DataChange(inode, change, path))

    def sync(self, inode: Inode, *, whole: bool = False) -> None:
        """Make a file durable, as far as the model goes."""
        self._model.sync(self.medium, inode, whole=whole)

    def lose(self, inode: Inode) -> None:
        """Let a sync of a file fail: what it should have carried, no later one will."""
        inode.failures += 1
        for change in self.medium.pending:
            if not isinstance(change, DataChange) or change.inode is not inode or change.lost:
                continue
            (start, data), there = change.data, inode.data or b""
            if data is not None:
                change.lost = True
                if self.faults.drops_pages:
                    zeros = bytes(max(min(change.data.end, len(there)) - start, 0))
                    inode.data = there[:start] + zeros + there[start + len(zeros) :]

    def sync_folder(self, path: str) -> None:
        """Make the names of a folder durable."""
        inode = self.tree.need_folder(path)
        self._model.sync_folder(self.medium, path)
        self._model.sync(self.medium, inode, whole=True)

    # ------------------------------------------------------------------ open files, locks

    def open(self, process: str, inode: Inode) -> object:
        """Open a file for a process; return what stands for it, which a lock may belong to."""
        token = object()
        self._open[token] = (process, inode)
        return token

    def close(self, token: object) -> None:
        """Close an open file, once; a lock goes with it."""
        if token in self._open:
            self.unlock(token)
            del self._open[token]

    def lock(self, token: object) -> bool:
        """Take the lock on an open file; wait for it as far as one can here."""
        process, inode = self._open[token]
        while inode.holder is not None and inode.holder is not token:
            if self.wait_for_lock is None or self.watching or not self.wait_for_lock(process):
                return False
            if process in self._stopped:
                raise ProcessStopped
        inode.holder = token
        return True

    def unlock(self, token: object) -> None:
        """Free the lock on an open file, if it has it."""
        _, inode = self._open.get(token, (None, None))
        if inode is not None and inode.holder is token:
            inode.holder = None
            if self.lock_freed is not None:
                self.lock_freed()

    # ----------------------------------------------------------------------- power is cut

    def crash_states(
        self, limit: int, rng: random.Random, *, every_cut: bool
    ) -> Iterator[tuple[str, Image]]:
        """Yield what a power cut may leave now; see `Medium.crash_states`."""
        return self.medium.crash_states(self._model.options, limit, rng, every_cut=every_cut)

    def image(self) -> Image:
        """Return what the kernel has now, as a machine leaves it that is shut down in order."""
        return Image(
            {
                path: Node(inode.number, inode.data, inode.mode, inode.owner)
                for path, inode in self.tree.items()
            }
        )
