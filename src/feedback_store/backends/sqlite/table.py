"""A table of another program's database, read without leaving a trace."""

import shutil
import sqlite3
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

from feedback_store.backends.sqlite.schema import APPLICATION_ID
from feedback_store.backends.sqlite.wording import Worded

MAGIC = b"SQLite format 3\x00"
"""What every database file begins with."""

COMPANIONS = ("-wal", "-journal", "-shm")
"""What stands after the name of a database in those of files that belong to it."""


class ForeignTable:
    """A table of a database that is no store of ours.

    Nothing is written, beside the file neither: where changes wait in a log, a copy is read.

    Args:
        path: the file.
        name: the table.
    """

    def __init__(self, path: Path, name: str) -> None:
        self._path = path
        self._name = name

    def rows(self) -> Iterator[tuple[str, Mapping[str, Any]]]:
        """Yield each row with ``<table>-<primary key>``, in the order of the keys.

        Raises:
            StoreUnavailableError: the file is damaged, or cannot be read.
        """
        with Worded(str(self._path)), _opened(self._path) as connection:
            keys = _keys_of(connection, self._name)
            order = ", ".join(map(_quoted, keys)) or "rowid"
            query = f"SELECT {order}, * FROM {_quoted(self._name)} ORDER BY {order}"  # noqa: S608  # names are quoted
            cursor = connection.execute(query)
            count = max(len(keys), 1)
            names = [column[0] for column in cursor.description[count:]]
            for values in cursor:
                id = "-".join(map(str, (self._name, *values[:count])))  # the entry's word
                yield id, dict(zip(names, values[count:], strict=True))


def tables_of(path: Path) -> Mapping[str, Sequence[str]] | None:
    """Return the columns of every table, by its name; None of a store of ours.

    Raises:
        StoreUnavailableError: the file is damaged, or cannot be read.
    """
    with Worded(str(path)), _opened(path) as connection:
        if connection.execute("PRAGMA application_id").fetchone()[0] == APPLICATION_ID:
            return None
        found = connection.execute(
            "SELECT name FROM sqlite_master WHERE type IN ('table', 'view')"
            " AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY name"
        )
        return {name: _columns_of(connection, name) for (name,) in found.fetchall()}


def _columns_of(connection: sqlite3.Connection, table: str) -> list[str]:
    return [row[1] for row in connection.execute(f"PRAGMA table_info({_quoted(table)})")]


def _keys_of(connection: sqlite3.Connection, table: str) -> list[str]:
    """Return the columns of the primary key, in its order; none where the rows have numbers."""
    columns = connection.execute(f"PRAGMA table_info({_quoted(table)})").fetchall()
    keys = sorted((row[5], row[1]) for row in columns if row[5])
    if not keys and _is_view(connection, table):
        return [columns[0][1]]
    return [name for _, name in keys]


def _is_view(connection: sqlite3.Connection, table: str) -> bool:
    query = "SELECT type FROM sqlite_master WHERE name = ?"
    return bool(connection.execute(query, (table,)).fetchone() == ("view",))


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


@contextmanager
def _opened(path: Path) -> Iterator[sqlite3.Connection]:
    """Open a database for reading; the file and its folder are left as they are.

    An immutable one is read without locks, and without the files that SQLite would put beside it.
    It would also be read without what waits in its log, so then a copy is made.
    """
    waiting = [
        c
        for c in COMPANIONS
        if (there := path.with_name(path.name + c)).exists() and there.stat().st_size
    ]
    with tempfile.TemporaryDirectory() as folder:
        if waiting:
            copied = Path(folder, "copy")
            shutil.copyfile(path, copied)
            for companion in waiting:
                if companion != "-shm":  # it is made anew of the log
                    shutil.copyfile(path.with_name(path.name + companion), f"{copied}{companion}")
            uri = f"file:{quote(str(copied))}"
        else:
            uri = f"file:{quote(str(path.absolute()))}?immutable=1"
        with closing(sqlite3.connect(uri, uri=True, isolation_level=None)) as connection:
            connection.text_factory = _as_text
            yield connection


def _as_text(data: bytes) -> str | bytes:
    """Return text, and as bytes what somebody stored as text and is none: its row is refused."""
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data
