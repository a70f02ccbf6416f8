"""Decoding many entries without the garbage collector looking at them again and again.

A decoded entry is a few objects that hold no cycles. Python counts them, and every few hundred has
the collector go through the young ones, every few thousand through older ones, for nothing: that
costs as much as the decoding.
"""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def collector_paused() -> Iterator[None]:
    """Keep the collector from running for the block, which should take milliseconds.

    It is one for all threads. Where two pause it at once, the first to end lets it run again, which
    costs the other some time and nothing else. An app that has turned it off keeps it off.
    """
    if not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
