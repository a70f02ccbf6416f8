"""Promises 1 to 14, 17 and 19 on a simulated disk: power cuts, kills and faults at every call.

The fast profile tries some thousands of crash states, `make prove` all of what `units` has.
"""

import os

import pytest
from units import SCALES, Unit, units

from feedback_store.testing.simulation import Tally

PROFILE = os.environ.get("FEEDBACK_STORE_PROFILE", "fast")
# What the deep profile does takes minutes on all cores: that is what `make prove` is for.
UNITS = list(units(SCALES["ci" if PROFILE == "deep" else PROFILE]))
LEAST_STATES = 5_000


@pytest.fixture(scope="module")
def tried() -> Tally:
    """Return what all units together have tried."""
    return Tally()


@pytest.mark.parametrize("unit", UNITS, ids=str)
def test_no_promise_is_broken(unit: Unit, tried: Tally) -> None:
    """Whatever is left of the disk, what was acknowledged is there, and nothing else."""
    tally = unit.run()
    tried.add(tally)
    assert not tally.broken, "\n".join(map(str, tally.violations))
    assert tally.runs


def test_enough_was_tried(tried: Tally, request: pytest.FixtureRequest) -> None:
    """The fast profile examines at least 5,000 different crash states."""
    chosen = [item for item in request.session.items if "test_no_promise_is_broken" in item.name]
    if len(chosen) == len(UNITS):
        assert LEAST_STATES <= tried.states
