"""What feedback is: `FeedbackEntry` and its `Metadata`, immutable values that check themselves.

The names are those of the field's tools (Langfuse, LangSmith, MLflow, Phoenix, OpenTelemetry),
so that an exporter renames little; see the page on the file format for how an entry looks as JSON.
"""

import sys
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, TypeVar

import attrs

from feedback_store.errors import InvalidEntryError
from feedback_store.frozen import EMPTY, FrozenDict, check_text, freeze

T = TypeVar("T")
_NUMBERS = (int, float)
_MAX_FLOAT = sys.float_info.max

ANNOTATOR_KINDS = ("HUMAN", "LLM", "CODE")
"""Who or what gave the feedback, in the terms of Phoenix and MLflow."""


def rating_from_stars(stars: float, *, of: int) -> float:
    """Return the rating that a number of stars means: 4 of 5 is 0.75, 1 of 5 is 0.

    Args:
        stars: 1 up to ``of``; halves are fine.
        of: how many stars there are, 2 or more.

    Raises:
        InvalidEntryError: when the stars do not lie between 1 and ``of``.
    """
    if of < 2 or not 1 <= stars <= of:  # noqa: PLR2004  # one star alone is no scale
        msg = f"stars must lie between 1 and {of}, on a scale of at least 2"
        raise InvalidEntryError(msg)
    return (stars - 1) / (of - 1)


def rating_from_thumbs(up: bool) -> int:  # noqa: FBT001  # a thumb is a flag, and the only argument
    """Return 1 for a thumb up and 0 for a thumb down."""
    if not isinstance(up, bool):
        msg = "rating_from_thumbs takes True (up) or False (down)"
        raise InvalidEntryError(msg)
    return int(up)


def _text(value: object, field: "attrs.Attribute[Any]") -> str:
    if not isinstance(value, str):
        msg = f"{field.name} must be a string, not a {type(value).__name__}"
        raise InvalidEntryError(msg)
    return check_text(value, field.name)


def _key(value: object, field: "attrs.Attribute[Any]") -> str:
    text = _text(value, field)
    if not text:
        msg = f"{field.name} is empty; give the key of the rated message"
        raise InvalidEntryError(msg)
    return text


def _optional_text(value: object, field: "attrs.Attribute[Any]") -> str | None:
    return None if value is None else _text(value, field)


def _number(value: object, field: "attrs.Attribute[Any]") -> int | float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, _NUMBERS):
        msg = f"{field.name} must be a number or None, not a {type(value).__name__}"
        raise InvalidEntryError(msg)
    if not -_MAX_FLOAT <= value <= _MAX_FLOAT:
        msg = f"{field.name} must be finite, and no larger than a float; use None if it is unknown"
        raise InvalidEntryError(msg)
    return int(value) if isinstance(value, int) else float(value)


def _rating(value: object, field: "attrs.Attribute[Any]") -> int | float | None:
    if isinstance(value, bool):
        msg = "rating must be a number or None; for a thumb use rating_from_thumbs(True)"
        raise InvalidEntryError(msg)
    rating = _number(value, field)
    if rating is not None and not 0 <= rating <= 1:
        msg = "rating must lie between 0 (negative) and 1 (positive); see rating_from_stars"
        raise InvalidEntryError(msg)
    return rating


def _annotator_kind(value: object, field: "attrs.Attribute[Any]") -> str | None:
    if value is not None and value not in ANNOTATOR_KINDS:
        msg = f"annotator_kind must be one of {', '.join(ANNOTATOR_KINDS)}, or None"
        raise InvalidEntryError(msg)
    return _optional_text(value, field)


def _time(value: object, field: "attrs.Attribute[Any]") -> datetime:
    if not isinstance(value, datetime):
        msg = (
            f"{field.name} must be a datetime, not a {type(value).__name__}; "
            "for text use datetime.fromisoformat"
        )
        raise InvalidEntryError(msg)
    return utc_time(value, field.name)


def utc_time(value: datetime, where: str) -> datetime:
    """Return an aware time in UTC, as a plain ``datetime``.

    Raises:
        InvalidEntryError: for a naive time, and for one outside the years 1 to 9999 in UTC.
    """
    if value.tzinfo is None or value.utcoffset() is None:
        msg = (
            f"{where} has no time zone, so its instant is unknown; use datetime.now(UTC), "
            "or add one with .replace(tzinfo=...)"
        )
        raise InvalidEntryError(msg)
    try:
        moved = value.astimezone(UTC)
    except OverflowError:
        msg = f"{where} lies outside the years 1 to 9999 in UTC"
        raise InvalidEntryError(msg) from None
    if type(moved) is datetime:
        return moved
    date = (moved.year, moved.month, moved.day)
    return datetime(*date, moved.hour, moved.minute, moved.second, moved.microsecond, UTC)


def _optional_time(value: object, field: "attrs.Attribute[Any]") -> datetime | None:
    return None if value is None else _time(value, field)


def _issues(value: object, field: "attrs.Attribute[Any]") -> tuple[str, ...]:
    if isinstance(value, str) or not hasattr(value, "__iter__"):
        msg = "issues must be a list of strings, such as issues=['inaccurate']"
        raise InvalidEntryError(msg)
    return tuple(_text(issue, field) for issue in value)


def _sources(value: object) -> tuple[FrozenDict, ...]:
    if isinstance(value, str | Mapping) or not hasattr(value, "__iter__"):
        msg = "sources must be a list of mappings, such as sources=[{'title': ..., 'type': ...}]"
        raise InvalidEntryError(msg)
    sources = tuple(value)
    for i, source in enumerate(sources):
        if not isinstance(source, Mapping):
            msg = f"sources[{i}] must be a mapping, not a {type(source).__name__}"
            raise InvalidEntryError(msg)
    return tuple(freeze(source, f"sources[{i}]") for i, source in enumerate(sources))


def _mapping(value: object, field: "attrs.Attribute[Any]") -> FrozenDict:
    if not isinstance(value, Mapping):
        msg = f"{field.name} must be a mapping, not a {type(value).__name__}"
        raise InvalidEntryError(msg)
    frozen: FrozenDict = freeze(value, field.name)
    return frozen


def _refuse_own_names(instance: object, field: "attrs.Attribute[Any]", value: FrozenDict) -> None:
    names = OWN_KEYS if isinstance(instance, FeedbackEntry) else OWN_METADATA_KEYS
    if taken := sorted(names.intersection(value)):
        msg = f"{field.name} holds {taken[0]!r}, which is a field of its own; pass it as {taken[0]}"
        raise InvalidEntryError(msg)


def _hidden(value: str | None) -> str:
    return "None" if value is None else f"<{len(value)} characters>"


def _counted(value: "tuple[object, ...] | Mapping[str, object]") -> str:
    return f"<{len(value)} items>"


def _field(
    converter: Callable[..., Any], default: object = attrs.NOTHING, **more: Any  # noqa: ANN401  # attrs' own options
) -> Any:  # noqa: ANN401  # attrs.field's own type is Any to type checkers  # fmt: skip
    takes_field = attrs.Converter(converter, takes_field=True)
    return attrs.field(default=default, converter=takes_field, **more)


def _extra() -> Any:  # noqa: ANN401  # as above
    return _field(_mapping, EMPTY, validator=_refuse_own_names, repr=_counted)


def _spelled() -> Any:  # noqa: ANN401  # as above
    return _field(_mapping, EMPTY, eq=False, repr=False)


@attrs.frozen(kw_only=True)
class Metadata:
    """What is known about how an answer came to be, and what the user said of it.

    Attributes:
        response_time: seconds until the answer was there.
        token_count: tokens of the answer.
        conversation_id: the conversation that the message belongs to.
        explanation: what the user wrote about the answer.
        issues: what was wrong, as short names: ``("inaccurate", "too_verbose")``.
        extra: every other key, as JSON values.
        spelled: keys of ours that stood in the JSON and said nothing (null, an empty list), as
            they stood; they are given back when the entry is encoded, and do not count when
            entries are compared.

    Raises:
        InvalidEntryError: when a value is of the wrong type; the message names the field.
    """

    response_time: int | float | None = _field(_number, None)
    token_count: int | float | None = _field(_number, None)
    conversation_id: str | None = _field(_optional_text, None)
    explanation: str | None = _field(_optional_text, None, repr=_hidden)
    issues: tuple[str, ...] = _field(_issues, ())
    extra: Mapping[str, Any] = _extra()
    spelled: Mapping[str, Any] = _spelled()


def _metadata(value: object) -> Metadata:
    if not isinstance(value, Metadata):
        msg = f"metadata must be a Metadata(...), not a {type(value).__name__}"
        raise InvalidEntryError(msg)
    return value


@attrs.frozen(kw_only=True)
class FeedbackEntry:
    """One piece of feedback on one answer.

    The repr shows no text that a user or a model wrote, so that a log line may hold it.

    Attributes:
        message_id: the rated message.
        question: what was asked.
        answer: what was answered.
        rating: 1 positive, 0 negative, between them graded, None unrated; above 0.5 counts as
            positive, below as negative, 0.5 as neutral.
        timestamp: when the feedback was given: aware, kept in UTC to the microsecond; now,
            unless given.
        sources: what the answer relied on: mappings with ``title``, ``type``, ``content``,
            ``url``, or anything.
        metadata: see `Metadata`.
        id: the entry's own key; ``message_id`` unless given, so that several people can rate
            one message.
        user_id: who gave the feedback.
        trace_id: the trace of the answer, in a tracing system.
        name: what is rated, where there is more than one thing: ``"user_feedback"``.
        annotator_kind: ``"HUMAN"``, ``"LLM"`` or ``"CODE"``.
        correction: what the answer should have been.
        updated_at: when the entry was last changed (aware, UTC).
        extra: every other top-level key, as JSON values.
        spelled: as in `Metadata`.

    Raises:
        InvalidEntryError: when a value is missing its meaning (a naive time, a rating out of
            range, a lone surrogate, NaN); the message names the field and the remedy.
    """

    message_id: str = _field(_key)
    question: str = _field(_text, repr=_hidden)
    answer: str = _field(_text, repr=_hidden)
    rating: int | float | None = _field(_rating, None)
    timestamp: datetime = _field(_time, attrs.Factory(lambda: datetime.now(UTC)))
    sources: tuple[Mapping[str, Any], ...] = attrs.field(
        default=(), converter=_sources, repr=_counted
    )
    metadata: Metadata = attrs.field(factory=Metadata, converter=_metadata)
    id: str = _field(_key, attrs.Factory(lambda self: self.message_id, takes_self=True))
    user_id: str | None = _field(_optional_text, None)
    trace_id: str | None = _field(_optional_text, None)
    name: str | None = _field(_optional_text, None)
    annotator_kind: str | None = _field(_annotator_kind, None)
    correction: str | None = _field(_optional_text, None, repr=_hidden)
    updated_at: datetime | None = _field(_optional_time, None)
    extra: Mapping[str, Any] = _extra()
    spelled: Mapping[str, Any] = _spelled()

    @property
    def month(self) -> str:
        """The UTC month of the timestamp, such as ``"2025-10"``."""
        return f"{self.timestamp.year:04}-{self.timestamp.month:02}"


OWN_KEYS = frozenset(f.name for f in attrs.fields(FeedbackEntry)) - {"extra", "spelled"}
"""The top-level keys of an entry's JSON that are not extras."""

OWN_METADATA_KEYS = frozenset(f.name for f in attrs.fields(Metadata)) - {"extra", "spelled"}
"""The keys of the JSON's metadata that are not extras."""



def unchecked_maker(cls: type[T]) -> Callable[..., T]:
    """Return a function that makes instances of values that were checked already.

    It takes every field, by position. It is for the codec, which reads many entries that a typed
    decoder has checked: the constructor's own checks cost several times the object itself.
    """
    new = object.__new__
    setters = tuple(getattr(cls, field.name).__set__ for field in attrs.fields(cls))  # type: ignore[misc]  # attrs' fields want an attrs class, which T cannot say

    def make(*values: object) -> T:
        made = new(cls)
        for set_value, value in zip(setters, values, strict=True):
            set_value(made, value)
        return made

    return make
