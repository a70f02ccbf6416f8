"""The seam to the objects: every byte that the store reads or writes goes through a `Bucket`.

Filesystems of fsspec keep threads, connections and event loops, none of which survives a fork, so
each process makes its own. They also remember listings for ever, unless told not to.
"""

import builtins
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, TypeAlias, TypeVar

from feedback_store.backends.objects.naming import ObjectName, parse_name
from feedback_store.backends.objects.retrying import Patience, is_hopeful
from feedback_store.errors import FeedbackStoreError, StoreUnavailableError

T = TypeVar("T")
Filesystem: TypeAlias = Any
"""A filesystem of fsspec, which has no types."""

_AT_ONCE = 64
"""Objects that are fetched side by side."""

_MAGIC = set("*?[")
"""In a path, these make fsspec look for what matches."""


class Bucket:
    """The objects of a store.

    Args:
        make: makes the filesystem, in each process anew.
        root: where the store is, as the filesystem names it.
        shown: where it is, as people may see it: without secrets.
        patience: how often a request is made before it has failed.
    """

    def __init__(
        self, make: Callable[[], Filesystem], root: str, shown: str, patience: Patience
    ) -> None:
        self._make = make
        self._patience = patience
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

    def close(self) -> None:
        """Give back what this process holds for it; the next request takes it anew."""
        if self._pid == os.getpid():
            self._filesystem, filesystem = None, self._filesystem
            self._pid = -1
            self._release(filesystem)

    def _release(self, filesystem: Filesystem) -> None:
        """Close the connections of a filesystem, where it has any and can be told to."""

    def list(self, folder: str = "") -> "tuple[builtins.list[ObjectName], builtins.list[str]]":
        """Return the objects of a month, or of all, in their order, and the paths that are none."""
        ours: builtins.list[ObjectName] = []
        others: builtins.list[str] = []
        for path in self.call(lambda: list(self._paths(folder))):
            below = path[len(self.root) + 1 :]
            name = parse_name(below)
            if name is None:
                others.append(below)
            else:
                ours.append(name)
        return sorted(ours), sorted(others)

    def _paths(self, folder: str) -> Iterable[str]:
        """Return all paths in a folder of the store, or in all of it.

        A filesystem's own `find` walks where names are in folders, and takes a folder that it
        cannot list for an empty one: that is for us to tell apart.
        """
        return self._walk(f"{self.root}/{folder}" if folder else self.root)

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
        """Yield the bytes of objects, by their paths below the root; None for one that is gone.

        Raises:
            StoreUnavailableError: one can be there and cannot be read.
        """
        for first in range(0, len(paths), _AT_ONCE):
            yield from self._read_together(paths[first : first + _AT_ONCE]).items()

    def _read_together(self, paths: Sequence[str]) -> dict[str, bytes | None]:
        """Return the bytes of some objects; only those that failed are asked for again."""
        found: dict[str, bytes | None] = {}

        def ask() -> None:
            missing = {f"{self.root}/{path}": path for path in paths if path not in found}
            failed: builtins.list[Exception] = []
            for above, data in self._fetch([*missing]).items():
                if isinstance(data, Exception) and not isinstance(data, FileNotFoundError):
                    failed.append(data)
                else:
                    found[missing[above]] = None if isinstance(data, Exception) else data
            if failed:
                raise min(failed, key=is_hopeful)  # one without hope, if there is any

        self.call(ask)
        return {path: found[path] for path in paths}

    def _fetch(self, paths: Sequence[str]) -> dict[str, bytes | Exception]:
        """Return what became of each: its bytes or an error."""
        if _MAGIC.isdisjoint(self.root):
            return self._cat(paths)
        return {path: self._cat_one(path) for path in paths}  # or fsspec takes it for a pattern

    def _cat(self, paths: Sequence[str], **options: Any) -> dict[str, bytes | Exception]:  # noqa: ANN401  # each filesystem has its own
        found: dict[str, Any] = self.filesystem.cat([*paths], on_error="return", **options)
        return found

    def _cat_one(self, path: str) -> bytes | Exception:
        try:
            data: bytes = self.filesystem.cat_file(path)
        except Exception as error:  # noqa: BLE001  # as `cat` does; `read` raises it
            return error
        return data

    def write(self, path: str, data: bytes) -> None:
        """Make an object, durably, by one request: it is there whole or not at all.

        Raises:
            StoreUnavailableError: it is unknown whether it was made; the same may be written again.
        """
        self.call(lambda: self._put(f"{self.root}/{path}", data))

    def _put(self, path: str, data: bytes) -> None:
        self.filesystem.pipe_file(path, data)

    def remove(self, paths: Sequence[str]) -> None:
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
        """Make a request, again where that may help; word what goes wrong.

        Raises:
            StoreUnavailableError: it failed.
        """
        return self._patience.call(lambda: self._once(request))

    def _once(self, request: Callable[[], T]) -> T:
        try:
            return request()
        except FeedbackStoreError:
            raise
        except Exception as error:
            raise self.worded(error) from error

    def worded(self, error: Exception) -> StoreUnavailableError:
        """Return the library's error for one of a filesystem: each has errors of its own.

        Its message is left out, since it may tell a secret: the cause has it.
        """
        what = type(error).__name__
        hint = "see that the endpoint is reachable and the credentials are right, then try again"
        if isinstance(error, FileNotFoundError):
            hint = "there is no such bucket; make it, or mend the location"
        elif isinstance(error, OSError) and error.errno is not None:
            what = os.strerror(error.errno)
        made = StoreUnavailableError(f"{self.shown}: {what}; {hint}")
        made.filename = self.shown
        return made
