"""The verbs of `FeedbackStore`, awaited, on asyncio and on trio. Needs the extra ``async``."""

from feedback_store.aio._extra import require_extra

require_extra()

from feedback_store.aio.scanning import AsyncScan  # noqa: E402  # what it needs comes first
from feedback_store.aio.store import AsyncFeedbackStore  # noqa: E402  # as above

__all__ = ["AsyncFeedbackStore", "AsyncScan"]
