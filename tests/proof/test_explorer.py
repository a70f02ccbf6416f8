"""The explorer itself: what it holds a store to, how processes take turns, and how it tells."""

import errno
from collections.abc import Iterable

import attrs
import pytest
from planted import os_durability
from subject import open_store, subject

from feedback_store import FeedbackEntry
from feedback_store.testing.simulation import (
    PAIRS,
    SMALL,
    Add,
    Compact,
    Effort,
    Erase,
    Explorer,
    Fault,
    Image,
    Ledger,
    Node,
    SimulatedDisk,
    Subject,
    Update,
    Violation,
    Workload,
    an_entry,
    explore,
    explore_faults,
    explore_stops,
    fault_kinds,
    long_workload,
    schedules,
    shrink,
)
from feedback_store.testing.simulation.scheduling import Deadlock, Turns

E1, OTHER = an_entry(1), attrs.evolve(an_entry(1), rating=0)


def shown(*entries: FeedbackEntry) -> dict[str, FeedbackEntry]:
    """Return what a store shows that has these entries."""
    return {entry.id: entry for entry in entries}


# ------------------------------------------------------------------------------- what is owed


def test_what_a_call_may_write_may_be_there_until_it_has_returned() -> None:
    """Before that both are right; afterwards only what was acknowledged."""
    ledger = Ledger()
    call = ledger.begin()
    ledger.may(call, "e1", E1)
    assert [] == ledger.problems({}) == ledger.problems(shown(E1))
    ledger.owe(call, "e1", E1)
    ledger.end(call)
    assert ["e1 is gone, though it was acknowledged"] == ledger.problems({})
    assert ["e1 is not as it was acknowledged, nor as a later call wanted it"] == ledger.problems(
        shown(OTHER)
    )
    assert ["x is there, though nobody wrote it"] == ledger.problems(
        {**shown(E1), "x": an_entry(2)}
    )


def test_of_calls_that_overlap_each_may_have_come_last() -> None:
    """And of calls that follow each other, the last one has."""
    ledger = Ledger()
    first, second = ledger.begin(), ledger.begin()
    ledger.may(first, "e1", E1)
    ledger.may(second, "e1", OTHER)
    ledger.owe(second, "e1", OTHER)
    ledger.end(second)
    ledger.owe(first, "e1", E1)
    ledger.end(first)
    assert [] == ledger.problems(shown(E1)) == ledger.problems(shown(OTHER))
    assert ledger.problems({})
    third = ledger.begin()
    ledger.may(third, "e1", OTHER)
    ledger.owe(third, "e1", OTHER)
    ledger.end(third)
    assert ledger.problems(shown(E1))


def test_a_call_that_failed_owes_nothing_and_may_have_written() -> None:
    """One that was refused has not."""
    ledger = Ledger()
    failed, refused = ledger.begin(), ledger.begin()
    ledger.may(failed, "e1", E1)
    ledger.end(failed)
    ledger.may(refused, "e2", an_entry(2))
    ledger.refuse(refused, "e2")
    ledger.end(refused)
    assert [] == ledger.problems({}) == ledger.problems(shown(E1))
    assert ledger.problems(shown(an_entry(2)))


def test_what_was_erased_stands_in_no_file() -> None:
    """Until it is erased, and when it is added again, it may."""
    image = Image({"/f": Node(2, b'{"id":"e1"}', 0o600, (0, 0))})
    ledger = Ledger()
    for value, left in ((E1, 0), (None, 1), (E1, 0)):
        call = ledger.begin()
        ledger.may(call, "e1", value)
        ledger.owe(call, "e1", value)
        ledger.end(call)
        assert left == len(ledger.left_behind(image))
        assert left == len(ledger.after_crash().left_behind(image))


# ------------------------------------------------------------------------------- taking turns


def test_processes_switch_as_the_schedule_says() -> None:
    """After so many calls of one comes the other; then each goes on to its end."""
    made: list[str] = []
    turns = Turns((2, 1))

    def work(name: str, calls: int) -> None:
        for _ in range(calls):
            turns.before_call(name)
            made.append(name)

    turns.run([("a", lambda: work("a", 4)), ("b", lambda: work("b", 3))])
    assert "aabaabb" == "".join(made)


def test_processes_that_wait_for_each_other_are_told() -> None:
    """A deadlock is an error, not a test that hangs."""
    turns = Turns(())

    def work(name: str) -> None:
        while turns.wait_for_lock(name):
            pass

    with pytest.raises(Deadlock):
        turns.run([("a", lambda: work("a")), ("b", lambda: work("b"))])


def test_every_switch_is_tried() -> None:
    """One at each call of the first; a second one at each call of the second."""
    assert [(1,), (2,), (3,)] == list(schedules((3, 2), 1))
    assert [(1,), (1, 1), (1, 2), (2,), (2, 1), (2, 2)] == list(schedules((2, 2), 2))


# ------------------------------------------------------------------------------------- telling


def first_violation(what: Subject, workload: Workload) -> Violation | None:
    """Return what breaks first."""
    violations = explore(what, workload, Effort(limit=20)).violations
    return violations[0] if violations else None


def test_a_violation_is_shrunk_to_a_script_that_can_be_read() -> None:
    """Several calls on a store that never syncs come down to one entry."""
    what = subject(os_durability)
    steps = (Add.of(E1, an_entry(2)), Compact(), Erase.of("e9"), Add.of(an_entry(3, 2)))
    several = Workload("several", (steps,), (Add.of(an_entry(4)),))
    found = shrink(several, lambda workload: first_violation(what, workload))
    assert found is not None
    (step,) = found.workload.processes[0]
    assert isinstance(step, Add)
    assert 1 == len(step.entries)
    lines = str(found).splitlines()
    assert f"a: {step}" in lines
    assert "a: -> added" in lines
    assert any(line.startswith("power cut: ") for line in lines)
    assert f"{step.entries[0].id} is gone, though it was acknowledged" == lines[-1] == found.problem


def test_what_does_not_fail_is_not_shrunk() -> None:
    """There is nothing to tell."""
    assert shrink(SMALL[0], lambda _: None) is None


def test_the_same_seed_tries_the_same() -> None:
    """A long workload, and the states that are chosen by chance, can be had again."""
    assert str(long_workload(7, 40)) == str(long_workload(7, 40)) != str(long_workload(8, 40))
    effort = Effort(limit=10, second=0.1, seed=5)
    assert explore(subject(), SMALL[1], effort) == explore(subject(), SMALL[1], effort)


def test_the_words_of_steps_tell_what_they_do() -> None:
    """They are what a violation is read by."""
    steps = (Add.of(E1, an_entry(2, 3)), Update("e1", 0), Erase.of("e1", "e2"), Compact())
    workload = Workload("all", (steps,), (Add.of(E1),))
    assert [
        "before: add e1 (2025-01)",
        "a: add e1 (2025-01), e2 (2025-03)",
        "a: update e1 to 0",
        "a: erase e1, e2",
        "a: compact",
    ] == str(workload).splitlines()


# ------------------------------------------------------------------- what is tried, in numbers


def test_every_call_is_stopped_and_failed_once() -> None:
    """As many runs as there are calls, and one more that passes untouched."""
    explorer = Explorer(subject(), PAIRS[1], Effort(limit=4))
    calls = explorer.run(stop=10**6).changes["a"]
    tally = explore_stops(subject(), PAIRS[1], Effort(limit=4))
    assert (calls, calls + 1) == (tally.stops, tally.runs)
    syncs = [Fault("sync", 1, errno.EIO)]
    tally = explore_faults(subject(), SMALL[1], Effort(limit=4), lambda: syncs)
    assert tally.faults + 1 == tally.runs
    assert tally.faults > len(SMALL[1].processes[0])


def test_every_kind_of_fault_is_there_once_and_lasting() -> None:
    """And short writes before it, and pages that are dropped."""
    kinds = list(fault_kinds())
    assert len(kinds) == len(set(kinds))
    assert {kind.call for kind in kinds if kind.lasting} == {kind.call for kind in kinds}
    assert {"append"} == {kind.call for kind in kinds if kind.taken is not None}
    assert {"sync"} == {kind.call for kind in kinds if kind.drops_pages}
    assert "append 1 fails after 50 bytes (No space left on device)" in map(str, kinds)


def test_judges_see_every_state() -> None:
    """What they say is a violation."""

    def nothing_may_be_there(image: Image) -> Iterable[str]:
        return [path for path, _, content in image.files() if content]

    what = Subject(open_store, (nothing_may_be_there,))
    assert explore(what, SMALL[0], Effort(limit=4)).broken


def test_a_store_that_cannot_be_opened_is_a_violation() -> None:
    """Whatever it raises."""
    opened: list[SimulatedDisk] = []

    def opener(disk: SimulatedDisk) -> object:
        opened.append(disk)
        if len(opened) > 2:
            msg = "no"
            raise RuntimeError(msg)
        return open_store(disk)

    tally = explore(Subject(opener), SMALL[0], Effort(limit=4))  # type: ignore[arg-type]  # it may not open
    assert tally.broken
    assert "RuntimeError('no')" in str(tally.violations[0])
