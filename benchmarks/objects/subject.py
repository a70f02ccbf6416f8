"""The object store, through the facade that apps hold."""

from pathlib import Path

from benchmarks.entries import DataSet, line_of
from benchmarks.objects.place import Place
from benchmarks.subjects.ours import Durability, Ours
from feedback_store import FeedbackEntry, Query, Store, decode, open_store
from feedback_store.backends.objects import ObjectStore

_BATCH = 10_000


class Objects(Ours):
    """`ObjectStore` as `open_store` opens it.

    Attributes:
        place: where it is.
    """

    def __init__(self, place: Place) -> None:
        self.place = place
        super().__init__(Path())

    def _opened(self, durability: Durability) -> Store:  # noqa: ARG002  # a bucket has one
        return open_store(self.place.url, storage_options=self.place.options).store

    def build(self, data: DataSet) -> None:
        """Store all of a data set, by few large objects, and compact them."""
        for first in range(0, data.size, _BATCH):
            mappings = data.mappings(first, min(_BATCH, data.size - first))
            self._store.add_each([decode(line_of(mapping)) for mapping in mappings])
        self._store.compact()

    def load_of(self, query: Query) -> list[FeedbackEntry]:
        """Keep all that `FeedbackStore.scan` yields of a query."""
        return list(self._store.scan(query))

    def erase(self, id: str) -> None:
        """See `FeedbackStore.delete`."""
        self._store.delete(id)

    def check(self) -> None:
        """See `FeedbackStore.check`.

        Raises:
            AssertionError: it is not in order.
        """
        report = self._store.check()
        assert report.ok, report

    def version(self) -> str:
        """See `ObjectStore.version`."""
        store = self._store.store
        assert isinstance(store, ObjectStore)
        return store.version()
