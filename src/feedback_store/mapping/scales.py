"""Ratings as other programs gave them, and tags that stand for one."""

from collections.abc import Collection, Sequence
from enum import StrEnum
from typing import Any, NamedTuple

from feedback_store.errors import InvalidEntryError
from feedback_store.mapping.assumptions import Assumption

POSITIVE_TAGS = frozenset({"Looks Good / Accurate & Clear"})
"""Tags that mean a positive rating, unless others are told; their case does not count."""


class Scale(StrEnum):
    """What the numbers of a program's ratings mean."""

    UNIT = "0-1"
    """0 negative, 1 positive: as they are kept here."""
    THUMBS = "thumbs"
    """-1 or 1; also true or false, and "up" or "down"."""
    STARS = "stars"
    """1 to 5."""
    TEN = "1-10"
    """1 to 10."""
    PERCENT = "percent"
    """0 to 100."""

    def rating_of(self, value: object) -> Any:  # noqa: ANN401  # what is no rating is refused later
        """Return the rating between 0 and 1 that a value means; of `UNIT`, the value itself.

        Raises:
            InvalidEntryError: the value does not lie on the scale.
        """
        if self is Scale.UNIT:
            return value
        if self is Scale.THUMBS:
            return self._thumb(value)
        low, high = _ENDS[self]
        if (
            isinstance(value, bool)
            or not isinstance(value, int | float)
            or not low <= value <= high
        ):
            raise self._refused()
        share = (value - low) / (high - low)
        return int(share) if share in (0, 1) else share

    def _thumb(self, value: object) -> int:
        # 0 is no thumb: on a scale of 0 and 1 it would be the negative one.
        word = str(value).casefold() if isinstance(value, bool | str) else value
        if word in (1, "up", "true"):
            return 1
        if word in (-1, "down", "false"):
            return 0
        raise self._refused()

    def _refused(self) -> InvalidEntryError:
        return InvalidEntryError(f"rating does not lie on the scale {self.value!r}")


_ENDS = {Scale.STARS: (1, 5), Scale.TEN: (1, 10), Scale.PERCENT: (0, 100)}


def check_unit(value: object) -> None:
    """Refuse a rating that only a scale could explain, and say which could.

    Raises:
        InvalidEntryError: a number outside 0 to 1, or true or false.
    """
    if isinstance(value, bool):
        msg = "rating is true or false; if that is a thumb, say so: scale='thumbs'"
        raise InvalidEntryError(msg)
    if isinstance(value, int | float) and not 0 <= value <= 1:
        scales = ", ".join(repr(scale.value) for scale in Scale if scale is not Scale.UNIT)
        msg = f"rating does not lie between 0 and 1; if it is on another scale, say which: {scales}"
        raise InvalidEntryError(msg)


class Told(NamedTuple):
    """What tags say.

    Attributes:
        rating: 1 where one of them means positive, 0 where none does, None without tags.
        issues: the tags that do not mean positive.
        assumed: which of the three it was.
    """

    rating: int | None
    issues: tuple[str, ...]
    assumed: Assumption


def told_by(tags: Sequence[str], positive: Collection[str]) -> Told:
    """Return what tags say; of the positive ones the case and blanks around them do not count."""
    known = {tag.strip().casefold() for tag in positive}
    issues = tuple(tag for tag in tags if tag.strip().casefold() not in known)
    if not tags:
        return Told(None, (), Assumption.UNTAGGED)
    if len(issues) < len(tags):
        return Told(1, issues, Assumption.POSITIVE_TAG)
    return Told(0, issues, Assumption.OTHER_TAGS)
