"""Our SQLite file, behind the cache."""

from benchmarks.subjects.ours import Durability, Ours
from benchmarks.subjects.sqlitestore_subject import FILE
from feedback_store.backends.sqlite import SqliteStore
from feedback_store.layers.cache import CachedStore


class Measured(Ours):
    """`CachedStore` around a `SqliteStore`, as ``open_store(..., cache_ttl_s=300)`` makes it."""

    def _opened(self, durability: Durability) -> CachedStore:
        return CachedStore(SqliteStore(self.folder / FILE, durability=durability))
