"""What can be asked of a store: a `Query`, and the `Page` that answers it."""

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, TypeVar

import attrs

from feedback_store.entry import FeedbackEntry, Metadata
from feedback_store.errors import InvalidEntryError, InvalidQueryError
from feedback_store.frozen import EMPTY, FrozenDict, freeze, same_json
from feedback_store.rating import Rating

E = TypeVar("E", bound=StrEnum)


class Order(StrEnum):
    """The orders in which entries come."""

    NEWEST = "newest"
    """By timestamp and id, the latest first."""
    OLDEST = "oldest"
    """By timestamp and id, the earliest first."""
    RATING_DESC = "rating_desc"
    """The best rated first, unrated last; newest first among equals."""
    RATING_ASC = "rating_asc"
    """The worst rated first, unrated last; newest first among equals."""


def _as_rating(value: Rating | str | None) -> Rating | None:
    return None if value is None else _member(Rating, value, "rating")


def _as_order(value: Order | str | None) -> Order | None:
    return None if value is None else _member(Order, value, "order")


def _member(kind: type[E], value: object, where: str) -> E:
    try:
        return kind(str(value))
    except ValueError:
        msg = f"{where} must be one of {', '.join(kind)}"
        raise InvalidQueryError(msg) from None


def _as_time(value: object, name: str) -> datetime | None:
    if value is None:
        return None
    if not isinstance(value, datetime):
        msg = f"{name} must be a datetime, not a {type(value).__name__}"
        raise InvalidQueryError(msg)
    if value.tzinfo is None or value.utcoffset() is None:
        msg = f"{name} has no time zone; write it with one, such as tzinfo=datetime.UTC"
        raise InvalidQueryError(msg)
    try:
        return value.astimezone(UTC)
    except OverflowError:
        msg = f"{name} lies outside the years 1 to 9999 in UTC"
        raise InvalidQueryError(msg) from None


def _as_names(value: object, name: str) -> tuple[str, ...]:
    if isinstance(value, str) or not isinstance(value, Iterable):
        msg = f"{name} must be a list of strings, such as {name}=['a', 'b']"
        raise InvalidQueryError(msg)
    items: Iterable[object] = value
    names = tuple(items)
    if not all(isinstance(item, str) for item in names):
        msg = f"{name} must hold strings only"
        raise InvalidQueryError(msg)
    return tuple(map(str, names))


def _as_match(value: Mapping[str, Any]) -> FrozenDict:
    if not isinstance(value, Mapping):
        msg = "match must be a mapping, such as match={'channel': 'web'}"
        raise InvalidQueryError(msg)
    try:
        frozen: FrozenDict = freeze(value, "match")
    except InvalidEntryError as error:
        raise InvalidQueryError(str(error)) from None
    return frozen


def _check_text(_: object, field: "attrs.Attribute[Any]", value: object) -> None:
    if value is not None and not isinstance(value, str):
        msg = f"{field.name} must be a string, not a {type(value).__name__}"
        raise InvalidQueryError(msg)


def _check_flag(_: object, field: "attrs.Attribute[Any]", value: object) -> None:
    if value is not None and not isinstance(value, bool):
        msg = f"{field.name} must be True, False or None"
        raise InvalidQueryError(msg)


def _check_callable(_: object, field: "attrs.Attribute[Any]", value: object) -> None:
    if value is not None and not callable(value):
        msg = f"{field.name} must be a function of an entry"
        raise InvalidQueryError(msg)


# As for the fields of an entry: one converter per field, from which type checkers read its type.


def _since(value: datetime | None) -> datetime | None:
    return _as_time(value, "since")


def _until(value: datetime | None) -> datetime | None:
    return _as_time(value, "until")


def _issues(value: Iterable[str]) -> tuple[str, ...]:
    return _as_names(value, "issues")


def _source_types(value: Iterable[str]) -> tuple[str, ...]:
    return _as_names(value, "source_types")


@attrs.frozen(kw_only=True)
class Query:
    """Which entries, and in which order. Every condition that is given must hold.

    Attributes:
        rating: ``"positive"``, ``"negative"``, ``"neutral"`` or ``"unrated"``.
        since: only entries given at this time or later (aware).
        until: only entries given before this time (aware).
        issues: entries that have any of these issues.
        source_types: entries with a source of any of these types; ``"unknown"`` stands for an
            entry without sources, or a source without a type.
        text: entries whose question, answer or explanation contains this, whatever the case.
        message_id: entries about this message.
        conversation_id: entries of this conversation.
        user_id: entries by this user.
        has_explanation: whether the explanation must be there (and not empty) or absent.
        match: equality on any other key, top-level first, then in the metadata, such as
            ``{"channel": "web"}``. An absent key equals nothing; ``1`` equals ``1.0``, but
            never ``True``. Times are asked for by ``since`` and ``until``.
        where: a function of an entry, for anything else.
        order: see `Order`; unless told, pages are newest first and scans oldest first.

    Raises:
        InvalidQueryError: when a value is of the wrong type; the message names the field.
    """

    rating: Rating | None = attrs.field(default=None, converter=_as_rating)
    since: datetime | None = attrs.field(default=None, converter=_since)
    until: datetime | None = attrs.field(default=None, converter=_until)
    issues: tuple[str, ...] = attrs.field(default=(), converter=_issues)
    source_types: tuple[str, ...] = attrs.field(default=(), converter=_source_types)
    text: str | None = attrs.field(default=None, validator=_check_text, repr=False)
    message_id: str | None = attrs.field(default=None, validator=_check_text)
    conversation_id: str | None = attrs.field(default=None, validator=_check_text)
    user_id: str | None = attrs.field(default=None, validator=_check_text)
    has_explanation: bool | None = attrs.field(default=None, validator=_check_flag)
    match: Mapping[str, Any] = attrs.field(default=EMPTY, converter=_as_match)
    where: Callable[[FeedbackEntry], bool] | None = attrs.field(
        default=None, validator=_check_callable
    )
    order: Order | None = attrs.field(default=None, converter=_as_order)

    def matches(self, entry: FeedbackEntry) -> bool:
        """Say whether every condition holds for the entry."""
        return all(condition(entry) for condition in self.conditions())

    def conditions(self) -> list[Callable[[FeedbackEntry], bool]]:
        """Return one predicate per condition that is given, the cheapest first."""
        given: list[Callable[[FeedbackEntry], bool]] = []
        if (since := self.since) is not None:
            given.append(lambda e: e.timestamp >= since)
        if (until := self.until) is not None:
            given.append(lambda e: e.timestamp < until)
        if (rating := self.rating) is not None:
            given.append(lambda e: Rating.of(e.rating) is rating)
        if (message_id := self.message_id) is not None:
            given.append(lambda e: e.message_id == message_id)
        if (conversation_id := self.conversation_id) is not None:
            given.append(lambda e: e.metadata.conversation_id == conversation_id)
        if (user_id := self.user_id) is not None:
            given.append(lambda e: e.user_id == user_id)
        if (has_explanation := self.has_explanation) is not None:
            given.append(lambda e: bool(e.metadata.explanation) is has_explanation)
        return given + self._costlier_conditions()

    def _costlier_conditions(self) -> list[Callable[[FeedbackEntry], bool]]:
        given: list[Callable[[FeedbackEntry], bool]] = []
        if self.issues:
            given.append(has_any_issue(self.issues))
        if self.source_types:
            given.append(has_any_source_type(self.source_types))
        if self.match:
            pairs = tuple(self.match.items())
            given.append(lambda e: all(same_json(key_of(e, k), v) for k, v in pairs))
        if self.text:
            needle = self.text.casefold()
            given.append(lambda e: any(needle in t.casefold() for t in _texts_of(e)))
        if self.where is not None:
            given.append(self.where)
        return given

    @property
    def is_empty(self) -> bool:
        """Whether every entry matches."""
        return not self.conditions()

    def ordered(self, default: Order) -> "Query":
        """Return the query with its order, or with ``default`` where it names none."""
        if self.order is not None:
            return self
        ordered = object.__new__(Query)  # all of it was checked already
        for name in _FIELDS:
            object.__setattr__(ordered, name, getattr(self, name))
        object.__setattr__(ordered, "order", default)
        return ordered


_FIELDS = tuple(field.name for field in attrs.fields(Query))


def has_any_issue(issues: Iterable[str]) -> Callable[[FeedbackEntry], bool]:
    """Return the test of `Query.issues`."""
    wanted = frozenset(issues)
    return lambda entry: not wanted.isdisjoint(entry.metadata.issues)


def has_any_source_type(types: Iterable[str]) -> Callable[[FeedbackEntry], bool]:
    """Return the test of `Query.source_types`."""
    wanted = frozenset(types)
    return lambda entry: not wanted.isdisjoint(entry.source_types)


@attrs.frozen(kw_only=True)
class Page:
    """One page of an answer.

    Attributes:
        entries: the entries of this page, in order.
        total: how many entries match the query in all.
        next_cursor: what to pass as ``cursor`` for the next page; None on the last one.
    """

    entries: tuple[FeedbackEntry, ...]
    total: int
    next_cursor: str | None = None


_ABSENT = object()


def key_of(entry: FeedbackEntry, key: str) -> object:
    """Return what the entry's JSON holds under a key: top-level first, then in the metadata."""
    for place, names in ((entry, FIELD_NAMES), (entry.metadata, METADATA_NAMES)):
        if key in place.extra:
            return place.extra[key]
        if key in names:
            value = getattr(place, key)
            if key in place.spelled and value in (None, ()):
                return place.spelled[key]
            if value is not None or key == "rating":  # a rating is always shown
                return value
    return _ABSENT


FIELD_NAMES = frozenset(f.name for f in attrs.fields(FeedbackEntry)) - {
    "extra", "spelled", "metadata",
}  # fmt: skip
METADATA_NAMES = frozenset(f.name for f in attrs.fields(Metadata)) - {"extra", "spelled"}


def _texts_of(entry: FeedbackEntry) -> tuple[str, str, str]:
    return entry.question, entry.answer, entry.metadata.explanation or ""
