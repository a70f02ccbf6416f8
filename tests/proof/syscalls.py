"""The system calls of a script, as strace has noted them, with all of their bytes."""

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

sys.path.append(str(Path(__file__).parent.parent / "jsonl"))  # pytest may not have been there
import jsonl_harness as harness  # pyright: ignore[reportMissingImports]  # found by the line above

DEEP: bool = harness.DEEP
needs_strace: pytest.MarkDecorator = harness.needs_strace
strace_works: Callable[[], bool] = harness._strace_works
fork: Callable[[Callable[[], object]], int] = harness.fork
wait_for: Callable[[int], int] = harness.wait_for
files_below: Callable[[Path], dict[str, bytes]] = harness.tree

_ALL_BYTES = 1 << 24  # strace shows that many of a string

FOLLOWED = {
    "clone", "clone3", "close", "dup", "dup2", "dup3", "fallocate", "fcntl", "fdatasync",
    "fork", "fsync", "ftruncate", "lseek", "mkdir", "mkdirat", "mmap", "open", "openat", "pwrite64",
    "pwritev", "pwritev2", "rename", "renameat", "renameat2", "rmdir", "unlink", "unlinkat",
    "vfork", "write", "writev",
}  # fmt: skip
"""Calls that change what is on a disk, or tell which descriptor leads to what."""

REFUSED = {
    "copy_file_range", "creat", "io_uring_setup", "link", "linkat", "openat2", "sendfile", "splice",
    "symlink", "symlinkat", "sync", "syncfs", "truncate",
}  # fmt: skip
"""Calls that change it in ways which nobody has needed here so far."""

_CALL = re.compile(r"(\w+)\((.*)\) += (-?(?:0x)?[0-9a-f]+)(?:[ <].*)?")
_BREAK = " <unfinished ...>"
_RESUMED = re.compile(r"<\.\.\. \w+ resumed>")
_NO_CALL = re.compile(r"\+\+\+ exited|--- SIG")
_ARGUMENT = re.compile(r"(?:\[[^\]]*\]|\{[^}]*\}|[^,\[{]++)+")
_STRING = re.compile(r'"((?:\\x[0-9a-f]{2})*)"(\.\.\.)?')
_OPENED = re.compile(r"(?:\d|AT_FDCWD)<((?:\\x[0-9a-f]{2})+)>")


class NotReplayableError(Exception):
    """What was traced is not understood, or has no counterpart in the simulation."""


class Syscall(NamedTuple):
    """A call that has returned, and has not failed.

    Attributes:
        thread: which thread made it.
        name: such as ``"pwrite64"``.
        args: the arguments as strace shows them: descriptors with their paths, strings in hex.
        result: what it returned.
    """

    thread: int
    name: str
    args: tuple[str, ...]
    result: int

    @property
    def data(self) -> bytes:
        """The bytes that it has written."""
        return b"".join(_strings(", ".join(self.args[1:])))[: self.result]

    @property
    def paths(self) -> list[str]:
        """The paths that it names, as absolute ones; ask only calls whose strings are paths."""
        found: list[str] = []
        folder = ""
        for arg in self.args:
            if arg.startswith('"'):
                path = Path(folder, *map(os.fsdecode, _strings(arg)))
                if not path.is_absolute():
                    raise NotReplayableError(f"{self.name} of {path}: in which folder?")
                found.append(os.path.normpath(path))
            folder = "".join(_opened(arg))
        return found

    def number(self, place: int) -> int:
        """Return an argument that is a number, or a descriptor.

        Raises:
            NotReplayableError: it is not.
        """
        found = re.match(r"-?\d+", self.args[place])
        if found is None:
            raise NotReplayableError(f"{self.args[place]} of {self.name} is no number")
        return int(found[0])

    def concerns(self, root: str) -> bool:
        """Say whether a path or a descriptor of it leads into a folder, or to it."""
        named = [*self.paths, *(path for arg in self.args for path in _opened(arg))]
        return any(is_below(path, root) for path in named)


def is_below(path: str, root: str) -> bool:
    """Say whether a path leads into a folder, or to it."""
    return f"{path}/".startswith(f"{root}/")


def _unhex(text: str) -> bytes:
    return bytes.fromhex(text.replace("\\x", ""))


def _strings(text: str) -> Iterator[bytes]:
    for string, cut in _STRING.findall(text):
        if cut:
            raise NotReplayableError("a string was not traced to its end")
        yield _unhex(string)


def _opened(arg: str) -> list[str]:
    """Return the path of a descriptor."""
    return [os.fsdecode(_unhex(path)) for path in _OPENED.findall(arg)]


def syscalls(log: str) -> Iterator[Syscall]:
    """Yield the calls of a trace, in the order in which they returned; failed ones are left out.

    Raises:
        NotReplayableError: a line is not understood, or a call has not returned.
    """
    begun: dict[str, str] = {}
    for line in log.splitlines():
        thread, _, text = line.partition(" ")
        text = text.strip()
        if text.endswith(_BREAK):
            begun[thread] = text.removesuffix(_BREAK)
            continue
        if resumed := _RESUMED.match(text):
            text = begun.pop(thread) + text[resumed.end() :]
        if found := _CALL.fullmatch(text):
            name, args, result = found.groups()
            if not result.startswith("-"):
                split = tuple(arg.strip() for arg in _ARGUMENT.findall(args))
                yield Syscall(int(thread), name, split, int(result, 0))
        elif not _NO_CALL.match(text):
            raise NotReplayableError(f"what is {text[:200]}?")
    if begun:
        raise NotReplayableError(f"these calls have not returned: {list(begun.values())}")


def record(work: Callable[[], object], log: Path) -> list[Syscall]:
    """Do something in a forked child, under strace; return what it called.

    Args:
        work: what is done; its standard output goes nowhere.
        log: where strace writes.

    Raises:
        AssertionError: it failed.
    """
    gate, key = os.pipe()

    def wait_and_work() -> None:
        os.close(key)
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        if os.read(gate, 1):  # else whoever has the key has died
            work()

    pid = fork(wait_and_work)
    os.close(gate)
    names = ",".join(f"?{name}" for name in sorted(FOLLOWED | REFUSED))  # not all are everywhere
    options = ("-f", "-y", "-xx", "-s", str(_ALL_BYTES), f"--trace={names}")
    command = ["strace", *options, "-o", str(log), f"--attach={pid}"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as strace:
        assert strace.stderr is not None
        try:
            line = strace.stderr.readline()
            assert "attached" in line, line
            os.write(key, b"!")
        finally:
            os.close(key)
            code = wait_for(pid)
    assert code == 0
    return list(syscalls(log.read_text("ascii")))
