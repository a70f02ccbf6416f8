"""Appending to month files: whole lines by one write, cut back when it fails.

What is written here is not durable yet; the store syncs it after it has freed the lock.
"""

import errno
import os
import time
from collections.abc import Iterable

import attrs

from feedback_store.backends.jsonl.disk import Disk, File
from feedback_store.backends.jsonl.folder import Folder
from feedback_store.backends.jsonl.layout import Layout, write_all
from feedback_store.backends.jsonl.naming import plain_name
from feedback_store.backends.jsonl.part import Part
from feedback_store.backends.jsonl.records import Line
from feedback_store.backends.jsonl.traits import TraitTable
from feedback_store.entry import FeedbackEntry
from feedback_store.stamps import stamp_of
from feedback_store.wire import Glimpse

_PAUSE_S = 0.001


class FileReplacedError(BlockingIOError):
    """A month file was replaced by someone who does not take the lock; nothing was written."""


class Lines:
    """Lines on their way into one month file, and what the index will know of them."""

    def __init__(self, traits: TraitTable) -> None:
        self._traits = traits
        self._lines: list[bytes] = []
        self._entries: list[Line] = []
        self._size = 0

    def add(self, hashed: int, entry: FeedbackEntry, line: bytes, superseded_bytes: int) -> None:
        """Add the line of an entry, without a newline; it supersedes one of that length, if any."""
        place = self._size, stamp_of(entry.timestamp), len(line), superseded_bytes
        self._entries.append(Line(hashed, *place, *self._traits.of(Glimpse.of(entry))))
        self._lines.append(line)
        self._size += len(line) + 1

    def data(self, *, after_newline: bool) -> bytes:
        """Return the bytes to write, with a newline first where the file does not end in one."""
        return (b"\n" if after_newline else b"") + b"\n".join(self._lines) + b"\n"

    def stand_in(self, part: Part, start: int) -> bool:
        """Say whether each of the lines is a good one, from ``start`` on."""
        found = (part.index.find(line.hashed) for line in self._entries)
        return all(places and places[0][0] >= start for places in found)

    def entries(self, shift: int) -> list[Line]:
        """Return what the index takes, with the offset of each line shifted."""
        if not shift:
            return self._entries
        return [line._replace(offset=line.offset + shift) for line in self._entries]


@attrs.frozen
class Written:
    """What was written to a part: what to sync, and how to undo it.

    Attributes:
        part: the part.
        file: the open file that took it.
        start: the size before.
        end: the size after.
    """

    part: Part
    file: File
    start: int
    end: int


class Writer:
    """Writes to the parts of a folder. Every call needs the store's write lock.

    Attributes:
        patience_s: how long an unfinished last line is waited for, in seconds.
    """

    patience_s = 0.005

    def __init__(self, disk: Disk, folder: Folder, layout: Layout) -> None:
        self._disk = disk
        self._folder = folder
        self._layout = layout

    def write(self, months: "dict[str, Lines]") -> list[Written]:
        """Append lines to months, the oldest first: all of them, or none.

        Raises:
            OSError: a write failed; every file is as it was before, or, where even that failed,
                ends in a torn line that the next write seals.
        """
        done: list[Written] = []
        try:
            for month in sorted(months):
                self._write_month(month, months[month], done)
        except BaseException:
            self._cut_back(done)
            raise
        return done

    def _write_month(self, month: str, lines: Lines, done: list[Written]) -> None:
        part = self._part_of(month)
        file = self._opened(part)
        self._await_the_end_of_a_line(part)
        open_ended = part.open_ended
        data = lines.data(after_newline=open_ended)
        start = part.known_end
        end = start + len(data)
        done.append(Written(part, file, start, end))
        write_all(file, data)
        status = file.status()
        if status.size_bytes == end:
            part.note_written(data, lines.entries(int(open_ended)), status)
        else:  # somebody appends without our lock: read what stands there
            part.status = status
            part.catch_up(status.size_bytes)
            size = status.size_bytes
            done[-1] = attrs.evolve(
                done[-1], start=size, end=size
            )  # their lines are not ours to cut
            if not lines.stand_in(part, start):
                raise FileReplacedError(errno.EAGAIN, "another's line went in between", part.path)

    def _await_the_end_of_a_line(self, part: Part) -> None:
        """Give a line that another writes without our lock some time to be finished.

        A large write shows page by page while it runs. Were its half line sealed at once, its own
        newline would then leave a blank line, at which older readers give up the whole month. A
        line that a crash has torn is waited for in vain, once.
        """
        deadline = time.monotonic() + self.patience_s
        while part.open_ended and time.monotonic() < deadline:
            time.sleep(_PAUSE_S)
            status = part.file.status()
            if status.size_bytes > part.known_end:
                part.status = status
                part.catch_up(status.size_bytes)

    def _part_of(self, month: str) -> Part:
        """Return the month's plain part; make its file, with a durable name, if there is none.

        The folder is synced before the first byte is written, so that a file with bytes in it has
        a durable name, whoever made it.
        """
        name = plain_name(month)
        part = self._folder.part(name)
        if part is None or not part.status.size_bytes:
            path = os.path.join(self._folder.path, name.name)
            if part is None:
                self._layout.create(path)
            self._layout.claim(path)
            self._disk.sync_folder(self._folder.path)
            part = part or self._folder.open(name)
            if part is None:
                raise FileNotFoundError(
                    errno.ENOENT, "the file was removed while it was made", path
                )
            part.named = True
        return part

    def _opened(self, part: Part) -> File:
        if part.writer is None:
            file = self._disk.open_append(part.path)
            if file.status().inode != part.status.inode:
                self._folder.forget(part.name)
                raise FileReplacedError(errno.EAGAIN, "replaced without the lock", part.path)
            part.writer = file
        return part.writer

    def _cut_back(self, done: Iterable[Written]) -> None:
        """Undo writes: cut the files to their sizes before, and make every reader look again."""
        for written in reversed(list(done)):
            self._folder.forget(written.part.name)
            try:
                if written.start < written.file.status().size_bytes <= written.end:
                    written.file.truncate(written.start)
            except OSError:
                continue  # a torn line stays: the next write seals it
        try:
            self._disk.touch_folder(self._folder.path)
        except OSError:
            return  # the sizes alone will tell
