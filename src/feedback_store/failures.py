"""The system's errors, worded for the people who must act on them."""

import errno
from types import TracebackType
from typing import TypeVar

from feedback_store.errors import (
    DurabilityError,
    FeedbackStoreError,
    StoreFullError,
    StoreReadOnlyError,
    StoreUnavailableError,
)

E = TypeVar("E", bound=StoreUnavailableError)

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_READ_ONLY = {errno.EROFS, errno.EACCES, errno.EPERM}


class Worded:
    """Turns an ``OSError`` of its block into the library's error for it, cause chained.

    A class and no generator: it stands around every call, and costs a third.
    """

    __slots__ = ("location",)

    def __init__(self, location: str) -> None:
        self.location = location

    def __enter__(self) -> None:
        """Do nothing."""

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Raise the library's error in place of the system's."""
        if isinstance(error, OSError) and not isinstance(error, FeedbackStoreError):
            raise in_words(error, self.location) from error


def in_words(error: OSError, location: str) -> StoreUnavailableError:
    """Return the library's error for one of the system's."""
    path = error.filename or location
    reason = error.strerror or type(error).__name__
    kind: type[StoreUnavailableError] = StoreUnavailableError
    hint = "see that the disk is mounted and healthy"
    if error.errno in _FULL:
        kind = StoreFullError
        hint = "free some space or raise the limit, then make the same call again"
    elif error.errno in _READ_ONLY:
        kind = StoreReadOnlyError
        hint = "see that this user may write there and that it is not mounted read-only"
    elif error.errno in {errno.EMFILE, errno.ENFILE}:
        hint = "raise the limit of open files (ulimit -n), or close what is not needed"
    return _with_details(kind(f"{path}: {reason}; {hint}"), error, path)


def sync_failed(error: OSError, path: str) -> DurabilityError:
    """Return the error of a sync that failed: the outcome is unknown."""
    reason = error.strerror or type(error).__name__
    msg = (
        f"{path}: the sync failed ({reason}), so it is unknown whether the last write would "
        "survive a power cut; nothing of it is acknowledged, and the same call may be made again"
    )
    return _with_details(DurabilityError(msg), error, path)


def _with_details(made: E, error: OSError, path: object) -> E:
    made.errno, made.filename = error.errno, str(path)
    return made


def anonymous(error: BaseException) -> str:
    """Name the error of an app's function by its class and the function's line.

    Its message is left out: it may quote what somebody wrote.
    """
    name = type(error).__qualname__
    # The first step of the trace is the caller's own, the second one that of the app's function.
    step = error.__traceback__.tb_next if error.__traceback__ else None
    if step is None:
        return name
    return f"{name} in {step.tb_frame.f_globals.get('__name__')}, line {step.tb_lineno}"
