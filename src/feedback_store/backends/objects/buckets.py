"""Which kind of bucket a filesystem is."""

import os
from collections.abc import Callable
from urllib.parse import urlsplit

from feedback_store.backends.objects.bucket import Bucket, Filesystem
from feedback_store.backends.objects.local import LocalBucket
from feedback_store.backends.objects.retrying import Patience
from feedback_store.backends.objects.s3 import FlatBucket, S3Bucket, asked_once, asking_once

_HERE = {"file", "local", "memory"}
"""Protocols that cross no network: what fails there fails again."""


def bucket_of(filesystem: Filesystem, root: str, patience: Callable[[], Patience]) -> Bucket:
    """Return the objects below a root of a filesystem.

    Args:
        filesystem: one of fsspec; others with its options are made.
        root: where they are in it.
        patience: makes that for a filesystem behind a network.

    Raises:
        MissingExtraError: what makes failed requests again is not installed.
    """
    protocols = _protocols(filesystem)
    kind, given = type(filesystem), filesystem.storage_options
    options = {**given, "use_listings_cache": False, "skip_instance_cache": True}

    def make() -> Filesystem:
        return kind(*filesystem.storage_args, **options)

    if "file" in protocols:
        path = os.path.abspath(root)  # noqa: PTH100  # not to be resolved
        return LocalBucket(make, path, f"file://{path}", Patience(1))
    shown = _shown(protocols[0], root)
    if not _HERE.isdisjoint(protocols):
        return Bucket(make, root, shown, Patience(1))
    if "s3" in protocols:
        options = asked_once(options)
        return S3Bucket(lambda: asking_once(make()), root, shown, patience())
    flat = not {"gs", "gcs"}.isdisjoint(protocols)
    return (FlatBucket if flat else Bucket)(make, root, shown, patience())


def _protocols(filesystem: Filesystem) -> tuple[str, ...]:
    protocol = filesystem.protocol
    return (protocol,) if isinstance(protocol, str) else tuple(protocol)


def _shown(protocol: str, root: str) -> str:
    """Return a location as people may see it; some filesystems keep the whole URL as the path."""
    url = root if "://" in root else f"{protocol}://{root}"
    parts = urlsplit(url)
    if "@" not in parts.netloc:
        return url
    user, _, host = parts.netloc.rpartition("@")
    return parts._replace(netloc=f"{user.partition(':')[0]}@{host}").geturl()
