"""Workloads for any store: small ones, to be explored to the last state, and long random ones."""

import random
from datetime import UTC, datetime

from feedback_store.entry import FeedbackEntry, Metadata
from feedback_store.testing.simulation.steps import (
    Add,
    Compact,
    Erase,
    Put,
    Reopen,
    Step,
    Update,
    Workload,
)

_IDS = 8
_MONTHS = 3


def an_entry(number: int, month: int = 1, text: str = "a") -> FeedbackEntry:
    """Return an entry with the id ``e<number>`` in a month of 2025."""
    return FeedbackEntry(
        id=f"e{number}",
        message_id=f"m{number}",
        question="q",
        answer=text,
        rating=1,
        timestamp=datetime(2025, month, 1 + number % 28, tzinfo=UTC),
        metadata=Metadata(issues=("wrong",) if number % 2 else ()),
    )


_E1, _E2, _E3 = an_entry(1), an_entry(2), an_entry(3)
_SOME = (Add.of(_E1, _E2, an_entry(3, 2)),)
_REVISED = (*_SOME, Update("e1", 0), Update("e2", 0.5))

SMALL = (
    Workload("the first add", ((Add.of(_E1),),)),
    Workload("adds", ((Add.of(_E1), Add.of(_E2), Add.of(_E1), Add.of(an_entry(1, text="b"))),)),
    Workload("add many, months", ((Add.of(_E1, _E2, an_entry(3, 2), an_entry(4, 3)),),), _SOME[:0]),
    Workload("add to months", ((Add.of(an_entry(4), an_entry(5, 2), an_entry(6, 3)),),), _SOME),
    Workload("update", ((Update("e1", 0), Update("e1", 0.25, "text"), Update("e9", 1)),), _SOME),
    Workload("put", ((Put(an_entry(1, text="b")), Put(an_entry(5)), Put(an_entry(5, 2))),), _SOME),
    Workload(
        "erase", ((Erase.of("e2"), Add.of(an_entry(2, text="c")), Erase.of("e1", "e3")),), _SOME
    ),
    Workload("erase revised", ((Erase.of("e1"), Erase.of("e1", "e9")),), _REVISED),
    Workload("compact", ((Compact(), Add.of(an_entry(5)), Compact()),), _REVISED),
    Workload("open again", ((Add.of(an_entry(5)), Reopen(), Update("e5", 0), Reopen()),), _SOME),
)
"""One process, a few calls."""

PAIRS = (
    Workload("two add", ((Add.of(_E1),), (Add.of(_E2),))),
    Workload("two add to a month", ((Add.of(an_entry(5)),), (Add.of(an_entry(6)),)), _SOME),
    Workload("two add the same", ((Add.of(an_entry(5)),), (Add.of(an_entry(5)),)), _SOME),
    Workload("two update", ((Update("e1", 0),), (Update("e1", 0.25),)), _SOME),
    Workload("add, compact", ((Compact(),), (Add.of(an_entry(5), an_entry(6, 2)),)), _REVISED),
    Workload("update, compact", ((Compact(),), (Update("e1", 0.75),)), _REVISED),
    Workload("update, erase", ((Erase.of("e1"),), (Update("e1", 0.75),)), _REVISED),
    Workload("add, erase", ((Erase.of("e1"),), (Add.of(an_entry(5)),)), _REVISED),
    Workload("erase, compact", ((Erase.of("e1"),), (Compact(),)), _REVISED),
    Workload("erase, erase", ((Erase.of("e1", "e3"),), (Erase.of("e2"),)), _REVISED),
)
"""Two processes, one call each: for every way in which they may take turns."""


def long_workload(seed: int, steps: int) -> Workload:
    """Return a workload of one process by chance: a few ids in a few months, over and over."""
    rng = random.Random(seed)
    made = tuple(_random_step(rng) for _ in range(steps))
    return Workload(f"random {seed}", (made,))


def _random_step(rng: random.Random) -> Step:
    number = rng.randrange(_IDS)
    entry = an_entry(number, 1 + number % _MONTHS, rng.choice("ab"))
    kind = rng.random()
    if kind < 0.45:  # noqa: PLR2004  # adds are what stores get most
        others = rng.sample(range(_IDS), rng.randrange(3))
        return Add.of(entry, *(an_entry(n, 1 + n % _MONTHS) for n in others if n != number))
    steps: list[Step] = [
        Put(entry),
        Update(f"e{number}", rng.choice([0, 0.25, 1]), rng.choice(["", "text"])),
        Erase.of(f"e{number}"),
        Compact(),
        Reopen(),
    ]
    return rng.choice(steps)
