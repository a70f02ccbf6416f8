"""What a folder of month files can tell of itself."""

import os
import secrets
import threading
from collections.abc import Iterator

from feedback_store.backends.jsonl import scanning
from feedback_store.backends.jsonl.damage import damaged_lines
from feedback_store.backends.jsonl.folder import Folder
from feedback_store.backends.jsonl.layout import Layout, write_all
from feedback_store.backends.jsonl.naming import is_older_layout, is_temporary, temporary_name
from feedback_store.backends.jsonl.part import Part
from feedback_store.backends.jsonl.quarantine import Quarantine
from feedback_store.backends.jsonl.records import hash_of
from feedback_store.codec import format_time
from feedback_store.errors import FeedbackStoreError, InvalidEntryError
from feedback_store.report import Check, CheckReport, Status
from feedback_store.stamps import stamp_of
from feedback_store.wire import Glimpse

_LINES_SHOWN = 10


def check(
    layout: Layout, folder: Folder, state: threading.RLock, *, deep: bool = False
) -> CheckReport:
    """Look at the folder, write to it, and read what is in it: every line, where it is ``deep``."""
    examination = _Examination(layout, folder, state, deep=deep)
    return CheckReport(location=layout.path, checks=tuple(examination.checks()))


class _Examination:
    def __init__(
        self, layout: Layout, folder: Folder, state: threading.RLock, *, deep: bool
    ) -> None:
        self._deep = deep
        self._layout = layout
        self._disk = layout.disk
        self._folder = folder
        self._state = state

    def checks(self) -> Iterator[Check]:
        try:
            status = self._disk.status(self._layout.path)
        except OSError as error:
            yield _failed("location", self._layout.path, error)
            return
        if status is None:
            hint = "it is made at the first write; see that the path is the right one"
            yield Check(
                name="location", status=Status.WARNING, message="the folder is not there", hint=hint
            )
            return
        yield Check(name="location", status=Status.OK, message=f"the folder is {self._layout.path}")
        yield Check(
            name="mode", status=Status.OK, message=f"the folder's mode is {status.mode:04o}"
        )
        user, group = status.owner
        yield Check(name="owner", status=Status.OK, message=f"the folder belongs to {user}:{group}")
        yield self._write_probe()
        try:
            with self._state:
                self._folder.refresh()
                yield from self._contents()
        except (OSError, FeedbackStoreError) as error:
            yield _failed("readable", "the month files", error)
            return
        yield from self._leftovers()

    def _write_probe(self) -> Check:
        """Really write, sync and remove a file."""
        name = temporary_name("feedback_0000-00.jsonl", secrets.token_hex(8))
        path = os.path.join(self._layout.path, name)
        try:
            file = self._layout.create(path)
            try:
                write_all(file, b"a write probe\n")
                file.sync()
                self._disk.sync_folder(self._layout.path)
            finally:
                self._disk.unlink(path)
        except OSError as error:
            return _failed("write", "a write probe", error)
        return Check(
            name="write", status=Status.OK, message="a file was written, synced and removed"
        )

    def _contents(self) -> Iterator[Check]:
        parts = self._folder.parts()
        if self._deep:
            for part in parts:
                _prove_lines(part)
        months = sorted({part.name.month for part in parts})
        span = f", {months[0]} to {months[-1]}" if months else ""
        yield Check(name="months", status=Status.OK, message=f"{len(months)} months{span}")
        snapshots = scanning.snapshot(parts)
        hidden = sum(map(len, scanning.superseded_lines(snapshots).values()))
        entries = sum(len(part.records) for part in snapshots) - hidden
        message = f"{entries} entries, and {hidden} superseded lines"
        yield Check(name="entries", status=Status.OK, message=message)
        last = next(scanning.in_order(scanning.living(snapshots), backwards=True), None)
        message = "there is none" if last is None else f"given at {format_time(last.timestamp)}"
        yield Check(name="last_entry", status=Status.OK, message=message)
        yield self._damaged_lines()
        for part in parts:
            if damage := getattr(part.file, "damage", ""):
                hint = "restore the file from a backup; what could be read is still served"
                message = f"{part.name.name} {damage}"
                yield Check(name="sealed", status=Status.ERROR, message=message, hint=hint)

    def _damaged_lines(self) -> Check:
        places = [
            f"{part.name.name}:{number}"
            for part in self._folder.parts()
            if part.index.damaged or part.known_end > part.index.end
            for number, _ in damaged_lines(part)
        ]
        if not places:
            return Check(name="damaged_lines", status=Status.OK, message="no damaged lines")
        more = f" and {len(places) - _LINES_SHOWN} more" if len(places) > _LINES_SHOWN else ""
        return Check(
            name="damaged_lines",
            status=Status.WARNING,
            message=f"{len(places)} damaged lines: {', '.join(places[:_LINES_SHOWN])}{more}",
            hint="their neighbours are served; compact moves them to quarantine/, as they are",
        )

    def _leftovers(self) -> Iterator[Check]:
        names = self._disk.list(self._layout.path)
        if stale := sum(map(is_temporary, names)):
            yield Check(
                name="stale_files",
                status=Status.WARNING,
                message=f"{stale} temporary files of a rewrite that runs or was cut short",
                hint="compact removes them; they are never read",
            )
        if older := sorted(filter(is_older_layout, names)):
            yield Check(
                name="older_layout",
                status=Status.WARNING,
                message=f"{len(older)} files of an older layout are not read: {older[0]} ...",
                hint="import them: feedback-store import FILE",
            )
        if kept := len(Quarantine(self._layout).files()):
            message = f"{kept} files of damaged lines in quarantine/"
            yield Check(name="quarantine", status=Status.OK, message=message)


def _prove_lines(part: Part) -> None:
    """Read every line; where one is not what the index takes it for, read the file anew."""
    records, reader = part.records(), scanning.LineReader(part.file)
    for i, offset in enumerate(records.offsets):
        first = max(offset - 1, 0)
        text = reader.read(first, offset + records.lengths[i] + 1 - first)
        line = text[offset - first :][: records.lengths[i]]
        around = text[: offset - first] + text[offset - first + len(line) :]
        try:
            entry = part.decode(line)
        except InvalidEntryError:
            return part.read_anew()
        known = (records.hashes[i], records.stamps[i], records.traits[i], records.responses[i])
        traits = part.traits.of(Glimpse.of(entry))
        told = (hash_of(entry.id), stamp_of(entry.timestamp), *traits)
        if around.strip(b"\n\0") or told != known:
            return part.read_anew()
    return None


def _failed(name: str, what: str, error: Exception) -> Check:
    reason = getattr(error, "strerror", None) or str(error)
    hint = "see that this user may read and write there, and that the disk is healthy"
    return Check(name=name, status=Status.ERROR, message=f"{what}: {reason}", hint=hint)
