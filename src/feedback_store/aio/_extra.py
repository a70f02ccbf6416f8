"""What the awaited verbs need from outside, asked for before anything of it is imported."""

from importlib.util import find_spec

from feedback_store.errors import MissingExtraError


def require_extra() -> None:
    """Make sure that anyio is there.

    Raises:
        MissingExtraError: it is not installed.
    """
    if find_spec("anyio") is None:
        msg = (
            "AsyncFeedbackStore needs anyio, which is not installed: "
            "pip install 'feedback-store[async]'"
        )
        raise MissingExtraError(msg, name="anyio")
