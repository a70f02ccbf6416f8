"""The proxy before the endpoint does what it says: otherwise the tests that use it prove nothing.

What s3fs tries again by itself shows here too: a client that is impatient sees each fault, but for
a connection that is closed without an answer, after which aiohttp asks once more.
"""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import s3_endpoint
from fault_proxy import (
    Fault,
    FaultProxy,
    Request,
    always,
    answer,
    cut_before,
    cut_reply,
    delay,
    in_order,
    on,
)
from jsonl_harness import await_true
from s3_endpoint import Endpoint, Filesystem

CUT = "Connection was closed before"
UNREACHABLE = "Could not connect"


def is_put(request: Request) -> bool:
    """Say whether something is written."""
    return request.kind == "PUT"


@pytest.fixture(scope="module")
def direct(endpoint: Endpoint) -> Filesystem:
    """A way to the objects past the proxy."""
    return endpoint.filesystem()


@pytest.fixture
def client(endpoint: Endpoint, proxy: FaultProxy) -> Filesystem:
    """A way to the objects through the proxy, which tries nothing again."""
    return endpoint.filesystem(proxy.url, patient=False)


@pytest.fixture
def patient(endpoint: Endpoint, proxy: FaultProxy) -> Filesystem:
    """A way to the objects through the proxy, as s3fs is by itself."""
    return endpoint.filesystem(proxy.url)


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    """Threads to ask from, while the test holds requests back."""
    with ThreadPoolExecutor(4) as pool:
        yield pool


# ------------------------------------------------------------------------------------ counting


def test_every_request_is_passed_on_and_counted(
    client: Filesystem, proxy: FaultProxy, s3_root: str
) -> None:
    """Each request counts as one of its kind, and each byte of a body once."""
    path = f"{s3_root}/of a user/ü+1%.gz"
    client.pipe_file(path, b"x" * 1000)
    assert ({"PUT": 1}, 1000, 0) == (proxy.counts, proxy.bytes_in, proxy.bytes_out)
    assert [path] == [request.path for request in proxy.requests]
    proxy.reset()
    assert b"x" * 1000 == client.cat_file(path, start=0)
    assert ({"GET": 1}, 0, 1000) == (proxy.counts, proxy.bytes_in, proxy.bytes_out)
    assert [path] == client.find(s3_root)
    assert client.info(path)["size"] == 1000
    client.rm_file(path)
    assert {"GET": 1, "LIST": 1, "HEAD": 1, "DELETE": 1} == proxy.counts
    client.rm([f"{s3_root}/{number}" for number in range(3)])
    assert proxy.counts["POST"] == 1
    assert not client.exists(path)


def test_requests_from_many_threads_are_all_counted(
    client: Filesystem, pool: ThreadPoolExecutor, proxy: FaultProxy, s3_root: str
) -> None:
    """No request is lost or counted twice, and the numbers are those of their order."""
    paths = [f"{s3_root}/{number}" for number in range(40)]
    list(pool.map(lambda path: client.pipe_file(path, path.encode()), paths))
    assert {"PUT": 40} == proxy.counts
    assert list(range(1, 41)) == [request.number for request in proxy.requests]
    assert {path: path.encode() for path in paths} == client.cat(paths)


def test_a_body_in_chunks_is_passed_on(
    direct: Filesystem, endpoint: Endpoint, proxy: FaultProxy, s3_root: str
) -> None:
    """A body of unknown length arrives whole, and a client that asks whether to send it may."""
    if endpoint.above is not None:
        pytest.skip("an endpoint that is not our own wants a signature")
    path = f"{s3_root}/a"
    with socket.create_connection(("127.0.0.1", urlsplit(proxy.url).port or 0)) as asking:
        asking.sendall(
            f"PUT /{path} HTTP/1.1\r\nHost: here\r\nTransfer-Encoding: chunked\r\n"
            "Expect: 100-continue\r\nConnection: close\r\n\r\n".encode()
        )
        answers = asking.makefile("rb")
        assert answers.readline() == b"HTTP/1.1 100 Continue\r\n"
        asking.sendall(b"3;some=thing\r\nabc\r\nA\r\n0123456789\r\n0\r\nTrailer: x\r\n\r\n")
        assert b"\r\nHTTP/1.1 200 OK\r\n" in answers.read()
    assert b"abc0123456789" == direct.cat_file(path)
    assert 13 == proxy.bytes_in


# -------------------------------------------------------------------------------------- faults


def test_a_delay_takes_its_time_and_changes_nothing_else(
    client: Filesystem, proxy: FaultProxy, s3_root: str
) -> None:
    """The answer comes later, and is the same."""
    client.pipe_file(f"{s3_root}/a", b"1")
    proxy.plan = on("GET", delay(0.3))
    begun = time.monotonic()
    assert b"1" == client.cat_file(f"{s3_root}/a", start=0)
    assert 0.3 <= time.monotonic() - begun


def test_what_is_cut_before_was_never_done(
    client: Filesystem, direct: Filesystem, proxy: FaultProxy, s3_root: str
) -> None:
    """The client sees an error, and the endpoint nothing; aiohttp tried twice by itself."""
    proxy.plan = always(cut_before(), "PUT")
    with pytest.raises(Exception, match=CUT):
        client.pipe_file(f"{s3_root}/a", b"1")
    assert {"PUT": 2} == proxy.counts
    assert [] == direct.find(s3_root)


@pytest.mark.parametrize("share", [0.0, 0.5])
def test_what_is_cut_afterwards_was_done(
    client: Filesystem, direct: Filesystem, proxy: FaultProxy, s3_root: str, share: float
) -> None:
    """The client sees an error although the object is there, or is gone."""
    proxy.plan = always(cut_reply(share), "PUT", "DELETE")
    with pytest.raises(Exception, match=CUT):
        client.pipe_file(f"{s3_root}/a", b"1")
    assert b"1" == direct.cat_file(f"{s3_root}/a")
    with pytest.raises(Exception, match=CUT):
        client.rm_file(f"{s3_root}/a")
    assert [] == direct.find(s3_root)


def test_a_body_can_be_cut_midway(client: Filesystem, proxy: FaultProxy, s3_root: str) -> None:
    """Half of an object is an error, and not an object."""
    client.pipe_file(f"{s3_root}/a", b"x" * 1000)
    proxy.plan = on("GET", cut_reply(0.5))
    proxy.reset()
    with pytest.raises(Exception, match="payload is not completed"):
        client.cat_file(f"{s3_root}/a", start=0)
    assert ({"GET": 1}, 500) == (proxy.counts, proxy.bytes_out)
    assert b"x" * 1000 == client.cat_file(f"{s3_root}/a", start=0)


def test_what_is_tried_again_is_counted_again(
    direct: Filesystem, patient: Filesystem, proxy: FaultProxy, s3_root: str
) -> None:
    """s3fs hides a fault that passes; here it shows as one more request each time."""
    proxy.plan = in_order([cut_reply(), answer(503), None])
    patient.pipe_file(f"{s3_root}/a", b"1")
    assert {"PUT": 3} == proxy.counts
    assert b"1" == direct.cat_file(f"{s3_root}/a")


@pytest.mark.parametrize(
    ("fault", "error", "message"),
    [
        (answer(500), OSError, "InternalError"),
        (answer(503), OSError, "SlowDown"),
        (answer(403), PermissionError, "AccessDenied"),
        (answer(400, "ExpiredToken"), PermissionError, "ExpiredToken"),
    ],
)
def test_an_answer_is_an_error_of_s3(
    client: Filesystem,
    direct: Filesystem,
    proxy: FaultProxy,
    s3_root: str,
    fault: Fault,
    error: type[OSError],
    message: str,
) -> None:
    """The client understands the answer, and the endpoint has not heard of the request."""
    proxy.plan = always(fault)
    with pytest.raises(error, match=message):
        client.pipe_file(f"{s3_root}/a", b"1")
    with pytest.raises(error, match=message):
        client.find(s3_root)
    assert {"PUT": 1, "LIST": 1} == proxy.counts
    assert [] == direct.find(s3_root)


def test_an_answer_may_lie(
    client: Filesystem, direct: Filesystem, proxy: FaultProxy, s3_root: str
) -> None:
    """A request that is forwarded is done, whatever the client is told."""
    proxy.plan = on("PUT", None, answer(500, forward=True))
    client.pipe_file(f"{s3_root}/a", b"1")
    with pytest.raises(OSError, match="InternalError"):
        client.pipe_file(f"{s3_root}/b", b"2")
    assert [f"{s3_root}/a", f"{s3_root}/b"] == direct.find(s3_root)


def test_an_endpoint_that_is_away_refuses_connections(
    client: Filesystem, proxy: FaultProxy, s3_root: str
) -> None:
    """Nobody listens, not on an open connection either; and afterwards all is as before."""
    client.pipe_file(f"{s3_root}/a", b"1")
    url = proxy.url
    for _ in range(2):
        proxy.refuse()
        with pytest.raises(Exception, match=UNREACHABLE):
            client.find(s3_root)
        proxy.serve()
        assert [f"{s3_root}/a"] == client.find(s3_root)
    assert url == proxy.url
    assert {"PUT": 1, "LIST": 2} == proxy.counts


def test_an_endpoint_that_has_ended_closes_the_connection() -> None:
    """What cannot be passed on gets no answer, and not one of the proxy's own."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with FaultProxy(f"http://127.0.0.1:{port}") as proxy:
        asking = HTTPConnection("127.0.0.1", urlsplit(proxy.url).port)
        asking.request("GET", "/a")
        with pytest.raises(ConnectionError):
            asking.getresponse()
        assert {"GET": 1} == proxy.counts


# --------------------------------------------------------------------------------------- gates


def test_a_gate_holds_what_is_not_done_yet(
    client: Filesystem,
    direct: Filesystem,
    pool: ThreadPoolExecutor,
    proxy: FaultProxy,
    s3_root: str,
) -> None:
    """Until it is let go, others do not see the write; what does not match passes."""
    with proxy.pause(is_put) as gate:
        writing = pool.submit(client.pipe_file, f"{s3_root}/a", b"1")
        assert [f"{s3_root}/a"] == [request.path for request in gate.wait()]
        assert [] == client.find(s3_root) == direct.find(s3_root)
        assert not writing.done()
        gate.let_one_go()
        writing.result()
        assert [] == gate.held
    assert [f"{s3_root}/a"] == direct.find(s3_root)


def test_a_gate_holds_what_is_done(
    client: Filesystem,
    direct: Filesystem,
    pool: ThreadPoolExecutor,
    proxy: FaultProxy,
    s3_root: str,
) -> None:
    """Others see the write before its writer knows of it."""
    with proxy.pause(is_put, done=True) as gate:
        writing = pool.submit(client.pipe_file, f"{s3_root}/a", b"1")
        gate.wait()
        assert b"1" == direct.cat_file(f"{s3_root}/a")
        assert not writing.done()
    writing.result()


def test_a_gate_lets_go_in_the_order_of_arrival(
    client: Filesystem,
    direct: Filesystem,
    pool: ThreadPoolExecutor,
    proxy: FaultProxy,
    s3_root: str,
) -> None:
    """One at a time, the one that waited longest first; an open gate holds nothing any more."""
    gate = proxy.pause(is_put)
    writes = []
    for number in range(3):
        writes.append(pool.submit(client.pipe_file, f"{s3_root}/{number}", b""))
        gate.wait(number + 1)
    gate.let_one_go()
    writes[0].result()
    assert [f"{s3_root}/0"] == direct.find(s3_root)
    gate.open()
    for write in writes:
        write.result()
    client.pipe_file(f"{s3_root}/3", b"")
    assert 4 == len(direct.find(s3_root))


def test_closing_lets_go_what_is_held(
    direct: Filesystem,
    endpoint: Endpoint,
    pool: ThreadPoolExecutor,
    proxy: FaultProxy,
    s3_root: str,
) -> None:
    """A test that fails at a gate ends; the write that had left its writer is done all the same."""
    with FaultProxy(proxy.url) as second:
        client = endpoint.filesystem(second.url, patient=False)
        gate = second.pause(is_put)
        writing = pool.submit(client.pipe_file, f"{s3_root}/a", b"1")
        gate.wait()
    assert writing.exception() is not None
    await_true(lambda: direct.exists(f"{s3_root}/a"), "the write that was held")


# ------------------------------------------------------------------------------------ endpoint


def test_the_endpoint_ends_with_the_one_that_started_it() -> None:
    """Even where it is killed, no endpoint is left behind."""
    script = (
        "import sys, signal, s3_endpoint\n"
        "with s3_endpoint.own_endpoint() as endpoint:\n"
        "    print(endpoint.url, flush=True)\n"
        "    sys.stdin.read()\n"
    )
    command = [sys.executable, "-c", script]
    environment = {**os.environ, "PYTHONPATH": str(Path(s3_endpoint.__file__).parent)}
    with subprocess.Popen(
        command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as starter:
        assert starter.stdout is not None
        port = urlsplit(starter.stdout.readline()).port or 0
        socket.create_connection(("127.0.0.1", port)).close()
        os.kill(starter.pid, signal.SIGKILL)
    await_true(lambda: not _listens(port), "the end of the endpoint")


def _listens(port: int) -> bool:
    with socket.socket() as asking:
        return asking.connect_ex(("127.0.0.1", port)) == 0


def test_an_endpoint_that_is_named_is_left_as_it_was(
    direct: Filesystem, endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch, s3_root: str
) -> None:
    """The tests write below the prefix alone, and remove what they wrote."""
    direct.pipe_file(f"{s3_root}/mine", b"1")
    monkeypatch.setenv(s3_endpoint.NAMED_ROOT, f"s3://{s3_root}/")
    monkeypatch.setenv(s3_endpoint.NAMED_ENDPOINT, str(endpoint.url))
    with s3_endpoint.named_endpoint() as named:
        root = named.new_root()
        assert root.startswith(f"{s3_root}/")
        named.filesystem().pipe_file(f"{root}/a", b"1")
        assert 2 == len(direct.find(s3_root))
    assert [f"{s3_root}/mine"] == direct.find(s3_root)
