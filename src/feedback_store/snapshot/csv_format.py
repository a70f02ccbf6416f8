"""CSV as RFC 4180 has it, in UTF-8 with a header: for spreadsheets, and for readers of tables."""

import csv
import io
from collections.abc import Callable
from typing import Any

from feedback_store.codec import format_time
from feedback_store.entry import FeedbackEntry
from feedback_store.snapshot.columns import COLUMNS, said
from feedback_store.snapshot.material import Material
from feedback_store.snapshot.output import Output

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "'")
"""What a spreadsheet takes for the beginning of a formula, by OWASP's page on CSV injection; and
the apostrophe itself, so that taking one away gives back every text."""

_PIECE_CHARS = 1 << 18


def write_csv(material: Material, output: Output) -> int:
    """Write a header and a row for each entry; return how many rows there are.

    A text that a spreadsheet would run as a formula gets an apostrophe before it, which shows that
    it is a text: users write these, and whoever opens the file is another.
    """
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow([column.name for column in COLUMNS])
    number = 0
    for entry in material.entries():
        writer.writerow(_row(entry))
        number += 1
        if text.tell() >= _PIECE_CHARS:
            output.write(text.getvalue().encode())
            text.seek(0)
            text.truncate()
    output.write(text.getvalue().encode())
    return number


def harmless(text: str | None) -> str:
    """Return a text that no spreadsheet takes for a formula."""
    if text is None:
        return ""
    return f"'{text}" if text.startswith(_FORMULA) else text


_CELLS: dict[str, Callable[[Any], str]] = {
    "text": harmless,
    "texts": lambda value: harmless(said(value)) if value else "",
    "json": lambda value: said(value) or "",
    "time": lambda value: "" if value is None else format_time(value),
    "number": lambda value: "" if value is None else repr(value),
}
_ROW = [(column.value, _CELLS[column.kind]) for column in COLUMNS]


def _row(entry: FeedbackEntry) -> list[str]:
    return [cell(value(entry)) for value, cell in _ROW]
