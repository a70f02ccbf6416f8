"""Parquet with a fixed schema, by pyarrow: https://parquet.apache.org/docs/file-format/.

The schema never depends on the entries: what has no fixed shape (sources, unknown keys) is text of
JSON. An inferred one would differ from file to file, and fails on an empty object.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, Self

from feedback_store.entry import FeedbackEntry
from feedback_store.errors import MissingExtraError
from feedback_store.snapshot.columns import COLUMNS, said
from feedback_store.snapshot.material import Material
from feedback_store.snapshot.output import Output

_ROW_GROUP_ENTRIES = 8192
"""Some 8 MB of rows: what a reader must hold at a time, and what a writer does."""

_REPEATED = ["rating", "issues.list.element", "annotator_kind", "name", "source_types.list.element"]
"""Columns with few values, which a dictionary makes small; for texts it would only take memory."""

_PAGE_BYTES = 1 << 16
_CHUNK_ENTRIES = 256


def write_parquet(material: Material, output: Output) -> int:
    """Write one file; return how many rows it has.

    Raises:
        MissingExtraError: the extra ``parquet`` is not installed.
    """
    with ParquetFile(output) as file:
        for chunk in chunks_of(material.entries()):
            file.add(chunk)
    return file.rows


def chunks_of(entries: Iterable[FeedbackEntry]) -> Iterator[list[FeedbackEntry]]:
    """Yield entries in lists of a bounded number."""
    remaining = iter(entries)
    while chunk := list(islice(remaining, _CHUNK_ENTRIES)):
        yield chunk


class ParquetFile:
    """A file that is written chunk by chunk, as a context.

    Attributes:
        rows: how many rows it has.
    """

    def __init__(self, output: Output) -> None:
        self.rows = 0
        self._arrow, parquet = _pyarrow()
        # Arrow's own allocators keep 30 MB for themselves; what is written here is small.
        self._pool_before = self._arrow.default_memory_pool()
        self._arrow.set_memory_pool(self._arrow.system_memory_pool())
        self._schema = _schema(self._arrow)
        self._chunks: list[Any] = []
        self._waiting = 0
        self._file = self._arrow.PythonFile(_Stream(output), mode="w")
        self._writer = parquet.ParquetWriter(
            self._file,
            self._schema,
            compression="zstd",
            use_dictionary=_REPEATED,
            data_page_size=_PAGE_BYTES,
        )

    def add(self, entries: Sequence[FeedbackEntry]) -> None:
        """Write entries."""
        arrays = [
            self._arrow.array(_values(i, entries), type=self._schema.field(i).type)
            for i in range(len(COLUMNS))
        ]
        self._chunks.append(self._arrow.RecordBatch.from_arrays(arrays, schema=self._schema))
        self.rows += len(entries)
        self._waiting += len(entries)
        if self._waiting >= _ROW_GROUP_ENTRIES:
            self._flush()

    def _flush(self) -> None:
        if self._chunks:
            table = self._arrow.Table.from_batches(self._chunks)
            self._writer.write_table(table, row_group_size=self._waiting)
        self._chunks, self._waiting = [], 0

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        """Write the end, unless it failed before."""
        try:
            if error is None:
                self._flush()
            self._writer.close()
            self._file.close()
        finally:
            self._arrow.set_memory_pool(self._pool_before)


class _Stream:
    """As much of a file as pyarrow asks for."""

    closed = False

    def __init__(self, output: Output) -> None:
        self._output = output
        self._position = 0

    def write(self, data: Any) -> int:  # noqa: ANN401  # any buffer
        taken = bytes(data)
        self._output.write(taken)
        self._position += len(taken)
        return len(taken)

    def tell(self) -> int:
        return self._position

    def flush(self) -> None:
        """Do nothing: the output decides."""

    def close(self) -> None:
        self.closed = True


def _values(column: int, entries: Sequence[FeedbackEntry]) -> list[Any]:
    kind, value = COLUMNS[column].kind, COLUMNS[column].value
    if kind == "json":
        return [said(value(entry)) for entry in entries]
    if kind == "number":
        return [None if (one := value(entry)) is None else float(one) for entry in entries]
    return [value(entry) for entry in entries]


def _schema(arrow: Any) -> Any:  # noqa: ANN401  # it has no types
    kinds = {
        "text": arrow.string(),
        "number": arrow.float64(),
        "time": arrow.timestamp("us", tz="UTC"),
        "texts": arrow.list_(arrow.string()),
        "json": arrow.string(),
    }
    return arrow.schema([arrow.field(c.name, kinds[c.kind]) for c in COLUMNS])


def _pyarrow() -> tuple[Any, Any]:
    try:
        import pyarrow as pa  # noqa: PLC0415  # an extra, and half a second
        from pyarrow import parquet  # noqa: PLC0415  # as above
    except ImportError as error:
        msg = "Parquet needs the extra 'parquet': pip install 'feedback-store[parquet]'"
        raise MissingExtraError(msg, name=error.name) from error
    return pa, parquet
