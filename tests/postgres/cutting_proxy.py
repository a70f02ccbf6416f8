"""A proxy before a PostgreSQL server, which cuts a connection at one statement.

It passes bytes on as they come, in threads of this process. When it is told a word, the first
message that holds it is the last of its connection: it is passed on, and the answer is not, or it
is not even passed on. All other connections go on.
"""

import socket
import threading
from contextlib import suppress
from typing import Self
from urllib.parse import urlsplit, urlunsplit

_BYTES = 65536


class CuttingProxy:
    """A proxy, until the end of its block.

    Args:
        url: of a database on the server.

    Attributes:
        url: of the same database, by way of the proxy.
        cuts: how many connections were cut.
    """

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._server = (str(parts.hostname), int(parts.port or 5432))
        self._listener = socket.create_server(("127.0.0.1", 0))
        port = self._listener.getsockname()[1]
        login = parts.netloc.rpartition("@")[0]
        self.url = urlunsplit(parts._replace(netloc=f"{login}@127.0.0.1:{port}"))
        self.cuts = 0
        self._word: bytes | None = None
        self._pass_on = True
        self._lock = threading.Lock()
        self._sockets: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept)]

    def cut_at(self, word: bytes, *, pass_on: bool) -> None:
        """Cut the connection on which the next message with a word comes.

        Args:
            word: what it holds.
            pass_on: whether the server still gets that message.
        """
        with self._lock:
            self._word, self._pass_on = word, pass_on

    def __enter__(self) -> Self:
        """Begin to serve."""
        self._threads[0].start()
        return self

    def __exit__(self, *_: object) -> None:
        """Close everything."""
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._threads[0].join()
        with self._lock:
            for end in self._sockets:
                with suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)
        for thread in self._threads[1:]:
            thread.join()
        for end in self._sockets:
            end.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            server = socket.create_connection(self._server)
            cut = threading.Event()
            with self._lock:
                self._sockets += [client, server]
            for source, target in ((client, server), (server, client)):
                thread = threading.Thread(
                    target=self._pass, args=(source, target, cut, source is client)
                )
                self._threads.append(thread)
                thread.start()

    def _pass(
        self, source: socket.socket, target: socket.socket, cut: threading.Event, asks: bool
    ) -> None:
        """Pass on what comes, until one side ends or the connection is cut."""
        with suppress(OSError):
            while data := source.recv(_BYTES):
                if asks and self._strikes(data):
                    cut.set()
                    if self._pass_on:
                        target.sendall(data)
                        target.recv(1, socket.MSG_PEEK)  # the answer is there, and stays there
                    break
                if cut.is_set():
                    break
                target.sendall(data)
        for end in (source, target):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def _strikes(self, data: bytes) -> bool:
        with self._lock:
            if self._word is None or self._word not in data:
                return False
            self._word = None
            self.cuts += 1
            return True
