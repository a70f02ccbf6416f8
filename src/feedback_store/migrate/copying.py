"""`copy`: all entries of one store into another, whatever the two are."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import NamedTuple, TypeAlias

import attrs

from feedback_store import operations
from feedback_store.codec import encode
from feedback_store.entry import FeedbackEntry
from feedback_store.errors import InvalidEntryError
from feedback_store.facade import FeedbackStore
from feedback_store.frozen import EMPTY, FrozenDict
from feedback_store.query import Order, Query
from feedback_store.store import Outcome, Store, SupportsGet, SupportsGetMany

BATCH_BYTES = 8 * 1024 * 1024
"""A batch ends here too: a thousand of the largest entries would take a gigabyte."""

_EVERYTHING = Query()
_INSTANT = timedelta(microseconds=1)


def _frozen_mapping(value: Mapping[str, str]) -> FrozenDict:
    return FrozenDict(value)


@attrs.frozen(kw_only=True)
class CopyResult:
    """What became of the entries that were read.

    Attributes:
        added: how many were new in the target.
        unchanged: how many stood there already, exactly as in the source.
        conflicts: the ids under which the target holds anything else; it was left as it is.
        refused: the ids of entries that the target does not take, each with what it said: that
            the entry is larger than the target was opened for.
    """

    added: int = 0
    unchanged: int = 0
    conflicts: tuple[str, ...] = ()
    refused: Mapping[str, str] = attrs.field(default=EMPTY, converter=_frozen_mapping)

    @property
    def read(self) -> int:
        """How many entries were read from the source."""
        return self.added + self.unchanged + len(self.conflicts) + len(self.refused)

    @property
    def complete(self) -> bool:
        """Whether the target now holds each of them as the source does."""
        return not self.conflicts and not self.refused

    def __add__(self, other: "CopyResult") -> "CopyResult":
        """Return the result of both."""
        return CopyResult(
            added=self.added + other.added,
            unchanged=self.unchanged + other.unchanged,
            conflicts=self.conflicts + other.conflicts,
            refused={**self.refused, **other.refused},
        )


Progress: TypeAlias = Callable[[CopyResult], object]
"""What `copy` calls after every batch, with the result so far; what it raises ends the copy."""


def copy(
    source: FeedbackStore | Store,
    target: FeedbackStore | Store,
    query: Query = _EVERYTHING,
    *,
    progress: Progress | None = None,
    batch_size: int = 1000,
) -> CopyResult:
    """Copy every entry that matches from one store into another, oldest first.

    Exactness: an entry arrives as it is in the source: equal, and `encode` gives the same bytes
    for both, so with its id, its times, its unknown keys, its nulls and its types of numbers.
    Conflicts: what the target holds under an id stays as it is. It counts as unchanged when it is
    exactly the same, and as a conflict otherwise, also where only a timestamp or ``updated_at``
    differs, which `Store.append` takes for the same entry.
    Durability: a batch is durable in the target before the next one is read.
    Repeating: after an error, an interrupt or a kill, the same call goes on; what had arrived
    counts as unchanged. Once all is there, another call changes nothing.
    Memory: one batch is held, of ``batch_size`` entries or about 8 MiB, and the result's ids.

    The source is only read, as of the call: what is added, changed or erased there later is not
    followed. So let nobody write to it, or the target will lack something. Damaged lines are no
    entries, and stay behind.

    Args:
        source: where the entries are; a place where nothing is yet reads as empty.
        target: where they shall be. Others may use it meanwhile.
        query: which entries; its order does not count.
        progress: called after every batch with the result so far.
        batch_size: how many entries are added to the target at a time, 1 or more.

    Returns:
        What became of the entries; look at `CopyResult.complete`.

    Raises:
        ValueError: both are known to be one store, or ``batch_size`` is below 1.
        StoreUnavailableError: one of the two failed.
        StoreClosedError: one of the two was closed.
    """
    if batch_size < 1:
        msg = "batch_size must be 1 or more"
        raise ValueError(msg)
    if same_store(source, target):
        msg = f"source and target are the same store: {below(source)!r}"
        raise ValueError(msg)
    entries = operations.matching(below(source), attrs.evolve(query, order=Order.OLDEST))
    result = CopyResult()
    for batch in _batches(entries, batch_size):
        result += _append(below(target), batch)
        if progress is not None:
            progress(result)
    return result


def same_store(a: FeedbackStore | Store, b: FeedbackStore | Store) -> bool:
    """Say whether two stores are known to be one: the same object, or the same place on a disk.

    A place is known of stores that tell it as an absolute ``path``. A copy of a store onto itself
    that is not noticed finds everything unchanged, and does no harm.
    """
    below_a, below_b = below(a), below(b)
    if below_a is below_b:
        return True
    here, there = path_of(below_a), path_of(below_b)
    if here is None or there is None:
        return False
    try:
        return here.samefile(there)  # two mounts of one folder share no path
    except OSError:  # one is not there yet; where neither is, the paths decide
        return here.resolve() == there.resolve()


def below(store: FeedbackStore | Store) -> Store:
    """Return the store that an app's holds: its `append` tells the outcome of each entry."""
    return store.store if isinstance(store, FeedbackStore) else store


def path_of(store: FeedbackStore | Store) -> Path | None:
    """Return the place of a store on a disk, where it tells one; see `same_store`."""
    place: object = store
    while not hasattr(place, "path") and hasattr(place, "store"):
        place = getattr(place, "store", None)  # a layer lies where what it is around lies
    told: object = getattr(place, "path", None)
    if not isinstance(told, str | Path):
        return None
    path = Path(told)
    # A relative one may be anything: a key in a bucket, a name on a server.
    return path if path.is_absolute() else None


class _Line(NamedTuple):
    """An entry, and the bytes that say all of it."""

    entry: FeedbackEntry
    encoded: bytes


def _batches(entries: Iterable[FeedbackEntry], batch_size: int) -> Iterator[list[_Line]]:
    """Yield the entries in lists that are bounded in number and in size; read no further."""
    batch: list[_Line] = []
    size_bytes = 0
    for entry in entries:
        line = _Line(entry, encode(entry))
        batch.append(line)
        size_bytes += len(line.encoded)
        if len(batch) >= batch_size or size_bytes >= BATCH_BYTES:
            yield batch
            batch, size_bytes = [], 0
    if batch:
        yield batch


def _append(target: Store, batch: list[_Line]) -> CopyResult:
    """Append a batch; one with an entry that the target refuses is halved until it is alone."""
    try:
        outcomes = target.append([line.entry for line in batch])
    except InvalidEntryError as error:
        if len(batch) == 1:
            return CopyResult(refused={batch[0].entry.id: str(error)})
        middle = len(batch) // 2
        return _append(target, batch[:middle]) + _append(target, batch[middle:])
    return _judged(target, batch, outcomes)


def _judged(target: Store, batch: list[_Line], outcomes: Sequence[Outcome]) -> CopyResult:
    """Say what became of a batch; what was there already is compared byte by byte."""
    judged = list(zip(batch, outcomes, strict=True))
    alike = [line.entry for line, outcome in judged if outcome is Outcome.UNCHANGED]
    there = {entry.id: encode(entry) for entry in standing(target, alike)} if alike else {}
    conflicts = [
        line.entry.id
        for line, outcome in judged
        # What somebody has erased since is not there as it should be either: its id is told.
        if outcome is not Outcome.ADDED and there.get(line.entry.id) != line.encoded
    ]
    added = outcomes.count(Outcome.ADDED)
    return CopyResult(
        added=added,
        unchanged=len(batch) - added - len(conflicts),
        conflicts=tuple(conflicts),
    )


def standing(
    target: Store, entries: Sequence[FeedbackEntry], *, any_time: bool = False
) -> Iterator[FeedbackEntry]:
    """Yield what the target holds under the ids of entries, if its time can be that of one.

    What has another time is not the same, whatever else it says. So a target that finds nothing
    by its id is asked once, for the stretch of time of all, rather than searched for every id.
    """
    if any_time or isinstance(target, SupportsGet | SupportsGetMany):
        yield from operations.find_many(target, [entry.id for entry in entries]).values()
        return
    ids = {entry.id for entry in entries}
    times = [entry.timestamp for entry in entries]
    try:
        stretch = Query(since=min(times), until=max(times) + _INSTANT)
    except OverflowError:  # the last instant of all
        stretch = Query(since=min(times))
    yield from (entry for entry in target.scan(stretch) if entry.id in ids)
