"""The seam to the objects: every byte that the store reads or writes goes through a `Bucket`.

Filesystems of fsspec keep threads, connections and event loops, none of which survives a fork, so
each process makes its own. They also remember listings for ever, unless told not to.
"""

import builtins
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, TypeAlias, TypeVar

from feedback_store.backends.objects.naming import ObjectName, parse_name
from feedback_store.errors import FeedbackStoreError, StoreUnavailableError
from feedback_store.failures import in_words

T = TypeVar("T")
Filesystem: TypeAlias = Any
"""A filesystem of fsspec, which has no types."""

_AT_ONCE = 64
"""Objects that are fetched side by side."""

_FLAT = {"s3", "s3a", "gs", "gcs"}
"""Protocols whose listing has no folders: one request tells a thousand names."""


class Bucket:
    """The objects of a store.

    Args:
        make: makes the filesystem, in each process anew.
        root: where the store is, as the filesystem names it.
        shown: where it is, as people may see it: without secrets.
    """

    def __init__(self, make: Callable[[], Filesystem], root: str, shown: str) -> None:
        self._make = make
        self.root = root.rstrip("/")
        self.shown = shown
        self._filesystem: Filesystem = None
        self._pid = -1

    @property
    def filesystem(self) -> Filesystem:
        """The filesystem of this process."""
        if self._pid != os.getpid():
            self._filesystem = self._make()
            self._pid = os.getpid()
        return self._filesystem

    def list(self, folder: str = "") -> "tuple[builtins.list[ObjectName], builtins.list[str]]":
        """Return the objects of a month, or of all, in their order, and the paths that are none."""
        ours: builtins.list[ObjectName] = []
        others: builtins.list[str] = []
        above = f"{self.root}/{folder}" if folder else self.root
        for path in self.call(lambda: list(self._paths(above))):
            below = path[len(self.root) + 1 :]
            name = parse_name(below)
            if name is None:
                others.append(below)
            else:
                ours.append(name)
        return sorted(ours), sorted(others)

    def _paths(self, folder: str) -> Iterable[str]:
        """Return all paths in a folder and in those in it.

        A filesystem's own `find` walks where names are in folders, and takes a folder that it
        cannot list for an empty one: that is for us to tell apart.
        """
        filesystem = self.filesystem
        if not _FLAT.isdisjoint(_protocols(filesystem)):
            found: Iterable[str] = filesystem.find(folder)
            return found
        return self._walk(folder)

    def _walk(self, folder: str) -> Iterator[str]:
        try:
            listed = self.filesystem.ls(folder, detail=True)
        except FileNotFoundError:
            return  # not made yet, or gone since it was listed
        for found in listed:
            path = str(found["name"]).rstrip("/")
            if found["type"] == "directory":
                yield from self._walk(path)
            else:
                yield path

    def read(self, paths: Sequence[str]) -> Iterator[tuple[str, bytes | None]]:
        """Yield the bytes of objects, by their paths below the root; None for one that is gone."""
        for first in range(0, len(paths), _AT_ONCE):
            some = {f"{self.root}/{path}": path for path in paths[first : first + _AT_ONCE]}
            found = self._fetch(list(some))
            for above, path in some.items():
                data = found[above]
                if isinstance(data, FileNotFoundError):
                    yield path, None
                elif isinstance(data, BaseException):
                    raise self._worded(data) from data
                else:
                    yield path, data

    def _fetch(self, paths: Sequence[str]) -> dict[str, Any]:
        found: dict[str, Any] = self.call(lambda: self.filesystem.cat([*paths], on_error="return"))
        return found

    def write(self, path: str, data: bytes) -> None:
        """Make an object, durably, by one request: it is there whole or not at all.

        Raises:
            StoreUnavailableError: it is unknown whether it was made; the same may be written again.
        """
        self.call(lambda: self.filesystem.pipe_file(f"{self.root}/{path}", data))

    def remove(self, paths: Iterable[str]) -> None:
        """Remove objects; those that are gone already are none."""
        for path in paths:
            self._remove(f"{self.root}/{path}")

    def _remove(self, path: str) -> None:
        try:
            self.call(lambda: self.filesystem.rm_file(path))
        except StoreUnavailableError as error:
            if not isinstance(error.__cause__, FileNotFoundError):
                raise

    def call(self, request: Callable[[], T]) -> T:
        """Make a request; word what goes wrong.

        Raises:
            StoreUnavailableError: it failed.
        """
        try:
            return request()
        except FeedbackStoreError:
            raise
        except Exception as error:
            raise self._worded(error) from error

    def _worded(self, error: BaseException) -> StoreUnavailableError:
        """Return the library's error for one of a filesystem: each has errors of its own.

        Its message is left out, since it may tell a secret: the cause has it.
        """
        if isinstance(error, OSError) and error.errno is not None:
            plain = OSError(error.errno, os.strerror(error.errno), self.shown)
            return in_words(plain, self.shown)
        hint = "see that the endpoint is reachable and the credentials are right, then try again"
        if isinstance(error, FileNotFoundError):
            hint = "there is no such bucket; make it, or mend the location"
        made = StoreUnavailableError(f"{self.shown}: {type(error).__name__}; {hint}")
        made.filename = self.shown
        return made


def bucket_of(filesystem: Filesystem, root: str) -> Bucket:
    """Return the objects below a root of a filesystem."""
    protocols = _protocols(filesystem)
    kind, given = type(filesystem), filesystem.storage_options
    options = {**given, "use_listings_cache": False, "skip_instance_cache": True}

    def make() -> Filesystem:
        return kind(*filesystem.storage_args, **options)

    shown = f"{protocols[0]}://{root}"
    if "file" in protocols:
        from feedback_store.backends.objects.local import LocalBucket  # noqa: PLC0415  # only what is used

        return LocalBucket(make, os.path.abspath(root), f"file://{os.path.abspath(root)}")  # noqa: PTH100  # not to be resolved
    return Bucket(make, root, shown)


def _protocols(filesystem: Filesystem) -> tuple[str, ...]:
    protocol = filesystem.protocol
    return (protocol,) if isinstance(protocol, str) else tuple(protocol)
