"""The month-file store as what is put to the proof, and what else must hold for its files."""

import json
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from unittest import mock

from feedback_store.backends.jsonl import JsonlStore, part
from feedback_store.backends.jsonl.index import Index
from feedback_store.backends.jsonl.naming import parse_name
from feedback_store.testing.simulation import Image, SimulatedDisk, Subject, unpack

FOLDER = "/srv/feedback"
FEW_LINES = 2
"""Lines that become a run of the index here, so that small workloads have many."""


def open_store(disk: SimulatedDisk, kind: type[JsonlStore] = JsonlStore) -> JsonlStore:
    """Open the store as a service does, but for waiting: no time passes here."""
    store = kind(FOLDER, disk=disk, lock_timeout_s=0)
    store._writer.patience_s = 0
    return store


def every_line_is_in_its_month(image: Image) -> Iterator[str]:
    """Say which lines stand in the file of another month."""
    for path, _, content in image.files():
        name = parse_name(path.rpartition("/")[2])
        if name is None:
            continue
        for line in unpack(path, content).replace(b"\0", b"\n").split(b"\n"):
            try:
                month = json.loads(line)["timestamp"][:7]
            except (ValueError, TypeError, KeyError):
                continue  # torn
            if month != name.month:
                yield f"an entry of {month} stands in {path}"


def month_files_keep_their_rights(image: Image) -> Iterator[str]:
    """Say which month files with lines in them have another mode or owner than they should."""
    for path, node, content in image.files():
        if parse_name(path.rpartition("/")[2]) and b"\n" in content:
            rights = (oct(node.mode), node.owner)
            if rights != ("0o664", (1001, 1001)):
                yield f"{path} has the mode {rights[0]} and the owner {rights[1]}"


JUDGES = (every_line_is_in_its_month, month_files_keep_their_rights)


def subject(open_one: Callable[[SimulatedDisk], JsonlStore] = open_store) -> Subject:
    """Return what is put to the proof."""
    return Subject(open_one, JUDGES)


@contextmanager
def small_indexes() -> Iterator[None]:
    """Let two lines be enough for a run of the index, and keep damaged lines out of the log."""
    logger = logging.getLogger("feedback_store")
    before = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        with (
            mock.patch.object(Index.flush, "__defaults__", (FEW_LINES,)),
            mock.patch.object(part, "CLOSE_LINES", 1),
        ):
            yield
    finally:
        logger.setLevel(before)
