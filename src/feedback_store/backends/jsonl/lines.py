"""The lines of a month file: how they are read, and where one ends.

A line ends at a newline, and also at a NUL, which no JSON contains: a power cut may leave the
length of a write without its bytes, and zeros then stand behind a line that is whole, or before it.
"""

import hashlib
from collections.abc import Iterator
from datetime import datetime, tzinfo

import attrs

from feedback_store.backends.jsonl.traits import TraitTable
from feedback_store.codec import decode
from feedback_store.entry import FeedbackEntry
from feedback_store.wire import Glimpse, decode_plain, glimpse_of_plain


@attrs.frozen
class Reading:
    """How lines are read.

    Attributes:
        naive_tz: the time zone of timestamps that name none.
        fallback_time: the time of an entry that tells none.
        traits: numbers what questions ask of entries.
    """

    naive_tz: tzinfo
    fallback_time: datetime
    traits: TraitTable

    @property
    def mark(self) -> bytes:
        """16 bytes that tell this way of reading from others, for what is kept on disk."""
        return hashlib.blake2b(str(self.naive_tz).encode(), digest_size=16).digest()

    def decode(self, line: bytes) -> FeedbackEntry:
        """Return the entry of a line.

        Raises:
            InvalidEntryError: there is none in it.
        """
        entry = decode_plain(line, self.naive_tz)
        if entry is None:
            return decode(line, naive_tz=self.naive_tz, fallback_time=self.fallback_time)
        return entry

    def glimpse(self, line: bytes) -> Glimpse:
        """Return what the index knows of a line; for most that is cheaper than all of its entry.

        Raises:
            InvalidEntryError: there is none in it.
        """
        return glimpse_of_plain(line, self.naive_tz) or Glimpse.of(self.decode(line))


def between_nuls(line: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield offset and bytes of each stretch of a line without NULs; none when it has no NUL."""
    if b"\0" not in line:
        return
    offset = 0
    for stretch in line.split(b"\0"):
        if stretch:
            yield offset, stretch
        offset += len(stretch) + 1
