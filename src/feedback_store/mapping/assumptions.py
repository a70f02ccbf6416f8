"""What is assumed about a row that does not say all: each by a name that can be counted."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, NamedTuple, Protocol

from feedback_store.entry import FeedbackEntry


class Assumption(StrEnum):
    """Something that a row does not say, and that was decided for it."""

    NAIVE_TIME = "naive_time"
    """A time that names no zone was taken to be of the zone that was told, or of UTC."""
    CONTRADICTING_TIME = "contradicting_time"
    """That time and the one in the metadata are apart, as if it was of another zone."""
    EPOCH_TIME = "epoch_time"
    """A number was taken as seconds since 1970, or as milliseconds from 100,000,000,000 on."""
    METADATA_TIME = "metadata_time"
    """There is no time but the one in the metadata."""
    UNREADABLE_TIME = "unreadable_time"
    """The only time is in the metadata, cannot be read, and was passed over."""
    FALLBACK_TIME = "fallback_time"
    """There is no time: the fallback was taken. A migration tells which of the next three."""
    TIME_OF_NAME = "time_of_name"
    """There is no time: that of the date in the file's name was taken."""
    TIME_OF_FILE = "time_of_file"
    """There is no time: that of the file's last change was taken."""
    TIME_OF_MIGRATION = "time_of_migration"
    """There is no time: that of the migration was taken."""
    ROW_ID = "row_id"
    """There is no id: one was made, of a table and its key, or of the name it stands under."""
    NUMBER_AS_ID = "number_as_id"
    """A number is the id, and was taken as text."""
    ID_OF_MESSAGE = "id_of_message"
    """There is no message id: the id was taken."""
    EMPTY_TEXT = "empty_text"
    """The question or the answer is null, and became an empty text."""
    RATING_SCALED = "rating_scaled"
    """The rating was converted from the scale that was told."""
    HELPFUL = "helpful"
    """``helpful``, true or false, was taken as the rating."""
    POSITIVE_TAG = "positive_tag"
    """Positive, because one of its tags means that."""
    OTHER_TAGS = "other_tags"
    """Negative, because it has tags and none of them means positive."""
    UNTAGGED = "untagged"
    """Unrated, because it has no tags."""
    ISSUES_SPLIT = "issues_split"
    """Issues stood in one text, and were split at commas and semicolons."""
    SOURCES_NAMED = "sources_named"
    """A source was a bare text, and became the url, or the title, of one."""


class Mapped(NamedTuple):
    """An entry, and what was assumed to make it.

    Attributes:
        entry: the entry.
        assumed: each assumption once, in the order of `Assumption`.
        offset: with `Assumption.CONTRADICTING_TIME`, the offset from UTC that the clock seems to
            have had; None where no zone has such a one.
    """

    entry: FeedbackEntry
    assumed: tuple[Assumption, ...] = ()
    offset: timedelta | None = None


class RowMapping(Protocol):
    """What turns a row into an entry: `EntryMapping`, `VotesMapping`, or a function of yours."""

    def __call__(
        self,
        row: Mapping[str, Any],
        /,
        *,
        fallback_time: datetime,
        fallback_id: str | None = None,
    ) -> Mapped:
        """Return the entry that a row means; the row is not changed.

        The same row and fallbacks must give the same entry each time: a migration maps it when it
        plans, when it adds, and when it verifies.

        Args:
            row: keys, or columns, and values: those of JSON, or of a database's driver.
            fallback_time: the time of a row that tells none (aware).
            fallback_id: the id of a row that has none; without it such a row is refused.

        Raises:
            InvalidEntryError: the row is no entry; the message says why without quoting it.
        """
        ...
