"""Which names a folder of month files has, and what each of them is."""

import re
from datetime import UTC, datetime
from typing import NamedTuple

STATE_FOLDER = ".feedback_store"
"""Lock, index and format version: all of it can be made again."""

QUARANTINE_FOLDER = "quarantine"
"""Damaged lines, as they were."""

FILTERS_NAME = "months.filter"
"""The file of the index that tells which months an id is not in."""

_MONTH = re.compile(r"feedback_(\d{4})-(0[1-9]|1[0-2])\.jsonl(\.gz|\.zst)?")
_TEMPORARY = re.compile(
    r"(\.feedback_\d{4}-\d{2}(\.[0-9a-z]+)+|\.format|\.months\.filter|feedback_[^/]+\.idx)"
    r"\.[0-9a-f]+\.tmp"
)
_OLDER = re.compile(r"feedback(_\d{8})?\.jsonl")


class MonthName(NamedTuple):
    """The name of a month file, taken apart; names sort in the order in which they are read.

    Within a month the sealed file comes first: what was written since takes its place.

    Attributes:
        month: such as ``"2025-10"``.
        plain: whether it is not compressed.
        name: the file's name.
    """

    month: str
    plain: bool
    name: str

    @property
    def suffix(self) -> str:
        """``""``, ``".gz"`` or ``".zst"``."""
        return self.name.partition(".jsonl")[2]

    @property
    def first_instant(self) -> datetime:
        """The file's own date: the time of an entry in it that tells none."""
        year, month = self.month.split("-")
        return datetime(max(int(year), 1), int(month), 1, tzinfo=UTC)


def parse_name(name: str) -> MonthName | None:
    """Return the month file that a name stands for, or None when it is none."""
    found = _MONTH.fullmatch(name)
    if not found or found[1] == "0000":
        return None
    return MonthName(f"{found[1]}-{found[2]}", found[3] is None, name)


def plain_name(month: str) -> MonthName:
    """Return the name of the file that a month is written to."""
    return MonthName(month, plain=True, name=f"feedback_{month}.jsonl")


def temporary_name(name: str, token: str) -> str:
    """Return a hidden name beside ``name``, for what will take its place."""
    return f".{name}.{token}.tmp"


def is_temporary(name: str) -> bool:
    """Say whether a name is that of a file which is about to take the place of another."""
    return _TEMPORARY.fullmatch(name) is not None


def is_older_layout(name: str) -> bool:
    """Say whether a name is that of a day file or of the single file of older services."""
    return _OLDER.fullmatch(name) is not None
