"""What stands in a bucket, what is done with what is damaged, and what is told when it is away."""

import gzip
import itertools
import json
from contextlib import closing
from pathlib import Path

import fsspec
import pytest
from hypothesis import given
from jsonl_harness import CANARY, NOON, an_entry

from feedback_store import (
    FeedbackEntry,
    MissingExtraError,
    Query,
    StoreUnavailableError,
    UnknownBackendError,
    encode,
    open_store,
)
from feedback_store.backends.objects import ObjectStore
from feedback_store.backends.objects.lines import formatted, parsed
from feedback_store.report import Status
from feedback_store.store import Outcome
from feedback_store.testing.strategies import batches

_numbers = itertools.count()

SECRET = "hunter2-secret"


def opened(folder: Path) -> ObjectStore:
    """Return the store in a folder."""
    return ObjectStore(fsspec.filesystem("file"), str(folder))


def objects(folder: Path) -> list[Path]:
    """Return the objects of a store, in the order of their names."""
    return sorted(path for path in folder.rglob("*") if path.is_file())


def ids(store: ObjectStore) -> list[str]:
    """Return the ids of all entries, oldest first."""
    return [entry.id for entry in store.scan(Query())]


def test_a_segment_is_a_header_and_a_line_for_each_entry(tmp_path: Path) -> None:
    """Every line is JSON, with a revision of its own and the entry as the codec has it."""
    entries = [an_entry("a"), an_entry("b")]
    with closing(opened(tmp_path)) as store:
        store.append(entries)
    (path,) = objects(tmp_path)
    assert path.parent.name == "2025-10"
    assert path.name.endswith(".segment.jsonl")
    header, *lines = path.read_bytes().splitlines()
    rest = path.read_bytes()[len(header) + 1 :]
    assert json.loads(header)["lines"] == 2
    assert json.loads(header)["bytes"] == len(rest)
    told = [json.loads(line) for line in lines]
    assert [line["entry"]["message_id"] for line in told] == ["a", "b"]
    revisions = [line["revision"] for line in told] + [path.name.partition(".")[0]]
    assert revisions == sorted(set(revisions))


@given(batches())
def test_what_is_written_is_read(batch: list[FeedbackEntry]) -> None:
    """Plain or compressed, an object gives back every line as it was."""
    store = ObjectStore(fsspec.filesystem("memory"), f"/lines-{next(_numbers)}")
    store.append(batch)
    for month, suffix in itertools.product(store._months.all(), ("", ".gz")):
        lines = tuple(month.state.visible())
        contents = parsed(formatted(lines, suffix), suffix, "here")
        assert contents.lines == lines
        assert contents.whole
        assert contents.damaged == 0


def test_one_call_makes_one_object_a_month(tmp_path: Path) -> None:
    """However many entries come together, it is one request; nothing new is none."""
    with closing(opened(tmp_path)) as store:
        store.append([an_entry(f"{k}") for k in range(100)])
        store.append([an_entry(f"{k}") for k in range(100)])
        store.append([an_entry("x"), an_entry("y", timestamp=NOON.replace(month=11))])
    assert len(objects(tmp_path)) == 3


def test_a_compacted_month_is_one_object(tmp_path: Path) -> None:
    """Segments give way to one compressed object, in the order of time."""
    with closing(opened(tmp_path)) as store:
        for k in range(5):
            store.append([an_entry(f"{k}", timestamp=NOON.replace(second=5 - k))])
        store.rewrite("3", lambda entry: an_entry(entry.id, rating=1, timestamp=entry.timestamp))
        report = store.compact()
        (path,) = objects(tmp_path)
        assert (report.months, report.superseded) == (1, 1)
        assert store.compact().months == 0
        assert ids(store) == ["4", "3", "2", "1", "0"]
    lines = gzip.decompress(path.read_bytes()).splitlines()[1:]
    assert [json.loads(line)["entry"]["message_id"] for line in lines] == ["4", "3", "2", "1", "0"]


def test_a_damaged_line_takes_no_neighbour_with_it(tmp_path: Path) -> None:
    """It is left out and told of; no compaction removes its object."""
    with closing(opened(tmp_path)) as store:
        store.append([an_entry("a"), an_entry("b"), an_entry("c")])
    (path,) = objects(tmp_path)
    damaged = path.read_bytes().replace(b'"message_id":"b"', b'"message_id":7  ')
    path.write_bytes(damaged)
    with closing(opened(tmp_path)) as store:
        assert ids(store) == ["a", "c"]
        assert store.check()["damaged"].status is Status.WARNING
        store.compact()
        assert path.read_bytes() == damaged
        assert ids(store) == ["a", "c"]


@pytest.mark.parametrize("size", [0, 10, 60, 200, -1])
def test_a_torn_object_shows_what_is_whole_of_it(tmp_path: Path, size: int) -> None:
    """It may be one that is just being written: its lines count, and it is never removed."""
    with closing(opened(tmp_path)) as store:
        store.append([an_entry("a"), an_entry("b")])
        store.append([an_entry("other")])
    path = objects(tmp_path)[0]
    whole = path.read_bytes()
    path.write_bytes(whole[:size])
    with closing(opened(tmp_path)) as store:
        assert set(ids(store)) <= {"a", "b", "other"}
        assert "other" in ids(store)
        store.compact()
        assert path.exists()
        assert "other" in ids(store)
        path.write_bytes(whole)  # it was being written: now it is whole
        assert ids(store) == ["a", "b", "other"]


def test_what_may_hold_the_entry_cannot_be_called_erased(tmp_path: Path) -> None:
    """A damaged object with the id in it is for somebody to look at."""
    with closing(opened(tmp_path)) as store:
        store.append([an_entry("a"), an_entry("b")])
    (path,) = objects(tmp_path)
    path.write_bytes(path.read_bytes().replace(b'"rating":0', b'"rating":?', 1))
    with closing(opened(tmp_path)) as store, pytest.raises(StoreUnavailableError, match="damaged"):
        store.erase(["a"])


def test_a_newer_format_is_refused(tmp_path: Path) -> None:
    """What a newer version wrote is neither misread nor touched."""
    with closing(opened(tmp_path)) as store:
        store.append([an_entry("a")])
    (path,) = objects(tmp_path)
    newer = path.read_bytes().replace(b'"format":1', b'"format":2')
    path.write_bytes(newer)
    with closing(opened(tmp_path)) as store:
        with pytest.raises(StoreUnavailableError, match="newer version"):
            ids(store)
        with pytest.raises(StoreUnavailableError, match="newer version"):
            store.append([an_entry("b")])
        assert store.check()["readable"].status is Status.ERROR
    assert objects(tmp_path) == [path]
    assert path.read_bytes() == newer


def test_a_folder_that_cannot_be_listed_is_not_empty(tmp_path: Path) -> None:
    """A file where the month should be is an error, and no store without entries."""
    (tmp_path / "store").write_text("not a folder")
    with closing(opened(tmp_path / "store")) as store, pytest.raises(StoreUnavailableError):
        store.append([an_entry("a")])


def test_check_tells_of_ids_in_two_months_and_of_foreign_objects(tmp_path: Path) -> None:
    """What a bucket cannot prevent, it tells."""
    with closing(opened(tmp_path)) as store:
        store.append([an_entry("a")])
        assert store.check().ok
        store.append([an_entry("a", timestamp=NOON.replace(month=11))])
        (tmp_path / "notes.txt").write_text("hello")
        report = store.check()
    assert report["unique_ids"].status is Status.WARNING
    assert report["foreign"].status is Status.WARNING
    assert report.ok


def test_check_tells_of_a_clock_that_is_ahead(tmp_path: Path) -> None:
    """The order of changes follows the fastest clock, so somebody should know."""
    fast = ObjectStore(
        fsspec.filesystem("file"), str(tmp_path), now_ns=lambda: 4_000_000_000_000_000_000
    )
    with closing(fast) as store:
        store.append([an_entry("a")])
    with closing(opened(tmp_path)) as store:
        assert store.check()["clock"].status is Status.WARNING
        store.rewrite("a", lambda entry: an_entry(entry.id, rating=1))
        entry = store.get("a")
        assert entry is not None
        assert entry.rating == 1


def test_nothing_secret_and_no_text_is_told(tmp_path: Path) -> None:
    """Neither options nor what users wrote stand in a name, an error or a report."""
    filesystem = fsspec.filesystem("file", token=SECRET)
    with closing(ObjectStore(filesystem, str(tmp_path))) as store:
        store.append([an_entry(CANARY, question=CANARY)])
        told = repr(store) + repr(store.check()) + "".join(map(str, objects(tmp_path)))
        store.erase([CANARY])
        told += "".join(path.read_text("utf-8") for path in objects(tmp_path))
    assert SECRET not in told
    assert CANARY not in told


def test_a_write_may_be_made_again_after_an_ambiguous_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the answer was lost, the same call finds out what is there."""
    with closing(opened(tmp_path)) as store:
        bucket = type(store._bucket)
        write = bucket.write

        def cut(self: object, path: str, data: bytes) -> None:
            write(self, path, data)  # type: ignore[arg-type]  # the method of its class
            raise StoreUnavailableError("the answer was lost")

        with monkeypatch.context() as patch:
            patch.setattr(bucket, "write", cut)
            with pytest.raises(StoreUnavailableError):
                store.append([an_entry("a")])
        assert store.append([an_entry("a"), an_entry("b")]) == [Outcome.UNCHANGED, Outcome.ADDED]
        assert ids(store) == ["a", "b"]


def test_a_url_opens_it(tmp_path: Path) -> None:
    """Any scheme of fsspec will do; what a filesystem needs comes as `storage_options`."""
    with open_store(f"file://{tmp_path}/store", storage_options={"auto_mkdir": True}) as store:
        store.add(an_entry("a"))
        assert repr(store.store) == f"ObjectStore('file://{tmp_path}/store')"
    with open_store("memory://urls/store") as store:
        assert store.count() == 0


def test_a_url_that_names_no_place_is_refused() -> None:
    """A bucket as a whole belongs to nobody alone."""
    with pytest.raises(UnknownBackendError, match="names a place"):
        open_store("memory://")


def test_a_missing_package_is_named() -> None:
    """Whoever lacks the package of a filesystem is told what to install."""
    with pytest.raises(MissingExtraError, match="gcsfs"):
        open_store("gs://bucket/feedback")


def test_copies_go_both_ways(tmp_path: Path) -> None:
    """Month files to objects and back: the same entries, to the last byte."""
    entries = [an_entry(f"{k}", timestamp=NOON.replace(month=1 + k % 12)) for k in range(50)]
    with (
        open_store(tmp_path / "months") as months,
        open_store(f"file://{tmp_path}/objects") as bucket,
        open_store(tmp_path / "again") as again,
    ):
        months.add_many(entries)
        bucket.add_many(months.scan())
        again.add_many(bucket.scan())
        assert [encode(e) for e in months.scan()] == [encode(e) for e in again.scan()]
