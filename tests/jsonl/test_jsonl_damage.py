"""Damaged lines, damaged indexes, and files that somebody changed behind the store's back.

Promises 5, 12 and 29: a torn tail of any kind damages only itself; a bad line never hides a good
one; it is counted, told with file and line, kept aside byte for byte when the file is rewritten.
What the index says is never believed against the file.
"""

import logging
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import attrs
import pytest
from jsonl_harness import DEEP, MONTH, NOON, a_line, an_entry, contents, ids, tree, write_behind

from feedback_store import Query, Status, encode
from feedback_store.backends.jsonl import JsonlStore, index

GOOD = ("a", "b", "c")


def quarantined(folder: Path) -> list[bytes]:
    """Return the lines in the quarantine."""
    files = sorted((folder / "quarantine").glob("*"))
    return [line for file in files for line in file.read_bytes().split(b"\n") if line]


def fill(folder: Path) -> bytes:
    """Store three entries; return the bytes of their month."""
    with closing(JsonlStore(folder)) as store:
        store.append([an_entry(id) for id in GOOD])
    return (folder / MONTH).read_bytes()


# ----------------------------------------------------------------------------------- torn tails

LINE = a_line("torn", answer="x" * 300)
TAILS = {
    "no newline": LINE[:-1],
    "half a line": LINE[:150],
    "one byte": LINE[:1],
    "NULs of the right length": b"\0" * len(LINE),
    "NULs and a newline": b"\0" * (len(LINE) - 1) + b"\n",
    "first half lost": b"\0" * 150 + LINE[150:],
    "first half gone": LINE[150:],
    "second half lost": LINE[:150] + b"\0" * (len(LINE) - 150),
}


@pytest.mark.parametrize("tail", TAILS.values(), ids=TAILS)
@pytest.mark.parametrize("opened_before", [False, True], ids=["opened after", "opened before"])
def test_a_torn_tail_damages_only_itself(tail: bytes, opened_before: bool, tmp_path: Path) -> None:
    """Promise 5: entries before it and after it are served, by this store and by the next."""
    fill(tmp_path)
    expected = [*GOOD, *(["torn"] if tail == LINE[:-1] else []), "later"]
    with closing(JsonlStore(tmp_path)) as store:
        if opened_before:
            assert list(GOOD) == ids(store)
        write_behind(tmp_path / MONTH, tail)
        store.append([an_entry("later", timestamp=NOON.replace(hour=13))])
        assert expected == ids(store)
        assert an_entry("later") != store.get("later") is not None
    assert set(expected) == contents(tmp_path).keys()
    with closing(JsonlStore(tmp_path)) as store:
        damaged = store.check()["damaged_lines"]
        assert (damaged.status is Status.OK) == (tail == LINE[:-1])
        store.compact()
        assert Status.OK == store.check()["damaged_lines"].status
    assert set(expected) == contents(tmp_path).keys()
    kept = [] if tail == LINE[:-1] else [tail.removesuffix(b"\n")]
    assert kept == quarantined(tmp_path)


def test_every_prefix_of_a_line_is_a_tail_that_harms_nobody(tmp_path: Path) -> None:
    """Promise 5: wherever a power cut tears the last line, the others stay, and writing goes on."""
    fill(tmp_path)
    for size in range(len(a_line("torn"))):
        folder = tmp_path / str(size)
        folder.mkdir()
        shutil.copy(tmp_path / MONTH, folder)
        write_behind(folder / MONTH, a_line("torn")[:size])
        with closing(JsonlStore(folder)) as store:
            store.append([an_entry("later")])
        whole = size == len(a_line("torn")) - 1
        assert {*GOOD, "later", *(["torn"] if whole else [])} == contents(folder).keys()


def test_a_line_that_is_being_written_is_awaited(tmp_path: Path) -> None:
    """Promise 4: another's half line is nobody's entry, and becomes one when it is finished."""
    fill(tmp_path)
    line = a_line("slow")
    with closing(JsonlStore(tmp_path)) as store:
        for end in range(1, len(line) + 1):
            write_behind(tmp_path / MONTH, line[end - 1 : end])
            whole = end >= len(line) - 1
            assert [*GOOD, *(["slow"] if whole else [])] == ids(store)
        assert Status.OK == store.check()["damaged_lines"].status


# ------------------------------------------------------------------------------------ bad lines

BAD = {
    "text": b"not JSON",
    "an array": b"[1, 2]",
    "a number": b"7",
    "null": b"null",
    "a string": b'"text"',
    "an empty object": b"{}",
    "no id": b'{"question": "?", "answer": "!"}',
    "a list as id": a_line("z").replace(b'"z"', b"[]")[:-1],
    "an empty id": a_line("z").replace(b'"z"', b'""')[:-1],
    "NaN": a_line("z").replace(b'"rating":0', b'"rating":NaN')[:-1],
    "a rating of 2": a_line("z").replace(b'"rating":0', b'"rating":2')[:-1],
    "a bad time": a_line("z").replace(b"2025-10-05", b"2025-13-05")[:-1],
    "a number as time": a_line("z").replace(b'"2025-10-05T12:00:00.123Z"', b"7")[:-1],
    "metadata as text": a_line("z").replace(b'"metadata":{}', b'"metadata":"x"')[:-1],
    "sources as an object": a_line("z").replace(b'"sources":[]', b'"sources":{"a":1}')[:-1],
    "invalid UTF-8": a_line("z").replace(b"How?", b"\xff\xfe")[:-1],
    "a lone surrogate": a_line("z").replace(b"How?", b"\\ud800")[:-1],
    "two lines in one": a_line("y")[:-1] + a_line("z")[:-1],
    "nested deeply": a_line("z")[:-2] + b',"x":' + b"[" * 5000 + b"]" * 5000 + b"}",
    "open brackets": b"[" * 100_000,
    "NULs": b"\0" * 64,
    "10 MB": b"x" * 10_000_000,
}


@pytest.mark.parametrize("bad", BAD.values(), ids=BAD)
def test_a_bad_line_hides_no_good_one(
    bad: bytes, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Promise 29: its neighbours are served; it is counted, told once, and kept as it was."""
    caplog.set_level(logging.INFO, "feedback_store")
    tmp_path.joinpath(MONTH).write_bytes(a_line("a") + a_line("b") + bad + b"\n" + a_line("c"))
    with closing(JsonlStore(tmp_path)) as store:
        assert list(GOOD) == ids(store) == ids(store)
        assert an_entry("c") == store.get("c")
        records = [record for record in caplog.records if record.levelno == logging.WARNING]
        assert [(str(tmp_path / MONTH), 3)] == [
            (getattr(record, "file", None), getattr(record, "line", None)) for record in records
        ]
        damaged = store.check()["damaged_lines"]
        assert (Status.WARNING, True) == (damaged.status, f"{MONTH}:3" in damaged.message)
        store.append([an_entry("d")])
        report = store.compact()
        assert 1 == report.damaged
        assert Status.OK == store.check()["damaged_lines"].status
    assert {*GOOD, "d"} == contents(tmp_path).keys()
    assert [bad] == quarantined(tmp_path)


FINE = {
    "a byte order mark": b"\xef\xbb\xbf" + a_line("z"),
    "CRLF": a_line("z")[:-1] + b"\r\n",
    "spaces around it": b"  " + a_line("z")[:-1] + b" \t\n",
    "a blank line": b"\n" + a_line("z"),
    "white space": b" \t\r\n" + a_line("z"),
    "duplicate keys": a_line("z").replace(b'"question":', b'"question":"old","question":'),
    "a 10 MB entry": a_line("z", answer="x" * 10_000_000),
}


@pytest.mark.parametrize("fine", FINE.values(), ids=FINE)
def test_an_unusual_line_is_no_bad_one(
    fine: bytes, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Promise 29: what other writers and editors leave is read, whatever it looks like."""
    tmp_path.joinpath(MONTH).write_bytes(fine + a_line("a"))
    with closing(JsonlStore(tmp_path, max_entry_bytes=20_000_000)) as store:
        assert ["a", "z"] == ids(store)
        assert Status.OK == store.check()["damaged_lines"].status
        found = store.get("z")
        assert found is not None
        assert "How?" == found.question
        store.rewrite("z", lambda entry: attrs.evolve(entry, rating=1))
        store.compact()
        assert ["a", "z"] == ids(store)
    assert [] == caplog.records
    assert [] == quarantined(tmp_path)


def mutations(data: bytes, step: int) -> Iterator[tuple[int, bytes]]:
    """Yield the data with a byte flipped, cut out and put in, at every place."""
    for at in range(0, len(data), step):
        yield at, data[:at] + bytes([data[at] ^ 0x01]) + data[at + 1 :]
        yield at, data[:at] + bytes([data[at] ^ 0x80]) + data[at + 1 :]
        yield at, data[:at] + data[at + 1 :]
        yield at, data[:at] + b"\n" + data[at:]
        yield at, data[:at] + b'"' + data[at:]
        yield at, data[:at] + b"\0" + data[at + 1 :]


def test_no_single_byte_takes_a_neighbour_with_it(tmp_path: Path) -> None:
    """Promise 29: whatever byte is flipped, cut out or put in, at most two lines suffer."""
    data = b"".join(a_line(id) for id in GOOD)
    size = len(a_line("a"))
    assert 3 * size == len(data)
    for number, (at, changed) in enumerate(mutations(data, 1 if DEEP else 11)):
        folder = tmp_path / str(number)
        folder.mkdir()
        (folder / MONTH).write_bytes(changed)
        hit = {GOOD[at // size]}
        if at % size == size - 1 and at // size + 1 < len(GOOD):
            hit.add(GOOD[at // size + 1])  # the newline between two
        with closing(JsonlStore(folder)) as store:
            found = {entry.id: encode(entry) + b"\n" for entry in store.scan(Query())}
            for id in set(GOOD) - hit:
                assert a_line(id) == found.get(id), (at, id)
            store.compact()
            assert found == {e.id: encode(e) + b"\n" for e in store.scan(Query())}, at
            bytes_now = tree(folder)[MONTH] + b"\n".join(quarantined(folder))
            for line in changed.split(b"\n"):
                assert line.strip() in bytes_now or superseded(line, changed), at
        shutil.rmtree(folder)


def superseded(line: bytes, data: bytes) -> bool:
    """Say whether a flip has given two lines the same id, of which the later one counts."""
    id = line[:20]
    return data.count(id) > 1


def test_an_erasure_removes_the_damaged_lines_of_the_entry(tmp_path: Path) -> None:
    """Erased is erased: torn lines that hold the id go too, other damaged ones are kept."""
    torn = a_line("b", answer="secret").replace(b'"rating":0', b'"rating":')[:-1]
    other = a_line("c").replace(b'"rating":0', b'"rating":')[:-1]
    fill(tmp_path)
    write_behind(tmp_path / MONTH, torn + b"\n" + other + b"\n")
    with closing(JsonlStore(tmp_path)) as store:
        store.compact()
        assert sorted([torn, other]) == sorted(quarantined(tmp_path))
        write_behind(tmp_path / MONTH, torn + b"\n" + torn[:-5])
        assert 1 == store.erase(["b"])
    assert [other] == quarantined(tmp_path)
    assert b"secret" not in b"".join(tree(tmp_path).values())
    assert {"a", "c"} == contents(tmp_path).keys()


def test_an_erasure_finds_a_torn_tail_where_no_good_line_is_left(tmp_path: Path) -> None:
    """Erased is erased: also when all there is of the entry is an unfinished line at the end."""
    fill(tmp_path)
    write_behind(tmp_path / MONTH, a_line("gone", answer="secret" * 20)[:-30])
    with closing(JsonlStore(tmp_path)) as store:
        assert 0 == store.erase(["gone"])
    assert b"secret" not in b"".join(tree(tmp_path).values())
    assert set(GOOD) == contents(tmp_path).keys()


# ------------------------------------------------------------------------------------- indexes


@pytest.fixture
def indexed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder with an index of several runs, one of them merged, and an update."""
    monkeypatch.setattr(index.Index.flush, "__defaults__", (2,))
    folder = tmp_path / "indexed"
    with closing(JsonlStore(folder)) as store:
        for number in range(10):
            store.append([an_entry(f"id-{number}", timestamp=NOON.replace(minute=number))])
        store.rewrite("id-3", lambda entry: attrs.evolve(entry, rating=1))
        store.append([an_entry("last", timestamp=NOON.replace(minute=11))])
    assert [path for path in index_files(folder) if path.stat().st_size > 128]
    return folder


def index_files(folder: Path) -> list[Path]:
    """Return the files of the index."""
    return sorted((folder / ".feedback_store" / "index").iterdir())


def check_answers(folder: Path, expected: dict[str, bytes]) -> None:
    """Check every answer of a store: get, scan, absence, uniqueness and update."""
    with closing(JsonlStore(folder)) as store:
        assert dict.fromkeys(("id-", "id-10")) == {id: store.get(id) for id in ("id-", "id-10")}
        for id, line in expected.items():
            found = store.get(id)
            assert found is not None, id
            assert line == encode(found)
        assert expected == {entry.id: encode(entry) for entry in store.scan(Query())}
        assert list(expected) == [entry.id for entry in store.scan(Query())]


def spoilt(data: bytes, step: int) -> Iterator[tuple[str, bytes | None]]:
    """Yield ways to damage a file: every byte flipped, every length but its own, and no file."""
    for at in range(0, len(data), step):
        yield f"flip {at}", data[:at] + bytes([data[at] ^ 0x10]) + data[at + 1 :]
        yield f"cut {at}", data[:at]
    yield "longer", data + data[-40:]
    yield "deleted", None


def test_a_damaged_index_never_gives_a_wrong_answer(indexed: Path, tmp_path: Path) -> None:
    """The index is believed only where it proves itself; all of it can be made again."""
    expected = contents(indexed)
    names = [path.name for path in index_files(indexed)]
    scratch = tmp_path / "scratch"
    for name in names:
        shutil.copytree(indexed, scratch, copy_function=os.link)  # the same inode: a valid index
        (scratch / ".feedback_store" / "index" / name).unlink()
        target = scratch / ".feedback_store" / "index" / name
        shutil.copy(indexed / ".feedback_store" / "index" / name, target)
        for what, data in spoilt(target.read_bytes(), 1 if DEEP else 7):
            target.unlink()
            if data is not None:
                target.write_bytes(data)
            try:
                check_answers(scratch, expected)
            except Exception as error:
                raise AssertionError(f"{name}: {what}") from error
            restore(indexed, scratch)
        shutil.rmtree(scratch)


def restore(source: Path, target: Path) -> None:
    """Make the index of a copy what it was."""
    folder = target / ".feedback_store" / "index"
    for path in folder.iterdir():
        path.unlink()
    for path in index_files(source):
        shutil.copy(path, folder)


def test_an_index_of_another_file_is_left_aside(indexed: Path, tmp_path: Path) -> None:
    """An index beside a file that took another's place, even under its old inode number."""
    expected = contents(indexed)
    path = indexed / MONTH
    data = path.read_bytes()
    path.write_bytes(data.replace(b"id-", b"ix-"))  # the same inode, size, and offsets
    renamed = {
        id.replace("id-", "ix-"): line.replace(b"id-", b"ix-") for id, line in expected.items()
    }
    assert renamed == contents(indexed)
    path.write_bytes(b"".join(sorted(data.splitlines(keepends=True), reverse=True)))
    assert expected.keys() == contents(indexed).keys()


def test_the_index_may_be_deleted_at_any_time(indexed: Path) -> None:
    """All of the state folder can be made again; a store that is open goes on without it."""
    expected = contents(indexed)
    with closing(JsonlStore(indexed)) as store:
        assert list(expected) == ids(store)
        shutil.rmtree(indexed / ".feedback_store")
        assert list(expected) == ids(store)
        store.append([an_entry("new", timestamp=NOON.replace(hour=14))])
        assert [*expected, "new"] == ids(store)
    shutil.rmtree(indexed / ".feedback_store")
    assert {*expected, "new"} == contents(indexed).keys()


# ---------------------------------------------------------------------- files changed by hand


def other_lines(data: bytes) -> bytes:
    """Return other lines, longer than those before."""
    return b"".join(a_line(id, answer="Edited by hand.") for id in ("b", "c", "new")) + data[:0]


EDITS: dict[str, tuple[Callable[[bytes], bytes], set[str]]] = {
    "replaced": (other_lines, {"b", "c", "new"}),
    "a line removed": (lambda data: data[len(a_line("a")) :], {"b", "c"}),
    "emptied": (lambda _: b"", set()),
    "a line put first": (lambda data: a_line("new") + data, {"a", "b", "c", "new"}),
    "longer in the middle": (lambda data: data.replace(b"So.", b"So it is."), {"a", "b", "c"}),
    "shorter in the middle": (lambda data: data.replace(b"So.", b""), {"a", "b", "c"}),
    "the last line removed": (lambda data: data[: 2 * len(a_line("a"))], {"a", "b"}),
}


@pytest.mark.parametrize(("edit", "expected"), EDITS.values(), ids=EDITS)
@pytest.mark.parametrize("in_place", [True, False], ids=["in place", "by renaming"])
def test_a_file_may_be_edited_while_the_store_is_open(
    edit: Callable[[bytes], bytes], expected: set[str], in_place: bool, tmp_path: Path
) -> None:
    """What stands in the file counts, not what is remembered of it."""
    path = tmp_path / MONTH
    with closing(JsonlStore(tmp_path)) as store:
        store.append([an_entry(id) for id in GOOD])
        assert list(GOOD) == ids(store)
        data = edit(path.read_bytes())
        if in_place:
            path.write_bytes(data)
        else:
            (tmp_path / "edited").write_bytes(data)
            (tmp_path / "edited").replace(path)
        assert expected == set(ids(store))
        for id in (*GOOD, "new"):
            assert (id in expected) == (store.get(id) is not None), id
        store.append([an_entry("later")])
        assert {*expected, "later"} == set(ids(store))
    assert {*expected, "later"} == contents(tmp_path).keys()


def test_a_month_may_be_removed_while_the_store_is_open(tmp_path: Path) -> None:
    """A month that is gone is gone; the next write makes it anew."""
    with closing(JsonlStore(tmp_path)) as store:
        store.append([an_entry(id) for id in GOOD])
        assert list(GOOD) == ids(store)
        (tmp_path / MONTH).unlink()
        assert [] == ids(store)
        store.append([an_entry("new")])
        assert ["new"] == ids(store)


def test_stale_temporary_files_are_never_read(tmp_path: Path) -> None:
    """Promise 12: what a killed rewrite left is no data; a compaction removes it."""
    fill(tmp_path)
    stale = tmp_path / f".{MONTH}.0123456789abcdef.tmp"
    stale.write_bytes(a_line("stale"))
    foreign = tmp_path / f"{MONTH}.bak"
    foreign.write_bytes(a_line("foreign"))
    with closing(JsonlStore(tmp_path)) as store:
        assert list(GOOD) == ids(store)
        assert Status.WARNING == store.check()["stale_files"].status
        store.compact()
        assert list(GOOD) == ids(store)
    assert not stale.exists()
    assert foreign.exists()
