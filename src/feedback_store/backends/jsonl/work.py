"""What one call has to write, and what must be durable before it is acknowledged."""

import os

from feedback_store.backends.jsonl.disk import Readable
from feedback_store.backends.jsonl.doubts import Doubts
from feedback_store.backends.jsonl.folder import Folder
from feedback_store.backends.jsonl.part import Part
from feedback_store.backends.jsonl.records import hash_of
from feedback_store.backends.jsonl.writing import Lines
from feedback_store.entry import FeedbackEntry
from feedback_store.operations import same_content
from feedback_store.store import Outcome


class Work:
    """The work of one call: lines to write, and stretches to sync.

    Attributes:
        months: the lines to write, by month.
        syncs: what else must be durable: a part, an open file of it, and up to which byte.
    """

    def __init__(self, folder: Folder, doubts: Doubts) -> None:
        self._folder = folder
        self._doubts = doubts
        self._looked = False
        self._fresh: dict[str, FeedbackEntry] = {}
        self.months: dict[str, Lines] = {}
        self.syncs: list[tuple[Part, Readable, int]] = []

    def judge(self, entry: FeedbackEntry, line: bytes) -> Outcome:
        """Say what becomes of an entry, and plan what that takes."""
        if (there := self._fresh.get(entry.id)) is None:
            hashed = hash_of(entry.id)
            if (found := self._folder.find(entry.id, hashed)) is None:
                self._fresh[entry.id] = entry
                self._lines_of(entry.month).add(hashed, entry, line, 0)
                return Outcome.ADDED
            there, part, offset, length = found
            if same_content(there, entry):
                self.keep(there, part, offset, length)
        return Outcome.UNCHANGED if same_content(there, entry) else Outcome.CONFLICT

    def supersede(self, entry: FeedbackEntry, line: bytes, part: Part, length: int) -> None:
        """Plan to write a revision of an entry whose line, of that length, stands in a part."""
        self._lines_of(part.name.month).add(hash_of(entry.id), entry, line, length)

    def _lines_of(self, month: str) -> Lines:
        if (lines := self.months.get(month)) is None:
            lines = self.months[month] = Lines(self._folder.traits)
        return lines

    def keep(self, entry: FeedbackEntry, part: Part, offset: int, length: int) -> None:
        """Plan what makes a line durable that stands there: another may have left it unsynced."""
        if not self._looked:
            self._doubts.look()
            self._looked = True
        if self._doubts.hold(part.name.name, part.status.inode, offset):
            self.supersede(entry, part.file.read(offset, length), part, length)
        else:
            self.syncs.append((part, part.writer or part.file, offset + length))


def absolute(path: "str | os.PathLike[str]") -> str:
    """Return where a path leads, seen from now: the process may change its folder later."""
    return os.path.abspath(os.path.expanduser(os.fspath(path)))
