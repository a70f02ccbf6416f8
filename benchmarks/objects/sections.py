"""All that is measured of the object store, as one section of the docs."""

import sys
from collections.abc import Callable, Sequence

from benchmarks.machine import setting
from benchmarks.objects.adds import measure_adds
from benchmarks.objects.bench import ObjectBench, ObjectScale, ObjectWorker
from benchmarks.objects.endpoint import served
from benchmarks.objects.loads import measure_loads
from benchmarks.objects.operations import measure_operations


def measure_objects(scale: ObjectScale, words: Sequence[str] = ()) -> str:
    """Return the tables, with what has to be known of them.

    Args:
        scale: how long it may take.
        words: of the titles of those that are wanted; none for all.
    """
    data = scale.data
    with served() as endpoint, ObjectWorker(scale) as worker:
        bench = ObjectBench(endpoint, worker, scale)
        bench.build()
        print("built the stores", file=sys.stderr)
        parts = {
            title: measure(bench)
            for title, measure in _PARTS.items()
            if not words or any(word in title for word in words)
        }
    added = ", ".join(f"{callers * each:,}" for callers, each in scale.adds.items())
    crowd = f"{scale.crowd} small objects in a crowded month"
    note = (
        f"{data.size:,} entries over {data.months} months, {scale.rounds} round(s), "
        f"median (smallest to largest); {crowd}; {added} adds. "
        f"Measured with {setting('s3fs', 'aiobotocore', 'moto')}."
    )
    shown = [f"### {title}\n\n{part}" for title, part in parts.items()]
    return "\n\n".join([*shown, note])


# Loading first: its processes are forked from one that has no threads yet.
_PARTS: dict[str, Callable[[ObjectBench], str]] = {
    "Loading a compacted store": measure_loads,
    "What an operation costs": measure_operations,
    "Requests for 1,000 adds, and the rate": measure_adds,
}
