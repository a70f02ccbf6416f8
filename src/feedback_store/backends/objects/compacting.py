"""Making few objects of many, safe beside writers, readers and other compactors.

A compaction reads objects, writes one that holds what of them is visible, and removes them only
when the new one is listed. Whoever merges old and new together comes to the same; so it may stop
anywhere, run twice, or stall for a day. Erasures are kept for ever: a compaction that stalled
across one would bring the entry's line back, but older than the erasure, and so invisible.
"""

from feedback_store.backends.objects.bucket import Bucket
from feedback_store.backends.objects.clock import Clock
from feedback_store.backends.objects.lines import Contents, formatted, formatted_erased
from feedback_store.backends.objects.months import Month, Months
from feedback_store.backends.objects.naming import Kind, ObjectName
from feedback_store.compressing import packer_for
from feedback_store.report import CompactReport


def is_worth_it(month: Month) -> bool:
    """Say whether the month stands in more objects than it must, or holds what is not visible."""
    kinds = [name.kind for name in _settled(month)]
    many = kinds.count("base") > 1 or kinds.count("erased") > 1 or "segment" in kinds
    return many or _superseded(month) > 0


def compact(
    bucket: Bucket, clock: Clock, months: Months, month: Month, suffix: str
) -> CompactReport:
    """Make one object of those of a month as it was listed; nothing visible changes.

    Raises:
        StoreUnavailableError: something failed; what counts is still there.
    """
    old = _settled(month)
    lines = sorted(month.state.visible(), key=lambda line: (line.stamp, line.id))
    written: list[tuple[ObjectName, bytes]] = []
    if lines:
        written.append(_new(clock, month.name, "base", formatted(lines, suffix), suffix))
    erasures = [name for name in old if name.kind == "erased"]
    if len(erasures) > 1:
        written.append(_new(clock, month.name, "erased", formatted_erased(month.state.erased)))
    else:
        old = [name for name in old if name.kind != "erased"]
    made = {
        name: Contents((), dict(month.state.erased), size_bytes=len(data))
        if name.kind == "erased"
        else Contents(tuple(lines), size_bytes=len(data))
        for name, data in written
    }
    for name, data in written:
        bucket.write(name.path, data)
    listed, _ = bucket.list(month.name)
    if not {name for name, _ in written} <= set(listed):
        return CompactReport()  # another compactor has replaced it already: the rest is its work
    bucket.remove([name.path for name in old])
    with months.lock:
        months.note_replaced(month.name, old, made)
    return CompactReport(
        months=1,
        superseded=_superseded(month),
        size_bytes_before=sum(month.contents[name].size_bytes for name in old),
        size_bytes_after=sum(len(data) for _, data in written),
    )


def _new(
    clock: Clock, month: str, kind: Kind, data: bytes, suffix: str = ""
) -> tuple[ObjectName, bytes]:
    return ObjectName(month, clock.tick(), kind, suffix), data


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
