"""A proxy before an endpoint of S3: it counts requests, fails them, and holds them back.

It speaks plain HTTP/1.1, in threads of this process. A request is read whole before it is passed
on, and a reply before it is handed back, so that a fault strikes at one of two moments: when the
endpoint has not heard of the request yet, or when it has done it. Nothing is tried again here.
"""

import socket
import threading
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import closing, suppress
from http.client import HTTPConnection, HTTPException, parse_headers
from typing import BinaryIO, Self, TypeAlias
from urllib.parse import parse_qsl, unquote, urlsplit
from xml.sax.saxutils import escape

import attrs

DEADLINE_S = 60.0

_CODES = {403: "AccessDenied", 404: "NoSuchKey", 500: "InternalError", 503: "SlowDown"}
_HOP_BY_HOP = {"connection", "expect", "keep-alive", "proxy-connection", "te", "upgrade"}
_FRAMING = {"content-length", "transfer-encoding"}

Headers: TypeAlias = list[tuple[str, str]]


@attrs.frozen
class Request:
    """A request that has arrived.

    Attributes:
        number: how many had arrived when it did, itself included.
        method: such as ``"PUT"``.
        target: path and query, as they were sent.
        headers: names and values, as they were sent.
        body: what it brings, without the framing of HTTP.
    """

    number: int
    method: str
    target: str
    headers: Headers = attrs.field(repr=False)
    body: bytes = attrs.field(repr=False)

    @property
    def kind(self) -> str:
        """The method, or ``"LIST"``, which HTTP calls a GET too."""
        is_list = self.method == "GET" and "list-type" in self.query
        return "LIST" if is_list else self.method

    @property
    def path(self) -> str:
        """The bucket, and the key in it, as people write them."""
        return unquote(urlsplit(self.target).path).removeprefix("/")

    @property
    def query(self) -> dict[str, str]:
        """The parameters."""
        return dict(parse_qsl(urlsplit(self.target).query, keep_blank_values=True))

    def header(self, name: str) -> str:
        """Return the value of a header in small letters, or nothing."""
        return next((v.lower() for n, v in self.headers if n.lower() == name), "")


@attrs.frozen
class Reply:
    """What is answered to a request."""

    status: int
    reason: str
    headers: Headers
    body: bytes

    def head(self, method: str) -> bytes:
        """Return all before the body; that of a HEAD tells the length of one that is not sent."""
        lines = [f"HTTP/1.1 {self.status} {self.reason}"]
        told = [(n, v) for n, v in self.headers if n.lower() == "content-length"]
        rest = [(n, v) for n, v in self.headers if n.lower() not in _FRAMING | _HOP_BY_HOP]
        if method != "HEAD" and self.status not in (204, 304):
            told = [("Content-Length", str(len(self.body)))]
        lines += [f"{name}: {value}" for name, value in rest + told]
        return "\r\n".join([*lines, "", ""]).encode("latin-1")


# -------------------------------------------------------------------------------------- faults


@attrs.frozen
class Fault:
    """What happens to a request out of the ordinary.

    Attributes:
        wait_s: how long it is kept before anything happens.
        forward: whether the endpoint hears of it, and does it.
        error: status and code of the answer that the client gets instead of the endpoint's.
        share: how much of the answer is sent before the connection is closed: of its body, or of
            its head where it has none. All of it leaves the connection open.
    """

    wait_s: float = 0.0
    forward: bool = True
    error: tuple[int, str] | None = None
    share: float = 1.0


Plan: TypeAlias = Callable[[Request], Fault | None]
"""Says what happens to a request; called for each in the order in which they arrive."""


def delay(seconds: float) -> Fault:
    """Let a request take longer."""
    return Fault(wait_s=seconds)


def cut_before() -> Fault:
    """Close the connection before the endpoint hears of the request."""
    return Fault(forward=False, share=0.0)


def cut_reply(share: float = 0.0) -> Fault:
    """Close the connection when the request is done, before that much of the reply was sent."""
    return Fault(share=share)


def answer(status: int, code: str | None = None, *, forward: bool = False) -> Fault:
    """Answer with an error of S3; the request is done nevertheless if it is forwarded."""
    return Fault(forward=forward, error=(status, code or _CODES.get(status, "UnknownError")))


def in_order(faults: Iterable[Fault | None]) -> Plan:
    """Return the plan that has one of these for each request, and nothing once they are used up."""
    left = iter(faults)
    return lambda _request: next(left, None)


def on(kind: str, *faults: Fault | None) -> Plan:
    """Return the plan that has one of these for each request of a kind, then nothing."""
    planned = in_order(faults)
    return lambda request: planned(request) if request.kind == kind else None


def always(fault: Fault, *kinds: str) -> Plan:
    """Return the plan that has this for every request of these kinds; of any, if none is named."""
    return lambda request: fault if not kinds or request.kind in kinds else None


class Gate:
    """Holds back the requests that match, until the test lets them go.

    A request whose client has lost patience is done all the same once it may go, as in a network.
    """

    def __init__(self, matches: Callable[[Request], bool], *, done: bool) -> None:
        self.done = done
        self._matches = matches
        self._changed = threading.Condition()
        self._held: list[Request] = []
        self._free: set[int] = set()
        self._is_open = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.open()

    @property
    def held(self) -> list[Request]:
        """The requests that wait here, in the order in which they came."""
        with self._changed:
            return list(self._held)

    def wait(self, count: int = 1) -> list[Request]:
        """Return the requests that wait here, as soon as there are so many.

        Raises:
            AssertionError: there were not within a minute.
        """
        with self._changed:
            came = self._changed.wait_for(lambda: len(self._held) >= count, DEADLINE_S)
            assert came, f"waited in vain for {count} requests at the gate"
            return list(self._held)

    def let_one_go(self) -> None:
        """Let the request go that has waited longest."""
        with self._changed:
            assert self._held, "no request is held"
            self._free.add(self._held.pop(0).number)
            self._changed.notify_all()

    def open(self) -> None:
        """Let all go, and hold none any more."""
        with self._changed:
            self._is_open = True
            self._held.clear()
            self._changed.notify_all()

    def hold(self, request: Request) -> None:
        """Return when this request may go: at once, unless it matches."""
        if self._is_open or not self._matches(request):
            return
        with self._changed:
            if not self._is_open:
                self._held.append(request)
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._is_open or request.number in self._free)


# --------------------------------------------------------------------------------------- proxy


class FaultProxy:
    """A proxy that listens on this machine and passes on to an endpoint what it gets.

    The ``Host`` header is kept, since signatures cover it: the endpoint must not mind the name.
    Bytes are those of bodies, since the length of a head depends on dates and names.

    Args:
        target_url: the endpoint, as ``http://host:port``.
        plan: what goes wrong; it may be replaced at any time.
    """

    def __init__(self, target_url: str, plan: Plan | None = None) -> None:
        target = urlsplit(target_url)
        assert target.scheme == "http", "the proxy speaks plain HTTP"
        self._target = (target.hostname or "", target.port or 80)
        self.plan: Plan | None = plan
        self.requests: list[Request] = []
        self.bytes_in = 0
        self.bytes_out = 0
        self._arrived = 0
        self._lock = threading.RLock()  # a plan may ask what was counted
        self._gates: list[Gate] = []
        self._closed = threading.Event()
        self._threads: list[threading.Thread] = []
        self._connections: set[socket.socket] = set()
        self._listener: socket.socket | None = None
        # It never listens: it keeps the port ours while connections are refused.
        self._placeholder = _bound(0)
        self._port = int(self._placeholder.getsockname()[1])
        self.serve()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self._port}"

    @property
    def counts(self) -> Counter[str]:
        """How many requests of each kind have arrived."""
        with self._lock:
            return Counter(request.kind for request in self.requests)

    def reset(self) -> None:
        """Count from nothing again; `Request.number` goes on."""
        with self._lock:
            self.requests.clear()
            self.bytes_in = self.bytes_out = 0

    def pause(self, matches: Callable[[Request], bool], *, done: bool = False) -> Gate:
        """Hold back the requests that match from now on: before they are done, or `done`."""
        gate = Gate(matches, done=done)
        with self._lock:
            self._gates.append(gate)
        return gate

    def refuse(self) -> None:
        """Be away: close every connection and refuse new ones, until `serve`."""
        with self._lock:
            listener, self._listener = self._listener, None
            open_now = list(self._connections)
        # To shut down and not only to close: a forked child may have the same socket open.
        for connection in [*open_now, *([listener] if listener else [])]:
            _hang_up(connection)

    def serve(self) -> None:
        """Listen, if it does not yet."""
        if self._listener is None:
            self._listener = _bound(self._port)
            self._listener.listen(128)
            self._start(self._accept, self._listener)

    def close(self) -> None:
        """Close every connection, let all go that is held, and end."""
        self._closed.set()
        self.refuse()
        with self._lock:
            gates = list(self._gates)
        for gate in gates:
            gate.open()
        for thread in self._threads:
            thread.join(DEADLINE_S)
        self._placeholder.close()

    def _start(self, work: Callable[[socket.socket], None], connection: socket.socket) -> None:
        thread = threading.Thread(target=work, args=(connection,), daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self, listener: socket.socket) -> None:
        with listener:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:  # it was shut down
                    return
                with self._lock:
                    self._connections.add(connection)
                    away = self._listener is not listener
                if away:
                    _hang_up(connection)
                self._start(self._converse, connection)

    def _converse(self, connection: socket.socket) -> None:
        """Answer one request after the other, until a side has closed the connection."""
        try:
            with suppress(OSError), connection.makefile("rb") as file:
                while (request := self._receive(connection, file)) is not None:
                    if not self._attend(connection, *self._admit(request)):
                        break
        finally:
            with self._lock:
                self._connections.discard(connection)
            _hang_up(connection)
            connection.close()

    def _receive(self, connection: socket.socket, file: BinaryIO) -> Request | None:
        line = file.readline()
        if not line.strip():
            return None
        method, target, _ = line.decode("latin-1").split()
        message = parse_headers(file)
        if message.get("Expect", "").lower() == "100-continue":
            connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        if "chunked" in message.get("Transfer-Encoding", "").lower():
            body = _unchunked(file)
        else:
            body = file.read(int(message.get("Content-Length", "0")))
        return Request(0, method, target, message.items(), body)

    def _admit(self, request: Request) -> tuple[Request, Fault]:
        """Count a request that has arrived, and say what happens to it: one after the other."""
        with self._lock:
            self._arrived += 1
            request = attrs.evolve(request, number=self._arrived)
            self.requests.append(request)
            self.bytes_in += len(request.body)
            return request, (self.plan(request) if self.plan else None) or Fault()

    def _attend(self, connection: socket.socket, request: Request, fault: Fault) -> bool:
        """Do with a request what was said; say whether the connection stays open."""
        with self._lock:
            gates = list(self._gates)
        for gate in gates:
            if not gate.done:
                gate.hold(request)
        if fault.wait_s:
            self._closed.wait(fault.wait_s)
        reply = self._forward(request) if fault.forward else None
        for gate in gates:
            if gate.done:
                gate.hold(request)
        if fault.error is not None:
            reply = _error(request, *fault.error)
        if reply is None:
            return False
        return self._send(connection, request, reply, fault.share)

    def _forward(self, request: Request) -> Reply | None:
        """Pass a request on, over a connection of its own; None if the endpoint is away."""
        with closing(HTTPConnection(*self._target, timeout=DEADLINE_S)) as endpoint:
            try:
                endpoint.putrequest(
                    request.method, request.target, skip_host=True, skip_accept_encoding=True
                )
                for name, value in request.headers:
                    if name.lower() not in _HOP_BY_HOP:
                        endpoint.putheader(name, value)
                endpoint.putheader("Connection", "close")
                chunked = "chunked" in request.header("transfer-encoding")
                endpoint.endheaders(request.body or None, encode_chunked=chunked)
                response = endpoint.getresponse()
                body = response.read()
            except (OSError, HTTPException):
                return None
            return Reply(response.status, response.reason, response.getheaders(), body)

    def _send(
        self, connection: socket.socket, request: Request, reply: Reply, share: float
    ) -> bool:
        head, body = reply.head(request.method), reply.body
        if share < 1.0:
            if body and share > 0.0:
                body = body[: int(len(body) * share)]
            else:
                head, body = head[: int(len(head) * share)], b""
        with self._lock:
            self.bytes_out += len(body)  # first: a client that has its answer may look here
        connection.sendall(head + body)
        return share >= 1.0 and request.header("connection") != "close"


def _bound(port: int) -> socket.socket:
    bound = socket.socket()
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    bound.bind(("127.0.0.1", port))
    return bound


def _hang_up(connection: socket.socket) -> None:
    with suppress(OSError):  # the other side was first
        connection.shutdown(socket.SHUT_RDWR)


def _unchunked(file: BinaryIO) -> bytes:
    parts = []
    while size := int(file.readline().partition(b";")[0], 16):
        parts.append(file.read(size))
        file.readline()
    while file.readline().strip():
        pass  # a trailer
    return b"".join(parts)


def _error(request: Request, status: int, code: str) -> Reply:
    """Return the reply of S3 to a request that it cannot or will not do."""
    body = (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f"<Error><Code>{code}</Code><Message>{code}: it was planned so.</Message>"
        f"<Resource>/{escape(request.path)}</Resource>"
        f"<RequestId>{request.number}</RequestId></Error>"
    )
    sent = b"" if request.method == "HEAD" else body.encode()
    return Reply(status, code, [("Content-Type", "application/xml")], sent)
