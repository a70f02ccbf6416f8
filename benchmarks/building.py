"""Folders full of entries, made by the quickest way that leads to the same files."""

import os
from itertools import islice
from pathlib import Path

from benchmarks.entries import DataSet, line_of
from benchmarks.subjects import subject

_BATCH = 10_000
_SINGLES = 16
"""Entries that come one by one at the end, as in a store that is in use. `SqliteStore` brings new
ones into its counters 32 at a time: it is measured with half of that still to be looked at."""


def build(name: str, folder: Path, data: DataSet) -> None:
    """Make the folder of a subject with all of a data set in it."""
    folder.mkdir(parents=True)
    if name in {"sqlite", "sqlitestore", "cachedsqlite"}:
        _fill(name, folder, data)
    elif name == "limit":
        _write_lines(folder / "lines.jsonl", data, 0, data.size)
    else:
        _write_months(folder, data)
    if name in {"jsonl", "cached"}:
        _index(folder, data)
    os.sync()  # what is measured next must not pay for this


def _fill(name: str, folder: Path, data: DataSet) -> None:
    made = subject(name)(folder, synced=False)
    mappings = data.mappings(0, data.size)
    many = islice(mappings, max(0, data.size - _SINGLES))
    while batch := [made.prepare(mapping) for mapping in islice(many, _BATCH)]:
        made.add_many(batch)
    for mapping in mappings:
        made.add(made.prepare(mapping))
    made.close()


def _index(folder: Path, data: DataSet) -> None:
    """Let the store find the files, and leave what a store in use has left: index and filters."""
    made = subject("jsonl")(folder)
    (last,) = data.mappings(data.size - 1, 1)
    made.add(made.prepare(last))  # it is there: nothing is added, but the state folder is made
    made.count()
    made.close()


def _write_months(folder: Path, data: DataSet) -> None:
    first = 0
    for number, month in enumerate(data.names(), 1):
        end = -(-number * data.size // data.months)
        _write_lines(folder / f"feedback_{month}.jsonl", data, first, end - first)
        first = end


def _write_lines(path: Path, data: DataSet, first: int, count: int) -> None:
    with path.open("wb") as file:
        file.writelines(line_of(mapping) + b"\n" for mapping in data.mappings(first, count))
