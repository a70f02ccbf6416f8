"""What is put to the proof, and how much is tried."""

from collections.abc import Callable, Iterable

import attrs

from feedback_store.testing.simulation.disk import SimulatedDisk
from feedback_store.testing.simulation.image import Image
from feedback_store.testing.simulation.steps import Opener

Judge = Callable[[Image], Iterable[str]]
"""Says what is wrong with the files of a store, one sentence each."""


@attrs.frozen
class Subject:
    """What is put to the proof.

    Attributes:
        opener: opens the store on a disk.
        judges: what else must hold for every state of the disk: each returns what is wrong.
        clock: gives times of change, where the store compares them with the time of day.
    """

    opener: Opener
    judges: tuple[Judge, ...] = ()
    clock: Callable[[], int] | None = None

    def disk(self, model: str, image: Image | None = None) -> SimulatedDisk:
        """Return a disk for the store."""
        return SimulatedDisk(image, model=model, clock=self.clock)


@attrs.frozen
class Effort:
    """How much is tried.

    Attributes:
        model: the filesystem.
        limit: crash states at each point, about.
        every_cut: whether writes are torn at every byte.
        second: the share of the calls of a recovery at which the power is cut again.
        reads: whether another process reads at every call.
        tries: how often a client makes a call that fails.
        seed: what chance begins with.
    """

    model: str = "posix"
    limit: int = 400
    every_cut: bool = False
    second: float = 0
    reads: bool = False
    tries: int = 3
    seed: int = 0
