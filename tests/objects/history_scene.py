"""Processes that use one bucket over HTTP, while requests fail and processes are killed.

Four writers, two compactors and an eraser, each with a clock of its own. A proxy delays some of
their requests, cuts them off before or after they were done, or answers them by an error; and at
some of them it kills the process that made it, which is replaced then.
"""

import gzip
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final

import attrs
import history_worker
from fault_proxy import Fault, FaultProxy, Request, answer, cut_before, cut_reply, delay
from history import Call, Event, Journal, Sight, calls_of, version_of
from history_worker import Orders
from jsonl_harness import DEEP
from s3_endpoint import Endpoint

import feedback_store
from feedback_store import Query
from feedback_store.backends.objects import ObjectStore
from feedback_store.backends.objects.retrying import ATTEMPTS

REQUESTS = 6000 if DEEP else 1300
KILLS = 40 if DEEP else 10
LIMIT_S = 300.0 if DEEP else 60.0
FAULTS: Final = {"LIST": 0.06, "GET": 0.03, "PUT": 0.4, "DELETE": 0.08}
"""Which share of the requests of each kind fails."""
DELAYS = 0.08
"""Which share of all others takes longer than it should."""

HOUR_S = 3600


@attrs.frozen
class Habits:
    """How a worker uses the store.

    Attributes:
        attempts: how often it makes a request before it has failed.
        skew_s: by how much its clock is wrong.
        is_cached: whether it uses the folder that keeps what was read.
        join_objects: how many small objects a month may have before it joins them; 0 to join none.
    """

    attempts: int = 1
    skew_s: int = 0
    is_cached: bool = False
    join_objects: int = 0


WORKERS: Final = {
    "writer-0": Habits(),
    "writer-1": Habits(skew_s=-HOUR_S, is_cached=True, join_objects=8),
    "writer-2": Habits(attempts=2, skew_s=HOUR_S, join_objects=4),
    "writer-3": Habits(attempts=ATTEMPTS, is_cached=True),
    "compactor-0": Habits(skew_s=-HOUR_S),
    "compactor-1": Habits(is_cached=True),
    "eraser-0": Habits(attempts=3, skew_s=-HOUR_S),
}


@attrs.frozen
class Kill:
    """A process that is to die at one of its requests.

    Attributes:
        after: how many requests must have come before.
        worker: whose request.
        kind: at which kind of request; any, if it is empty.
        forward: whether the endpoint does the request all the same.
    """

    after: int
    worker: str
    kind: str
    forward: bool


class Chaos:
    """The plan of what goes wrong; the proxy asks for one request after the other."""

    def __init__(self, seed: int) -> None:
        self.faults: Counter[str] = Counter()
        self.killed: list[str] = []
        self._chance = random.Random(seed)
        victims = [*WORKERS, *self._chance.choices(list(WORKERS), k=KILLS)]
        self._left = [self._kill(worker) for worker in victims[:KILLS]]

    def _kill(self, worker: str) -> Kill:
        kinds = ("", "PUT") if worker.startswith("writer") else ("", "PUT", "DELETE")
        after = self._chance.randrange(REQUESTS // 10, REQUESTS * 9 // 10)
        return Kill(after, worker, self._chance.choice(kinds), self._chance.random() < 0.5)

    def __call__(self, request: Request) -> Fault | None:
        """Say what happens to a request, which tells the name of who made it, and its pid."""
        life, _, pid = request.header("user-agent").rpartition(" ")[2].partition("/")
        for kill in self._left:
            is_its = life.startswith(f"{kill.worker}.") and life not in self.killed
            if request.number > kill.after and is_its and kill.kind in ("", request.kind):
                self._left.remove(kill)
                self.killed.append(life)
                os.kill(int(pid), signal.SIGKILL)
                return Fault(forward=kill.forward, wait_s=self._chance.choice((0.0, 0.05)))
        if self._chance.random() < FAULTS.get(request.kind, 0.0):
            name, fault = self._failure()
        elif life.startswith("compactor") and request.kind == "PUT":
            name, fault = "stall", delay(3.0 * self._chance.random() ** 3)
        elif self._chance.random() < DELAYS:
            name, fault = "delay", delay(0.5 * self._chance.random() ** 2)
        else:
            return None
        self.faults[name] += 1
        return fault

    def _failure(self) -> tuple[str, Fault]:
        return self._chance.choice(
            [
                ("cut before", cut_before()),
                ("cut after", cut_reply()),
                ("cut after", cut_reply(self._chance.random())),
                ("500", answer(500, forward=True)),
                ("503", answer(503)),
                ("503", answer(503)),
            ]
        )


@attrs.frozen
class Scene:
    """Where it happens.

    Attributes:
        endpoint: the endpoint.
        root: the bucket, and the place in it.
        folder: where the journals are.
        seed: what chance follows.
    """

    endpoint: Endpoint
    root: str
    folder: Path
    seed: int

    @property
    def cache_folder(self) -> Path:
        """The folder in which some workers keep what they have read."""
        return self.folder / "cache"

    def store(self, url: str | None = None, *, is_cached: bool = False) -> ObjectStore:
        """Open the store by a way on which nothing fails."""
        cache_folder = self.cache_folder if is_cached else None
        return ObjectStore(self.endpoint.filesystem(url), self.root, cache_folder=cache_folder)

    def start(self, url: str) -> subprocess.Popen[bytes]:
        """Start all workers, who find the endpoint there."""
        orders = [
            Orders(
                worker=worker,
                seed=self.seed,
                folder=str(self.folder),
                url=f"s3://{self.root}",
                options={
                    "storage_options": self.endpoint.options(url),
                    "retry_attempts": habits.attempts,
                    "join_objects": habits.join_objects,
                    "cache_folder": str(self.cache_folder) if habits.is_cached else None,
                },
                skew_s=habits.skew_s,
            )
            for worker, habits in WORKERS.items()
        ]
        path = os.pathsep.join([str(Path(feedback_store.__file__).parents[1]), *sys.path])
        argument = json.dumps([attrs.asdict(each) for each in orders])
        with (self.folder / "errors").open("wb") as errors:
            return subprocess.Popen(
                [sys.executable, history_worker.__file__, argument],
                env={**os.environ, "PYTHONPATH": path},
                stdin=subprocess.PIPE,
                stderr=errors,
            )

    def errors(self) -> str:
        """Return what workers said as they broke."""
        return (self.folder / "errors").read_text()

    def calls(self) -> list[Call]:
        """Return what all workers asked and were told."""
        journals = [Journal(path) for path in sorted(self.folder.glob("*.journal"))]
        return calls_of(event for journal in journals for event in journal.events())

    def is_enough(self) -> bool:
        """Say whether a call of each verb was acknowledged."""
        told = {call.asked.verb for call in self.calls() if call.is_told}
        return told >= {"add", "update", "erase", "compact"}


def work(scene: Scene, proxy: FaultProxy, chaos: Chaos) -> int:
    """Let all work until enough has happened; return 1 if one of them broke."""
    proxy.plan = chaos
    limit = time.monotonic() + LIMIT_S
    with scene.start(proxy.url) as workers:
        while len(proxy.requests) < REQUESTS or not scene.is_enough():
            if time.monotonic() > limit or workers.poll() is not None:
                break
            time.sleep(0.05)
    proxy.close()  # what is still on its way arrives now
    return workers.returncode


def look(store: ObjectStore) -> Sight:
    """See all that is in a store."""
    begun = time.monotonic_ns()
    found = tuple((entry.id, version_of(entry)) for entry in store.scan(Query()))
    return Sight(begun, time.monotonic_ns(), found)


def erase(store: ObjectStore, ids: set[str]) -> Call:
    """Erase entries, and return that as one more call of the history."""
    asked = Event(time.monotonic_ns(), "the end", "asked", "erase", tuple(ids))
    count = store.erase(ids)
    return Call(asked, attrs.evolve(asked, at=time.monotonic_ns(), phase="told", said=(count,)))


def _hesitate(request: Request) -> Fault | None:
    """Leave time between a listing and what it leads to."""
    return delay(0.2) if request.kind == "GET" and request.number % 3 == 0 else None


@contextmanager
def watched(scene: Scene) -> Iterator[list[Sight]]:
    """Look at the store now and then, by a slow reader that stays, and sometimes by a new one."""
    sights: list[Sight] = []
    ended = threading.Event()

    def watch(url: str) -> None:
        with closing(scene.store(url)) as staying:
            while not ended.wait(0.3):
                sights.append(look(staying))
                if len(sights) % 8 == 0:
                    with closing(scene.store()) as new:
                        sights.append(look(new))

    with FaultProxy(str(scene.endpoint.url), _hesitate) as proxy, ThreadPoolExecutor(1) as pool:
        watching = pool.submit(watch, proxy.url)
        try:
            yield sights
        finally:
            ended.set()
        watching.result()


def remains(scene: Scene, ids: set[str]) -> list[tuple[str, str]]:
    """Return which objects and kept files hold which of these ids, in their bytes as they read."""
    filesystem = scene.endpoint.filesystem()
    there = {path: filesystem.cat_file(path) for path in filesystem.find(scene.root)}
    kept = (path for path in scene.cache_folder.rglob("*") if path.is_file())
    there |= {str(path): path.read_bytes() for path in kept}
    found: list[tuple[str, str]] = []
    for path, data in there.items():
        text = gzip.decompress(data) if path.endswith(".gz") else data
        found.extend((path, id) for id in ids if id.encode() in text)
    return found
