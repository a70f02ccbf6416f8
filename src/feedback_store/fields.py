"""The checks that the fields of an entry make: what is given becomes what is kept, or an error.

Every error names the field and says what to do; none quotes what a user or a model wrote.
"""

import sys
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, tzinfo
from typing import Any

from feedback_store.errors import InvalidEntryError
from feedback_store.frozen import JsonDict, check_text, freeze

_NUMBERS = (int, float)
_MAX_FLOAT = sys.float_info.max

ANNOTATOR_KINDS = ("HUMAN", "LLM", "CODE")
"""Who or what gave the feedback, in the terms of Phoenix and MLflow."""


def as_text(value: object, name: str) -> str:
    """Return a string as it is, if UTF-8 can say it."""
    if not isinstance(value, str):
        msg = f"{name} must be a string, not a {type(value).__name__}"
        raise InvalidEntryError(msg)
    return check_text(value, name)


def as_key(value: object, name: str) -> str:
    """Return a string that is not empty."""
    text = as_text(value, name)
    if not text:
        msg = f"{name} is empty; give the key of the rated message"
        raise InvalidEntryError(msg)
    return text


def as_optional_text(value: object, name: str) -> str | None:
    """Return a string or None."""
    return None if value is None else as_text(value, name)


def as_number(value: object, name: str) -> int | float | None:
    """Return a finite number or None; its type is kept."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, _NUMBERS):
        msg = f"{name} must be a number or None, not a {type(value).__name__}"
        raise InvalidEntryError(msg)
    if not -_MAX_FLOAT <= value <= _MAX_FLOAT:
        msg = f"{name} must be finite, and no larger than a float; use None if it is unknown"
        raise InvalidEntryError(msg)
    return int(value) if isinstance(value, int) else float(value)


def as_rating(value: object, name: str) -> int | float | None:
    """Return a number between 0 and 1, or None."""
    if isinstance(value, bool):
        msg = "rating must be a number or None; for a thumb use rating_from_thumbs(True)"
        raise InvalidEntryError(msg)
    rating = as_number(value, name)
    if rating is not None and not 0 <= rating <= 1:
        msg = "rating must lie between 0 (negative) and 1 (positive); see rating_from_stars"
        raise InvalidEntryError(msg)
    return rating


def as_annotator_kind(value: object, name: str) -> str | None:
    """Return one of `ANNOTATOR_KINDS`, or None."""
    if value is not None and value not in ANNOTATOR_KINDS:
        msg = f"annotator_kind must be one of {', '.join(ANNOTATOR_KINDS)}, or None"
        raise InvalidEntryError(msg)
    return as_optional_text(value, name)


def as_time(value: object, name: str) -> datetime:
    """Return an aware time in UTC."""
    if not isinstance(value, datetime):
        msg = (
            f"{name} must be a datetime, not a {type(value).__name__}; "
            "for text use datetime.fromisoformat"
        )
        raise InvalidEntryError(msg)
    return utc_time(value, name)


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
    if moved.fold:  # the second of two equal local times; UTC has no such
        moved = moved.replace(fold=0)
    if type(moved) is datetime:
        return moved
    return datetime.combine(moved.date(), moved.time(), UTC)


def aware_time(time: datetime, naive_tz: tzinfo, where: str) -> datetime:
    """Return a time in UTC; one that names no zone is taken to be of ``naive_tz``."""
    return utc_time(time if time.tzinfo is not None else time.replace(tzinfo=naive_tz), where)


def as_optional_time(value: object, name: str) -> datetime | None:
    """Return an aware time in UTC, or None."""
    return None if value is None else as_time(value, name)


def as_names(value: object, name: str) -> tuple[str, ...]:
    """Return strings as a tuple."""
    if isinstance(value, str) or not isinstance(value, Iterable):
        msg = f"{name} must be a list of strings, such as {name}=['inaccurate']"
        raise InvalidEntryError(msg)
    items: Iterable[object] = value
    return tuple(as_text(item, name) for item in items)


def as_mappings(value: object, name: str) -> tuple[JsonDict, ...]:
    """Return mappings as a tuple of frozen ones."""
    if isinstance(value, str | Mapping) or not isinstance(value, Iterable):
        msg = f"{name} must be a list of mappings, such as {name}=[{{'title': ..., 'type': ...}}]"
        raise InvalidEntryError(msg)
    items: Iterable[object] = value
    return tuple(as_mapping(item, f"{name}[{i}]") for i, item in enumerate(items))


def as_mapping(value: object, name: str) -> JsonDict:
    """Return a frozen copy of a mapping of JSON values; what is frozen already as it is."""
    if type(value) is JsonDict:
        return value
    if not isinstance(value, Mapping):
        msg = f"{name} must be a mapping, not a {type(value).__name__}"
        raise InvalidEntryError(msg)
    frozen: JsonDict = freeze(value, name)
    return frozen


def hidden(value: str | None) -> str:
    """Show the length of a text in place of the text."""
    return "None" if value is None else f"<{len(value)} characters>"


def counted(value: "tuple[object, ...] | Mapping[str, object]") -> str:
    """Show how many items there are in place of the items."""
    return f"<{len(value)} items>"


# One converter per field, by name: type checkers read from each what its field may be given, which
# is wider than what it keeps (`issues` takes any iterable of strings).


def message_id(value: str) -> str:
    """Keep `message_id`."""
    return as_key(value, "message_id")


def question(value: str) -> str:
    """Keep `question`."""
    return as_text(value, "question")


def answer(value: str) -> str:
    """Keep `answer`."""
    return as_text(value, "answer")


def rating(value: float | None) -> int | float | None:
    """Keep `rating`."""
    return as_rating(value, "rating")


def timestamp(value: datetime) -> datetime:
    """Keep `timestamp`."""
    return as_time(value, "timestamp")


def sources(value: Iterable[Mapping[str, Any]]) -> tuple[Mapping[str, Any], ...]:
    """Keep `sources`."""
    return as_mappings(value, "sources")


def entry_id(value: str) -> str:
    """Keep `id`."""
    return as_key(value, "id")


def user_id(value: str | None) -> str | None:
    """Keep `user_id`."""
    return as_optional_text(value, "user_id")


def trace_id(value: str | None) -> str | None:
    """Keep `trace_id`."""
    return as_optional_text(value, "trace_id")


def thing_name(value: str | None) -> str | None:
    """Keep `name`."""
    return as_optional_text(value, "name")


def annotator_kind(value: str | None) -> str | None:
    """Keep `annotator_kind`."""
    return as_annotator_kind(value, "annotator_kind")


def correction(value: str | None) -> str | None:
    """Keep `correction`."""
    return as_optional_text(value, "correction")


def updated_at(value: datetime | None) -> datetime | None:
    """Keep `updated_at`."""
    return as_optional_time(value, "updated_at")


def response_time(value: float | None) -> int | float | None:
    """Keep `response_time`."""
    return as_number(value, "response_time")


def token_count(value: float | None) -> int | float | None:
    """Keep `token_count`."""
    return as_number(value, "token_count")


def conversation_id(value: str | None) -> str | None:
    """Keep `conversation_id`."""
    return as_optional_text(value, "conversation_id")


def explanation(value: str | None) -> str | None:
    """Keep `explanation`."""
    return as_optional_text(value, "explanation")


def issues(value: Iterable[str]) -> tuple[str, ...]:
    """Keep `issues`."""
    return as_names(value, "issues")


def extra(value: Mapping[str, Any]) -> JsonDict:
    """Keep `extra`."""
    return as_mapping(value, "extra")


def spelled(value: Mapping[str, Any]) -> JsonDict:
    """Keep `spelled`."""
    return as_mapping(value, "spelled")
