"""`CachedStore`: a store that remembers what the store below has answered.

What is remembered: entries by their id (and that there is none), pages, counts, statistics. What
is not: scans, queries with a ``where``, errors, and the answers of a write.

When an answer is remembered, it was the store's at some moment; the question is only how long ago
that moment may lie. `CachedStore` says so for each setting. For all of them, in one process:

- after a write through the layer has returned or raised, no answer is from before it;
- nobody who has seen such a write gets an answer from before it, not even while it goes on;
- a reader that began before a write never leaves behind what it saw.
"""

import math
import time
from collections.abc import (
    Callable,
    Collection,
    Hashable,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
)
from contextlib import contextmanager
from typing import Literal, TypeVar, cast

from feedback_store import operations
from feedback_store.entry import FeedbackEntry
from feedback_store.errors import StoreClosedError
from feedback_store.group_commit import grouping_of
from feedback_store.layers.cache.memory import ABSENT, CacheInfo, Memory
from feedback_store.query import Page, Query
from feedback_store.report import CheckReport, CompactReport
from feedback_store.stats import Stats
from feedback_store.store import (
    Change,
    Lines,
    Outcome,
    Store,
    SupportsVersion,
)

T = TypeVar("T")

MAX_ENTRIES = 10_000
MAX_BYTES = 64 * 1024 * 1024


class CachedStore:
    """A `Store` around a store, which answers again what was asked before.

    How old an answer may be when somebody else has written meanwhile (another process, or this
    one past the layer), by ``revalidate``:

    - ``"always"``: not at all. Each answer asks the store's ``version()`` first, and counts only
      while that is the one that stood before the answer was read.
    - ``"ttl"``: less than ``ttl_s``. The version is asked when it was last asked ``ttl_s`` ago;
      where it is still the same, all results live on for another ``ttl_s``.
    - ``"never"``: less than ``ttl_s`` for each result. The version is not asked.

    A store without ``version()`` is treated as by ``"never"``, whatever is given. What is
    written through the layer is seen by the next answer in every setting: any write forgets all
    results, one that fails too, since its outcome may be unknown, and one that changes nothing
    too, since what it says (there is such an entry) must not be denied by the next answer.

    Errors are never remembered, and an answer never stands in for one: where ``version()`` is
    asked and raises, that is raised. In a child after a ``fork()`` nothing is remembered at first.

    It has all the faster ways, derived where the store below lacks them, and ``version()`` where
    that has one. Asking ``version()`` drops what is older, in every setting.

    Args:
        store: the store below; closing the layer closes it.
        ttl_s: how long a result counts, in seconds, where the version does not say it.
        revalidate: see above.
        max_entries: how many entries the results may hold in all; a count, statistics, and that
            there is no such entry, count as one.
        max_bytes: how many bytes they may take, as estimated. A result that is larger than a
            bound by itself is not remembered, and displaces no other.
        timer: the clock, in seconds, which must not go back.
    """

    def __init__(
        self,
        store: Store,
        *,
        ttl_s: float = 300,
        revalidate: Literal["always", "ttl", "never"] = "always",
        max_entries: int = MAX_ENTRIES,
        max_bytes: int = MAX_BYTES,
        timer: Callable[[], float] = time.monotonic,
    ) -> None:
        if not ttl_s > 0:
            msg = f"ttl_s must be more than 0 seconds, not {ttl_s!r}"
            raise ValueError(msg)
        if revalidate not in ("always", "ttl", "never"):
            msg = f'revalidate must be "always", "ttl" or "never", not {revalidate!r}'
            raise ValueError(msg)
        if max_entries < 1 or max_bytes < 1:
            msg = "max_entries and max_bytes must be 1 or more"
            raise ValueError(msg)
        self._store = store
        self.grouping = grouping_of(store)
        self._timer = timer
        self._memory = Memory(max_entries, max_bytes)
        self._closed = False
        self._version: Callable[[], str] | None = None
        if isinstance(store, SupportsVersion):
            self._version = store.version
            if type(self) is CachedStore:
                self.__class__ = _VersionedCachedStore
        self._asks = self._version is not None and revalidate != "never"
        self._asked_s = ttl_s if revalidate == "ttl" else -math.inf
        self._kept_s = math.inf if self._asks else ttl_s

    def __repr__(self) -> str:
        """Show what is below."""
        return f"CachedStore({self._store!r})"

    @property
    def store(self) -> Store:
        """The store below, for what only it can do."""
        return self._store

    def info(self) -> CacheInfo:
        """Return how often the cache could answer, and what it holds."""
        return self._memory.info()

    # ------------------------------------------------------------------------- remembered

    def get(self, id: str) -> FeedbackEntry | None:
        """See `SupportsGet.get`."""
        return self._answer(id, lambda: operations.find(self._store, id))

    def get_many(self, ids: Collection[str]) -> Mapping[str, FeedbackEntry]:
        """See `SupportsGetMany.get_many`. It is not remembered."""
        self._check_open()
        return operations.find_many(self._store, ids)

    def page(self, query: Query, limit: int, cursor: str | None, number: int | None) -> Page:
        """See `SupportsPage.page`."""
        return self._answer(
            (query, limit, cursor, number),
            lambda: operations.page(self._store, query, limit, cursor, number),
        )

    def count(self, query: Query) -> int:
        """See `SupportsCount.count`."""
        return self._answer(("count", query), lambda: operations.count(self._store, query))

    def stats(self, query: Query) -> Stats:
        """See `SupportsStats.stats`."""
        return self._answer(("stats", query), lambda: operations.stats(self._store, query))

    def _answer(self, key: Hashable, read: Callable[[], T]) -> T:
        """Return what is remembered, or read it.

        The order is what keeps old results out: time, generation and version are taken before
        the read, so that whatever changes during the read counts against its result.
        """
        self._check_open()
        memory, now = self._memory, self._timer()
        generation = memory.generation
        if self._asks and now >= memory.until:
            generation = self._confirm(now)[1]
        found = memory.find(key, now)
        if found is not ABSENT:
            return cast("T", found)
        value = read()
        memory.keep(key, value, generation, now + self._kept_s)
        return value

    def _confirm(self, now: float) -> tuple[str, int]:
        """Ask the version of the store; return it, and the generation to which it belongs."""
        assert self._version is not None
        token = self._version()
        return token, self._memory.confirm(token, now + self._asked_s)

    # --------------------------------------------------------------------------- passed on

    def scan(self, query: Query) -> Iterator[FeedbackEntry]:
        """See `Store.scan`. It is not remembered, so that it takes no more memory than below."""
        self._check_open()
        return self._store.scan(query)

    def lines(self, query: Query) -> Iterator[Lines]:
        """See `SupportsLines.lines`."""
        self._check_open()
        return operations.lines(self._store, query)

    def append(self, entries: Sequence[FeedbackEntry]) -> Sequence[Outcome]:
        """See `Store.append`."""
        with self._writing():
            return self._store.append(entries)

    def rewrite(self, id: str, change: Change) -> FeedbackEntry:
        """See `Store.rewrite`. The change is given what the store has, never what is remembered."""
        with self._writing():
            return self._store.rewrite(id, change)

    def erase(self, ids: Iterable[str]) -> int:
        """See `Store.erase`."""
        with self._writing():
            return self._store.erase(ids)

    def compact(self) -> CompactReport:
        """See `SupportsCompact.compact`. Without one below, there is nothing to give back."""
        with self._writing():
            return operations.compact(self._store)

    def check(self) -> CheckReport:
        """See `SupportsCheck.check`. Without one below, the entries are read and counted."""
        self._check_open()
        return operations.check(self._store)

    def close(self) -> None:
        """See `Store.close`. The store below is closed with it."""
        self._closed = True
        self._memory.forget()
        self._store.close()

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """Forget all results before and after, however it ends."""
        self._check_open()
        self._memory.begin_write()
        try:
            yield
        finally:
            self._memory.end_write()

    def _check_open(self) -> None:
        if self._closed:
            msg = f"{self!r} was closed; open it again"
            raise StoreClosedError(msg)


class _VersionedCachedStore(CachedStore):
    """What a `CachedStore` becomes around a store that has a version.

    Whether a store has a faster way is asked of its class, so those with a version need one of
    their own: a layer must not claim a version that it cannot give.
    """

    def version(self) -> str:
        """See `SupportsVersion.version`. No later answer is older than the version."""
        self._check_open()
        return self._confirm(self._timer())[0]
