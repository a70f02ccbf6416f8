"""`export`: what a store holds, as one file that is always whole."""

import os
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from typing import Any

import attrs

from feedback_store.errors import SnapshotError
from feedback_store.query import Order, Query
from feedback_store.snapshot import keeping
from feedback_store.snapshot.encrypting import recipients_of
from feedback_store.snapshot.forms import Form, form_of
from feedback_store.snapshot.manifest import Manifest, from_bytes, manifest_name, to_bytes
from feedback_store.snapshot.material import Holder, Material, Progress, RawSource, Source
from feedback_store.snapshot.partitions import sum_of, write_months
from feedback_store.snapshot.places import Folder, place_of, worded
from feedback_store.snapshot.writing import written

_EVERYTHING = Query()


def export(  # noqa: PLR0913  # each is a choice with a default
    source: Source | Holder,
    target: str | os.PathLike[str],
    query: Query = _EVERYTHING,
    *,
    format: str | None = None,
    raw: bool = False,
    partitioned: bool = False,
    recipients: Sequence[str] = (),
    keep: int | None = None,
    keep_for: timedelta | None = None,
    storage_options: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
) -> Manifest:
    """Write what a source holds, as of the call, to one file, with a manifest beside it.

    Atomicity: at every instant, and after a kill or a power cut at any, the target is as it was or
    whole and new, and so does its manifest tell. A kill may leave a temporary file, which the next
    export to the target removes. Durable when it returns.
    Memory: constant, whatever there is to export.
    Others: exports to one folder of this machine wait for each other; to a bucket, the last one
    counts.

    Args:
        source: a store, or a table of other people.
        target: a path, or a URL of any filesystem of fsspec. Its suffix tells the format
            (``.json``: an array, ``.jsonl``, ``.csv``, ``.parquet``), then the compression
            (``.gz``, ``.zst``), then whether it is encrypted (``.age``).
        query: which entries; by time, oldest first, unless it asks for another order.
        format: the format where the suffix does not tell it: ``kto`` or ``dpo``, training data as
            JSON lines, among them.
        raw: the rows of a table as they are, as ``json`` or ``jsonl``; the query must be empty.
        partitioned: of Parquet: a folder with a file for each month, as query engines read it.
        recipients: public keys of age (``age1…``) or SSH: only who has the key of one can read it.
        keep: how many older snapshots to keep; unless given, and without ``keep_for``, the one
            that is replaced is gone, and older ones that are there stay.
        keep_for: how long to keep older snapshots.
        storage_options: what the filesystem of a URL takes.
        progress: called now and then with how many entries have passed.

    Returns:
        What was written, as the manifest tells it.

    Raises:
        ValueError: the target, the format or a recipient makes no sense.
        TypeError: raw rows are wanted of what has none.
        MissingExtraError: the format, compression, encryption or filesystem needs an extra.
        StoreUnavailableError: the source or the target failed; the target is as it was.
    """
    folder, name = place_of(target, storage_options)
    form = form_of(name, "parquet" if partitioned else format)
    rows = _rows_of(source, form, query) if raw else None
    keeps = keep is not None or keep_for is not None
    _check(form, encrypted=bool(recipients), keep=keep)
    keys = recipients_of(recipients) if recipients else []
    with worded(folder), folder.alone(), ExitStack() as stack:
        material = Material(source, query, progress)
        before = _present(folder, name)
        if partitioned:
            _check_parts(query, form, keeps=keeps)
            draft: Any = stack.enter_context(folder.tree(name))
            manifest = _partitioned(material, draft)
        else:
            draft = stack.enter_context(folder.draft(name))
            manifest = written(draft.file, material, form, keys, rows)
        manifest = attrs.evolve(manifest, whole=query.is_empty)
        if keeps:
            keeping.keep(folder, name, before)
        folder.write(manifest_name(name), to_bytes(manifest, before))
        draft.publish()
        if keeps:
            keeping.prune(folder, name, keep, keep_for)
    return manifest


def _check(form: Form, *, encrypted: bool, keep: int | None) -> None:
    if encrypted and not form.encrypted:
        raise ValueError("recipients are given: let the target's name end in .age, to show it")
    if form.encrypted and not encrypted:
        msg = "the target's name ends in .age: give the recipients who shall be able to read it"
        raise ValueError(msg)
    if keep is not None and keep < 0:
        raise ValueError(f"keep is how many older snapshots to keep: 0 or more, not {keep}")


def _check_parts(query: Query, form: Form, *, keeps: bool) -> None:
    if query.ordered(Order.OLDEST).order not in (Order.OLDEST, Order.NEWEST):
        raise ValueError("a file for each month goes by time: leave out the order by rating")
    if form.encrypted or keeps:
        raise ValueError("a folder of months is neither encrypted, nor are older ones kept")


def _rows_of(source: object, form: Form, query: Query) -> RawSource:
    if not isinstance(source, RawSource):
        raise TypeError("raw rows are those of a table: give a TableSource")
    if form.format not in ("json", "jsonl"):
        raise ValueError(f"raw rows go to JSON or JSON lines, not to {form.format}")
    if not query.is_empty:
        raise ValueError("raw rows are no entries, and no query can choose among them")
    return source


def _partitioned(material: Material, tree: Any) -> Manifest:  # noqa: ANN401  # see `places.Tree`
    created_at = datetime.now(UTC)
    parts = write_months(material, tree)
    return Manifest(
        format="parquet",
        entries=sum(part.entries for part in parts),
        first=material.first,
        last=material.last,
        version=material.version,
        created_at=created_at,
        size_bytes=sum(part.size_bytes for part in parts),
        sha256=sum_of(parts),
        files=tuple(parts),
    )


def _present(folder: Folder, name: str) -> list[Manifest]:
    """Return what may be there now, by its manifest: nearly always one, or nothing."""
    try:
        with folder.open(manifest_name(name)) as file:
            told = from_bytes(file.read(), manifest_name(name))
    except (FileNotFoundError, SnapshotError):  # it is replaced by a good one now
        return []
    status = folder.size(name)
    fitting: dict[str, Manifest] = {}
    for one in told:
        if one.files or (status and one.size_bytes == status[0]):
            fitting.setdefault(one.sha256, one)
    return list(fitting.values())[:_MAY_BE_THERE]


_MAY_BE_THERE = 3
"""Nothing tells cheaply which of equal size it is, but it is none of the older ones."""
