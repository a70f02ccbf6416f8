"""The rows of the comparison: which operation, in which unit, for whom, measured how."""

import sys
from collections.abc import Callable, Iterable, Sequence

import attrs

from benchmarks.results import BYTES, MEGABYTES, MILLISECONDS, PER_SECOND, Measurement, Unit
from benchmarks.subjects import CACHED, NAMES, OURS, PEERS
from benchmarks.suite import Bench

_STORES = PEERS + OURS
_FILES = ("sqlite", *OURS)


@attrs.frozen
class Row:
    """An operation that is compared.

    Attributes:
        title: the operation, as the table names it.
        unit: of what is measured.
        measure: measures one subject once.
        names: the subjects that can do it.
    """

    title: str
    unit: Unit
    measure: Callable[[Bench, str], float]
    names: Sequence[str] = NAMES


ROWS = (
    Row("durable add, 1 thread", PER_SECOND, lambda b, name: b.add(name)),
    Row("durable add, 8 threads", PER_SECOND, lambda b, name: b.add(name, threads=8)),
    Row("durable add, 4 processes", PER_SECOND, lambda b, name: b.add(name, processes=4)),
    Row("add, not waiting for the disk", PER_SECOND, lambda b, name: b.add(name, synced=False)),
    Row("bulk import into an empty store", PER_SECOND, lambda b, name: b.add_many(name)),
    Row("durable update", PER_SECOND, lambda b, name: b.loop(name, "update", "write"), _STORES),
    Row("get, warm", PER_SECOND, lambda b, name: b.loop(name, "get", "read"), _STORES),
    Row(
        "get, asked before",
        PER_SECOND,
        lambda b, name: b.loop(name, "get_again", "read"),
        ("sqlite", *OURS),
    ),
    Row("get, cold: open and answer", MILLISECONDS, lambda b, name: b.cold_get(name), _STORES),
    Row("get, cold: the whole process", MILLISECONDS, lambda b, name: b.whole_get(name), _STORES),
    Row(
        "get after a durable add here",
        MILLISECONDS,
        lambda b, name: b.read_own_write(name),
        _STORES,
    ),
    Row(
        "get after another process's add",
        MILLISECONDS,
        lambda b, name: b.read_foreign_write(name),
        _STORES,
    ),
    Row("load all", MILLISECONDS, lambda b, name: b.once(name, "load", "seconds")),
    Row("load all: peak memory", MEGABYTES, lambda b, name: b.once(name, "load", "peak_bytes")),
    Row("scan, keep nothing", MILLISECONDS, lambda b, name: b.once(name, "scan", "seconds")),
    Row("scan: peak memory", MEGABYTES, lambda b, name: b.once(name, "scan", "peak_bytes")),
    Row("count, cold", MILLISECONDS, lambda b, name: b.once(name, "count", "seconds"), _STORES),
    Row(
        "filtered page and total, warm", MILLISECONDS, lambda b, name: b.warm(name, "page"), _STORES
    ),
    Row(
        "filtered page and total, cold",
        MILLISECONDS,
        lambda b, name: b.once(name, "page", "seconds"),
        _STORES,
    ),
    Row("statistics, warm", MILLISECONDS, lambda b, name: b.warm(name, "stats"), _STORES),
    Row(
        "statistics, cold",
        MILLISECONDS,
        lambda b, name: b.once(name, "stats", "seconds"),
        _STORES,
    ),
    Row(
        "page and statistics after a durable add",
        MILLISECONDS,
        lambda b, name: b.read_admin_page(name),
        _STORES,
    ),
    Row("text search, page of 50", MILLISECONDS, lambda b, name: b.warm(name, "search"), _STORES),
    Row(
        "snapshot to a JSON array",
        MILLISECONDS,
        lambda b, name: b.once(name, "snapshot", "seconds"),
    ),
    Row("snapshot: peak memory", MEGABYTES, lambda b, name: b.once(name, "snapshot", "peak_bytes")),
    Row("compact after updates", MILLISECONDS, lambda b, name: b.compact(name), _FILES),
    Row("bytes per entry on disk", BYTES, lambda b, name: b.bytes_per_entry(name)),
    Row("import", MILLISECONDS, lambda b, name: b.import_seconds(name)),
)


DECIDING = (
    "durable add, 1 thread",
    "durable add, 8 threads",
    "bulk import into an empty store",
    "durable update",
    "get, warm",
    "scan, keep nothing",
    "filtered page and total, warm",
    "filtered page and total, cold",
    "statistics, warm",
    "page and statistics after a durable add",
    "text search, page of 50",
    "bytes per entry on disk",
)
"""What somebody looks at who chooses between our stores."""

SIZED = (
    "durable add, 1 thread",
    "durable update",
    "get, warm",
    "get, asked before",
    "get, cold: open and answer",
    "load all",
    "scan: peak memory",
    "filtered page and total, warm",
    "filtered page and total, cold",
    "filtered page: peak memory",
    "statistics, warm",
    "statistics, cold",
    "page and statistics after a durable add",
    "text search, page of 50",
    "snapshot to a JSON array",
    "snapshot: peak memory",
    "bytes per entry on disk",
)
"""What is measured in stores of several sizes."""

REMEMBERED = ("get, asked before", "filtered page and total, warm", "statistics, warm")
"""Of those, what a cache answers."""


def sized() -> list[Row]:
    """Return the rows for stores of several sizes: of our stores alone."""
    return [
        attrs.evolve(row, names=(*OURS, *CACHED) if row.title in REMEMBERED else OURS)
        for row in (*ROWS, _PEAK)
        if row.title in SIZED
    ]


def asked_again(words: Sequence[str]) -> list[Row]:
    """Return the rows that a cache answers, for ours without and with one, and a peer."""
    names = ("sqlite", *OURS, *CACHED)
    return [attrs.evolve(r, names=names) for r in chosen(words) if r.title in REMEMBERED]


_PEAK = Row(
    "filtered page: peak memory", MEGABYTES, lambda b, name: b.once(name, "page", "peak_bytes")
)


def chosen(words: Sequence[str]) -> list[Row]:
    """Return the rows whose title has one of the words in it; all, when there are no words."""
    return [row for row in ROWS if not words or any(word in row.title for word in words)]


def measure(bench: Bench, rows: Iterable[Row]) -> list[Measurement]:
    """Measure every row, round by round; in each the subjects take turns, in changing order.

    Neighbours in time are compared, so that a machine that slows down slows all of them down.
    """
    measurements: list[Measurement] = []
    for row in rows:
        values: dict[str, list[float]] = {name: [] for name in row.names}
        for number in range(bench.scale.rounds):
            for name in row.names if number % 2 else reversed(row.names):
                values[name].append(row.measure(bench, name))
        measurements.append(Measurement(row.title, row.unit, values))
        print(f"measured: {row.title}", file=sys.stderr)
    return measurements
