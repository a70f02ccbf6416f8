"""A store in objects that never change: in a bucket, or any other filesystem of fsspec."""

from feedback_store.backends.objects.store import ObjectStore

__all__ = ["ObjectStore"]
