"""What the names of older files tell: their date, and in which order they were written."""

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

_DATED = re.compile(r"feedback_(\d{4}-\d{2}|\d{8})\.")
_ANY_DATE = re.compile(r"(?<!\d)(20\d{2})-?(0[1-9]|1[0-2])-?(0[1-9]|[12]\d|3[01])(?!\d)")
_MONTH_FILE = re.compile(r"feedback_(\d{4})-(0[1-9]|1[0-2])\.jsonl(\.gz|\.zst)?")
_DAY_FILE = re.compile(r"feedback_\d{8}\.jsonl(\.gz|\.zst)?")
_SINGLE_FILE = re.compile(r"feedback\.jsonl(\.gz|\.zst)?")
_PACKED = re.compile(r"\.(gz|zst)$")
_AFTER_ALL_DAYS = 99


def date_of(name: str) -> datetime | None:
    """Return the start of the UTC month or day that a file's name tells, if it tells one.

    ``feedback_2025-02.jsonl`` is the month, ``feedback_20250217.jsonl`` the day.
    """
    found = _DATED.match(name)
    if not found:
        return None
    day = f"{found[1]}-01" if "-" in found[1] else found[1]
    return _start_of(day)


def any_date_of(name: str) -> datetime | None:
    """Return what `date_of` does, or the start of a day that stands anywhere in the name."""
    if (date := date_of(name)) is not None:
        return date
    found = _ANY_DATE.search(name)
    return None if found is None else _start_of(f"{found[1]}-{found[2]}-{found[3]}")


def _start_of(day: str) -> datetime | None:
    try:
        return datetime.fromisoformat(day).replace(tzinfo=UTC)
    except ValueError:
        return None


def is_month_file(name: str) -> bool:
    """Say whether a name is that of a month file, which a store reads where it lies."""
    found = _MONTH_FILE.fullmatch(name)
    return found is not None and found[1] != "0000"


def is_day_file(name: str) -> bool:
    """Say whether a name is that of a day file."""
    return _DAY_FILE.fullmatch(name) is not None


def is_single_file(name: str) -> bool:
    """Say whether a name is that of the one file from before there were day files."""
    return _SINGLE_FILE.fullmatch(name) is not None


def unpacked_suffix(path: Path) -> str:
    """Return the suffix of a name, in lower case, without that of its compression."""
    return Path(_PACKED.sub("", path.name)).suffix.lower()


class Age(NamedTuple):
    """What sources are sorted by, so that of rows with one id the last is the newest.

    Attributes:
        layout: which layout it is of: they followed upon each other.
        date: the day in the name, as a number; a month comes after its days.
        name: the name, which puts a sealed month after the open one.
    """

    layout: int
    date: int
    name: str


def age_in(layout: int, name: str) -> Age:
    """Return the age of a file of a layout."""
    date = any_date_of(name)
    if date is None:
        return Age(layout, 0, name)
    day = _AFTER_ALL_DAYS if is_month_file(name) else date.day
    # A sealed month is older than the open one of the same month.
    return Age(layout, (date.year * 100 + date.month) * 100 + day, _sealed_first(name))


def _sealed_first(name: str) -> str:
    return f"{_PACKED.sub('', name)}{'' if _PACKED.search(name) else '~'}"
