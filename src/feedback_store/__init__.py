"""Durable feedback on the answers of language models: open a store, add, ask, export."""

from feedback_store.batch import BatchResult
from feedback_store.codec import decode, encode
from feedback_store.entry import FeedbackEntry, Metadata
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
from feedback_store.facade import FeedbackStore
from feedback_store.opening import open_async_store, open_store
from feedback_store.query import Order, Page, Query
from feedback_store.rating import Rating, rating_from_stars, rating_from_thumbs
from feedback_store.report import Check, CheckReport, CompactReport, Status
from feedback_store.stats import Group, Stats
from feedback_store.store import Outcome, Store
from feedback_store.subscription import ChangeEvent, ChangeKind, Subscription

__all__ = [
    "BatchResult",
    "ChangeEvent",
    "ChangeKind",
    "Check",
    "CheckReport",
    "CompactReport",
    "DuplicateEntryError",
    "DurabilityError",
    "EntryNotFoundError",
    "FeedbackEntry",
    "FeedbackStore",
    "FeedbackStoreError",
    "Group",
    "InvalidEntryError",
    "InvalidQueryError",
    "LockTimeoutError",
    "Metadata",
    "MissingExtraError",
    "Order",
    "Outcome",
    "Page",
    "Query",
    "Rating",
    "SnapshotError",
    "Stats",
    "Status",
    "Store",
    "StoreClosedError",
    "StoreFullError",
    "StoreReadOnlyError",
    "StoreUnavailableError",
    "Subscription",
    "UnknownBackendError",
    "decode",
    "encode",
    "open_async_store",
    "open_store",
    "rating_from_stars",
    "rating_from_thumbs",
]
