"""What the tests of the object store share: an endpoint of S3, and a proxy before it."""

import os
from collections.abc import Iterator
from importlib.util import find_spec

import pytest
from fault_proxy import FaultProxy
from s3_endpoint import ENVIRONMENT, NAMED_ROOT, Endpoint, named_endpoint, own_endpoint


@pytest.fixture(scope="session")
def endpoint() -> Iterator[Endpoint]:
    """The endpoint that the environment names, or one of our own."""
    named = NAMED_ROOT in os.environ
    needed = ("s3fs",) if named else ("s3fs", "moto", "flask")
    if missing := [name for name in needed if find_spec(name) is None]:
        pytest.skip(f"not installed: {', '.join(missing)}")
    if named:
        with named_endpoint() as endpoint:
            yield endpoint
        return
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("AWS_")]:
            patch.delenv(name)
        for name, value in ENVIRONMENT.items():
            patch.setenv(name, value)
        with own_endpoint() as endpoint:
            yield endpoint


@pytest.fixture
def proxy(endpoint: Endpoint) -> Iterator[FaultProxy]:
    """A proxy before the endpoint, which fails nothing yet."""
    if not (endpoint.url or "").startswith("http://"):
        pytest.skip("the proxy speaks plain HTTP, which the endpoint that was named does not")
    with FaultProxy(str(endpoint.url)) as proxy:
        yield proxy


@pytest.fixture
def s3_root(endpoint: Endpoint) -> str:
    """A bucket and a prefix, below which there is nothing."""
    return endpoint.new_root()
