"""The proof of what a store promises, for this library's stores and for other people's.

`StoreContract` is a pytest class and `StoreMachine` a Hypothesis state machine: subclass both,
say how a store is made, and every sentence of `feedback_store.store` is tested. The strategies
draw entries and queries that are believable, and some that are nasty.
"""

from feedback_store.testing._extra import require_extra

require_extra()

from feedback_store.testing.contract import StoreContract  # noqa: E402  # what it needs comes first
from feedback_store.testing.machine import StoreMachine  # noqa: E402  # as above
from feedback_store.testing.narrow import FiveVerbs  # noqa: E402  # as above
from feedback_store.testing.strategies import (  # noqa: E402  # as above
    batches,
    entries,
    json_values,
    metadata,
    queries,
    timestamps,
)

__all__ = [
    "FiveVerbs",
    "StoreContract",
    "StoreMachine",
    "batches",
    "entries",
    "json_values",
    "metadata",
    "queries",
    "timestamps",
]
