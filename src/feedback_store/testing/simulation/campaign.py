"""Exploring a workload in every way: all schedules, all stops, all faults."""

import errno
from collections.abc import Callable, Iterable, Iterator, Sequence

import attrs

from feedback_store.testing.simulation.explorer import Explorer
from feedback_store.testing.simulation.faults import Fault
from feedback_store.testing.simulation.scheduling import schedules
from feedback_store.testing.simulation.steps import Add, Erase, Step, Workload
from feedback_store.testing.simulation.subject import Effort, Subject
from feedback_store.testing.simulation.tally import Tally, Violation

_DEFAULT = Effort()
_TWO = 2

_ERRORS = {
    "append": (errno.EIO, errno.ENOSPC),
    "create": (errno.ENOSPC, errno.EMFILE),
    "file_status": (errno.EIO,),
    "list": (errno.EMFILE,),
    "make_folder": (errno.ENOSPC,),
    "map": (errno.ENOMEM,),
    "open": (errno.EMFILE,),
    "open_append": (errno.EMFILE,),
    "read": (errno.EIO,),
    "rename": (errno.EIO,),
    "size": (errno.EIO,),
    "status": (errno.EIO,),
    "sync": (errno.EIO,),
    "sync_folder": (errno.EIO,),
    "truncate": (errno.EIO,),
    "unlink": (errno.EIO,),
}
_SHORT_BYTES = (0, 1, 50)


def fault_kinds(calls: Iterable[str] = tuple(_ERRORS)) -> Iterator[Fault]:
    """Yield a fault of each kind at the first call of its name: once, and staying broken."""
    for call in calls:
        for error in _ERRORS[call]:
            for lasting in (False, True):
                yield Fault(call, 1, error, lasting=lasting)
                if call == "append":
                    for taken in _SHORT_BYTES:
                        yield Fault(call, 1, error, taken=taken, lasting=lasting)
                if call == "sync":
                    yield Fault(call, 1, error, lasting=lasting, drops_pages=True)


def explore(
    subject: Subject, workload: Workload, effort: Effort = _DEFAULT, *, switches: int = 1
) -> Tally:
    """Run a workload and cut the power everywhere; return what was tried and found.

    Where it has two processes, in every way in which they can take turns with so many switches.
    """
    explorer = Explorer(subject, workload, effort)
    run = explorer.run()
    if len(workload.processes) == _TWO:
        for schedule in schedules(list(run.calls.values())[:_TWO], switches):
            explorer.run(schedule=schedule)
    return explorer.tally


def explore_stops(subject: Subject, workload: Workload, effort: Effort = _DEFAULT) -> Tally:
    """Stop the first process at each of its changing calls, and let the others go on."""
    explorer = Explorer(subject, workload, effort)
    while explorer.run(stop=explorer.tally.stops + 1).struck:
        explorer.tally.stops += 1
    return explorer.tally


def explore_faults(
    subject: Subject,
    workload: Workload,
    effort: Effort = _DEFAULT,
    kinds: Callable[[], Iterable[Fault]] = fault_kinds,
) -> Tally:
    """Let each call fail in each way: the first of its name, the second, until there is none."""
    explorer = Explorer(subject, workload, effort)
    for kind in kinds():
        nth = 1
        while explorer.run(fault=attrs.evolve(kind, nth=nth)).struck:
            explorer.tally.faults += 1
            nth += 1
    return explorer.tally


def shrink(workload: Workload, fails: Callable[[Workload], Violation | None]) -> Violation | None:
    """Return the violation of the smallest workload that still fails, None if none does.

    Steps, and entries in them, are left out one at a time for as long as the rest fails: the
    greedy end of delta debugging (Zeller and Hildebrandt, 2002).
    """
    if (found := fails(workload)) is None:
        return None
    smaller = True
    while smaller:
        smaller = False
        for candidate in _smaller(found.workload):
            if (still := fails(candidate)) is not None:
                found, smaller = still, True
                break
    return found


def _smaller(workload: Workload) -> Iterator[Workload]:
    for steps in _fewer(workload.setup):
        yield attrs.evolve(workload, setup=steps)
    for i, process in enumerate(workload.processes):
        for steps in _fewer(process):
            others = workload.processes
            yield attrs.evolve(workload, processes=(*others[:i], steps, *others[i + 1 :]))


def _fewer(steps: Sequence[Step]) -> Iterator[tuple[Step, ...]]:
    for i, step in enumerate(steps):
        yield (*steps[:i], *steps[i + 1 :])
        if isinstance(step, Add) and len(step.entries) > 1:
            for j in range(len(step.entries)):
                less = Add((*step.entries[:j], *step.entries[j + 1 :]))
                yield (*steps[:i], less, *steps[i + 1 :])
        if isinstance(step, Erase) and len(step.ids) > 1:
            for j in range(len(step.ids)):
                fewer = Erase((*step.ids[:j], *step.ids[j + 1 :]))
                yield (*steps[:i], fewer, *steps[i + 1 :])
