"""`Query`: what can be asked, and what matches."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given

from feedback_store import FeedbackEntry, InvalidQueryError, Metadata, Order, Query, Rating
from feedback_store.codec import from_mapping, to_mapping
from feedback_store.testing import entries, model, queries

NOON = datetime(2025, 10, 5, 12, tzinfo=UTC)


def make(**fields: Any) -> FeedbackEntry:  # noqa: ANN401  # any field's value
    """Return an entry with the required fields and those given."""
    needed = {"message_id": "m", "question": "Wo?", "answer": "Auf der Straße.", "timestamp": NOON}
    return FeedbackEntry(**{**needed, **fields})


SAID = make(metadata=Metadata(explanation="Nein", issues=["wrong", "rude"], conversation_id="c"))

CASES: list[tuple[dict[str, Any], FeedbackEntry, bool]] = [
    ({}, make(), True),
    ({"rating": "positive"}, make(rating=0.51), True),
    ({"rating": Rating.NEGATIVE}, make(rating=0.49), True),
    ({"rating": "neutral"}, make(rating=0.5), True),
    ({"rating": "unrated"}, make(), True),
    ({"rating": "unrated"}, make(rating=0), False),
    ({"since": NOON}, make(), True),
    ({"until": NOON}, make(), False),
    ({"since": NOON + timedelta(microseconds=1)}, make(), False),
    ({"until": NOON + timedelta(microseconds=1)}, make(), True),
    ({"since": NOON.astimezone(timezone(timedelta(hours=9)))}, make(), True),
    ({"issues": ["rude", "slow"]}, SAID, True),
    ({"issues": ["slow"]}, SAID, False),
    ({"issues": []}, make(), True),
    ({"source_types": ["unknown"]}, make(), True),
    ({"source_types": ["unknown"]}, make(sources=[{"type": "wiki"}, {"type": None}]), True),
    ({"source_types": ["unknown"]}, make(sources=[{"type": "wiki"}]), False),
    ({"source_types": ["faq", "wiki"]}, make(sources=[{"type": "wiki"}]), True),
    ({"text": "STRASSE"}, make(), True),
    ({"text": "nein"}, SAID, True),
    ({"text": "nein"}, make(), False),
    ({"text": ""}, make(), True),
    ({"message_id": "m"}, make(id="x"), True),
    ({"message_id": "x"}, make(id="x"), False),
    ({"conversation_id": "c"}, SAID, True),
    ({"conversation_id": "c"}, make(), False),
    ({"user_id": "ada"}, make(user_id="ada"), True),
    ({"user_id": ""}, make(), False),
    ({"has_explanation": True}, SAID, True),
    ({"has_explanation": False}, make(metadata=Metadata(explanation="")), True),
    ({"where": lambda entry: entry.rating == 1}, make(rating=1), True),
    ({"rating": "positive", "user_id": "ada"}, make(rating=1), False),
]


@pytest.mark.parametrize(
    ("conditions", "entry", "expected"),
    CASES,
    ids=[f"{number} {' and '.join(case[0])}" for number, case in enumerate(CASES)],
)
def test_conditions(conditions: dict[str, Any], entry: FeedbackEntry, expected: bool) -> None:
    """Every condition that is given must hold."""
    assert expected == Query(**conditions).matches(entry)


MATCHES: list[tuple[dict[str, Any], dict[str, Any], bool]] = [
    ({"channel": "web"}, {"channel": "web"}, True),
    ({"channel": "web"}, {"metadata": {"channel": "web"}}, True),
    ({"channel": "web"}, {"channel": "mail", "metadata": {"channel": "web"}}, False),
    ({"channel": None}, {}, False),
    ({"channel": None}, {"channel": None}, True),
    ({"n": 1}, {"n": 1.0}, True),
    ({"n": 1}, {"n": True}, False),
    ({"n": [1, {"a": 0}]}, {"n": [1, {"a": 0}]}, True),
    ({"n": [1, {"a": 0}]}, {"n": [1, {"a": False}]}, False),
    ({"n": 0.1}, {"n": 0.1}, True),
    ({"name": "x"}, {"name": "x"}, True),
    ({"name": None}, {"name": None}, True),
    ({"name": None}, {}, False),
    ({"name": "x"}, {"name": None, "metadata": {"name": "x"}}, False),
    ({"rating": None}, {}, True),
    ({"token_count": 7}, {"metadata": {"token_count": 7}}, True),
    ({"issues": ["a"]}, {"metadata": {"issues": ["a"]}}, True),
    ({"issues": []}, {}, True),
    ({"issues": None}, {"metadata": {"issues": None}}, True),
    ({"sources": None}, {"sources": None}, True),
    ({"id": "m"}, {}, True),
    ({"metadata": {}}, {}, False),
    ({"metadata": 1}, {"metadata": {"metadata": 1}}, True),
    ({"a": 1, "b": 2}, {"a": 1, "b": 2}, True),
    ({"a": 1, "b": 2}, {"a": 1}, False),
]


@pytest.mark.parametrize(("match", "shown", "expected"), MATCHES, ids=str)
def test_match(match: dict[str, Any], shown: dict[str, Any], expected: bool) -> None:
    """`match` is equality with what the JSON shows: top-level first, then in the metadata."""
    entry = from_mapping({**to_mapping(make()), **shown})
    assert expected == Query(match=match).matches(entry)


@given(entries(ids=["a", "b"]), queries(where=True))
def test_matching_is_that_of_the_model(entry: FeedbackEntry, query: Query) -> None:
    """An entry matches when its JSON, looked at in another way, says so."""
    assert model.matches(entry, query) == query.matches(entry)
    assert query.matches(entry) or not query.is_empty


@pytest.mark.parametrize(
    ("field", "wrong"),
    [
        ("rating", "good"),
        ("rating", ["positive"]),
        ("order", "up"),
        ("since", "2025-10-05"),
        ("since", NOON.replace(tzinfo=None)),
        ("until", datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=1)))),
        ("issues", "wrong"),
        ("issues", [1]),
        ("source_types", None),
        ("text", 1),
        ("message_id", 1),
        ("has_explanation", 1),
        ("match", [("a", 1)]),
        ("match", {"a": float("nan")}),
        ("match", {1: 1}),
        ("where", 1),
    ],
)
def test_a_query_that_makes_no_sense_is_refused(field: str, wrong: Any) -> None:  # noqa: ANN401  # what is tried
    """One typed error, which names the field."""
    with pytest.raises(InvalidQueryError, match=field):
        Query(**{field: wrong})


def test_queries_are_values() -> None:
    """Equal conditions make equal queries with equal hashes, whatever they were given as."""
    a = Query(issues=["x"], match={"n": [1]}, since=NOON, order="newest")
    later = NOON.astimezone(timezone(timedelta(hours=1)))
    b = Query(issues=("x",), match={"n": (1,)}, since=later, order=Order.NEWEST)
    assert (a, hash(a)) == (b, hash(b))


def test_an_order_that_is_given_stays() -> None:
    """`ordered` fills in an order only where there is none."""
    assert Order.NEWEST is Query().ordered(Order.NEWEST).order
    assert Order.OLDEST is Query(order=Order.OLDEST).ordered(Order.NEWEST).order


def test_an_entry_counts_once_for_a_type() -> None:
    """The types of an entry are a set, with `unknown` for a source without one."""
    sources = [{"type": "wiki"}, {"type": "wiki"}, {"type": ""}, {"type": 1}]
    assert {"wiki", "unknown"} == make(sources=sources).source_types
