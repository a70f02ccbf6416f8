"""Every older layout is recognised by what is in it, and read row by row, whatever is damaged."""

import gzip
import json
import os
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from older import NOON, SECRET, TORN, a_row, by_id, data_of, line, write_database, write_lines

from feedback_store import MissingExtraError, StoreUnavailableError, compressing, decode, encode
from feedback_store.backends.memory import MemoryStore
from feedback_store.backends.sqlite import SqliteStore
from feedback_store.mapping import Mapped, VotesMapping
from feedback_store.migrate import Kind, Move, Plan, Report, Row, Rules, Source, apply, plan, rows

A, B = a_row("a"), a_row("b", 18, rating=0)
CSV = (
    "message_id,question,answer,rating,timestamp,sources,metadata.response_time,issues\n"
    'a,"what, a ""person""\nwrote",A,1,2025-02-17T12:00:00Z,"[{""title"":""t""}]",1.5,\n'
    "\n"
    "b,q,A,0,2025-02-18T12:00:00Z,,,wrong\n"
)
TABLE = (
    "CREATE TABLE feedback (id INTEGER PRIMARY KEY, message_id TEXT, question TEXT, answer TEXT,"
    " rating INTEGER, timestamp TEXT, sources TEXT);"
    "CREATE TABLE other (x);"
    "INSERT INTO feedback VALUES (?, ?, ?, ?, ?, ?, ?)"
)
TABLE_ROWS = [
    (1, "a", "q", "A", 1, "2025-02-17 12:00:00", '[{"title": "t"}]'),
    (2, "b", "q", "A", 0, "2025-02-18 12:00:00", None),
]
VOTE = {
    "vote_id": 1, "user_query": "q", "bot_response": "A", "evaluation_json": None,
    "feedback_tags": ["Incorrect"], "comment": "no", "citations": [],
    "timestamp": "2025-06-17T17:00:00+00:00",
}  # fmt: skip


def text(value: object) -> bytes:
    """Return a value as JSON, over many lines."""
    return json.dumps(value, indent=2).encode()


RATINGS = {"a": A, "b": B}
FILES: dict[str, tuple[str, bytes, Kind]] = {
    "day": ("feedback_20250217.jsonl", line(A) + line(B), Kind.DAY_FILE),
    "day, gzip": ("feedback_20250217.jsonl.gz", gzip.compress(line(A) + line(B)), Kind.DAY_FILE),
    "day, two members": (
        "feedback_20250217.jsonl.gz", gzip.compress(line(A)) + gzip.compress(line(B)),
        Kind.DAY_FILE,
    ),
    "single": ("feedback.jsonl", line(A) + line(B), Kind.SINGLE_FILE),
    "month": ("feedback_2025-02.jsonl", line(A) + line(B), Kind.MONTH_FILE),
    "lines of another name": ("export.ndjson", line(A) + line(B), Kind.JSON_LINES),
    "lines called JSON": ("export.json", line(A) + line(B), Kind.JSON_LINES),
    "array": ("fallback.json", text([A, B]), Kind.JSON_ARRAY),
    "array on one line": ("fallback.json", line([A, B]), Kind.JSON_ARRAY),
    "array, BOM, gzip": (
        "fallback.json.gz", gzip.compress(b"\xef\xbb\xbf" + text([A, B])), Kind.JSON_ARRAY,
    ),
    "array called lines": ("fallback.jsonl", text([A, B]), Kind.JSON_ARRAY),
    "browser": ("backup.json", text(RATINGS), Kind.BROWSER),
    "browser on one line": ("backup.json", line(RATINGS), Kind.BROWSER),
    "browser, by its key": ("b.json", line({"messageRatings": RATINGS, "x": "1"}), Kind.BROWSER),
    "browser, as text": (
        "b.json", text({"messageRatings": json.dumps(RATINGS), "theme": "dark"}), Kind.BROWSER,
    ),
    "browser, values as text": (
        "b.json", line({"messageRatings": {k: json.dumps(v) for k, v in RATINGS.items()}}),
        Kind.BROWSER,
    ),
    "CSV": ("feedback.csv", CSV.encode(), Kind.CSV),
    "CSV, BOM, CRLF": (
        "feedback.csv", b"\xef\xbb\xbf" + CSV.replace("\n", "\r\n").encode(), Kind.CSV,
    ),
    "CSV, semicolons, gzip": (
        "f.csv.gz",
        gzip.compress(b"id;question;answer\na;q;A\nb;q;A\n"),
        Kind.CSV,
    ),
}  # fmt: skip


def names_in(folder: Path) -> set[str]:
    """Return the names of what is in a folder."""
    return {path.name for path in folder.iterdir()}


def planned(path: Path, **rules: Any) -> Plan:  # noqa: ANN401  # any rule
    """Plan, and see that nothing changed on the disk by that."""
    folder = path if path.is_dir() else path.parent
    before = (data_of(folder), stamps(folder))
    made = plan(path, rules=Rules(**rules))
    assert before == (data_of(folder), stamps(folder))
    return made


def stamps(folder: Path) -> dict[str, int]:
    """Return when everything in a folder, and the folder itself, was changed."""
    return {str(path): path.stat().st_mtime_ns for path in [folder, *folder.rglob("*")]}


def migrated(made: Plan, move: Move = Move.NONE) -> tuple[MemoryStore, Report]:
    """Apply a plan to a store in memory."""
    store = MemoryStore()
    return store, apply(made, store, move=move)


@pytest.mark.parametrize(("name", "data", "kind"), FILES.values(), ids=FILES)
def test_every_layout_is_recognised(name: str, data: bytes, kind: Kind, tmp_path: Path) -> None:
    """Its kind is told, both rows become entries, and a dry run leaves no trace."""
    (tmp_path / name).write_bytes(data)
    made = planned(tmp_path)
    assert [kind] == [file.kind for file in made.report.files]
    assert (2, 2, ()) == (made.report.rows, made.report.entries, made.report.refused)
    store, report = migrated(made)
    assert report.complete
    assert ["a", "b"] == sorted(by_id(store))
    assert "A" in by_id(store)["b"].answer


def test_zstandard_is_read(tmp_path: Path) -> None:
    """Files in Zstandard are read, where the extra is installed."""
    zstd = pytest.importorskip("backports.zstd")
    (tmp_path / "feedback_20250217.jsonl.zst").write_bytes(zstd.compress(line(A) + line(B)))
    assert 2 == planned(tmp_path).report.entries


def test_a_missing_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without it, the migration does not go on as if the file was not there."""
    (tmp_path / "feedback_20250217.jsonl.zst").write_bytes(b"x")

    def fail(name: str) -> Any:  # noqa: ANN401  # it never returns
        raise MissingExtraError(name)

    monkeypatch.setattr(compressing, "unpacker_for", fail)
    with pytest.raises(MissingExtraError):
        plan(tmp_path)


def test_a_browsers_entries_get_their_key_as_id(tmp_path: Path) -> None:
    """An entry that does not repeat its message id has that of its key, and that is told."""
    row = a_row("x")
    del row["message_id"]
    (tmp_path / "b.json").write_bytes(line({"messageRatings": {"key": row, "bad": 1}}))
    store, report = migrated(planned(tmp_path))
    assert ["key"] == list(by_id(store))
    assert {"row_id": 1, "metadata_time": 1} == dict(report.assumed)
    assert ["b.json: item 2"] == [problem.where for problem in report.refused]


def test_a_snapshot_of_votes_is_recognised_by_its_columns(tmp_path: Path) -> None:
    """Rows of the second system become entries as those of its table do."""
    (tmp_path / "votes.json").write_bytes(line([VOTE, {**VOTE, "vote_id": 2}]))
    store, report = migrated(planned(tmp_path))
    assert ["votes-1", "votes-2"] == list(by_id(store))
    assert {"row_id": 2, "other_tags": 2} == dict(report.assumed)


# ------------------------------------------------------------------------------- databases


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """Return a database with a table of two rows, and another table."""
    return write_database(tmp_path / "feedback.db", TABLE, *TABLE_ROWS)


def test_a_database_is_recognised(database: Path) -> None:
    """The table is found by its columns, the other ones are named, and no file appears."""
    made = planned(database.parent)
    (file,) = made.report.files
    assert (Kind.SQLITE, 2, {"naive_time": 2}) == (file.kind, file.entries, dict(file.assumed))
    assert ("other tables are not read: other",) == file.notes
    store, report = migrated(made)
    assert report.complete
    entry = by_id(store)["a"]
    assert (NOON, ({"title": "t"},), {"row_id": 1}) == (entry.timestamp, entry.sources, entry.extra)


def test_changes_that_wait_in_the_log_are_read(database: Path, tmp_path: Path) -> None:
    """A database in WAL mode, copied while it was open, is read with its log, without a trace."""
    folder = tmp_path / "copied"
    folder.mkdir()
    import sqlite3  # noqa: PLC0415  # only here

    connection = sqlite3.connect(database)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("INSERT INTO feedback VALUES (3, 'c', 'q', 'A', 1, '2025-02-19', NULL)")
    connection.commit()
    for name in ("feedback.db", "feedback.db-wal"):
        (folder / name).write_bytes((tmp_path / name).read_bytes())
    connection.close()
    made = planned(folder)
    assert 3 == made.report.entries
    store, report = migrated(made, Move.CLEAN)
    assert ["a", "b", "c"] == sorted(by_id(store))
    assert () == report.passed_over
    moved = folder / "legacy_backup"
    assert {"feedback.db", "feedback.db-wal", "migration.json"} == names_in(moved)
    assert {"legacy_backup"} == names_in(folder)


def test_which_table_is_asked_where_it_is_not_clear(tmp_path: Path) -> None:
    """Of two tables that look like feedback none is guessed; `table` tells which."""
    script = "CREATE TABLE a (id, question, answer); CREATE TABLE b (id, question, answer);"
    write_database(tmp_path / "x.db", f"{script} INSERT INTO b VALUES (?, ?, ?)", ("1", "q", "a"))
    made = planned(tmp_path)
    assert 1 == len(made.report.refused)
    assert "several tables look like feedback: a, b" in made.report.refused[0].reason
    assert 1 == planned(tmp_path, table="b").report.entries
    assert [("x.db", "it has no table c")] == list(planned(tmp_path, table="c").report.passed_over)


def test_rows_without_an_id_get_that_of_their_table(tmp_path: Path) -> None:
    """Of the primary key, of several columns too, or of the number that SQLite gives each row."""
    for name, key in {"one": "n INTEGER PRIMARY KEY,", "two": "n, m,", "none": "n,"}.items():
        end = ", PRIMARY KEY (n, m)" if name == "two" else ""
        script = f"CREATE TABLE votes ({key} question TEXT, answer TEXT{end});"
        marks = "5, 6, 'q', 'a'" if name == "two" else "5, 'q', 'a'"
        path = tmp_path / f"{name}.db"
        write_database(path, f"{script} INSERT INTO votes VALUES ({marks})", ())
        store, report = migrated(planned(path))
        expected = {"one": "votes-5", "two": "votes-5-6", "none": "votes-1"}[name]
        assert [expected] == list(by_id(store))
        assert 1 == report.assumed["row_id"]


def test_what_is_no_text_harms_its_row_only(tmp_path: Path) -> None:
    """A text that is no UTF-8 is refused; the rows beside it are not."""
    script = "CREATE TABLE t (id, question, answer); INSERT INTO t VALUES (?, CAST(? AS TEXT), ?)"
    write_database(tmp_path / "x.db", script, ("a", b"\xff", "A"), ("b", b"fine", "A"))
    store, report = migrated(planned(tmp_path))
    assert (["b"], 1) == (list(by_id(store)), len(report.refused))


def test_a_damaged_database_is_told(tmp_path: Path) -> None:
    """It counts as one row that was refused, and stays where it is."""
    (tmp_path / "feedback.db").write_bytes(b"SQLite format 3\x00" + b"x" * 5000)
    _, report = migrated(planned(tmp_path))
    assert (1, False, {"feedback.db"}) == (report.rows, report.complete, names_in(tmp_path))
    assert "cannot be read" in report.refused[0].reason


def test_a_store_of_ours_is_no_source(tmp_path: Path) -> None:
    """A database of this library is left to `copy`, and the target's own file is the target."""
    stores = [SqliteStore(tmp_path / name) for name in ("new.db", "old.db")]
    for store in stores:
        store.append([decode(line(A))])
    write_lines(tmp_path / "feedback.jsonl", A)
    report = plan(tmp_path, target=stores[0]).report
    for store in stores:
        store.close()
    assert ["feedback.jsonl"] == [file.name for file in report.files]
    passed = dict(report.passed_over)
    assert {"new.db", "old.db"} == passed.keys()
    assert "it is the target" == passed["new.db"]
    assert "`copy`" in passed["old.db"]


# ---------------------------------------------------------------------------------- damage


DAMAGED: dict[str, bytes] = {
    "torn": TORN + b"\n",
    "an array": b"[1, 2]\n",
    "a number": b"1\n",
    "null": b"null\n",
    "NaN": b'{"message_id": "n", "question": "", "answer": "", "rating": NaN}\n',
    "no UTF-8": b'{"message_id": "n", "question": "\xff", "answer": ""}\n',
    "a lone surrogate": b'{"message_id": "n", "question": "\\ud800", "answer": ""}\n',
    "NULs": b"\x00" * 300 + b"\n",
    "no id": b'{"question": "", "answer": ""}\n',
    "no question": b'{"message_id": "n", "answer": ""}\n',
    "deep": b'{"message_id": "n", "question": "", "answer": "", "x": ' + b"[" * 5000 + b"\n",
    "a bad time": b'{"message_id": "n", "question": "", "answer": "", "timestamp": "soon"}\n',
    "a bad rating": b'{"message_id": "n", "question": "", "answer": "", "rating": 5}\n',
    "half": line(A)[100:],
}


@pytest.mark.parametrize("place", [0, 1, 2], ids=["first", "middle", "last"])
@pytest.mark.parametrize("damage", DAMAGED.values(), ids=DAMAGED)
def test_a_damaged_line_harms_nobody_else(damage: bytes, place: int, tmp_path: Path) -> None:
    """Wherever it stands, it is told by file and line, and quoted nowhere."""
    lines = [line(A), line(B)]
    lines.insert(place, damage)
    write_lines(tmp_path / "feedback_20250217.jsonl", *lines)
    store, report = migrated(planned(tmp_path))
    assert ["a", "b"] == sorted(by_id(store))
    assert [f"feedback_20250217.jsonl:{place + 1}"] == [p.where for p in report.refused]
    assert (3, True, False) == (report.rows, report.is_verified, report.complete)
    assert SECRET not in json.dumps(report.as_json())


def test_bytes_around_a_line_do_not_count(tmp_path: Path) -> None:
    """A byte order mark, CRLF, blank lines, and no newline at the end are no damage."""
    data = b"\xef\xbb\xbf" + line(A).replace(b"\n", b"\r\n") + b"\r\n  \n" + line(B).rstrip()
    write_lines(tmp_path / "feedback.jsonl", data)
    report = planned(tmp_path).report
    assert (2, 2) == (report.rows, report.entries)


def test_of_keys_that_come_twice_the_last_counts(tmp_path: Path) -> None:
    """As in every reader of JSON here."""
    twice = b'{"message_id": "x", "message_id": "a", "question": "q", "answer": "A"}\n'
    write_lines(tmp_path / "feedback.jsonl", twice)
    assert ["a"] == list(by_id(migrated(planned(tmp_path))[0]))


def test_large_lines_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """10 MB are a row; one that is longer than may be is refused, and its end is no row."""
    large = a_row("large", answer="x" * 10_000_000)
    write_lines(tmp_path / "feedback.jsonl", A, large, B)
    store = MemoryStore()
    report = apply(plan(tmp_path), store)
    assert ["feedback.jsonl:2"] == [problem.where for problem in report.refused]
    assert "bytes" in report.refused[0].reason
    assert ["a", "b"] == sorted(by_id(store))
    assert 3 == apply(plan(tmp_path), MemoryStore(max_entry_bytes=1 << 24)).added
    monkeypatch.setattr(rows, "MAX_LINE_BYTES", 5_000)
    write_lines(tmp_path / "feedback.jsonl", A, large, B)
    assert (3, 2) == (plan(tmp_path).report.rows, plan(tmp_path).report.entries)


@pytest.mark.parametrize(("share", "least"), [(0.001, 0), (0.5, 100), (0.9, 200)])
def test_a_torn_archive_is_read_as_far_as_it_goes(share: float, least: int, tmp_path: Path) -> None:
    """What came before the tear is taken, and the tear is told."""
    noise = [a_row(os.urandom(2000).hex(), question="q") for _ in range(300)]
    packed = gzip.compress(b"".join(map(line, noise)))
    (tmp_path / "feedback.jsonl.gz").write_bytes(packed[: int(len(packed) * share)])
    report = planned(tmp_path).report
    assert "cannot be read" in report.refused[-1].reason
    assert least <= report.entries < 300


@pytest.mark.parametrize("data", [text([A, B])[:-20], line([A, B])[:-20]], ids=["many", "one"])
def test_a_torn_array_is_told(data: bytes, tmp_path: Path) -> None:
    """It is no file that holds nothing: it counts as a row that is refused, and stays."""
    (tmp_path / "fallback.json").write_bytes(data)
    _, report = migrated(planned(tmp_path), Move.ALL)
    assert (1, 1, ()) == (report.rows, len(report.refused), report.passed_over)
    assert "not JSON" in report.refused[0].reason
    assert {"fallback.json"} == names_in(tmp_path)


@pytest.mark.parametrize("first", [TORN, b"[1"], ids=["an object", "an array"])
def test_a_damaged_first_line_does_not_hide_lines(first: bytes, tmp_path: Path) -> None:
    """Whatever the file is called, the lines after it are read."""
    for name in ("feedback.jsonl", "export.json"):
        write_lines(tmp_path / name, first + b"\n", A, B)
        report = planned(tmp_path / name).report
        assert (3, 2, 1) == (report.rows, report.entries, len(report.refused))


CSV_DAMAGE = {
    "too few": "x,q\n",
    "too many": "x,q,A,1\n",
    "a quote that is not closed": 'x,"q,A\n',
    "a quote in the middle": 'x,"q" ,A\n',
    "no UTF-8": "x,\udcff,A\n",
    "no id": ",q,A\n",
}


@pytest.mark.parametrize("damage", CSV_DAMAGE.values(), ids=CSV_DAMAGE)
def test_a_damaged_row_of_csv_harms_nobody_else(damage: str, tmp_path: Path) -> None:
    """A quote that is never closed would take all rows after it along."""
    content = f'message_id,question,answer\na,q,A\n{damage}b,q,A\nc,"q\nq",A\n'
    (tmp_path / "x.csv").write_bytes(content.encode(errors="surrogateescape"))
    store, report = migrated(planned(tmp_path))
    assert ["a", "b", "c"] == sorted(by_id(store))
    assert ["x.csv:3"] == [problem.where for problem in report.refused]


def test_large_cells_are_read(tmp_path: Path) -> None:
    """The limit of Python's reader, 128 KiB, is not one of a migration."""
    (tmp_path / "x.csv").write_text(f"id,question,answer\na,q,{'x' * 300_000}\n")
    assert 1 == planned(tmp_path).report.entries


# ---------------------------------------------------------------------- what is no source


def test_what_is_no_feedback_is_passed_over_by_name(tmp_path: Path) -> None:
    """Nothing in the folder is left out in silence, and none of it is a row."""
    for name, data in {
        "package.json": b'{"name": "x"}',
        "list.json": b"[1, 2]",
        "people.csv": b"name,age\nx,1\n",
        "notes.txt": b"hello",
        "empty.db": b"",
        "feedback_2025-02.jsonl.tmp": line(A),
    }.items():
        (tmp_path / name).write_bytes(data)
    (tmp_path / "more").mkdir()
    (tmp_path / ".hidden").write_bytes(line(A))
    report = planned(tmp_path).report
    assert () == report.files
    assert names_in(tmp_path) - {".hidden"} == {item.name for item in report.passed_over}
    assert all(item.reason for item in report.passed_over)


@pytest.mark.parametrize("name", ["notes.txt", "nowhere", "x.json"])
def test_a_file_that_is_no_source_is_an_error(name: str, tmp_path: Path) -> None:
    """Asked for by its name, it is refused with the reason."""
    (tmp_path / "notes.txt").write_bytes(b"hello")
    (tmp_path / "x.json").write_bytes(b'{"name": "x"}')
    with pytest.raises(StoreUnavailableError, match=name):
        plan(tmp_path / name)


# ------------------------------------------------------------------------ order and times


def test_files_are_read_in_the_order_of_the_layouts(tmp_path: Path) -> None:
    """Browser, single file, days and months by date (a month after its days), then the others."""
    names = [
        "browser.json", "feedback.jsonl", "feedback_20250131.jsonl", "feedback_2025-01.jsonl",
        "feedback_20250217.jsonl", "feedback_20250218.jsonl.gz", "feedback_2025-02.jsonl.gz",
        "feedback_2025-02.jsonl", "export.jsonl", "array.json", "a.csv", "feedback.db",
    ]  # fmt: skip
    for number, name in enumerate(names):
        row = a_row("a", answer=f"from {number}")
        if name.endswith(".db"):
            values = (1, "a", "q", f"from {number}", 1, "2025-02-17", None)
            write_database(tmp_path / name, TABLE, values)
        elif name.endswith(".csv"):
            (tmp_path / name).write_text(f"id,question,answer\na,q,from {number}\n")
        elif name.endswith(".json"):
            value = {"a": row} if name == "browser.json" else [row]
            (tmp_path / name).write_bytes(line(value))
        else:
            write_lines(tmp_path / name, row)
    made = planned(tmp_path)
    assert names == [file.name for file in made.report.files]
    store, report = migrated(made)
    assert (1, len(names) - 1) == (report.added, report.superseded)
    assert f"from {len(names) - 1}" == by_id(store)["a"].answer


@pytest.mark.parametrize(
    ("name", "expected", "assumed"),
    [
        ("feedback_20250217.jsonl", datetime(2025, 2, 17, tzinfo=UTC), "time_of_name"),
        ("feedback_2025-02.jsonl", datetime(2025, 2, 1, tzinfo=UTC), "time_of_name"),
        ("dump-2025-03-04.json", datetime(2025, 3, 4, tzinfo=UTC), "time_of_name"),
        ("feedback.jsonl", datetime(2024, 5, 6, 7, 8, 9, 10, tzinfo=UTC), "time_of_file"),
        ("feedback_20251399.jsonl", datetime(2024, 5, 6, 7, 8, 9, 10, tzinfo=UTC), "time_of_file"),
    ],
)
def test_a_row_without_a_time_gets_that_of_its_file(
    name: str, expected: datetime, assumed: str, tmp_path: Path
) -> None:
    """The date in the name, else the last change; the same in each run, and counted."""
    row = a_row("a", metadata={})
    path = write_lines(tmp_path / name, row)
    changed_ns = 1_714_979_289_000_010_000
    os.utime(path, ns=(time.time_ns(), changed_ns))
    for _ in range(2):
        store, report = migrated(planned(path))
        assert expected == by_id(store)["a"].timestamp
        assert {assumed: 1} == dict(report.assumed)


# --------------------------------------------------------------------- rows of one's own


def rows_of(*values: dict[str, Any]) -> Callable[[], Any]:
    """Return what yields rows, as a table does."""
    return lambda: (Row(f"t: {n}", n, v, fallback_id=f"t-{n}") for n, v in enumerate(values, 1))


def test_anything_that_yields_rows_is_a_source() -> None:
    """A caller's own source, and a caller's own mapping."""
    told = Source(name="mine", kind=Kind.OTHER, read=rows_of(VOTE, A), fallback_time=NOON)
    store = MemoryStore()
    report = apply(plan(told), store)
    assert (2, True) == (report.added, report.complete)
    assert {"t-1", "a"} == set(by_id(store))

    def mapping(row: Any, /, *, fallback_time: datetime, fallback_id: str | None = None) -> Mapped:  # noqa: ANN401  # any row
        made = VotesMapping()(row, fallback_time=fallback_time, fallback_id=fallback_id)
        return made._replace(assumed=())

    only = Source(name="mine", kind=Kind.TABLE, read=rows_of(VOTE), fallback_time=NOON)
    report = plan(only, rules=Rules(mapping=mapping)).report
    assert ({}, 1) == (dict(report.assumed), report.entries)


def test_the_time_of_a_migration_may_differ_the_next_time() -> None:
    """A row of a table without a time is the same entry tomorrow, and counts as there."""
    row = {**VOTE, "timestamp": None}
    store = MemoryStore()
    for day in (1, 2):
        when = datetime(2025, 7, day, tzinfo=UTC)
        told = Source(name="t", kind=Kind.TABLE, read=rows_of(row), fallback_time=when)
        report = apply(plan(told), store)
        assert {"time_of_migration": 1} == {
            k: n for k, n in report.assumed.items() if "time" in k
        }  # fmt: skip
        assert (day == 1, day == 2, True) == (report.added, report.unchanged, report.complete)
    assert 1 == by_id(store)["t-1"].timestamp.day
    assert b"2025-07-01" in encode(by_id(store)["t-1"])
