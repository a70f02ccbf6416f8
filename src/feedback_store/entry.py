"""What feedback is: `FeedbackEntry` and its `Metadata`, immutable values that check themselves.

The names are those of the field's tools (Langfuse, LangSmith, MLflow, Phoenix, OpenTelemetry),
so that an exporter renames little; see the page on the file format for how an entry looks as JSON.
"""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

import attrs

from feedback_store import fields
from feedback_store.errors import InvalidEntryError
from feedback_store.frozen import EMPTY, JsonDict

UNKNOWN_SOURCE_TYPE = "unknown"
"""The source type of an entry without sources, and of a source that names no type."""

_NO_SOURCE_TYPES = frozenset((UNKNOWN_SOURCE_TYPE,))


def source_types_of(sources: Iterable[Mapping[str, Any]]) -> frozenset[str]:
    """Return the types of sources: see `FeedbackEntry.source_types`."""
    if not sources:
        return _NO_SOURCE_TYPES
    types = (source.get("type") for source in sources)
    return frozenset(t if isinstance(t, str) and t else UNKNOWN_SOURCE_TYPE for t in types)


def _refuse_own_names(instance: object, field: "attrs.Attribute[Any]", value: JsonDict) -> None:
    names = OWN_KEYS if isinstance(instance, FeedbackEntry) else OWN_METADATA_KEYS
    if taken := sorted(names.intersection(value)):
        msg = f"{field.name} holds {taken[0]!r}, which is a field of its own; pass it as {taken[0]}"
        raise InvalidEntryError(msg)


def _forget_what_is_said(value: "Metadata | FeedbackEntry") -> None:
    said = [key for key, shown in value.spelled.items() if not _says_nothing(value, key, shown)]
    if said:
        kept = {key: shown for key, shown in value.spelled.items() if key not in said}
        object.__setattr__(value, "spelled", JsonDict(kept))


def _says_nothing(value: "Metadata | FeedbackEntry", key: str, shown: object) -> bool:
    if isinstance(value, FeedbackEntry):
        if key == "id":
            return value.id == value.message_id and shown in (None, value.id)
        if key == "metadata":
            return shown is None and value.metadata == Metadata() and not value.metadata.spelled
        if key == "rating":
            return False  # it is always shown
    nothing = shown is None or (key == "issues" and shown == ())
    return nothing and getattr(value, key, value) in (None, ())


class _Referable:
    """What can be referred to weakly; its subclasses have slots of their own only: `open_twin`."""

    __slots__ = ("__weakref__",)


@attrs.frozen(kw_only=True)
class Metadata(_Referable):
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

    response_time: int | float | None = attrs.field(default=None, converter=fields.response_time)
    token_count: int | float | None = attrs.field(default=None, converter=fields.token_count)
    conversation_id: str | None = attrs.field(default=None, converter=fields.conversation_id)
    explanation: str | None = attrs.field(
        default=None, repr=fields.hidden, converter=fields.explanation
    )
    issues: tuple[str, ...] = attrs.field(default=(), converter=fields.issues)
    extra: Mapping[str, Any] = attrs.field(
        default=EMPTY, converter=fields.extra, validator=_refuse_own_names, repr=fields.counted
    )
    spelled: Mapping[str, Any] = attrs.field(
        default=EMPTY, converter=fields.spelled, eq=False, repr=False
    )

    def __attrs_post_init__(self) -> None:
        """Forget how a key was spelled that says something now: its line could not tell."""
        if self.spelled:
            _forget_what_is_said(self)


def _metadata(value: object) -> Metadata:
    if not isinstance(value, Metadata):
        msg = f"metadata must be a Metadata(...), not a {type(value).__name__}"
        raise InvalidEntryError(msg)
    return value


@attrs.frozen(kw_only=True)
class FeedbackEntry(_Referable):
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

    message_id: str = attrs.field(converter=fields.message_id)
    question: str = attrs.field(repr=fields.hidden, converter=fields.question)
    answer: str = attrs.field(repr=fields.hidden, converter=fields.answer)
    rating: int | float | None = attrs.field(default=None, converter=fields.rating)
    timestamp: datetime = attrs.field(
        default=attrs.Factory(lambda: datetime.now(UTC)), converter=fields.timestamp
    )
    sources: tuple[Mapping[str, Any], ...] = attrs.field(
        default=(), converter=fields.sources, repr=fields.counted
    )
    metadata: Metadata = attrs.field(factory=Metadata, converter=_metadata)
    id: str = attrs.field(
        default=attrs.Factory(lambda self: self.message_id, takes_self=True),
        converter=fields.entry_id,
    )
    user_id: str | None = attrs.field(default=None, converter=fields.user_id)
    trace_id: str | None = attrs.field(default=None, converter=fields.trace_id)
    name: str | None = attrs.field(default=None, converter=fields.thing_name)
    annotator_kind: str | None = attrs.field(default=None, converter=fields.annotator_kind)
    correction: str | None = attrs.field(
        default=None, repr=fields.hidden, converter=fields.correction
    )
    updated_at: datetime | None = attrs.field(default=None, converter=fields.updated_at)
    extra: Mapping[str, Any] = attrs.field(
        default=EMPTY, converter=fields.extra, validator=_refuse_own_names, repr=fields.counted
    )
    spelled: Mapping[str, Any] = attrs.field(
        default=EMPTY, converter=fields.spelled, eq=False, repr=False
    )

    def __attrs_post_init__(self) -> None:
        """Forget how a key was spelled that says something now: its line could not tell."""
        if self.spelled:
            _forget_what_is_said(self)

    @property
    def source_types(self) -> frozenset[str]:
        """The types of the sources, ``"unknown"`` where one names none, or where there are none."""
        return source_types_of(self.sources)

    @property
    def month(self) -> str:
        """The UTC month of the timestamp, such as ``"2025-10"``."""
        return f"{self.timestamp.year:04}-{self.timestamp.month:02}"


def open_twin(cls: type[_Referable]) -> type[Any]:
    """Return a class of the same slots whose instances can be changed, until they become one.

    It is for the codec, which reads many entries that a typed decoder has checked: the
    constructor's checks cost several times the object itself, and so does setting the fields of
    a frozen object one by one. An instance of the twin is filled by plain assignments, and then
    made immutable by giving it ``cls`` as its ``__class__``, which Python allows between classes
    of one layout.
    """
    return type(f"Open{cls.__name__}", cls.__bases__, {"__slots__": cls.__slots__})


_OpenEntry = open_twin(FeedbackEntry)


def with_checked(entry: FeedbackEntry, **checked: Any) -> FeedbackEntry:  # noqa: ANN401  # any field's value
    """Return the entry with other values, which were checked already, in some of its fields.

    The others are not checked again, as `attrs.evolve` does: that costs ten times the copy.
    """
    if entry.spelled:  # what a key says now may be told otherwise
        return attrs.evolve(entry, **checked)
    made: Any = object.__new__(_OpenEntry)
    for name in FeedbackEntry.__slots__:
        setattr(made, name, getattr(entry, name))
    for name, value in checked.items():
        setattr(made, name, value)
    made.__class__ = FeedbackEntry
    copied: FeedbackEntry = made
    return copied


OWN_KEYS = frozenset(f.name for f in attrs.fields(FeedbackEntry)) - {"extra", "spelled"}
"""The top-level keys of an entry's JSON that are not extras."""

OWN_METADATA_KEYS = frozenset(f.name for f in attrs.fields(Metadata)) - {"extra", "spelled"}
"""The keys of the JSON's metadata that are not extras."""
