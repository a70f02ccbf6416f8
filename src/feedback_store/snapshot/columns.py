"""An entry as a row of columns, for CSV and Parquet. The names and their order are fixed."""

from collections.abc import Callable
from typing import Any, NamedTuple

from feedback_store.codec import to_json
from feedback_store.entry import FeedbackEntry


class Column(NamedTuple):
    """A column.

    Attributes:
        name: its name.
        kind: ``text``, ``number``, ``time``, ``texts`` (a list), or ``json`` (any value, as text).
        value: gives its value of an entry; of ``json``, the value that is to be said.
    """

    name: str
    kind: str
    value: Callable[[FeedbackEntry], Any]


COLUMNS = (
    Column("id", "text", lambda e: e.id),
    Column("message_id", "text", lambda e: e.message_id),
    Column("question", "text", lambda e: e.question),
    Column("answer", "text", lambda e: e.answer),
    Column("rating", "number", lambda e: e.rating),
    Column("timestamp", "time", lambda e: e.timestamp),
    Column("explanation", "text", lambda e: e.metadata.explanation),
    Column("issues", "texts", lambda e: e.metadata.issues),
    Column("response_time", "number", lambda e: e.metadata.response_time),
    Column("token_count", "number", lambda e: e.metadata.token_count),
    Column("conversation_id", "text", lambda e: e.metadata.conversation_id),
    Column("user_id", "text", lambda e: e.user_id),
    Column("trace_id", "text", lambda e: e.trace_id),
    Column("name", "text", lambda e: e.name),
    Column("annotator_kind", "text", lambda e: e.annotator_kind),
    Column("correction", "text", lambda e: e.correction),
    Column("updated_at", "time", lambda e: e.updated_at),
    Column("source_types", "texts", lambda e: sorted(e.source_types) if e.sources else ()),
    Column("sources", "json", lambda e: e.sources or None),
    Column("metadata_extra", "json", lambda e: e.metadata.extra or None),
    Column("extra", "json", lambda e: e.extra or None),
)
"""What of an entry stands in which column; together they say all of it."""


def said(value: object) -> str | None:
    """Return a value of a ``json`` column as text; None where there is none."""
    return None if value is None else to_json(value)
