"""The simulated disk shows what a real disk shows, and fails as real disks fail.

A proof is worth what its instrument is worth. First the same calls go to a real disk; then comes
what a real disk does too seldom: errors, and processes that end. What a power cut leaves is in
`test_power_cut_models`.
"""

import errno
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from feedback_store.backends.jsonl.disk import Disk, File, FileStatus
from feedback_store.backends.jsonl.os_disk import OsDisk
from feedback_store.testing.simulation import Call, Fault, ProcessStopped, SimulatedDisk

IO_ERROR, FULL = ("OSError", errno.EIO), ("OSError", errno.ENOSPC)

PLAIN = "status list unlink open open_append sync_folder touch_folder"
CALLS: dict[str, tuple[Any, ...]] = {
    "disk.create": ("/d/new", 0o644),
    "disk.make_folder": ("/d/new", 0o755),
    **{f"disk.{name}": ("/d/g",) for name in PLAIN.split()},
    "disk.rename": ("/d/g", "/d/2"),
    "disk.exchange": ("/d/g", "/d/f"),
    "disk.set_mode": ("/d/g", 0o600),
    "disk.set_owner": ("/d/g", 7, 8),
    **{f"file.{name}": () for name in ("status", "size", "sync", "map", "unlock")},
    "file.read": (0, 9),
    "file.append": (b"x",),
    "file.truncate": (1,),
    "file.lock": (0,),
    "file.set_owner": (7, 8),
}
"""Every call on a disk, and on a file."""


def a_disk(clock: Callable[[], int] | None = None) -> SimulatedDisk:
    """Return a disk with an empty folder."""
    disk = SimulatedDisk(clock=clock)
    disk.make_folder("/d", 0o700)
    disk.sync_folder("/")
    return disk


def a_file(disk: SimulatedDisk, content: bytes = b"", path: str = "/d/f") -> File:
    """Make a file with this content."""
    file = disk.create(path, 0o644)
    file.append(content)
    return file


def outcome_of(act: Callable[..., object], *args: object) -> object:
    """Return what a call returns, or its error."""
    try:
        return act(*args)
    except OSError as error:
        return type(error).__name__, error.errno


def any_call(disk: SimulatedDisk, file: File, call: str) -> Callable[[], object]:
    """Return one of the calls, ready to be made."""
    on, _, name = call.partition(".")
    return partial(getattr(disk if on == "disk" else file, name), *CALLS[call])


MOVES = "rename exchange" if sys.platform == "linux" else "rename"
PATHS = st.sampled_from(["/a", "/b", "/d/a", "/no/a", "/a/a"])
FOLDERS = st.sampled_from(["/d", "/e", "/no/e", "/a/e"])
MODES = st.sampled_from([0o700, 0o666])
WHICH = st.integers(0, 5)
SIZES = st.integers(0, 9)
Op = tuple[Any, ...]


def calls(on: str, names: str, *args: st.SearchStrategy[Any]) -> st.SearchStrategy[Op]:
    """Return calls of these names."""
    return st.tuples(st.just(on), st.sampled_from(names.split()), *args)


OPS = st.one_of(
    calls("disk", "create set_mode", PATHS, MODES),
    calls("disk", "open_append open", PATHS),
    calls("writers", "append", WHICH, st.binary(max_size=5)),
    calls("writers", "truncate", WHICH, SIZES),
    calls("files", "status size map sync close unlock", WHICH),
    calls("files", "read", WHICH, SIZES, SIZES),
    calls("files", "lock", WHICH, st.just(0)),
    calls("disk", "unlink status lock", PATHS),
    calls("disk", MOVES, PATHS, PATHS),
    calls("disk", "make_folder set_mode", FOLDERS, st.sampled_from([0o700, 0o775])),
    calls("disk", "list sync_folder touch_folder", FOLDERS | st.just("/a")),
    calls("locks", "acquire", WHICH, st.just(0)),
    calls("locks", "release close", WHICH),
)


class Hands:
    """Makes calls on a disk, below a folder, and holds what they open."""

    def __init__(self, disk: Disk, root: str) -> None:
        self.disk = disk
        self.root = root
        self.held: dict[str, list[Any]] = {"files": [], "writers": [], "locks": []}

    def do(self, op: Op) -> object:
        """Make a call; return what it gives, as far as it must be the same on every disk."""
        on, call, *args = op
        if on == "disk":
            paths = [self.root + arg if isinstance(arg, str) else arg for arg in args]
            found = outcome_of(getattr(self.disk, call), *paths)
        else:
            which, *args = args
            if not self.held[on]:
                return None
            held = self.held[on][which % len(self.held[on])]
            found = outcome_of(getattr(held, call), *args)
            if call == "close" or (call == "acquire" and not isinstance(found, bool)):
                for there in self.held.values():
                    there[:] = [each for each in there if each is not held]
        return self._kept(call, found)

    def _kept(self, call: str, found: Any) -> object:  # noqa: ANN401  # whatever calls return
        if isinstance(found, list | memoryview):
            return sorted(found) if call == "list" else bytes(found)
        if isinstance(found, FileStatus):
            return found.mode
        if found is None or isinstance(found, bool | int | bytes | tuple):
            return found
        if call == "lock":
            self.held["locks"].append(found)
            return self.do(("locks", "acquire", len(self.held["locks"]) - 1, 0))
        self.held["files"].append(found)
        if call != "open":
            self.held["writers"].append(found)
        return "open"

    def seen(self, disk: Disk) -> object:
        """Return names, modes and bytes, those of open files too, and what is the same file."""
        found = []
        for path in [f"{at}/{n}" for at in ("", "/d", "/e") for n in disk.list(self.root + at)]:
            status = disk.status(self.root + path)
            assert status is not None
            content = None if path in ("/d", "/e") else disk.open(self.root + path).read(0, 999)
            assert content is None or len(content) == status.size_bytes
            found.append((path, status.mode, content, status.inode))
        found.sort()
        found += [("", 0, f.read(0, 999), f.status().inode) for f in self.held["files"]]
        numbers = [number for *_, number in found]
        return [(*rest, numbers.index(number)) for *rest, number in found]


def both(root: Path, simulated: SimulatedDisk) -> tuple[Hands, Hands]:
    """Return hands on the two disks, each with a folder and with a file that is open."""
    hands = (Hands(OsDisk(), str(root)), Hands(simulated, "/r"))
    simulated.make_folder("/r", 0o700)
    for each in hands:
        each.do(("disk", "make_folder", "/d", 0o700))
        each.disk.create(f"{each.root}/a", 0o600).close()
        each.do(("disk", "open", "/a"))
    return hands


@given(st.lists(OPS, min_size=10, max_size=40))
def test_it_shows_what_a_real_disk_shows(
    tmp_path_factory: pytest.TempPathFactory, ops: list[Op]
) -> None:
    """The same calls return the same, fail the same way, and show every process the same."""
    simulated = SimulatedDisk()
    real, ours = both(tmp_path_factory.mktemp("real"), simulated)
    for op in ops:
        assert real.do(op) == ours.do(op), op
        assert real.seen(real.disk) == ours.seen(simulated.process("b")), op
    for held in [*real.held["files"], *real.held["locks"]]:
        held.close()


@pytest.mark.parametrize(
    "op",
    [
        ("files", "append", 0, b"x"),
        ("files", "truncate", 0, 0),
        ("disk", "rename", "/a", "/no/a"),
        ("disk", "rename", "/a", "/a/b"),
        ("disk", "rename", "/no/a", "/a/b"),
        ("disk", "rename", "/a", "/d"),
        ("disk", "create", "/a/b", 0o600),
        ("disk", "make_folder", "/a/b", 0o700),
        ("disk", "make_folder", "/no/b", 0o700),
        ("disk", "open", "/a/b"),
        ("disk", "status", "/a/b"),
        ("disk", "unlink", "/a/b"),
        ("disk", "open_append", "/d"),
        ("disk", "unlink", "/d"),
        ("disk", "list", "/a"),
        ("disk", "sync_folder", "/a"),
    ],
    ids=str,
)
def test_misuse_fails_as_on_a_real_disk(tmp_path: Path, op: Op) -> None:
    """What is no file, no folder, or not open for writing is refused with the system's error."""
    real, ours = both(tmp_path, SimulatedDisk())
    outcome = real.do(op)
    real.held["files"][0].close()
    assert outcome == ours.do(op)


def test_an_inode_number_comes_back_when_nobody_knows_it() -> None:
    """A number is free once no name, no open file and no power cut can lead to it."""
    disk = a_disk()

    def new(name: str) -> int:
        return a_file(disk, path=f"/d/{name}").status().inode

    number = new("f")
    disk.unlink("/d/f")
    found = [new("while pending")]
    disk.sync_folder("/d")
    found += [new("f")]
    disk.sync_folder("/d")
    disk.unlink("/d/f")
    found += [new("while durable")]
    disk.sync_folder("/d")
    file = a_file(disk)
    disk.unlink("/d/f")
    disk.sync_folder("/d")
    found += [file.status().inode, new("while open")]
    file.close()
    found += [new("free")]
    disk.unlink("/d/free")
    disk.sync_folder("/d")
    other = disk.process("b")
    held = a_file(other, path="/d/g")
    other.unlink("/d/g")
    disk.sync_folder("/d")
    found += [held.status().inode, new("while a process lives")]
    other.stop()
    found += [new("when it is dead")]
    expected = [False, True, False, True, False, True, True, False, True]
    assert expected == [number == other for other in found]


def test_a_status_tells_what_changed() -> None:
    """Writing changes the time of a file, names that of their folder, and reading nothing."""
    disk = a_disk(partial(next, iter(range(1000))))
    file = a_file(disk)

    def changed_by(act: Callable[[], object]) -> list[str]:
        before = {path: disk.status(path) for path in ("/d", "/d/f", "/e")}
        act()
        return [path for path, status in before.items() if status != disk.status(path)]

    assert ["/d/f"] == changed_by(lambda: file.append(b""))
    assert ["/d/f"] == changed_by(lambda: file.truncate(0))
    assert ["/d"] == changed_by(lambda: a_file(disk, path="/d/g"))
    assert ["/d"] == changed_by(lambda: disk.touch_folder("/d"))
    disk.make_folder("/e", 0o700)
    assert ["/d", "/e"] == changed_by(lambda: disk.rename("/d/g", "/e/g"))
    assert [] == changed_by(lambda: [file.read(0, 1), disk.open("/d/f"), disk.list("/d")])
    owners = [file.status().owner]
    for act in (lambda: disk.set_owner("/d/f", 7, 8), lambda: disk.open("/d/f").set_owner(9, 9)):
        assert ["/d/f"] == changed_by(act)
        owners.append(file.status().owner)
    assert [(1001, 1001), (7, 8), (9, 9)] == owners


@pytest.mark.parametrize("call", [f"disk.{n}" for n in PLAIN.split()[3:]] + list(CALLS)[9:13])
def test_a_missing_file_is_an_error(call: str) -> None:
    """Calls that need something raise FileNotFoundError, with the path of what is not there."""
    with pytest.raises(FileNotFoundError) as caught:
        any_call(a_disk(), a_file(a_disk()), call)()
    assert "/d/g" == caught.value.filename


@pytest.mark.parametrize("call", list(CALLS)[13:])
def test_a_closed_file_is_an_error(call: str) -> None:
    """A file that was closed, even twice, answers EBADF; nobody else is told of that."""
    disk = a_disk()
    file, other = a_file(disk), disk.open("/d/f")
    file.close()
    file.close()
    assert ("OSError", errno.EBADF) == outcome_of(any_call(disk, file, call))
    assert None is outcome_of(other.sync)


@pytest.mark.parametrize("how", ["unlock", "close", "stop", "forget"])
def test_a_lock_is_freed(how: str) -> None:
    """By its holder, with the file, with the process, and when nobody holds the file any longer."""
    disk = a_disk()
    other = disk.process("b")
    files = [a_file(other)]
    heir = disk.lock("/d/f")
    held = [files[0].lock(0), heir.acquire(0)]
    {"stop": other.stop}.get(how, getattr(files[0], how, files.clear))()
    assert [True, False, True] == [*held, heir.acquire(0)]
    files.clear()  # what a dead process left open frees nothing any longer
    assert not disk.process("c").lock("/d/f").acquire(0)


def test_a_lock_file_that_was_removed_is_noticed() -> None:
    """Whoever waited on a removed file locks the one that has its name now, if there is one."""
    disk = a_disk()
    a_file(disk)
    first, second = disk.lock("/d/f"), disk.process("b").lock("/d/f")
    assert [True, True, False] == [lock.acquire(0) for lock in (first, first, second)]
    disk.unlink("/d/f")
    first.close()
    assert ("FileNotFoundError", errno.ENOENT) == outcome_of(second.acquire, 0)
    a_file(disk)
    assert (True, False) == (second.acquire(0), first.acquire(0))


@pytest.mark.parametrize("call", CALLS)
def test_any_call_can_fail_once(call: str) -> None:
    """A call that fails changes nothing of what is seen, and succeeds the next time."""
    file = a_file(disk := a_disk(), b"abc")
    if call in ("disk.list", "disk.sync_folder"):
        disk.make_folder("/d/g", 0o700)
    else:
        a_file(disk, path="/d/g")
    act = any_call(disk, file, call)
    name = {"file.status": "file_status"}.get(call, call.partition(".")[2])
    disk.fail(Fault(name, 1, errno.EIO))
    before = disk.image()
    assert IO_ERROR == outcome_of(act)
    assert before == disk.image()
    act()


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        (Fault("append", 2, errno.ENOSPC), [3, FULL, 3, 3]),
        (Fault("append", 2, errno.ENOSPC, lasting=True), [3, FULL, FULL, FULL]),
        (Fault("append", 2, errno.ENOSPC, taken=2), [3, 2, FULL, 3]),
        (Fault("append", 2, errno.ENOSPC, taken=2, lasting=True), [3, 2, FULL, FULL]),
    ],
    ids=str,
)
def test_the_nth_call_fails_whoever_makes_it(fault: Fault, expected: list[object]) -> None:
    """It fails at once or after some bytes, once or from then on, counted over all processes."""
    disk = a_disk()
    mine, theirs = a_file(disk, b"not counted"), disk.process("b").open_append("/d/f")
    disk.fail(fault)
    outcomes = [outcome_of(file.append, b"abc") for file in (mine, theirs, mine, mine)]
    assert expected == outcomes
    assert 11 + sum(n for n in outcomes if isinstance(n, int)) == mine.size()


@pytest.mark.parametrize(("size", "expected"), [(4, b"ab\0\0ef"), (3, b"ab\0ef"), (1, b"aef")])
def test_a_failed_sync_may_drop_pages(size: int, expected: bytes) -> None:
    """Zeros are then read in place of what was not yet durable, and of nothing else."""
    file = a_file(disk := a_disk(), b"ab")
    file.sync()
    file.append(b"cd")
    file.truncate(size)
    disk.fail(Fault("sync", 1, errno.EIO, drops_pages=True))
    assert IO_ERROR == outcome_of(file.sync)
    file.append(b"ef")
    assert expected == disk.process("b").open("/d/f").read(0, 9)


def test_a_failed_sync_is_told_once_to_those_who_had_the_file_open() -> None:
    """A file that was open hears of it at its next sync, once; one opened since never does."""
    file = a_file(disk := a_disk(), b"ab")
    before = disk.process("b").open("/d/f")
    disk.fail(Fault("sync", 1, errno.EIO))
    assert IO_ERROR == outcome_of(file.sync)
    after = disk.process("b").open("/d/f")
    outcomes = [outcome_of(f.sync) for f in (after, before, before, file)]
    assert [None, IO_ERROR, None, None] == outcomes


@pytest.mark.parametrize("call", CALLS)
def test_a_stopped_process_makes_no_call(call: str) -> None:
    """Each further call of it raises; what it wrote stays, and other processes go on."""
    file = a_file(disk := a_disk(), b"abc")
    disk.stop()
    for act in (any_call(disk, file, call), lambda: disk.lock("/d/f").acquire(0)):
        with pytest.raises(ProcessStopped):
            act()
    assert b"abc" == disk.process("b").open("/d/f").read(0, 9)


def test_a_process_can_be_stopped_at_any_call() -> None:
    """A watcher sees each call before it is made; what it does itself is not watched."""
    file = a_file(disk := a_disk())
    seen: list[tuple[Call, int]] = []

    def watch(call: Call) -> None:
        seen.append((call, file.size()))
        if len(seen) == 2:
            disk.stop()

    disk.watch(watch)
    file.append(b"x")
    with pytest.raises(ProcessStopped):
        file.append(b"y")
    call = Call("a", "append", "/d/f", changes=True)
    assert [(call, 0), (call, 1)] == seen
    assert b"x" == disk.process("b").open("/d/f").read(0, 9)
