"""Older snapshots are kept by number and by age, each with its manifest; others are left alone."""

import os
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import attrs
import pytest
from exporting import some_entries, store_of

from feedback_store.snapshot import export, read, verify
from feedback_store.snapshot.keeping import kept_name
from feedback_store.snapshot.manifest import from_bytes, manifest_name, to_bytes


def names(folder: Path) -> list[str]:
    """Return the names of the snapshots in a folder, without manifests and locks."""
    found = (path.name for path in folder.iterdir())
    return sorted(n for n in found if not n.startswith(".") and not n.endswith(".manifest.json"))


@pytest.mark.parametrize("name", ["feedback.json", "feedback.jsonl.gz", "feedback.csv"])
def test_so_many_older_ones_are_kept(tmp_path: Path, name: str) -> None:
    """The newest has the name, and the latest of the others are beside it, each whole."""
    written = [
        export(store_of(some_entries(number)), tmp_path / name, keep=2) for number in range(1, 6)
    ]
    older = [kept_name(name, one.created_at) for one in written[2:4]]
    assert sorted([*older, name]) == names(tmp_path)
    assert written[2:4] == [verify(tmp_path / one) for one in older]
    assert written[4] == verify(tmp_path / name)


def test_none_is_kept_unless_asked(tmp_path: Path) -> None:
    """An export replaces what is there, and older ones that are there stay."""
    store = store_of(some_entries())
    for keep in (None, 3, None, None):
        export(store, tmp_path / "f.json", keep=keep)
    assert 2 == len(names(tmp_path))
    export(store, tmp_path / "f.json", keep=0)
    assert ["f.json"] == names(tmp_path)


def test_old_ones_go_with_time(tmp_path: Path) -> None:
    """Those that are older than they may be are removed, with their manifests."""
    store, target = store_of(some_entries()), tmp_path / "f.json"
    export(store, target)
    told = Path(manifest_name(str(target)))
    aged = attrs.evolve(verify(target), created_at=datetime.now(UTC) - timedelta(days=31))
    told.write_bytes(to_bytes(aged, []))
    export(store, target, keep_for=timedelta(days=32))
    assert kept_name("f.json", aged.created_at) in names(tmp_path)
    export(store, target, keep_for=timedelta(days=30))
    assert 2 == len(names(tmp_path))
    assert kept_name("f.json", aged.created_at) not in names(tmp_path)
    assert not (tmp_path / manifest_name(kept_name("f.json", aged.created_at))).exists()


def test_a_file_of_an_older_exporter_is_kept_too(tmp_path: Path) -> None:
    """What has no manifest gets its file's time as a name."""
    target = tmp_path / "feedback.json"
    target.write_bytes(b'[{"user_query": "?"}]')
    os.utime(target, (1_700_000_000, 1_700_000_000))
    export(store_of(some_entries()), target, keep=1)
    assert ["feedback.2023-11-14T221320.000000Z.json", "feedback.json"] == names(tmp_path)
    assert b"user_query" in (tmp_path / names(tmp_path)[0]).read_bytes()


def test_files_of_others_are_left_alone(tmp_path: Path) -> None:
    """Names that only look alike are nobody's to remove."""
    others = ["f.2023.json", "f.2023-11-14T221320.000000Z.csv", "g.2023-11-14T221320.000000Z.json"]
    for name in others:
        (tmp_path / name).write_bytes(b"")
    for _ in range(2):
        export(store_of(some_entries()), tmp_path / "f.json", keep=0)
    assert sorted([*others, "f.json"]) == names(tmp_path)


def test_a_mode_is_kept(tmp_path: Path) -> None:
    """What replaces a file is as readable as it was; the first one follows the umask."""
    target = tmp_path / "f.json"
    export(store_of([]), target)
    target.chmod(0o640)
    export(store_of(some_entries()), target)
    assert 0o640 == target.stat().st_mode & 0o777


def test_the_manifest_tells_of_both_while_two_are_exchanged(tmp_path: Path) -> None:
    """After a kill between manifest and file, what is there is the one before, in full."""
    target = tmp_path / "f.json"
    first = export(store_of(some_entries(1)), target)
    data = target.read_bytes()
    second = export(store_of(some_entries(2)), target)
    assert (second, first) == from_bytes(
        Path(manifest_name(str(target))).read_bytes(), "f.json"
    ) or (second,) == from_bytes(Path(manifest_name(str(target))).read_bytes(), "f.json")[:1]
    target.write_bytes(data)  # as if the second had never come
    assert first == verify(target)
    assert 1 == len(list(read(target)))
    third = export(store_of(some_entries(3)), target)
    assert third == verify(target)


def test_exports_to_one_folder_wait_for_each_other(tmp_path: Path) -> None:
    """Two at once leave one of both, whole, and no temporary file."""
    store = store_of(some_entries(200))
    threads = [
        threading.Thread(target=export, args=(store, tmp_path / "f.json"), kwargs={"keep": 3})
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert 200 == verify(tmp_path / "f.json").entries
    assert 4 == len(names(tmp_path))
    assert [] == list(tmp_path.glob(".*.tmp"))
