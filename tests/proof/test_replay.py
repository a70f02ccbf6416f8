"""The replay of traced system calls: that it is faithful, and that it finds what SQLite warns of.

The last part is about its teeth: SQLite loses what it has acknowledged where it is told not to
sync enough, and loses nothing where it is told to.
"""

import mmap
import os
import random
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from replay import Kind, Replay, write_out
from sqlite_power import in_memory
from syscalls import (
    DEEP,
    NotReplayableError,
    files_below,
    fork,
    needs_strace,
    record,
    syscalls,
    wait_for,
)

MODELS = ("posix", "ext4", "ordered")
SECTOR = 512
BLOCK = 4096
ENOUGH = 9999

every_model = pytest.mark.parametrize("model", MODELS)

Work = Callable[[Path], object]


@pytest.fixture
def folder() -> Iterator[Path]:
    """Return a folder in memory: what is synced here is synced for the trace alone."""
    with in_memory() as memory:
        yield memory


def replayed(
    work: Work, folder: Path, model: str = "posix", unseen: tuple[str, ...] = ()
) -> Replay:
    """Do something in a new folder, and return the replay of it."""
    root = folder / "root"
    root.mkdir()
    calls = record(lambda: work(root), folder / "log")
    return Replay(calls, root, model, unseen=unseen)


def to_the_end(replay: Replay) -> list[str]:
    """Make all calls; return what was told of them."""
    return [moment.words for moment in replay.moments()]


def left(replay: Replay, path: str = "/f") -> set[bytes | None]:
    """Return what a power cut may leave of a file: its bytes, or None when it is gone."""
    found = (image.nodes.get(path) for _, image in replay.crash_states(ENOUGH, random.Random(0)))
    return {None if node is None else node.content for node in found}


def put(path: Path, data: bytes, *, at: int = 0, sync: bool = False) -> None:
    """Write in place, to a file that is made where it is not there."""
    file = os.open(path, os.O_RDWR | os.O_CREAT)
    os.pwrite(file, data, at)
    if sync:
        os.fsync(file)
    os.close(file)
    if sync:
        sync_folder(path.parent)


def sync_folder(path: Path) -> None:
    """Make the names in a folder durable."""
    folder = os.open(path, os.O_RDONLY)
    os.fsync(folder)
    os.close(folder)


# ----------------------------------------------------------------------------- the trace


def test_a_call_that_was_interrupted_is_put_together() -> None:
    """What strace has split, as another thread called meanwhile, is one call; it is the later."""
    log = (
        ("7 fsync(3</x> <unfinished ...>\n8 close(4</y>) = 0\n7 <... fsync resumed>)      = 0\n")
        .replace("/x", r"\x2f\x78")
        .replace("/y", r"\x2f\x79")
    )
    assert [(8, "close", 4), (7, "fsync", 3)] == [
        (call.thread, call.name, call.number(0)) for call in syscalls(log)
    ]


def test_what_is_no_call_is_left_out() -> None:
    """Signals, the end of a process, and calls that failed change nothing."""
    log = (
        "7 --- SIGCHLD {si_signo=SIGCHLD} ---\n"
        '7 mkdir("\\x2f\\x78", 0777) = -1 EEXIST (File exists)\n'
        "7 +++ exited with 0 +++\n"
    )
    assert [] == list(syscalls(log))


def test_bytes_are_those_that_were_taken() -> None:
    """Of several parts, and of a write that was cut short, as much counts as was written."""
    log = (
        r'7 writev(3, [{iov_base="\x61\x62", iov_len=2}, {iov_base="\x63\x64", iov_len=2}], 2) = 3'
    )
    (call,) = syscalls(log)
    assert b"abc" == call.data


@pytest.mark.parametrize(
    "log",
    [
        "7 what is this",
        "7 +++ killed by SIGKILL +++",
        "7 fsync(3) = ?",
        "7 fsync(3 <unfinished ...>",
    ],
)
def test_a_line_that_is_not_understood_is_refused(log: str) -> None:
    """Nothing is guessed: of a process that was killed in a call it is unknown what it did."""
    with pytest.raises(NotReplayableError):
        list(syscalls(log))


def test_a_string_that_was_cut_off_is_refused() -> None:
    """A trace without all bytes is no trace."""
    (call,) = syscalls(r'7 write(3, "\x61"..., 2) = 2')
    with pytest.raises(NotReplayableError):
        _ = call.data


def test_a_path_without_a_folder_is_refused() -> None:
    """Where a relative path leads to is not in the trace, but for those beside a descriptor."""
    lost, found = syscalls(
        r'7 unlink("\x61") = 0' + "\n" + r'7 unlinkat(3<\x2f\x64>, "\x61", 0) = 0'
    )
    assert ["/d/a"] == found.paths
    with pytest.raises(NotReplayableError):
        _ = lost.paths


# ---------------------------------------------------------------------------- faithfulness


def in_place(root: Path) -> None:
    """Write at any place, behind the end too, and cut."""
    put(root / "f", b"abcdef")
    put(root / "f", b"XY", at=2)
    put(root / "f", b"Z", at=9)
    put(root / "f", b"", at=20)
    put(root / "g", b"abc")
    os.truncate(file := os.open(root / "g", os.O_RDWR), 1)
    os.posix_fallocate(file, 0, 7)
    os.posix_fallocate(file, 0, 2)


def by_offset(root: Path) -> None:
    """Write where the last write has ended, through descriptors that share that, or do not."""
    file = os.open(root / "f", os.O_RDWR | os.O_CREAT)
    os.write(file, b"one")
    os.write(os.dup(file), b"two")
    os.lseek(file, 1, os.SEEK_SET)
    os.write(file, b"--")
    other = os.open(root / "f", os.O_RDWR)
    os.write(other, b"x")
    os.dup2(file, other)
    os.writev(other, [b"1", b"23"])
    os.pwritev(other, [b"4", b"5"], 12)


def at_the_end(root: Path) -> None:
    """Append, cut by opening, and append again."""
    first = os.open(root / "f", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.write(first, b"abc")
    put(root / "f", b"defg")
    os.write(first, b"hi")
    second = os.open(root / "f", os.O_WRONLY | os.O_TRUNC | os.O_APPEND)
    os.write(second, b"1")
    os.write(first, b"2")


def by_name(root: Path) -> None:
    """Make, move and remove names; a file without one can still be written."""
    (root / "a" / "b").mkdir(parents=True)
    (root / "c").mkdir()
    (root / "c").rmdir()
    put(root / "a" / "f", b"f")
    put(root / "g", b"g")
    file = os.open(root / "g", os.O_RDWR)
    (root / "g").unlink()
    put(root / "g", b"new")
    os.write(file, b"gone")
    (root / "g").rename(root / "a" / "g")
    (root / "a" / "f").replace(root / "a" / "g")
    beside = os.open(root / "a", os.O_RDONLY)
    os.close(os.open("h", os.O_RDWR | os.O_CREAT, dir_fd=beside))
    os.mkdir("i", dir_fd=beside)
    os.rename("h", "j", src_dir_fd=beside, dst_dir_fd=beside)


def by_others(root: Path) -> None:
    """Write from threads and from a child that has the same descriptors, or its own."""
    file = os.open(root / "f", os.O_RDWR | os.O_CREAT)
    thread = threading.Thread(target=lambda: os.write(file, b"thread"))
    thread.start()
    thread.join()

    def work() -> None:
        os.write(file, b"child")
        os.close(file)
        put(root / "g", b"g")

    assert 0 == wait_for(fork(work))
    os.write(file, b"parent")


WORKS: tuple[Work, ...] = (in_place, by_offset, at_the_end, by_name, by_others)


def files_of(replay: Replay) -> dict[str, bytes]:
    """Return the files that the replay has made, as `files_below` shows those of a folder."""
    return {path[1:]: content for path, _, content in replay.machine.image().files()}


@needs_strace
@pytest.mark.parametrize("work", WORKS, ids=lambda work: work.__name__)
def test_the_replay_makes_the_same_files(work: Work, folder: Path) -> None:
    """When all calls are made, the machine has what the kernel has."""
    replay = replayed(work, folder)
    to_the_end(replay)
    assert files_below(folder / "root") == files_of(replay)


def anything(root: Path, seed: int) -> None:
    """Make some hundred calls by chance."""
    rng = random.Random(seed)
    for _ in range(300):
        path = root / rng.choice("fgh")
        match rng.randrange(6):
            case 0:
                path.unlink(missing_ok=True)
            case 1 if path.exists():
                path.rename(root / rng.choice("fgh"))
            case 2 if path.exists():
                os.truncate(file := os.open(path, os.O_RDWR), rng.randrange(2000))
                os.close(file)
            case 3:
                with path.open("ab", buffering=0) as appended:
                    appended.write(rng.randbytes(rng.randrange(600)))
            case _:
                data = rng.randbytes(rng.randrange(2000))
                put(path, data, at=rng.randrange(3000), sync=rng.random() < 0.5)


@needs_strace
@pytest.mark.parametrize("seed", range(20 if DEEP else 2))
def test_any_script_is_replayed(seed: int, folder: Path) -> None:
    """The same, for calls by chance."""
    replay = replayed(lambda root: anything(root, seed), folder)
    to_the_end(replay)
    assert files_below(folder / "root") == files_of(replay)


def map_and_write(root: Path) -> None:
    """Change a file through memory."""
    put(root / "f", bytes(BLOCK))
    file = os.open(root / "f", os.O_RDWR)
    mmap.mmap(file, BLOCK)[0] = 1


def link(root: Path) -> None:
    """Give a file two names."""
    put(root / "f", b"")
    (root / "g").hardlink_to(root / "f")


def copy_inside(root: Path) -> None:
    """Let the kernel copy."""
    put(root / "f", b"abc")
    put(root / "g", b"")
    os.copy_file_range(os.open(root / "f", os.O_RDONLY), os.open(root / "g", os.O_RDWR), 3)


def move_out(root: Path) -> None:
    """Move a file to where nobody watches."""
    put(root / "f", b"")
    (root / "f").rename(root.parent / "f")


def sync_all(root: Path) -> None:
    """Sync everything."""
    os.sync()


def append_at(root: Path) -> None:
    """Append, and say where: Linux does not heed it."""
    os.pwrite(os.open(root / "f", os.O_WRONLY | os.O_CREAT | os.O_APPEND), b"abc", 0)


REFUSED: tuple[Work, ...] = (map_and_write, link, copy_inside, move_out, sync_all, append_at)


@needs_strace
@pytest.mark.parametrize("work", REFUSED, ids=lambda work: work.__name__)
def test_what_has_no_counterpart_is_refused(work: Work, folder: Path) -> None:
    """A call that would be replayed wrongly ends the replay."""
    with pytest.raises(NotReplayableError):
        to_the_end(replayed(work, folder))


@needs_strace
def test_a_file_that_is_mapped_may_be_left_out(folder: Path) -> None:
    """By the end of its name; then it is in no image."""
    replay = replayed(map_and_write, folder, unseen=("f",))
    to_the_end(replay)
    assert {} == replay.machine.image().nodes


@needs_strace
def test_what_was_said_is_known_at_its_time(folder: Path) -> None:
    """A line on the standard output is there for the moments after it, and for none before."""

    def work(root: Path) -> None:
        put(root / "f", b"")
        os.write(1, b"made\n")
        (root / "f").unlink()
        os.write(1, b"removed\nended\n")

    replay = replayed(work, folder)
    told = [(moment.kind, list(replay.said)) for moment in replay.moments()]
    assert [
        (Kind.CHANGE, []),
        (Kind.SAID, []),
        (Kind.CHANGE, ["made"]),
        (Kind.SAID, ["made"]),
        (Kind.END, ["made", "removed", "ended"]),
    ] == told


# ------------------------------------------------------------------------- what may be left


@needs_strace
@pytest.mark.parametrize(
    ("model", "torn"),
    [("posix", {b"abXdef", b"abcYef"}), ("ext4", set()), ("ordered", {b"abXdef"})],
)
def test_where_a_write_is_lost_the_older_bytes_are(
    model: str, torn: set[bytes], folder: Path
) -> None:
    """What is written in place is there, or what was there before, or it is torn between them."""

    def work(root: Path) -> None:
        put(root / "f", b"abcdef", sync=True)
        put(root / "f", b"XY", at=2)
        os.write(1, b"written\n")
        put(root / "f", b"Z", at=0, sync=True)

    replay = replayed(work, folder, model)
    for moment in replay.moments():
        if moment.kind is Kind.SAID:
            assert {b"abcdef", b"abXYef"} <= left(replay) <= {b"abcdef", b"abXYef", *torn}
    assert {b"ZbXYef"} == left(replay)


@every_model
@needs_strace
def test_a_cut_is_not_torn(model: str, folder: Path) -> None:
    """A file is as long as it was, or as short as it was made; nothing in it becomes zeros."""

    def work(root: Path) -> None:
        put(root / "f", b"a" * 4 * BLOCK, sync=True)
        os.truncate(os.open(root / "f", os.O_RDWR), BLOCK)

    replay = replayed(work, folder, model)
    to_the_end(replay)
    assert {b"a" * 4 * BLOCK, b"a" * BLOCK} == left(replay)


def two_blocks(root: Path) -> None:
    """Write two blocks in place of two others."""
    put(root / "f", b"a" * 2 * BLOCK, sync=True)
    put(root / "f", b"b" * 2 * BLOCK)


def patterns(replay: Replay, grain: int) -> set[bytes]:
    """Return which parts of a file may be new, as one letter for each; whole parts only."""
    to_the_end(replay)
    found: set[bytes] = set()
    for content in left(replay):
        parts = [(content or b"")[at : at + grain] for at in range(0, len(content or b""), grain)]
        if all(len(set(part)) == 1 for part in parts):
            found.add(bytes(part[0] for part in parts))
    return found


@needs_strace
@pytest.mark.parametrize(
    ("model", "expected"),
    [
        ("posix", {b"aa", b"ab", b"ba", b"bb"}),
        ("ext4", {b"aa", b"ab", b"ba", b"bb"}),
        ("ordered", {b"aa", b"ba", b"bb"}),
    ],
)
def test_blocks_reach_the_disk_in_any_order(model: str, expected: set[bytes], folder: Path) -> None:
    """The second may be new and the first one old, unless all is in its order."""
    assert expected == patterns(replayed(two_blocks, folder, model), BLOCK)


@needs_strace
def test_sectors_reach_the_disk_in_any_order(folder: Path) -> None:
    """In posix a block may be torn into its sectors, old and new ones in turn; elsewhere not."""
    mixed = {p for p in patterns(replayed(two_blocks, folder), SECTOR) if p.count(b"ab") > 1}
    assert len(mixed) > 5


def zeros_in(data: bytes) -> Iterator[bytes]:
    """Yield what may be left of bytes that are new: any size, and zeros for any of them."""
    yield b""
    for shorter in zeros_in(data[:-1]) if data else ():
        yield shorter
        yield shorter.ljust(len(data) - 1, b"\0") + data[-1:]
        yield shorter.ljust(len(data), b"\0")


@needs_strace
@pytest.mark.parametrize(
    ("model", "least", "most"),
    [
        ("posix", {None, b"", b"a", b"ab", b"abc"}, {None, *zeros_in(b"abc")}),
        ("ext4", {None, b"", b"abc"}, {None, b"", b"abc", b"\0\0\0"}),
        ("ordered", {None, b"", b"abc"}, {None, b"", b"a", b"ab", b"abc"}),
    ],
)
def test_behind_the_end_of_a_file_there_was_nothing(
    model: str, least: set[bytes | None], most: set[bytes | None], folder: Path
) -> None:
    """Of what is new, it or nothing or zeros may be there; the name may be missing."""

    def work(root: Path) -> None:
        put(root / "f", b"abc")

    replay = replayed(work, folder, model)
    to_the_end(replay)
    assert least <= left(replay) <= most


def small_changes(root: Path) -> None:
    """Change so little at a time that nothing of it can be torn."""
    put(root / "f", b"ab", sync=True)
    for at, letter in enumerate((b"x", b"y", b"z")):
        put(root / "f", letter, at=at)
    put(root / "f", b"", sync=True)
    (root / "f").rename(root / "g")
    (root / "h").mkdir()
    sync_folder(root)
    put(root / "f", b"1")
    (root / "h").rmdir()


@every_model
@needs_strace
def test_nothing_is_missed_at_the_moments_that_tell(model: str, folder: Path) -> None:
    """What may be left before a change may be left after it: only the last before a sync counts."""
    replay = replayed(small_changes, folder, model)
    everywhere, there = set[int](), set[int]()
    for moment in replay.moments():
        keys = {image.key() for _, image in replay.crash_states(ENOUGH, random.Random(0))}
        everywhere |= keys
        if moment.kind is not Kind.CHANGE:
            there |= keys
    assert everywhere == there
    assert len(there) > 10


# -------------------------------------------------------------------------------- the teeth


def rows_of(number: int) -> str:
    """Return the text of a row; some need more than one page."""
    return f"row {number} " * (900 if number % 5 == 4 else 50)


ROWS = 8


def play(root: Path, journal: str, synchronous: str) -> None:
    """Insert rows, and say what begins and what SQLite has acknowledged."""
    with closing(sqlite3.connect(root / "x.db", isolation_level=None)) as connection:
        connection.execute(f"PRAGMA journal_mode = {journal}")
        connection.execute(f"PRAGMA synchronous = {synchronous}")
        connection.execute("CREATE TABLE t (n INTEGER PRIMARY KEY, text TEXT UNIQUE)")
        for number in range(ROWS):
            os.write(1, b"begin %d\n" % number)
            connection.execute("INSERT INTO t VALUES (?, ?)", (number, rows_of(number)))
            os.write(1, b"ack %d\n" % number)


def wrong(root: Path, said: list[str]) -> list[str]:
    """Return what is wrong with a database that a power cut has left."""
    told = [line.split() for line in said]
    begun, owed = ({int(n) for word, n in told if word == w} for w in ("begin", "ack"))
    try:
        with closing(sqlite3.connect(root / "x.db", isolation_level=None)) as connection:
            rows = dict(connection.execute("SELECT n, text FROM t")) if told else {}
            checked = connection.execute("PRAGMA integrity_check").fetchall()
            if told:
                connection.execute("INSERT INTO t VALUES (99, 'is it usable?')")
    except sqlite3.Error as error:
        return [repr(error)]
    problems = [] if checked == [("ok",)] else [str(checked)]
    problems += [f"{n} is torn" for n, text in rows.items() if text != rows_of(n)]
    return problems + ([] if owed <= rows.keys() <= begun else [f"{owed}, but {rows.keys()}"])


def states_and_problems(
    folder: Path, model: str, journal: str, synchronous: str
) -> tuple[int, set[str]]:
    """Cut the power everywhere; return in how many states, and what was wrong in any of them."""
    replay = replayed(lambda root: play(root, journal, synchronous), folder, model, ("-shm",))
    rng, seen, problems = random.Random(0), set[int](), set[str]()
    for moment in replay.moments():
        if moment.kind is Kind.CHANGE and not DEEP:
            continue
        for _, image in replay.crash_states(200 if DEEP else 8, rng):
            key = hash((image.key(), len(replay.said)))
            if key not in seen:
                seen.add(key)
                state = folder / str(len(seen))
                write_out(image, state)
                problems.update(wrong(state, replay.said))
    return len(seen), problems


@every_model
@needs_strace
@pytest.mark.parametrize(("journal", "synchronous"), [("wal", "FULL"), ("delete", "EXTRA")])
def test_sqlite_loses_nothing_where_it_syncs(
    journal: str, synchronous: str, model: str, folder: Path
) -> None:
    """Promise 22: these are what a store may use."""
    states, problems = states_and_problems(folder, model, journal, synchronous)
    assert set() == problems
    assert states > 50


@every_model
@needs_strace
@pytest.mark.parametrize(
    ("journal", "synchronous"),
    [("wal", "NORMAL"), ("delete", "FULL"), ("wal", "OFF"), ("delete", "OFF")],
)
def test_sqlite_is_caught_where_it_loses_rows(
    journal: str, synchronous: str, model: str, folder: Path
) -> None:
    """Promise 22: these are not, though the first two are defaults, and often recommended.

    In a write-ahead log NORMAL syncs at checkpoints alone. With a rollback journal FULL does not
    sync the removal of the journal's name, which then undoes what was acknowledged.
    """
    _, problems = states_and_problems(folder, model, journal, synchronous)
    assert set() != problems
