"""What the contract's tests are made of: making stores, and declaring gaps."""

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime
from threading import Barrier
from typing import Any, ClassVar, TypeVar

import pytest
from hypothesis import HealthCheck, settings

from feedback_store.codec import MAX_ENTRY_BYTES, encode
from feedback_store.entry import FeedbackEntry
from feedback_store.facade import FeedbackStore
from feedback_store.query import Query
from feedback_store.store import Store

T = TypeVar("T")

NOON = datetime(2025, 10, 5, 12, 0, 0, 123000, tzinfo=UTC)
"""When entries are given in these tests, unless a test says otherwise."""

# One class is the base of many: that is what it is for. Disks and databases may be slow.
drawn = settings(
    deadline=None,
    suppress_health_check=[
        HealthCheck.differing_executors,
        HealthCheck.function_scoped_fixture,
        HealthCheck.too_slow,
    ],
)


def an_entry(id: str = "a", **fields: Any) -> FeedbackEntry:  # noqa: ANN401  # any field's value
    """Return an entry, of which only what matters to the test is told."""
    given: dict[str, Any] = {
        "message_id": id,
        "question": "How?",
        "answer": "So.",
        "rating": 0,
        "timestamp": NOON,
    }
    return FeedbackEntry(**{**given, **fields, "id": id})


def lines(store: Store) -> list[bytes]:
    """Return all that the store holds, as encoded lines, oldest first."""
    return [encode(entry) for entry in store.scan(Query())]


def all_at_once(*work: Callable[[], T]) -> list[T]:
    """Run each in a thread of its own, let go at the same moment; return what they return."""
    gate = Barrier(len(work))

    def run(one: Callable[[], T]) -> T:
        gate.wait(timeout=60)
        return one()

    with ThreadPoolExecutor(len(work)) as threads:
        return list(threads.map(run, work))


class ContractBase:
    """How the contract's tests come to a store. See `StoreContract`."""

    gaps: ClassVar[Mapping[str, str]] = {}
    """Tests that this store is known to fail, by name (or ``test[case]``), with the reason."""

    max_entry_bytes: ClassVar[int] = MAX_ENTRY_BYTES
    """The size that one encoded entry may have in the stores that `make_store` makes."""

    def __init_subclass__(cls, **kwargs: Any) -> None:  # noqa: ANN401  # as in object's own
        """Refuse a gap that names no test."""
        super().__init_subclass__(**kwargs)
        for name in cls.gaps:
            if not hasattr(cls, name.partition("[")[0]):
                msg = f"{cls.__name__}.gaps names {name!r}, which is no test"
                raise TypeError(msg)

    def make_store(self) -> Store:
        """Return a new, empty store, at a location of its own."""
        raise NotImplementedError

    def reopen(self, store: Store) -> Store:
        """Close the store, and open it again at the same location."""
        raise NotImplementedError

    def open_second(self, store: Store) -> Store:
        """Open the same location a second time, as another process would."""
        raise NotImplementedError

    def raw_bytes(self, store: Store) -> bytes:
        """Return every byte that the medium holds of the store, names of files included.

        What is compressed is given as it reads when decompressed.
        """
        raise NotImplementedError

    @pytest.fixture(autouse=True)
    def _declared_gap(self, request: pytest.FixtureRequest) -> None:
        name = getattr(request.node, "originalname", request.node.name)
        if reason := self.gaps.get(name) or self.gaps.get(request.node.name):
            request.applymarker(pytest.mark.xfail(reason=reason, strict=True))

    @pytest.fixture
    def store(self) -> Iterator[Store]:
        """Return a new store, which is closed after the test."""
        with closing(self.make_store()) as store:
            yield store

    @pytest.fixture
    def feedback(self, store: Store) -> FeedbackStore:
        """Return what apps hold, around a new store."""
        return FeedbackStore(store)
