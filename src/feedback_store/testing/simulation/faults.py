"""What may go wrong at a call: an error, a short write, the end of the process."""

import os

import attrs


class ProcessStopped(BaseException):  # no error: what a SIGKILL is to those who watch
    """The simulated process was stopped at this call; every later call of it stops as well."""


@attrs.frozen
class Fault:
    """A call that fails.

    Attributes:
        call: the name of the call, such as ``"append"``, ``"sync"`` or ``"rename"``.
        nth: which one of that name, the first being 1.
        error: the ``errno`` that it fails with.
        taken: for ``append``: how many bytes are taken before it; the call then returns that
            number, and the next call of the name raises the error. None to raise it at once.
        lasting: whether all later calls of the name fail as well.
        drops_pages: for ``sync``: whether the kernel then drops what it could not write, so that
            zeros are read there, as some filesystems do; others keep showing it.
    """

    call: str
    nth: int
    error: int
    taken: int | None = None
    lasting: bool = False
    drops_pages: bool = False

    def __str__(self) -> str:
        """Tell of it in a line."""
        short = "" if self.taken is None else f" after {self.taken} bytes"
        times = "and every later one " if self.lasting else ""
        pages = ", pages dropped" if self.drops_pages else ""
        return f"{self.call} {self.nth} {times}fails{short} ({os.strerror(self.error)}{pages})"


class FaultPlan:
    """Counts calls, and says which of them fail.

    Attributes:
        counts: how many calls of each name there were.
        struck: whether the fault has come.
    """

    def __init__(self, fault: Fault | None = None) -> None:
        self._fault = fault
        self.counts: dict[str, int] = {}
        self.struck = False

    def take(self, call: str, path: str) -> int | None:
        """Count a call; return how many bytes it may take, None for all.

        Raises:
            OSError: it fails.
        """
        count = self.counts[call] = self.counts.get(call, 0) + 1
        fault = self._fault
        if fault is None or fault.call != call or count < fault.nth:
            return None
        first = fault.nth + (fault.taken is not None)
        if count < first:
            self.struck = True
            return fault.taken
        if count == first or fault.lasting:
            self.struck = True
            raise OSError(fault.error, os.strerror(fault.error), path)
        return None

    @property
    def drops_pages(self) -> bool:
        """Whether a failed sync drops what it could not write."""
        return self._fault is not None and self._fault.drops_pages
