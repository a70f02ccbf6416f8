"""Labels and tallies made anew elsewhere, and compared with those that are kept."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from typing import Any

from feedback_store.backends.sqlite import schema
from feedback_store.backends.sqlite.folding import Folding, folded, readable

_LABELS = "SELECT kind, text, class, stamp, n FROM label LEFT JOIN name ON name = k ORDER BY {}"
_TALLIES = """
SELECT coalesce(kind, 0), coalesce(text, ''), class, span, total, responses, response_us
FROM tally LEFT JOIN name ON name = k ORDER BY {}
"""


def differences(connection: sqlite3.Connection) -> int:
    """Return how many labels and tallies are not what the entries say; nothing is changed."""
    rows = connection.execute("SELECT n, body FROM entry WHERE n <= ?", (folded(connection),))
    with closing(sqlite3.connect("", isolation_level=None)) as scratch:  # a temporary file
        scratch.text_factory = bytes
        scratch.execute("PRAGMA journal_mode = OFF")
        for step in schema.MIGRATIONS:
            step(scratch)
        scratch.execute("BEGIN")
        Folding(scratch).add(readable(rows))
        return sum(
            _different(connection.execute(sql), scratch.execute(sql))
            for sql in (_LABELS.format("1, 2, 3, 4, 5"), _TALLIES.format("1, 2, 3, 4, 5, 6, 7"))
        )


def _different(a: Iterator[Any], b: Iterator[Any]) -> int:
    """Count what only one of two sorted streams has."""
    count = 0
    left, right = next(a, None), next(b, None)
    while left is not None or right is not None:
        if left == right:
            left, right = next(a, None), next(b, None)
            continue
        count += 1
        if right is None or (left is not None and left < right):
            left = next(a, None)
        else:
            right = next(b, None)
    return count
