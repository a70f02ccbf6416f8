"""The hybrid logical clock: near to the machine's time, and never behind what was seen."""

from hypothesis import given
from hypothesis import strategies as st

from feedback_store.backends.objects.clock import REVISION_CHARS, Clock, milliseconds_of


@given(st.lists(st.integers(0, 2**60), min_size=1, max_size=50))
def test_revisions_grow_however_the_time_jumps(times: list[int]) -> None:
    """Each is larger than the one before, as text too, and has its fixed length."""
    remaining = iter(times)
    clock = Clock(lambda: next(remaining), node=7)
    revisions = [clock.tick() for _ in times]
    assert revisions == sorted(set(revisions))
    assert {len(revision) for revision in revisions} == {REVISION_CHARS}


def test_a_revision_tells_the_time() -> None:
    """As long as clocks agree, it is the machine's, to the millisecond."""
    assert milliseconds_of(Clock(lambda: 1_700_000_000_123_456_789).tick()) == 1_700_000_000_123


@given(st.integers(0, 2**60), st.integers(0, 2**60))
def test_what_was_seen_is_earlier(here: int, there: int) -> None:
    """A clock that is behind gives revisions after all that it has seen."""
    seen = Clock(lambda: there).tick()
    clock = Clock(lambda: here)
    clock.observe(seen)
    assert clock.tick() > seen


def test_more_than_one_tick_fits_into_a_moment() -> None:
    """A full counter carries into the milliseconds, and no revision comes twice."""
    clock = Clock(lambda: 0, node=1)
    revisions = [clock.tick() for _ in range(70_000)]
    assert revisions == sorted(set(revisions))


def test_two_clocks_never_give_one_revision() -> None:
    """At the same moment, their names differ; so does a child's after a fork."""
    clocks = [Clock(lambda: 0) for _ in range(3)]
    clocks[0].start_anew()
    assert len({clock.tick() for clock in clocks}) == len(clocks)
