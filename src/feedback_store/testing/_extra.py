"""What the suite needs from outside, asked for before anything of it is imported."""

from importlib.util import find_spec

from feedback_store.errors import MissingExtraError

_REWRITTEN = ("feedback_store.testing.contract", "feedback_store.testing.machine")


def require_extra() -> None:
    """Make sure that Hypothesis and pytest are there, and let pytest word our asserts.

    Raises:
        MissingExtraError: one of them is not installed.
    """
    for package in ("hypothesis", "pytest"):
        if find_spec(package) is None:
            msg = (
                f"feedback_store.testing needs {package}, which is not installed: "
                "pip install 'feedback-store[testing]'"
            )
            raise MissingExtraError(msg, name=package)
    import pytest  # noqa: PLC0415  # it may be absent

    # An assert of a module that was imported normally would fail without showing its values.
    pytest.register_assert_rewrite(*_REWRITTEN)
