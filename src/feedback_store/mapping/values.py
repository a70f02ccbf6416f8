"""Values as JSON, drivers and tables give them, and what they are in JSON."""

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from feedback_store import codec
from feedback_store.errors import InvalidEntryError
from feedback_store.frozen import MAX_DEPTH

_MILLISECONDS_FROM = 100_000_000_000
"""As seconds it is the year 5138, as milliseconds 1973."""

_DIGITS = re.compile(r"-?\d{9,}(\.\d+)?")  # eight of them are a date
_NAMES_ZONE = re.compile(r"(?:[Zz]|[+-]\d{2}(?::?\d{2}){0,2})$")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def plain(value: object, depth: int = 0) -> Any:  # noqa: ANN401  # any JSON value
    """Return a value of a driver as one of JSON; what has no counterpart, as it is.

    Times become text, decimals numbers, spans seconds, and bytes the text that they are in UTF-8.

    Raises:
        InvalidEntryError: bytes are not UTF-8.
    """
    if value.__class__ in _AS_THEY_ARE:
        return value
    if isinstance(value, Mapping) and depth <= MAX_DEPTH:
        return {key: plain(item, depth + 1) for key, item in value.items()}
    if isinstance(value, list | tuple) and depth <= MAX_DEPTH:
        return [plain(item, depth + 1) for item in value]
    for kinds, convert in _CONVERSIONS:
        if isinstance(value, kinds):
            return convert(value)
    return value


def _of_decimal(value: Decimal) -> int | float:
    exponent = value.as_tuple().exponent  # a text for NaN and its kin
    return int(value) if isinstance(exponent, int) and exponent >= 0 else float(value)


def _of_bytes(value: bytes) -> str:
    try:
        return bytes(value).decode()
    except UnicodeDecodeError as error:
        msg = f"not UTF-8 at byte {error.start} of a value"
    raise InvalidEntryError(msg)


# Nearly all values are of these, and asking for what they are not costs most of the time.
_AS_THEY_ARE = frozenset({str, int, float, bool, type(None)})
_CONVERSIONS: tuple[tuple[type | tuple[type, ...], Callable[[Any], Any]], ...] = (
    (Decimal, _of_decimal),
    (datetime, datetime.isoformat),
    (date, date.isoformat),
    (timedelta, timedelta.total_seconds),
    (UUID, str),
    ((bytes, bytearray, memoryview), _of_bytes),
)


def opened(value: object, where: str) -> Any:  # noqa: ANN401  # any JSON value
    """Return the object or list that a text of JSON holds; any other value as it is.

    Raises:
        InvalidEntryError: the text begins like JSON, and is none.
    """
    if not isinstance(value, str) or not value.lstrip().startswith(("{", "[")):
        return value
    try:
        return codec.parse(value.encode())
    except (InvalidEntryError, UnicodeEncodeError):
        msg = f"{where} begins like JSON and is none"
    raise InvalidEntryError(msg)


def number(value: object) -> Any:  # noqa: ANN401  # any JSON value
    """Return the number that a text is; what is none, as it is. 1 is 1, and 1.0 stays 1.0."""
    if not isinstance(value, str):
        return value
    for kind in (int, float):
        try:
            return kind(value)
        except ValueError:
            continue
    return value


def epoch_time(value: object) -> datetime | None:
    """Return the time that a number of seconds, or of milliseconds, since 1970 is; else None.

    Raises:
        InvalidEntryError: no time is so far from 1970.
    """
    if isinstance(value, str) and _DIGITS.fullmatch(value.strip()):
        value = number(value.strip())
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        if abs(value) >= _MILLISECONDS_FROM:
            return _EPOCH + timedelta(milliseconds=value)
        return _EPOCH + timedelta(seconds=value)
    except (OverflowError, ValueError):
        msg = "timestamp is a number that is no time since 1970"
    raise InvalidEntryError(msg)


def names_zone(text: str) -> bool:
    """Say whether a time in ISO 8601 form names its zone."""
    time = local_time(text)
    return bool(_NAMES_ZONE.search(text)) if time is None else time.tzinfo is not None


def local_time(text: object) -> datetime | None:
    """Return the time of a text in ISO 8601 form, naive where it names no zone; None for others."""
    if not isinstance(text, str):
        return None
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None


def texts(value: object) -> Sequence[str] | None:
    """Return a list of texts as it is, and None for anything else."""
    if isinstance(value, list | tuple) and all(isinstance(item, str) for item in value):
        return value
    return None
