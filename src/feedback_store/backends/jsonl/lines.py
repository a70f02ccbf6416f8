"""The lines of a month file: how they are read, and where one ends.

A line ends at a newline, and also at a NUL, which no JSON contains: a power cut may leave the
length of a write without its bytes, and zeros then stand behind a line that is whole, or before it.
"""

from collections.abc import Iterator
from datetime import datetime, tzinfo

import attrs

from feedback_store.codec import decode
from feedback_store.entry import FeedbackEntry
from feedback_store.wire import key_of_plain


@attrs.frozen
class Reading:
    """How lines are read.

    Attributes:
        naive_tz: the time zone of timestamps that name none.
        fallback_time: the time of an entry that tells none.
    """

    naive_tz: tzinfo
    fallback_time: datetime

    def decode(self, line: bytes) -> FeedbackEntry:
        """Return the entry of a line.

        Raises:
            InvalidEntryError: there is none in it.
        """
        return decode(line, naive_tz=self.naive_tz, fallback_time=self.fallback_time)

    def key(self, line: bytes) -> tuple[str, datetime]:
        """Return id and time of the entry of a line; for most lines that is cheaper than all of it.

        Raises:
            InvalidEntryError: there is none in it.
        """
        if (key := key_of_plain(line, self.naive_tz)) is None:
            entry = self.decode(line)
            key = entry.id, entry.timestamp
        return key


def between_nuls(line: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield offset and bytes of each stretch of a line without NULs; none when it has no NUL."""
    if b"\0" not in line:
        return
    offset = 0
    for stretch in line.split(b"\0"):
        if stretch:
            yield offset, stretch
        offset += len(stretch) + 1
