"""What the explorer has found in the store, each in its smallest form."""

import contextlib
import errno
import gzip

import attrs
import pytest
from month_files import BESIDE, Foreign, Seal, clock, open_beside, path_of, without_waiting
from subject import FOLDER, open_store, small_indexes, subject

from feedback_store import DurabilityError, FeedbackEntry, Outcome, Query, encode
from feedback_store.backends.jsonl import JsonlStore, replacement
from feedback_store.backends.jsonl.damage import damaged_lines
from feedback_store.backends.jsonl.index_file import Stretch, format_run
from feedback_store.backends.jsonl.naming import plain_name
from feedback_store.backends.jsonl.records import Records
from feedback_store.backends.jsonl.traits import TraitTable
from feedback_store.testing.simulation import (
    Add,
    Call,
    Compact,
    Effort,
    Fault,
    Image,
    SimulatedDisk,
    Tally,
    Update,
    Workload,
    an_entry,
    explore,
    explore_faults,
)

E1, E2, E5 = an_entry(1), an_entry(2), an_entry(5)
MONTH = path_of(1)
STATE = f"{FOLDER}/.feedback_store"


def ids(store: JsonlStore) -> list[str]:
    """Return the ids that a store shows."""
    return [entry.id for entry in store.scan(Query())]


def disk_with(*entries: FeedbackEntry) -> Image:
    """Return a disk with a store in which these entries are."""
    disk = SimulatedDisk()
    store = open_store(disk)
    store.append(entries)
    store.close()
    return disk.image()


def changed(image: Image, path: str, content: bytes | None, mode: int = 0o664) -> Image:
    """Return the disk with other contents in a file, or without it."""
    nodes = dict(image.nodes)
    node = nodes.pop(path, nodes[FOLDER])
    if content is not None:
        number = node.number if path in image.nodes else max(n.number for n in nodes.values()) + 1
        nodes[path] = node._replace(number=number, content=content, mode=mode)
    return Image(nodes)


def assert_fine(tally: Tally) -> None:
    """Assert that something was tried, and nothing was found."""
    assert tally.states
    assert not tally.broken, tally.violations[0]


@pytest.mark.parametrize("name", ["lock", "maintenance.lock", "format"])
def test_a_state_folder_that_lacks_something_is_completed(name: str) -> None:
    """The format file could become durable before the locks, and a store then never wrote again."""
    store = open_store(SimulatedDisk(changed(disk_with(E1), f"{STATE}/{name}", None)))
    assert [Outcome.ADDED] == store.append([E2])
    store.compact()
    assert ["e1", "e2"] == ids(store)


@pytest.mark.parametrize("zeros", [1, 100])
@pytest.mark.parametrize("after", [b"", b'"half": 1}\n', b"\n" + encode(E5) + b"\n"])
def test_zeros_behind_a_whole_line_do_not_take_it_along(zeros: int, after: bytes) -> None:
    """A line without a newline, and then the length of a write whose first bytes were lost."""
    content = encode(E1) + bytes(zeros) + after
    disk = SimulatedDisk(changed(disk_with(E1), MONTH, content))
    store = open_store(disk)
    expected = ["e1", "e5"] if b"e5" in after else ["e1"]
    assert expected == ids(store)
    assert Outcome.UNCHANGED is store.append([E1])[0]
    store.append([E2])
    assert sorted([*expected, "e2"]) == sorted(ids(open_store(disk.process("b"))))
    store.compact()
    assert sorted([*expected, "e2"]) == sorted(ids(open_store(disk.process("c"))))


def test_zeros_before_a_whole_line_do_not_take_it_along() -> None:
    """The length of a write whose bytes were lost, and then a line without a newline between."""
    content = encode(E1) + b"\n" + bytes(80) + encode(E2) + b"\n"
    store = open_store(SimulatedDisk(changed(disk_with(E1), MONTH, content)))
    assert ["e1", "e2"] == ids(store)
    store.compact()
    assert b"\0" not in (store._folder.parts()[0].file.read(0, 1000))
    assert ["e1", "e2"] == ids(store)


def test_an_empty_month_file_that_another_died_in_making_is_claimed() -> None:
    """Whoever makes a file may die between its name and its mode; others must still get in."""
    image = changed(changed(disk_with(E1), MONTH, None), MONTH, b"", 0o600)
    disk = SimulatedDisk(image)
    open_store(disk).append([E1])
    assert 0o664 == disk.image().nodes[MONTH].mode
    assert {0o664} == {
        i.nodes[MONTH].mode for _, i in disk.crash_states() if i.nodes[MONTH].content
    }


def test_a_sealed_month_is_removed_only_when_its_heir_has_a_durable_name() -> None:
    """A power cut could keep the removal of the .gz and lose the rename of what replaces it."""
    setup = (Add.of(E1, E2), Seal(1), Add.of(E5))
    assert_fine(explore(subject(), Workload("join", ((Compact(),),), setup), Effort(limit=300)))


def test_a_rewrite_takes_its_mode_from_a_file_with_lines() -> None:
    """An empty plain file beside a sealed month may have the mode in which its maker died."""
    disk = SimulatedDisk()
    store = open_store(disk)
    store.append([E1, E2])
    store.rewrite("e1", lambda old: attrs.evolve(old, rating=0))
    store.close()
    content = disk.image().nodes[MONTH].content or b""
    image = changed(changed(disk.image(), f"{MONTH}.gz", _gzip(content)), MONTH, b"", 0o600)
    joined = SimulatedDisk(image)
    open_store(joined).compact()
    assert 0o664 == joined.image().nodes[MONTH].mode


def _gzip(content: bytes) -> bytes:
    return gzip.compress(content, mtime=0)


def test_a_failing_call_while_runs_are_taken_leaves_no_empty_run() -> None:
    """Runs were taken and their lines kept too: the next run was empty, and hung every reader."""
    steps = (Add.of(E1), Add.of(E2), Add.of(E1), Add.of(E5))
    kinds = [Fault("list", 1, errno.EMFILE), Fault("open", 1, errno.EMFILE)]
    workload = Workload("adds", (steps,))
    with small_indexes():
        effort = Effort(limit=4, reads=True)
        assert_fine(explore_faults(subject(), workload, effort, lambda: kinds))


def test_the_index_never_outlives_the_lines_that_it_is_of() -> None:
    """A reader saved a run of lines that were not durable; only their ends are looked at."""
    with small_indexes():
        disk = SimulatedDisk(disk_with(E1))
        for entry in (E2, E5):  # as a writer does that has not come to its sync
            disk.open_append(MONTH).append(encode(entry) + b"\n")
        reader = open_store(disk.process("reader"))
        assert ["e1", "e2", "e5"] == ids(reader)
        runs = [name for name in disk.list(f"{STATE}/index") if name.endswith(".idx")]
        assert runs
        for _, image in disk.crash_states():
            assert ["e1", "e2", "e5"] == ids(open_store(SimulatedDisk(image)))


def test_no_run_is_saved_of_a_file_whose_sync_has_failed() -> None:
    """No sync by others makes good what one has lost: such lines stay out of the saved index."""
    with small_indexes():
        disk = SimulatedDisk(disk_with(E1))
        store = open_store(disk)
        disk.fail(Fault("sync", 1, errno.EIO))
        with pytest.raises(DurabilityError):
            store.append([E2, E5])
        before = disk.list(f"{STATE}/index")
        assert ["e1", "e2", "e5"] == ids(open_store(disk.process("reader")))
        assert before == disk.list(f"{STATE}/index")


def test_an_empty_run_is_never_believed() -> None:
    """One that was left behind is passed over: it would be taken again and again."""
    disk = SimulatedDisk(disk_with(E1))
    part = open_store(disk)._folder.open(plain_name("2025-01"))
    assert part is not None
    stretch = Stretch(part.identify(0) or b"", part.index._reading, 0, 0, 0, 0, 0, 0)
    empty = disk.create(f"{STATE}/index/{part.name.name}.0-0.idx", 0o664)
    empty.append(format_run(stretch, Records(), TraitTable()))
    assert ["e1"] == ids(open_store(disk.process("b")))


def test_a_failed_sync_is_told_to_processes_that_come_later() -> None:
    """The kernel tells a failure only to those who had the file open: a sync by others succeeds."""
    disk = SimulatedDisk(disk_with(E1))
    store = open_store(disk)
    assert ["e1"] == ids(store)
    disk.fail(Fault("sync", 1, errno.EIO))
    with pytest.raises(DurabilityError):
        store.append([E5])
    other = open_store(disk.process("b"))
    assert [Outcome.UNCHANGED] == other.append([E5])
    for _, image in disk.crash_states():
        assert ["e1", "e5"] == ids(open_store(SimulatedDisk(image)))
    other.rewrite("e1", lambda old: attrs.evolve(old, rating=0))
    other.compact()
    assert [] == [name for name in disk.list(STATE) if name.startswith("doubt")]


@pytest.mark.parametrize("workload", BESIDE, ids=lambda workload: workload.name)
def test_nothing_of_an_older_writer_is_lost(workload: Workload) -> None:
    """What it appends to a file that was exchanged; what its copy of an old one brings back."""
    what = attrs.evolve(subject(open_beside), clock=clock)
    with without_waiting():
        assert_fine(explore(what, workload, Effort("ordered", limit=4)))


def test_a_good_line_that_comes_while_damaged_ones_are_looked_for_is_not_one_of_them() -> None:
    """The file was read beyond the end that was known, and the new line went to quarantine."""
    disk = SimulatedDisk(disk_with(E1, E2))
    bad = Foreign("a damaged line", b"{oops\n")
    late = encode(E5) + b"\n"
    store = open_store(disk)
    disk.open_append(MONTH).append(bad.data)
    assert ["e1", "e2"] == ids(store)

    def watch(call: Call) -> None:
        if call.name == "read" and call.path == MONTH and late not in _content(disk):
            disk.open_append(MONTH).append(late)

    part = store._folder.parts()[0]
    disk.watch(watch)
    assert [(3, b"{oops")] == list(damaged_lines(part))


def _content(disk: SimulatedDisk) -> bytes:
    return disk.image().nodes[MONTH].content or b""


@pytest.mark.parametrize(
    "name",
    [".format.0123456789abcdef.tmp", "index/feedback_2025-01.jsonl.0-9.idx.0123456789abcdef.tmp"],
)
def test_every_temporary_file_is_cleared_away(name: str) -> None:
    """Those of the format file and of the index stayed for ever."""
    disk = SimulatedDisk(changed(disk_with(E1), f"{STATE}/{name}", b"half"))
    open_store(disk).compact()
    assert f"{STATE}/{name}" not in disk.image().nodes


def test_rights_are_durable_with_the_bytes() -> None:
    """A new month and a rewritten one: fdatasync says nothing about mode and owner."""
    workload = Workload("rights", ((Add.of(E1, E2), Update("e1", 0), Compact()),))
    assert_fine(explore(subject(), workload, Effort(limit=60)))


@pytest.mark.parametrize("drops", [False, True])
def test_a_sync_that_fails_for_the_index_fails_for_what_is_acknowledged(*, drops: bool) -> None:
    """The index swallowed the failure, and the kernel tells it once: the next sync succeeded."""
    with small_indexes():
        disk = SimulatedDisk(disk_with(E1))
        for entry in (E2, E5):  # as a writer does that dies before its sync
            disk.open_append(MONTH).append(encode(entry) + b"\n")
        reader = open_store(disk.process("reader"))
        disk.fail(Fault("sync", 1, errno.EIO, drops_pages=drops))
        ids(reader)
        with contextlib.suppress(DurabilityError):
            reader.append([E2])
            _assert_durable(disk, "e2")
        open_store(disk.process("later")).append([E5])
        _assert_durable(disk, "e5")


def _assert_durable(disk: SimulatedDisk, id: str) -> None:
    for _, image in disk.crash_states():
        assert id in ids(open_store(SimulatedDisk(image)))


@pytest.mark.parametrize("lines", [1, 1000])
def test_a_sync_of_a_replacement_that_fails_for_its_index_fails_for_it(
    lines: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The index of the new file synced it first, and swallowed the failure: lines were lost."""
    monkeypatch.setattr(replacement, "MEMORY_LINES", lines)
    setup = (Add.of(E1), Add.of(E2), Update("e1", 0))
    workload = Workload("compact", ((Compact(),),), setup)
    with small_indexes():
        assert_fine(explore_faults(subject(), workload, Effort(limit=8), _syncs))


def _syncs() -> list[Fault]:
    return [Fault("sync", 1, errno.EIO, drops_pages=drops) for drops in (False, True)]


def test_runs_are_taken_all_at_once_or_not_at_all() -> None:
    """A call that failed between two runs left the first one taken, and its lines known twice."""
    with small_indexes():
        disk = SimulatedDisk(disk_with())
        store = open_store(disk)
        for entries in ([E1, E2], [E5, an_entry(6)]):
            store.append(entries)
        store.close()
        part = open_store(disk.process("b"))._folder.open(plain_name("2025-01"))
        assert part is not None
        assert 2 == len(part.index._runs)
        part.index._runs = []
        disk.fail(Fault("list", 2, errno.EMFILE))
        with pytest.raises(OSError, match="open files"):
            part.index._adopt(part.identify)
        assert [] == part.index._runs


def test_an_exchange_is_durable_before_anything_else_happens() -> None:
    """An older writer may write to the new file at once, which a power cut could undo."""
    disk = SimulatedDisk(disk_with(E1, E2), clock=clock)
    with without_waiting():
        store = open_beside(disk)
        store.rewrite("e1", lambda old: attrs.evolve(old, rating=0))
        disk.machine.trace.clear()
        store.compact()
    changes = [line.partition(":")[2].strip() for line in disk.machine.trace]
    place = next(i for i, change in enumerate(changes) if change.startswith("exchange"))
    assert f"sync the folder {FOLDER}" == changes[place + 1]
