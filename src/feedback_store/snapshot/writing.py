"""One file of a snapshot, written in its format, and what is to be told of it."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, BinaryIO

from feedback_store.snapshot.csv_format import write_csv
from feedback_store.snapshot.formats import (
    as_lines,
    dpo_of,
    kto_of,
    write_json,
    write_jsonl,
    write_training,
)
from feedback_store.snapshot.forms import Form
from feedback_store.snapshot.manifest import Manifest
from feedback_store.snapshot.material import Material, RawSource
from feedback_store.snapshot.output import Output
from feedback_store.snapshot.parquet import write_parquet


def written(
    file: BinaryIO, material: Material, form: Form, keys: Sequence[Any], rows: RawSource | None
) -> Manifest:
    """Write a file; return what it is.

    Args:
        file: the file, open for writing, unbuffered.
        material: the entries.
        form: what it is to look like.
        keys: those who can read it; where there are any, it is encrypted.
        rows: what has rows, where these are wanted instead of entries.
    """
    created_at = datetime.now(UTC)
    with Output(file, form.compression, keys) as output:
        number = _write(material, form.format, output, rows)
    passed = number if rows is not None else material.number
    return Manifest(
        format=form.format if rows is None else f"raw {form.format}",
        compression=form.compression,
        encrypted=form.encrypted,
        entries=number,
        skipped=passed - number,
        first=material.first,
        last=material.last,
        version=material.version,
        created_at=created_at,
        size_bytes=output.size_bytes,
        sha256=output.sha256,
    )


def _write(material: Material, format: str, output: Output, rows: RawSource | None) -> int:
    if format in ("json", "jsonl"):
        lines = material.lines() if rows is None else as_lines(material.counted(rows.raw_rows()))
        return (write_json if format == "json" else write_jsonl)(lines, output)
    if format == "csv":
        return write_csv(material, output)
    if format == "parquet":
        return write_parquet(material, output)
    return write_training(kto_of if format == "kto" else dpo_of)(material, output)
