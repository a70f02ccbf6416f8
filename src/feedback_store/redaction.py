"""What an entry goes through before it is written: it is one, and an app's function redacts it."""

from collections.abc import Callable
from typing import TypeAlias

from feedback_store.entry import FeedbackEntry
from feedback_store.errors import InvalidEntryError
from feedback_store.failures import anonymous
from feedback_store.operations import FIXED

Redact: TypeAlias = Callable[[FeedbackEntry], FeedbackEntry]
"""From an entry as it was given, to the entry as it may be written."""


def checked(entry: object) -> FeedbackEntry:
    """Return what is given, if it is an entry.

    Raises:
        InvalidEntryError: it is not; the message says how one is made.
    """
    if not isinstance(entry, FeedbackEntry):
        msg = (
            f"an entry must be a FeedbackEntry, not a {type(entry).__name__}; "
            "make one by FeedbackEntry(...), or by decode(...) from JSON"
        )
        raise InvalidEntryError(msg)
    return entry


def guarded(redact: Redact) -> Redact:
    """Return a function that redacts, or raises `InvalidEntryError`, and nothing else.

    The error neither quotes nor chains what the app's function raised: where that shows the text
    which it choked on, a traceback in a log would hold what was to be kept from the disk. It
    names the class and the line instead. An interrupt passes as it is.
    """

    def redacted(entry: FeedbackEntry) -> FeedbackEntry:
        checked(entry)
        try:
            result = redact(entry)
        except Exception as error:  # noqa: BLE001  # whatever it is, nothing may be written
            failure = anonymous(error)
        else:
            return _kept(entry, result)
        # Out here, and not in the handler: there, the error would become the context of this one.
        raise InvalidEntryError(f"redact failed with {failure}; nothing was written")

    return redacted


def _kept(entry: FeedbackEntry, result: object) -> FeedbackEntry:
    if not isinstance(result, FeedbackEntry):
        msg = f"redact must return a FeedbackEntry, not a {type(result).__name__}"
        raise InvalidEntryError(msg)
    for name in sorted(FIXED):
        if getattr(result, name) != getattr(entry, name):
            msg = f"redact may not change {name}: give the entry another one before you add it"
            raise InvalidEntryError(msg)
    return result
