"""How many bytes a result takes while it is remembered."""

from collections.abc import Callable, Iterable, Mapping
from operator import attrgetter
from sys import getsizeof
from typing import Any

import attrs

from feedback_store.entry import FeedbackEntry, Metadata
from feedback_store.query import Page, Query
from feedback_store.stats import Group, Stats

_Fields = Callable[[Any], Iterable[object]]

_NESTED: dict[type, set[str]] = {
    FeedbackEntry: {"sources", "metadata", "extra", "spelled"},
    Metadata: {"issues", "extra", "spelled"},
    Page: {"entries"},
    Query: {"issues", "source_types", "match"},
    Stats: {"by_month", "by_issue", "by_source_type"},
    Group: set(),
}
"""The fields whose values hold other values."""


def size_bytes(value: object) -> int:
    """Estimate the bytes of a result, or of a question, with all that it holds.

    Every object that is reached counts as Python itself measures it, once for each place that
    holds it; None and what is empty are left out. So what is shared (an entry by two pages)
    counts each time, and the estimate is rather too high than too low.
    """
    size = getsizeof(value)
    if (fields := _FIELDS.get(type(value))) is not None:
        flat, nested = fields
        size += sum(map(getsizeof, filter(None, flat(value))))
        return size + sum(size_bytes(item) for item in nested(value) if item)
    if isinstance(value, tuple | list):
        return size + sum(map(size_bytes, value))
    if isinstance(value, Mapping):
        return size + sum(size_bytes(key) + size_bytes(item) for key, item in value.items())
    return size


def _getter(names: list[str]) -> _Fields:
    """Return what reads some fields at once: a result may hold thousands of entries."""
    if len(names) > 1:
        return attrgetter(*names)
    return lambda value: [getattr(value, name) for name in names]


def _fields_of(cls: type) -> tuple[_Fields, _Fields]:
    names = [field.name for field in attrs.fields(cls)]
    flat = [name for name in names if name not in _NESTED[cls]]
    return _getter(flat), _getter([name for name in names if name in _NESTED[cls]])


_FIELDS = {cls: _fields_of(cls) for cls in _NESTED}
