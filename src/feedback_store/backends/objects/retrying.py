"""Trying again: what is safe to repeat, how often, and what is better not repeated.

Every request of a store is safe to repeat, whatever became of the one before. An object is put
again under its own name with its own bytes, and nothing else is ever put there; one that is removed
twice is gone; the rest only reads. So the one question is whether there is hope: an endpoint that
is busy, or a connection that was cut, may do better in a moment; a password that is wrong will not.

The waits grow exponentially, with jitter, so that clients who were refused together do not come
back together (Brooker, "Exponential Backoff And Jitter", 2015). The clients below are told to try
once: attempts of several layers multiply, and some of theirs know no bound.
"""

import errno
import importlib
from collections.abc import Callable
from typing import TypeVar

from feedback_store.errors import MissingExtraError, StoreUnavailableError

T = TypeVar("T")

ATTEMPTS = 5
"""How often a request is made at most, unless told otherwise."""

TIMEOUT_S = 30.0
"""After how long no new attempt is made, in seconds, unless told otherwise."""

_FIRST_WAIT_S = 0.1
_LONGEST_WAIT_S = 5.0
_JITTER_S = 0.1

_HOPELESS = (
    FileNotFoundError,
    FileExistsError,
    IsADirectoryError,
    NotADirectoryError,
    PermissionError,
    ArithmeticError,
    AttributeError,
    ImportError,
    LookupError,
    NotImplementedError,
    TypeError,
    ValueError,
)
_HOPELESS_NUMBERS = {
    errno.EACCES,
    errno.EDQUOT,
    errno.EFBIG,
    errno.EINVAL,
    errno.EMSGSIZE,
    errno.ENAMETOOLONG,
    errno.ENOENT,
    errno.ENOSPC,
    errno.ENOSYS,
    errno.EPERM,
    errno.EROFS,
}


def is_hopeful(error: BaseException | None) -> bool:
    """Say whether a request that failed like this may do better when it is made again."""
    if not isinstance(error, Exception) or isinstance(error, _HOPELESS):
        return False
    if "Credential" in type(error).__name__:  # each client has its own: none were found
        return False
    return not (isinstance(error, OSError) and error.errno in _HOPELESS_NUMBERS)


class Patience:
    """How often a request is made before it has failed.

    Args:
        attempts: at most so often; 1 to try nothing again.
        timeout_s: no new attempt is made after so many seconds.

    Raises:
        MissingExtraError: ``stamina`` is not installed, which makes the attempts.
        ValueError: one of them is not positive.
    """

    def __init__(self, attempts: int = ATTEMPTS, timeout_s: float = TIMEOUT_S) -> None:
        if attempts < 1 or not timeout_s > 0:
            msg = "retry_attempts is 1 or more, and retry_timeout_s more than 0"
            raise ValueError(msg)
        self._attempts = attempts
        self._timeout_s = timeout_s
        if attempts > 1:
            _check_installed()

    def call(self, request: Callable[[], T]) -> T:
        """Make a request, again while it raises what `is_hopeful` caused.

        Raises:
            StoreUnavailableError: what the last attempt raised.
        """
        if self._attempts == 1:
            return request()
        import stamina  # noqa: PLC0415  # only what is used

        for attempt in stamina.retry_context(
            on=_is_worth_it,
            attempts=self._attempts,
            timeout=self._timeout_s,
            wait_initial=_FIRST_WAIT_S,
            wait_max=_LONGEST_WAIT_S,
            wait_jitter=_JITTER_S,
        ):
            with attempt:
                return request()
        raise AssertionError  # pragma: no cover  # the last attempt has raised


def _is_worth_it(error: Exception) -> bool:
    # What is raised here is worded, and tells no secret: stamina logs it.
    return isinstance(error, StoreUnavailableError) and is_hopeful(error.__cause__)


def _check_installed() -> None:
    try:
        importlib.import_module("stamina")
    except ImportError as error:
        msg = (
            "a store behind a network needs stamina, which makes failed requests again: "
            "pip install 'feedback-store[s3]', or pip install stamina for another filesystem, "
            "or open the store with retry_attempts=1"
        )
        raise MissingExtraError(msg, name="stamina") from error
