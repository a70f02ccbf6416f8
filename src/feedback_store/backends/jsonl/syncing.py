"""Syncs that threads share: whoever wrote before a sync began needs none of his own.

The sync runs outside every lock. While one runs, those who have written meanwhile wait; then one
of them syncs for all. A sync that failed is never tried again on the same data: the kernel marks
dropped pages as clean, so that the second try would succeed and mean nothing (PostgreSQL's
"fsyncgate", 2018). Everyone who waited for it is told so.
"""

import threading

from feedback_store.backends.jsonl.disk import Readable


class SyncGate:
    """The syncs of one open file.

    Attributes:
        durable_end: the byte up to which this process has seen a sync succeed.
    """

    def __init__(self) -> None:
        self.durable_end = 0
        self._written_end = 0
        self._changed = threading.Condition(threading.Lock())
        self._running = False
        self._error: OSError | None = None

    def sync(self, file: Readable, end: int) -> None:
        """Return when everything before ``end``, already written, is durable.

        Raises:
            OSError: a sync failed that would have covered it.
        """
        with self._changed:
            self._written_end = max(self._written_end, end)
            while self._running and self.durable_end < end:
                self._changed.wait()
            if self.durable_end >= end:
                return
            if self._error is not None:
                raise self._error
            self._running = True
            covered = self._written_end
        self._run(file, covered)

    def note_durable(self, end: int) -> None:
        """Take note that the caller has made everything before ``end`` durable.

        Raises:
            OSError: a sync failed before, so that its own success means nothing.
        """
        with self._changed:
            if self._error is not None:
                raise self._error
            self.durable_end = max(self.durable_end, end)

    def _run(self, file: Readable, covered: int) -> None:
        error = None
        try:
            file.sync()
        except OSError as failure:
            error = failure
            raise
        finally:
            with self._changed:
                self._running = False
                if error is None:
                    self.durable_end = max(self.durable_end, covered)
                else:
                    self._error = error
                self._changed.notify_all()
