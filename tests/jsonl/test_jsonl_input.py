"""What comes in: entries, lines by older writers, clocks, and the modes of what is made.

Promises 28 and 30, and what an older service lost: the month is that of the entry, the caller's
object stays as it is, and nothing invalid reaches a file.
"""

import json
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from shutil import which
from typing import Any
from zoneinfo import ZoneInfo

import attrs
import pytest
from hypothesis import given
from jsonl_harness import (
    MONTH,
    NOON,
    a_line,
    an_entry,
    contents,
    data_of,
    ids,
    needs_root,
    run_script,
    tree,
)

from feedback_store import (
    FeedbackEntry,
    FeedbackStore,
    InvalidEntryError,
    Order,
    Outcome,
    Query,
    decode,
    encode,
)
from feedback_store.backends.jsonl import JsonlStore
from feedback_store.testing import json_values

needs_faketime = pytest.mark.skipif(which("faketime") is None, reason="faketime is not installed")

# -------------------------------------------------------------------------------- invalid input

GIVEN = {"message_id": "z", "question": "?", "answer": "!", "timestamp": NOON}
INVALID: dict[str, dict[str, object]] = {
    "no text": {"question": None},
    "a number as answer": {"answer": 7},
    "NaN": {"rating": float("nan")},
    "infinity": {"rating": float("inf")},
    "a rating out of range": {"rating": 1.5},
    "a lone surrogate": {"answer": "\ud800"},
    "a lone surrogate in an extra": {"extra": {"x": "\udfff"}},
    "NaN deep in an extra": {"extra": {"x": [{"y": float("nan")}]}},
    "a set": {"extra": {"x": {1, 2}}},
    "a key that is no text": {"extra": {"x": {1: 2}}},
    "a naive time": {"timestamp": datetime(2025, 10, 5)},  # noqa: DTZ001  # that is what is wrong
    "text as time": {"timestamp": "2025-10-05T12:00:00Z"},
    "an empty id": {"id": ""},
    "sources of text": {"sources": ["text"]},
    "metadata of text": {"metadata": "text"},
}


@pytest.mark.parametrize("wrong", INVALID.values(), ids=INVALID)
def test_invalid_input_is_refused_before_a_byte_is_written(
    wrong: dict[str, object], tmp_path: Path
) -> None:
    """Promise 28: one typed error, nothing written, and the caller's objects unchanged."""
    with closing(JsonlStore(tmp_path)) as store:
        feedback = FeedbackStore(store)
        feedback.add(an_entry("a"))
        before, shown = tree(tmp_path), repr(wrong)
        with pytest.raises(InvalidEntryError):
            feedback.add(FeedbackEntry(**{**GIVEN, **wrong}))  # type: ignore[arg-type]  # wrong on purpose
        assert shown == repr(wrong)
        assert before == tree(tmp_path)


@pytest.mark.parametrize("given_", [None, 7, "text", [], {"message_id": "z"}, b"{}"])
def test_what_is_no_entry_is_refused(given_: object, tmp_path: Path) -> None:
    """Promise 28: not even a folder is made for something that is no entry."""
    with closing(JsonlStore(tmp_path / "store")) as store:
        with pytest.raises(InvalidEntryError):
            FeedbackStore(store).add(given_)  # type: ignore[arg-type]  # wrong on purpose
        with pytest.raises(InvalidEntryError):
            FeedbackStore(store).add_many([an_entry("a"), given_])  # type: ignore[list-item]  # wrong on purpose
    assert not (tmp_path / "store").exists()


def test_an_entry_that_is_too_large_takes_nothing_with_it(tmp_path: Path) -> None:
    """Promise 28: the error names both sizes; neither the entry nor its batch reaches a file."""
    with closing(JsonlStore(tmp_path / "store", max_entry_bytes=1000)) as store:
        with pytest.raises(InvalidEntryError, match="1000"):
            store.append([an_entry("a"), an_entry("b", answer="x" * 1000)])
        assert not (tmp_path / "store").exists()
        store.append([an_entry("a")])
        before = data_of(tmp_path / "store")
        with pytest.raises(InvalidEntryError, match="1000"):
            store.rewrite("a", lambda entry: attrs.evolve(entry, answer="x" * 1000))
        assert before == data_of(tmp_path / "store")


@given(value=json_values())
def test_the_callers_objects_are_left_alone(value: object) -> None:
    """Promise 28: whatever is stored, what the caller gave is as it was, and stays the caller's."""
    metadata, sources = {"explanation": "x", "more": value}, [{"title": value}]
    given_ = {**json.loads(a_line("a")), "metadata": metadata, "sources": sources, "more": value}
    before = json.dumps(given_)
    entry = decode(json.dumps(given_).encode())
    assert entry == decode(encode(entry))
    assert before == json.dumps(given_)


def test_a_change_that_makes_an_entry_invalid_leaves_no_trace(tmp_path: Path) -> None:
    """Promise 28: for updates as for adds."""
    with closing(JsonlStore(tmp_path)) as store:
        feedback = FeedbackStore(store)
        feedback.add(an_entry("a"))
        before = data_of(tmp_path)
        refused: list[dict[str, Any]] = [
            {"rating": 7},
            {"answer": "\ud800"},
            {"message_id": "b"},
            {"unknown": 1},
        ]
        for fields in refused:
            with pytest.raises(InvalidEntryError):
                feedback.update("a", **fields)
        with pytest.raises(InvalidEntryError):
            store.rewrite("a", lambda entry: attrs.evolve(entry, timestamp=NOON.replace(month=1)))
        assert before == data_of(tmp_path)


# ---------------------------------------------------------------------------------------- months

MONTHS = {
    datetime(2025, 9, 30, 23, 59, 59, 999999, UTC): "2025-09",
    datetime(2025, 10, 1, 0, 0, 0, 0, UTC): "2025-10",
    datetime(2025, 10, 1, 1, 30, tzinfo=timezone(timedelta(hours=2))): "2025-09",
    datetime(2025, 9, 30, 22, 30, tzinfo=timezone(timedelta(hours=-2))): "2025-10",
    datetime(2025, 3, 30, 2, 30, tzinfo=ZoneInfo("Europe/Berlin")): "2025-03",  # no such local time
    datetime(2025, 10, 26, 2, 30, fold=1, tzinfo=ZoneInfo("Europe/Berlin")): "2025-10",
    datetime(2026, 1, 1, 0, 30, tzinfo=ZoneInfo("Asia/Tokyo")): "2025-12",
    datetime(1, 1, 1, tzinfo=UTC): "0001-01",
    datetime(9999, 12, 31, 23, 59, 59, 999999, UTC): "9999-12",
}


@pytest.mark.parametrize(("when", "month"), MONTHS.items())
def test_the_month_is_that_of_the_entrys_own_time_in_utc(
    when: datetime, month: str, tmp_path: Path
) -> None:
    """Promise 30: whatever the zone, the season or the second."""
    with closing(JsonlStore(tmp_path)) as store:
        store.append([an_entry("a", timestamp=when)])
        store.rewrite("a", lambda entry: attrs.evolve(entry, rating=1))
        assert [f"feedback_{month}.jsonl"] == list(data_of(tmp_path))
        assert [when.astimezone(UTC)] == [entry.timestamp for entry in store.scan(Query())]


CLOCK = """
import sys
from datetime import UTC, datetime
from feedback_store import FeedbackEntry, open_store
with open_store(sys.argv[1]) as store:
    store.add(FeedbackEntry(message_id="now", question="?", answer="!"))
    told = datetime(2025, 3, 30, 0, 59, 59, 999000, tzinfo=UTC)
    store.add(FeedbackEntry(message_id="told", question="?", answer="!", timestamp=told))
    store.update("told", rating=1)
    store.compact()
    print(store.get("now").timestamp.isoformat())
    print(sorted(entry.id for entry in store.scan()))
"""
CLOCKS = {
    "a month's last second here, the next month in UTC": (
        "America/New_York",
        "2025-10-31 20:30:00",
        "feedback_2025-11.jsonl",
    ),
    "a month's first second here, the month before in UTC": (
        "Europe/Berlin",
        "2025-11-01 00:30:00",
        "feedback_2025-10.jsonl",
    ),
    "summer time begins": ("Europe/Berlin", "2025-03-30 01:59:59", "feedback_2025-03.jsonl"),
    "summer time ends": ("Europe/Berlin", "2025-10-26 02:59:59", "feedback_2025-10.jsonl"),
    "a clock in the past": ("UTC", "1999-12-31 23:59:58", "feedback_1999-12.jsonl"),
    "a clock in the future": ("UTC", "2035-01-01 00:00:00", "feedback_2035-01.jsonl"),
}


@needs_faketime
@pytest.mark.parametrize(("zone", "now", "expected"), CLOCKS.values(), ids=CLOCKS)
def test_clocks_and_seasons_change_nothing(
    zone: str, now: str, expected: str, tmp_path: Path
) -> None:
    """Promise 30: an entry without a time gets the UTC one; files and their order do not care."""
    faketime = which("faketime")
    assert faketime is not None
    done = run_script(
        CLOCK,
        tmp_path / "store",
        before=(faketime, "-f", f"@{now}"),
        TZ=zone,
        FAKETIME_DONT_FAKE_MONOTONIC="1",
    )
    assert "" == done.stderr
    assert sorted({expected, "feedback_2025-03.jsonl"}) == sorted(data_of(tmp_path / "store"))
    assert "['now', 'told']" == done.stdout.splitlines()[1]


JUMPS = """
import os, sys, time
from feedback_store import FeedbackEntry, Query, open_store
entry = lambda id: FeedbackEntry(message_id=id, question="?", answer="!")
with open_store(sys.argv[1], lock_timeout_s=30) as a, open_store(sys.argv[1]) as b:
    for number, clock in enumerate(("+0d", "+40d", "-40d", "-400d", "+1d")):
        with open(os.environ["FAKETIME_TIMESTAMP_FILE"], "w") as file:
            file.write(clock)
        a.add(entry(f"a{number}"))
        assert b.find(f"a{number}") is not None, clock
        b.update(f"a{number}", rating=1)
        assert a.get(f"a{number}").rating == 1, clock
        b.compact()
        assert len(list(a.scan())) == number + 1, clock
print("fine")
"""


@needs_faketime
def test_a_clock_that_jumps_changes_nothing(tmp_path: Path) -> None:
    """Promise 30: forwards and back by months, between two processes' views of one folder."""
    faketime, clock = which("faketime"), tmp_path / "clock"
    assert faketime is not None
    clock.write_text("+0d")
    done = run_script(
        JUMPS,
        tmp_path / "store",
        before=(faketime, "-f", "+0d"),
        FAKETIME_DONT_FAKE_MONOTONIC="1",
        FAKETIME_TIMESTAMP_FILE=str(clock),
        FAKETIME_NO_CACHE="1",
    )
    assert ("", "fine\n") == (done.stderr, done.stdout)


# ------------------------------------------------------------------------------------ older lines


def older(id: str, **keys: object) -> bytes:
    """Return a line as an older service wrote it; a key given as None is left out."""
    line = {"message_id": id, "question": "?", "answer": "!", "rating": 0, **keys}
    return json.dumps({key: value for key, value in line.items() if value is not None}).encode()


BERLIN = ZoneInfo("Europe/Berlin")
OLDER = {
    "naive": (
        older("a", timestamp="2025-10-05T12:00:00"),
        UTC,
        datetime(2025, 10, 5, 12, tzinfo=UTC),
    ),
    "naive, elsewhere": (
        older("a", timestamp="2025-10-05T12:00:00"),
        BERLIN,
        datetime(2025, 10, 5, 10, tzinfo=UTC),
    ),
    "with a zone, elsewhere": (
        older("a", timestamp="2025-10-05T12:00:00+00:00"),
        BERLIN,
        datetime(2025, 10, 5, 12, tzinfo=UTC),
    ),
    "in the metadata": (
        older("a", metadata={"timestamp": "2025-10-07T01:00:00"}),
        UTC,
        datetime(2025, 10, 7, 1, tzinfo=UTC),
    ),
    "nowhere": (older("a"), UTC, datetime(2025, 10, 1, tzinfo=UTC)),
    "misfiled": (
        older("a", timestamp="2024-02-29T12:00:00Z"),
        UTC,
        datetime(2024, 2, 29, 12, tzinfo=UTC),
    ),
}


@pytest.mark.parametrize(("line", "zone", "when"), OLDER.values(), ids=OLDER)
def test_the_time_of_an_older_line(
    line: bytes, zone: ZoneInfo, when: datetime, tmp_path: Path
) -> None:
    """Its own, else its metadata's, else its file's; naive ones are in the zone that was told."""
    (tmp_path / MONTH).write_bytes(line + b"\n")
    with closing(JsonlStore(tmp_path, naive_tz=zone)) as store:
        assert [when] == [entry.timestamp for entry in store.scan(Query())]
        month = Query(since=when, until=when + timedelta(microseconds=1))
        assert ["a"] == [entry.id for entry in store.scan(month)]
        store.rewrite("a", lambda entry: attrs.evolve(entry, rating=1))
        store.compact()
        assert [MONTH] == list(data_of(tmp_path))
        assert [when] == [entry.timestamp for entry in store.scan(Query())]
    with closing(JsonlStore(tmp_path)) as store:  # written once more, it tells its zone
        assert [when] == [entry.timestamp for entry in store.scan(Query())]


def test_another_zone_for_naive_times_is_another_index(tmp_path: Path) -> None:
    """What was read with one zone is not believed when the store is opened with another."""
    lines = [older(str(i), timestamp=f"2025-10-05T12:{i % 60:02}:00") for i in range(600)]
    (tmp_path / MONTH).write_bytes(b"\n".join(lines) + b"\n")
    for zone in (UTC, BERLIN, UTC):
        with closing(JsonlStore(tmp_path, naive_tz=zone)) as store:
            store.append([an_entry("new", timestamp=NOON.replace(month=11))])
            first = next(store.scan(Query()))
            assert datetime(2025, 10, 5, 12, tzinfo=zone) == first.timestamp


def test_misfiled_entries_are_found_in_order(tmp_path: Path) -> None:
    """Months that overlap are merged: every order, every limit of time, every id."""
    january, march = NOON.replace(month=1), NOON.replace(month=3)
    (tmp_path / "feedback_2025-01.jsonl").write_bytes(
        a_line("jan", timestamp=january) + a_line("mar-in-jan", timestamp=march)
    )
    (tmp_path / "feedback_2025-02.jsonl").write_bytes(
        a_line("jan-in-feb", timestamp=january + timedelta(seconds=1))
        + a_line("feb", timestamp=NOON.replace(month=2))
    )
    expected = ["jan", "jan-in-feb", "feb", "mar-in-jan"]
    with closing(JsonlStore(tmp_path)) as store:
        assert expected == ids(store)
        assert expected[::-1] == [e.id for e in store.scan(Query(order=Order.NEWEST))]
        since = Query(since=march)
        assert ["mar-in-jan"] == [entry.id for entry in store.scan(since)]
        assert all(store.get(id) is not None for id in expected)
        store.rewrite("mar-in-jan", lambda entry: attrs.evolve(entry, rating=1))
        store.compact()
        assert expected == ids(store)
        assert 1 == store.erase(["mar-in-jan"])
        assert expected[:-1] == ids(store)


def test_an_id_in_two_months_is_one_entry(tmp_path: Path) -> None:
    """The later month counts, for every verb; an update is seen, an erasure takes both."""
    (tmp_path / "feedback_2025-01.jsonl").write_bytes(
        a_line("a", timestamp=NOON.replace(month=1), answer="old")
    )
    (tmp_path / "feedback_2025-02.jsonl").write_bytes(
        a_line("a", timestamp=NOON.replace(month=2), answer="new") + a_line("b")
    )
    with closing(JsonlStore(tmp_path)) as store:
        for _ in range(2):
            assert ["new"] == [e.answer for e in store.scan(Query()) if e.id == "a"]
            found = store.get("a")
            assert found is not None
            assert "new" == found.answer
            store.compact()
        store.rewrite("a", lambda entry: attrs.evolve(entry, answer="newest"))
        assert ["newest"] == [e.answer for e in store.scan(Query()) if e.id == "a"]
        assert [Outcome.CONFLICT] == store.append([an_entry("a", answer="other")])
        assert 1 == store.erase(["a"])
        assert ["b"] == ids(store)
    assert b'"a"' not in b"".join(data_of(tmp_path).values())


# ----------------------------------------------------------------------------------------- modes


@pytest.fixture
def umask() -> Iterator[Callable[[int], int]]:
    """Return os.umask, which is what it was after the test."""
    old = os.umask(0o022)
    os.umask(old)
    yield os.umask
    os.umask(old)


def modes(folder: Path) -> dict[str, int]:
    """Return the modes of a folder and of all in it."""
    paths = [folder, *folder.rglob("*")]
    return {
        str(path.relative_to(folder.parent)): stat.S_IMODE(path.stat().st_mode)
        for path in paths
        if not path.name.endswith(".idx")
    }


def work(store: JsonlStore) -> None:
    """Make everything that a store makes: months, index, quarantine."""
    store.append([an_entry("a"), an_entry("b")])
    with (Path(store.path) / MONTH).open("ab") as file:
        file.write(b"damaged\n")
    store.rewrite("a", lambda entry: attrs.evolve(entry, rating=1))
    store.compact()


@pytest.mark.parametrize("mask", [0o000, 0o022, 0o077, 0o777])
def test_modes_are_as_told_whatever_the_umask(
    mask: int, tmp_path: Path, umask: Callable[[int], int]
) -> None:
    """Folders 0775 and files 0664, or as the options say; before and after a rewrite."""
    umask(mask)
    for name, folder_mode, file_mode in (("a", 0o775, 0o664), ("b", 0o750, 0o640)):
        options = {} if name == "a" else {"folder_mode": folder_mode, "file_mode": file_mode}
        with closing(JsonlStore(tmp_path / name / "store", **options)) as store:  # type: ignore[arg-type]  # two of its options
            work(store)
        umask(0o022)
        found = modes(tmp_path / name)
        assert {f"{name}/store/quarantine", f"{name}/store/{MONTH}"} <= found.keys()
        for path, mode in found.items():
            is_folder = (tmp_path / path).is_dir()
            assert (folder_mode if is_folder else file_mode) == mode, path
        umask(mask)


def test_a_rewrite_keeps_the_mode(tmp_path: Path) -> None:
    """Promise 11: also one that was changed by hand while the store was open."""
    with closing(JsonlStore(tmp_path)) as store:
        store.append([an_entry("a"), an_entry("b")])
        (tmp_path / MONTH).chmod(0o600)
        store.rewrite("a", lambda entry: attrs.evolve(entry, rating=1))
        (tmp_path / MONTH).chmod(0o640)
        store.compact()
        assert 0o640 == stat.S_IMODE((tmp_path / MONTH).stat().st_mode)
        (tmp_path / MONTH).chmod(0o660)
        store.erase(["b"])
        assert 0o660 == stat.S_IMODE((tmp_path / MONTH).stat().st_mode)


@needs_root
def test_owners_are_as_told_and_kept(tmp_path: Path) -> None:
    """Promise 11: by option, else those of the folder; and a rewrite keeps the file's own."""

    def owners(folder: Path) -> set[tuple[int, int]]:
        paths = [folder, *folder.rglob("*")]
        return {(path.stat().st_uid, path.stat().st_gid) for path in paths}

    with closing(JsonlStore(tmp_path / "told", owner=(1234, 2345))) as store:
        work(store)
    assert {(1234, 2345)} == owners(tmp_path / "told")
    given_ = tmp_path / "given"
    given_.mkdir()
    os.chown(given_, 1234, 2345)
    with closing(JsonlStore(given_)) as store:
        work(store)
        assert {(1234, 2345)} == owners(given_)
        os.chown(given_ / MONTH, 3456, 4567)
        store.rewrite("a", lambda entry: attrs.evolve(entry, rating=0.5))
        store.compact()
    found = (given_ / MONTH).stat()
    assert (3456, 4567) == (found.st_uid, found.st_gid)
    assert {"a", "b"} == contents(given_).keys()
