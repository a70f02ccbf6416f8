"""Making few objects of many, safe beside writers, readers and other compactors.

A compaction reads objects, writes one that holds what of them is visible, and removes them only
when the new one is listed. Whoever merges old and new together comes to the same; so it may stop
anywhere, run twice, or stall for a day. Erasures are kept for ever: a compaction that stalled
across one would bring the entry's line back, but older than the erasure, and so invisible.
"""

from collections.abc import Collection
from typing import Final

from feedback_store.backends.objects.bucket import Bucket
from feedback_store.backends.objects.clock import Clock
from feedback_store.backends.objects.lines import Contents, formatted, formatted_erased
from feedback_store.backends.objects.months import Month, Months
from feedback_store.backends.objects.naming import Kind, ObjectName
from feedback_store.compressing import packer_for
from feedback_store.report import CompactReport

ALL_KINDS: Final[tuple[Kind, ...]] = ("segment", "base", "erased")


def is_worth_it(month: Month) -> bool:
    """Say whether the month stands in more objects than it must, or holds what is not visible."""
    kinds = [name.kind for name in _settled(month)]
    many = kinds.count("base") > 1 or kinds.count("erased") > 1 or "segment" in kinds
    return many or _superseded(month) > 0


def compact(
    bucket: Bucket,
    clock: Clock,
    months: Months,
    month: Month,
    suffix: str,
    kinds: Collection[Kind] = ALL_KINDS,
) -> CompactReport:
    """Make one object of those of a month as it was listed; nothing visible changes.

    Args:
        bucket: where they are.
        clock: gives the revision of the new one.
        months: what is known; it learns of the new one.
        month: the month.
        suffix: how the new one is compressed.
        kinds: which objects; the others stay as they are.

    Raises:
        StoreUnavailableError: something failed; what counts is still there.
    """
    with months.lock:
        old, made = _plan(clock, month, suffix, kinds)
        before = [month.contents[name] for name in old]
    for name, (_, data) in made.items():
        bucket.write(name.path, data)
    listed, _ = bucket.list(month.name)
    if not made.keys() <= set(listed):
        return CompactReport()  # another compactor has replaced it already: the rest is its work
    bucket.remove([name.path for name in old])
    with months.lock:
        months.note_replaced(month.name, old, {name: found for name, (found, _) in made.items()})
    lines = sum(len(found.lines) for found in before)
    return CompactReport(
        months=1,
        superseded=lines - sum(len(found.lines) for found, _ in made.values()),
        size_bytes_before=sum(found.size_bytes for found in before),
        size_bytes_after=sum(len(data) for _, data in made.values()),
    )


def _plan(
    clock: Clock, month: Month, suffix: str, kinds: Collection[Kind]
) -> tuple[list[ObjectName], dict[ObjectName, tuple[Contents, bytes]]]:
    """Return which objects shall go, and what comes in their place."""
    old = [name for name in _settled(month) if name.kind in kinds]
    there = {line.revision for name in old for line in month.contents[name].lines}
    lines = [line for line in month.state.visible() if line.revision in there]
    lines.sort(key=lambda line: (line.stamp, line.id))
    made: dict[ObjectName, tuple[Contents, bytes]] = {}
    if lines:
        name = ObjectName(month.name, clock.tick(), "base", suffix)
        data = formatted(lines, suffix)
        made[name] = Contents(tuple(lines), size_bytes=len(data)), data
    if [name.kind for name in old].count("erased") > 1:
        name = ObjectName(month.name, clock.tick(), "erased")
        erased = dict(month.state.erased)
        data = formatted_erased(erased)
        made[name] = Contents((), erased, size_bytes=len(data)), data
    else:
        old = [name for name in old if name.kind != "erased"]
    return old, made


def _settled(month: Month) -> list[ObjectName]:
    """Return the objects that are known whole: no others may be removed."""
    return [name for name, found in month.contents.items() if found.whole and not found.damaged]


def _superseded(month: Month) -> int:
    """Return how many lines of settled objects could go."""
    there = [line for name in _settled(month) for line in month.contents[name].lines]
    visible = {line.id: line.revision for line in month.state.visible()}
    counting = {line.id for line in there if visible.get(line.id) == line.revision}
    return len(there) - len(counting)


def suffix_of(compression: str) -> str:
    """Return the suffix of what a compaction writes.

    Raises:
        MissingExtraError: what it needs is not installed.
        ValueError: there is no such compression.
    """
    suffixes = {"gzip": ".gz", "zstd": ".zst"}
    if compression not in suffixes:
        msg = 'compression must be "gzip" or "zstd"'
        raise ValueError(msg)
    packer_for(suffixes[compression])
    return suffixes[compression]
