"""What follows a write, once the lock is free."""

import logging
import threading
from collections.abc import Sequence

from feedback_store.backends.jsonl.disk import Disk
from feedback_store.backends.jsonl.part import Part
from feedback_store.backends.jsonl.rewriting import Rewriter
from feedback_store.failures import sync_failed

logger = logging.getLogger("feedback_store.jsonl")


def sync_name(disk: Disk, folder: str, part: Part) -> None:
    """Make the name of a file durable, once: another process may not have come to it.

    Raises:
        DurabilityError: the sync failed.
    """
    if part.named:
        return
    try:
        disk.sync_folder(folder)
    except OSError as error:
        raise sync_failed(error, folder) from error
    part.named = True


def look_after(
    parts: Sequence[Part], state: threading.RLock, rewriter: Rewriter, compact_share: float
) -> None:
    """Keep the index short and the months small; what fails here harms no write."""
    try:
        with state:
            for part in parts:
                part.index.flush(part.identify)
            bloated = [part for part in parts if part.is_bloated(compact_share)]
        if bloated:
            rewriter.compact_soon([part.name.month for part in bloated])
    except OSError as error:
        paths = ", ".join(part.path for part in parts)
        logger.warning("%s was left as it is: %s", paths, error.strerror or error)
