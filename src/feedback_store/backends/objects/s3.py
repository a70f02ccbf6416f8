"""Objects in S3, and in what speaks its protocol: one request where s3fs would make several."""

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from feedback_store.backends.objects.bucket import Bucket, Filesystem

_ONE_PUT_BYTES = 2**32
"""s3fs puts by several parts what is twice as large, and S3 takes 5 GiB by one request."""

_THREADS = 16
_WORTH_THREADS = 4


class FlatBucket(Bucket):
    """The objects of a store where names have no folders: one request lists a thousand of them."""

    def _paths(self, folder: str) -> Iterable[str]:
        found: Iterable[str] = self.filesystem.find(f"{self.root}/{folder}".rstrip("/"))
        return found

    def remove(self, paths: Sequence[str]) -> None:
        """See `Bucket.remove`. Side by side: not every endpoint removes many by one request."""
        if len(paths) < _WORTH_THREADS:
            super().remove(paths)
            return
        with ThreadPoolExecutor(_THREADS) as threads:
            deque(threads.map(lambda path: super(FlatBucket, self).remove([path]), paths), maxlen=0)


class S3Bucket(FlatBucket):
    """The objects of a store in S3."""

    def _paths(self, folder: str) -> Iterable[str]:
        """See `Bucket`. By a prefix, so that where there is nothing it is not asked three times."""
        bucket, _, below = self.root.partition("/")
        prefix = "/".join(part for part in (below, folder) if part)
        found: Iterable[str] = self.filesystem.find(bucket, prefix=f"{prefix}/" if prefix else "")
        return found

    def _cat(self, paths: Sequence[str], **options: Any) -> dict[str, bytes | Exception]:  # noqa: ANN401  # those of s3fs
        """See `Bucket`. Each by one request: in parts, its size would be asked for first."""
        return super()._cat(paths, max_concurrency=1, **options)

    def _put(self, path: str, data: bytes) -> None:
        self.filesystem.pipe_file(path, data, chunksize=_ONE_PUT_BYTES)

    def _release(self, filesystem: Filesystem) -> None:
        """See `Bucket`. Left to the collector, s3fs closes its session in whatever loop runs then.

        It offers no call for that; this is what it does at that moment.
        """
        session = getattr(filesystem, "_s3creator", None)
        if session is not None:
            filesystem.close_session(filesystem.loop, session)


def asked_once(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options of s3fs with which botocore makes each request once."""
    config = {"retries": {"total_max_attempts": 1}, **(options.get("config_kwargs") or {})}
    return {**options, "config_kwargs": config}


def asking_once(filesystem: Filesystem) -> Filesystem:
    """Return a filesystem of s3fs that makes each request once: no option tells it."""
    filesystem.retries = 1
    return filesystem
