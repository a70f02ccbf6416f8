"""An endpoint that speaks S3, and a proxy that counts: those of the tests of the object store."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from unittest.mock import patch

import attrs

from benchmarks.crew import ROOT

sys.path.append(str(ROOT / "tests" / "objects"))

from fault_proxy import FaultProxy
from s3_endpoint import ENVIRONMENT, Endpoint, own_endpoint

from benchmarks.objects.place import Place

_FETCHING = {"GET", "HEAD"}


@attrs.frozen
class Spent:
    """What some calls came to.

    Attributes:
        requests: how many of each kind, such as ``"PUT"`` or ``"LIST"``.
        sent_bytes: what was sent in bodies.
        fetched_bytes: what came back in bodies.
        months: of which months objects were fetched.
    """

    requests: dict[str, int]
    sent_bytes: int
    fetched_bytes: int
    months: list[str]


@attrs.frozen
class Served:
    """An endpoint on this machine, and the two ways there.

    Attributes:
        endpoint: it, in a process of its own.
        proxy: counts what goes through it, in this process.
    """

    endpoint: Endpoint
    proxy: FaultProxy

    def new_place(self) -> Place:
        """Return a place where there is nothing, by the direct way."""
        return Place(f"s3://{self.endpoint.new_root()}", self.endpoint.options())

    def counted(self, place: Place) -> Place:
        """Return the same place, by the way on which requests are counted."""
        return attrs.evolve(place, options=self.endpoint.options(self.proxy.url))

    def start_counting(self) -> None:
        """Count from nothing again."""
        self.proxy.reset()

    def spent(self, place: Place) -> Spent:
        """Return what has gone through the proxy since then; of months, those of a place."""
        requests = list(self.proxy.requests)
        paths = [request.path for request in requests if request.kind in _FETCHING]
        below = [path.removeprefix(f"{place.root}/") for path in paths]
        return Spent(
            dict(self.proxy.counts),
            self.proxy.bytes_in,
            self.proxy.bytes_out,
            sorted({path.partition("/")[0] for path in below}),
        )


@contextmanager
def served() -> Iterator[Served]:
    """Start endpoint and proxy, and end them; until then, no other ``AWS_*`` holds."""
    with patch.dict(os.environ):
        for name in [name for name in os.environ if name.startswith("AWS_")]:
            del os.environ[name]
        os.environ.update(ENVIRONMENT)
        with own_endpoint() as endpoint, FaultProxy(str(endpoint.url)) as proxy:
            yield Served(endpoint, proxy)
