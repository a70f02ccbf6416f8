"""What is left of erased entries in the bytes of the file, where no query sees it.

``PRAGMA secure_delete`` overwrites what is deleted. But when SQLite moves rows to another page, it
may leave their old bytes in the unallocated middle of the page that they came from, and knows
nothing of them any more: seldom, but it was seen. So an erasure looks there, by the file format
(https://sqlite.org/fileformat2.html, section 1.6), and only where it finds something is the whole
file written anew, by ``VACUUM``.

A file that this process has open in SQLite must never be closed elsewhere in it: that drops all
locks of the process on it (https://sqlite.org/howtocorrupt.html, section 2.2). So each file is
opened once, and the descriptor is kept until the file itself is gone.
"""

import os
import threading
from collections.abc import Iterator, Mapping

from feedback_store.codec import to_mapping
from feedback_store.entry import FeedbackEntry
from feedback_store.sql.lines import ESCAPED

_TREE_PAGES = {2: 12, 5: 12, 10: 8, 13: 8}
"""The kinds of pages that hold rows or keys, with the length of their headers."""

_HEADER_BYTES = 100
_PIECE_BYTES = 24
_SHORT_BYTES = 6
_READ_PAGES = 256
_HIGHEST_BYTES = 65536

_descriptors: dict[tuple[int, int], int] = {}
_lock = threading.Lock()


def traces_of(ids: frozenset[str], erased: list[FeedbackEntry]) -> set[bytes]:
    """Return pieces of erased entries: what is left of one holds some of them, whole.

    Short texts tell nothing, for other entries have them as well.
    """
    traces: set[bytes] = set()
    for text in (*ids, *(text for entry in erased for text in _texts_in(to_mapping(entry)))):
        for part in ESCAPED.split(text):
            traces.update(_pieces(part.encode(errors="surrogatepass")))
    return traces


def _texts_in(value: object) -> Iterator[str]:
    """Yield all texts in a JSON value, but for the names of its keys."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _texts_in(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _texts_in(item)


def _pieces(text: bytes) -> Iterator[bytes]:
    """Yield a text in overlapping pieces: what is left of it may lack its ends."""
    if _SHORT_BYTES <= len(text) <= _PIECE_BYTES:
        yield text
    for start in range(0, len(text) - _PIECE_BYTES + 1, _PIECE_BYTES // 2):
        yield text[start : start + _PIECE_BYTES]


def are_left(path: str, traces: set[bytes]) -> bool:
    """Say whether any of the pieces stands in an unallocated part of the file."""
    left = b"\0".join(gap.strip(b"\0") for gap in gaps(path))
    if any(trace in left for trace in traces if len(trace) < _PIECE_BYTES):
        return True
    return any(
        left[start : start + _PIECE_BYTES] in traces
        for start in range(len(left) - _PIECE_BYTES + 1)
    )


def gaps(path: str) -> Iterator[bytes]:
    """Yield the unallocated middle of each page, where it is not all zeros; and what is no page.

    A power cut may bring back an end that was cut off: it is longer than its header says then.
    """
    descriptor = _opened(path)
    head = os.pread(descriptor, _HEADER_BYTES, 0)
    if len(head) < _HEADER_BYTES:
        return
    size = int.from_bytes(head[16:18], "big")
    size = _HIGHEST_BYTES if size == 1 else size
    position, end = 0, size * int.from_bytes(head[28:32], "big")
    while pages := os.pread(descriptor, size * _READ_PAGES, position):
        if position + len(pages) > end:
            yield pages[max(end - position, 0) :]
        for start in range(0, len(pages) - size + 1, size):
            gap = _gap(pages[start : start + size], _HEADER_BYTES if position + start == 0 else 0)
            if gap.strip(b"\0"):
                yield gap
        position += len(pages)


def _gap(page: bytes, start: int) -> bytes:
    """Return the bytes between a page's list of cells and the first cell."""
    header = _TREE_PAGES.get(page[start])
    if header is None:
        return b""  # it holds the middle of a long row, or is free: both are overwritten
    cells = int.from_bytes(page[start + 3 : start + 5], "big")
    content = int.from_bytes(page[start + 5 : start + 7], "big") or _HIGHEST_BYTES
    return page[start + header + 2 * cells : content]


def sync(path: str) -> None:
    """Make the file durable as it is, its size too."""
    os.fsync(_opened(path))


def _opened(path: str) -> int:
    with _lock:
        for identity, descriptor in list(_descriptors.items()):
            if not os.fstat(descriptor).st_nlink:
                os.close(descriptor)
                del _descriptors[identity]
        found = os.stat(path)  # noqa: PTH116  # beside os.open
        identity = (found.st_dev, found.st_ino)
        if identity not in _descriptors:
            _descriptors[identity] = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        return _descriptors[identity]
