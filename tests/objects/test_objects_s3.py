"""The shipped suite on a bucket, over HTTP."""

from contextlib import closing
from typing import Any

import pytest
from fault_proxy import Fault, FaultProxy, always, answer, cut_before, cut_reply
from jsonl_harness import DEEP, an_entry
from s3_endpoint import Endpoint
from test_objects_contract import PROPERTIES, ObjectsContract

from feedback_store import Query, StoreUnavailableError
from feedback_store.backends.objects import ObjectStore
from feedback_store.store import Outcome


class TestInABucket(ObjectsContract):
    """Against an endpoint that speaks S3."""

    @pytest.fixture(autouse=True)
    def _endpoint(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint

    def root(self) -> str:
        """See `ObjectsContract.root`."""
        return self.endpoint.new_root()

    def filesystem(self) -> Any:  # noqa: ANN401  # fsspec has no types
        """See `ObjectsContract.filesystem`."""
        return self.endpoint.filesystem()


if not DEEP:  # the tests that try many contents take three minutes here, and some seconds in memory
    for _name in PROPERTIES:
        setattr(TestInABucket, _name, None)


def test_an_append_lists_once_and_puts_one_object(
    endpoint: Endpoint, proxy: FaultProxy, s3_root: str
) -> None:
    """However many entries a call brings for a month, and what is there is not asked for again."""
    with closing(ObjectStore(endpoint.filesystem(proxy.url), s3_root)) as store:
        store.append([an_entry("0")])
        proxy.reset()
        for k in range(1, 4):
            store.append([an_entry(f"{k}-{n}") for n in range(10)])
        assert proxy.counts == {"LIST": 3, "PUT": 3}


@pytest.mark.parametrize(
    "fault", [cut_before(), cut_reply(), answer(500, forward=True), answer(503)]
)
def test_an_ambiguous_answer_is_harmless(
    endpoint: Endpoint, proxy: FaultProxy, s3_root: str, fault: Fault
) -> None:
    """Whether the object was stored or not, the same call may be made again, and counts once."""
    filesystem = endpoint.filesystem(proxy.url, patient=False)
    with closing(ObjectStore(filesystem, s3_root)) as store:
        proxy.plan = always(fault, "PUT")
        with pytest.raises(StoreUnavailableError):
            store.append([an_entry("a")])
        proxy.plan = None
        assert store.append([an_entry("a"), an_entry("b")])[1] is Outcome.ADDED
        assert [entry.id for entry in store.scan(Query())] == ["a", "b"]


def test_an_endpoint_that_is_away_is_told(
    endpoint: Endpoint, proxy: FaultProxy, s3_root: str
) -> None:
    """Every verb says so, and when it is back, all goes on."""
    filesystem = endpoint.filesystem(proxy.url, patient=False)
    with closing(ObjectStore(filesystem, s3_root)) as store:
        store.append([an_entry("a")])
        proxy.refuse()
        with pytest.raises(StoreUnavailableError):
            store.append([an_entry("b")])
        with pytest.raises(StoreUnavailableError):
            list(store.scan(Query()))
        assert not store.check().ok
        proxy.serve()
        assert [entry.id for entry in store.scan(Query())] == ["a"]


def test_what_a_compaction_has_written_is_not_fetched(
    endpoint: Endpoint, proxy: FaultProxy, s3_root: str
) -> None:
    """The process knows it; and a month that is one object already is not even read."""
    with closing(ObjectStore(endpoint.filesystem(proxy.url), s3_root)) as store:
        for k in range(20):
            store.append([an_entry(f"{k}")])
        assert 1 == store.compact().months
        proxy.reset()
        assert 20 == len(list(store.scan(Query())))
        assert {"LIST": 1} == proxy.counts
    with closing(ObjectStore(endpoint.filesystem(proxy.url), s3_root)) as store:
        proxy.reset()
        assert 0 == store.compact().months
        assert {"LIST": 1} == proxy.counts


def test_closing_closes_the_connections(endpoint: Endpoint, s3_root: str) -> None:
    """They are not left to the collector, which may come while an event loop of the app runs."""
    store = ObjectStore(endpoint.filesystem(), s3_root)
    store.append([an_entry("a")])
    session = store._bucket.filesystem._s3._endpoint.http_session
    assert session._sessions
    store.close()
    assert not session._sessions
    store.close()
