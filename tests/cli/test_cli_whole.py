"""The commands on a store as a whole: stats, compact, check; and the version."""

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from click.testing import Result

from feedback_store import (
    Check,
    CheckReport,
    CompactReport,
    FeedbackEntry,
    FeedbackStore,
    Metadata,
    Status,
)

Invoke = Callable[..., Result]


@pytest.fixture
def entries(store: FeedbackStore) -> None:
    """Two rated entries of two months."""
    store.add_many(
        FeedbackEntry(
            message_id=str(month), question="q", answer="a", rating=month - 1,
            timestamp=datetime(2025, month, 1, tzinfo=UTC), sources=[{"type": "wiki"}],
            metadata=Metadata(issues=("x\x1b[1m",), response_time=month),
        )
        for month in (1, 2)
    )  # fmt: skip


def test_stats_as_json_has_every_number(invoke: Invoke, entries: None) -> None:
    """The JSON has the fields of `Stats`, and the numbers that follow from them."""
    expected = {
        "total": 2, "positive": 1, "negative": 1, "neutral": 0, "unrated": 0,
        "by_month": {"2025-01": 1, "2025-02": 1}, "by_issue": {"x\x1b[1m": 2},
        "by_source_type": {"wiki": {"total": 2, "positive": 1, "rated": 2, "helpful_rate": 0.5}},
        "response_time_total_us": 3_000_000, "response_time_count": 2,
        "first": "2025-01-01T00:00:00.000Z", "last": "2025-02-01T00:00:00.000Z",
        "rated": 2, "helpful_rate": 0.5, "mean_response_time": 1.5,
    }  # fmt: skip
    assert expected == json.loads(invoke("stats", "--json").stdout)


def test_stats_as_a_table_has_every_number(invoke: Invoke, entries: None) -> None:
    """The table tells what the JSON tells, with texts of users spelled out."""
    output = invoke("stats").stdout
    rows = [line.split() for line in output.splitlines()]
    for expected in ("total 2", "helpful 50.0%", "2025-01 1", "x\\x1b[1m 2", "wiki 2 1 50.0%"):
        assert expected.split() in rows
    assert "\x1b" not in output


def test_stats_of_nothing(invoke: Invoke) -> None:
    """An empty store has numbers too, and no shares."""
    shown = json.loads(invoke("stats", "--json").stdout)
    assert (0, None, None) == (shown["total"], shown["helpful_rate"], shown["first"])
    assert ["helpful", "-"] in [line.split() for line in invoke("stats").stdout.splitlines()]


def test_stats_can_be_asked_for_a_part(invoke: Invoke, entries: None) -> None:
    """The filters of `list` narrow the numbers."""
    assert 1 == json.loads(invoke("stats", "--json", "--since", "2025-02-01").stdout)["total"]


def test_compact_tells_what_it_did(invoke: Invoke, monkeypatch: pytest.MonkeyPatch) -> None:
    """The report of a compaction is a sentence, or JSON."""
    report = CompactReport(months=1, superseded=2, damaged=3, size_bytes_before=9)
    monkeypatch.setattr(FeedbackStore, "compact", lambda _: report)
    assert invoke("compact").stdout.startswith("1 months rewritten: 2 superseded lines dropped")
    expected = {
        "months": 1, "superseded": 2, "damaged": 3, "size_bytes_before": 9, "size_bytes_after": 0,
    }  # fmt: skip
    assert expected == json.loads(invoke("compact", "--json").stdout)


@pytest.mark.parametrize(
    ("status", "code"), [(Status.OK, 0), (Status.WARNING, 0), (Status.ERROR, 1)]
)
def test_check_tells_each_check(
    invoke: Invoke, monkeypatch: pytest.MonkeyPatch, status: Status, code: int
) -> None:
    """Each check is shown with status, sentence and hint; an error makes the exit code 1."""
    one = Check(name="damaged_lines", status=status, message="Found.", hint="Do this.")
    report = CheckReport(location="there", checks=(one,))
    monkeypatch.setattr(FeedbackStore, "check", lambda _: report)
    result = invoke("check")
    assert code == result.exit_code
    assert ["there", status, "damaged_lines:", "Found.", "Do", "this."] == result.stdout.split()
    shown = json.loads(invoke("check", "--json").stdout)
    expected = {
        "name": "damaged_lines", "status": str(status), "message": "Found.", "hint": "Do this.",
    }  # fmt: skip
    assert {"location": "there", "checks": [expected], "ok": not code} == shown


def test_the_version_is_told(invoke: Invoke) -> None:
    """--version prints the program's name and a version."""
    assert re.fullmatch(r"feedback-store \S.*\n", invoke("--version").stdout)
