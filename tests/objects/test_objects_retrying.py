"""Requests that failed, and are made again."""

import errno
import logging
import sys
from collections.abc import Callable
from contextlib import closing
from typing import Any

import fsspec
import pytest
from fault_proxy import Fault, FaultProxy, always, answer, cut_before, cut_reply, on
from jsonl_harness import an_entry
from s3_endpoint import Endpoint

from feedback_store import MissingExtraError, Query, StoreUnavailableError
from feedback_store.backends.objects import ObjectStore
from feedback_store.backends.objects.retrying import ATTEMPTS, Patience, is_hopeful
from feedback_store.store import Outcome

FAULTS = [
    pytest.param(cut_before(), id="cut before"),
    pytest.param(cut_reply(), id="reply cut off"),
    pytest.param(cut_reply(0.5), id="half of the reply"),
    pytest.param(answer(500, forward=True), id="500, and done"),
    pytest.param(answer(503), id="503 SlowDown"),
]


class NoCredentialsError(Exception):
    """As clients of clouds name it."""


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (TimeoutError(), True),
        (ConnectionResetError(), True),
        (OSError(errno.EBUSY, "SlowDown"), True),
        (OSError(errno.EIO, "InternalError"), True),
        (RuntimeError("a client's own"), True),
        (FileNotFoundError(), False),
        (PermissionError("AccessDenied"), False),
        (OSError(errno.EINVAL, "InvalidBucketName"), False),
        (OSError(errno.ENOSPC, "full"), False),
        (NoCredentialsError(), False),
        (KeyError("?"), False),
        (ValueError("?"), False),
        (KeyboardInterrupt(), False),
        (None, False),
    ],
)
def test_what_may_do_better_is_told_from_what_will_not(
    error: BaseException | None, expected: bool
) -> None:
    """A busy endpoint is asked again, a wrong password is not given twice."""
    assert expected == is_hopeful(error)


def failing(times: int, error: Exception) -> tuple[Any, list[int]]:
    """Return a request that fails so often, and the list of its attempts."""
    made: list[int] = []

    def request() -> str:
        made.append(len(made))
        if len(made) <= times:
            raise StoreUnavailableError("worded") from error
        return "done"

    return request, made


def test_attempts_are_bounded() -> None:
    """The last one's error is raised; a request that succeeds in time is answered."""
    request, made = failing(2, TimeoutError())
    assert "done" == Patience(3, 60).call(request)
    request, made = failing(3, TimeoutError())
    with pytest.raises(StoreUnavailableError, match="worded"):
        Patience(3, 60).call(request)
    assert 3 == len(made)


def test_time_is_bounded() -> None:
    """However many attempts are allowed, none is made after the time is over."""
    request, made = failing(1000, TimeoutError())
    with pytest.raises(StoreUnavailableError):
        Patience(1000, 0.3).call(request)
    assert 2 <= len(made) <= 4


def test_what_is_hopeless_is_asked_once() -> None:
    """Nothing is gained by asking again."""
    request, made = failing(1000, PermissionError())
    with pytest.raises(StoreUnavailableError):
        Patience(5, 60).call(request)
    assert 1 == len(made)


@pytest.mark.parametrize(("attempts", "timeout_s"), [(0, 1.0), (1, 0.0), (1, -1.0)])
def test_nonsense_is_refused(attempts: int, timeout_s: float) -> None:
    """No attempt at all makes no request."""
    with pytest.raises(ValueError, match="retry_attempts is 1 or more"):
        Patience(attempts, timeout_s)


def test_without_stamina_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """The error names the extra; what crosses no network needs none."""
    monkeypatch.setitem(sys.modules, "stamina", None)
    with pytest.raises(MissingExtraError, match=r"feedback-store\[s3\]"):
        Patience()
    assert "done" == Patience(1).call(lambda: "done")
    with closing(ObjectStore(fsspec.filesystem("memory"), "/no-network")) as store:
        assert [Outcome.ADDED] == list(store.append([an_entry("a")]))


@pytest.mark.parametrize("fault", FAULTS)
def test_each_verb_outlives_a_fault_at_each_kind_of_request(
    endpoint: Endpoint, proxy: FaultProxy, s3_root: str, fault: Fault
) -> None:
    """One fault at a request of each kind is not even seen by the caller."""
    with closing(ObjectStore(endpoint.filesystem(proxy.url), s3_root)) as store:
        for kind in ("LIST", "PUT"):
            proxy.plan = on(kind, fault)
            assert [Outcome.ADDED] == list(store.append([an_entry(kind)]))
        assert Outcome.ADDED not in store.append([an_entry("LIST"), an_entry("PUT")])
    with closing(ObjectStore(endpoint.filesystem(proxy.url), s3_root)) as store:
        for kind in ("LIST", "GET"):
            proxy.plan = on(kind, fault)
            assert ["LIST", "PUT"] == [entry.id for entry in store.scan(Query())]
        proxy.plan = on("DELETE", fault)
        assert 1 == store.compact().months
        for kind in ("LIST", "PUT", "DELETE"):
            store.append([an_entry(f"erased {kind}")])
            proxy.plan = on(kind, fault)
            assert 1 == store.erase([f"erased {kind}"])
        assert ["LIST", "PUT"] == [entry.id for entry in store.scan(Query())]
        assert store.check().ok


def test_no_layer_below_multiplies_the_attempts(
    endpoint: Endpoint, proxy: FaultProxy, s3_root: str
) -> None:
    """What is tried five times is not tried five times by each of three clients."""
    filesystem = endpoint.filesystem(proxy.url)
    with closing(ObjectStore(filesystem, s3_root)) as store:
        store.append([an_entry("a")])
    acts: dict[str, Callable[[ObjectStore], object]] = {
        "LIST": lambda store: list(store.scan(Query())),
        "PUT": lambda store: store.append([an_entry("b")]),
    }
    for kind, act in acts.items():
        with closing(ObjectStore(filesystem, s3_root)) as store:
            proxy.reset()
            proxy.plan = always(answer(503), kind)
            with pytest.raises(StoreUnavailableError):
                act(store)
            assert ATTEMPTS == proxy.counts[kind]
        proxy.plan = None


def test_only_the_object_that_failed_is_fetched_again(
    endpoint: Endpoint, proxy: FaultProxy, s3_root: str
) -> None:
    """The others are there already."""
    with closing(ObjectStore(endpoint.filesystem(), s3_root)) as store:
        for k in range(8):
            store.append([an_entry(f"{k}")])
    with closing(ObjectStore(endpoint.filesystem(proxy.url), s3_root)) as store:
        proxy.plan = on("GET", None, None, answer(500))
        assert 8 == len(list(store.scan(Query())))
        assert {"LIST": 1, "GET": 9} == proxy.counts


def test_a_wrong_secret_is_given_once(endpoint: Endpoint, proxy: FaultProxy, s3_root: str) -> None:
    """Who may not write is told at once."""
    with closing(ObjectStore(endpoint.filesystem(proxy.url), s3_root)) as store:
        proxy.plan = always(answer(403), "PUT")
        with pytest.raises(StoreUnavailableError, match="credentials"):
            store.append([an_entry("a")])
        assert 1 == proxy.counts["PUT"]


def test_retries_log_no_content(
    endpoint: Endpoint, proxy: FaultProxy, s3_root: str, caplog: pytest.LogCaptureFixture
) -> None:
    """They are told to whoever looks, without what was being written."""
    caplog.set_level(logging.DEBUG, "stamina")
    with closing(ObjectStore(endpoint.filesystem(proxy.url), s3_root)) as store:
        proxy.plan = on("PUT", answer(503))
        store.append([an_entry("a", question="what nobody may read")])
    told = "".join(str(vars(record)) for record in caplog.records)
    assert "StoreUnavailableError" in told
    assert "what nobody may read" not in told
