"""Processes that use a store in a bucket, and keep journals of what they ask and are told.

They are children of one interpreter, which a test starts with the `Orders` of all as its argument.
It replaces who is killed; all end when its standard input does. After an error that tells that the
endpoint failed a worker makes the same call again, as the library tells its users.
"""

import json
import os
import random
import select
import signal
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import attrs
import fsspec
from history import Event, Journal, Phase, Verb, calls_of, entry_of, version_of

from feedback_store import FeedbackEntry, StoreUnavailableError
from feedback_store.backends.objects import ObjectStore
from feedback_store.backends.objects.opening import open_url

_CALLS = 6  # how often a call is made before its outcome stays unknown
_AGAIN = 0.7  # how often an addition that is unknown is made again later
_PAUSES_S = {"writer": 0.03, "compactor": 0.1, "eraser": 0.02}


@attrs.frozen
class Orders:
    """What a worker is told at its start.

    Attributes:
        worker: its name, whose first word is what it does.
        seed: what it draws its choices from, together with its name and its life.
        folder: where the journals are.
        url: where the store is.
        options: what the store takes.
        skew_s: by how much its clock is wrong.
        life: how often it was killed before.
    """

    worker: str
    seed: int
    folder: str
    url: str
    options: dict[str, Any]
    skew_s: int
    life: int = 0

    @property
    def name(self) -> str:
        """The name of this life of the worker."""
        return f"{self.worker}.{self.life:02}"


class Worker:
    """What writers, compactors and erasers have in common."""

    def __init__(self, orders: Orders, store: ObjectStore) -> None:
        self.orders = orders
        self.store = store
        self.folder = Path(orders.folder)
        self.chance = random.Random(f"{orders.seed} {orders.name}")
        self.journal = Journal(self.folder / f"{orders.worker}.journal")
        self.past = calls_of(self.journal.events())
        self._calls = 0

    def step(self) -> None:
        """Do one thing."""
        raise NotImplementedError

    def ask(
        self, verb: Verb, act: Callable[[], Sequence[object]], ids: Sequence[str], version: int = 0
    ) -> bool:
        """Make a call, and make it again while the endpoint fails; say whether it was told."""
        for _ in range(_CALLS):
            self._calls += 1
            name = f"{self.orders.name}.{self._calls:05}"
            asked = Event(time.monotonic_ns(), name, "asked", verb, tuple(ids), version)
            self.journal.note(asked)
            try:
                said = act()
            except StoreUnavailableError as error:
                self._end(asked, "failed", [str(error)])
            except BaseException as error:
                self._end(asked, "broke", [repr(error)])
                raise
            else:
                self._end(asked, "told", said)
                return True
        return False

    def _end(self, asked: Event, phase: Phase, said: Sequence[object]) -> None:
        event = attrs.evolve(asked, at=time.monotonic_ns(), phase=phase, said=tuple(said))
        self.journal.note(event)


class Writer(Worker):
    """Adds entries and changes its own, until it is done with them."""

    def __init__(self, orders: Orders, store: ObjectStore) -> None:
        super().__init__(orders, store)
        self._added = 0
        self._latest: dict[str, int] = {}
        """The version that was asked for last, of each entry that is there and not done with."""
        self._unsettled: set[str] = set()
        """Entries of which a request may still be on its way: others could not tell when."""
        self._open: list[Sequence[str]] = []
        """Additions that were cut off, or given up."""
        self._take_up()

    def _take_up(self) -> None:
        """Know what earlier lives of this worker have done."""
        for call in self.past:
            for id in call.asked.ids:
                if call.asked.verb == "update" or call.is_told:
                    self._latest[id] = call.asked.version
                if call.is_cut:
                    self._unsettled.add(id)
        cut = {call.asked.ids for call in self.past if call.asked.verb == "add" and call.is_cut}
        for ids in sorted(cut):
            if self._latest.keys().isdisjoint(ids) and self.chance.random() < _AGAIN:
                self._open.append(ids)
        for event in self.journal.events():
            if event.verb == "done":
                for id in event.ids:
                    del self._latest[id]

    def step(self) -> None:
        """Add a few entries, or change one, or be done with some."""
        drawn = self.chance.random()
        if self._open:
            self._add(self._open.pop())
        elif drawn < 0.4 or not self._latest:
            self._add([self._new_id() for _ in range(self.chance.randint(1, 4))])
        elif drawn < 0.7:
            self._update(self.chance.choice(sorted(self._latest)))
        else:
            self._be_done()

    def _new_id(self) -> str:
        self._added += 1
        return f"{self.orders.name}.{self._added:05}"

    def _add(self, ids: Sequence[str]) -> None:
        entries = [entry_of(id, 0) for id in ids]
        if self.ask("add", lambda: self.store.append(entries), ids):
            self._latest.update(dict.fromkeys(ids, 0))
        elif self.chance.random() < _AGAIN:
            self._open.append(tuple(ids))

    def _update(self, id: str) -> None:
        version = self._latest[id] + 1
        seen: list[int] = []

        def change(entry: FeedbackEntry) -> FeedbackEntry:
            seen[:] = [version_of(entry)]
            return entry_of(id, version)

        def rewrite() -> Sequence[int]:
            self.store.rewrite(id, change)
            return seen

        self._latest[id] = version
        self.ask("update", rewrite, [id], version)

    def _be_done(self) -> None:
        settled = sorted(self._latest.keys() - self._unsettled)
        chosen = self.chance.sample(settled, min(len(settled), self.chance.randint(1, 4)))
        for id in chosen:
            del self._latest[id]
        name = f"{self.orders.name}.done"
        self.journal.note(Event(time.monotonic_ns(), name, "told", "done", tuple(chosen)))


class Compactor(Worker):
    """Compacts."""

    def step(self) -> None:
        """Compact everything once."""

        def compact() -> Sequence[object]:
            report = self.store.compact()
            return [report.months, report.superseded]

        self.ask("compact", compact, [])


class Eraser(Worker):
    """Erases what its writers are done with."""

    def __init__(self, orders: Orders, store: ObjectStore) -> None:
        super().__init__(orders, store)
        told = (call.asked.ids for call in self.past if call.is_told)
        self._erased = {id for ids in told for id in ids}
        begun = {id for call in self.past for id in call.asked.ids}
        self._open = sorted(begun - self._erased)

    def step(self) -> None:
        """Erase some, and first those that an earlier life has begun with."""
        ids, self._open = self._open, []
        if not ids:
            journals = [Journal(path) for path in sorted(self.folder.glob("writer-*.journal"))]
            events = [event for journal in journals for event in journal.events()]
            done = {id for event in events if event.verb == "done" for id in event.ids}
            waiting = sorted(done - self._erased)
            ids = self.chance.sample(waiting, min(len(waiting), self.chance.randint(1, 12)))
        if ids and self.ask("erase", lambda: [self.store.erase(ids)], ids):
            self._erased.update(ids)


_ROLES: dict[str, type[Worker]] = {"writer": Writer, "compactor": Compactor, "eraser": Eraser}


def live(orders: Orders) -> None:
    """Work until the standard input ends, which it does when the test says so, or dies."""
    role = orders.worker.partition("-")[0]
    # Who makes a request stands in it, so that it can be killed there.
    config = orders.options["storage_options"]["config_kwargs"]
    config["user_agent_extra"] = f"{orders.name}/{os.getpid()}"
    store = open_url(
        orders.url,
        now_ns=lambda: time.time_ns() + orders.skew_s * 1_000_000_000,
        **orders.options,
    )
    with closing(store):
        worker = _ROLES[role](orders, store)
        has_ended = False
        while not has_ended:
            worker.step()
            pause_s = worker.chance.uniform(0, 2 * _PAUSES_S[role])
            has_ended = bool(select.select([sys.stdin], [], [], pause_s)[0])


def start(orders: Orders) -> int:
    """Start a life of a worker; return its pid."""
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        live(orders)
        code = 0
    except BaseException:  # noqa: BLE001  # a child must never return into its parent's work
        traceback.print_exc()
    finally:
        os._exit(code)


def main() -> int:
    """Start the workers, and replace who is killed; return 1 once somebody has ended otherwise."""
    fsspec.get_filesystem_class("s3")  # what every child needs is imported here, once
    many = [Orders(**given) for given in json.loads(sys.argv[1])]
    alive = {start(orders): orders for orders in many}
    while alive:
        pid, status = os.wait()
        orders, code = alive.pop(pid), os.waitstatus_to_exitcode(status)
        if code == -signal.SIGKILL:
            orders = attrs.evolve(orders, life=orders.life + 1)
            alive[start(orders)] = orders
        elif code:
            for other in alive:
                os.kill(other, signal.SIGKILL)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
