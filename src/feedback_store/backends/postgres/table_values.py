"""Values of anybody's columns: what psycopg makes of them, and what JSON can say of them."""

import base64
import json
import math
from collections.abc import Callable
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import psycopg
from psycopg.abc import AdaptContext, Buffer
from psycopg.adapt import Loader
from psycopg.pq import Format
from psycopg.types.json import set_json_loads
from psycopg.types.string import TextLoader

_KNOWN = frozenset({
    "bool", "int2", "int4", "int8", "oid", "float4", "float8", "numeric", "text", "varchar",
    "bpchar", "name", "json", "jsonb", "bytea", "uuid", "date", "timestamp", "timestamptz",
    "interval",
})  # fmt: skip
"""Types that Python and JSON have a word for; a value of another one is the server's text."""

_TIMES = ("date", "timestamp", "timestamptz", "interval")
_LONGEST_NUMBER = 300
"""Digits. Longer numbers are texts: few programs read them, and Python refuses to write them."""


def adapt(cursor: psycopg.Cursor[Any], *, spans_as_text: bool) -> None:
    """Let a cursor read every value of every type, whatever Python makes of it.

    Args:
        cursor: what reads.
        spans_as_text: whether an interval is the server's text. Python's counts no months.
    """
    types = cursor.adapters.types
    for info in types:
        if info.name not in _KNOWN or (spans_as_text and info.name == "interval"):
            cursor.adapters.register_loader(info.oid, TextLoader)
    for name in _TIMES:
        oid = types[name].oid
        found = cursor.adapters.get_loader(oid, Format.TEXT)
        if found is not None and found is not TextLoader:
            cursor.adapters.register_loader(oid, _forgiving(found))
    set_json_loads(_loads, cursor)


def _forgiving(kind: Any) -> type[Loader]:  # noqa: ANN401  # a class of Python's or of C's
    """Return a loader that gives the text of what Python has no value for, such as infinity."""

    class Forgiving(Loader):
        def __init__(self, oid: int, context: AdaptContext | None = None) -> None:
            super().__init__(oid, context)
            self._load: Callable[[Buffer], object] = kind(oid, context).load

        def load(self, data: Buffer) -> object:
            try:
                return self._load(data)
            except (psycopg.DataError, OverflowError):
                return bytes(data).decode()

    return Forgiving


def _loads(data: str | bytes) -> Any:  # noqa: ANN401  # any JSON value
    """Return a JSON value without loss; the text of it, where there is no other way."""
    text = data if isinstance(data, str) else bytes(data).decode()
    try:
        value = json.loads(text, parse_float=_float, parse_int=_int)
        if "\\u" in text:
            json.dumps(value, ensure_ascii=False).encode()  # half of a pair is no character
    except (RecursionError, UnicodeEncodeError):
        return text
    return value


def _int(digits: str) -> int | str:
    return digits if len(digits) > _LONGEST_NUMBER else int(digits)


def _float(digits: str) -> float | str:
    value = float(digits)
    return value if math.isfinite(value) and Decimal(repr(value)) == Decimal(digits) else digits


def to_json(value: object) -> Any:  # noqa: ANN401  # any JSON value
    """Return a value of a column as JSON can say it, without loss.

    Times are texts in ISO 8601 form, bytes are base64, decimals are numbers where one is the same
    and texts elsewhere, as are infinity and what is no number.
    """
    if isinstance(value, list | tuple):
        return [to_json(item) for item in value]
    if isinstance(value, dict):
        return {key: to_json(item) for key, item in value.items()}
    for kinds, convert in _CONVERSIONS:
        if isinstance(value, kinds):
            return convert(value)
    return value


def _of_float(value: float) -> float | str:
    return value if math.isfinite(value) else str(Decimal(value))


def _of_bytes(value: bytes) -> str:
    return base64.b64encode(value).decode()


def _of_decimal(value: Decimal) -> int | float | str:
    _, digits, exponent = value.as_tuple()
    if not isinstance(exponent, int):
        return str(value)
    if exponent >= 0:
        return int(value) if len(digits) + exponent <= _LONGEST_NUMBER else str(value)
    near = float(value)
    return near if Decimal(repr(near)) == value else str(value)


_CONVERSIONS: tuple[tuple[type | tuple[type, ...], Callable[[Any], Any]], ...] = (
    (float, _of_float),
    (Decimal, _of_decimal),
    ((datetime, date), lambda time: time.isoformat()),
    ((bytes, bytearray, memoryview), _of_bytes),
    (UUID, str),
)


def to_map(value: object) -> object:
    """Return a value of a column for a mapping to entries: bytes that are no text are base64."""
    if not isinstance(value, bytes | bytearray | memoryview):
        return value
    try:
        return bytes(value).decode()
    except UnicodeDecodeError:
        return to_json(value)
