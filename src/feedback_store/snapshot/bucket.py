"""A prefix of a bucket, or of any other filesystem of fsspec, for snapshots."""

import contextlib
import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import Any, BinaryIO

from feedback_store.errors import FeedbackStoreError, StoreUnavailableError

_PART_BYTES = 32 << 20
"""S3 takes what is smaller than two of these by one request, else parts of this size in turn."""


class Filesystem:
    """A filesystem of fsspec, whose errors are the system's or ours.

    Args:
        filesystem: it; it has no types.
        shown: the location, as messages name it.
    """

    def __init__(self, filesystem: Any, shown: str) -> None:  # noqa: ANN401  # see above
        self._filesystem = filesystem
        self._shown = shown

    @property
    def is_s3(self) -> bool:
        """Whether it takes the options of s3fs."""
        return "s3" in self._filesystem.protocol

    def ask(self, verb: str, *given: Any, **options: Any) -> Any:  # noqa: ANN401  # any of its methods
        """Call a method.

        Raises:
            OSError: what the filesystem says, such as FileNotFoundError.
            StoreUnavailableError: what an SDK below it says in a class of its own; its words may
                hold what is secret, so that the class alone is told.
        """
        try:
            return getattr(self._filesystem, verb)(*given, **options)
        except (OSError, FeedbackStoreError):
            raise
        except Exception as error:  # every SDK has classes of its own
            msg = (
                f"{self._shown}: {type(error).__name__}: see that it can be reached, and with what"
            )
            raise StoreUnavailableError(msg) from error


class BucketFolder:
    """A prefix of a bucket: see `Folder`."""

    def __init__(self, filesystem: Filesystem, path: str, shown: str) -> None:
        self.shown = shown
        self._filesystem = filesystem
        self._path = path

    def _at(self, name: str) -> str:
        return f"{self._path}/{name}"

    @contextlib.contextmanager
    def draft(self, name: str) -> Iterator["Upload"]:
        """See `Folder.draft`."""
        with tempfile.NamedTemporaryFile(buffering=0) as file:
            yield Upload(self._filesystem, self._at(name), file.name, file)  # type: ignore[arg-type]  # unbuffered, it is the file itself

    def write(self, name: str, data: bytes) -> None:
        """See `Folder.write`."""
        self._filesystem.ask("pipe_file", self._at(name), data)

    def open(self, name: str) -> BinaryIO:
        """See `Folder.open`. It is copied to this machine's disk first: it may change meanwhile."""
        if not self._filesystem.ask("isfile", self._at(name)):
            raise FileNotFoundError(self._at(name))
        file = tempfile.NamedTemporaryFile()  # noqa: SIM115  # whoever asks closes it
        try:
            self._filesystem.ask("get_file", self._at(name), file.name)
        except BaseException:
            file.close()
            raise
        return file  # type: ignore[return-value]  # a wrapper that is one in all but name

    def keep(self, name: str, kept: str) -> None:
        """See `Folder.keep`. The bucket copies it by itself."""
        self._filesystem.ask("cp_file", self._at(name), self._at(kept))

    def names(self) -> list[str]:
        """See `Folder.names`."""
        try:
            self._filesystem.ask("invalidate_cache")
            found: list[str] = self._filesystem.ask("ls", self._path, detail=False)
        except FileNotFoundError:
            return []
        return [path.rpartition("/")[2] for path in found]

    def size(self, name: str) -> tuple[int, float] | None:
        """See `Folder.size`."""
        self._filesystem.ask("invalidate_cache")
        try:
            told = self._filesystem.ask("info", self._at(name))
        except FileNotFoundError:
            return None
        time = told.get("LastModified") or told.get("created") or told.get("mtime")
        return told["size"], time.timestamp() if hasattr(time, "timestamp") else float(time or 0)

    def remove(self, name: str) -> None:
        """See `Folder.remove`."""
        with contextlib.suppress(FileNotFoundError):
            self._filesystem.ask("rm_file", self._at(name))

    @contextlib.contextmanager
    def tree(self, name: str) -> Iterator["Uploads"]:
        """See `Folder.tree`."""
        yield Uploads(self._filesystem, self._at(name))

    def alone(self) -> AbstractContextManager[None]:
        """See `Folder.alone`. A bucket has no locks; whatever is written last is whole."""
        return contextlib.nullcontext()


class Upload:
    """See `Draft`."""

    def __init__(self, filesystem: Filesystem, path: str, local: str, file: BinaryIO) -> None:
        self.file = file
        self._filesystem = filesystem
        self._path = path
        self._local = local

    def publish(self) -> None:
        """See `Draft.publish`."""
        options = {}
        if self._filesystem.is_s3:
            options = {"chunksize": _PART_BYTES, "max_concurrency": 1}
        self._filesystem.ask("put_file", self._local, self._path, **options)


class Uploads:
    """See `Tree`. Files are seen one by one; those of months that are gone go last."""

    def __init__(self, filesystem: Filesystem, path: str) -> None:
        self._filesystem = filesystem
        self._path = path
        self._published: set[str] = set()

    @contextlib.contextmanager
    def draft(self, path: str) -> Iterator["Upload"]:
        """See `Tree.draft`."""
        folder, _, name = f"{self._path}/{path}".rpartition("/")
        self._published.add(path)
        with BucketFolder(self._filesystem, folder, "").draft(name) as draft:
            yield draft

    def publish(self) -> None:
        """See `Tree.publish`."""
        self._filesystem.ask("invalidate_cache")
        for path in self._filesystem.ask("find", self._path):
            below = path.lstrip("/").removeprefix(self._path.lstrip("/")).lstrip("/")
            if below not in self._published:
                self._filesystem.ask("rm_file", path)
