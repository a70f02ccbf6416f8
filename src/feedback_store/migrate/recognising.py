"""Files of every older layout, recognised by what is in them."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

from feedback_store import codec
from feedback_store.errors import InvalidEntryError, StoreUnavailableError
from feedback_store.mapping import Assumption
from feedback_store.migrate import naming, rows, tables
from feedback_store.migrate.identity import Identity
from feedback_store.migrate.sources import Kind, PassedOver, Source

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

Recognised = tuple[Kind, Callable[[Path], Iterator[rows.Row]], tuple[str, ...]]
"""A kind, what reads a file of it, and notes."""

_NO_FEEDBACK = "it holds no feedback of a known form"
_SQLITE_SUFFIXES = (".db", ".sqlite", ".sqlite3")
SUFFIXES = (".jsonl", ".ndjson", ".json", ".csv", ".tsv", *_SQLITE_SUFFIXES)
"""What the names of files end in that are looked into, in a folder; compression aside."""


def source_of(path: Path, table: str | None = None) -> Source | PassedOver:
    """Return the source that a file is.

    Args:
        path: the file.
        table: the table of a database; unless given, the one that looks like feedback.

    Raises:
        MissingExtraError: the file is compressed in a way that nothing here reads.
    """
    try:
        identity = Identity.of(path)
        recognised = _recognised(path, table)
    except (OSError, EOFError, InvalidEntryError) as error:
        return _broken(path, _reason(error))
    if isinstance(recognised, str):
        return PassedOver(path.name, recognised)
    kind, read, notes = recognised
    named = naming.any_date_of(path.name)
    return Source(
        name=path.name,
        kind=kind,
        read=partial(_guarded, read, path),
        # Reading does not change it, nor does moving: each run finds the same.
        fallback_time=named or _EPOCH + timedelta(microseconds=identity.changed_ns // 1000),
        fallback=Assumption.TIME_OF_FILE if named is None else Assumption.TIME_OF_NAME,
        flat=kind in (Kind.CSV, Kind.SQLITE),
        path=path,
        identity=identity,
        notes=notes,
    )


def _broken(path: Path, problem: str) -> Source:
    """Return a source whose only row is that it cannot be read: it must not go unnoticed."""
    row = rows.Row(path.name, 1, problem=f"cannot be read: {problem}")
    read = partial(iter, [row])
    return Source(
        name=path.name,
        kind=Kind.OTHER,
        read=read,
        fallback_time=_EPOCH,
        path=path,
        stays="it cannot be read",
    )


def _guarded(read: Callable[[Path], Iterator[rows.Row]], path: Path) -> Iterator[rows.Row]:
    """Yield the rows of a file; where it cannot be read any further, the last one says so."""
    number = 0
    try:
        for row in read(path):
            number = row.number
            yield row
    except (OSError, EOFError, InvalidEntryError) as error:
        problem = f"cannot be read any further: {_reason(error)}"
        yield rows.Row(f"{path.name}: after row {number}", number + 1, problem=problem)


def _reason(error: Exception) -> str:
    if isinstance(error, StoreUnavailableError):
        return str(error)
    return getattr(error, "strerror", None) or str(error)


def _recognised(path: Path, table: str | None) -> Recognised | str:
    """Return what a file is, or why it is left alone.

    Raises:
        OSError: it cannot be read.
        EOFError: it cannot be unpacked.
        InvalidEntryError: it is an array of JSON that is damaged.
    """
    with rows.open_bytes(path) as stream:
        first = next(
            (line for line in rows.lines(stream, rows.MAX_LINE_BYTES) if line.strip()), b""
        )
    if first.startswith(_SQLITE_MAGIC):
        return _database(path, table)
    suffix = naming.unpacked_suffix(path)
    if suffix in (".csv", ".tsv"):
        is_feedback = tables.looks_like_feedback(tables.columns_of_csv(path))
        return (Kind.CSV, tables.of_csv, ()) if is_feedback else _NO_FEEDBACK
    if suffix in _SQLITE_SUFFIXES:
        return "it is empty" if not first else "it is no SQLite database"
    return _json(path, first, is_lines=suffix in (".jsonl", ".ndjson"))


_SQLITE_MAGIC = b"SQLite format 3\x00"


def _json(path: Path, first: bytes, *, is_lines: bool) -> Recognised | str:
    """Tell lines from one value: by the first line, and where that is no JSON by itself, by all.

    A first line that is only damaged must not make one value of many lines, nor bring a large file
    of lines into memory.
    """
    value = _parsed(first)
    if value is None:
        opening = first.removeprefix(rows.BOM).lstrip()[:1]
        if opening == b"[" or (opening == b"{" and not is_lines):
            value = _whole(path)
            is_lines = is_lines or (value is None and _has_lines(path))
    elif not isinstance(value, list) and rows.ratings_in(value) is None:
        is_lines = is_lines or _may_be_entry(value)
        value = None  # a line of many, perhaps
    else:
        value = _whole(path)
    if rows.ratings_in(value) is not None:
        return Kind.BROWSER, rows.of_ratings, ()
    if _may_be_entry(value) or _is_array(value, is_lines=is_lines):
        return Kind.JSON_ARRAY, rows.of_array, ()
    if is_lines:
        return _lines_kind(path.name), rows.of_lines, ()
    if value is None and first.removeprefix(rows.BOM).lstrip()[:1] == b"[":
        rows.whole(path)  # an array that is torn is told, with what is wrong
    return _NO_FEEDBACK


def _has_lines(path: Path) -> bool:
    """Say whether some line of a file is an entry by itself."""
    with rows.open_bytes(path) as stream:
        each = rows.lines(stream, rows.MAX_LINE_BYTES)
        return any(_may_be_entry(_parsed(line)) for line in each)


def _parsed(line: bytes) -> object:
    """Return the JSON value of a line, None where it is none."""
    try:
        return codec.parse(line)
    except InvalidEntryError:
        return None


def _may_be_entry(value: object) -> bool:
    return isinstance(value, dict) and (
        tables.looks_like_feedback(list(value)) or "message_id" in value
    )


def _is_array(value: object, *, is_lines: bool) -> bool:
    """Say whether a value is an array of entries; among lines, an empty one is a bad line."""
    if not isinstance(value, list):
        return False
    return any(isinstance(item, dict) for item in value) or (not value and not is_lines)


def _whole(path: Path) -> object:
    """Return the one JSON value that a file is, None where it is none."""
    try:
        return rows.whole(path)
    except InvalidEntryError:
        return None


def _lines_kind(name: str) -> Kind:
    if naming.is_single_file(name):
        return Kind.SINGLE_FILE
    if naming.is_day_file(name):
        return Kind.DAY_FILE
    return Kind.MONTH_FILE if naming.is_month_file(name) else Kind.JSON_LINES


def _database(path: Path, table: str | None) -> Recognised | str:
    from feedback_store.backends.sqlite.table import ForeignTable, tables_of  # noqa: PLC0415  # only what is used

    found = tables_of(path)
    if found is None:
        return "it is a store of this library; `copy` moves its entries"
    alike = [
        name
        for name, columns in found.items()
        if (name == table if table is not None else tables.looks_like_feedback(columns, keyed=True))
    ]
    if len(alike) > 1:
        msg = f"several tables look like feedback: {', '.join(alike)}; say which one is meant"
        raise StoreUnavailableError(msg)
    if not alike:
        return "no table in it looks like feedback" if table is None else f"it has no table {table}"
    others = sorted(found.keys() - set(alike))
    notes = (f"other tables are not read: {', '.join(others)}",) if others else ()

    def read(path: Path) -> Iterator[rows.Row]:
        return tables.of_table(ForeignTable(path, alike[0]))

    return Kind.SQLITE, read, notes
