"""CSV as RFC 4180 has it, in UTF-8 with a header: for spreadsheets, and for readers of tables."""

import csv
import io

from feedback_store.codec import format_time
from feedback_store.entry import FeedbackEntry
from feedback_store.snapshot.columns import COLUMNS, said
from feedback_store.snapshot.material import Material
from feedback_store.snapshot.output import Output

_FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""What a spreadsheet takes for the beginning of a formula, by OWASP's page on CSV injection."""

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


def _row(entry: FeedbackEntry) -> list[str]:
    cells: list[str] = []
    for column in COLUMNS:
        value = column.value(entry)
        if value is None:
            cells.append("")
        elif column.kind == "text":
            cells.append(harmless(value))
        elif column.kind == "texts":
            cells.append(harmless(said(value) or "") if value else "")
        elif column.kind == "time":
            cells.append(format_time(value))
        elif column.kind == "json":
            cells.append(said(value) or "")
        else:
            cells.append(repr(value))
    return cells


def harmless(text: str) -> str:
    """Return a text that no spreadsheet takes for a formula."""
    return f"'{text}" if text.startswith(_FORMULA) or text.startswith("'") else text
