"""Objects that were read, kept in a folder of this machine for the processes that come later.

What an object holds never changes, so a file here is right for ever, or it is damaged, which its
own header tells. What matters is when it must go: an object that is no longer listed was compacted,
or had an entry that was erased. So whenever a month is listed, the files of objects that are gone
are removed; nobody who erases has to know who keeps copies.

The folder spares time and nothing else. Where it cannot be read or written, objects are fetched.
"""

import logging
import os
import secrets
from collections.abc import Iterable, Iterator
from contextlib import suppress
from hashlib import blake2b
from pathlib import Path

from feedback_store.backends.objects.naming import ObjectName, parse_name

FOLDER_BYTES = 1 << 30
"""What the files may take together, unless told otherwise."""

logger = logging.getLogger("feedback_store.objects")

_PRIVATE_FOLDER = 0o700
_PRIVATE_FILE = 0o600
_ROOM = 0.9
"""When room must be made, it is made for some time."""


class CacheFolder:
    """The kept objects of one store.

    Args:
        folder: where they are; other stores may keep theirs there too.
        shown: where the store is, which tells its files from those of others.
        max_bytes: what its files may take together, about.
    """

    def __init__(self, folder: str | os.PathLike[str], shown: str, max_bytes: int) -> None:
        store = blake2b(shown.encode(errors="surrogatepass"), digest_size=8).hexdigest()
        self._folder = Path(os.path.abspath(folder)) / store  # noqa: PTH100  # not to be resolved
        self._max_bytes = max_bytes
        self._known: dict[str, set[ObjectName]] = {}
        self._size_bytes: int | None = None
        self._warned = False

    def read(self, name: ObjectName) -> bytes | None:
        """Return the bytes of an object that is kept."""
        path = self._folder / name.path
        try:
            data = path.read_bytes()
            os.utime(path)  # what was read lately goes last
        except OSError:
            return None
        return data

    def keep(self, name: ObjectName, data: bytes) -> None:
        """Keep an object."""
        try:
            self._write(self._folder / name.path, data)
            self._make_room(len(data))
        except OSError as error:
            if not self._warned:
                self._warned = True
                reason = error.strerror or type(error).__name__
                logger.warning("%s cannot be used as a cache: %s", self._folder, reason)

    def drop(self, name: ObjectName) -> None:
        """Keep an object no longer."""
        with suppress(OSError):  # it has gone already, or could never be written
            (self._folder / name.path).unlink()

    def keep_only(self, month: str, names: Iterable[ObjectName]) -> None:
        """Remove what is kept of a month but is no longer there."""
        listed = set(names)
        if self._known.get(month) == listed:
            return
        for name in self._kept(month):
            if name not in listed:
                self.drop(name)
        self._known[month] = listed

    def keep_only_months(self, months: Iterable[str]) -> None:
        """Remove what is kept of months that are no longer there."""
        for month in {path.name for path in _listed(self._folder)} - set(months):
            self.keep_only(month, ())
            with suppress(OSError):  # another process keeps something there just now
                (self._folder / month).rmdir()

    def _kept(self, month: str) -> Iterator[ObjectName]:
        for path in _listed(self._folder / month):
            name = parse_name(f"{month}/{path.name}")
            if name is not None:
                yield name
            elif path.name.endswith(".tmp"):
                with suppress(OSError):  # a process that stopped has left it; or is about to rename
                    path.unlink()

    def _write(self, path: Path, data: bytes) -> None:
        path.parent.mkdir(mode=_PRIVATE_FOLDER, parents=True, exist_ok=True)
        self._folder.chmod(_PRIVATE_FOLDER)
        temporary = path.with_name(f"{path.name}.{secrets.token_hex(4)}.tmp")
        try:
            with open(temporary, "xb", opener=_private) as file:
                file.write(data)
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise

    def _make_room(self, new_bytes: int) -> None:
        """Remove what was not read for longest, where there is too much."""
        if self._size_bytes is not None:
            self._size_bytes += new_bytes
            if self._size_bytes <= self._max_bytes:
                return
        found = sorted(_sizes(self._folder), reverse=True)  # those read last come first
        total = 0
        full = sum(size for _, size, _ in found) > self._max_bytes
        for _, size, path in found:
            if full and total + size > self._max_bytes * _ROOM:
                path.unlink(missing_ok=True)
            else:
                total += size
        self._size_bytes = total


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, _PRIVATE_FILE)


def _listed(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except OSError:
        return []  # not made yet


def _sizes(folder: Path) -> Iterator[tuple[int, int, Path]]:
    """Yield the time of use, the size and the path of all files."""
    for month in _listed(folder):
        for path in _listed(month):
            with suppress(FileNotFoundError):  # another process was faster
                status = path.stat()
                yield status.st_mtime_ns, status.st_size, path
