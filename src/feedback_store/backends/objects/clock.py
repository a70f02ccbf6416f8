"""Revisions: which of two lines of an entry counts, whoever wrote them, without asking anybody.

A revision is a time of a hybrid logical clock (Kulkarni, Demirbas, Madappa, Avva and Leone,
"Logical Physical Clocks", 2014), and the name of the clock that gave it. It is as near to the
machine's time as clocks are to each other; but whoever has seen a revision gives only larger ones
from then on, however slow its own clock is. So what was written after something had been read is
later than that, and two revisions are never the same.
"""

import secrets
import threading
import time
from collections.abc import Callable

REVISION_CHARS = 32
"""A revision is that many hexadecimal digits, which sort as revisions do."""

_MILLISECOND_NS = 1_000_000
_COUNTER_BITS = 16
_NODE_BITS = 64


class Clock:
    """A hybrid logical clock.

    Args:
        now_ns: the machine's time, in nanoseconds since 1970; it may jump.
        node: tells this clock from every other; unless given, 64 random bits.
    """

    def __init__(self, now_ns: Callable[[], int] = time.time_ns, node: int | None = None) -> None:
        self._now_ns = now_ns
        self._node = secrets.randbits(_NODE_BITS) if node is None else node
        self._last = 0  # milliseconds, and a counter in the lowest bits
        self._lock = threading.Lock()

    def tick(self) -> str:
        """Return a revision that is larger than all that were given or observed here."""
        now = self.now_ms() << _COUNTER_BITS
        with self._lock:
            self._last = max(self._last + 1, now)  # a full counter carries into the milliseconds
            return f"{self._last:016x}{self._node:016x}"

    def now_ms(self) -> int:
        """Return the machine's time, in milliseconds since 1970."""
        return self._now_ns() // _MILLISECOND_NS

    def start_anew(self) -> None:
        """Be another clock, in a child after a fork: no two may give the same revision."""
        self._node = secrets.randbits(_NODE_BITS)
        self._lock = threading.Lock()

    def observe(self, revision: str) -> None:
        """Give only larger revisions than this one from now on."""
        seen = int(revision[:16], 16)
        with self._lock:
            self._last = max(self._last, seen)


def milliseconds_of(revision: str) -> int:
    """Return the time of a revision, in milliseconds since 1970."""
    return int(revision[:16], 16) >> _COUNTER_BITS
