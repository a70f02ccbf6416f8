"""The limit: the same objects by the same filesystem library, with nothing around it."""

import zlib
from collections.abc import Sequence
from typing import Any

import fsspec

from benchmarks.objects.place import Place
from feedback_store import FeedbackEntry, decode

_GZIP = zlib.MAX_WBITS | 16
_BEFORE_ENTRY = b'"entry":'


def filesystem(place: Place) -> Any:  # noqa: ANN401  # fsspec has no types
    """Return a new filesystem, with a client of its own."""
    options = {"use_listings_cache": False, "skip_instance_cache": True}
    return fsspec.filesystem("s3", **place.options, **options)


def load(place: Place, month: str | None = None) -> Sequence[FeedbackEntry]:
    """List, fetch, unpack and decode: all entries of a compacted store, or of one month of it."""
    opened = filesystem(place)
    folder = place.root if month is None else f"{place.root}/{month}"
    entries: list[FeedbackEntry] = []
    for data in opened.cat(opened.find(folder)).values():
        lines = zlib.decompress(data, _GZIP).split(b"\n")
        start = lines[1].index(_BEFORE_ENTRY) + len(_BEFORE_ENTRY)  # the same in each line
        entries += [decode(line[start:-1]) for line in lines[1:] if line]
    return entries
