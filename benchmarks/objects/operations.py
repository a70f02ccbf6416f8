"""What every operation costs: requests, bytes and time; and of which months a page reads."""

import sys
from collections.abc import Sequence

import attrs

from benchmarks import asked
from benchmarks.objects.bench import Cost, ObjectBench
from benchmarks.results import MILLISECONDS, Measurement, table

_KINDS = ("LIST", "HEAD", "GET", "PUT", "DELETE")


@attrs.frozen
class Operation:
    """A row.

    Attributes:
        title: as it is shown.
        verb: as the worker knows it, with ``crowded`` where there are to be many small objects.
        cold: whether the store is opened for it.
    """

    title: str
    verb: str
    cold: bool = False


COLD_PAGE = Operation("filtered page and total, cold", "page", cold=True)
OPERATIONS = (
    Operation("get from the newest month, cold", "get newest", cold=True),
    Operation("get from the oldest month, cold", "get oldest", cold=True),
    Operation("get, warm", "get newest"),
    COLD_PAGE,
    Operation("filtered page and total, warm", "page"),
    Operation("statistics, cold", "stats", cold=True),
    Operation("statistics, warm", "stats"),
    Operation("scan all, cold", "scan", cold=True),
    Operation("scan all, warm", "scan"),
    Operation("version", "version"),
    Operation("add", "add"),
    Operation("add again, unchanged", "add"),
    Operation("update", "update"),
    Operation("add to a crowded month", "add, crowded"),
    Operation("check", "check"),
    Operation("compact a crowded month", "compact, crowded"),
    Operation("compact, nothing to do", "compact"),
    Operation("erase one", "erase"),
)
"""In the order in which they are measured: what is only read, is read while all is compacted."""


def measure_operations(bench: ObjectBench) -> str:
    """Return the table, and a sentence about the months of which the cold page fetched objects."""
    costs: dict[Operation, Cost] = {}
    for operation in OPERATIONS:
        costs[operation] = bench.cost(operation.verb, cold=operation.cold)
        print(f"measured: {operation.title}", file=sys.stderr)
    header = ["operation", "ms", *_KINDS, "others", "kB sent", "kB fetched"]
    rows = [_row(operation, cost) for operation, cost in costs.items()]
    months = costs[COLD_PAGE].spent.months
    return f"{table(header, rows, text_columns=1)}\n\n{sentence_on(months)}"


def _row(operation: Operation, cost: Cost) -> list[str]:
    time = Measurement(operation.title, MILLISECONDS, {"": cost.seconds})
    requests = cost.spent.requests
    others = sum(count for kind, count in requests.items() if kind not in _KINDS)
    bodies = (cost.spent.sent_bytes, cost.spent.fetched_bytes)
    return [
        operation.title,
        time.shown(""),
        *(str(requests.get(kind, 0)) for kind in _KINDS),
        str(others),
        *(f"{count / 1000:,.1f}" for count in bodies),
    ]


def sentence_on(months: Sequence[str]) -> str:
    """Say of which months the page fetched objects, and whether it asks for others than these."""
    first, last = f"{asked.SINCE:%Y-%m}", f"{asked.UNTIL:%Y-%m}"
    if strangers := [month for month in months if not first <= month <= last]:
        told = ", ".join(strangers)
        return f"**The page fetched objects of months that it does not ask for:** {told}."
    span = first if first == last else f"{first} to {last}"
    fetched = ", ".join(months) or "no month"
    return f"The 30 days of the page lie in {span}; it fetched objects of {fetched}, and no other."
