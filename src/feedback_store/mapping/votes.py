"""Rows of a table of votes, and of anybody's table whose columns have other names than ours."""

import csv
from collections.abc import Collection, Mapping
from datetime import UTC, datetime, tzinfo
from typing import Any

import attrs

from feedback_store.entry import OWN_KEYS, OWN_METADATA_KEYS
from feedback_store.errors import InvalidEntryError
from feedback_store.frozen import FrozenDict
from feedback_store.mapping import values
from feedback_store.mapping.assumptions import Mapped
from feedback_store.mapping.draft import Draft
from feedback_store.mapping.scales import POSITIVE_TAGS, Scale

VOTES_COLUMNS: Mapping[str, str] = FrozenDict(
    user_query="question",
    bot_response="answer",
    evaluation_json="metadata",
    feedback_tags="tags",
    comment="explanation",
    citations="sources",
    timestamp="timestamp",
)
"""The columns of a table of votes, and the field that each is."""

FIELDS = OWN_KEYS | OWN_METADATA_KEYS | {"tags"}
"""What a column can be: a field of the entry, one of its metadata, or the tags."""


def _columns(given: Mapping[str, str]) -> FrozenDict:
    for column, field in given.items():
        if field not in FIELDS:
            msg = f"columns: {column!r} cannot be {field!r}; there are {', '.join(sorted(FIELDS))}"
            raise ValueError(msg)
    return FrozenDict(given)


@attrs.frozen(kw_only=True)
class VotesMapping:
    """Rows of a table of votes: tags in place of a rating. It is a `RowMapping`.

    The field ``tags`` stands for a list of tags: an entry is positive where one of them means so,
    negative where there are only others, unrated where there is none; the others become issues.
    The field ``metadata`` stands for an object whose keys become metadata. Columns that are not
    told stay as they are, among the entry's ``extra``, so that the key is kept. Empty and null
    cells say nothing.

    Attributes:
        columns: the fields that columns are; those of `VOTES_COLUMNS` unless told.
        table: what the id of a row begins with that comes without one, from a file: ``votes-1``.
        key: the column whose value goes on with it.
        assume_tz: the zone of times that name none.
        scale: the scale of the ratings, if a column is one.
        positive_tags: the tags that mean positive.

    Raises:
        ValueError: a column is told to be a field that is none.
    """

    columns: Mapping[str, str] = attrs.field(default=VOTES_COLUMNS, converter=_columns)
    table: str = "votes"
    key: str = "vote_id"
    assume_tz: tzinfo = UTC
    scale: Scale | None = attrs.field(default=None, converter=attrs.converters.optional(Scale))
    positive_tags: Collection[str] = POSITIVE_TAGS

    def __call__(
        self,
        row: Mapping[str, Any],
        /,
        *,
        fallback_time: datetime,
        fallback_id: str | None = None,
    ) -> Mapped:
        """Return the entry that a row means: see `RowMapping`.

        Raises:
            InvalidEntryError: it is none.
        """
        told: dict[str, Any] = values.plain(row)
        has_tags = "tags" in self.columns.values()
        draft = Draft(self._named(told), self.assume_tz)
        tags = _tags(draft.fields.pop("tags", None)) if has_tags else ()
        draft.unflatten()
        draft.split_issues()
        draft.name_sources()
        draft.identify(fallback_id if fallback_id is not None else self._id_of(told))
        draft.word()
        draft.rate(self.scale, self.positive_tags)
        if has_tags:
            draft.tag(tags, self.positive_tags)
        return draft.finish(fallback_time)

    def _named(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """Return the row with the names of our fields; two columns never become one."""
        named: dict[str, Any] = {}
        for column, field in self.columns.items():
            value = values.opened(row.get(column), column) if field == "metadata" else None
            if column in row and (field != "metadata" or isinstance(value, Mapping)):
                named[field] = row[column]
        taken = {column for column, field in self.columns.items() if field in named}
        for column, value in row.items():
            if column not in taken:
                named[f"{column}_" if column in named else column] = value
        return named

    def _id_of(self, row: Mapping[str, Any]) -> str | None:
        key = row.get(self.key)
        return f"{self.table}-{key}" if isinstance(key, int | str) and key != "" else None


def _tags(given: object) -> list[str]:
    """Return tags: a list, or the text of one, as JSON or as PostgreSQL writes an array.

    Raises:
        InvalidEntryError: they are no texts.
    """
    if given is None or given == "":
        return []
    if isinstance(given, str):
        given = _listed(given.strip())
    tags = values.texts(given)
    if tags is None:
        msg = "tags must be a list of texts"
        raise InvalidEntryError(msg)
    return list(tags)


def _listed(text: str) -> Any:  # noqa: ANN401  # any JSON value
    if text.startswith("{") and text.endswith("}"):
        return next(csv.reader([text[1:-1]], escapechar="\\", doublequote=False), [])
    listed = values.opened(text, "tags")
    return listed if isinstance(listed, list) else [text]
