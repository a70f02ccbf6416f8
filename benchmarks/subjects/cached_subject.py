"""Our folder of month files, behind the cache."""

from benchmarks.subjects.ours import Durability, Ours
from feedback_store.backends.jsonl import JsonlStore
from feedback_store.layers.cache import CachedStore


class Measured(Ours):
    """`CachedStore` around a `JsonlStore`, as ``open_store(..., cache_ttl_s=300)`` makes it."""

    def _opened(self, durability: Durability) -> CachedStore:
        return CachedStore(JsonlStore(self.folder, durability=durability))
