"""Erasing: first so that nobody sees the entry any more, then from every object."""

from collections.abc import Collection

from feedback_store.backends.objects import compacting
from feedback_store.backends.objects.bucket import Bucket
from feedback_store.backends.objects.clock import Clock
from feedback_store.backends.objects.lines import Contents, formatted_erased, hash_of, unpacked
from feedback_store.backends.objects.months import Month, Months
from feedback_store.backends.objects.naming import ObjectName
from feedback_store.errors import StoreUnavailableError
from feedback_store.spellings import Needles

_ROUNDS = 100


def erase(bucket: Bucket, clock: Clock, months: Months, ids: Collection[str], suffix: str) -> int:
    """Erase entries from all months; say how many there were.

    An erasure is written before anything is removed: should this be cut short, what is left of the
    entry is invisible, and goes with the next compaction.

    Raises:
        StoreUnavailableError: something failed, or an object that may hold an entry cannot be read
            whole; the same call may be made again.
    """
    count = 0
    for name, names in months.listed().items():
        with months.lock:
            month = months.look(name, names)
            _need_whole(bucket, month, ids)
            there = [id for id in ids if _is_in(month, id)]
            count += sum(month.state.find(id) is not None for id in there)
            if there:
                erased = {hash_of(id): clock.tick() for id in there}
                marker = ObjectName(name, clock.tick(), "erased")
                data = formatted_erased(erased)
                bucket.write(marker.path, data)
                months.note_written(marker, Contents((), erased, size_bytes=len(data)))
                _purge(bucket, clock, months, name, there, suffix)
    return count


def _purge(
    bucket: Bucket, clock: Clock, months: Months, name: str, ids: Collection[str], suffix: str
) -> None:
    """Write the month anew until no object holds one of the entries: others may write meanwhile."""
    for _ in range(_ROUNDS):
        month = months.look(name)
        if not any(_is_dead_in(month, id) for id in ids):
            return
        compacting.compact(bucket, clock, months, month, suffix)
    msg = f"{bucket.shown}: an erased entry comes back to {name} again and again; try again later"
    raise StoreUnavailableError(msg)


def _is_in(month: Month, id: str) -> bool:
    return any(line.id == id for found in month.contents.values() for line in found.lines)


def _is_dead_in(month: Month, id: str) -> bool:
    """Say whether an object holds a line of the entry that is erased."""
    erased = month.state.erased.get(hash_of(id), "")
    lines = (line for found in month.contents.values() for line in found.lines)
    return any(line.id == id and line.revision <= erased for line in lines)


def _need_whole(bucket: Bucket, month: Month, ids: Collection[str]) -> None:
    """Refuse to call an entry erased that may stand where not all can be read."""
    names = [name for name, found in month.contents.items() if not found.whole or found.damaged]
    suffixes = {name.path: name.suffix for name in names}
    needles = Needles(ids)
    for path, data in bucket.read(list(suffixes)):
        text, whole = unpacked(data or b"", suffixes[path])
        if not whole or any(map(needles.stand_in, text.split(b"\n"))):
            msg = (
                f"{bucket.shown}/{path} is damaged, and may hold what is to be erased; restore it "
                "from a backup, or remove it, then make the same call again"
            )
            raise StoreUnavailableError(msg)
