"""Our SQLite file."""

from benchmarks.subjects.ours import Durability, Ours
from feedback_store.backends.sqlite import SqliteStore

FILE = "feedback.db"


class Measured(Ours):
    """`SqliteStore`."""

    def _opened(self, durability: Durability) -> SqliteStore:
        return SqliteStore(self.folder / FILE, durability=durability)
