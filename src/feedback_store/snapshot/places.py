"""Where snapshots lie: folders on a disk, and prefixes of buckets.

A file appears under its name whole or not at all. On a disk it is written beside it under a
temporary name, synced, and renamed, and then the folder is synced. A bucket makes an object
visible once all of it is there; it is written on this machine's disk first, since how large it
becomes is not known before.
"""

import contextlib
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, BinaryIO, Protocol
from urllib.parse import unquote

from feedback_store.errors import MissingExtraError
from feedback_store.failures import Worded
from feedback_store.snapshot.disk import LocalFolder

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:")
_SECRETS = re.compile(r"(?<=//)[^/@]*@|\?.*")


class Draft(Protocol):
    """A file that is being written, and has no name yet.

    Attributes:
        file: the file, open for writing, unbuffered.
    """

    file: BinaryIO

    def publish(self) -> None:
        """Give it its name, in place of what has it; durable when it returns."""
        ...


class Tree(Protocol):
    """A folder of files that is being written."""

    def draft(self, path: str) -> AbstractContextManager[Draft]:
        """Begin to write a file at a path below, whose name is a folder's and a file's."""
        ...

    def publish(self) -> None:
        """Let the folder be there, with these files and no others; durable when it returns."""
        ...


class Folder(Protocol):
    """Where snapshots lie, and their manifests.

    Every method may raise an `OSError`.

    Attributes:
        shown: the location as people may see it: without a password.
    """

    shown: str

    def draft(self, name: str) -> AbstractContextManager[Draft]:
        """Begin to write a file; what is not published by the end of the block is gone."""
        ...

    def write(self, name: str, data: bytes) -> None:
        """Write a small file, whole or not at all; durable when it returns."""
        ...

    def open(self, name: str) -> BinaryIO:
        """Open a file for reading; FileNotFoundError where there is none."""
        ...

    def keep(self, name: str, kept: str) -> None:
        """Let a file be there under a second name too."""
        ...

    def names(self) -> list[str]:
        """Return the names of the files."""
        ...

    def size(self, name: str) -> tuple[int, float] | None:
        """Return size in bytes and time in seconds since 1970 of a file; None where none is."""
        ...

    def remove(self, name: str) -> None:
        """Remove a file, if it is there."""
        ...

    def tree(self, name: str) -> "AbstractContextManager[Tree]":
        """Begin to write a folder of files; what is not published by the end is gone."""
        ...

    def alone(self) -> AbstractContextManager[None]:
        """Keep other exports to the same folder out, where that can be."""
        ...


def place_of(
    target: str | os.PathLike[str], storage_options: Mapping[str, Any] | None = None
) -> tuple[Folder, str]:
    """Return the folder of a path or URL, and the name in it.

    Raises:
        ValueError: it names no file.
        MissingExtraError: the package for the filesystem is not installed.
    """
    text = os.fspath(target)
    local = not isinstance(target, str) or not _SCHEME.match(text)
    if not local and text.lower().startswith("file:"):
        local, text = True, unquote(re.sub(r"(?i)^file:(//)?", "", text))
    if local:
        path = Path(text).expanduser().absolute()
        if not path.name or text.endswith(("/", os.sep)):
            raise ValueError("the target is a folder; name the file in it: data/feedback.json")
        return LocalFolder(path.parent), path.name
    return _bucket_of(text, storage_options or {})


def _bucket_of(url: str, storage_options: Mapping[str, Any]) -> "tuple[Folder, str]":
    import fsspec  # noqa: PLC0415  # only what is used

    from feedback_store.snapshot.bucket import BucketFolder, Filesystem  # noqa: PLC0415  # as above

    scheme = url.partition(":")[0].lower()
    shown = _SECRETS.sub("", url)
    try:
        # Listings that are remembered would hide what others wrote.
        filesystem, path = fsspec.core.url_to_fs(
            url, **{**storage_options, "use_listings_cache": False}
        )
    except ImportError as error:
        msg = f"{scheme}: URLs need a package that is not installed: {error}"
        if scheme == "s3":
            msg = "s3: URLs need the extra 's3': pip install 'feedback-store[s3]'"
        raise MissingExtraError(msg, name=error.name) from error
    except ValueError as error:
        raise ValueError(f"{shown}: no filesystem is known for {scheme}: URLs") from error
    folder, _, name = path.rstrip("/").rpartition("/")
    if not name or (not folder.strip("/") and scheme != "memory"):
        raise ValueError(f"{shown} names no file in a bucket: s3://bucket/folder/feedback.json")
    return BucketFolder(Filesystem(filesystem, shown), folder, shown.rpartition("/")[0]), name


@contextlib.contextmanager
def worded(folder: Folder) -> Iterator[None]:
    """Turn the system's errors into ours, which name the folder."""
    with Worded(folder.shown):
        yield
