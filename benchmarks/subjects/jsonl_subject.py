"""Our folder of month files."""

from benchmarks.subjects.ours import Durability, Ours
from feedback_store.backends.jsonl import JsonlStore


class Measured(Ours):
    """`JsonlStore`."""

    def _opened(self, durability: Durability) -> JsonlStore:
        return JsonlStore(self.folder, durability=durability)
