"""How a compaction packs a month."""

import gzip
import sys
from contextlib import closing
from pathlib import Path

import fsspec
import pytest
from jsonl_harness import an_entry

from feedback_store import MissingExtraError, Query
from feedback_store.backends.objects import ObjectStore
from feedback_store.compressing import unpacker_for

ZSTD = ("compression.zstd", "backports.zstd")


def opened(folder: Path, **options: str) -> ObjectStore:
    """Open a store in a folder."""
    return ObjectStore(fsspec.filesystem("file"), str(folder), **options)  # type: ignore[arg-type]  # names of compressions


def bases(folder: Path) -> list[Path]:
    """Return the objects that compactions have made."""
    return sorted(folder.rglob("*.base.*"))


@pytest.mark.parametrize(("compression", "suffix"), [("gzip", ".gz"), ("zstd", ".zst")])
def test_each_compression_is_read_whatever_is_written(
    tmp_path: Path, compression: str, suffix: str
) -> None:
    """A store may change it: the name of an object tells."""
    with closing(opened(tmp_path, compression=compression)) as store:
        store.append([an_entry(f"{k}") for k in range(50)])
        before = sum(path.stat().st_size for path in tmp_path.rglob("*.jsonl"))
        report = store.compact()
        (base,) = bases(tmp_path)
        assert suffix == base.suffix
        assert (before, base.stat().st_size) == (report.size_bytes_before, report.size_bytes_after)
        assert base.stat().st_size < before / 3
    packed = unpacker_for(base.name)().decompress(base.read_bytes())
    assert 51 == packed.count(b"\n")
    for number, other in enumerate(("gzip", "zstd", "gzip"), 51):
        with closing(opened(tmp_path, compression=other)) as store:
            assert number - 1 == len(list(store.scan(Query())))
            store.append([an_entry(f"{number} by {other}")])
            store.compact()
            assert {".gz" if other == "gzip" else ".zst"} == {p.suffix for p in bases(tmp_path)}
            assert number == len(list(store.scan(Query())))


@pytest.mark.parametrize("compression", ["gzip", "zstd"])
def test_a_packed_object_that_is_cut_off_is_kept_and_told(tmp_path: Path, compression: str) -> None:
    """What of it can be read is served; no compaction removes it."""
    with closing(opened(tmp_path, compression=compression)) as store:
        store.append([an_entry(f"{k}") for k in range(50)])
        store.compact()
    (base,) = bases(tmp_path)
    base.write_bytes(base.read_bytes()[:-10])
    with closing(opened(tmp_path, compression=compression)) as store:
        store.append([an_entry("new")])
        assert "new" in [entry.id for entry in store.scan(Query())]
        store.compact()
        assert base.exists()
        assert "1 objects are not whole" in store.check()["damaged"].message


def test_an_unknown_compression_is_refused(tmp_path: Path) -> None:
    """Before anything is written."""
    with pytest.raises(ValueError, match='compression must be "gzip" or "zstd"'):
        opened(tmp_path, compression="lzma")


def test_without_the_extra_it_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By who would write it when the store is opened, by who would read it when it is read."""
    with closing(opened(tmp_path, compression="zstd")) as store:
        store.append([an_entry("a")])
        store.compact()
    for name in ZSTD:
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(MissingExtraError, match=r"feedback-store\[zstd\]"):
        opened(tmp_path, compression="zstd")
    with closing(opened(tmp_path)) as store:
        with pytest.raises(MissingExtraError, match=r"feedback-store\[zstd\]"):
            list(store.scan(Query()))
        assert [] == list(tmp_path.rglob("*.segment.*"))


def test_gzip_is_what_gzip_reads(tmp_path: Path) -> None:
    """Any program unpacks it."""
    with closing(opened(tmp_path)) as store:
        store.append([an_entry("a")])
        store.compact()
    (base,) = bases(tmp_path)
    assert gzip.decompress(base.read_bytes()).startswith(b'{"format":1,"lines":1,')
