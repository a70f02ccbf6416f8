"""Sealed months: compressed files that are read like the others, and changed beside.

What unpacks only in part is served as far as it goes, and never rewritten: what cannot be read
today may be read by somebody else tomorrow.
"""

import gzip
import importlib
import logging
import os
import tempfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import IO, Any

import attrs
import pytest
from jsonl_harness import (
    CANARY,
    NOON,
    a_line,
    an_entry,
    contents,
    data_of,
    ids,
    in_child,
    needs_fork,
    raw,
)

from feedback_store import (
    MissingExtraError,
    Order,
    Outcome,
    Query,
    Status,
    StoreUnavailableError,
)
from feedback_store.backends.jsonl import JsonlStore, sealed

JANUARY = NOON.replace(month=1)
NAME = "feedback_2025-01.jsonl.gz"
PLAIN = "feedback_2025-01.jsonl"
GOOD = ("a", "b", "c")


def lines_of(*ids: str, answer: str = "So.") -> bytes:
    """Return the lines of entries of January."""
    return b"".join(a_line(id, timestamp=JANUARY, answer=answer) for id in ids)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with a sealed month of three entries."""
    (tmp_path / NAME).write_bytes(gzip.compress(lines_of(*GOOD)))
    return tmp_path


PACKED: dict[str, Callable[[], bytes]] = {
    "one member": lambda: gzip.compress(lines_of(*GOOD)),
    "a member for each line": lambda: b"".join(gzip.compress(lines_of(id)) for id in GOOD),
    "members that end within lines": lambda: (
        gzip.compress(lines_of(*GOOD)[:50]) + gzip.compress(lines_of(*GOOD)[50:])
    ),
    "an empty member": lambda: gzip.compress(b"") + gzip.compress(lines_of(*GOOD)),
    "no newline at the end": lambda: gzip.compress(lines_of(*GOOD)[:-1]),
    "a file name in the header": lambda: gzip.compress(lines_of(*GOOD), mtime=0),
}


@pytest.mark.parametrize("packed", PACKED.values(), ids=PACKED)
def test_a_sealed_month_is_read_like_an_open_one(
    packed: Callable[[], bytes], tmp_path: Path
) -> None:
    """By id, in order, by time; from the index the second time."""
    data = packed()
    (tmp_path / NAME).write_bytes(data)
    for _ in range(2):
        with closing(JsonlStore(tmp_path)) as store:
            assert list(GOOD) == ids(store)
            assert [*GOOD[::-1]] == [e.id for e in store.scan(Query(order=Order.NEWEST))]
            assert an_entry("b", timestamp=JANUARY) == store.get("b")
            assert store.get("z") is None
            assert store.check().ok
            store.append([an_entry("october")])
            store.erase(["october"])
    assert data == (tmp_path / NAME).read_bytes()


def test_a_change_of_a_sealed_entry_is_written_beside(folder: Path) -> None:
    """The sealed file is not touched; the plain one of the month counts where both have an id."""
    before = (folder / NAME).read_bytes()
    with closing(JsonlStore(folder)) as store:
        store.rewrite("b", lambda entry: attrs.evolve(entry, rating=1))
        store.append([an_entry("d", timestamp=JANUARY)])
        unchanged = an_entry("a", timestamp=JANUARY)
        assert [Outcome.UNCHANGED] == store.append([unchanged])
        assert [Outcome.CONFLICT] == store.append([an_entry("a", answer="other")])
        assert [*GOOD, "d"] == ids(store)
        found = store.get("b")
        assert found is not None
        assert 1 == found.rating
    assert before == (folder / NAME).read_bytes()
    assert 2 == (folder / PLAIN).read_bytes().count(b"\n")


def test_a_compaction_joins_the_two_files_of_a_month(folder: Path) -> None:
    """What was written since the month was sealed and what was sealed become one plain file."""
    with closing(JsonlStore(folder)) as store:
        store.rewrite("b", lambda entry: attrs.evolve(entry, rating=1))
        before = contents(folder)
        store.compact()
        assert [PLAIN] == list(data_of(folder))
        assert list(GOOD) == ids(store)
    assert before == contents(folder)


def test_an_erasure_rewrites_a_sealed_month_sealed(folder: Path) -> None:
    """Nothing of the entry is left, the file is still compressed, and its mode is kept."""
    (folder / NAME).write_bytes(gzip.compress(lines_of("a") + lines_of("b", answer=CANARY)))
    (folder / NAME).chmod(0o640)
    with closing(JsonlStore(folder)) as store:
        assert 1 == store.erase(["b"])
        assert ["a"] == ids(store)
    assert [NAME] == list(data_of(folder))
    assert 0o640 == (folder / NAME).stat().st_mode & 0o7777
    assert CANARY.encode() not in raw(folder)
    with closing(JsonlStore(folder)) as store:
        assert 1 == store.erase(["a"])
        assert [] == ids(store)
    assert b'"a"' not in raw(folder)


def test_an_erasure_takes_an_entry_from_both_files_of_a_month(folder: Path) -> None:
    """An entry that was sealed and updated since is gone from both."""
    with closing(JsonlStore(folder)) as store:
        store.rewrite("b", lambda entry: attrs.evolve(entry, answer=CANARY))
        assert 1 == store.erase(["b"])
        assert ["a", "c"] == ids(store)
    assert CANARY.encode() not in raw(folder)
    assert b'"b"' not in raw(folder)


def test_damaged_lines_of_a_sealed_month_are_kept_aside(folder: Path) -> None:
    """They are counted with file and line, and moved to the quarantine by a compaction."""
    (folder / NAME).write_bytes(gzip.compress(lines_of("a") + b"damaged\n" + lines_of("b")))
    with closing(JsonlStore(folder)) as store:
        assert ["a", "b"] == ids(store)
        assert f"{NAME}:2" in store.check()["damaged_lines"].message
        store.compact()
        assert ["a", "b"] == ids(store)
        assert Status.OK == store.check()["damaged_lines"].status
    kept = [path.read_bytes() for path in (folder / "quarantine").iterdir()]
    assert [b"damaged\n"] == kept
    assert lines_of("a", "b") == gzip.decompress((folder / NAME).read_bytes())


def truncated(size: int) -> bytes:
    """Return a file of many entries, cut to a share of its size."""
    packed = gzip.compress(lines_of(*(f"id-{i}-{i * 7919 % 1000}" for i in range(2000))))
    return packed[: len(packed) * size // 100]


@pytest.mark.parametrize("size", [1, 30, 99])
def test_a_truncated_file_is_served_as_far_as_it_goes(
    size: int, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """It is an error of `check` at every opening; and nothing rewrites it, whatever is asked."""
    data = truncated(size)
    (tmp_path / NAME).write_bytes(data)
    for _ in range(2):
        caplog.clear()
        with closing(JsonlStore(tmp_path)) as store:
            store.append([an_entry("october")])
            served = ids(store)
            assert (size >= 30) == (len(served) > 300)
            assert Status.ERROR == store.check()["sealed"].status
            assert [logging.ERROR] == [r.levelno for r in caplog.records if r.levelno > 30]
            store.append([an_entry("january", timestamp=JANUARY)])
            store.compact()
            with pytest.raises(StoreUnavailableError, match=NAME):
                store.erase(["id-0-0", "january"])
            assert data == (tmp_path / NAME).read_bytes()
            assert set(served) <= set(ids(store))


def test_what_rots_after_it_was_indexed_is_not_rewritten(tmp_path: Path) -> None:
    """A file that unpacked when it was indexed, and does so no longer, is left as it is."""
    data = truncated(100)
    (tmp_path / NAME).write_bytes(data)
    with closing(JsonlStore(tmp_path)) as store:
        store.append([an_entry("a")])
        assert 2001 == len(ids(store))
    status = (tmp_path / NAME).stat()
    rotten = data[:3000] + b"\0" * 200 + data[3200:]
    (tmp_path / NAME).write_bytes(rotten)
    os.utime(tmp_path / NAME, ns=(status.st_atime_ns, status.st_mtime_ns))
    with closing(JsonlStore(tmp_path)) as store:
        with pytest.raises(StoreUnavailableError, match=NAME):
            store.erase(["id-0-0"])
        store.rewrite("a", lambda entry: attrs.evolve(entry, rating=1))
        assert 0 < len(ids(store)) < 2001
    assert rotten == (tmp_path / NAME).read_bytes()
    assert [] == list(tmp_path.glob(".*.tmp"))


def test_no_room_to_unpack_is_no_damage(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full temporary folder is an error of the call, and nothing is decided from it."""
    before = (folder / NAME).read_bytes()

    class Full(tempfile.SpooledTemporaryFile[bytes]):
        def write(self, s: Any) -> int:  # noqa: ANN401  # as above
            raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch, closing(JsonlStore(folder)) as store:
        patch.setattr(tempfile, "SpooledTemporaryFile", Full)
        for call in (
            lambda: ids(store),
            lambda: store.erase(["a"]),
            lambda: store.append([an_entry("new")]),
        ):
            with pytest.raises(StoreUnavailableError, match="space"):
                call()
    assert before == (folder / NAME).read_bytes()
    assert set(GOOD) == contents(folder).keys()


@needs_fork
def test_a_child_reads_a_sealed_month_apart_from_its_parent(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Promise 20: the unpacked contents are an open file, whose offset must not be shared."""
    monkeypatch.setattr(sealed, "_IN_MEMORY_BYTES", 1)
    with closing(JsonlStore(folder)) as store:
        assert list(GOOD) == ids(store)
        part = store._folder.parts()[0].file
        assert isinstance(part, sealed.SealedFile)
        contents_: IO[bytes] | None = part._contents
        assert contents_ is not None
        contents_.seek(7)
        with part._mutex:  # as a thread would hold it that reads at the moment of the fork
            assert list(GOOD) == in_child(lambda: ids(store))
        assert 7 == contents_.tell()
        assert list(GOOD) == ids(store)


def test_sealing_while_a_store_is_open(tmp_path: Path) -> None:
    """An operator who compresses a month in place of the plain file changes nothing visible."""
    with closing(JsonlStore(tmp_path)) as store:
        store.append([an_entry(id, timestamp=JANUARY) for id in GOOD])
        (tmp_path / "packed").write_bytes(gzip.compress((tmp_path / PLAIN).read_bytes()))
        (tmp_path / "packed").rename(tmp_path / NAME)
        assert list(GOOD) == ids(store)
        (tmp_path / PLAIN).unlink()
        assert list(GOOD) == ids(store)
        assert [Outcome.UNCHANGED] == store.append([an_entry("a", timestamp=JANUARY)])
        store.rewrite("a", lambda entry: attrs.evolve(entry, rating=1))
        assert list(GOOD) == ids(store)


def zstd() -> Any:  # noqa: ANN401  # one of two modules of the same shape
    """Return a module that compresses, or skip the test."""
    for name in ("compression.zstd", "backports.zstd"):
        try:
            return importlib.import_module(name)
        except ImportError:
            continue
    pytest.skip("neither compression.zstd nor backports.zstd is there")


def test_a_month_may_be_sealed_by_zstandard(tmp_path: Path) -> None:
    """Read, changed beside, and rewritten as it was, like one by gzip."""
    packed = zstd().compress
    path = tmp_path / "feedback_2025-01.jsonl.zst"
    path.write_bytes(packed(lines_of("a")) + packed(lines_of("b", "c")))
    with closing(JsonlStore(tmp_path)) as store:
        assert list(GOOD) == ids(store)
        assert 1 == store.erase(["b"])
        assert ["a", "c"] == ids(store)
    assert lines_of("a", "c") == zstd().decompress(path.read_bytes())
    path.write_bytes(path.read_bytes()[:-5])
    with closing(JsonlStore(tmp_path)) as store:
        assert not store.check().ok


def test_without_the_extra_a_sealed_month_is_not_an_absent_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A month that cannot be read for want of a package says so, and which one."""
    (tmp_path / "feedback_2025-01.jsonl.zst").write_bytes(b"whatever")

    def missing(name: str) -> None:
        raise ImportError(name)

    monkeypatch.setattr(importlib, "import_module", missing)
    with closing(JsonlStore(tmp_path)) as store:
        for call in (
            lambda: ids(store),
            lambda: store.get("a"),
            lambda: store.append([an_entry()]),
        ):
            with pytest.raises(MissingExtraError, match=r"feedback-store\[zstd\]"):
                call()
        assert not store.check().ok
