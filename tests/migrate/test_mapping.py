"""Rows of other programs: what entry each means, and that every assumption is told."""

import copy
import json
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from older import SECRET, a_month_row, a_row

from feedback_store import FeedbackEntry, InvalidEntryError, decode, encode
from feedback_store.mapping import (
    POSITIVE_TAGS,
    Assumption,
    EntryMapping,
    Mapped,
    RowMapping,
    Scale,
    VotesMapping,
)
from feedback_store.testing import entries

WHEN = datetime(2025, 6, 1, tzinfo=UTC)
GOOD = "Looks Good / Accurate & Clear"


def mapped(row: dict[str, Any], mapping: RowMapping | None = None, id: str | None = None) -> Mapped:
    """Map a row, and see that it is not changed by that."""
    before = copy.deepcopy(row)
    result = (mapping or EntryMapping())(row, fallback_time=WHEN, fallback_id=id)
    assert before == row
    return result


def a_vote(**columns: Any) -> dict[str, Any]:  # noqa: ANN401  # any value of a driver
    """Return a row of the table of votes, as a driver gives it."""
    return {
        "vote_id": 7,
        "user_query": "q",
        "bot_response": "a",
        "evaluation_json": {},
        "feedback_tags": [GOOD],
        "comment": "",
        "citations": [],
        "timestamp": WHEN,
        **columns,
    }


def voted(**columns: Any) -> Mapped:  # noqa: ANN401  # as above
    """Map a row of the table of votes."""
    return mapped(a_vote(**columns), VotesMapping())


# ------------------------------------------------------------------------- rows that say all


@given(entry=entries())
def test_a_row_that_says_all_is_what_a_store_would_read(entry: FeedbackEntry) -> None:
    """Of a line of ours, the mapping makes the same entry as the codec, and assumes nothing."""
    assert mapped(json.loads(encode(entry))) == Mapped(entry)


@pytest.mark.parametrize("row", [a_row("m"), a_month_row("m")], ids=["day", "month"])
def test_a_row_of_the_older_service_is_what_a_store_would_read(row: dict[str, Any]) -> None:
    """Every key is kept, as a store keeps it that reads the line in place."""
    entry = mapped(row).entry
    assert encode(decode(json.dumps(row).encode())) == encode(entry)
    assert (1, 0) == entry.metadata.extra["previous_ratings"]


def test_real_rows_are_what_a_store_would_read(real_rows: Path) -> None:
    """The same of rows of a real service: times, unknown keys, nulls."""
    files = sorted((real_rows / "month_files").glob("*.jsonl"))
    read = [line for file in files for line in file.read_bytes().splitlines()]
    assert len(read) > 20
    for line in read:
        row = mapped(json.loads(line))
        assert encode(decode(line)) == encode(row.entry)
        naive = (Assumption.NAIVE_TIME, Assumption.CONTRADICTING_TIME)
        is_month = "timestamp" in json.loads(line)
        assert (naive if is_month else (Assumption.METADATA_TIME,)) == row.assumed
        assert (timedelta(hours=1) if is_month else None) == row.offset


def test_unknown_keys_are_kept() -> None:
    """What nobody knows stays as it is: citations of an entry are no sources."""
    entry = mapped(a_row("m", citations=[1], channel={"a": None})).entry
    assert {"citations": (1,), "channel": {"a": None}} == entry.extra


# ---------------------------------------------------------------------------------- the time


@pytest.mark.parametrize(
    ("row", "expected", "assumed"),
    [
        ({"timestamp": "2025-02-03T10:00:00Z"}, "2025-02-03T10:00:00", ()),
        ({"timestamp": "2025-02-03T10:00:00z"}, "2025-02-03T10:00:00", ()),
        ({"timestamp": "2025-02-03T10:00:00+01:00"}, "2025-02-03T09:00:00", ()),
        ({"timestamp": "2025-02-03 10:00:00+01"}, "2025-02-03T09:00:00", ()),
        ({"timestamp": "2025-02-03T10:00:00"}, "2025-02-03T10:00:00", ("naive_time",)),
        ({"timestamp": "2025-02-03 10:00:00"}, "2025-02-03T10:00:00", ("naive_time",)),
        ({"timestamp": "2025-02-03"}, "2025-02-03T00:00:00", ("naive_time",)),
        ({"timestamp": WHEN.replace(tzinfo=None)}, "2025-06-01T00:00:00", ("naive_time",)),
        ({"timestamp": date(2025, 2, 3)}, "2025-02-03T00:00:00", ("naive_time",)),
        (
            {"timestamp": datetime(2025, 2, 3, 10, tzinfo=timezone(timedelta(hours=2)))},
            "2025-02-03T08:00:00",
            (),
        ),
        ({"timestamp": 1738576800}, "2025-02-03T10:00:00", ("epoch_time",)),
        ({"timestamp": 1738576800000}, "2025-02-03T10:00:00", ("epoch_time",)),
        ({"timestamp": "1738576800000"}, "2025-02-03T10:00:00", ("epoch_time",)),
        ({"timestamp": Decimal("1738576800.5")}, "2025-02-03T10:00:00.500000", ("epoch_time",)),
        ({}, "2025-06-01T00:00:00", ("fallback_time",)),
        ({"timestamp": None}, "2025-06-01T00:00:00", ("fallback_time",)),
        ({"metadata": None}, "2025-06-01T00:00:00", ("fallback_time",)),
        (
            {"metadata": {"timestamp": "2025-02-03T10:00:00Z"}},
            "2025-02-03T10:00:00",
            ("metadata_time",),
        ),
        (
            {"metadata": {"timestamp": "2025-02-03T10:00:00"}},
            "2025-02-03T10:00:00",
            ("naive_time", "metadata_time"),
        ),
        (
            {"metadata": {"timestamp": 1738576800}},
            "2025-02-03T10:00:00",
            ("epoch_time", "metadata_time"),
        ),
        (
            {"metadata": {"timestamp": "yesterday"}},
            "2025-06-01T00:00:00",
            ("unreadable_time", "fallback_time"),
        ),
        (
            {"timestamp": "2025-02-03T10:00:00Z", "updated_at": "2025-02-04T10:00:00"},
            "2025-02-03T10:00:00",
            ("naive_time",),
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_the_time_of_a_row(row: dict[str, Any], expected: str, assumed: tuple[str, ...]) -> None:
    """Each way to tell a time, or none, gives one instant and the assumptions that it took."""
    found = mapped({"message_id": "m", "question": "", "answer": "", **row})
    assert f"{expected}+00:00" == found.entry.timestamp.isoformat()
    assert assumed == found.assumed


def test_naive_times_are_of_the_zone_that_is_told() -> None:
    """With the right zone, nothing contradicts; daylight saving counts."""
    mapping = EntryMapping(assume_tz=ZoneInfo("Europe/Berlin"))
    winter = mapped(a_month_row("m"), mapping)
    assert "2025-02-19T12:00:00.456789+00:00" == winter.entry.timestamp.isoformat()
    assert (Assumption.NAIVE_TIME,) == winter.assumed
    summer = mapped({**a_row("m"), "timestamp": "2025-07-01T12:00:00"}, mapping)
    assert "2025-07-01T10:00:00+00:00" == summer.entry.timestamp.isoformat()


@pytest.mark.parametrize(
    ("naive", "utc", "hours"),
    [
        ("2025-02-19T13:00:00.456789", "2025-02-19T12:00:00.4Z", 1),
        ("2025-02-19T06:30:00", "2025-02-19T12:00:04Z", -5.5),
        ("2025-02-19T12:00:09", "2025-02-19T12:00:00Z", None),
        ("2025-02-19T12:00:09", "2025-02-19T12:00:00", None),
    ],
)
def test_a_contradiction_tells_the_offset(naive: str, utc: str, hours: float | None) -> None:
    """A naive time and a UTC one that are a zone apart are told, with the offset that they mean."""
    found = mapped({**a_row("m"), "timestamp": naive, "metadata": {"timestamp": utc}})
    assert (None if hours is None else timedelta(hours=hours)) == found.offset
    assert (hours is not None) == (Assumption.CONTRADICTING_TIME in found.assumed)


def test_a_contradiction_that_is_no_zone_has_no_offset() -> None:
    """Days between the two are told as well, and no zone is made of them."""
    row = {**a_month_row("m"), "metadata": {"timestamp": "2025-02-10T12:00:00Z"}}
    found = mapped(row)
    assert (None, True) == (found.offset, Assumption.CONTRADICTING_TIME in found.assumed)


@pytest.mark.parametrize("time", ["yesterday", "2025-13-01T00:00:00Z", "", True, [1], 1e300])
def test_an_unreadable_time_is_refused(time: object) -> None:
    """The older service took such a row for one of January 2025."""
    with pytest.raises(InvalidEntryError, match="timestamp"):
        mapped({**a_row("m"), "timestamp": time})


# ------------------------------------------------------------------------------------ the id


@pytest.mark.parametrize(
    ("ids", "fallback_id", "expected", "assumed"),
    [
        ({"message_id": "m"}, "t-1", ("m", "m"), ()),
        ({"message_id": "m", "id": "i"}, "t-1", ("m", "i"), ()),
        ({"id": "i"}, "t-1", ("i", "i"), ("id_of_message",)),
        ({"id": 5, "message_id": "m"}, "t-5", ("m", "m"), ()),
        ({"id": 5}, "t-5", ("t-5", "t-5"), ("row_id",)),
        ({"id": 5}, None, ("5", "5"), ("number_as_id", "id_of_message")),
        ({"message_id": 5}, None, ("5", "5"), ("number_as_id",)),
        ({}, "t-5", ("t-5", "t-5"), ("row_id",)),
        ({"message_id": None, "id": ""}, "t-5", None, ()),
        ({"message_id": UUID(int=1)}, None, (str(UUID(int=1)),) * 2, ()),
    ],
    ids=str,
)
def test_the_id_of_a_row(
    ids: dict[str, Any],
    fallback_id: str | None,
    expected: tuple[str, str] | None,
    assumed: tuple[str, ...],
) -> None:
    """The message id first, then the id, then what the source can make; a table's count is kept."""
    row = {"question": "", "answer": "", "timestamp": WHEN, **ids}
    if expected is None:
        with pytest.raises(InvalidEntryError, match="id"):
            mapped(row, id=fallback_id)
        return
    found = mapped(row, id=fallback_id)
    assert (expected, assumed) == ((found.entry.message_id, found.entry.id), found.assumed)
    if isinstance(ids.get("id"), int) and "number_as_id" not in assumed:
        assert {"row_id": 5} == found.entry.extra


def test_a_row_without_any_id_is_refused() -> None:
    """No id is made up: the same row would come in once more each time."""
    row = a_row("m")
    del row["message_id"]
    with pytest.raises(InvalidEntryError, match="no id"):
        mapped(row)


# -------------------------------------------------------------------------------- the rating


@pytest.mark.parametrize("rating", [-1, 2, 5, 1.5, True, False])
def test_a_rating_on_another_scale_is_refused(rating: float) -> None:
    """Without a scale nothing is guessed: the message names the option."""
    with pytest.raises(InvalidEntryError, match="scale"):
        mapped(a_row("m", rating=rating))


@pytest.mark.parametrize(
    ("scale", "given", "expected"),
    [
        ("0-1", 0.25, 0.25), ("thumbs", -1, 0), ("thumbs", 1, 1), ("thumbs", True, 1),
        ("thumbs", False, 0), ("thumbs", "Up", 1), ("thumbs", "down", 0), ("stars", 1, 0),
        ("stars", 4, 0.75), ("stars", 5, 1), ("1-10", 10, 1), ("1-10", 1, 0),
        ("percent", 25, 0.25), ("percent", 0, 0),
    ],
)  # fmt: skip
def test_ratings_are_converted(scale: str, given: object, expected: float) -> None:
    """Each scale has its ends; what is converted is told."""
    found = mapped(a_row("m", rating=given), EntryMapping(scale=Scale(scale)))
    assert (expected, type(expected)) == (found.entry.rating, type(found.entry.rating))
    assert (scale != "0-1") == (Assumption.RATING_SCALED in found.assumed)


@pytest.mark.parametrize(
    ("scale", "given"),
    [("thumbs", 0), ("thumbs", 0.5), ("thumbs", []), ("stars", 0), ("stars", 6), ("stars", True),
     ("stars", "4"), ("percent", 101), ("percent", -1), ("1-10", 0), ("0-1", 2)],
)  # fmt: skip
def test_a_rating_off_its_scale_is_refused(scale: str, given: object) -> None:
    """A value that the scale does not have is no rating."""
    with pytest.raises(InvalidEntryError, match="scale"):
        mapped(a_row("m", rating=given), EntryMapping(scale=Scale(scale)))


@pytest.mark.parametrize(("helpful", "rating"), [(True, 1), (False, 0), ("true", 1), ("NO", 0)])
def test_helpful_is_a_rating(helpful: object, rating: int) -> None:
    """True or false is told as an assumption; beside a rating it is a key like any other."""
    row = a_row("m", helpful=helpful)
    assert {"helpful": helpful} == mapped(row).entry.extra
    del row["rating"]
    found = mapped(row)
    assert (rating, {}) == (found.entry.rating, found.entry.extra)
    assert Assumption.HELPFUL in found.assumed


@pytest.mark.parametrize(
    ("tags", "rating", "issues", "assumed"),
    [
        ([GOOD], 1, (), "positive_tag"),
        ([f" {GOOD.upper()} "], 1, (), "positive_tag"),
        ([GOOD, "Incomplete"], 1, ("Incomplete",), "positive_tag"),
        (["Incorrect", "Incomplete"], 0, ("Incorrect", "Incomplete"), "other_tags"),
        ([], None, (), "untagged"),
        (None, None, (), "untagged"),
        ('["Incomplete"]', 0, ("Incomplete",), "other_tags"),
        ('{Incorrect,"In, complete"}', 0, ("Incorrect", "In, complete"), "other_tags"),
        ("{}", None, (), "untagged"),
        (GOOD, 1, (), "positive_tag"),
    ],
    ids=str,
)
def test_tags_tell_rating_and_issues(
    tags: object, rating: int | None, issues: tuple[str, ...], assumed: str
) -> None:
    """Of a list, or of a text of one: positive where a tag means so; the others are issues."""
    found = voted(feedback_tags=tags)
    assert (rating, issues) == (found.entry.rating, found.entry.metadata.issues)
    assert assumed in found.assumed


def test_tags_of_an_entry_count_where_nothing_else_does() -> None:
    """An entry with its own rating keeps it, and the tags as they are."""
    row = a_row("m", feedback_tags=["Fine"])
    assert {"feedback_tags": ("Fine",)} == mapped(row).entry.extra
    del row["rating"]
    tagged = mapped(row, EntryMapping(positive_tags=[*POSITIVE_TAGS, "fine"])).entry
    assert (1, ()) == (tagged.rating, tagged.metadata.issues)


# ------------------------------------------------------------------------- votes, flat rows


def test_every_column_of_a_vote_has_its_place() -> None:
    """Question, answer, evaluation, comment, citations, time; what is left stays by its name."""
    found = voted(
        evaluation_json={"response_time": 3.2, "model": "x"},
        comment="wrong",
        citations=[{"title": "Manual", "id": 3}],
        channel="web",
    )
    entry = found.entry
    assert ("votes-7", "votes-7", "q", "a") == (
        entry.id, entry.message_id, entry.question, entry.answer,
    )  # fmt: skip
    assert (3.2, "wrong") == (entry.metadata.response_time, entry.metadata.explanation)
    assert {"model": "x"} == entry.metadata.extra
    assert ({"title": "Manual", "id": 3},) == entry.sources
    assert {"vote_id": 7, "channel": "web"} == entry.extra
    assert WHEN == entry.timestamp
    assert ("row_id", "positive_tag") == found.assumed


def test_nulls_of_a_vote_say_nothing() -> None:
    """Every column but the key may be null; the texts become empty, and that is told."""
    row = dict.fromkeys(a_vote()) | {"vote_id": 7}
    found = mapped(row, VotesMapping())
    assert FeedbackEntry(
        message_id="votes-7", question="", answer="", timestamp=WHEN, extra={"vote_id": 7}
    ) == found.entry  # fmt: skip
    assert ("fallback_time", "row_id", "empty_text", "untagged") == found.assumed


def test_an_evaluation_that_is_no_object_is_kept() -> None:
    """What cannot be metadata stays under its own name; so does an answer's second explanation."""
    assert (1,) == voted(evaluation_json=[1]).entry.extra["evaluation_json"]
    both = voted(evaluation_json={"explanation": "a"}, comment="b").entry
    assert ("a", "b") == (both.metadata.explanation, both.extra["explanation"])


def test_the_id_of_a_snapshot_is_that_of_the_table() -> None:
    """A row of the table, and the same in a file that was exported, are one entry."""
    of_table = mapped(a_vote(), VotesMapping(), id="votes-7").entry
    exported = a_vote(timestamp=WHEN.isoformat())
    assert of_table == mapped(exported, VotesMapping()).entry


def test_anybodys_table_can_be_told() -> None:
    """Columns of any names become fields; two of them never become one."""
    mapping = VotesMapping(
        columns={"q": "question", "a": "answer", "stars": "rating", "why": "explanation"},
        table="ratings", key="n", scale=Scale.STARS,
    )  # fmt: skip
    row = {"n": 3, "q": "?", "a": "!", "stars": 4, "why": "so", "question": "other", "at": 1}
    entry = mapped(row, mapping).entry
    assert ("ratings-3", "?", "!", 0.75, "so") == (
        entry.id, entry.question, entry.answer, entry.rating, entry.metadata.explanation,
    )  # fmt: skip
    assert {"n": 3, "question_": "other", "at": 1} == entry.extra
    with pytest.raises(ValueError, match="'nothing'"):
        VotesMapping(columns={"q": "nothing"})


def test_flat_rows_are_unfolded() -> None:
    """Metadata as columns, JSON as text, numbers as text, and cells that say nothing."""
    row = {
        "message_id": "m", "question": "", "answer": "a", "rating": "0.5", "timestamp": "",
        "sources": '[{"title": "t"}, "https://a.example", "b"]', "response_time": "1.5",
        "metadata.token_count": "3", "metadata.model": "x", "conversation_id": "c",
        "issues": "too long; wrong,  unclear", "explanation": "", "channel": "web", "empty": " ",
    }  # fmt: skip
    found = mapped(row, EntryMapping(flat=True))
    entry, metadata = found.entry, found.entry.metadata
    assert ("", 0.5, {"channel": "web"}) == (entry.question, entry.rating, entry.extra)
    assert (1.5, 3, "c", None) == (
        metadata.response_time, metadata.token_count, metadata.conversation_id,
        metadata.explanation,
    )  # fmt: skip
    assert (("too long", "wrong", "unclear"), {"model": "x"}) == (metadata.issues, metadata.extra)
    assert [{"title": "t"}, {"url": "https://a.example"}, {"title": "b"}] == list(entry.sources)
    assert ("fallback_time", "issues_split", "sources_named") == found.assumed


@pytest.mark.parametrize(
    "cells",
    [
        {"sources": "[1"},
        {"metadata": "{"},
        {"metadata": "no"},
        {"rating": "good"},
        {"issues": "[1"},
    ],
    ids=str,
)
def test_a_cell_that_is_damaged_is_refused(cells: dict[str, str]) -> None:
    """The message names the column, and quotes nothing."""
    row = {"message_id": "m", "question": SECRET, "answer": SECRET, **cells}
    with pytest.raises(InvalidEntryError, match=next(iter(cells))) as caught:
        mapped(row, EntryMapping(flat=True))
    assert SECRET not in str(caught.value)


def test_values_of_a_driver_become_json() -> None:
    """Decimals, spans, ids, bytes and times in any depth; what has no counterpart is refused."""
    extra: dict[str, Any] = {
        "d": Decimal("1.50"), "n": Decimal(3), "s": timedelta(seconds=1.5), "u": UUID(int=1),
        "b": "ü".encode(), "t": [datetime(2025, 1, 1, tzinfo=UTC)], "y": date(2025, 1, 1),
    }  # fmt: skip
    assert {
        "d": 1.5, "n": 3, "s": 1.5, "u": str(UUID(int=1)), "b": "ü",
        "t": ("2025-01-01T00:00:00+00:00",), "y": "2025-01-01",
    } == mapped(a_row("m", **extra)).entry.extra  # fmt: skip
    for value in (b"\xff", {1, 2}, Decimal("NaN"), object()):
        with pytest.raises(InvalidEntryError):
            mapped(a_row("m", x=value))
