"""Finding the sources: one file, all files of a folder, a table, or what a caller yields."""

import os
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import attrs

from feedback_store.errors import StoreUnavailableError, UnknownBackendError
from feedback_store.migrate import naming
from feedback_store.migrate.recognising import SUFFIXES, source_of
from feedback_store.migrate.rows import Row
from feedback_store.migrate.sources import Kind, PassedOver, Source
from feedback_store.migrate.tables import of_table

BACKUP_FOLDER = "legacy_backup"
"""The folder, inside the source, that migrated files move to."""

_SERVER = re.compile(r"(?i)postgres(ql)?://")
_STATE_FOLDER = ".feedback_store"
_OWN_FOLDERS = (BACKUP_FOLDER, "quarantine")
COMPANIONS = ("-wal", "-journal", "-shm")
"""What stands after the name of a database in those of files that belong to it."""


@attrs.frozen(kw_only=True)
class Found:
    """What there is to migrate.

    Attributes:
        location: where it was looked for, as it is told in a report.
        sources: the sources, oldest first.
        passed_over: what else is in the folder.
        folder: the folder that migrated files are in; None of what is no file.
        is_folder: whether the source is that folder, and not a file in it.
        backed_up: what earlier runs have moved to `BACKUP_FOLDER`.
    """

    location: str
    sources: tuple[Source, ...] = ()
    passed_over: tuple[PassedOver, ...] = ()
    folder: Path | None = None
    is_folder: bool = False
    backed_up: tuple[str, ...] = ()


def find(source: str | os.PathLike[str] | Source, target: Path | None, table: str | None) -> Found:
    """Find the sources.

    Args:
        source: a file, a folder, the URL of a table, or a source of the caller's own.
        target: where the target is, if it is on a disk.
        table: the table of a database.

    Raises:
        StoreUnavailableError: nothing is there, or it is no source, or cannot be listed.
        MissingExtraError: a file is compressed in a way that nothing here reads, or the server
            needs a package that is not installed.
        UnknownBackendError: the URL of a server names no table, or is none.
    """
    if isinstance(source, Source):
        return Found(location=source.name, sources=(source,))
    if isinstance(source, str) and _SERVER.match(source):
        return _on_server(source, table)
    path = Path(source)
    if path.is_dir():
        return _in_folder(path, target, table)
    if not path.exists():
        msg = f"{path}: nothing is there to migrate; give a file, a folder, or the URL of a table"
        raise StoreUnavailableError(msg)
    found = source_of(path, table)
    if isinstance(found, PassedOver):
        msg = f"{path}: it cannot be migrated: {found.reason}"
        raise StoreUnavailableError(msg)
    placed = _placed(found, path.parent, target)
    backed_up = _backed_up(path.parent)
    return Found(location=str(path), sources=(placed,), folder=path.parent, backed_up=backed_up)


def _on_server(url: str, table: str | None) -> Found:
    """Return the table of a server that a URL names; its rows without a time get that of now."""
    from feedback_store.backends.postgres.address import parse  # noqa: PLC0415  # psycopg may be absent
    from feedback_store.backends.postgres.table import TableSource  # noqa: PLC0415  # as above

    address = parse(url)
    name = table or address.table
    if not name:
        msg = f"{address.shown} names no table: write postgresql://host/database?table=votes"
        raise UnknownBackendError(msg)

    def read() -> Iterator[Row]:
        with TableSource(url, name) as source:
            yield from of_table(source)

    source = Source(
        name=name, kind=Kind.TABLE, read=read, fallback_time=datetime.now(UTC), flat=True
    )
    return Found(location=address.shown, sources=(source,))


def _in_folder(folder: Path, target: Path | None, table: str | None) -> Found:
    sources: list[Source] = []
    passed_over: list[PassedOver] = []
    for path in _listed(folder):
        reason = _reason_to_pass(path, target)
        found = PassedOver(path.name, reason) if reason else source_of(path, table)
        if isinstance(found, PassedOver):
            passed_over.append(found)
        else:
            sources.append(_placed(found, folder, target))
    return Found(
        location=str(folder),
        sources=tuple(sorted(sources, key=lambda source: source.age)),
        passed_over=tuple(passed_over),
        folder=folder,
        is_folder=True,
        backed_up=_backed_up(folder),
    )


def _listed(folder: Path) -> list[Path]:
    """Return what is in a folder, without what belongs to something else in it.

    Raises:
        StoreUnavailableError: it cannot be listed.
    """
    try:
        names = sorted(path.name for path in folder.iterdir())
    except OSError as error:
        msg = f"{folder}: it cannot be listed: {error.strerror}"
        raise StoreUnavailableError(msg) from error
    mains = {f"{name}{companion}" for name in names for companion in COMPANIONS}
    hidden = {name for name in names if name.startswith(".")}
    return [folder / name for name in names if name not in {*hidden, *mains, *_OWN_FOLDERS}]


def _reason_to_pass(path: Path, target: Path | None) -> str:
    """Say why something in a folder is no source; nothing of what may be one."""
    if path.is_dir():
        return "it is a folder; give it as a source of its own"
    if not path.is_file():
        return "it is no file"
    if target is not None and target.exists() and path.samefile(target):
        return "it is the target"
    if naming.unpacked_suffix(path) not in SUFFIXES:
        return "its name is none that feedback has"
    return ""


def _placed(source: Source, folder: Path, target: Path | None) -> Source:
    """Return a source that knows whether it may be moved, and whether the target reads it."""
    if naming.is_month_file(source.name):
        if target is not None and target.is_dir() and folder.samefile(target):
            return attrs.evolve(source, in_place=True, stays="the store reads it where it is")
        if (folder / _STATE_FOLDER).is_dir():
            return attrs.evolve(source, stays="it belongs to the store in that folder")
    if source.path is not None and source.path.is_symlink():
        return attrs.evolve(source, stays="it is a link to a file elsewhere")
    return source


def _backed_up(folder: Path) -> tuple[str, ...]:
    backup = folder / BACKUP_FOLDER
    if not backup.is_dir():
        return ()
    return tuple(sorted(path.name for path in backup.iterdir() if not path.name.startswith(".")))
