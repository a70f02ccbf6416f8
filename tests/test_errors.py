"""The tree of errors, and what they are kin to."""

import inspect
import pickle

import pytest

import feedback_store
from feedback_store import errors
from feedback_store.errors import (
    DuplicateEntryError,
    DurabilityError,
    EntryNotFoundError,
    FeedbackStoreError,
    InvalidEntryError,
    InvalidQueryError,
    LockTimeoutError,
    MissingExtraError,
    SnapshotError,
    StoreClosedError,
    StoreFullError,
    StoreReadOnlyError,
    StoreUnavailableError,
    UnknownBackendError,
)

KIN: dict[type[FeedbackStoreError], tuple[type[Exception], ...]] = {
    FeedbackStoreError: (Exception,),
    InvalidEntryError: (ValueError,),
    InvalidQueryError: (ValueError,),
    DuplicateEntryError: (FeedbackStoreError,),
    EntryNotFoundError: (KeyError, LookupError),
    UnknownBackendError: (ValueError,),
    MissingExtraError: (ImportError,),
    SnapshotError: (ValueError,),
    StoreClosedError: (FeedbackStoreError,),
    StoreUnavailableError: (OSError,),
    StoreFullError: (StoreUnavailableError, OSError),
    StoreReadOnlyError: (StoreUnavailableError, OSError),
    LockTimeoutError: (StoreUnavailableError, TimeoutError),
    DurabilityError: (StoreUnavailableError, OSError),
}


def test_the_table_is_complete() -> None:
    """Every error of the module is in the table above, and can be imported from the top."""
    found = {kind for _, kind in inspect.getmembers(errors, inspect.isclass)}
    assert set(KIN) == {kind for kind in found if issubclass(kind, Exception)}
    assert set() == {kind.__name__ for kind in KIN} - set(feedback_store.__all__)


@pytest.mark.parametrize("kind", KIN, ids=lambda kind: kind.__name__)
def test_errors_have_their_kin(kind: type[FeedbackStoreError]) -> None:
    """Each error is caught by the root, and by the builtin that callers would expect."""
    assert issubclass(kind, FeedbackStoreError)
    assert [True] * len(KIN[kind]) == [issubclass(kind, builtin) for builtin in KIN[kind]]


@pytest.mark.parametrize("kind", KIN, ids=lambda kind: kind.__name__)
def test_errors_say_their_message_and_pickle(kind: type[FeedbackStoreError]) -> None:
    """The text of an error is its message, also after it went to another process."""
    error = kind("what happened")
    again = pickle.loads(pickle.dumps(error))
    assert ("what happened", "what happened", kind) == (str(error), str(again), type(again))


@pytest.mark.parametrize("kind", KIN, ids=lambda kind: kind.__name__)
def test_the_tree_is_drawn(kind: type[FeedbackStoreError]) -> None:
    """Every error is in the drawing of the module's docstring, and has a docstring of its own."""
    assert kind.__name__ in (errors.__doc__ or "")
    assert kind.__doc__


def test_system_errors_keep_their_details() -> None:
    """An error of the medium keeps the number and the file of the system's error."""
    error = pickle.loads(pickle.dumps(StoreFullError(28, "No space left", "feedback.jsonl")))
    assert (28, "feedback.jsonl") == (error.errno, error.filename)
