"""Reading snapshots back, and only what their manifest vouches for."""

import contextlib
import hashlib
import io
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from typing import Any, BinaryIO

from feedback_store.codec import decode
from feedback_store.compressing import unpacked
from feedback_store.entry import FeedbackEntry
from feedback_store.errors import InvalidEntryError, SnapshotError
from feedback_store.snapshot.encrypting import decrypted, identities_of
from feedback_store.snapshot.manifest import Manifest, from_bytes, manifest_name
from feedback_store.snapshot.partitions import verify_files
from feedback_store.snapshot.places import Folder, place_of, worded

_TRIES = 5
_CHUNK_BYTES = 1 << 20


def verify(
    target: str | os.PathLike[str], *, storage_options: Mapping[str, Any] | None = None
) -> Manifest:
    """See whether a snapshot is, byte by byte, what its manifest says.

    Others may export to the target meanwhile.

    Args:
        target: as for `export`.
        storage_options: as for `export`.

    Returns:
        What it is, as its manifest tells it.

    Raises:
        SnapshotError: it is not, or it or its manifest is missing.
        StoreUnavailableError: it cannot be read.
    """
    folder, name = place_of(target, storage_options)
    with worded(folder), ExitStack() as stack:
        return _proved(folder, name, stack)[0]


def read(
    target: str | os.PathLike[str],
    *,
    identities: Sequence[str] = (),
    storage_options: Mapping[str, Any] | None = None,
) -> Iterator[FeedbackEntry]:
    """Yield the entries of a snapshot in JSON or JSON lines: those that were exported.

    It is verified first, as a whole, and what is read is what was verified. Memory is constant; a
    snapshot from a bucket takes space on this machine's disk meanwhile.

    Args:
        target: as for `export`.
        identities: secret keys of age (``AGE-SECRET-KEY-1…``) or SSH, for an encrypted one.
        storage_options: as for `export`.

    Raises:
        SnapshotError: as for `verify`; or it is of another format, or cannot be decrypted.
        ValueError: an identity is no key.
        MissingExtraError: encryption or compression needs an extra.
        StoreUnavailableError: it cannot be read.
    """
    folder, name = place_of(target, storage_options)
    keys = identities_of(identities) if identities else []
    stack = ExitStack()
    with worded(folder), contextlib.ExitStack() as failing:
        failing.push(stack)
        manifest, file = _proved(folder, name, stack)
        if manifest.format not in ("json", "jsonl"):
            msg = f"{name} is {manifest.format}, and entries are read from JSON and JSON lines only"
            raise SnapshotError(msg)
        if manifest.encrypted and not keys:
            raise SnapshotError(f"{name} is encrypted; give an identity that can read it")
        failing.pop_all()
    return _entries(folder, name, manifest, file, keys, stack)


def _entries(  # what was found out before
    folder: Folder,
    name: str,
    manifest: Manifest,
    file: BinaryIO,
    keys: Sequence[Any],
    stack: ExitStack,
) -> Iterator[FeedbackEntry]:
    with worded(folder), stack:
        if manifest.encrypted:
            file = stack.enter_context(contextlib.closing(decrypted(file, keys, name)))
        number = 0
        for line in _lines(file, manifest.compression, name):
            try:
                yield decode(line)
            except InvalidEntryError as error:
                raise SnapshotError(f"{name}: entry {number + 1} is none: {error}") from error
            number += 1
        if number != manifest.entries:
            msg = f"{name} has {number} entries, and its manifest tells of {manifest.entries}"
            raise SnapshotError(msg)


def _lines(file: BinaryIO, compression: str, name: str) -> Iterator[bytes]:
    """Yield the elements of an array with one on each line, or lines."""
    contents = unpacked(file, compression) if compression else file
    try:
        for line in iter(contents.readline, b""):
            element = line.strip()
            if element not in (b"", b"[", b"]", b"[]"):
                yield element.removesuffix(b",")
    except EOFError as error:
        raise SnapshotError(f"{name} cannot be unpacked: {error}") from error


def _proved(folder: Folder, name: str, stack: ExitStack) -> tuple[Manifest, BinaryIO]:
    """Return what a snapshot is, and the file itself at its start; of a folder, no file.

    While somebody exports, manifest and file may be of two exports: then both are read again.
    """
    problem = ""
    for _ in range(_TRIES):
        with ExitStack() as opened:
            found = _opened(folder, name, opened)
            told = _told(folder, name, found)
            if told[0].files:
                return verify_files(folder, name, told), io.BytesIO()
            if found is None:
                problem = f"{folder.shown}: there is no {name}"
                continue
            for one in told:
                if (one.size_bytes, one.sha256) == found[1:]:
                    stack.push(opened.pop_all())
                    return one, found[0]
            problem = f"{name} is damaged, or was changed: {_difference(told[0], *found[1:])}"
    raise SnapshotError(f"{problem}; take an older one, or export again")


def _difference(told: Manifest, size_bytes: int, sha256: str) -> str:
    if size_bytes != told.size_bytes:
        return f"it has {size_bytes} bytes, and its manifest tells of {told.size_bytes}"
    return f"the SHA-256 differs: it is {sha256[:12]}…, and was {told.sha256[:12]}…"


def _told(folder: Folder, name: str, found: object) -> tuple[Manifest, ...]:
    try:
        with folder.open(manifest_name(name)) as file:
            return from_bytes(file.read(), manifest_name(name))
    except FileNotFoundError as error:
        msg = f"{folder.shown}: there is no {name}"
        if found is not None:
            msg = f"{name} has no manifest beside it, so that nothing vouches for it: export again"
        raise SnapshotError(msg) from error


def _opened(folder: Folder, name: str, stack: ExitStack) -> tuple[BinaryIO, int, str] | None:
    """Return the file at its start, its size and its checksum; None where there is no file."""
    hasher, size_bytes = hashlib.sha256(), 0
    try:
        file = stack.enter_context(folder.open(name))
    except (FileNotFoundError, IsADirectoryError):
        return None
    while data := file.read(_CHUNK_BYTES):
        hasher.update(data)
        size_bytes += len(data)
    file.seek(0)
    return file, size_bytes, hasher.hexdigest()
