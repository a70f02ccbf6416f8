"""What users write, to be type-checked: it is not run. A mistake in our annotations shows here."""

from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from contextlib import aclosing
from datetime import UTC, datetime
from typing import assert_type

import attrs

from feedback_store import (
    BatchResult,
    ChangeEvent,
    ChangeKind,
    CheckReport,
    FeedbackEntry,
    FeedbackStore,
    Metadata,
    Order,
    Outcome,
    Page,
    Query,
    Stats,
    Store,
    Subscription,
    decode,
    encode,
    open_async_store,
    open_store,
    rating_from_stars,
)
from feedback_store.aio import AsyncFeedbackStore
from feedback_store.store import Change


def use(location: str) -> None:
    """Call every verb as an app does."""
    entry = FeedbackEntry(
        message_id="m",
        question="q",
        answer="a",
        rating=rating_from_stars(4, of=5),
        timestamp=datetime.now(UTC),
        sources=[{"type": "wiki"}],
        metadata=Metadata(issues=["inaccurate"], response_time=1.5),
        extra={"channel": "web"},
    )
    with open_store(location) as store:
        assert_type(store, FeedbackStore)
        assert_type(store.add(entry), Outcome)
        assert_type(store.add_many([entry]), BatchResult)
        assert_type(store.put(entry), Outcome)
        assert_type(store.update("m", rating=1, add_issues=["slow"]), FeedbackEntry)
        assert_type(store.get("m"), FeedbackEntry)
        assert_type(store.find("m"), FeedbackEntry | None)
        assert_type(store.scan(), Iterator[FeedbackEntry])
        query = Query(rating="negative", issues=["slow"], order="newest", match={"channel": "web"})
        page = store.page(query, limit=10)
        assert_type(page, Page)
        store.page(Query(order=Order.OLDEST), cursor=page.next_cursor)
        assert_type(store.count(), int)
        assert_type(store.stats(query), Stats)
        assert_type(store.stats().helpful_rate, float | None)
        assert_type(store.check(), CheckReport)
        with store.on_change(hear, max_queued=10) as subscription:
            assert_type(subscription, Subscription)
            assert_type(subscription.wait(timeout_s=1), bool)
            assert_type(subscription.dropped, int)
        store.on_change(hear).close(timeout_s=0.5)
        assert_type(store.delete("m", "n"), int)
        assert_type(store.delete_where(query), int)
    assert_type(encode(entry), bytes)
    assert_type(decode(b"{}"), FeedbackEntry)


def hear(event: ChangeEvent) -> None:
    """Take an event as an app does."""
    assert_type(event.kind, ChangeKind)
    assert_type(event.id, str)
    assert_type(event.entry, FeedbackEntry | None)


def redact(entry: FeedbackEntry) -> FeedbackEntry:
    """Redact as an app does."""
    return attrs.evolve(entry, question="")


open_store("mem://", redact=redact).on_change(lambda event: print(event.kind))  # noqa: T201  # an app prints


class OwnStore:
    """A backend by someone else: it need not inherit from anything."""

    def append(self, entries: Sequence[FeedbackEntry]) -> list[Outcome]:
        """See `Store.append`."""
        return [Outcome.ADDED for _ in entries]

    def scan(self, query: Query) -> Iterator[FeedbackEntry]:
        """See `Store.scan`."""
        return iter(())

    def rewrite(self, id: str, change: Change) -> FeedbackEntry:
        """See `Store.rewrite`."""
        raise KeyError(id)

    def erase(self, ids: Iterable[str]) -> int:
        """See `Store.erase`."""
        return 0

    def close(self) -> None:
        """See `Store.close`."""


async def use_awaited(location: str, stream: AsyncIterator[FeedbackEntry]) -> None:
    """Await every verb as an app does."""
    entry = FeedbackEntry(message_id="m", question="q", answer="a")
    async with open_async_store(location, max_threads=4, durability="os") as store:
        assert_type(store, AsyncFeedbackStore)
        assert_type(await store.add(entry), Outcome)
        assert_type(await store.add_each([entry]), Sequence[Outcome])
        assert_type(await store.add_many([entry]), BatchResult)
        assert_type(await store.add_many(stream), BatchResult)
        assert_type(await store.update("m", rating=1, add_issues=["slow"]), FeedbackEntry)
        assert_type(await store.find("m"), FeedbackEntry | None)
        assert_type(await store.page(Query(rating="negative"), limit=10), Page)
        assert_type(await store.stats(), Stats)
        assert_type(await store.delete("m", "n"), int)
        async for found in store.scan(Query(issues=["slow"])):
            assert_type(found, FeedbackEntry)
        async with aclosing(store.scan()) as scan:
            assert_type(await anext(scan), FeedbackEntry)


own: Store = OwnStore()
FeedbackStore(own, redact=redact)
