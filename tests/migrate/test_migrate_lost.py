"""What the older service's own migration lost, each as a test that it does not come back."""

from collections.abc import Sequence
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

from older import TORN, a_month_row, a_row, by_id, lines_of, write_lines

from feedback_store import FeedbackEntry, Outcome
from feedback_store.backends.jsonl import JsonlStore
from feedback_store.backends.memory import MemoryStore
from feedback_store.migrate import Move, apply, plan


def test_a_second_run_doubled_everything(tmp_path: Path) -> None:
    """Here it finds all of it there, whether or not the files have moved."""
    old = tmp_path / "old"
    write_lines(old / "feedback_20250217.jsonl", a_row("a"), a_row("b"))
    with closing(JsonlStore(tmp_path / "new")) as store:
        for number, move in enumerate([Move.NONE, Move.NONE, Move.CLEAN, Move.CLEAN]):
            report = apply(plan(old), store, move=move)
            assert (2 if number == 0 else 0) == report.added
            assert ["a", "b"] == sorted(lines_of(store))
        text = b"".join(path.read_bytes() for path in (tmp_path / "new").glob("*.jsonl"))
        assert 2 == text.count(b"\n")


def test_what_stood_after_a_bad_line_was_dropped(tmp_path: Path) -> None:
    """Here each bad line is refused by itself."""
    lines = [TORN + b"\n", a_row("a"), b"[]\n", b"\n", a_row("b"), b"nonsense\n", a_row("c"), TORN]
    write_lines(tmp_path / "feedback_20250217.jsonl", *lines)
    store = MemoryStore()
    report = apply(plan(tmp_path), store)
    assert ["a", "b", "c"] == sorted(by_id(store))
    assert [1, 3, 6, 8] == [int(p.where.rpartition(":")[2]) for p in report.refused]


def test_unreadable_times_became_january_2025(tmp_path: Path) -> None:
    """Here the row is refused; one without any time gets its file's date, and that is counted."""
    timeless = a_row("b", metadata={})
    write_lines(tmp_path / "feedback_20250217.jsonl", a_row("a", timestamp="17 Feb"), timeless)
    store = MemoryStore()
    report = apply(plan(tmp_path), store)
    assert {"b": datetime(2025, 2, 17, tzinfo=UTC)} == {
        id: entry.timestamp for id, entry in by_id(store).items()
    }
    assert ["feedback_20250217.jsonl:1"] == [problem.where for problem in report.refused]
    assert {"time_of_name": 1} == dict(report.assumed)
    assert {"2025-02": 1} == report.months


def test_entries_were_counted_that_had_not_been_written(tmp_path: Path) -> None:
    """Here what is counted was read back from the store."""

    class Full(MemoryStore):
        def append(self, entries: Sequence[FeedbackEntry]) -> Sequence[Outcome]:
            super().append(entries[:1])
            return [Outcome.ADDED] * len(entries)

    write_lines(tmp_path / "feedback_20250217.jsonl", *(a_row(f"a-{n}") for n in range(5)))
    report = apply(plan(tmp_path), Full())
    assert (5, 1, 4) == (report.added, report.verified, len(report.unverified))
    assert not report.complete
    assert (tmp_path / "feedback_20250217.jsonl").exists()


def test_the_month_came_from_the_clock_and_not_from_the_entry(tmp_path: Path) -> None:
    """Here an entry goes to the UTC month of its own time, whatever its file is called."""
    old = tmp_path / "old"
    late = a_row("a", timestamp="2025-02-28T23:30:00-01:00")
    early = a_month_row("b", timestamp="2025-03-01T00:30:00+01:00")
    write_lines(old / "feedback_2025-01.jsonl", late, early)
    with closing(JsonlStore(tmp_path / "new")) as store:
        assert {"2025-02": 1, "2025-03": 1} == apply(plan(old), store).months
        assert {"feedback_2025-02.jsonl", "feedback_2025-03.jsonl"} == {
            path.name for path in (tmp_path / "new").glob("*.jsonl")
        }


def test_times_were_compared_as_text(tmp_path: Path) -> None:
    """Here naive and aware times are put in the order of their instants."""
    rows = [
        a_row("third", timestamp="2025-02-17T12:00:00"),
        a_row("first", timestamp="2025-02-17T12:30:00+02:00"),
        a_row("second", timestamp="2025-02-17T11:59:59Z"),
    ]
    write_lines(tmp_path / "feedback.jsonl", *rows)
    store = MemoryStore()
    apply(plan(tmp_path), store)
    assert ["first", "second", "third"] == [
        entry.id for entry in sorted(by_id(store).values(), key=lambda entry: entry.timestamp)
    ]
