"""A layer that remembers what a store has answered: the store, its memory, and sizes."""

from feedback_store.layers.cache.memory import CacheInfo
from feedback_store.layers.cache.store import CachedStore

__all__ = ["CacheInfo", "CachedStore"]
