"""`SimulatedDisk`: a `Disk` in memory that forgets what was not synced."""

import contextlib
import random
from collections.abc import Callable, Iterator
from typing import Self

from feedback_store.backends.jsonl.disk import FileStatus
from feedback_store.testing.simulation.faults import Fault, FaultPlan
from feedback_store.testing.simulation.image import Image
from feedback_store.testing.simulation.machine import Call, Machine
from feedback_store.testing.simulation.medium import Inode
from feedback_store.testing.simulation.open_file import SimulatedFile, status_of
from feedback_store.testing.simulation.tree import folder_of

OWNER = (1001, 1001)
"""User and group of the simulated processes."""


class SimulatedLock:
    """A kernel lock on a side file; see `FileLock` of the seam."""

    def __init__(self, disk: "SimulatedDisk", path: str) -> None:
        self._disk = disk
        self._path = path
        self._file: SimulatedFile | None = None

    def acquire(self, timeout_s: float) -> bool:
        """See `FileLock.acquire`."""
        while True:
            file = self._file = self._file or self._disk.open_append(self._path)
            if not file.lock(timeout_s):
                return False
            if self._disk.is_linked(file):
                return True
            self.close()

    def release(self) -> None:
        """See `FileLock.release`."""
        if self._file is not None:
            self._file.unlock()

    def close(self) -> None:
        """See `FileLock.close`."""
        if self._file is not None:
            self._file.close()
            self._file = None


class SimulatedDisk:
    """A disk in memory, as one process sees it; see `Disk` of the seam.

    What is written, made, renamed and removed is seen at once by every process, and becomes
    durable as the model says: `crash_states` tells what a power cut would leave. Nothing here
    depends on time or chance, but for the clock, if one is given.

    Args:
        image: what the disk holds at first; only its root unless given.
        model: the filesystem: ``"posix"``, ``"ext4"`` or ``"ordered"``.
        clock: gives times of change, in nanoseconds since 1970; unless given, each change comes
            a microsecond after the one before it, in 2020.
    """

    def __init__(
        self,
        image: Image | None = None,
        *,
        model: str = "posix",
        clock: Callable[[], int] | None = None,
    ) -> None:
        self.machine = Machine(image, model, clock)
        self.name = "a"

    def process(self, name: str) -> Self:
        """Return the same disk as another process sees it."""
        other = object.__new__(type(self))
        other.machine, other.name = self.machine, name
        return other

    # ------------------------------------------------------------------ what tests ask of it

    def watch(self, watcher: Callable[[Call], None]) -> None:
        """Call ``watcher`` before every call; what it does to this disk is not watched itself."""
        self.machine.watchers.append(watcher)

    def fail(self, fault: Fault) -> None:
        """Let a call fail, counted from now."""
        self.machine.faults = FaultPlan(fault)

    def stop(self) -> None:
        """End this process, as SIGKILL does: each further call raises `ProcessStopped`."""
        self.machine.stop(self.name)

    def crash_states(
        self, *, limit: int = 1000, seed: int = 0, every_cut: bool = True
    ) -> Iterator[tuple[str, Image]]:
        """Yield what a power cut may leave now, each with words for what was kept.

        Args:
            limit: how many to yield, about: all of them where there are no more, else those that
                differ in one thing from all or nothing, and then some by chance.
            seed: of the chance.
            every_cut: whether to tear a write at every byte, or at some that tell much.
        """
        return self.machine.crash_states(limit, random.Random(seed), every_cut=every_cut)

    def image(self) -> Image:
        """Return what the disk holds when the machine is shut down in order."""
        return self.machine.image()

    def is_linked(self, file: SimulatedFile) -> bool:
        """Say whether an open file still has a name."""
        return file._inode.links > 0  # noqa: SLF001  # they are one thing

    # ------------------------------------------------------------------------- the seam

    def _enter(self, name: str, path: str, *, changes: bool = False) -> None:
        self.machine.enter(self.name, name, path, changes=changes)

    def status(self, path: str) -> FileStatus | None:
        """See `Disk.status`."""
        self._enter("status", path)
        inode = self.machine.find(path)
        return None if inode is None else status_of(inode)

    def list(self, folder: str) -> "list[str]":
        """See `Disk.list`."""
        self._enter("list", folder)
        with contextlib.suppress(FileNotFoundError):
            self.machine.tree.need_folder(folder)
        return self.machine.tree.names_in(folder)

    def open(self, path: str) -> SimulatedFile:
        """See `Disk.open`."""
        self._enter("open", path)
        inode = self.machine.tree.need(path)
        return SimulatedFile(self.machine, self.name, path, inode, writes=False)

    def open_append(self, path: str) -> SimulatedFile:
        """See `Disk.open_append`."""
        self._enter("open_append", path)
        return SimulatedFile(self.machine, self.name, path, self.machine.tree.need_file(path))

    def create(self, path: str, mode: int) -> SimulatedFile:
        """See `Disk.create`."""
        self._enter("create", path, changes=True)
        inode = self.machine.make(path, b"", mode, OWNER)
        self.machine.note(self.name, f"create {path}")
        return SimulatedFile(self.machine, self.name, path, inode)

    def rename(self, source: str, target: str) -> None:
        """See `Disk.rename`."""
        self._enter("rename", target, changes=True)
        inode = self._movable(source, target)
        before = self.machine.find(target)
        if before is not None:
            self.machine.tree.need_file(target)
        if before is not inode:  # else the system does nothing
            changes = {target: inode, source: None}
            what = f"the rename to {target}"
            self.machine.change_names(changes, what, replaces=before is not None)
        self.machine.note(self.name, f"rename {source} to {target}")

    def exchange(self, a: str, b: str) -> None:
        """See `Disk.exchange`."""
        self._enter("exchange", a, changes=True)
        first, second = self._movable(a, b), self._movable(b, a)
        if first is not second:
            self.machine.change_names({a: second, b: first}, f"the exchange with {b}")
        self.machine.note(self.name, f"exchange {a} and {b}")

    def _movable(self, source: str, target: str) -> Inode:
        """Return what is moved; the folders are looked for first, as the system does it."""
        for path in (source, target):
            self.machine.tree.need_folder(folder_of(path))
        inode = self.machine.tree.need(source)
        if inode.data is None:
            raise NotImplementedError("no folder is moved here: what is in it would be left behind")
        return inode

    def unlink(self, path: str) -> None:
        """See `Disk.unlink`."""
        self._enter("unlink", path, changes=True)
        with contextlib.suppress(FileNotFoundError):
            self.machine.tree.need_file(path)
            self.machine.change_names({path: None}, f"the removal of {path}")
            self.machine.note(self.name, f"unlink {path}")

    def make_folder(self, path: str, mode: int) -> bool:
        """See `Disk.make_folder`."""
        self._enter("make_folder", path, changes=True)
        if self.machine.find(path) is not None:
            return False
        self.machine.make(path, None, mode, OWNER)
        self.machine.note(self.name, f"make the folder {path}")
        return True

    def sync_folder(self, path: str) -> None:
        """See `Disk.sync_folder`."""
        self._enter("sync_folder", path, changes=True)
        self.machine.sync_folder(path)
        self.machine.note(self.name, f"sync the folder {path}")

    def touch_folder(self, path: str) -> None:
        """See `Disk.touch_folder`."""
        self._enter("touch_folder", path, changes=True)
        self.machine.touch(path)

    def set_mode(self, path: str, mode: int) -> None:
        """See `Disk.set_mode`."""
        self._enter("set_mode", path, changes=True)
        inode = self.machine.tree.need(path)
        self.machine.change_rights(inode, mode, inode.owner, path)
        self.machine.note(self.name, f"give {path} the mode {mode:o}")

    def set_owner(self, path: str, user: int, group: int) -> None:
        """See `Disk.set_owner`."""
        self._enter("set_owner", path, changes=True)
        inode = self.machine.tree.need(path)
        self.machine.change_rights(inode, inode.mode, (user, group), path)
        self.machine.note(self.name, f"give {path} to {user}:{group}")

    def lock(self, path: str) -> SimulatedLock:
        """See `Disk.lock`."""
        return SimulatedLock(self, path)
