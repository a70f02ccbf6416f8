"""An endpoint that speaks S3 over HTTP: one of our own on this machine, or one that is named.

Our own is moto's, in a process of its own, so that other processes can use it and none that is
killed takes it along. It keeps everything in its memory. ``FEEDBACK_STORE_TEST_S3`` names a bucket
and a prefix to use instead, such as ``s3://my-bucket/tests``, and where it is not at Amazon,
``FEEDBACK_STORE_TEST_S3_ENDPOINT`` the endpoint; who may write there is told as ever in ``AWS_*``.
"""

import ctypes
import logging
import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any, Final, TypeAlias

import attrs
import fsspec

NAMED_ROOT: Final = "FEEDBACK_STORE_TEST_S3"
NAMED_ENDPOINT: Final = "FEEDBACK_STORE_TEST_S3_ENDPOINT"

ENVIRONMENT: Final = {
    "AWS_ACCESS_KEY_ID": "testing",
    "AWS_SECRET_ACCESS_KEY": "testing",
    "AWS_DEFAULT_REGION": "eu-central-1",  # s3fs cannot make a bucket in us-east-1 by its name
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    "AWS_EC2_METADATA_DISABLED": "true",
}
"""The whole of ``AWS_*`` where an endpoint of our own is used: nothing else is read."""

Filesystem: TypeAlias = Any
"""A filesystem of fsspec, which has no types."""

_PR_SET_PDEATHSIG = 1


@attrs.frozen
class Endpoint:
    """Where the tests of S3 keep their objects.

    Attributes:
        url: where it listens; None for Amazon's.
        above: the bucket and the prefix below which the tests may write; None for an endpoint of
            our own, where they may make buckets.
    """

    url: str | None
    above: str | None = None
    _roots: list[str] = attrs.field(factory=list, init=False, repr=False)

    def options(self, url: str | None = None, *, attempts: int | None = None) -> dict[str, Any]:
        """Return what ``fsspec.filesystem("s3", ...)`` needs to use it.

        Args:
            url: another way there, such as a proxy.
            attempts: how often botocore tries a request. s3fs tries all of that several times
                again, which no option tells it: see `filesystem`.
        """
        config: dict[str, Any] = {"proxies": {}}  # a proxy of the machine's never leads here
        if attempts is not None:
            config["retries"] = {"total_max_attempts": attempts}
        options: dict[str, Any] = {"config_kwargs": config}
        if url := url or self.url:
            config["s3"] = {"addressing_style": "path"}
            options["endpoint_url"] = url
        if self.above is None:
            options["key"] = ENVIRONMENT["AWS_ACCESS_KEY_ID"]
            options["secret"] = ENVIRONMENT["AWS_SECRET_ACCESS_KEY"]
            options["client_kwargs"] = {"region_name": ENVIRONMENT["AWS_DEFAULT_REGION"]}
        return options

    def filesystem(self, url: str | None = None, *, patient: bool = True) -> Filesystem:
        """Return a new filesystem of s3fs; an impatient one tries nothing again.

        What aiohttp does by itself stays: where the endpoint closes a connection without an
        answer, it asks once more, unless that was a POST.
        """
        kind = fsspec.get_filesystem_class("s3") if patient else _impatient()
        options = self.options(url, attempts=None if patient else 1)
        return kind(**options, use_listings_cache=False, skip_instance_cache=True)

    def new_bucket(self) -> str:
        """Make a bucket, which is empty; only an endpoint of our own is asked for one."""
        assert self.above is None, "buckets are made on an endpoint of our own alone"
        bucket = f"feedback-{uuid.uuid4().hex}"
        self._own().mkdir(bucket)
        return bucket

    def new_root(self) -> str:
        """Return a bucket and a prefix, below which there is nothing."""
        root = f"{self.above or self.new_bucket()}/store-{uuid.uuid4().hex}"
        self._roots.append(root)
        return root

    def clear(self) -> None:
        """Remove all that is below the roots that were given out."""
        filesystem = self._own()
        for root in self._roots:
            if filesystem.exists(root):
                filesystem.rm(root, recursive=True)

    def _own(self) -> Filesystem:
        """Return what fsspec keeps for each process: to make one takes longer than to use it."""
        return fsspec.filesystem("s3", **self.options(), use_listings_cache=False)


@cache
def _impatient() -> type[Any]:
    """Return s3fs as it would be with one attempt: a subclass, since copies are made of it."""
    return type("ImpatientS3", (fsspec.get_filesystem_class("s3"),), {"retries": 1})


@contextmanager
def named_endpoint() -> Iterator[Endpoint]:
    """Use the endpoint that the environment names; what was written there is removed."""
    above = os.environ[NAMED_ROOT].removeprefix("s3://").strip("/")
    endpoint = Endpoint(os.environ.get(NAMED_ENDPOINT) or None, above)
    try:
        yield endpoint
    finally:
        endpoint.clear()


@contextmanager
def own_endpoint() -> Iterator[Endpoint]:
    """Start an endpoint on this machine, and end it."""
    with subprocess.Popen(
        [sys.executable, __file__],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,  # an interrupt is for the tests, which still need it to end well
    ) as server:
        try:
            assert server.stdout is not None
            line = server.stdout.readline()
            assert line, "the endpoint did not start"
            yield Endpoint(f"http://127.0.0.1:{int(line)}")
        finally:
            server.kill()


def _serve() -> None:
    """Serve until the process that started this one has ended, however it did.

    Where the kernel does not tell, the end of the pipe does, unless a forked child has it too.
    """
    from moto.server import ThreadedMotoServer  # noqa: PLC0415  # slow, and for this process alone

    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    _, port = server.get_host_and_port()
    sys.stdout.write(f"{port}\n")
    sys.stdout.flush()
    sys.stdin.read()


if __name__ == "__main__":
    _serve()
