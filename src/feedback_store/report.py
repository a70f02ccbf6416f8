"""What a store says of itself: named checks, and what a compaction did."""

from enum import StrEnum

import attrs


class Status(StrEnum):
    """How a check came out, from fine to bad."""

    OK = "ok"
    WARNING = "warning"
    ERROR = "error"


@attrs.frozen(kw_only=True)
class Check:
    """One thing that was looked at.

    Attributes:
        name: a stable name, such as ``"damaged_lines"``.
        status: how it came out.
        message: what was found, in a sentence, without any text that a user wrote.
        hint: what to do about it; empty when there is nothing to do.
    """

    name: str
    status: Status
    message: str
    hint: str = ""


@attrs.frozen(kw_only=True)
class CheckReport:
    """All checks of one store.

    Attributes:
        location: where the store is, absolute, without any password.
        checks: in the order in which they were made.
    """

    location: str
    checks: tuple[Check, ...]

    @property
    def ok(self) -> bool:
        """Whether nothing is worse than a warning."""
        return all(check.status is not Status.ERROR for check in self.checks)

    def __getitem__(self, name: str) -> Check:
        """Return the check of that name.

        Raises:
            KeyError: when no such check was made.
        """
        for check in self.checks:
            if check.name == name:
                return check
        raise KeyError(name)


@attrs.frozen(kw_only=True)
class CompactReport:
    """What a compaction did.

    Attributes:
        months: how many months were rewritten.
        superseded: lines dropped because a later one took their place.
        damaged: damaged lines moved aside, kept as they were.
        size_bytes_before: the size of the rewritten months before.
        size_bytes_after: their size afterwards.
    """

    months: int = 0
    superseded: int = 0
    damaged: int = 0
    size_bytes_before: int = 0
    size_bytes_after: int = 0

    def __add__(self, other: "CompactReport") -> "CompactReport":
        """Return the sum of both."""
        return CompactReport(
            months=self.months + other.months,
            superseded=self.superseded + other.superseded,
            damaged=self.damaged + other.damaged,
            size_bytes_before=self.size_bytes_before + other.size_bytes_before,
            size_bytes_after=self.size_bytes_after + other.size_bytes_after,
        )
