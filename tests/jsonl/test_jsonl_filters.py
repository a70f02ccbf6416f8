"""Months that are opened only when something is asked of them, and never missed for that."""

import errno
import gzip
import os
import time
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonl_harness import NOON, a_line, an_entry, contents

from feedback_store import FeedbackEntry, Query, StoreUnavailableError
from feedback_store.backends.jsonl import JsonlStore
from feedback_store.backends.jsonl.blocks import BLOCK_BYTES
from feedback_store.backends.jsonl.filters import WORTH_MONTHS, Filters, read_filters
from feedback_store.backends.jsonl.os_disk import OsDisk, OsFile
from feedback_store.backends.jsonl.records import hash_of
from feedback_store.store import Outcome

MONTHS = 12
EACH = 5
OLDEST = "feedback_2025-01.jsonl"
FILE = Path(".feedback_store/index/months.filter")


def month_of(number: int) -> datetime:
    """Return a time in a month of 2025."""
    return datetime(2025, number, 3, tzinfo=UTC)


def id_in(month: int, number: int = 0) -> str:
    """Return the id of an entry of a month."""
    return f"{month}-{number}"


def everything() -> list[FeedbackEntry]:
    """Return some entries of each month."""
    return [
        an_entry(id_in(month, k), timestamp=month_of(month))
        for month in range(1, MONTHS + 1)
        for k in range(EACH)
    ]


def settle(folder: Path) -> None:
    """Let all files look as if nobody had written to them for a while."""
    for path in folder.glob("feedback_*"):
        age(path)


def age(path: Path) -> None:
    """Let a file look as if nobody had written to it for a while."""
    moment = time.time_ns() - 10_000_000_000
    os.utime(path, ns=(moment, moment))


def write_and_close(folder: Path) -> None:
    """Open a store, write what changes nothing, and close it."""
    with closing(JsonlStore(folder)) as store:
        store.append(everything())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a store of a year, with filters of all its months."""
    write_and_close(tmp_path)
    settle(tmp_path)
    write_and_close(tmp_path)
    assert (tmp_path / FILE).exists()
    return tmp_path


class WatchedDisk(OsDisk):
    """A disk that tells which month files were opened, and does something before the first."""

    def __init__(self, first: Callable[[], object] | None = None) -> None:
        self.opened: list[str] = []
        self._first = first

    def open(self, path: str) -> OsFile:
        """Open a file, and note its name."""
        name = Path(path).name
        if name.startswith("feedback_") and ".jsonl." not in name:
            if self._first is not None:
                first, self._first = self._first, None
                first()
            self.opened.append(name)
        return super().open(path)


def opened_for(folder: Path, id: str) -> list[str]:
    """Return the month files that a new store opens to get an entry."""
    disk = WatchedDisk()
    with closing(JsonlStore(folder, disk=disk)) as store:
        store.get(id)
    return disk.opened


@pytest.mark.parametrize("month", [1, 6, 12])
def test_one_month_is_opened_for_one_entry(folder: Path, month: int) -> None:
    """The filters of the others say that it is not there."""
    assert opened_for(folder, id_in(month)) == [f"feedback_2025-{month:02}.jsonl"]


def test_no_month_is_opened_for_an_entry_that_is_not_there(folder: Path) -> None:
    """Each month says so by its filter."""
    assert opened_for(folder, "nowhere") == []


def test_few_strangers_seem_to_be_there(tmp_path: Path) -> None:
    """One look in a table that is as full as may be would take two in a hundred for known."""
    with closing(JsonlStore(tmp_path)) as store:
        many = [
            an_entry(f"{m}-{k}", timestamp=month_of(m)) for m in range(1, 5) for k in range(256)
        ]
        store.append(many)
        settle(tmp_path)
        assert store.get("1-0") is not None
    filters = read_filters(OsDisk(), str(tmp_path / FILE.parent))
    names = list(filters.looks)
    assert len(names) == 4
    asked = [(name, f"stranger-{k}") for name in names for k in range(2000)]
    assert sum(not ruled_out(filters, *one, tmp_path) for one in asked) < len(asked) / 100
    assert not any(ruled_out(filters, OLDEST, f"1-{k}", tmp_path) for k in range(256))


def test_without_filters_the_newest_month_is_asked_first(folder: Path) -> None:
    """Most questions are about what came lately."""
    (folder / FILE).unlink()
    assert opened_for(folder, id_in(11)) == ["feedback_2025-12.jsonl", "feedback_2025-11.jsonl"]


def test_adding_looks_at_all_months_and_opens_none_but_its_own(folder: Path) -> None:
    """That an id is new costs a status call a month."""
    disk = WatchedDisk()
    with closing(JsonlStore(folder, disk=disk)) as store:
        store.append([an_entry("new", timestamp=month_of(12))])
    assert set(disk.opened) == {"feedback_2025-12.jsonl"}


def test_many_lookups_open_all(folder: Path) -> None:
    """Open files answer more cheaply than paths, from some questions on."""
    disk = WatchedDisk()
    with closing(JsonlStore(folder, disk=disk)) as store:
        for k in range(20):
            assert store.get(f"nowhere {k}") is None
    assert len(set(disk.opened)) == MONTHS


def test_who_only_reads_writes_no_filters(folder: Path) -> None:
    """A reader leaves the folder as it was."""
    (folder / FILE).unlink()
    with closing(JsonlStore(folder)) as store:
        assert len(list(store.scan(Query()))) == MONTHS * EACH
    assert not (folder / FILE).exists()


def test_few_months_have_no_filters(tmp_path: Path) -> None:
    """They are opened as quickly as the file would be read."""
    some = [entry for entry in everything() if entry.timestamp.month < WORTH_MONTHS]
    for _ in range(2):
        with closing(JsonlStore(tmp_path)) as store:
            store.append(some)
            settle(tmp_path)
    assert not (tmp_path / FILE).exists()


def test_a_file_that_was_written_just_now_has_no_filter(folder: Path) -> None:
    """It may change again within one tick of the clock."""
    (folder / FILE).unlink()
    os.utime(folder / OLDEST)
    write_and_close(folder)
    looks = read_filters(OsDisk(), str(folder / FILE.parent)).looks
    assert len(looks) == MONTHS - 1
    assert OLDEST not in looks


def test_filters_of_months_that_stayed_are_kept(folder: Path) -> None:
    """Those that were not opened are taken over, unless their file has changed."""
    changed = [f"feedback_2025-{month:02}.jsonl" for month in range(1, WORTH_MONTHS + 1)]
    for name in changed:
        with (folder / name).open("ab") as file:
            file.write(a_line(f"late {name}", timestamp=month_of(int(name[14:16]))))
        age(folder / name)
    with closing(JsonlStore(folder)) as store:
        for month in range(1, WORTH_MONTHS + 1):
            assert store.get(id_in(month)) is not None
        store.append([everything()[0]])
        append_by_hand(folder / "feedback_2025-08.jsonl", 8)
    looks = read_filters(OsDisk(), str(folder / FILE.parent)).looks
    assert len(looks) == MONTHS - 1
    assert changed[0] in opened_for(folder, f"late {changed[0]}")
    assert opened_for(folder, "other") == ["feedback_2025-08.jsonl"]


def test_what_came_after_the_last_look_is_not_ruled_out(folder: Path) -> None:
    """A filter is made only of a file that is known whole."""
    (folder / FILE).unlink()
    with closing(JsonlStore(folder)) as store:
        list(store.scan(Query()))
        store.append([everything()[0]])
        append_by_hand(folder / OLDEST)
        age(folder / OLDEST)
    assert (folder / FILE).exists()
    assert opened_for(folder, "other") == [OLDEST]


def append_by_hand(path: Path, month: int = 1) -> None:
    """Write a line as another program does."""
    with path.open("ab") as file:
        file.write(a_line("other", timestamp=month_of(month)))


def put_another_in_its_place(path: Path) -> None:
    """Rename a file of the same size and time over it."""
    status = path.stat()
    other = path.with_suffix(".new")
    other.write_bytes(path.read_bytes().replace(b'"1-0"', b'"oth"'))
    os.utime(other, ns=(status.st_mtime_ns, status.st_mtime_ns))
    other.replace(path)


def change_in_place(path: Path) -> None:
    """Change bytes without changing the size."""
    data = path.read_bytes()
    with path.open("r+b") as file:
        file.write(data.replace(b'"1-0"', b'"oth"'))


@pytest.mark.parametrize(
    ("change", "id"),
    [(append_by_hand, "other"), (put_another_in_its_place, "oth"), (change_in_place, "oth")],
)
def test_a_file_that_looks_otherwise_is_opened(
    folder: Path, change: Callable[[Path], None], id: str
) -> None:
    """Inode number, size or time of change: one that differs is enough."""
    size = (folder / OLDEST).stat().st_size
    change(folder / OLDEST)
    assert change is append_by_hand or (folder / OLDEST).stat().st_size == size
    with closing(JsonlStore(folder)) as store:
        assert store.get(id) is not None
        assert (store.get("1-0") is None) == (id == "oth")


def test_damaged_filters_hide_nothing(folder: Path) -> None:
    """A flipped or missing byte costs time, and never an answer."""
    expected = contents(folder)
    good = (folder / FILE).read_bytes()
    places = [*range(0, 1200, 37), *range(1200, len(good), 1733), len(good) - 1]
    for place in places:
        damaged = bytearray(good)
        damaged[place] ^= 0xFF
        check_finding(folder, bytes(damaged), expected)
    for size in (0, 1, 31, 32, 100, 5000, len(good) - 1):
        check_finding(folder, good[:size], expected)
    check_finding(folder, good + b"x", expected)


def test_zeros_in_the_filters_hide_nothing(folder: Path) -> None:
    """A bit that is lost would hide an entry: the block's checksum tells."""
    expected = contents(folder)
    good = (folder / FILE).read_bytes()
    start = len(good) - 2 * (BLOCK_BYTES + 4)  # two blocks, with their checksums
    check_finding(folder, good[:start] + bytes(len(good) - start), expected)
    check_finding(folder, good[:start] + bytes(BLOCK_BYTES) + good[start + BLOCK_BYTES :], expected)


def check_finding(folder: Path, filters: bytes, expected: dict[str, bytes]) -> None:
    """See that a new store finds what is there, in each month, and nothing else."""
    (folder / FILE).write_bytes(filters)
    for month in (1, 6, 12):
        with closing(JsonlStore(folder)) as store:
            found = [id for k in range(EACH) if store.get(id := id_in(month, k)) is not None]
            assert found == [id_in(month, k) for k in range(EACH)]
            assert store.get("nowhere") is None
    assert contents(folder) == expected


def test_erasing_takes_the_filters_away(folder: Path) -> None:
    """Nothing of an erased id is left, not even a bit."""
    with closing(JsonlStore(folder)) as store:
        assert store.erase(["1-0"]) == 1
        assert not (folder / FILE).exists()
        assert store.get("1-0") is None


def test_filters_that_come_back_do_not_know_the_erased(folder: Path) -> None:
    """Who read them before the erasure does not write them back."""
    with closing(JsonlStore(folder)) as store:
        assert store.get("6-0") is not None  # so that it has read the filters
        store.erase(["1-0"])
        settle(folder)
        list(store.scan(Query()))
    write_and_close_without(folder, "1-0")
    filters = read_filters(OsDisk(), str(folder / FILE.parent))
    assert ruled_out(filters, OLDEST, "1-0", folder) or OLDEST not in filters.looks
    assert not ruled_out(filters, OLDEST, "1-1", folder)


def ruled_out(filters: Filters, name: str, id: str, folder: Path) -> bool:
    """Say whether filters rule an id out of a month."""
    status = OsDisk().status(str(folder / name))
    return filters.rules_out(name, status, filters.row(hash_of(id)))


def write_and_close_without(folder: Path, id: str) -> None:
    """As `write_and_close`, but for one entry."""
    with closing(JsonlStore(folder)) as store:
        list(store.scan(Query()))
        store.append([entry for entry in everything() if entry.id != id])


def seal(folder: Path) -> None:
    """Pack the oldest month."""
    path = folder / OLDEST
    (folder / f"{OLDEST}.gz").write_bytes(gzip.compress(path.read_bytes()))
    path.unlink()


def seal_at_once(folder: Path) -> None:
    """Pack the oldest month within a tick of the clock."""
    before = folder.stat().st_mtime_ns
    seal(folder)
    os.utime(folder, ns=(before, before))


@pytest.mark.parametrize("seal", [seal, seal_at_once])
@pytest.mark.parametrize("filtered", [True, False])
def test_a_month_that_is_packed_while_others_are_opened_is_found(
    folder: Path, filtered: bool, seal: Callable[[Path], None]
) -> None:
    """Listing and opening are two steps; what moves between them is looked for again."""
    if not filtered:
        (folder / FILE).unlink()
    disk = WatchedDisk(lambda: seal(folder))
    with closing(JsonlStore(folder, disk=disk)) as store:
        assert store.get("1-0") is not None
        assert store.get("12-0") is not None
        assert len(list(store.scan(Query()))) == MONTHS * EACH


def test_a_scan_sees_a_month_that_is_packed_while_others_are_opened(folder: Path) -> None:
    """So is it where all months are opened."""
    disk = WatchedDisk(lambda: seal(folder))
    with closing(JsonlStore(folder, disk=disk)) as store:
        assert len(list(store.scan(Query()))) == MONTHS * EACH


def test_a_month_that_goes_while_others_are_opened_is_gone(folder: Path) -> None:
    """The answer is that of a moment at which it had gone."""
    disk = WatchedDisk((folder / OLDEST).unlink)
    with closing(JsonlStore(folder, disk=disk)) as store:
        assert len(list(store.scan(Query()))) == (MONTHS - 1) * EACH
        assert store.get("1-0") is None


@pytest.mark.parametrize("verb", ["get", "scan", "append"])
def test_a_month_that_cannot_be_opened_is_an_error_and_not_absent(folder: Path, verb: str) -> None:
    """Whatever was short for a moment, the next call finds what is there."""

    def fail() -> None:
        raise OSError(errno.EMFILE, "Too many open files")

    calls: dict[str, Callable[[], object]] = {
        "get": lambda: store.get("1-0"),
        "scan": lambda: list(store.scan(Query())),
        "append": lambda: store.append([an_entry("1-0", timestamp=month_of(1))]),
    }
    age(folder)  # so that it is not listed again for its own sake
    with closing(JsonlStore(folder, disk=WatchedDisk(fail))) as store:
        with pytest.raises(StoreUnavailableError):
            calls[verb]()
        assert store.get("1-0") is not None
        assert len(list(store.scan(Query()))) == MONTHS * EACH
        assert store.append(everything()) == [Outcome.UNCHANGED] * MONTHS * EACH


def test_an_id_in_two_months_is_that_of_the_later_one(folder: Path) -> None:
    """Older writers did that; whoever asks gets what a scan gives."""
    path = folder / "feedback_2025-06.jsonl"
    with path.open("ab") as file:
        file.write(a_line("1-0", answer="Later.", timestamp=month_of(6)))
    age(path)
    for _ in range(2):
        with closing(JsonlStore(folder)) as store:
            entry = store.get("1-0")
            assert entry is not None
            assert entry.answer == "Later."
        write_and_close_without(folder, "1-0")


def test_the_version_does_not_change_when_months_are_opened(folder: Path) -> None:
    """What a cache holds stays right."""
    with closing(JsonlStore(folder)) as store:
        before = store.version()
        assert store.get("1-0") is not None
        list(store.scan(Query()))
        assert store.version() == before
        store.append([an_entry("new", timestamp=NOON)])
        assert store.version() != before


@given(st.sets(st.text(max_size=8), max_size=60), st.sets(st.text(max_size=8), max_size=60))
def test_what_is_there_is_never_ruled_out(
    tmp_path_factory: pytest.TempPathFactory, there: set[str], asked: set[str]
) -> None:
    """A filter may be wrong about what is absent only."""
    folder = tmp_path_factory.mktemp("store")
    lines = [a_line(id, timestamp=month_of(month)) for month in (1, 2, 3, 4) for id in there if id]
    for month in (1, 2, 3, 4):
        path = folder / f"feedback_2025-{month:02}.jsonl"
        path.write_bytes(b"".join(lines))
        age(path)
    with closing(JsonlStore(folder)) as store:
        list(store.scan(Query()))
        store.append([an_entry("mine", timestamp=month_of(5))])
    filters = read_filters(OsDisk(), str(folder / FILE.parent))
    assert len(filters.looks) == WORTH_MONTHS
    assert not any(ruled_out(filters, OLDEST, id, folder) for id in there if id)
    strangers = [id for id in asked - there if ruled_out(filters, OLDEST, id, folder)]
    assert len(strangers) >= len(asked - there) - 3


def test_none_of_many_ids_is_ruled_out(tmp_path: Path) -> None:
    """Ids share bytes of a filter, and three in a hundred strangers their bits."""
    many = [an_entry(f"{k}", timestamp=month_of(1 + k % 4)) for k in range(4000)]
    for _ in range(2):
        with closing(JsonlStore(tmp_path)) as store:
            store.append(many)
            settle(tmp_path)
    filters = read_filters(OsDisk(), str(tmp_path / FILE.parent))
    for month in range(1, 5):
        name = f"feedback_2025-{month:02}.jsonl"
        there = [entry for entry in many if entry.timestamp.month == month]
        assert not any(ruled_out(filters, name, entry.id, tmp_path) for entry in there)
        others = [entry for entry in many if entry.timestamp.month != month]
        strangers = sum(ruled_out(filters, name, entry.id, tmp_path) for entry in others)
        assert strangers > 0.95 * len(others)


def test_no_filters_rule_nothing_out() -> None:
    """Without the file every month is asked."""
    status = OsDisk().status("/")
    assert not Filters().rules_out(OLDEST, status, 0)
    assert not Filters().rules_out(OLDEST, None, 0)
