"""What a scan makes of the bodies of rows, which come some at a time."""

from collections.abc import Callable, Iterable, Iterator, Sequence

from feedback_store.collecting import collector_paused
from feedback_store.entry import FeedbackEntry
from feedback_store.operations import encoded
from feedback_store.store import Lines
from feedback_store.wire import mean_the_same_anywhere

PIECE = 1024
"""Rows that are in memory at a time."""

Take = Callable[[], Sequence[bytes]]
"""Gives the next bodies: about `PIECE`, all that is left of a settled scan, none at the end."""

Decode = Callable[[Iterable[bytes]], Iterator[FeedbackEntry]]
"""Gives the entries of bodies; what somebody has damaged is told of and left out."""


def entries(take: Take, decode: Decode) -> Iterator[FeedbackEntry]:
    """Yield the entries."""
    for piece in _pieces(take):
        with collector_paused():
            found = list(decode(piece))
        yield from found


def lines(take: Take, decode: Decode) -> Iterator[Lines]:
    """Yield the bodies, which are lines."""
    for piece in _pieces(take):
        data = b"\n".join(piece)
        if mean_the_same_anywhere(data, len(piece)):
            yield Lines(data, len(piece))
        else:
            yield from encoded(decode(piece))


def _pieces(take: Take) -> Iterator[Sequence[bytes]]:
    while rows := take():
        for start in range(0, len(rows), PIECE):
            yield rows[start : start + PIECE]
