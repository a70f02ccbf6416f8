"""The shapes in which `list` prints entries: each a function that prints them and counts."""

import sys
from collections.abc import Callable, Iterable, Mapping
from itertools import islice
from typing import TYPE_CHECKING, Any

from feedback_store import codec
from feedback_store.cli.terminal import json_writer, line_writer, show, visible
from feedback_store.entry import FeedbackEntry

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

Shape = Callable[[Iterable[FeedbackEntry]], int]

_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")
_TABLE_ROWS = 200  # laid out at once: widths are fixed, so that the parts line up
_WIDE = 110  # columns of a terminal on which an id has a place on one line
_TIME = len("2025-02-17 10:30")
_DATE = len("2025-02-17")
_RATING = len("rating")
_ID = len("123e4567-e89b-12d3-a456-426614174000")
_GAP = 2


def print_jsonl(entries: Iterable[FeedbackEntry]) -> int:
    """Print each entry as its line of JSON."""
    write = json_writer()
    count = 0
    for entry in entries:
        write(codec.encode(entry).decode())
        count += 1
    return count


def print_csv(entries: Iterable[FeedbackEntry]) -> int:
    """Print a header and a row for each entry; no cell is a formula to a spreadsheet."""
    import csv  # noqa: PLC0415  # only what is used
    import io  # noqa: PLC0415  # as above

    write = line_writer()
    for_people = sys.stdout.isatty()

    def write_row(cells: Iterable[object]) -> None:
        row = io.StringIO()
        csv.writer(row, lineterminator="").writerow(cells)
        write(visible(row.getvalue()) if for_people else row.getvalue())

    write_row(CSV_COLUMNS)
    count = 0
    for entry in entries:
        write_row(_harmless(cell(entry)) for cell in CSV_COLUMNS.values())
        count += 1
    return count


def _harmless(cell: object) -> object:
    if isinstance(cell, str) and cell.startswith(_FORMULA_STARTS):
        return f"'{cell}"
    return cell


def _of_entry(name: str) -> Callable[[FeedbackEntry], object]:
    return lambda entry: getattr(entry, name)


def _of_metadata(name: str) -> Callable[[FeedbackEntry], object]:
    return lambda entry: getattr(entry.metadata, name)


CSV_COLUMNS: Mapping[str, Callable[[FeedbackEntry], object]] = {
    "timestamp": lambda e: codec.format_time(e.timestamp),
    "id": _of_entry("id"),
    "message_id": _of_entry("message_id"),
    "user_id": _of_entry("user_id"),
    "conversation_id": _of_metadata("conversation_id"),
    "rating": _of_entry("rating"),
    "issues": lambda e: "; ".join(e.metadata.issues),
    "explanation": _of_metadata("explanation"),
    "question": _of_entry("question"),
    "answer": _of_entry("answer"),
    "correction": _of_entry("correction"),
    "source_types": lambda e: "; ".join(sorted(e.source_types)),
    "response_time": _of_metadata("response_time"),
    "token_count": _of_metadata("token_count"),
    "trace_id": _of_entry("trace_id"),
    "name": _of_entry("name"),
    "annotator_kind": _of_entry("annotator_kind"),
    "updated_at": lambda e: codec.format_time(e.updated_at) if e.updated_at else None,
}
"""The columns of CSV, in order; new ones are added at the end."""


def print_table(entries: Iterable[FeedbackEntry]) -> int:
    """Print a table that fits the terminal, part by part, so that it may be of any length."""
    from rich.console import Console  # noqa: PLC0415  # help must not wait for it

    console = Console(highlight=False)
    remaining = iter(entries)
    count = 0
    while part := list(islice(remaining, _TABLE_ROWS)):
        show(console, _table(part, console, with_header=not count))
        count += len(part)
    return count


def _table(entries: list[FeedbackEntry], console: "Console", *, with_header: bool) -> "Table":
    from rich.table import Table  # noqa: PLC0415  # as above
    from rich.text import Text  # noqa: PLC0415  # as above

    wide = console.width >= _WIDE
    time, key = (_TIME, _ID) if wide else (_DATE, _ID // 2)
    text = max((console.width - time - _RATING - key - 5 * _GAP) // 2, 1)
    table = Table(
        box=None, pad_edge=False, padding=(0, _GAP, 0, 0), show_header=with_header,
        header_style="bold",
    )  # fmt: skip
    for title, width in zip(
        ("time (UTC)", "rating", "id", "question", "feedback"),
        (time, _RATING, key, text, text),
        strict=True,
    ):
        table.add_column(title, width=width, overflow="fold")
    for entry in entries:
        question, said = Text(visible(entry.question)), Text(visible(_feedback(entry)))
        for cell in (question, said):
            cell.truncate(text if wide else 2 * text - 1, overflow="ellipsis")
        cells = (
            entry.timestamp.isoformat(" ")[:time], _rating(entry.rating), visible(entry.id)
        )  # fmt: skip
        table.add_row(*map(Text, cells), question, said)
    return table


def _rating(rating: float | None) -> str:
    return "-" if rating is None else f"{rating:.4g}"


def _feedback(entry: FeedbackEntry) -> str:
    """Return what the user said: the issues, then the explanation."""
    told: tuple[Any, ...] = (", ".join(entry.metadata.issues), entry.metadata.explanation)
    return ": ".join(part for part in told if part)


SHAPES: Mapping[str, Shape] = {"table": print_table, "jsonl": print_jsonl, "csv": print_csv}
