"""What the pages are asked for: the same of every subject.

It is what an admin page asks for: the last days up to now, which begin and end within a day, with
one issue and a bad rating, or a text.
"""

from datetime import UTC, datetime, timedelta

from benchmarks.entries import LAST_MONTH

UNTIL = datetime(*LAST_MONTH, 31, 23, 47, tzinfo=UTC)
"""After all entries, those that are added while measuring too."""

SINCE = UNTIL - timedelta(days=30)
ISSUE = "inaccurate"
"""One in four of the negative entries has it, a tenth of all."""

TEXT = "Ledger?"
"""One in 250 entries has it, with a small letter."""

LIMIT = 50
