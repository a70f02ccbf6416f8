"""From a URL to an object store: the one place that asks fsspec for a filesystem."""

from collections.abc import Mapping
from typing import Any

import fsspec

from feedback_store.backends.objects.store import ObjectStore
from feedback_store.errors import MissingExtraError, UnknownBackendError

_PACKAGES = {"s3": "'feedback-store[s3]'", "s3a": "'feedback-store[s3]'"}
"""What to install for a scheme; for the others fsspec says it."""


def serves(scheme: str) -> bool:
    """Say whether fsspec knows a filesystem of that scheme."""
    return scheme in fsspec.available_protocols()


def open_url(
    url: str,
    *,
    storage_options: Mapping[str, Any] | None = None,
    **options: Any,  # noqa: ANN401  # as `ObjectStore` takes them
) -> ObjectStore:
    """Open the store below a URL such as ``s3://bucket/feedback``.

    Args:
        url: where it is.
        storage_options: what the filesystem takes: credentials, an endpoint; see its own
            documentation. They are shown nowhere.
        **options: see `ObjectStore`.

    Raises:
        MissingExtraError: the package for the filesystem is not installed.
        UnknownBackendError: the URL names no place.
    """
    scheme = url.partition(":")[0].lower()
    given = {**(storage_options or {}), "skip_instance_cache": True, "use_listings_cache": False}
    try:
        filesystem, root = fsspec.core.url_to_fs(url, **given)
    except ImportError as error:
        package = _PACKAGES.get(scheme)
        hint = f"pip install {package}" if package else str(error)
        msg = f"{scheme}: URLs need a package that is not installed: {hint}"
        raise MissingExtraError(msg, name=error.name) from error
    if not root.strip("/"):
        msg = f"a {scheme} URL names a place in it: {scheme}://bucket/feedback, {scheme}:///srv/feedback"
        raise UnknownBackendError(msg)
    return ObjectStore(filesystem, root, **options)
