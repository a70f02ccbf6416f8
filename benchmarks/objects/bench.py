"""The stores that are measured, and what measures them."""

from typing import Any, ClassVar

import attrs

from benchmarks.crew import Worker
from benchmarks.entries import DataSet
from benchmarks.objects.endpoint import Served, Spent
from benchmarks.objects.place import Place


@attrs.frozen
class ObjectScale:
    """How long measuring may take.

    Attributes:
        data: the entries of a store.
        rounds: how often everything is measured.
        adds: by the number of callers, how many entries each of them adds.
        crowd: how many small objects stand in a month that is called crowded.
    """

    data: DataSet
    rounds: int
    adds: dict[int, int]
    crowd: int


class ObjectWorker(Worker):
    """A fresh process for object stores."""

    program: ClassVar = "benchmarks.objects.worker"

    def __init__(self, scale: ObjectScale) -> None:
        data = scale.data
        super().__init__(size=data.size, months=data.months, crowd=scale.crowd)


@attrs.frozen
class Cost:
    """What an operation costs.

    Attributes:
        seconds: of each time.
        spent: the requests of one time.
    """

    seconds: list[float]
    spent: Spent


class ObjectBench:
    """Two stores with the same in them: one is asked for times, of the other requests are counted.

    What is counted goes through a proxy, which takes time itself.

    Args:
        served: where they are.
        worker: does all that is measured.
        scale: how long it may take.
    """

    def __init__(self, served: Served, worker: ObjectWorker, scale: ObjectScale) -> None:
        self.served = served
        self.worker = worker
        self.scale = scale
        self.timed = served.new_place()
        self._counted = served.new_place()

    def build(self) -> None:
        """Make both stores."""
        for place in (self.timed, self._counted):
            self.worker.call("build", place=place.told())

    def cost(self, verb: str, *, cold: bool) -> Cost:
        """Return what a verb costs: its times in one store, its requests in the other, once."""
        seconds: list[float] = []
        for k in range(self.scale.rounds):
            self.worker.call("prepare", place=self.timed.told(), verb=verb, k=k, cold=cold)
            seconds.append(float(self.worker.call("act")["seconds"]))
        counted = self.served.counted(self._counted)
        self.worker.call("prepare", place=counted.told(), verb=verb, k=0, cold=cold)
        self.served.start_counting()
        self.worker.call("act")
        return Cost(seconds, self.served.spent(self._counted))

    def adds_a_second(self, kind: str, callers: int) -> float:
        """Return how many entries a second are added to an empty store."""
        answer = self._add(self.served.new_place(), kind, callers)
        return float(answer["done"]) / float(answer["ended"] - answer["began"])

    def spent_on_adds(self, kind: str, callers: int) -> Spent:
        """Return what adding comes to."""
        place = self.served.new_place()
        self._add(self.served.counted(place), kind, callers)
        return self.served.spent(place)

    def _add(self, place: Place, kind: str, callers: int) -> dict[str, Any]:
        told = {"kind": kind, "callers": callers, "each": self.scale.adds[callers]}
        self.worker.call("prepare_adds", place=place.told(), **told)
        self.served.start_counting()
        return self.worker.call("add")
