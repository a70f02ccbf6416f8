"""`FeedbackEntry` and `Metadata`: values that check themselves."""

import copy
import pickle
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from enum import Enum
from typing import Any
from zoneinfo import ZoneInfo

import attrs
import pytest
from hypothesis import given

from feedback_store import (
    FeedbackEntry,
    InvalidEntryError,
    Metadata,
    encode,
    rating_from_stars,
    rating_from_thumbs,
)
from feedback_store.entry import with_checked
from feedback_store.frozen import FrozenDict
from feedback_store.testing import entries

NOON = datetime(2025, 10, 5, 12, tzinfo=UTC)
NAIVE = datetime(2025, 10, 5)  # noqa: DTZ001  # what is refused


class Issue(str, Enum):  # noqa: UP042  # what is tested
    """A text enumeration as many apps write it."""

    WRONG = "wrong"


class Unknown(tzinfo):
    """A time zone that does not know its offset."""

    def utcoffset(self, moment: datetime | None, /) -> None:
        """Know nothing."""

    dst = utcoffset

    def tzname(self, moment: datetime | None, /) -> str:
        """Name it."""
        return "unknown"


class Subclass(datetime):
    """What some libraries give for a datetime."""


def make(**fields: Any) -> FeedbackEntry:  # noqa: ANN401  # any field's value
    """Return an entry with the required fields and those given."""
    return FeedbackEntry(**{"message_id": "m", "question": "q", "answer": "a", **fields})


def test_what_is_left_away() -> None:
    """Without more than it needs, an entry is unrated, of now, under the id of its message."""
    before = datetime.now(UTC)
    entry = make()
    assert before <= entry.timestamp <= datetime.now(UTC)
    assert ("m", None, (), Metadata()) == (entry.id, entry.rating, entry.sources, entry.metadata)


@pytest.mark.parametrize(
    ("field", "wrong"),
    [
        ("message_id", ""),
        ("message_id", 7),
        ("id", ""),
        ("id", None),
        ("question", None),
        ("question", b"q"),
        ("answer", "\ud800"),
        ("rating", True),
        ("rating", "1"),
        ("rating", 1.01),
        ("rating", -1),
        ("rating", float("nan")),
        ("rating", 10**400),
        ("timestamp", "2025-10-05T12:00:00Z"),
        ("timestamp", NAIVE),
        ("timestamp", datetime(2025, 10, 5, tzinfo=Unknown())),
        ("timestamp", datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=1)))),
        ("timestamp", datetime(9999, 12, 31, 23, 59, tzinfo=timezone(timedelta(hours=-1)))),
        ("updated_at", NAIVE),
        ("sources", "wiki"),
        ("sources", {"type": "wiki"}),
        ("sources", ["wiki"]),
        ("sources", None),
        ("metadata", {"explanation": "no"}),
        ("metadata", None),
        ("annotator_kind", "human"),
        ("user_id", 7),
        ("extra", None),
        ("extra", {"rating": 1}),
        ("extra", {"metadata": {}}),
        ("extra", {"x": float("inf")}),
    ],
)
def test_a_value_that_does_not_fit_is_refused(field: str, wrong: Any) -> None:  # noqa: ANN401  # what is tried
    """One typed error, which names the field."""
    with pytest.raises(InvalidEntryError, match=field):
        make(**{field: wrong})


@pytest.mark.parametrize(
    ("field", "wrong"),
    [
        ("response_time", "1"),
        ("response_time", True),
        ("response_time", float("inf")),
        ("response_time", 10**400),
        ("token_count", -(10**400)),
        ("explanation", 1),
        ("issues", "wrong"),
        ("issues", None),
        ("issues", [1]),
        ("issues", ["\udc00"]),
        ("extra", {"issues": []}),
        ("extra", {1: 1}),
    ],
)
def test_metadata_that_does_not_fit_is_refused(field: str, wrong: Any) -> None:  # noqa: ANN401  # what is tried
    """One typed error, which names the field."""
    with pytest.raises(InvalidEntryError, match=field):
        Metadata(**{field: wrong})


def test_the_message_of_a_naive_time_says_what_to_do() -> None:
    """The most common mistake has a remedy in its message."""
    with pytest.raises(InvalidEntryError, match=r"datetime\.now\(UTC\)"):
        make(timestamp=NAIVE)


@pytest.mark.parametrize(
    "given",
    [
        datetime(2025, 10, 5, 14, tzinfo=ZoneInfo("Europe/Vienna")),
        datetime(2025, 10, 5, 2, 30, tzinfo=timezone(timedelta(hours=-9, minutes=-30))),
        Subclass(2025, 10, 5, 12, tzinfo=UTC),
    ],
)
def test_times_are_kept_in_utc(given: datetime) -> None:
    """A time of any zone is the same instant, as a plain datetime in UTC."""
    kept = make(timestamp=given).timestamp
    assert (NOON, UTC, datetime) == (kept, kept.tzinfo, type(kept))


@pytest.mark.parametrize(
    ("time", "month"),
    [
        (datetime(1, 1, 1, tzinfo=UTC), "0001-01"),
        (datetime(2025, 1, 31, 23, 59, 59, 999999, tzinfo=UTC), "2025-01"),
        (datetime(2025, 2, 1, 0, 30, tzinfo=timezone(timedelta(hours=1))), "2025-01"),
        (datetime(9999, 12, 31, tzinfo=UTC), "9999-12"),
    ],
)
def test_the_month_is_that_in_utc(time: datetime, month: str) -> None:
    """The month is that of the entry's own timestamp, in UTC."""
    assert month == make(timestamp=time).month


def test_only_what_says_nothing_is_spelled() -> None:
    """What a line could not give back is not kept: keys that say something, and unknown ones."""
    spelled = {"id": "other", "user_id": None, "name": None, "rating": None, "x": None}
    told = Metadata(issues=["a"], spelled={"issues": (), "token_count": None, "explanation": 1})
    assert {"name": None} == make(user_id="ada", spelled=spelled).spelled
    assert {"token_count": None} == told.spelled
    assert {"id": "m"} == make(spelled={"id": "m"}).spelled
    assert {} == make(id="x", spelled={"id": "x"}).spelled
    assert {} == make(metadata=told, spelled={"metadata": None}).spelled


def test_texts_of_enumerations_are_kept_by_value() -> None:
    """A member of a text enumeration is kept as its value, as a plain text."""
    metadata = Metadata(issues=[Issue.WRONG], explanation=Issue.WRONG)
    kept = (*metadata.issues, metadata.explanation, make(name=Issue.WRONG).name)
    assert ("wrong",) * 3 == kept
    assert [str] * 3 == [type(text) for text in kept]


def test_what_was_given_is_not_shared() -> None:
    """A later change of what was given does not reach the entry, nor the other way round."""
    source: dict[str, Any] = {"type": "wiki", "tags": ["a"]}
    extra: dict[str, Any] = {"channel": {"name": "web"}}
    entry = make(sources=[source], extra=extra)
    source["tags"].append("b")
    extra["channel"]["name"] = "mail"
    assert ({"type": "wiki", "tags": ("a",)},) == entry.sources
    assert {"channel": {"name": "web"}} == entry.extra
    kept: Any = entry.sources[0]
    with pytest.raises(TypeError):
        kept["type"] = "faq"
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        entry.rating = 1  # type: ignore[misc]  # what is tried


@given(entries())
def test_entries_are_values(entry: FeedbackEntry) -> None:
    """Pickled, copied and evolved to itself, an entry is equal and has an equal hash."""
    made = (pickle.loads(pickle.dumps(entry)), copy.deepcopy(entry), attrs.evolve(entry))
    assert [(entry, hash(entry))] * 3 == [(other, hash(other)) for other in made]


def test_the_repr_shows_no_text() -> None:
    """A log line with an entry in it holds nothing that a user or a model wrote."""
    secret = "my secret"
    metadata = Metadata(explanation=secret, extra={"x": secret}, spelled={"explanation": None})
    entry = make(
        question=secret, answer=secret, correction=secret, metadata=metadata,
        sources=[{"content": secret}], extra={"x": secret},
    )  # fmt: skip
    assert "secret" not in repr(entry)
    assert "'m'" in repr(entry)


@pytest.mark.parametrize(
    ("stars", "of", "rating"), [(1, 5, 0), (3, 5, 0.5), (4, 5, 0.75), (5, 5, 1), (2, 2, 1)]
)
def test_stars_become_ratings(stars: float, of: int, rating: float) -> None:
    """The fewest stars are 0, the most are 1, and the others lie evenly between."""
    assert rating == make(rating=rating_from_stars(stars, of=of)).rating


@pytest.mark.parametrize(("stars", "of"), [(0, 5), (6, 5), (1, 1), (float("nan"), 5)])
def test_stars_outside_the_scale_are_refused(stars: float, of: int) -> None:
    """What is no number of stars on the scale is an error."""
    with pytest.raises(InvalidEntryError, match="stars"):
        rating_from_stars(stars, of=of)


def test_thumbs_become_ratings() -> None:
    """Up is 1, down is 0, and anything else is an error."""
    assert [1, 0] == [rating_from_thumbs(up) for up in (True, False)]
    with pytest.raises(InvalidEntryError):
        rating_from_thumbs(1)  # type: ignore[arg-type]  # what is tried


@given(entry=entries(), other=entries())
def test_a_copy_with_checked_values_is_the_evolved_one(
    entry: FeedbackEntry, other: FeedbackEntry
) -> None:
    """It says the same, is as frozen, and encodes to the same line."""
    values: dict[str, Any] = {"metadata": other.metadata, "updated_at": other.timestamp}
    copied, evolved = with_checked(entry, **values), attrs.evolve(entry, **values)
    assert evolved == copied
    assert (hash(evolved), encode(evolved)) == (hash(copied), encode(copied))
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        copied.rating = 1  # type: ignore[misc]  # that is what is tried


def test_only_what_was_checked_is_taken_as_it_is() -> None:
    """A frozen dictionary of an entry is shared with the next; anybody else's is looked at."""
    entry = make(extra={"channel": ["web"]})
    assert entry.extra is attrs.evolve(entry, rating=1).extra
    with pytest.raises(InvalidEntryError, match="not a number that JSON can say"):
        make(extra=FrozenDict({"share": float("nan")}))
