"""The explorer catches the bugs that people make: each is planted, and must be seen."""

from collections.abc import Callable

import pytest
from planted import BUGS, Bug
from subject import open_store

from feedback_store.testing.simulation import Tally

LEAST_BUGS = 12


def test_there_are_enough_of_them() -> None:
    """At least a dozen different mistakes are planted."""
    assert LEAST_BUGS <= len({bug.name for bug in BUGS})


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.name)
def test_a_planted_bug_is_caught(bug: Bug, record_property: Callable[[str, int], None]) -> None:
    """The store with the bug breaks a promise; the same exploration finds none without it."""
    with bug.plant():
        tally = bug.find(bug.opener)
    record_property("states", tally.states)
    record_property("broken", tally.broken)
    assert tally.broken


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.name)
def test_without_the_bug_nothing_is_caught(bug: Bug, clean: dict[object, Tally]) -> None:
    """The exploration itself finds nothing in the store as it is."""
    if bug.find not in clean:
        clean[bug.find] = bug.find(open_store)
    assert not clean[bug.find].broken, clean[bug.find].violations


@pytest.fixture(scope="module")
def clean() -> dict[object, Tally]:
    """Return what each exploration has found in the store without bugs."""
    return {}
