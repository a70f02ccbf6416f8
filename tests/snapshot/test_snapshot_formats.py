"""What stands in a snapshot of each format, and what its name tells."""

import csv
import gzip
import io
import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from exporting import manifest_of, some_entries, store_of
from hypothesis import given
from jsonl_harness import an_entry

from feedback_store import FeedbackEntry, Metadata, MissingExtraError, Query, encode
from feedback_store.snapshot import export, read, verify
from feedback_store.testing.strategies import batches


@pytest.mark.parametrize("name", ["f.json", "f.jsonl", "f.ndjson", "f.json.gz", "f.jsonl.zst"])
@given(batch=batches())
def test_what_is_read_back_is_what_was_exported(name: str, batch: list[FeedbackEntry]) -> None:
    """An array and lines, compressed or not, give back the same entries: the same bytes."""
    store = store_of(batch)
    with TemporaryDirectory() as folder:
        target = Path(folder) / name
        written = export(store, target)
        assert [encode(e) for e in store.scan()] == [encode(e) for e in read(target)]
        assert written == verify(target)
        assert written.entries == store.count()
        assert (written.first, written.last) == (store.stats().first, store.stats().last)


def test_an_array_is_json_with_an_entry_on_each_line(tmp_path: Path) -> None:
    """Whoever reads JSON reads it as a whole, and whoever reads lines reads lines."""
    target = tmp_path / "feedback.json"
    store_of(some_entries(2)).export(target)
    text = target.read_bytes()
    assert ["m-0000", "m-0001"] == [row["message_id"] for row in json.loads(text)]
    lines = [encode(entry) for entry in some_entries(2)]
    assert b"[\n" + lines[0] + b",\n" + lines[1] + b"\n]\n" == text


@pytest.mark.parametrize(
    ("name", "expected"),
    [("f.json", b"[]\n"), ("f.jsonl", b""), ("f.csv", None), ("f.parquet", None)],
)
def test_nothing_is_exported_as_nothing(tmp_path: Path, name: str, expected: bytes | None) -> None:
    """An empty store gives a valid empty file."""
    written = store_of([]).export(tmp_path / name)
    assert (0, None, None) == (written.entries, written.first, written.last)
    if expected is not None:
        assert expected == (tmp_path / name).read_bytes()
        assert [] == list(read(tmp_path / name))


def test_a_query_chooses_what_goes_in(tmp_path: Path) -> None:
    """Only what matches is there, in the order that was asked for; the manifest says so."""
    store = store_of([*some_entries(3), an_entry("liked", rating=1)])
    target = tmp_path / "f.json"
    written = store.export(target, Query(rating="negative", order="newest"))
    assert ["m-0002", "m-0001", "m-0000"] == [entry.id for entry in read(target)]
    assert not written.whole
    assert written.first == some_entries(1)[0].timestamp
    assert store.export(target).whole


def test_an_order_by_rating_is_kept(tmp_path: Path) -> None:
    """The ends of time are told whatever the order is."""
    store = store_of([an_entry("a", rating=0), an_entry("b", rating=1), an_entry("c", rating=0.5)])
    written = store.export(tmp_path / "f.jsonl", Query(order="rating_desc"))
    assert ["b", "c", "a"] == [entry.id for entry in read(tmp_path / "f.jsonl")]
    assert written.first == written.last == an_entry().timestamp


# ------------------------------------------------------------------------------------ CSV


def rows_of(data: bytes) -> list[dict[str, str]]:
    """Return the rows of CSV."""
    return list(csv.DictReader(io.StringIO(data.decode(), newline="")))


FULL = an_entry(
    "=1+2",
    question='Say "hi",\nplease',
    answer="-5 degrees",
    rating=0.25,
    sources=[{"title": "Manual", "type": "pdf"}],
    metadata=Metadata(issues=("inaccurate",), response_time=1.5, extra={"browser": {"os": "x"}}),
    correction="@home",
    extra={"channel": "web"},
)


def test_csv_has_a_column_for_each_field(tmp_path: Path) -> None:
    """Each value is in its column; what has no fixed shape is JSON."""
    store_of([FULL]).export(tmp_path / "f.csv")
    (row,) = rows_of((tmp_path / "f.csv").read_bytes())
    assert ('Say "hi",\nplease', "0.25", "1.5") == (
        row["question"],
        row["rating"],
        row["response_time"],
    )
    assert [{"title": "Manual", "type": "pdf"}] == json.loads(row["sources"])
    assert ["inaccurate"] == json.loads(row["issues"])
    assert {"browser": {"os": "x"}} == json.loads(row["metadata_extra"])
    assert {"channel": "web"} == json.loads(row["extra"])
    assert "2025-10-15T12:00:00.000Z" == row["timestamp"] or row["timestamp"].endswith("Z")


def test_a_spreadsheet_runs_nothing_of_csv(tmp_path: Path) -> None:
    """A text that begins like a formula gets an apostrophe, and so does one that has one."""
    store_of([FULL, an_entry("'x", timestamp=FULL.timestamp)]).export(tmp_path / "f.csv")
    first, second = rows_of((tmp_path / "f.csv").read_bytes())
    assert ("''x", "'=1+2") == (first["id"], second["id"])
    assert ("'-5 degrees", "'@home") == (second["answer"], second["correction"])


@given(batch=batches())
def test_csv_is_as_long_as_the_store(batch: list[FeedbackEntry]) -> None:
    """Newlines, quotes and commas of any text part no rows."""
    store = store_of(batch)
    with TemporaryDirectory() as folder:
        store.export(Path(folder) / "f.csv")
        rows = rows_of((Path(folder) / "f.csv").read_bytes())
    answers = [entry.answer for entry in store.scan()]
    assert answers == [unguarded(row["answer"]) for row in rows]


def unguarded(text: str) -> str:
    """Take the apostrophe of a text away, if it has one."""
    return text.removeprefix("'")


# -------------------------------------------------------------------------------- Parquet


def test_parquet_has_the_same_schema_whatever_is_in_it(tmp_path: Path) -> None:
    """Sources, unknown keys and metadata without any do not change it."""
    parquet = pytest.importorskip("pyarrow.parquet")
    store_of([FULL]).export(tmp_path / "full.parquet")
    store_of([an_entry("plain")]).export(tmp_path / "plain.parquet")
    store_of([]).export(tmp_path / "empty.parquet")
    schemas = [parquet.read_schema(tmp_path / f"{n}.parquet") for n in ("full", "plain", "empty")]
    assert schemas[0].equals(schemas[1])
    assert schemas[0].equals(schemas[2])
    (row,) = parquet.read_table(tmp_path / "full.parquet").to_pylist()
    assert (0.25, ["inaccurate"], "-5 degrees") == (row["rating"], row["issues"], row["answer"])
    assert FULL.timestamp == row["timestamp"]
    assert {"channel": "web"} == json.loads(row["extra"])


@given(batch=batches())
def test_parquet_says_all_of_an_entry(batch: list[FeedbackEntry]) -> None:
    """Every row has the texts and the times of its entry, in the order of the store."""
    parquet = pytest.importorskip("pyarrow.parquet")
    store = store_of(batch)
    with TemporaryDirectory() as folder:
        store.export(Path(folder) / "f.parquet")
        rows = parquet.read_table(Path(folder) / "f.parquet").to_pylist()
    expected: list[tuple[Any, ...]] = [
        (e.id, e.question, e.answer, e.timestamp, e.metadata.explanation, list(e.metadata.issues))
        for e in store.scan()
    ]
    columns = ("id", "question", "answer", "timestamp", "explanation", "issues")
    assert expected == [tuple(row[name] for name in columns) for row in rows]


def test_parquet_by_months_is_read_by_month(tmp_path: Path) -> None:
    """A file for each month, in folders as query engines know them; nothing else is there."""
    dataset = pytest.importorskip("pyarrow.dataset")
    target = tmp_path / "feedback"
    store = store_of(some_entries(5))
    written = store.export(target, partitioned=True)
    found = dataset.dataset(target, format="parquet", partitioning="hive")
    assert 5 == found.count_rows()
    months = sorted(entry.timestamp.strftime("month=%Y-%m") for entry in some_entries(5))
    assert sorted(set(months)) == sorted(path.name for path in target.iterdir())
    assert written == verify(target)
    store.delete("m-0000", "m-0001")
    written = store.export(target, partitioned=True)
    assert 3 == dataset.dataset(target, format="parquet", partitioning="hive").count_rows()
    assert written == verify(target)
    next(target.rglob("*.parquet")).write_bytes(b"")
    with pytest.raises(ValueError, match="not as it was written"):
        verify(target)


# --------------------------------------------------------------------------- training data


def test_training_data_holds_what_can_be_trained_on(tmp_path: Path) -> None:
    """``kto``: who liked or disliked; ``dpo``: where a correction says it better."""
    store = store_of(
        [
            an_entry("up", rating=1),
            an_entry("down", rating=0.2),
            an_entry("so", rating=0.5),
            an_entry("none", rating=None, correction="Better."),
            an_entry("same", rating=None, correction="So."),
        ]
    )
    kto = store.export(tmp_path / "kto.jsonl", format="kto")
    assert (2, 3) == (kto.entries, kto.skipped)
    labels = [json.loads(line) for line in (tmp_path / "kto.jsonl").read_bytes().splitlines()]
    row = {"prompt": "How?", "completion": "So."}
    assert [{**row, "label": False}, {**row, "label": True}] == labels
    dpo = store.export(tmp_path / "dpo.jsonl.gz", format="dpo")
    assert (1, 4) == (dpo.entries, dpo.skipped)
    pair = {"prompt": "How?", "chosen": "Better.", "rejected": "So."}
    assert pair == json.loads(gzip.decompress((tmp_path / "dpo.jsonl.gz").read_bytes()))


# ------------------------------------------------------------------------------- the name


@pytest.mark.parametrize(
    ("name", "options", "problem"),
    [
        ("f.txt", {}, "tells no format"),
        ("f.json", {"format": "xml"}, "must be one of json, jsonl"),
        ("f.parquet.gz", {}, "compressed inside"),
        ("f.json.age", {}, "give the recipients"),
        ("f.json", {"recipients": ["age1x"]}, "end in .age"),
        ("f.json", {"keep": -1}, "0 or more"),
        ("f.json", {"partitioned": True, "keep": 1}, "nor are older ones kept"),
        ("folder/", {}, "name the file in it"),
        ("s3://", {}, "names no file"),
        ("nope://bucket/f.json", {}, "no filesystem is known"),
    ],
    ids=lambda value: value if isinstance(value, str) else "-".join(value),
)
def test_what_makes_no_sense_is_told_before_anything_is_written(
    tmp_path: Path, name: str, options: dict[str, Any], problem: str
) -> None:
    """A ValueError says what to do, and nothing is there."""
    target = name if "//" in name else f"{tmp_path}/{name}"
    with pytest.raises(ValueError, match=problem):
        store_of(some_entries()).export(target, **options)
    assert [] == [path.name for path in tmp_path.iterdir() if path.name != ".snapshots.lock"]


def test_raw_rows_are_those_of_a_table(tmp_path: Path) -> None:
    """A store has none, which is told."""
    with pytest.raises(TypeError, match="TableSource"):
        export(store_of([]), tmp_path / "f.json", raw=True)


class Table:
    """A source that has rows, too."""

    def scan(self, query: Query) -> Any:  # noqa: ANN401  # never asked
        """Yield nothing."""
        raise NotImplementedError

    def raw_rows(self) -> Any:  # noqa: ANN401  # an iterator
        """Yield two rows."""
        yield {"vote_id": 1, "comment": None, "timestamp": "2025-06-17T17:00:00+00:00"}
        yield {"vote_id": 2, "comment": "naïve\n", "timestamp": None}


def test_raw_rows_stand_as_they_are(tmp_path: Path) -> None:
    """Every column is kept, and the manifest does not say that they are entries."""
    written = export(Table(), tmp_path / "f.json", raw=True)
    assert list(Table().raw_rows()) == json.loads((tmp_path / "f.json").read_bytes())
    assert ("raw json", 2, 0, True) == (
        written.format, written.entries, written.skipped, written.whole
    )  # fmt: skip
    with pytest.raises(ValueError, match="raw json"):
        list(read(tmp_path / "f.json"))
    with pytest.raises(ValueError, match="JSON lines"):
        export(Table(), tmp_path / "f.csv", raw=True)
    with pytest.raises(ValueError, match="no query"):
        export(Table(), tmp_path / "f.json", Query(rating="positive"), raw=True)


@pytest.mark.parametrize(
    ("name", "module", "extra"),
    [
        ("f.parquet", "pyarrow", "parquet"),
        ("f.json.age", "pyrage", "encrypt"),
    ],
)
def test_a_missing_package_is_told_by_its_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, module: str, extra: str
) -> None:
    """The error names what to install."""
    monkeypatch.setitem(sys.modules, module, None)
    recipients = ["age1x"] if name.endswith(".age") else []
    with pytest.raises(MissingExtraError, match=rf"feedback-store\[{extra}\]"):
        store_of(some_entries()).export(tmp_path / name, recipients=recipients)
    assert not (tmp_path / name).exists()


def test_the_manifest_tells_what_it_is(tmp_path: Path) -> None:
    """Format, number, times, size, checksum and when it was made."""
    before = datetime.now(UTC)
    written = store_of(some_entries(2)).export(tmp_path / "f.json.gz")
    told = manifest_of(tmp_path / "f.json.gz")
    assert ("json", ".gz", 2) == (told["format"], told["compression"], told["entries"])
    assert (tmp_path / "f.json.gz").stat().st_size == told["size_bytes"]
    assert before <= written.created_at <= datetime.now(UTC)
