"""Hypothesis strategies: entries and queries, believable ones and nasty ones.

All names, issues, types and words come from small vocabularies, so that a drawn query finds
some of the drawn entries, and drawn entries meet under one id.
"""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from feedback_store import codec
from feedback_store.entry import OWN_KEYS, OWN_METADATA_KEYS, FeedbackEntry
from feedback_store.entry import Metadata as _Metadata
from feedback_store.fields import ANNOTATOR_KINDS
from feedback_store.query import Order, Query
from feedback_store.rating import Rating

ISSUES = ("inaccurate", "too_verbose", "wrong", "ungenau", "", "\u2028")
SOURCE_TYPES = ("wiki", "faq", "unknown", "", "Wiki")
CHANNELS = ("web", "mail", "")
PEOPLE = ("ada", "Ada", "grace", "İ")

_NASTY_TEXTS = (
    "",
    " ",
    "\x00",
    "\r\n",
    "a\u2028b\u2029c\u0085d",
    "\ufeff",
    "\ufffe\uffff",
    "\U0001f600\U0010ffff",
    "e\u0301 is not é",
    "Straße STRASSE İstanbul ǅ",
    '"\\/\b\f\n\t\x7f',
    '{"id": null}',
    "null",
    "NaN",
    "% _ ' \" ; --",
)
_NASTY_NUMBERS = (
    0, 1, -1, 1.0, 0.0, -0.0, 0.5, 5e-324, 1.7976931348623157e308, 0.1, 1e16, 1e22,
    2**53 + 1, 2**63 - 1, 2**63, 2**64, -(2**63) - 1, 10**40,
)  # fmt: skip
_RATINGS = (None, 0, 1, 0.0, 1.0, -0.0, 0.5, 0.25, 0.75, 0.49999999999999994, 0.5000000000000001)
_RESPONSE_TIMES = (None, 0, 1, 12.5, -0.0, 0.1, 0.2, 12.676830053329468, 1e308, 2**53 + 1, 1e-9)

# Names that mean something elsewhere in the format, where only an extra may stand.
_EXTRA_NAMES = (
    "channel", "region", "extra", "spelled", "previous_ratings", "explanation", "issues",
    "response_time", "message", "", "\u2028", "é",
)  # fmt: skip
_METADATA_EXTRA_NAMES = (
    "channel", "timestamp", "extra", "spelled", "previous_ratings", "message_id", "question",
    "rating", "id", "user_id", "metadata", "sources", "updated_at", "", "\x00",
)  # fmt: skip

_EDGES = (
    datetime.min,  # noqa: DTZ901  # made aware below
    datetime(1, 1, 31, 23, 59, 59, 999999),  # noqa: DTZ001  # made aware below
    datetime(1969, 12, 31, 23, 59, 59, 999999),  # noqa: DTZ001  # as above
    datetime(2024, 2, 29, 12),  # noqa: DTZ001  # as above
    datetime(2025, 1, 31, 23, 59, 59, 999999),  # noqa: DTZ001  # as above
    datetime(2025, 2, 1),  # noqa: DTZ001  # as above
    datetime(2025, 10, 5, 12, 34, 56, 789000),  # noqa: DTZ001  # as above
    datetime(2025, 10, 5, 12, 34, 56, 789001),  # noqa: DTZ001  # as above
    datetime(2025, 10, 5, 12, 34, 56),  # noqa: DTZ001  # as above
    datetime(2025, 10, 26, 1, 30),  # noqa: DTZ001  # as above
    datetime(2025, 12, 31, 23, 59, 59, 999999),  # noqa: DTZ001  # as above
    datetime.max,  # noqa: DTZ901  # as above
)
_OFFSETS = (timezone(timedelta(hours=14)), timezone(timedelta(hours=-9, minutes=-30)))


def texts() -> SearchStrategy[str]:
    """Return any text that UTF-8 can say."""
    anything = st.text(st.characters(codec="utf-8"), max_size=12)
    return st.sampled_from(_NASTY_TEXTS) | anything


def timestamps() -> SearchStrategy[datetime]:
    """Return aware times: months' ends, the first and the last year, equal ones, any zone."""
    edges = st.sampled_from(_EDGES).map(lambda time: time.replace(tzinfo=UTC))
    elsewhere = st.datetimes(
        min_value=datetime(2, 1, 1),  # noqa: DTZ001  # Hypothesis adds the zone
        max_value=datetime(9998, 1, 1),  # noqa: DTZ001  # as above
        timezones=st.sampled_from(_OFFSETS),
    )
    return edges | edges | st.datetimes(timezones=st.just(UTC)) | elsewhere


def crowded_timestamps() -> SearchStrategy[datetime]:
    """Return times of which many are equal, or a microsecond apart, about a month's end."""
    border = datetime(2025, 2, 1, tzinfo=UTC)
    crowd = [border + timedelta(microseconds=n) for n in (-1, 0, 1, 2)]
    # Mapped, the many branches of `timestamps` count as one beside the crowd.
    return st.sampled_from(crowd) | st.sampled_from(crowd) | timestamps().map(lambda time: time)


def numbers() -> SearchStrategy[int | float]:
    """Return numbers that JSON can say, whole and not, near every border."""
    floats = st.floats(allow_nan=False, allow_infinity=False)
    return st.sampled_from(_NASTY_NUMBERS) | st.integers() | floats


def json_values(max_leaves: int = 6) -> SearchStrategy[Any]:
    """Return JSON values: ``1``, ``1.0`` and ``true`` apart, nested, with any text.

    Args:
        max_leaves: about how large they grow.
    """
    leaves = st.none() | st.booleans() | numbers() | texts()
    return st.recursive(
        leaves,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts(), inner, max_size=3),
        max_leaves=max_leaves,
    )


def _extras(names: tuple[str, ...], own: frozenset[str]) -> SearchStrategy[dict[str, Any]]:
    free = st.sampled_from([name for name in names if name not in own])
    other = texts().filter(lambda name: name not in own)
    channel = st.fixed_dictionaries({}, optional={"channel": st.sampled_from(CHANNELS)})
    any_extra = st.dictionaries(free | other, json_values(), max_size=3)
    return st.just({}) | channel | any_extra


def metadata() -> SearchStrategy[_Metadata]:
    """Return metadata."""
    return st.builds(
        _Metadata,
        response_time=st.sampled_from(_RESPONSE_TIMES),
        token_count=st.none() | st.integers(0, 4096) | st.sampled_from((7.0, 2**60)),
        conversation_id=st.none() | st.sampled_from(("c1", "c2", "")),
        explanation=st.none() | texts(),
        issues=st.lists(st.sampled_from(ISSUES), max_size=3),
        extra=_extras(_METADATA_EXTRA_NAMES, OWN_METADATA_KEYS),
    )


def _one_of(*names: str) -> SearchStrategy[str]:
    return st.sampled_from(names)


def sources() -> SearchStrategy[list[dict[str, Any]]]:
    """Return sources: with a type, without one, with one that is no text, or nested."""
    flat: SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
        {},
        optional={
            "title": texts(),
            "type": st.sampled_from((*SOURCE_TYPES, None, 1)),
            "score": numbers(),
        },
    )
    nested = st.dictionaries(_one_of("type", "", "nested"), json_values(), max_size=2)
    return st.lists(flat | flat | nested, max_size=3)


def entries(
    ids: Iterable[str] | None = None, times: SearchStrategy[datetime] | None = None
) -> SearchStrategy[FeedbackEntry]:
    """Return entries.

    Args:
        ids: the ids to choose from; few ones make entries meet. Any, when None.
        times: when they are given; `timestamps`, when None.
    """
    keys = st.sampled_from(tuple(ids)) if ids is not None else texts().filter(bool)
    required = {
        "message_id": keys,
        "question": texts(),
        "answer": texts(),
        "rating": st.sampled_from(_RATINGS) | st.floats(0, 1),
        "timestamp": timestamps() if times is None else times,
    }
    optional = {
        "user_id": st.sampled_from(PEOPLE),
        "trace_id": texts(),
        "name": st.just("user_feedback") | texts(),
        "annotator_kind": st.sampled_from(ANNOTATOR_KINDS),
        "correction": texts(),
        "updated_at": timestamps(),
        "id": keys,
        "metadata": metadata(),
        "sources": sources(),
        "extra": _extras(_EXTRA_NAMES, OWN_KEYS),
    }
    plain = st.fixed_dictionaries(required, optional=optional).map(_entry)
    return plain | st.builds(_spelling, plain, _nulls())


def _entry(fields: dict[str, Any]) -> FeedbackEntry:
    return FeedbackEntry(**fields)


def _nulls() -> SearchStrategy[dict[str, Any]]:
    """Return keys of a JSON object that say nothing, those of the metadata below their name."""
    return st.fixed_dictionaries(
        {},
        optional={
            "id": st.none(),
            "user_id": st.none(),
            "annotator_kind": st.none(),
            "updated_at": st.none(),
            "sources": st.none(),
            "metadata": st.none(),
            "token_count": st.none(),
            "explanation": st.none(),
            "issues": st.sampled_from((None, [])),
        },
    )


def _spelling(entry: FeedbackEntry, nulls: dict[str, Any]) -> FeedbackEntry:
    """Return the entry as read from JSON that spells out some of what it does not say."""
    shown = codec.to_mapping(entry)
    for key, nothing in nulls.items():
        (shown["metadata"] if key in OWN_METADATA_KEYS else shown).setdefault(key, nothing)
    for key in {"sources", "metadata"}.intersection(nulls):
        shown[key] = shown[key] or None
    return codec.from_mapping(shown)


def batches(
    ids: Iterable[str] | None = None,
    times: SearchStrategy[datetime] | None = None,
    max_size: int = 6,
) -> SearchStrategy[list[FeedbackEntry]]:
    """Return lists of entries, some of which share an id.

    Args:
        ids: the ids to choose from; a handful, when None.
        times: when they are given; `timestamps`, when None.
        max_size: how many entries at most.
    """
    pool = ("a", "b", "B", "\U0001f600", "\uffee") if ids is None else tuple(ids)
    return st.lists(entries(ids=pool, times=times), max_size=max_size)


def queries(*, where: bool = False) -> SearchStrategy[Query]:
    """Return queries that find some of the drawn entries.

    Args:
        where: whether some hold a function of an entry.
    """
    conditions: dict[str, SearchStrategy[Any]] = {
        "rating": st.sampled_from(Rating),
        "since": timestamps(),
        "until": timestamps(),
        "issues": st.lists(st.sampled_from(ISSUES), max_size=2),
        "source_types": st.lists(st.sampled_from(SOURCE_TYPES), max_size=2),
        "text": st.sampled_from(("", "a", "STRASSE", "ss", "\U0001f600", "i", "\u2028", "%", "_")),
        "message_id": st.sampled_from(("a", "b", "")),
        "conversation_id": st.sampled_from(("c1", "c2", "")),
        "user_id": st.sampled_from(PEOPLE),
        "has_explanation": st.booleans(),
        "match": _matches(),
    }
    if where:
        conditions["where"] = st.sampled_from((_has_short_answer, _has_no_extra))
    few = st.lists(st.sampled_from(sorted(conditions)), max_size=2, unique=True)
    chosen = few.flatmap(lambda names: st.fixed_dictionaries({n: conditions[n] for n in names}))
    orders = st.none() | st.sampled_from(Order)
    return st.builds(lambda given, order: Query(**given, order=order), chosen, orders)


def _matches() -> SearchStrategy[dict[str, Any]]:
    channels: SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
        {"channel": st.sampled_from(CHANNELS) | st.none()}
    )
    names = _one_of(*_EXTRA_NAMES, *_METADATA_EXTRA_NAMES, "name", "token_count")
    values: SearchStrategy[Any] = st.sampled_from(
        (None, True, False, 0, 1, 1.0, "", "a", [], [1], [True], {})
    )
    return channels | st.dictionaries(names, values, max_size=2)


def _has_short_answer(entry: FeedbackEntry) -> bool:
    return len(entry.answer) < 3  # noqa: PLR2004  # any border does


def _has_no_extra(entry: FeedbackEntry) -> bool:
    return not entry.extra and not entry.metadata.extra
