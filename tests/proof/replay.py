"""Power cuts for code that cannot be put on the simulated disk: its system calls are replayed.

SQLite writes through the kernel, not through a seam of ours. So a script runs on the real kernel
under strace, and a simulated machine makes the same calls afterwards: before each of them it tells
what a power cut would have left. What the script says on its standard output is among the calls,
so that it is known what was acknowledged by then.

What cannot be replayed faithfully is refused, never passed over: a shared mapping that is written
to, a hard link, a copy inside the kernel. Rights are not followed: whoever examines may read all.
"""

import random
from collections.abc import Callable, Iterator, Sequence
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple

import attrs
from in_place import in_place
from syscalls import REFUSED, NotReplayableError, Syscall, is_below

from feedback_store.testing.simulation import Image
from feedback_store.testing.simulation.machine import UMASK, Machine
from feedback_store.testing.simulation.medium import DataChange, Inode
from feedback_store.testing.simulation.tearing import Data, apply_all

_OWNER = (0, 0)
_STDOUT = 1
_FORKS = ("clone", "clone3", "fork", "vfork")
_NO_FILE = ("io_uring_setup", "sync")  # they concern every file, and name none


class Kind(StrEnum):
    """What a call does to what a power cut may leave."""

    CHANGE = "change"
    SYNC = "sync"
    SAID = "said"
    END = "end"


class Moment(NamedTuple):
    """The time before a call.

    Attributes:
        kind: of the call. What may be left before a CHANGE may be left after it too, so whoever
            looks at all the other moments misses nothing.
        words: to tell of the call.
    """

    kind: Kind
    words: str


@attrs.define(eq=False)
class _File:
    """An open file, for all descriptors that share its offset."""

    inode: Inode
    path: str
    appends: bool
    offset: int = 0


class Replay:
    """A simulated machine that makes the calls of a trace.

    Args:
        calls: the calls.
        root: the folder that is watched; it is durable, and becomes the root of the machine.
        model: the filesystem.
        image: what is in the folder at first.
        unseen: endings of the names of files that no power cut leaves.

    Attributes:
        machine: it.
        said: the lines that were written to the standard output so far.
    """

    def __init__(
        self,
        calls: Sequence[Syscall],
        root: Path,
        model: str,
        *,
        image: Image | None = None,
        unseen: tuple[str, ...] = (),
    ) -> None:
        self.machine = Machine(image, model, None)
        self.said: list[str] = []
        self._calls = calls
        self._root = str(root)
        self._unseen = unseen
        self._options = in_place(model)
        self._forks = {call.result: call for call in calls if call.name in _FORKS}
        self._tables: dict[int, dict[int, _File]] = {}

    def crash_states(self, limit: int, rng: random.Random) -> Iterator[tuple[str, Image]]:
        """Yield what a power cut may leave now, each with words for it; at most about ``limit``."""
        return self.machine.medium.crash_states(self._options, limit, rng)

    def moments(self) -> Iterator[Moment]:
        """Make the calls; yield before each of those that matter, and at the end.

        Raises:
            NotReplayableError: a call cannot be made here.
        """
        made: dict[str, Callable[[Syscall], Iterator[Moment]]] = {
            **dict.fromkeys(("open", "openat"), self._open),
            **dict.fromkeys(("write", "writev"), self._write),
            **dict.fromkeys(("pwrite64", "pwritev", "pwritev2"), self._write_at),
            **dict.fromkeys(("fsync", "fdatasync"), self._sync),
            **dict.fromkeys(("mkdir", "mkdirat"), self._make_folder),
            **dict.fromkeys(("rename", "renameat", "renameat2"), self._rename),
            **dict.fromkeys(("unlink", "unlinkat", "rmdir"), self._unlink),
            **dict.fromkeys(REFUSED, self._refuse),
            "ftruncate": self._truncate,
            "fallocate": self._allocate,
            "mmap": self._map,
        }
        for call in self._calls:
            if call.name in made:
                yield from made[call.name](call)
            else:
                self._keep_table(call)
        yield Moment(Kind.END, "the end")

    # ------------------------------------------------------------------------- descriptors

    def _table(self, thread: int) -> dict[int, _File]:
        """Return the open files of a thread, those of its parent where it has just begun."""
        if thread not in self._tables:
            fork = self._forks.get(thread)
            table = {} if fork is None else self._table(fork.thread)
            shared = fork is not None and "CLONE_FILES" in "".join(fork.args)
            self._tables[thread] = table if shared else dict(table)
        return self._tables[thread]

    def _keep_table(self, call: Syscall) -> None:
        """Follow what changes descriptors, and nothing else."""
        table = self._table(call.thread)
        if call.name in _FORKS:
            self._table(call.result)
        elif call.name == "close":
            table.pop(call.number(0), None)
        elif call.name == "lseek":
            if (file := table.get(call.number(0))) is not None:
                file.offset = call.result
        elif call.name != "fcntl" or "F_DUPFD" in call.args[1]:
            self._set(call, table.get(call.number(0)))

    def _set(self, call: Syscall, file: _File | None) -> None:
        """Let the descriptor that a call has given lead to a file; it may have had another."""
        table = self._table(call.thread)
        table.pop(call.result, None)
        if file is not None:
            table[call.result] = file

    def _file(self, call: Syscall, place: int = 0) -> _File | None:
        return self._table(call.thread).get(call.number(place))

    # --------------------------------------------------------------------------- each call

    def _paths(self, call: Syscall) -> list[str]:
        """Return the paths of a call as the machine has them, none where it concerns others."""
        paths = [path for path in call.paths if not path.endswith(self._unseen)]
        inside = [path for path in paths if is_below(path, self._root)]
        if inside and inside != call.paths:
            raise NotReplayableError(f"{call.name} of {call.paths} leaves the folder")
        return [path.removeprefix(self._root) or "/" for path in inside]

    def _open(self, call: Syscall) -> Iterator[Moment]:
        file = None
        flags = call.args[2 if call.name == "openat" else 1]
        for path in self._paths(call):
            inode = self.machine.find(path)
            if "O_TMPFILE" in flags or (inode is None and "O_CREAT" not in flags):
                raise NotReplayableError(f"{call.name} of {path} with {flags}")
            if inode is None:
                yield Moment(Kind.CHANGE, f"make {path}")
                inode = self.machine.make(path, b"", 0o666 & ~UMASK, _OWNER)
            file = _File(inode, path, appends="O_APPEND" in flags)
            if inode.data and "O_TRUNC" in flags:
                yield from self._change(file, Data(0, None))
        self._set(call, file)

    def _write(self, call: Syscall) -> Iterator[Moment]:
        if (file := self._file(call)) is not None:
            if file.appends:
                file.offset = len(file.inode.data or b"")
            yield from self._change(file, Data(file.offset, call.data))
            file.offset += call.result
        elif call.number(0) == _STDOUT:
            text = call.data.decode()
            yield Moment(Kind.SAID, text.strip())
            self.said += text.splitlines()

    def _write_at(self, call: Syscall) -> Iterator[Moment]:
        if (file := self._file(call)) is not None:
            offset = call.number(3)
            if file.appends or offset < 0:  # then Linux does not heed the offset
                raise NotReplayableError(f"{call.name} to {file.path} at {offset}")
            yield from self._change(file, Data(offset, call.data))

    def _truncate(self, call: Syscall) -> Iterator[Moment]:
        if (file := self._file(call)) is not None:
            yield from self._change(file, Data(call.number(1), None))

    def _allocate(self, call: Syscall) -> Iterator[Moment]:
        if (file := self._file(call)) is not None:
            if call.args[1] != "0":
                raise NotReplayableError(f"{call.name} with {call.args[1]}")
            size = call.number(2) + call.number(3)
            if size > len(file.inode.data or b""):
                yield from self._change(file, Data(size, None))

    def _change(self, file: _File, data: Data) -> Iterator[Moment]:
        """Change the bytes of a file, those that were there before as well."""
        if data.data == b"":
            return  # no bytes make no file longer
        size = "no" if data.data is None else len(data.data)
        yield Moment(Kind.CHANGE, f"{size} bytes to {file.path} at {data.offset}")
        file.inode.data = apply_all(file.inode.data or b"", [data])
        self.machine.medium.pending.append(DataChange(file.inode, data, file.path))

    def _sync(self, call: Syscall) -> Iterator[Moment]:
        if (file := self._file(call)) is not None:
            yield Moment(Kind.SYNC, f"sync {file.path}")
            if file.inode.data is None:
                self.machine.sync_folder(file.path)
            else:
                self.machine.sync(file.inode, whole=call.name == "fsync")

    def _make_folder(self, call: Syscall) -> Iterator[Moment]:
        for path in self._paths(call):
            yield Moment(Kind.CHANGE, f"make the folder {path}")
            self.machine.make(path, None, 0o777 & ~UMASK, _OWNER)

    def _rename(self, call: Syscall) -> Iterator[Moment]:
        if paths := self._paths(call):
            source, target = paths
            inode, before = self.machine.tree.need(source), self.machine.find(target)
            if inode.data is None or call.args[4:] not in ((), ("0",)):
                raise NotReplayableError(f"{call.name} of {source} with {call.args[4:]}")
            what = f"the rename to {target}"
            yield Moment(Kind.CHANGE, what)
            if before is not inode:  # else the system does nothing
                names = {target: inode, source: None}
                self.machine.change_names(names, what, replaces=before is not None)

    def _unlink(self, call: Syscall) -> Iterator[Moment]:
        for path in self._paths(call):
            yield Moment(Kind.CHANGE, f"remove {path}")
            self.machine.change_names({path: None}, f"the removal of {path}")

    def _map(self, call: Syscall) -> Iterator[Moment]:
        """See that a mapping only reads, or is private: stores to memory are not traced."""
        _, _, protection, flags, *_ = call.args
        if self._file(call, 4) and "PROT_WRITE" in protection and "MAP_SHARED" in flags:
            yield from self._refuse(call)

    def _refuse(self, call: Syscall) -> Iterator[Moment]:
        if call.name in _NO_FILE or call.concerns(self._root):
            raise NotReplayableError(f"{call.name} in {self._root}")
        yield from ()


def write_out(image: Image, folder: Path) -> None:
    """Make the files and folders of a disk in a folder."""
    folder.mkdir(parents=True)
    for path in sorted(image.nodes):  # a folder comes before what is in it
        content = image.nodes[path].content
        if content is None:
            folder.joinpath(path[1:]).mkdir()
        else:
            folder.joinpath(path[1:]).write_bytes(content)
