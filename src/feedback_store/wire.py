"""The fast way to read a line: straight into typed structs, by a compiled decoder.

It takes lines whose top-level keys are all known and whose sources are flat, as nearly all are, and
leaves every other line, and every doubt, to the careful way in `feedback_store.codec`.
"""

from datetime import UTC, datetime, tzinfo
from typing import Annotated, Any, Literal, NamedTuple

import msgspec

from feedback_store.entry import (
    OWN_METADATA_KEYS,
    FeedbackEntry,
    Metadata,
    open_twin,
    source_types_of,
)
from feedback_store.errors import InvalidEntryError
from feedback_store.fields import aware_time
from feedback_store.frozen import EMPTY, JsonDict, freeze

# An integer that no float comes near is left to the model's checks.
_Int = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]

# What was absent shows as None, while a null does not fit the type and goes the careful way,
# which remembers it: the two must come out as they went in.
_ABSENT: Any = None


class _Wire(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """A plain line, as nearly all lines are."""

    message_id: str
    question: str
    answer: str
    timestamp: datetime
    rating: int | float | None = None
    sources: tuple[dict[str, str | int | float | bool | None], ...] = ()
    metadata: msgspec.Raw = _ABSENT
    id: str = _ABSENT
    user_id: str = _ABSENT
    trace_id: str = _ABSENT
    name: str = _ABSENT
    annotator_kind: Literal["HUMAN", "LLM", "CODE"] = _ABSENT
    correction: str = _ABSENT
    updated_at: datetime = _ABSENT


_wire_decoder = msgspec.json.Decoder(_Wire)
_OpenEntry = open_twin(FeedbackEntry)
_OpenMetadata = open_twin(Metadata)
_new = object.__new__
_NO_METADATA = Metadata()
_JSON_CONTAINERS = (dict, list)


def decode_plain(line: bytes, naive_tz: tzinfo) -> FeedbackEntry | None:
    """Return the entry of a plain line, or None for one that the careful way must read."""
    try:
        return _entry_of(_wire_decoder.decode(line), naive_tz)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, InvalidEntryError):
        return None


class Glimpse(NamedTuple):
    """What an index and a filter ask of an entry; all of it without making the entry.

    Attributes:
        id: see `FeedbackEntry`; so are the others.
        timestamp: when.
        rating: the rating.
        issues: the issues of its metadata.
        source_types: the types of its sources.
        explained: whether there is an explanation that says something.
        response_time: of its metadata.
    """

    id: str
    timestamp: datetime
    rating: int | float | None
    issues: tuple[str, ...]
    source_types: frozenset[str]
    explained: bool
    response_time: int | float | None

    @classmethod
    def of(cls, entry: FeedbackEntry) -> "Glimpse":
        """Return that of an entry."""
        metadata = entry.metadata
        return cls(
            entry.id,
            entry.timestamp,
            entry.rating,
            metadata.issues,
            entry.source_types,
            bool(metadata.explanation),
            metadata.response_time,
        )


def glimpse_of_plain(line: bytes, naive_tz: tzinfo) -> Glimpse | None:
    """Return that of a line which `decode_plain` would take; None for any other.

    For an index of many lines: it checks all that the entry's making would, and makes nothing.
    """
    try:
        wire = _wire_decoder.decode(line)
        told: msgspec.Raw | None = wire.metadata
        metadata = _NOTHING if told is None else _plain_metadata_decoder.decode(told)
        updated_at: datetime | None = wire.updated_at
        if updated_at is not None:
            aware_time(updated_at, naive_tz, "updated_at")
        if not _is_plain(wire):
            return None
        time = wire.timestamp
        return Glimpse(
            wire.id or wire.message_id,
            time if time.tzinfo is UTC else aware_time(time, naive_tz, "timestamp"),
            wire.rating,
            metadata.issues,
            source_types_of(wire.sources),
            bool(metadata.explanation),
            metadata.response_time,
        )
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, InvalidEntryError):
        return None


class Revised(msgspec.Struct, frozen=True, gc=False):
    """An entry as it was at a revision, for stores that keep many in memory.

    Not a tuple: the collector would look at each of them again and again, for nothing.

    Attributes:
        revision: which one.
        id: the entry's id.
        stamp: its time, in microseconds since 1970.
        body: the entry as the codec's line.
    """

    revision: str
    id: str
    stamp: int
    body: bytes


class _Keys(msgspec.Struct, gc=False):
    """What tells an entry from others; the rest of the line is passed over."""

    message_id: Annotated[str, msgspec.Meta(min_length=1)]
    timestamp: datetime
    id: Annotated[str, msgspec.Meta(min_length=1)] = _ABSENT


_keys_decoder = msgspec.json.Decoder(_Keys)


def keys_of_written(line: bytes) -> tuple[str, datetime] | None:
    """Return id and time of a line that is as `codec.encode` wrote it; None where in doubt.

    For lines that a checksum has proved: nothing else of them is looked at.
    """
    try:
        keys = _keys_decoder.decode(line)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    return (keys.id or keys.message_id, keys.timestamp) if keys.timestamp.tzinfo is UTC else None


class _Times(_Keys, gc=False):
    """The same, with all times that the reading of a line depends on."""

    updated_at: datetime | None = None


_times_decoder = msgspec.json.Decoder(_Times)


def mean_the_same_anywhere(lines: bytes, count: int) -> bool:
    """Say whether so many lines, with newlines between them, can be copied as they are.

    That is: each is an entry in valid JSON and UTF-8, whose times name UTC, so that it is read
    alike whatever a store assumes of times without a zone. Doubts are a no.
    """
    try:
        if not lines.isascii():
            str(lines, "utf-8")  # what is passed over below is not looked at in this respect
        found = _times_decoder.decode_lines(lines)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return False
    zones = {keys.timestamp.tzinfo for keys in found}
    zones.update([keys.updated_at.tzinfo for keys in found if keys.updated_at is not None])
    return len(found) == count == lines.count(b"\n") + 1 and zones == {UTC}


def _is_plain(wire: _Wire) -> bool:
    rating = wire.rating
    if rating is not None and not 0 <= rating <= 1:
        return False
    return bool(wire.message_id) and wire.id not in ("", wire.message_id)


def _entry_of(wire: _Wire, naive_tz: tzinfo) -> FeedbackEntry | None:
    """Return the entry of a plain line, or None where only the careful way will do."""
    if not _is_plain(wire):
        return None
    time = wire.timestamp
    updated_at: datetime | None = wire.updated_at
    told: msgspec.Raw | None = wire.metadata
    made: Any = _new(_OpenEntry)
    made.message_id = wire.message_id
    made.question = wire.question
    made.answer = wire.answer
    made.rating = wire.rating
    made.timestamp = time if time.tzinfo is UTC else aware_time(time, naive_tz, "timestamp")
    made.sources = tuple([JsonDict(source) for source in wire.sources])
    made.metadata = _NO_METADATA if told is None else _plain_metadata(told)
    made.id = wire.id or wire.message_id
    made.user_id = wire.user_id
    made.trace_id = wire.trace_id
    made.name = wire.name
    made.annotator_kind = wire.annotator_kind
    made.correction = wire.correction
    made.updated_at = None if updated_at is None else aware_time(updated_at, naive_tz, "updated_at")
    made.extra = EMPTY
    made.spelled = EMPTY
    made.__class__ = FeedbackEntry
    entry: FeedbackEntry = made
    return entry


def _plain_metadata(told: msgspec.Raw) -> Metadata:
    try:
        plain = _plain_metadata_decoder.decode(told)
    except msgspec.MsgspecError:
        return _other_metadata(_any_metadata_decoder.decode(told))
    return _metadata_of(plain, plain.issues, EMPTY, EMPTY)


def _other_metadata(given: dict[str, Any]) -> Metadata:
    """Return metadata that has other keys than ours, or some of ours that say nothing."""
    known = msgspec.convert(given, _WireMetadata)
    extra = {
        key: freeze(value, key, 1) if value.__class__ in _JSON_CONTAINERS else value
        for key, value in given.items()
        if key not in OWN_METADATA_KEYS
    }
    spelled = EMPTY
    if None in given.values() or given.get("issues") == []:
        nothing = {k: v for k, v in given.items() if v is None or v == []}
        spelled = JsonDict(
            {k: v if v is None else () for k, v in nothing.items() if k not in extra}
        )
    return _metadata_of(known, known.issues or (), JsonDict(extra) if extra else EMPTY, spelled)


def _metadata_of(
    known: "_PlainMetadata | _WireMetadata",
    issues: tuple[str, ...],
    extra: JsonDict,
    spelled: JsonDict,
) -> Metadata:
    made: Any = _new(_OpenMetadata)
    made.response_time = known.response_time
    made.token_count = known.token_count
    made.conversation_id = known.conversation_id
    made.explanation = known.explanation
    made.issues = issues
    made.extra = extra
    made.spelled = spelled
    made.__class__ = Metadata
    metadata: Metadata = made
    return metadata


class _PlainMetadata(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """Metadata that has no other keys than ours, each with a value."""

    response_time: _Int | float = _ABSENT
    token_count: _Int | float = _ABSENT
    conversation_id: str = _ABSENT
    explanation: str = _ABSENT
    issues: Annotated[tuple[str, ...], msgspec.Meta(min_length=1)] = ()


class _WireMetadata(msgspec.Struct, gc=False):
    """The known keys of metadata; the others are left where they are."""

    response_time: _Int | float | None = None
    token_count: _Int | float | None = None
    conversation_id: str | None = None
    explanation: str | None = None
    issues: tuple[str, ...] | None = ()


_NOTHING = _PlainMetadata()
_plain_metadata_decoder = msgspec.json.Decoder(_PlainMetadata)
_any_metadata_decoder = msgspec.json.Decoder(dict[str, Any])
