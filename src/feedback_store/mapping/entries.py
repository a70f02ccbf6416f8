"""Rows that look like an entry: JSON objects of older services, rows of CSV and SQLite."""

from collections.abc import Collection, Mapping
from datetime import UTC, datetime, tzinfo
from typing import Any

import attrs

from feedback_store.mapping import values
from feedback_store.mapping.assumptions import Mapped
from feedback_store.mapping.draft import Draft
from feedback_store.mapping.scales import POSITIVE_TAGS, Scale


@attrs.frozen(kw_only=True)
class EntryMapping:
    """Rows whose keys are those of an entry, in whole or in part. It is a `RowMapping`.

    A row of JSON that says all becomes what a store would read from that line; keys that are not
    known are kept. In a flat row, of a table, the metadata are columns of their own
    (``response_time`` or ``metadata.response_time``), sources and metadata may be texts of JSON,
    and a cell that is empty or null says nothing and leaves no key.

    Attributes:
        assume_tz: the zone of times that name none.
        scale: the scale of the ratings; unless told, a number outside 0 to 1 is refused.
        positive_tags: which of ``feedback_tags`` mean positive, where there is no other rating.
        flat: whether the rows are of a table.
    """

    assume_tz: tzinfo = UTC
    scale: Scale | None = attrs.field(default=None, converter=attrs.converters.optional(Scale))
    positive_tags: Collection[str] = POSITIVE_TAGS
    flat: bool = False

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
        draft = Draft(values.plain(row), self.assume_tz)
        if self.flat:
            draft.unflatten()
            draft.split_issues()
            draft.name_sources()
        draft.identify(fallback_id)
        draft.word()
        draft.rate(self.scale, self.positive_tags)
        return draft.finish(fallback_time)
