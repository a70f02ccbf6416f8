"""What the tests of the awaited store share: entries, tasks, and a store that can be held."""

import threading
from collections.abc import Callable, Iterator, Sequence

import anyio

from feedback_store import FeedbackEntry, FeedbackStore, InvalidEntryError, Outcome, Query
from feedback_store.aio import AsyncFeedbackStore
from feedback_store.backends.memory import MemoryStore

DEADLINE_S = 10.0


def make(id: str, **fields: str) -> FeedbackEntry:
    """Return an entry with that id."""
    return FeedbackEntry(message_id=id, question="", answer=fields.get("answer", ""))


def own_threads() -> list[str]:
    """Return the names of all threads that belong to an awaited store."""
    return [t.name for t in threading.enumerate() if t.name.startswith("feedback_store")]


async def until(condition: Callable[[], object]) -> None:
    """Return as soon as a condition holds."""
    with anyio.fail_after(DEADLINE_S):
        while not condition():  # noqa: ASYNC110  # threads change it, and tell nobody
            await anyio.sleep(0.001)


class HeldStore(MemoryStore):
    """A store whose appends and counts wait to be let go, and which knows what came together."""

    def __init__(self) -> None:
        super().__init__()
        self.groups: list[list[str]] = []
        self.at_work = 0
        self.most_at_work = 0
        self.let_go = threading.Event()
        self.error: Callable[[], BaseException] | None = None
        self._mutex = threading.Lock()

    def _wait(self) -> None:
        with self._mutex:
            self.at_work += 1
            self.most_at_work = max(self.most_at_work, self.at_work)
        assert self.let_go.wait(DEADLINE_S)
        with self._mutex:
            self.at_work -= 1

    def append(self, entries: Sequence[FeedbackEntry]) -> list[Outcome]:
        """Wait, then store, or raise what was told."""
        self.groups.append([entry.id for entry in entries])
        self._wait()
        if self.error is not None:
            raise self.error()
        if any(entry.id == "refused" for entry in entries):
            raise InvalidEntryError("refused")
        return list(super().append(entries))

    def count(self, query: Query) -> int:
        """Wait, then count."""
        self._wait()
        return sum(1 for _ in self.scan(query))


class Crowd:
    """Tasks that add entries to a store that is held, and what became of each."""

    def __init__(self) -> None:
        self.medium = HeldStore()
        self.store = AsyncFeedbackStore(FeedbackStore(self.medium), max_threads=2)
        self.outcomes: dict[str, object] = {}

    async def add(self, id: str) -> None:
        """Add an entry, and note its outcome, its error, or that it was cancelled."""
        try:
            self.outcomes[id] = await self.store.add(make(id))
        except Exception as error:  # noqa: BLE001  # it is what the test looks at
            self.outcomes[id] = error
        except anyio.get_cancelled_exc_class():
            self.outcomes[id] = "cancelled"
            raise

    @property
    def waiting(self) -> list[str]:
        """The ids of those that wait for the next group."""
        return [ticket.entry.id for ticket in self.store._group._queue.waiting]

    async def queue(self, count: int) -> None:
        """Return as soon as so many wait."""
        await until(lambda: len(self.waiting) == count)

    def stored(self) -> list[str]:
        """Return the ids of what is in the store."""
        return [entry.id for entry in self.medium.scan(Query())]


def a_crowd() -> Iterator[Crowd]:
    """Yield a crowd, for a fixture; see that its threads have ended when its store was closed."""
    crowd = Crowd()
    yield crowd
    crowd.medium.let_go.set()
    anyio.run(crowd.store.close)
    assert [] == own_threads()
