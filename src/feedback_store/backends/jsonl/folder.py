"""The folder of a store, as one process knows it: all of its parts, kept up to date cheaply.

Each look costs a call for every month, which asks for its size, and one for the folder; bytes are
read only where a file grew. A file that was replaced shows by its inode, which cannot come back
while the old file is open here. A file that was cut back (a failed write) shows by the folder's
time, which whoever cuts sets to now; after any change of that time, every part proves that the
bytes read last still stand where they stood.

A file that is found is opened when something is asked of it: whoever wants one entry of a recent
month leaves the older ones alone. Opening comes after listing, so the folder is looked at again
after that: meanwhile one file may have given its place to another.
"""

import os
import secrets
import time
from collections.abc import Callable
from datetime import tzinfo
from typing import TypeVar

from feedback_store.backends.jsonl.filters import (
    WORTH_MONTHS,
    Filters,
    keep_filters,
    read_filters,
)
from feedback_store.backends.jsonl.index import Listed, list_runs
from feedback_store.backends.jsonl.layout import Layout
from feedback_store.backends.jsonl.lines import Reading
from feedback_store.backends.jsonl.naming import MonthName, parse_name
from feedback_store.backends.jsonl.part import Part
from feedback_store.backends.jsonl.records import hash_of
from feedback_store.backends.jsonl.sealed import open_sealed
from feedback_store.backends.jsonl.traits import TraitTable
from feedback_store.entry import FeedbackEntry

_RACY_NS = 50_000_000
"""Two changes within the clock's tick share one time, so a young one is not believed yet."""

_LOOKS = 10

_OPENS_ALL = 16
"""Entries that are found with the help of filters; to ask every file's status each time costs more
than having the months open."""

T = TypeVar("T")


class Folder:
    """The month files of one folder.

    Attributes:
        path: the folder, absolute.
        index_path: the folder of the index.
        inode: its number when it was last looked at: another folder may take its place.
        traits: numbers what questions ask of entries.
    """

    def __init__(self, layout: Layout, naive_tz: tzinfo) -> None:
        self.path = layout.path
        self.index_path = layout.index_path
        self._layout = layout
        self._disk = layout.disk
        self._naive_tz = naive_tz
        self.inode = -1
        self.traits = TraitTable()
        self._parts: dict[MonthName, Part] = {}
        self._order: list[Part] = []
        self._unopened: set[MonthName] = set()
        self._filters: Filters | None = None
        self._finds = 0
        self._runs: Listed = {}
        self._seen: tuple[int, int] | None = None
        self._listed: tuple[int, int] | None = None
        self._nonce = secrets.token_hex(8)
        self._changes = 0
        self._format_is_unknown = True

    def parts(self) -> list[Part]:
        """Return the parts, the oldest month first, a sealed file before what came after it."""
        if self._unopened:
            self._opening(lambda: self._wake(sorted(self._unopened)))
        return self._order

    def opened(self) -> list[Part]:
        """Return the parts of which something was asked so far."""
        return self._order

    def part(self, name: MonthName) -> Part | None:
        """Return the part of that name."""
        if name in self._unopened:
            self._opening(lambda: self._wake([name]))
        return self._parts.get(name)

    def _opening(self, look: Callable[[], T]) -> T:
        """Return the answer of a look that opens files, as of a moment when none came or went."""
        try:
            answer = look()
            for _ in range(_LOOKS):
                status = self._disk.status(self.path)
                if status is not None and (status.inode, status.modified_ns) == self._listed:
                    break
                self._seen = None
                self._look()
                answer = look()
        except BaseException:
            self.forget_all()  # as in `refresh`: a month that could not be opened is not absent
            raise
        return answer

    def _wake(self, names: list[MonthName]) -> None:
        """Open those of the files that were only listed so far."""
        for name in names:
            if name in self._unopened and self._open(name, self._runs) is None:
                self._listed = None  # it has gone since
        self._sort()

    def refresh(self) -> None:
        """Take in what changed since the last look, in this or any other process.

        The folder is looked at last: a writer that cuts a file back does so, and marks the folder,
        before the next one can append.
        """
        try:
            if not self._is_as_it_was():
                self._look()
        except BaseException:
            self.forget_all()  # an interrupt may have come between two halves of a change
            raise

    def _is_as_it_was(self) -> bool:
        """Say whether nothing came: no file has grown, and then no file has come, gone or changed.

        This asks open files for their sizes, which takes a fifth of asking for paths: with a file
        for each month of some years, that is most of what a question costs. A file that was put in
        another's place has changed the folder's time.
        """
        if self._seen is None:
            return False
        for part in self._order:
            if part.distrusted or (part.name.plain and part.file.size() != part.status.size_bytes):
                return False
        status = self._disk.status(self.path)
        return status is not None and (status.inode, status.modified_ns) == self._seen

    def _look(self) -> None:
        listed = None
        for _ in range(_LOOKS):
            for part in self._order[:]:
                if part.name.plain:
                    self._look_at(part)
            status = self._disk.status(self.path)
            if status is None:
                self.forget_all()
                return
            self.inode = status.inode
            now = (status.inode, status.modified_ns)
            if now in (self._seen, listed):
                return
            self._list()
            listed = self._listed = now
            self._seen = now if time.time_ns() - status.modified_ns > _RACY_NS else None

    def _list(self) -> None:
        if self._format_is_unknown:
            self._layout.check_format()
            self._format_is_unknown = False
        names = {name for n in self._disk.list(self.path) if (name := parse_name(n))}
        for name in self._parts.keys() - names:
            self.forget(name)
        for part in self._order[:]:
            if not self._still_stands(part):
                self.forget(part.name)
        self._unopened = names - self._parts.keys()
        if self._unopened:
            self._runs = list_runs(self._disk, self.index_path)

    def _still_stands(self, part: Part) -> bool:
        if part.name.plain:
            return part.unchanged_before()
        status = self._disk.status(part.path)
        return status is not None and status[:3] == part.status[:3]

    def _look_at(self, part: Part) -> None:
        status = self._disk.status(part.path)
        if status is None:
            self.forget(part.name)
        elif status.inode != part.status.inode or status.size_bytes < part.status.size_bytes:
            self._open_again(part)
        elif part.distrusted:
            part.read_anew()
        elif status.size_bytes > part.status.size_bytes and not part.grow(status):
            self._open_again(part)  # longer, but not by what was appended

    def _open_again(self, part: Part) -> None:
        self.forget(part.name)
        self.open(part.name)

    def open(self, name: MonthName) -> Part | None:
        """Open a file that has come, and read what its index does not know of it."""
        part = self._open(name, None)
        self._sort()
        return part

    def _open(self, name: MonthName, runs: Listed | None) -> Part | None:
        self._unopened.discard(name)
        path = os.path.join(self.path, name.name)
        try:
            file = self._disk.open(path) if name.plain else open_sealed(self._disk, path)
        except FileNotFoundError:
            return None  # gone again: the next look will tell
        reading = Reading(self._naive_tz, name.first_instant, self.traits)
        part = Part(self._layout, name, path, file, reading)
        part.load(runs)
        self._parts[name] = part
        return part

    def adopt(self, part: Part) -> None:
        """Take in a part that this process has just put in place."""
        self._parts[part.name] = part
        self._sort()

    def forget(self, name: MonthName) -> None:
        """Drop what is known of a file; the next look reads it again."""
        if self._parts.pop(name, None) is not None:
            self._seen = None
            self._sort()

    def forget_all(self) -> None:
        """Drop everything that is known."""
        if self._parts or self._unopened:
            self._parts.clear()
            self._unopened.clear()
            self._sort()
        self._seen = None

    def _sort(self) -> None:
        self._changes += 1
        self._order = [self._parts[name] for name in sorted(self._parts)]

    def find(
        self, id: str, hashed: int | None = None
    ) -> "tuple[FeedbackEntry, Part, int, int] | None":
        """Return the entry with the part, offset and length of its line, or None.

        The newest month is asked first: should an older writer have put an id into two months,
        the later one counts, as it does for `scan`.
        """
        if hashed is None:
            hashed = hash_of(id)
        if self._unopened:
            wanted = hashed
            return self._opening(lambda: self._find_among_all(id, wanted))
        for part in reversed(self._order):
            if (found := part.find(id, hashed)) is not None:
                return found[0], part, found[1], found[2]
        return None

    def _find_among_all(
        self, id: str, hashed: int
    ) -> "tuple[FeedbackEntry, Part, int, int] | None":
        filters = self._known_filters()
        row = filters.row(hashed)
        self._finds += 1
        for name in sorted([*self._parts, *self._unopened], reverse=True):
            if name in self._unopened:
                if filters.looks and self._finds < _OPENS_ALL:
                    status = self._disk.status(f"{self.path}/{name.name}")
                    if filters.rules_out(name.name, status, row):
                        continue
                self._wake([name])
            part = self._parts.get(name)
            if part is not None and (found := part.find(id, hashed)) is not None:
                return found[0], part, found[1], found[2]
        return None

    def _known_filters(self) -> Filters:
        if self._filters is None:
            self._filters = read_filters(self._disk, self.index_path)
        return self._filters

    def keep(self) -> None:
        """Write what the next process would have to find out anew: a writer's last act."""
        for part in self._order:
            part.keep_index()
        if len(self._order) >= WORTH_MONTHS:
            keep_filters(self._layout, self._known_filters(), self.parts())

    def version(self) -> str:
        """Return a token of what is known now, which never comes back in this process.

        Files are counted as they are opened: numbers and times of the system come back. What is
        known of an open one only grows, but where it was read anew, which is counted too.
        """
        indexes = [part.index for part in self.parts()]
        known = sum([index.end for index in indexes])
        discards = sum([index.discards for index in indexes])
        return f"{self._nonce}-{self._changes}-{discards}-{known}"
