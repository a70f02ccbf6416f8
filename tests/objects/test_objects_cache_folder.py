"""Objects that are kept in a folder of this machine."""

import logging
import os
import stat
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any

import fsspec
import pytest
from fault_proxy import FaultProxy
from jsonl_harness import an_entry
from s3_endpoint import Endpoint

from feedback_store import Query
from feedback_store.backends.objects import ObjectStore
from feedback_store.backends.objects.cache_folder import CacheFolder
from feedback_store.backends.objects.naming import ObjectName

SECRET = "what one person wrote"


class Place:
    """A store in a folder, and the folder that keeps what was read of it."""

    def __init__(self, above: Path) -> None:
        self.root = above / "store"
        self.kept = above / "kept"

    def open(self, **options: Any) -> ObjectStore:  # noqa: ANN401  # any of them
        """Open the store, as a process that has just started."""
        return ObjectStore(
            fsspec.filesystem("file"), str(self.root), cache_folder=self.kept, **options
        )

    def read(self, **options: Any) -> list[str]:  # noqa: ANN401  # as above
        """Return the ids that a new process sees."""
        with closing(self.open(**options)) as store:
            return [entry.id for entry in store.scan(Query())]

    def files(self) -> list[Path]:
        """Return the files that are kept."""
        return sorted(path for path in self.kept.rglob("*") if path.is_file())


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """Return a store of three objects in two months, read once."""
    place = Place(tmp_path)
    with closing(place.open()) as store:
        for id, day in (("a", "2025-10-01"), ("b", "2025-10-02"), ("c", "2025-11-01")):
            store.append(
                [an_entry(id, timestamp=datetime.fromisoformat(f"{day}T00:00Z"), question=SECRET)]
            )
    assert ["a", "b", "c"] == place.read()
    return place


def test_what_was_read_is_kept_for_the_next_process(
    endpoint: Endpoint, proxy: FaultProxy, s3_root: str, tmp_path: Path
) -> None:
    """It asks which objects there are, and fetches those that are new."""

    def opened() -> ObjectStore:
        return ObjectStore(endpoint.filesystem(proxy.url), s3_root, cache_folder=tmp_path)

    with closing(opened()) as store:
        for k in range(5):
            store.append([an_entry(f"{k}")])
    for fetched in (5, 0):
        proxy.reset()
        with closing(opened()) as store:
            assert 5 == len(list(store.scan(Query())))
        assert (1, fetched) == (proxy.counts["LIST"], proxy.counts["GET"])


def test_what_is_kept_is_as_large_as_what_is_there(place: Place) -> None:
    """The files are the objects."""
    there = sorted(path.read_bytes() for path in place.root.rglob("*.jsonl"))
    assert there == sorted(path.read_bytes() for path in place.files())


def test_nobody_else_is_let_in(place: Place) -> None:
    """Whatever the umask: it is what people wrote."""
    (folder,) = place.kept.iterdir()
    assert 0o700 == stat.S_IMODE(folder.stat().st_mode)
    assert {0o600} == {stat.S_IMODE(path.stat().st_mode) for path in place.files()}


def test_what_was_erased_goes_at_the_next_listing(place: Place) -> None:
    """By the process that erases, and by one that only reads."""
    other = Place(place.root.parent)
    other.kept = place.root.parent / "other"
    assert ["a", "b", "c"] == other.read()
    with closing(place.open()) as store:
        assert 3 == store.erase(["a", "b", "c"])
        assert not list(store.scan(Query()))
    for kept in (place, other):
        assert [] == kept.read()
        assert SECRET not in b"".join(path.read_bytes() for path in kept.files()).decode()


def test_a_store_that_is_open_drops_what_another_process_replaced(place: Place) -> None:
    """Its next question lists, and that tells."""
    with closing(place.open()) as reader:
        assert 3 == len(list(reader.scan(Query())))
        with closing(ObjectStore(fsspec.filesystem("file"), str(place.root))) as other:
            assert 2 == other.compact().months
        assert 3 == len(list(reader.scan(Query())))
        assert {".gz"} == {path.suffix for path in place.files()}


def test_months_that_are_gone_go_here_too(place: Place) -> None:
    """A backup may have been put in place of all."""
    for path in (place.root / "2025-10").iterdir():
        path.unlink()
    assert ["c"] == place.read()
    assert {"2025-11"} == {path.parent.name for path in place.files()}


def test_another_store_keeps_what_is_its_own(place: Place, tmp_path: Path) -> None:
    """One folder may serve several stores."""
    other = Place(tmp_path)
    other.root = tmp_path / "another"
    with closing(other.open()) as store:
        store.append([an_entry("z")])
    for _ in range(2):
        assert ["z"] == other.read()
        assert ["a", "b", "c"] == place.read()
    assert 4 == len(place.files())


@pytest.mark.parametrize("damage", [b"", b"x", b'{"format":1,"lines":1,"bytes":1,"crc32":"0"}\nx'])
def test_a_damaged_file_is_fetched_anew(place: Place, damage: bytes) -> None:
    """Its header tells that it is not what was kept."""
    good = [path.read_bytes() for path in place.files()]
    for path in place.files():
        path.write_bytes(damage)
    assert ["a", "b", "c"] == place.read()
    assert good == [path.read_bytes() for path in place.files()]


def test_a_folder_that_cannot_be_used_is_told_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """It spares time, and nothing else."""
    place = Place(tmp_path)
    place.kept.write_text("a file stands in its place")
    with closing(place.open()) as store:
        store.append([an_entry("a")])
        store.append([an_entry("b")])
    caplog.set_level(logging.WARNING, "feedback_store")
    assert ["a", "b"] == place.read()
    assert ["cannot be used as a cache" in record.message for record in caplog.records] == [True]


def an_object(number: int) -> ObjectName:
    """Return the name of an object."""
    return ObjectName("2025-10", f"{number:032x}", "segment")


def test_what_was_not_read_for_longest_makes_room(tmp_path: Path) -> None:
    """The files take about as much as they may."""
    folder = CacheFolder(tmp_path, "memory://feedback", 1000)
    for number in range(10):
        folder.keep(an_object(number), bytes(100))
        (path,) = tmp_path.rglob(f"*{number:032x}*")
        os.utime(path, (number, number))
    assert bytes(100) == folder.read(an_object(0))
    folder.keep(an_object(10), bytes(100))
    left = [number for number in range(11) if folder.read(an_object(number)) is not None]
    assert (0, 10) == (left[0], left[-1])
    assert 8 <= len(left) <= 9
    assert [3, 4, 5, 6, 7, 8, 9] == left[-8:-1]


def test_what_a_process_left_half_written_goes(place: Place) -> None:
    """It has a name of its own, which no object has."""
    (folder,) = place.kept.iterdir()
    left = folder / "2025-10" / "x.0000.tmp"
    left.write_text(SECRET)
    assert ["a", "b", "c"] == place.read()
    assert not left.exists()
