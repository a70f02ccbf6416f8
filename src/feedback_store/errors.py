"""Every error that this library raises, in one tree.

::

    FeedbackStoreError
    ├── InvalidEntryError (ValueError)        what was given is no feedback entry
    ├── InvalidQueryError (ValueError)        what was asked makes no sense
    ├── DuplicateEntryError                   another entry stands under that id
    ├── EntryNotFoundError (KeyError)         no entry stands under that id
    ├── UnknownBackendError (ValueError)      the URL names no backend that is known here
    ├── MissingExtraError (ImportError)       an optional package is not installed
    ├── StoreClosedError                      the store was closed before this call
    ├── SnapshotError (ValueError)            a snapshot is not what its manifest says it is
    └── StoreUnavailableError (OSError)       the medium did not do what was asked of it
        ├── StoreFullError                    no space, quota or allowed file size is left
        ├── StoreReadOnlyError                writing is not permitted there
        ├── LockTimeoutError (TimeoutError)   another writer held the lock for too long
        └── DurabilityError                   a sync failed: whether the data lasts is unknown

Where callers would expect a builtin error, ours is its kin, so that ``except KeyError`` and
``except OSError`` keep their meaning. No message holds a question, an answer or an explanation.
"""


class FeedbackStoreError(Exception):
    """The root of all errors of this library."""


class InvalidEntryError(FeedbackStoreError, ValueError):
    """A value is not valid in a feedback entry; the message names the field and the remedy.

    Raised before any byte is written; the caller's object is unchanged.
    """


class InvalidQueryError(FeedbackStoreError, ValueError):
    """A query, a cursor or a page number is not valid; the message says which part."""


class DuplicateEntryError(FeedbackStoreError):
    """Another entry, with other content, already stands under the id; nothing was stored."""


class EntryNotFoundError(FeedbackStoreError, KeyError):
    """No entry stands under the id."""

    def __str__(self) -> str:
        """Say the message as it is: a bare ``KeyError`` would put it in quotes."""
        return str(self.args[0]) if self.args else ""


class UnknownBackendError(FeedbackStoreError, ValueError):
    """No backend is registered for the scheme of the URL; the message lists those that are."""


class MissingExtraError(FeedbackStoreError, ImportError):
    """An optional package is missing; the message names the extra that installs it."""


class StoreClosedError(FeedbackStoreError):
    """The store was closed; open it again to go on."""


class SnapshotError(FeedbackStoreError, ValueError):
    """A snapshot is damaged, cannot be read, or is not what its manifest says; nothing was done."""


class StoreUnavailableError(FeedbackStoreError, OSError):
    """The medium (disk, server, bucket) failed or cannot be reached.

    Nothing of the failed call is acknowledged, and the same call may be made again. ``errno``
    and ``filename`` are those of the system's error, where there was one.
    """

    def __str__(self) -> str:
        """Say the message as it is: ``OSError`` would put number and path in its place."""
        return str(self.args[0]) if self.args else ""


class StoreFullError(StoreUnavailableError):
    """No space, quota or permitted file size is left. Reading goes on."""


class StoreReadOnlyError(StoreUnavailableError):
    """The location may be read but not written, or not entered at all."""


class LockTimeoutError(StoreUnavailableError, TimeoutError):
    """Another process or thread held the store's lock for longer than the timeout."""


class DurabilityError(StoreUnavailableError):
    """A sync failed, so it is unknown whether what was written would survive a power cut.

    Nothing is acknowledged. The same call on the same store may be made again and is harmless.
    """
