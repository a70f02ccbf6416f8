"""For any mix of rows the accounts add up, and the store holds the last good row of each id."""

import tempfile
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from older import TORN, a_row, by_id, data_of, line, write_lines

from feedback_store.backends.memory import MemoryStore
from feedback_store.migrate import Move, apply, plan

NAMES = (
    "feedback.jsonl", "feedback_20250101.jsonl", "feedback_20250130.jsonl",
    "feedback_2025-01.jsonl", "feedback_20250201.jsonl.gz", "feedback_2025-03.jsonl",
)  # fmt: skip
"""In the order in which they are read."""

BAD_LINES = (TORN + b"\n", b"[]\n", b"7\n", b'{"question": "", "answer": ""}\n', b"\x00\n")
ids = st.sampled_from("abcde")
times = st.sampled_from(["2025-01-05T00:00:00Z", "2025-02-05T01:00:00", "2025-03-05", None])
good = st.tuples(ids, times, st.integers(0, 3))
lines = st.one_of(good, st.sampled_from(BAD_LINES), st.just(b" \n"))
files = st.dictionaries(st.sampled_from(NAMES), st.lists(lines, max_size=6))


def row_of(id: str, time: str | None, answer: int) -> dict[str, Any]:
    """Return a row, perhaps without any time."""
    row = a_row(id, answer=str(answer), metadata={})
    return row if time is None else {**row, "timestamp": time}


@given(
    mix=files,
    there=st.dictionaries(ids, st.integers(0, 3), max_size=2),
    move=st.sampled_from(Move),
    batch_size=st.integers(1, 4),
)
def test_accounts_add_up(
    mix: dict[str, list[Any]], there: dict[str, int], move: Move, batch_size: int
) -> None:
    """Rows are what was added, unchanged, in conflict, superseded or refused, file by file.

    A second run finds what the first one left, and no file is ever lost.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        last: dict[str, int] = {}
        rows = bad = 0
        for file in (file for file in NAMES if file in mix):
            taken = [line(row_of(*item)) if isinstance(item, tuple) else item for item in mix[file]]
            write_lines(folder / file, *taken)
            last |= {item[0]: item[2] for item in mix[file] if isinstance(item, tuple)}
            rows += sum(1 for item in mix[file] if item != b" \n")
            bad += sum(1 for item in mix[file] if item in BAD_LINES)
        before = data_of(folder)
        store = MemoryStore()
        for id, answer in there.items():
            write_lines(
                folder / "sub" / "feedback.jsonl", row_of(id, "2020-01-01T00:00:00Z", answer)
            )
            apply(plan(folder / "sub" / "feedback.jsonl"), store)
        stood = by_id(store)
        report = apply(plan(folder), store, move=move, batch_size=batch_size)
        assert (rows, bad) == (report.rows, len(report.refused))
        assert all(file.accounted == file.rows for file in report.files)
        assert report.is_verified
        conflicts = {conflict.id for conflict in report.conflicts}
        assert conflicts <= there.keys()
        found = by_id(store)
        assert last.keys() | there.keys() == found.keys()
        for id, answer in last.items():
            assert found[id] == stood[id] if id in conflicts else str(answer) == found[id].answer
        kept = data_of(folder / "legacy_backup") if (folder / "legacy_backup").exists() else {}
        moved = {n: d for n, d in kept.items() if not n.startswith("migration.json")}
        assert before == data_of(folder) | moved
        assert not (data_of(folder).keys() & moved.keys())
        again = apply(plan(folder), store, move=move)
        assert (0, True) == (again.added, again.is_verified)
        assert {conflict.id for conflict in again.conflicts} <= conflicts
        assert found == by_id(store)
