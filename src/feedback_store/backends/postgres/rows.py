"""An entry as a row, and a row as an entry."""

import logging
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final, TypeAlias

import psycopg

from feedback_store.entry import FeedbackEntry
from feedback_store.sql import lines
from feedback_store.sql.classes import class_of, month_number
from feedback_store.sql.dialect import Dialect
from feedback_store.stamps import stamp_of
from feedback_store.stats import to_microseconds

logger = logging.getLogger("feedback_store.postgres")

Row: TypeAlias = tuple[Any, ...]

_KINDS: Final = {
    "id": "text", "message": "text", "conversation": "text", '"user"': "text", "stamp": "bigint",
    "month": "integer", "class": "smallint", "explained": "boolean",
    "rating": "double precision", "response_us": "numeric", "issues": "text", "types": "text",
    "body": "text",
}  # fmt: skip
"""The columns, and as what each is sent: an array goes as its text, since one of arrays is none."""

COLUMNS: Final = ", ".join(_KINDS)
_CAST = {"issues": "issues::text[]", "types": "types::text[]"}
_SENT = ", ".join(_CAST.get(name, name) for name in _KINDS)
_ARRAYS = ", ".join(f"%s::text::{kind}[]" for kind in _KINDS.values())

INSERT: Final = (
    f"INSERT INTO {{entry}} ({COLUMNS}) SELECT {_SENT} FROM unnest({_ARRAYS}) AS sent({COLUMNS}) "  # noqa: S608  # constants only
    "ON CONFLICT (id) DO NOTHING RETURNING id"
)
COPY: Final = f"COPY {{entry}} ({COLUMNS}) FROM STDIN"
UPDATE: Final = (
    f"UPDATE {{entry}} SET ({COLUMNS}) = (SELECT {_SENT} "  # noqa: S608  # constants only
    f"FROM unnest({_ARRAYS}) AS sent({COLUMNS})) WHERE id = %s"
)

_PUT = str.maketrans({"\x00": "\x01\x01", "\x01": "\x01\x02"})


def stored(text: str) -> str:
    r"""Return a text as a column holds it, which has no place for U+0000.

    U+0000 and U+0001 become two characters each, ``\x01\x01`` and ``\x01\x02``: so that two texts
    still compare as they did.
    """
    return text.translate(_PUT) if "\x00" in text or "\x01" in text else text


def shown(text: str) -> str:
    """Return the text that a column stands for: the opposite of `stored`."""
    if "\x01" not in text:
        return text
    return text.replace("\x01\x01", "\x00").replace("\x01\x02", "\x01")


def bindable(text: str) -> str | None:
    """Return a text as a column would hold it; NULL, which equals nothing, if none can."""
    return None if lines.SURROGATES.search(text) else stored(text)


POSTGRES: Final = Dialect(mark="%s", true="true", text=bindable)
"""How PostgreSQL words things, by way of psycopg."""


def row_of(entry: FeedbackEntry, line: bytes) -> Row:
    """Return the columns of an entry, in the order of `COLUMNS`, all as they are stored."""
    told, time = entry.metadata, entry.timestamp
    seconds = told.response_time
    return (
        stored(entry.id),
        None if entry.message_id == entry.id else stored(entry.message_id),
        None if told.conversation_id is None else stored(told.conversation_id),
        None if entry.user_id is None else stored(entry.user_id),
        stamp_of(time),
        month_number(time.year, time.month),
        class_of(entry),
        bool(told.explanation),
        entry.rating,
        None if seconds is None else to_microseconds(seconds),
        array_of(dict.fromkeys(map(stored, told.issues))),
        array_of(map(stored, entry.source_types)),
        line.decode(),
    )


def array_of(values: Iterable[Any]) -> str:
    """Return values as PostgreSQL writes an array of them."""
    return "{" + ",".join(map(_element, values)) + "}"


def _element(value: object) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return str(value)


def arrays_of(rows: Sequence[Row]) -> list[str]:
    """Return rows as one array for each column: what `INSERT` and `UPDATE` take."""
    return [array_of(column) for column in zip(*rows, strict=True)]


def copied(rows: Iterable[Row]) -> bytes:
    """Return rows as ``COPY`` reads them."""
    return "".join(map(_copied, rows)).encode()


def _copied(row: Row) -> str:
    fields = list(map(_field, row))
    line = "\t".join(fields)
    if line.count("\t") >= len(row) or "\n" in line or "\r" in line:  # seldom: looked for at once
        line = "\t".join(map(_without_breaks, fields))
    return line + "\n"


def _field(value: object) -> str:
    if isinstance(value, str):
        return value.replace("\\", "\\\\")
    return r"\N" if value is None else str(value)


def _without_breaks(field: str) -> str:
    return field.replace("\t", r"\t").replace("\n", r"\n").replace("\r", r"\r")


def bodies_of(cursor: psycopg.Cursor[Any]) -> list[bytes]:
    """Return the first column of an answer, as the bytes that came."""
    result = cursor.pgresult
    assert result is not None, "a statement with rows was run"
    return [result.get_value(n, 0) or b"" for n in range(result.ntuples)]


def entries_of(bodies: Iterable[bytes]) -> Iterator[FeedbackEntry]:
    """Decode bodies; one that somebody has damaged is told of, once, and left out."""
    return lines.entries_of(bodies, logger)
