"""The classes of ratings, and what entries are counted under, as numbers."""

from feedback_store.entry import FeedbackEntry
from feedback_store.rating import Rating

CLASSES = (Rating.NEGATIVE, Rating.POSITIVE, Rating.NEUTRAL, Rating.UNRATED)
"""The classes of a rating by their numbers; SQLite keeps 0 and 1 in no byte at all."""

CLASS_OF = {rating: number for number, rating in enumerate(CLASSES)}

MONTHS = 12


def class_of(entry: FeedbackEntry) -> int:
    """Return the number of the class of an entry's rating."""
    return CLASS_OF[Rating.of(entry.rating)]


def month_number(year: int, month: int) -> int:
    """Return the number of a month since the year 0."""
    return MONTHS * year + month - 1


def month_of_number(number: int) -> tuple[int, int]:
    """Return year and month of a month's number."""
    return number // MONTHS, number % MONTHS + 1
