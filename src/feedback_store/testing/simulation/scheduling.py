"""Letting several processes take turns, call by call, as a schedule says.

Each process is a thread, and one runs at a time. A schedule with few switches finds most races
(Musuvathi and Qadeer, "Iterative Context Bounding", PLDI 2007), so that they can all be tried.
"""

import threading
from collections.abc import Callable, Iterator, Sequence

Schedule = tuple[int, ...]
"""How many calls the running process makes before another takes its turn, time after time; after
the last number it goes on to its end, and then the others do."""

_PATIENCE_CALLS = 400
"""Calls after which a process that asks again and again, waiting for another, must let it run."""


class Deadlock(AssertionError):  # noqa: N818  # what it is, not that it is one
    """Every process waits for another."""


class Turns:
    """Lets one of several threads run at a time.

    Args:
        schedule: when to switch.
    """

    def __init__(self, schedule: Schedule) -> None:
        self._left = list(schedule)
        self._changed = threading.Condition()
        self._live: list[str] = []
        self._waiting: set[str] = set()
        self._running = ""
        self._made = 0
        self._patience = _PATIENCE_CALLS

    def run(self, works: "Sequence[tuple[str, Callable[[], None]]]") -> None:
        """Run each work in a thread of its own, by turns, until all have ended.

        Raises:
            BaseException: what a work has raised, the first one's.
        """
        errors: list[BaseException] = []

        def thread(name: str, work: Callable[[], None]) -> None:
            try:
                self._await_turn(name, made=0)
                work()
            except BaseException as error:  # noqa: BLE001  # it is raised where it is waited for
                errors.append(error)
            finally:
                self._leave(name)

        self._live = [name for name, _ in works]
        self._running = self._live[0]
        threads = [threading.Thread(target=thread, args=work, daemon=True) for work in works]
        for started in threads:
            started.start()
        for started in threads:
            started.join()
        if errors:
            raise errors[0]

    def before_call(self, name: str) -> None:
        """Let others run, where it is their turn."""
        self._made += 1
        self._patience -= 1
        if self._left and self._made > self._left[0]:
            self._left.pop(0)
            self._switch(name)
        elif self._patience <= 0:
            self._switch(name)

    def wait_for_lock(self, name: str) -> bool:
        """Let others run until one of them frees the lock that is wanted; always try again.

        Raises:
            Deadlock: there is nobody who could.
        """
        self._waiting.add(name)
        if not [other for other in self._live if other not in self._waiting]:
            msg = f"{' and '.join(self._live)} wait for each other"
            raise Deadlock(msg)
        self._switch(name)
        self._waiting.discard(name)
        return True

    def lock_freed(self) -> None:
        """Note that who waits for a lock may try again."""
        self._waiting.clear()

    def _switch(self, name: str) -> None:
        with self._changed:
            self._pass_on(name)
        self._await_turn(name, made=1)

    def _pass_on(self, name: str) -> None:
        place = self._live.index(name)
        order = [*self._live[place + 1 :], *self._live[: place + 1]]
        able = [other for other in order if other not in self._waiting] or order
        self._running = able[0]
        self._patience = _PATIENCE_CALLS
        self._changed.notify_all()

    def _await_turn(self, name: str, made: int) -> None:
        """Wait; then count calls from ``made``: who was stopped before a call makes it now."""
        with self._changed:
            while self._running != name:
                self._changed.wait()
            self._made = made

    def _leave(self, name: str) -> None:
        with self._changed:
            self._waiting.clear()
            if self._live != [name]:
                self._pass_on(name)
            self._live.remove(name)
            self._changed.notify_all()


def schedules(calls: Sequence[int], switches: int) -> Iterator[Schedule]:
    """Yield the schedules of two processes with one or two switches at every call.

    Args:
        calls: how many calls each of the two makes by itself.
        switches: how many switches there are at most.
    """
    first, second = calls
    for before in range(1, first + 1):
        yield (before,)
        if switches > 1:
            for between in range(1, second + 1):
                yield before, between
