"""What a rating says: its four classes, and the ratings that stars and thumbs mean."""

from enum import StrEnum

from feedback_store.errors import InvalidEntryError


class Rating(StrEnum):
    """The four classes of a rating."""

    POSITIVE = "positive"
    NEGATIVE = "negative"
    NEUTRAL = "neutral"
    UNRATED = "unrated"

    @classmethod
    def of(cls, rating: float | None) -> "Rating":
        """Return the class of a rating: positive above 0.5, negative below, neutral at 0.5."""
        if rating is None:
            return cls.UNRATED
        if rating == 0.5:  # noqa: PLR2004  # the middle of the scale, as the model defines it
            return cls.NEUTRAL
        return cls.POSITIVE if rating > 0.5 else cls.NEGATIVE  # noqa: PLR2004  # as above


def rating_from_stars(stars: float, *, of: int) -> float:
    """Return the rating that a number of stars means: 4 of 5 is 0.75, 1 of 5 is 0.

    Args:
        stars: 1 up to ``of``; halves are fine.
        of: how many stars there are, 2 or more.

    Raises:
        InvalidEntryError: when the stars do not lie between 1 and ``of``.
    """
    if of < 2 or not 1 <= stars <= of:  # noqa: PLR2004  # one star alone is no scale
        msg = f"stars must lie between 1 and {of}, on a scale of at least 2"
        raise InvalidEntryError(msg)
    return (stars - 1) / (of - 1)


def rating_from_thumbs(up: bool) -> int:  # noqa: FBT001  # a thumb is a flag, and the only argument
    """Return 1 for a thumb up and 0 for a thumb down."""
    if not isinstance(up, bool):
        msg = "rating_from_thumbs takes True (up) or False (down)"
        raise InvalidEntryError(msg)
    return int(up)
