"""Moving what was migrated out of the way: never over anything, and never half.

A file is linked under its new name, the name is made durable, the account of what was not taken is
written beside it, and only then the old name goes. A kill between leaves two names of one file: the
next run finds that they are the same, and goes on. A rename would take less, but replaces what has
the name; ``renameat2`` with NOREPLACE, which does not, is not to be had everywhere.
"""

import errno
import json
import os
import secrets
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import NamedTuple

import attrs

from feedback_store.errors import StoreUnavailableError
from feedback_store.failures import Worded
from feedback_store.migrate.finding import BACKUP_FOLDER, COMPANIONS, Found
from feedback_store.migrate.report import FileReport, Move, Report
from feedback_store.migrate.sources import Source

ACCOUNT_NAME = "migration.json"
"""The report beside the moved files, which tells of the rows in them that were not taken."""

_NO_LINKS = {errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK}
_NO_SYNC_OF_FOLDERS = {errno.EINVAL, errno.EBADF}
_TEMPORARY = ".migration."
_FILE_MODE = 0o664


def moved(found: Found, report: Report, move: Move) -> Report:
    """Move the files that may be, and return the report with where they are now.

    What cannot be moved stays, and the report says so: the entries are safe all the same.
    """
    if found.folder is None or move is Move.NONE:
        return report
    report = attrs.evolve(report, files=tuple(_with_reasons(report, move)))
    try:
        with Worded(str(found.folder)):
            _remove_remains(found.folder)
            return _moved(found, report)
    except StoreUnavailableError as error:
        return attrs.evolve(report, problem=f"not all could be moved: {error}")


def _with_reasons(report: Report, move: Move) -> Iterator[FileReport]:
    """Yield the files, each with why it stays, if it does.

    From the first one that stays, all newer ones do. Were they gone, the next run would take a row
    that they supersede for the last one of its id, and for a conflict with what is stored.
    """
    held = False
    for file in report.files:
        reason = file.stays or _reason_to_stay(file, report, move)
        if not reason and held:
            reason = "it is newer than a file that stays"
        held = held or (bool(reason) and not file.in_place)
        yield attrs.evolve(file, stays=reason)


def _reason_to_stay(file: FileReport, report: Report, move: Move) -> str:
    if not report.is_verified:
        return "not all is verified"
    if move is Move.CLEAN and file.has_problems:
        return "some of its rows were refused or are in conflict"
    return ""


class _Group(NamedTuple):
    """A file with those that belong to it, and the names that they get."""

    source: Source
    files: tuple[Path, ...]
    places: tuple[Path, ...]


def _moved(found: Found, report: Report) -> Report:
    """Move the files that nothing keeps."""
    going = [
        (number, source)
        for number, source in enumerate(found.sources)
        if source.path is not None and not report.files[number].stays
    ]
    if not going or found.folder is None:
        return report
    backup = _made(found.folder)
    groups = {number: _linked(source, backup) for number, source in going}
    sync_folder(backup)
    report = attrs.evolve(
        report,
        files=tuple(
            attrs.evolve(file, moved_to=f"{BACKUP_FOLDER}/{groups[n].places[0].name}")
            if n in groups
            else file
            for n, file in enumerate(report.files)
        ),
    )
    report = _with_account(report, backup)
    for group in groups.values():  # oldest first, as `_with_reasons` wants it after a kill too
        group.source.check_unchanged()
        for file, place in zip(group.files, group.places, strict=True):
            _leave(file, place)
        sync_folder(found.folder)
    return report


def _made(folder: Path) -> Path:
    """Return the folder of moved files, durably made, with the rights of the one that it is in."""
    backup = folder / BACKUP_FOLDER
    try:
        backup.mkdir()
    except FileExistsError:
        pass  # an earlier run has made it, and perhaps not lived to sync its name
    else:
        above = folder.stat()
        backup.chmod(above.st_mode & 0o7777)
        _own(backup, above)
    sync_folder(folder)
    return backup


def _own(path: Path, above: os.stat_result) -> None:
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        os.chown(path, above.st_uid, above.st_gid)


def _linked(source: Source, backup: Path) -> _Group:
    """Give a file, and those that belong to it, a second name that nothing has yet."""
    assert source.path is not None  # only files go
    main = source.path
    endings = ["", *(ending for ending in COMPANIONS if _beside(main, ending).exists())]
    files = tuple(_beside(main, ending) for ending in endings)
    for number in count():
        name = main.name if number == 0 else f"{main.name}.{number}"
        places = tuple(_beside(backup / name, ending) for ending in endings)
        if all(_take(file, place) for file, place in zip(files, places, strict=True)):
            return _Group(source, files, places)
    raise AssertionError  # pragma: no cover  # there is no end of numbers


def _beside(path: Path, ending: str) -> Path:
    return path.with_name(path.name + ending)


def _take(file: Path, place: Path) -> bool:
    """Give a file a second name; say whether it has it now, or something else has."""
    try:
        os.link(file, place)
    except FileExistsError:
        # It is the same file when an earlier run came so far.
        return place.samefile(file)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        return _reserve(place)
    return True


def _reserve(place: Path) -> bool:
    """Take a name by an empty file, where there are no links; the file will be moved over it."""
    try:
        os.close(os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _FILE_MODE))
    except FileExistsError:
        return False
    return True


def _leave(file: Path, place: Path) -> None:
    """Give up the old name of a file; another run may have been faster."""
    try:
        if place.samefile(file):
            file.unlink()
        else:
            file.replace(place)  # over our own empty file
    except FileNotFoundError:
        return


def _with_account(report: Report, backup: Path) -> Report:
    """Write the report beside the moved files, whole or not at all, under a name of its own."""
    temporary = backup / f"{_TEMPORARY}{secrets.token_hex(8)}.tmp"
    while True:
        name = _free_name(backup, ACCOUNT_NAME)
        report = attrs.evolve(report, account=f"{BACKUP_FOLDER}/{name}")
        _write(temporary, json.dumps(report.as_json(), indent=2, ensure_ascii=False).encode())
        if _take(temporary, backup / name):
            break
    _leave(temporary, backup / name)
    sync_folder(backup)
    return report


def _free_name(folder: Path, name: str) -> str:
    names = (name if number == 0 else f"{name}.{number}" for number in count())
    return next(free for free in names if not (folder / free).exists())


def _write(path: Path, data: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, _FILE_MODE)
    with open(descriptor, "wb") as file:  # noqa: PTH123  # it is open already
        file.write(data)
        file.flush()
        os.fchmod(descriptor, _FILE_MODE)  # whatever the umask
        _own(path, path.parent.stat())
        os.fsync(descriptor)


def _remove_remains(folder: Path) -> None:
    """Remove what a killed run has left: accounts that are half, and second names of its files.

    A database went, and a file that belonged to it still has its old name: see `_leave`.
    """
    backup = folder / BACKUP_FOLDER
    if not backup.is_dir():
        return
    for half in backup.glob(f"{_TEMPORARY}*.tmp"):
        half.unlink(missing_ok=True)
    kept = {(found.st_dev, found.st_ino) for found in (p.lstat() for p in backup.iterdir())}
    for ending in COMPANIONS:
        for path in folder.glob(f"*{ending}"):
            main = path.with_name(path.name.removesuffix(ending))
            found = path.lstat()
            if not main.exists() and (found.st_dev, found.st_ino) in kept:
                path.unlink(missing_ok=True)


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable, where the filesystem can."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _NO_SYNC_OF_FOLDERS:
            raise
    finally:
        os.close(descriptor)
