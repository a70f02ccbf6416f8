"""Stores around a store: each has the verbs of what it wraps, and adds one thing to it."""

from feedback_store.layers.cache import CachedStore, CacheInfo

__all__ = ["CacheInfo", "CachedStore"]
