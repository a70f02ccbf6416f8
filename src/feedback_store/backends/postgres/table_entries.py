"""Entries of the rows of anybody's table, and what is left out and assumed on the way."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from typing import Any, TypeAlias

from feedback_store.backends.postgres.table_reading import Shape
from feedback_store.backends.postgres.table_values import to_map
from feedback_store.entry import FeedbackEntry
from feedback_store.errors import InvalidEntryError
from feedback_store.mapping import Assumption, RowMapping

Row: TypeAlias = tuple[Any, ...]
"""The columns, the text of the key, and the time by which the server sorts."""


class Entries:
    """What one scan makes of rows.

    Args:
        shape: the table.
        mapping: what makes an entry of a row.
        name: what ids begin with.
        fallback_time: the time of rows that tell none.
        tell: is called with the id of a row that is no entry, and the reason.

    Attributes:
        skipped: how many rows were left out.
        assumed: what had to be assumed, and how often.
    """

    def __init__(
        self,
        shape: Shape,
        mapping: RowMapping,
        name: str,
        fallback_time: datetime,
        tell: Callable[[str, str], object],
    ) -> None:
        self._columns = tuple(shape.columns)
        self._mapping = mapping
        self._name = name
        self._fallback_time = fallback_time
        self._tell = tell
        self.skipped = 0
        self.assumed: Counter[Assumption] = Counter()

    def misplaced(
        self, rows: Iterable[Row], matches: Callable[[FeedbackEntry], bool]
    ) -> list[FeedbackEntry]:
        """Return the entries whose time is not the one that the server sorts by."""
        found: list[FeedbackEntry] = []
        for row in rows:
            try:
                entry, _ = self._mapped(row)
            except InvalidEntryError:
                continue  # counted and told of among all rows
            if entry.timestamp != self._time_of(row) and matches(entry):
                found.append(entry)
        return found

    def placed(self, rows: Iterable[Row]) -> Iterator[FeedbackEntry]:
        """Yield the entries whose time is the one that the server sorts by."""
        for row in rows:
            try:
                entry, assumed = self._mapped(row)
            except InvalidEntryError as error:
                self.skipped += 1
                self._tell(self._id_of(row), str(error))
                continue
            self.assumed.update(assumed)
            if entry.timestamp == self._time_of(row):
                yield entry

    def _mapped(self, row: Row) -> tuple[FeedbackEntry, tuple[Assumption, ...]]:
        mapped = self._mapping(
            dict(zip(self._columns, map(to_map, row[:-2]), strict=True)),
            fallback_time=self._fallback_time,
            fallback_id=self._id_of(row),
        )
        return mapped.entry, mapped.assumed

    def _id_of(self, row: Row) -> str:
        return f"{self._name}-{row[-2]}"

    def _time_of(self, row: Row) -> object:
        return self._fallback_time if row[-1] is None else row[-1]
