"""The command that reads many entries from elsewhere: import."""

import gzip
import json
import tracemalloc
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import Result

from feedback_store import FeedbackEntry, FeedbackStore, Outcome, encode
from feedback_store.cli import importing, source
from feedback_store.cli.source import Source, date_of

Invoke = Callable[..., Result]
Imported = tuple[tuple[int, ...], list[str]]
Import = Callable[..., Imported]

COUNTS = ("added", "unchanged", "conflicting", "refused")
TIME = "2025-02-17T10:00:00Z"


def row(key: str, **fields: object) -> dict[str, object]:
    """Return a row that is an entry."""
    return {"message_id": key, "question": "q", "answer": "a", "timestamp": TIME, **fields}


def lines(*rows: object) -> bytes:
    """Return rows as lines; a text as it is."""
    shown = (text if isinstance(text, str) else json.dumps(text) for text in rows)
    return "".join(f"{line}\n" for line in shown).encode()


@pytest.fixture
def imported(invoke: Invoke, tmp_path: Path) -> Import:
    """Import bytes from a file; return the four counts, and the problems without the folder."""

    def run(data: bytes, *options: str, name: str = "rows.jsonl") -> Imported:
        path = tmp_path / name
        path.write_bytes(data)
        result = invoke("import", path, "--json", *options)
        counts = json.loads(result.stdout)
        assert list(COUNTS) == list(counts)
        assert int(bool(counts["conflicting"] or counts["refused"])) == result.exit_code
        problems = result.stderr.replace(f"{tmp_path}/", "").splitlines()
        return tuple(counts.values()), problems

    return run


def test_lines_are_added(imported: Import, store: FeedbackStore) -> None:
    """Every line is an entry, blank lines are none, and the last newline may be missing."""
    data = b"\xef\xbb\xbf" + lines(row("a", rating=1), "", "  ", row("b", channel="web")).rstrip()
    assert ((2, 0, 0, 0), []) == imported(data)
    assert [1, {"channel": "web"}] == [store.get("a").rating, store.get("b").extra]


@pytest.mark.parametrize("indent", [None, 2])
@pytest.mark.parametrize("before", [b"", b"\xef\xbb\xbf", b" \n\n\t"])
def test_an_array_is_told_by_its_content(
    imported: Import, indent: int | None, before: bytes
) -> None:
    """A JSON array is read item by item, whatever the file's name and its layout."""
    data = before + json.dumps([row("a"), row("b")], indent=indent).encode()
    assert ((2, 0, 0, 0), []) == imported(data)


def test_a_long_array_on_one_line_is_read(
    imported: Import, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The longest line that is allowed does not bound an array."""
    monkeypatch.setattr(source, "MAX_LINE_BYTES", 300)
    data = json.dumps([row(str(i)) for i in range(50)]).encode()
    assert ((50, 0, 0, 0), []) == imported(data)


def test_compressed_files_are_told_by_their_suffix(imported: Import) -> None:
    """A file that ends in .gz is uncompressed, in several parts too."""
    data = gzip.compress(lines(row("a"))) + gzip.compress(lines(row("b")))
    assert ((2, 0, 0, 0), []) == imported(data, name="rows.jsonl.gz")


@pytest.mark.parametrize("cut", [0, 30])
def test_a_damaged_compressed_file_keeps_what_could_be_read(
    imported: Import, store: FeedbackStore, cut: int
) -> None:
    """Where a file cannot be read on, that is told, and what came before it is stored."""
    if cut:
        data = gzip.compress(lines(*(row(str(i)) for i in range(3))), 0)[:-cut]
        counts, problems = imported(data, name="rows.jsonl.gz")
        assert (2, 0, 0, 1) == counts
    else:
        counts, problems = imported(lines(row("secret")), name="rows.jsonl.gz")
        assert (0, 0, 0, 1) == counts
    (problem,) = problems
    assert "rows.jsonl.gz" in problem
    assert "cannot be read any further" in problem


def test_refused_rows_are_told_by_their_line(imported: Import, store: FeedbackStore) -> None:
    """A row that is no entry is told with its line and the reason, and all others are stored."""
    data = lines(
        row("a"), "", "secret {", row("b", rating="secret"), {"question": "secret"}, row("c")
    )
    counts, problems = imported(data)
    assert (2, 0, 0, 3) == counts
    assert ["a", "c"] == [entry.id for entry in store.scan()]
    places = [problem.split(" refused: ")[0] for problem in problems]
    assert ["Error: rows.jsonl:3:", "Error: rows.jsonl:4:", "Error: rows.jsonl:5:"] == places
    assert "secret" not in "".join(problems)


def test_refused_items_are_told_by_their_number(imported: Import) -> None:
    """An item of an array that is no entry is told with its place."""
    counts, problems = imported(json.dumps([row("a"), 7, row("b")]).encode())
    assert (2, 0, 0, 1) == counts
    assert ["Error: rows.jsonl: item 2: refused: an entry is a JSON object, not a int"] == problems


def test_a_damaged_array_is_refused_as_a_whole(imported: Import) -> None:
    """Of an array that is no JSON, nothing is taken."""
    counts, problems = imported(json.dumps([row("a"), row("b")]).encode()[:-5])
    assert ((0, 0, 0, 1), 1) == (counts, len(problems))


def test_conflicts_are_told_by_their_id(imported: Import, store: FeedbackStore) -> None:
    """Other content under a taken id is told and not stored; the same content is unchanged."""
    store.add(FeedbackEntry(message_id="there", question="q", answer="other"))
    again = row("a", timestamp="2025-02-18T10:00:00Z")
    counts, problems = imported(lines(row("a"), again, row("a", rating=1), row("there"), row("b")))
    assert (2, 1, 2, 0) == counts
    expected = [
        f"Error: rows.jsonl: conflict: other content stands under the id '{key}'"
        for key in ("a", "there")
    ]
    assert expected == problems
    assert (None, "other") == (store.get("a").rating, store.get("there").answer)


def test_importing_again_changes_nothing(imported: Import, store: FeedbackStore) -> None:
    """A second import finds everything unchanged."""
    data = lines(*(row(str(i)) for i in range(2500)))
    assert ((2500, 0, 0, 0), []) == imported(data)
    assert ((0, 2500, 0, 0), []) == imported(data)


def test_what_the_store_refuses_does_not_harm_the_rest(
    imported: Import, store: FeedbackStore
) -> None:
    """An entry that is too large is refused alone, with its line."""
    huge = row("huge", question="q" * 1_100_000)
    data = lines(*(row(str(i)) for i in range(40)), huge, *(row(str(i)) for i in range(40, 60)))
    counts, problems = imported(data)
    assert (60, 0, 0, 1) == counts
    assert problems[0].startswith("Error: rows.jsonl:41: refused: the entry takes 11")


def test_a_line_without_end_is_skipped(imported: Import, monkeypatch: pytest.MonkeyPatch) -> None:
    """A line that is too long to look at is refused, and lines keep their numbers."""
    monkeypatch.setattr(source, "MAX_LINE_BYTES", 200)
    counts, problems = imported(lines(row("a"), "x" * 950, row("b"), "{", "y" * 200))
    assert (2, 0, 0, 3) == counts
    assert ["rows.jsonl:2:", "rows.jsonl:4:", "rows.jsonl:5:"] == [p.split()[1] for p in problems]
    assert [True, False, True] == ["longer than 200 bytes" in p for p in problems]


def test_standard_input_is_read(invoke: Invoke, store: FeedbackStore) -> None:
    """With -, rows come from standard input, and problems name it."""
    result = invoke("import", "-", stdin=lines(row("a"), "{"))
    assert "1 added, 0 unchanged, 0 conflicting, 1 refused\n" == result.stdout
    assert result.stderr.startswith("Error: standard input:2: refused: ")


@pytest.mark.parametrize("path", ["nothing.jsonl", "."])
def test_a_source_that_is_no_file_is_wrong_use(invoke: Invoke, path: str) -> None:
    """A missing file and a folder are wrong use."""
    assert 2 == invoke("import", path).exit_code


@pytest.mark.parametrize(
    ("name", "zone", "expected"),
    [
        ("feedback_2025-02.jsonl", (), datetime(2025, 2, 1, tzinfo=UTC)),
        ("feedback_20250217.jsonl", ("--naive-tz", "+01:00"), datetime(2025, 2, 17, tzinfo=UTC)),
        ("feedback_2025-02.jsonl.gz", (), datetime(2025, 2, 1, tzinfo=UTC)),
    ],
)
def test_a_row_without_a_time_gets_that_of_its_file(
    imported: Import, store: FeedbackStore, name: str, zone: tuple[str, ...], expected: datetime
) -> None:
    """Where neither a row nor its metadata tells a time, the date in the file's name does."""
    told = {"metadata": {"timestamp": TIME}}
    data = lines(*({**row(k), **more} for k, more in (("a", {"timestamp": None}), ("b", told))))
    data = data.replace(b', "timestamp": "2025-02-17T10:00:00Z", "metadata"', b', "metadata"')
    compress = gzip.compress if name.endswith(".gz") else bytes
    assert ((2, 0, 0, 0), []) == imported(compress(data), *zone, name=name)
    assert [expected, datetime.fromisoformat(TIME)] == [
        store.get(key).timestamp for key in ("a", "b")
    ]


def test_a_row_without_any_time_is_refused(imported: Import) -> None:
    """Where the file's name tells no date either, the row is refused."""
    counts, problems = imported(lines(row("a", timestamp=None)))
    assert ((0, 0, 0, 1), True) == (counts, "timestamp is missing" in problems[0])


@pytest.mark.parametrize(
    "name", ["rows.jsonl", "feedback_2025-13.jsonl", "feedback_20250230.jsonl", "feedback_1.jsonl"]
)
def test_a_name_without_a_date_tells_none(name: str) -> None:
    """Only a real month or day in the name counts."""
    assert None is date_of(name)


def test_naive_times_are_read_by_the_zone(imported: Import, store: FeedbackStore) -> None:
    """Times without a zone are in that of --naive-tz, UTC unless given."""
    imported(lines(row("a", timestamp="2025-02-17T11:00:00")), "--naive-tz", "Europe/Berlin")
    imported(lines(row("b", timestamp="2025-02-17T10:00:00")))
    times = [store.get(key).timestamp.isoformat() for key in ("a", "b")]
    assert ["2025-02-17T10:00:00+00:00"] * 2 == times


def test_batches_are_bounded_in_size(invoke: Invoke, tmp_path: Path, store: FeedbackStore) -> None:
    """Large rows are stored in small batches."""
    sizes: list[int] = []
    append = store.store.append

    def measure(entries: Sequence[FeedbackEntry]) -> Sequence[Outcome]:
        sizes.append(sum(len(encode(entry)) for entry in entries))
        return append(entries)

    store.store.append = measure  # type: ignore[method-assign]  # looked at from outside
    (tmp_path / "rows").write_bytes(lines(*(row(str(i), answer="a" * 900_000) for i in range(30))))
    assert 0 == invoke("import", tmp_path / "rows").exit_code
    assert (30, True) == (store.count(), max(sizes) < importing._BATCH_BYTES + 1_000_000)


def test_lines_take_constant_memory(tmp_path: Path) -> None:
    """Rows are made one by one: reading a large file needs a small part of its size."""
    path = tmp_path / "rows.jsonl"
    with path.open("wb") as file:
        file.writelines(lines(row(str(i), answer="a" * 2000)) for i in range(10_000))

    def consume(rows: Iterator[object]) -> int:
        return sum(1 for _ in rows)

    tracemalloc.start()
    try:
        assert 10_000 == consume(Source(str(path), UTC).rows())
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < path.stat().st_size / 10
