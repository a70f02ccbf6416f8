"""Snapshots in a bucket and on other filesystems of fsspec: one PUT each, whole or not there."""

import uuid
from pathlib import Path

import fsspec
import pytest
from fault_proxy import FaultProxy
from jsonl_harness import an_entry

from feedback_store import FeedbackStore, SnapshotError, StoreUnavailableError
from feedback_store.backends.memory import MemoryStore
from feedback_store.snapshot import export, read, verify


def store_of(number: int) -> FeedbackStore:
    """Return a store in memory with so many entries."""
    store = FeedbackStore(MemoryStore())
    store.add_many(an_entry(f"m-{i:05}") for i in range(number))
    return store


@pytest.fixture(params=["memory", "s3", "file"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a place that is empty."""
    if request.param == "memory":
        return f"memory://{uuid.uuid4().hex}"
    if request.param == "file":
        return f"file://{tmp_path}"
    root: str = request.getfixturevalue("s3_root")
    url = request.getfixturevalue("endpoint").url
    if url is not None:  # as AWS's own tools find it
        request.getfixturevalue("monkeypatch").setenv("AWS_ENDPOINT_URL", url)
    return f"s3://{root}"


@pytest.mark.parametrize("name", ["f.json", "f.jsonl.gz"])
def test_what_is_exported_to_a_url_is_read_back(place: str, name: str) -> None:
    """Twice: the second takes the place of the first, and the manifest follows."""
    for number in (3, 2):
        store = store_of(number)
        written = store.export(f"{place}/{name}")
        assert written == verify(f"{place}/{name}")
        assert list(store.scan()) == list(read(f"{place}/{name}"))


def test_older_ones_are_kept_in_a_bucket(place: str) -> None:
    """By copies that the bucket makes itself; those beyond the number go."""
    for number in range(1, 4):
        store_of(number).export(f"{place}/f.json", keep=1)
    written = store_of(4).export(f"{place}/f.json", keep=1)
    filesystem, path = fsspec.core.url_to_fs(place, use_listings_cache=False)
    filesystem.invalidate_cache()
    names = sorted(found.rpartition("/")[2] for found in filesystem.ls(path, detail=False))
    names = [n for n in names if "manifest" not in n and n.startswith("f.")]
    assert 2 == len(names)
    assert 3 == verify(f"{place}/{names[0]}").entries
    assert written == verify(f"{place}/f.json")


def test_months_of_parquet_are_exchanged(place: str) -> None:
    """Months that are gone are gone there, too."""
    pytest.importorskip("pyarrow")
    store = store_of(1)
    store.add(an_entry("later", timestamp=an_entry().timestamp.replace(month=12)))
    written = store.export(f"{place}/parts", partitioned=True)
    assert (2, 2) == (written.entries, len(written.files))
    assert written == verify(f"{place}/parts")
    store.delete("later")
    written = store.export(f"{place}/parts", partitioned=True)
    assert (1, 1) == (written.entries, len(written.files))
    assert written == verify(f"{place}/parts")


def test_what_is_missing_in_a_bucket_is_told(place: str) -> None:
    """No snapshot, and no manifest, are two answers; neither shows a traceback of a library."""
    with pytest.raises(SnapshotError, match="there is no"):
        verify(f"{place}/f.json")


def test_a_damaged_object_is_found(place: str) -> None:
    """Also where a bucket gives other bytes than it was given."""
    store_of(3).export(f"{place}/f.json")
    filesystem, path = fsspec.core.url_to_fs(f"{place}/f.json")
    data = filesystem.cat_file(path)
    filesystem.pipe_file(path, data.replace(b"How?", b"Who?"))
    with pytest.raises(SnapshotError, match="SHA-256 differs"):
        read(f"{place}/f.json")


def test_a_snapshot_is_one_put(s3_root: str, proxy: FaultProxy) -> None:
    """The object comes by one request, and its manifest by another: nothing is renamed."""
    options = {"endpoint_url": proxy.url}
    export(store_of(2000), f"s3://{s3_root}/f.json", storage_options=options)
    puts = [request for request in proxy.requests if request.method == "PUT"]
    assert ["f.json.manifest.json", "f.json"] == [put.path.rpartition("/")[2] for put in puts]


def test_a_bucket_that_is_away_is_told(s3_root: str) -> None:
    """As any place that cannot be reached, by a typed error without a secret."""
    options = {"endpoint_url": "http://127.0.0.1:9", "secret": "hush-hush"}
    with pytest.raises(StoreUnavailableError) as caught:
        export(store_of(1), f"s3://{s3_root}/f.json", storage_options=options)
    assert "hush" not in str(caught.value)
