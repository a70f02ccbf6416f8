"""What there is to migrate: whatever yields rows, and what is known of it."""

from collections.abc import Callable, Iterator
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple

import attrs

from feedback_store.mapping import Assumption
from feedback_store.migrate import naming, rows
from feedback_store.migrate.identity import Identity, check_unchanged
from feedback_store.migrate.naming import Age


class Kind(StrEnum):
    """What a source was recognised as, in the order in which they are read."""

    BROWSER = "browser back-up"
    """An object of message id to entry, as ``messageRatings``."""
    SINGLE_FILE = "single file"
    """``feedback.jsonl``."""
    DAY_FILE = "day file"
    """``feedback_YYYYMMDD.jsonl``."""
    MONTH_FILE = "month file"
    """``feedback_YYYY-MM.jsonl``."""
    JSON_LINES = "JSON lines"
    """Any other file of JSON lines."""
    JSON_ARRAY = "JSON array"
    """An array, or one object."""
    CSV = "CSV"
    """A table with a header."""
    SQLITE = "SQLite table"
    """A table of a database file."""
    TABLE = "table"
    """A table of a database server."""
    OTHER = "other"
    """Rows that a caller's own source yields."""


# Day files were followed by month files: their dates say which came when.
_LAYOUTS = {kind: number for number, kind in enumerate(Kind)} | {
    Kind.DAY_FILE: 2,
    Kind.MONTH_FILE: 2,
}


@attrs.frozen(kw_only=True)
class Source:
    """Something that yields rows: one of these files, or whatever a caller makes.

    Attributes:
        name: as it is told in a report.
        kind: what it is.
        read: yields its rows, the same ones each time that it is called.
        fallback_time: the time of a row that tells none (aware).
        fallback: what taking that time means: where it comes from.
        flat: whether the rows are of a table: see `feedback_store.mapping.EntryMapping`.
        path: the file, where it is one.
        identity: what the file was when it was recognised.
        in_place: whether it is a part of the target, which reads it where it lies.
        stays: why it is never moved, where that is so.
        notes: what an operator should know about it.
    """

    name: str
    kind: Kind
    read: Callable[[], Iterator[rows.Row]] = attrs.field(repr=False)
    fallback_time: datetime
    fallback: Assumption = Assumption.TIME_OF_MIGRATION
    flat: bool = False
    path: Path | None = None
    identity: Identity | None = None
    in_place: bool = False
    stays: str = ""
    notes: tuple[str, ...] = ()

    @property
    def age(self) -> Age:
        """What sources are sorted by, oldest first."""
        return naming.age_in(_LAYOUTS[self.kind], self.name)

    def check_unchanged(self) -> None:
        """See that a file is what was planned; one that is in place changes as the store writes.

        Raises:
            StoreUnavailableError: it is not.
        """
        if self.path is not None and self.identity is not None and not self.in_place:
            check_unchanged(self.path, self.identity)


class PassedOver(NamedTuple):
    """A file that is no source.

    Attributes:
        name: its name.
        reason: why it was left alone.
    """

    name: str
    reason: str
