"""What stands in an object: a header, then one line for each entry, or for each erasure.

    {"format":1,"lines":2,"bytes":1802,"crc32":"0a1b2c3d"}
    {"revision":"0199…","entry":{"message_id":…}}
    {"revision":"0199…","entry":{"message_id":…}}

The header tells whether the rest is whole; length and checksum are those of all bytes after it. A
line that cannot be read is left out, and its neighbours count. An object that is not whole may be
one that is just being written, on a filesystem that shows such: what can be read of it counts, and
nobody removes it.
"""

import hashlib
import json
import logging
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC
from functools import lru_cache
from typing import NamedTuple, TypeAlias

from feedback_store.backends.objects.clock import REVISION_CHARS
from feedback_store.codec import decode
from feedback_store.collecting import collector_paused
from feedback_store.compressing import packer_for, unpacker_for
from feedback_store.entry import FeedbackEntry
from feedback_store.errors import InvalidEntryError, StoreUnavailableError
from feedback_store.stamps import stamp_of
from feedback_store.wire import Glimpse, Revised, glimpse_of_plain, keys_of_written

logger = logging.getLogger("feedback_store.objects")

FORMAT_VERSION = 1
"""The version of the layout that this code writes."""

_BEFORE = b'{"revision":"'
_BETWEEN = b'","entry":'
_BETWEEN_ERASED = b'","id":"'
_BEFORE_END = len(_BEFORE)
_REVISION_END = _BEFORE_END + REVISION_CHARS
_HEADER_BYTES = 1000  # and more
_PIECE = 1024
_FIRST_PIECE = 64
_TOLD = 10_000
_ENTRY_START = _REVISION_END + len(_BETWEEN)


Line: TypeAlias = Revised
"""An entry as it was at a revision."""


class Contents(NamedTuple):
    """What an object holds.

    Attributes:
        lines: of entries.
        erased: the revision of each erasure, by the hash of the id.
        whole: whether it is as it was written.
        damaged: how many lines could not be read.
        size_bytes: the size of the object.
    """

    lines: tuple[Line, ...] = ()
    erased: Mapping[str, str] = {}
    whole: bool = True
    damaged: int = 0
    size_bytes: int = 0


def hash_of(id: str) -> str:
    """Return what an erasure tells of an id: 128 bits of its BLAKE2b hash, in hexadecimal."""
    return hashlib.blake2b(id.encode(errors="surrogatepass"), digest_size=16).hexdigest()


def formatted(lines: Iterable[Line], suffix: str = "") -> bytes:
    """Return the object of some entries."""
    told = [
        b"".join((_BEFORE, line.revision.encode(), _BETWEEN, line.body, b"}\n")) for line in lines
    ]
    return _packed(told, suffix)


def formatted_erased(erased: Mapping[str, str]) -> bytes:
    """Return the object of some erasures."""
    told = [
        b"".join((_BEFORE, revision.encode(), _BETWEEN_ERASED, hashed.encode(), b'"}\n'))
        for hashed, revision in sorted(erased.items())
    ]
    return _packed(told, "")


def _packed(told: list[bytes], suffix: str) -> bytes:
    rest = b"".join(told)
    header = {
        "format": FORMAT_VERSION,
        "lines": len(told),
        "bytes": len(rest),
        "crc32": f"{zlib.crc32(rest):08x}",
    }
    data = json.dumps(header, separators=(",", ":")).encode() + b"\n" + rest
    packer = packer_for(suffix)
    return packer.compress(data) + packer.flush()


def parsed(data: bytes, suffix: str, location: str) -> Contents:
    """Return what an object holds.

    Raises:
        StoreUnavailableError: it was written by a newer version.
    """
    text, whole = unpacked(data, suffix)
    first, _, _ = text[:_HEADER_BYTES].partition(b"\n")
    try:
        header = json.loads(first)
        version = int(header["format"])
        told = int(header["bytes"]), str(header["crc32"])
    except (ValueError, KeyError, TypeError):
        return Contents((), {}, False, 1 if text else 0, len(data))  # noqa: FBT003  # not whole
    if version > FORMAT_VERSION:
        msg = (
            f"{location} was written by a newer version of feedback_store (format {version}, this "
            f"one knows {FORMAT_VERSION}); upgrade, nothing was changed"
        )
        raise StoreUnavailableError(msg)
    rest = memoryview(text)[len(first) + 1 :]
    whole = whole and told == (len(rest), f"{zlib.crc32(rest):08x}")
    del rest
    raws = text.split(b"\n")
    del text  # as large as all that follows
    lines: list[Line] = []
    erased: dict[str, str] = {}
    damaged = 0
    for start in range(1, len(raws), _PIECE):
        with collector_paused():
            for raw in raws[start : start + _PIECE]:
                if raw and not ((whole and _take_proved(raw, lines)) or _take(raw, lines, erased)):
                    damaged += 1
    return Contents(tuple(lines), erased, whole, damaged, len(data))


def _take_proved(raw: bytes, lines: list[Line]) -> bool:
    """Take in the line of an entry that is as it was written; say whether it could be read."""
    if raw[:_BEFORE_END] != _BEFORE or raw[_REVISION_END:_ENTRY_START] != _BETWEEN:
        return False
    body = raw[_ENTRY_START:-1]
    if (keys := keys_of_written(body)) is None:
        return False
    id, time = keys
    lines.append(Line(raw[_BEFORE_END:_REVISION_END].decode(), id, stamp_of(time), body))
    return True


def _take(raw: bytes, lines: list[Line], erased: dict[str, str]) -> bool:
    """Take in a line; say whether it could be read."""
    revision = raw[_BEFORE_END:_REVISION_END]
    if not raw.startswith(_BEFORE) or not raw.endswith(b"}") or not _is_hexadecimal(revision):
        return False
    if raw.startswith(_BETWEEN_ERASED, _REVISION_END):
        hashed = raw[_REVISION_END + len(_BETWEEN_ERASED) : -2].decode("ascii", "replace")
        erased[hashed] = max(erased.get(hashed, ""), revision.decode())
        return True
    if not raw.startswith(_BETWEEN, _REVISION_END):
        return False
    body = raw[_ENTRY_START:-1]
    try:
        seen = glimpse_of_plain(body, UTC) or Glimpse.of(decode(body))
    except InvalidEntryError:
        return False
    lines.append(Line(revision.decode(), seen.id, stamp_of(seen.timestamp), body))
    return True


def entry_of(line: Line) -> FeedbackEntry | None:
    """Return the entry of a line; None where another program has written what is none."""
    try:
        return decode(line.body)
    except InvalidEntryError as error:
        _tell(line.revision, str(error))
        return None


@lru_cache(_TOLD)
def _tell(revision: str, reason: str) -> None:
    """Log what is wrong with a line; once."""
    logger.warning("the line of revision %s is no entry, and left out: %s", revision, reason)


def entries_of(lines: Sequence[Line]) -> Iterator[FeedbackEntry]:
    """Yield the entries of lines: few at first, for whoever wants no more."""
    start, size = 0, _FIRST_PIECE
    while start < len(lines):
        with collector_paused():
            found = map(entry_of, lines[start : start + size])
            entries = [entry for entry in found if entry is not None]
        yield from entries
        start, size = start + size, min(2 * size, _PIECE)


def _is_hexadecimal(text: bytes) -> bool:
    return len(text) == REVISION_CHARS and not text.strip(b"0123456789abcdef")


def unpacked(data: bytes, suffix: str) -> tuple[bytes, bool]:
    """Return the bytes of an object, and whether all of them could be unpacked.

    Raises:
        MissingExtraError: nothing is installed that unpacks them.
    """
    if not suffix:
        return data, True
    unpacker = unpacker_for(suffix)()
    try:
        return unpacker.decompress(data), unpacker.eof
    except Exception:  # noqa: BLE001  # each format has errors of its own
        return b"", False
