"""Writers that join the small objects of a month."""

import itertools
import logging
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import attrs
import fsspec
import pytest
from fault_proxy import FaultProxy, answer, on
from jsonl_harness import an_entry
from s3_endpoint import Endpoint

from feedback_store import Query
from feedback_store.backends.objects import ObjectStore
from feedback_store.backends.objects.naming import parse_name

_numbers = itertools.count()


def opened(root: str, **options: int) -> ObjectStore:
    """Open a store in memory."""
    return ObjectStore(fsspec.filesystem("memory"), root, **options)  # type: ignore[arg-type]  # numbers all of them


def new_root() -> str:
    """Return a place where there is nothing."""
    return f"/joined-{next(_numbers)}"


def kinds(root: str) -> Counter[str]:
    """Return how many objects of each kind there are."""
    names = [parse_name(p[len(root) + 1 :]) for p in fsspec.filesystem("memory").find(root)]
    return Counter("foreign" if name is None else name.kind for name in names)


def ids(store: ObjectStore) -> list[str]:
    """Return the ids of all entries, sorted."""
    return sorted(entry.id for entry in store.scan(Query()))


def test_small_objects_stay_few() -> None:
    """However many writes there are, and nothing is lost of them."""
    root = new_root()
    most = 0
    with closing(opened(root, join_objects=4)) as store:
        for k in range(200):
            store.append([an_entry(f"{k:03}")])
            most = max(most, kinds(root).total())
            if k % 10 == 0:
                store.rewrite(f"{k:03}", lambda entry: attrs.evolve(entry, rating=1))
        expected = [f"{k:03}" for k in range(200)]
        assert expected == ids(store)
        assert 20 == len(list(filter(lambda entry: entry.rating == 1, store.scan(Query()))))
    assert most <= 12
    with closing(opened(root)) as store:
        assert expected == ids(store)


def test_joining_keeps_what_is_erased_erased() -> None:
    """Erasures stay, and no line of an erased entry comes into a joined object."""
    root = new_root()
    with closing(opened(root, join_objects=4)) as store:
        for k in range(50):
            store.append([an_entry(f"{k}")])
            if k % 5 == 0:
                assert 1 == store.erase([f"{k}"])
        assert sorted(f"{k}" for k in range(50) if k % 5) == ids(store)
        assert "0 lines that a compaction drops" in store.check()["entries"].message


def test_none_are_joined_where_that_is_not_wanted() -> None:
    """It is left to whoever compacts."""
    root = new_root()
    with closing(opened(root, join_objects=0)) as store:
        for k in range(300):
            store.append([an_entry(f"{k}")])
    assert {"segment": 300} == kinds(root)


def test_many_writers_may_join_at_once() -> None:
    """Each through a store of its own, and one that compacts besides."""
    root = new_root()

    def write(who: int) -> None:
        with closing(opened(root, join_objects=3)) as store:
            for k in range(30):
                store.append([an_entry(f"{who}-{k:02}")])

    def compact() -> None:
        with closing(opened(root)) as store:
            for _ in range(20):
                store.compact()

    with ThreadPoolExecutor(5) as threads:
        done = [threads.submit(write, who) for who in range(4)] + [threads.submit(compact)]
        for future in done:
            future.result(100)
    with closing(opened(root)) as store:
        assert sorted(f"{who}-{k:02}" for who in range(4) for k in range(30)) == ids(store)


def test_threads_of_one_store_may_write_while_it_compacts() -> None:
    """What one thread takes in is not what another is going through."""
    root = new_root()
    with closing(opened(root, join_objects=0)) as store, ThreadPoolExecutor(4) as threads:
        store.append([an_entry("first")])
        done = [threads.submit(store.append, [an_entry(f"{k}")]) for k in range(300)]
        while not all(future.done() for future in done):
            store.compact()
        for future in done:
            future.result(60)
        assert 301 == len(ids(store))


def test_what_fails_after_the_write_is_logged(
    endpoint: Endpoint, proxy: FaultProxy, s3_root: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The entry is there, and its writer is told so."""
    filesystem = endpoint.filesystem(proxy.url)
    with closing(ObjectStore(filesystem, s3_root, join_objects=3, retry_attempts=1)) as store:
        for k in range(2):
            store.append([an_entry(f"{k}")])
        caplog.set_level(logging.WARNING, "feedback_store")
        proxy.plan = on("PUT", None, answer(503))
        store.append([an_entry("2")])
        assert ["were not joined" in record.message for record in caplog.records] == [True]
        assert ["0", "1", "2"] == ids(store)
        proxy.reset()
        store.append([an_entry("3")])  # the next one joins
        assert {"LIST": 2, "PUT": 2, "DELETE": 4} == proxy.counts
        assert ["0", "1", "2", "3"] == ids(store)
