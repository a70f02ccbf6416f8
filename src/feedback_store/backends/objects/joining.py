"""Joining small objects while writing: each write lists its month, and a listing names them all.

A writer that has put an object looks how many small ones the month has by now. Where they are too
many, it makes one of them; where the joined ones have become too many, it makes one of all. So a
month of n writes has some hundred objects, each line is written about three times until then, and
one write in some hundred takes longer. Everything else is left to a compaction, and nothing hurts
that several writers may do it at once.
"""

import logging
import random

from feedback_store.backends.objects import compacting
from feedback_store.backends.objects.bucket import Bucket
from feedback_store.backends.objects.clock import Clock
from feedback_store.backends.objects.months import Month, Months
from feedback_store.backends.objects.naming import Kind
from feedback_store.errors import StoreUnavailableError

JOIN_OBJECTS = 250
"""Small objects that a month may have, unless told otherwise."""

logger = logging.getLogger("feedback_store.objects")


class Joiner:
    """Joins the small objects of months.

    Args:
        bucket: where they are.
        clock: gives revisions.
        months: what is known of them.
        suffix: how the joined ones are compressed.
        limit: how many a month may have; 0 to join none.
    """

    def __init__(
        self, bucket: Bucket, clock: Clock, months: Months, suffix: str, limit: int
    ) -> None:
        self._bucket = bucket
        self._clock = clock
        self._months = months
        self._suffix = suffix
        # Not the same for all writers, or all of them would do it after the same write.
        self._limit = limit + random.randrange(limit // 4 + 1)  # noqa: S311  # no secret

    def look_after(self, month: str) -> None:
        """Join, if it is time. What fails is logged: the write before it has succeeded."""
        if not self._limit:
            return
        with self._months.lock:
            found = self._months.remembered(month)
            kinds = None if found is None else self._due(found)
        if found is None or kinds is None:
            return
        try:
            compacting.compact(self._bucket, self._clock, self._months, found, self._suffix, kinds)
        except StoreUnavailableError as error:
            logger.warning("the objects of %s were not joined: %s", month, error)

    def _due(self, month: Month) -> set[Kind] | None:
        """Return what shall be joined."""
        kinds = [name.kind for name in month.contents]
        if kinds.count("segment") < self._limit:
            return None
        return {"segment", "base"} if kinds.count("base") >= self._limit else {"segment"}
