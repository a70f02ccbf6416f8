"""What a PostgreSQL store needs from outside, asked for before anything of it is imported."""

from importlib.util import find_spec

from feedback_store.errors import MissingExtraError


def require_extra() -> None:
    """Make sure that psycopg is there.

    Raises:
        MissingExtraError: it is not installed.
    """
    if find_spec("psycopg") is None:
        msg = (
            "postgresql: URLs need psycopg, which is not installed: "
            "pip install 'feedback-store[postgres]'"
        )
        raise MissingExtraError(msg, name="psycopg")
