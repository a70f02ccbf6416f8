"""Lines of JSON as a database gives them: entries of them, and what they surely hold."""

import logging
import re
from collections.abc import Iterable, Iterator

from feedback_store.codec import decode
from feedback_store.entry import FeedbackEntry
from feedback_store.errors import InvalidEntryError
from feedback_store.query import Query

SURROGATES = re.compile("[\ud800-\udfff]")
"""What is no character, and is refused in every entry."""

ESCAPED = re.compile(r'["\\\x00-\x1f]')
"""What stands in a line of JSON in another way than in the text."""

_WILD = re.compile(r"[%_\\]")
_HINT = 1000
"""Letters of a hint: SQLite refuses patterns of more than 50,000 bytes."""


def entries_of(bodies: Iterable[bytes], logger: logging.Logger) -> Iterator[FeedbackEntry]:
    """Decode bodies; one that somebody has damaged is told of, once, and left out."""
    for body in bodies:
        try:
            yield decode(body)
        except InvalidEntryError as error:
            if hash(body) not in _told:
                _told.add(hash(body))
                logger.warning("a damaged entry is left out, `check` tells which: %s", error)


_told: set[int] = set()
"""The damaged bodies that this process has told of, by their hashes."""


def hint_of(text: str) -> str:
    """Return the longest part of a text that stands in a line as it is, case folded, up to a size.

    Folding goes letter by letter, and so does JSON: what a text holds, its line holds.
    """
    return plain_part(text.casefold())[:_HINT]


def plain_part(text: str) -> str:
    """Return the longest part of a text that stands in a line of ours as it is."""
    return max(ESCAPED.split(text), key=len)


def hint_for(query: Query) -> str:
    """Return what a line must hold, case folded, for what is asked of its words and other keys."""
    told = (value for value in query.match.values() if isinstance(value, str))
    return hint_of(max([query.text or "", *told], key=len))


def pattern_of(hint: str) -> str:
    r"""Return what LIKE takes for a line that holds a hint, with ``\`` as its escape."""
    return "%" + _WILD.sub(r"\\\g<0>", hint) + "%"
