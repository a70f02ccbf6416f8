"""One entry, one line of JSON: the only place that knows how an entry looks outside.

Reading has two ways. The fast one decodes a line straight into typed structs (msgspec); it takes
lines whose top-level keys are all known and whose sources are flat, as nearly all are. Every
other line goes the careful way, over a mapping and the model's own checks, which also words the
errors. Both give equal entries; a property test holds them against each other.
"""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, tzinfo
from functools import cache
from operator import attrgetter
from typing import TYPE_CHECKING, Any

import msgspec

from feedback_store.entry import OWN_KEYS, OWN_METADATA_KEYS, FeedbackEntry, Metadata
from feedback_store.errors import InvalidEntryError
from feedback_store.fields import aware_time
from feedback_store.frozen import EMPTY
from feedback_store.wire import decode_plain

if TYPE_CHECKING:
    from cattrs import Converter

MAX_ENTRY_BYTES = 1_048_576
"""The size that one encoded entry may have, in bytes, unless a store is told otherwise."""

_BOM = b"\xef\xbb\xbf"
_OPTIONAL = ("user_id", "trace_id", "name", "annotator_kind", "correction")
_SHOWN_ANYWAY = frozenset({"message_id", "question", "answer", "rating"})
_OPTIONAL_METADATA = ("response_time", "token_count", "conversation_id", "explanation")
_optional = attrgetter(*_OPTIONAL)
_optional_metadata = attrgetter(*_OPTIONAL_METADATA)
_encoder = msgspec.json.Encoder()
_any_decoder = msgspec.json.Decoder()
_NO_METADATA = Metadata()


def encode(entry: FeedbackEntry, max_bytes: int | None = None) -> bytes:
    """Return the entry as one line of UTF-8 JSON, without a newline in or after it.

    Args:
        entry: the entry.
        max_bytes: the size that is allowed, in bytes; any, when None.

    Raises:
        InvalidEntryError: the line would be larger than ``max_bytes``.
    """
    line = _encoder.encode(to_mapping(entry))
    if max_bytes is not None and len(line) > max_bytes:
        msg = (
            f"the entry takes {len(line)} bytes and at most {max_bytes} are allowed; "
            "shorten it, or open the store with a larger max_entry_bytes"
        )
        raise InvalidEntryError(msg)
    return line


def to_json(value: object) -> str:
    """Return a JSON value of an entry, such as its sources, as text."""
    return _encoder.encode(value).decode()


def to_mapping(entry: FeedbackEntry) -> dict[str, Any]:
    """Return the entry as the plain dictionary that its JSON shows."""
    spelled, metadata = entry.spelled, entry.metadata
    shown: dict[str, Any] = {
        "message_id": entry.message_id,
        "question": entry.question,
        "answer": entry.answer,
        "rating": entry.rating,
        "timestamp": format_time(entry.timestamp),
        "sources": entry.sources or spelled.get("sources", ()),
        "metadata": _metadata_mapping(metadata),
    }
    if "metadata" in spelled and metadata == _NO_METADATA:
        shown["metadata"] = spelled["metadata"]
    if entry.id != entry.message_id:
        shown["id"] = entry.id
    elif "id" in spelled:
        shown["id"] = spelled["id"]
    optional = zip(_OPTIONAL, _optional(entry), strict=True)
    shown.update({k: v for k, v in optional if v is not None or k in spelled})
    if entry.updated_at is not None:
        shown["updated_at"] = format_time(entry.updated_at)
    elif "updated_at" in spelled:
        shown["updated_at"] = None
    shown.update(entry.extra)
    return shown


def _metadata_mapping(metadata: Metadata) -> dict[str, Any]:
    spelled = metadata.spelled
    optional = zip(_OPTIONAL_METADATA, _optional_metadata(metadata), strict=True)
    shown: dict[str, Any] = {k: v for k, v in optional if v is not None or k in spelled}
    if metadata.issues:
        shown["issues"] = metadata.issues
    elif "issues" in metadata.spelled:
        shown["issues"] = metadata.spelled["issues"]
    shown.update(metadata.extra)
    return shown


def format_time(time: datetime) -> str:
    """Return a UTC time as ``2025-10-05T12:34:56.789Z``, with microseconds where it has them."""
    text = time.isoformat(timespec="microseconds" if time.microsecond % 1000 else "milliseconds")
    return text[:-6] + "Z"  # instead of +00:00: every time of an entry is in UTC


def decode(
    line: bytes, *, naive_tz: tzinfo = UTC, fallback_time: datetime | None = None
) -> FeedbackEntry:
    """Return the entry that a line of JSON holds.

    Args:
        line: UTF-8 JSON, with or without a newline or a byte order mark.
        naive_tz: the time zone of a timestamp that names none.
        fallback_time: the time of an entry that tells none, neither at the top level nor as
            ``metadata.timestamp``; without it such a line is refused.

    Raises:
        InvalidEntryError: the line is no JSON object, or no entry; the message says what is
            wrong with it without quoting it.
    """
    entry = decode_plain(line, naive_tz)
    if entry is None:
        return from_mapping(parse(line), naive_tz=naive_tz, fallback_time=fallback_time)
    return entry


def parse(line: bytes) -> Any:  # noqa: ANN401  # any JSON value
    """Return the JSON value of a line.

    Raises:
        InvalidEntryError: it is not JSON in UTF-8; the message does not quote it.
    """
    try:
        return _any_decoder.decode(line.removeprefix(_BOM))
    except UnicodeDecodeError as error:
        msg = f"not UTF-8 at byte {error.start} of a text"
    except RecursionError:
        msg = "nested too deeply"
    except msgspec.MsgspecError as error:
        msg = f"not JSON: {error}"
    raise InvalidEntryError(msg)


def from_mapping(
    given: object, *, naive_tz: tzinfo = UTC, fallback_time: datetime | None = None
) -> FeedbackEntry:
    """Return the entry that a decoded JSON object describes; the object is not changed.

    The arguments and errors are those of `decode`.
    """
    if not isinstance(given, Mapping):
        msg = f"an entry is a JSON object, not a {type(given).__name__}"
        raise InvalidEntryError(msg)
    for key in ("message_id", "question", "answer"):
        if key not in given:
            msg = f"{key} is missing"
            raise InvalidEntryError(msg)
    fields, spelled = _split(given, OWN_KEYS, shown_anyway=_SHOWN_ANYWAY)
    fields["metadata"], told = _metadata_from(fields.get("metadata", EMPTY))
    fields["timestamp"] = _time_of(fields.get("timestamp"), told, naive_tz, fallback_time)
    if "updated_at" in fields:
        fields["updated_at"] = _parse_time(fields["updated_at"], naive_tz, "updated_at")
    spelled.pop("timestamp", None)
    if fields.get("id") == given["message_id"]:
        spelled["id"] = fields["id"]
    return FeedbackEntry(**fields, spelled=spelled)


def _split(
    given: Mapping[str, Any], own: frozenset[str], *, shown_anyway: frozenset[str]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return our fields, with the others under ``extra``, and those of ours that say nothing."""
    fields: dict[str, Any] = {"extra": {}}
    spelled: dict[str, Any] = {}
    for key, value in given.items():
        if key not in own:
            fields["extra"][key] = value
        elif key not in shown_anyway and (value is None or (key == "issues" and value == [])):
            spelled[key] = value
        else:
            fields[key] = value
    return fields, spelled


def _metadata_from(given: object) -> tuple[Metadata, object]:
    """Return the metadata of a mapping, and the time that it tells."""
    if not isinstance(given, Mapping):
        msg = f"metadata must be a JSON object, not a {type(given).__name__}"
        raise InvalidEntryError(msg)
    fields, spelled = _split(given, OWN_METADATA_KEYS, shown_anyway=frozenset())
    return Metadata(**fields, spelled=spelled), given.get("timestamp")


def _time_of(
    given: object, told: object, naive_tz: tzinfo, fallback_time: datetime | None
) -> datetime:
    if given is not None:
        return _parse_time(given, naive_tz, "timestamp")
    if told is not None:
        try:
            return _parse_time(told, naive_tz, "metadata.timestamp")
        except InvalidEntryError:
            if fallback_time is None:
                raise
    if fallback_time is None:
        msg = "timestamp is missing"
        raise InvalidEntryError(msg)
    return fallback_time


def _parse_time(given: object, naive_tz: tzinfo, where: str) -> datetime:
    if not isinstance(given, str):
        msg = f"{where} must be text in ISO 8601 form, not a {type(given).__name__}"
        raise InvalidEntryError(msg)
    parsers: tuple[Callable[[str], datetime], ...] = (_rfc3339, datetime.fromisoformat)
    for parser in parsers:
        try:
            time = parser(given)
        except (msgspec.MsgspecError, ValueError, UnicodeEncodeError):
            continue
        return aware_time(time, naive_tz, where)
    msg = f"{where} is not a time in ISO 8601 form, such as 2025-10-05T12:34:56.789Z"
    raise InvalidEntryError(msg)


def _rfc3339(text: str) -> datetime:
    return msgspec.convert(text, datetime)


@cache
def converter() -> "Converter":
    """Return a cattrs converter that knows entries as this module does.

    It unstructures every value of this library (statistics, pages, reports) to what JSON can
    say, and structures entries. Use it inside your own converter by
    ``mine.register_structure_hook(FeedbackEntry, ...)``, or as it is.
    """
    from cattrs.preconf.json import make_converter  # noqa: PLC0415  # 50 ms that few need

    made = make_converter()
    made.register_unstructure_hook(FeedbackEntry, to_mapping)
    made.register_structure_hook(FeedbackEntry, lambda given, _: from_mapping(given))
    made.register_unstructure_hook(datetime, format_time)
    return made
