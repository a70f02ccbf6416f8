"""What a bucket says of itself."""

import secrets
from collections import Counter
from collections.abc import Iterator

from feedback_store.backends.objects.bucket import Bucket
from feedback_store.backends.objects.clock import Clock, milliseconds_of
from feedback_store.backends.objects.lines import entry_of
from feedback_store.backends.objects.months import Month, Months
from feedback_store.backends.objects.naming import ObjectName
from feedback_store.codec import decode, format_time
from feedback_store.errors import StoreUnavailableError
from feedback_store.report import Check, CheckReport, Status

_SHOWN = 3
_SECOND_MS = 1000


def check(bucket: Bucket, clock: Clock, months: Months) -> CheckReport:
    """Examine a store: problems are told, not raised."""
    checks: list[Check] = []
    name = "reachable"
    try:
        listed = months.listed()
        checks.append(Check(name=name, status=Status.OK, message="the objects are listed"))
        checks.append(_probe(bucket))
        name = "readable"
        with months.lock:
            found = [months.look(month, names) for month, names in listed.items()]
            checks.extend(_contents(found))
        checks.extend(_objects(bucket, found, clock))
    except StoreUnavailableError as error:
        hint = "see that the endpoint is reachable, and that the credentials may list and read"
        checks.append(Check(name=name, status=Status.ERROR, message=str(error), hint=hint))
    return CheckReport(location=bucket.shown, checks=tuple(checks))


def _probe(bucket: Bucket) -> Check:
    """Write an object, see that it is listed and can be read, and remove it."""
    path, data = f"probe-{secrets.token_hex(8)}", secrets.token_bytes(16)
    hint = "see that the credentials may write, list, read and remove below the location"
    try:
        bucket.write(path, data)
        try:
            _, others = bucket.list()
            read = dict(bucket.read([path]))[path]
        finally:
            bucket.remove([path])
        if path not in others or read != data:
            message = "an object that was written is not listed, or not what was written"
            return Check(name="write", status=Status.ERROR, message=message, hint=hint)
    except StoreUnavailableError as error:
        return Check(name="write", status=Status.ERROR, message=str(error), hint=hint)
    message = "an object was written, listed, read and removed"
    return Check(name="write", status=Status.OK, message=message)


def _contents(months: list[Month]) -> Iterator[Check]:
    names = [month.name for month in months]
    span = f", {names[0]} to {names[-1]}" if names else ""
    yield Check(name="months", status=Status.OK, message=f"{len(names)} months{span}")
    visible = [line for month in months for line in month.state.visible()]
    lines = sum(len(found.lines) for month in months for found in month.contents.values())
    message = f"{len(visible)} entries, and {lines - len(visible)} lines that a compaction drops"
    yield Check(name="entries", status=Status.OK, message=message)
    last = max(visible, key=lambda line: (line.stamp, line.id), default=None)
    told = (
        "there is none" if last is None else f"given at {format_time(decode(last.body).timestamp)}"
    )
    yield Check(name="last_entry", status=Status.OK, message=told)
    several = sum(count > 1 for count in Counter(line.id for line in visible).values())
    if several:
        yield Check(
            name="unique_ids",
            status=Status.WARNING,
            message=f"{several} ids stand in more than one month",
            hint="a bucket keeps ids unique within a month; delete the entries that are too many",
        )
    else:
        yield Check(name="unique_ids", status=Status.OK, message="no id stands in two months")


def _objects(bucket: Bucket, months: list[Month], clock: Clock) -> Iterator[Check]:
    objects = {name: found for month in months for name, found in month.contents.items()}
    kinds = Counter(name.kind for name in objects)
    erased = sum(len(month.state.erased) for month in months)
    message = (
        f"{kinds['base']} bases, {kinds['segment']} segments, {kinds['erased']} objects that tell "
        f"of {erased} erasures"
    )
    yield Check(name="objects", status=Status.OK, message=message)
    damaged = sorted(n.path for n, found in objects.items() if not found.whole or found.damaged)
    no_entries = sum(entry_of(line) is None for month in months for line in month.state.visible())
    if no_entries:
        yield Check(
            name="no_entries",
            status=Status.WARNING,
            message=f"{no_entries} lines are no entries, and left out; they are kept as they are",
            hint="another program has written them: the log tells of each what is wrong",
        )
    if damaged:
        yield Check(
            name="damaged",
            status=Status.WARNING,
            message=f"{len(damaged)} objects are not whole: {', '.join(damaged[:_SHOWN])}",
            hint="what can be read of them is served, and nothing is removed; restore them",
        )
    else:
        yield Check(name="damaged", status=Status.OK, message="all objects are whole")
    _, others = bucket.list()
    if others:
        yield Check(
            name="foreign",
            status=Status.WARNING,
            message=f"{len(others)} objects are not of this store",
            hint="give the store a prefix of its own, or remove what a broken write has left",
        )
    yield _clock(list(objects), clock)


def _clock(names: list[ObjectName], clock: Clock) -> Check:
    """Compare the newest revision with this machine's time."""
    ahead_ms = max((milliseconds_of(n.revision) for n in names), default=0) - clock.now_ms()
    if ahead_ms > 60 * _SECOND_MS:
        return Check(
            name="clock",
            status=Status.WARNING,
            message=f"the newest object is {ahead_ms // _SECOND_MS} seconds in the future",
            hint="set the clocks of all writers: the order of changes follows the fastest one",
        )
    return Check(name="clock", status=Status.OK, message="no object is from the future")
