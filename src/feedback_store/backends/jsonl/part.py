"""One data file of a month, as one process knows it: the file it has open, and its index.

Reading goes ahead line by line. A line is known once it ends in a newline or is whole without
one; whatever stands unfinished at the end is left for the next look, because another process may
be about to finish it. Only good lines enter the index, so that nothing behind it ever meets a
damaged one.
"""

import hashlib
import logging
from collections.abc import Callable
from typing import TypeVar

from feedback_store.backends.jsonl.blocks import BlockDamagedError
from feedback_store.backends.jsonl.disk import File, FileStatus, Readable
from feedback_store.backends.jsonl.doubts import sync_undoubted
from feedback_store.backends.jsonl.index import Index, Listed
from feedback_store.backends.jsonl.layout import Layout
from feedback_store.backends.jsonl.lines import Reading, between_nuls
from feedback_store.backends.jsonl.naming import MonthName
from feedback_store.backends.jsonl.records import Line, Records, hash_of
from feedback_store.backends.jsonl.syncing import SyncGate
from feedback_store.entry import FeedbackEntry
from feedback_store.errors import InvalidEntryError
from feedback_store.stamps import stamp_of

logger = logging.getLogger("feedback_store.jsonl")

CHUNK_BYTES = 1 << 20
MEMORY_LINES = 1 << 16
"""Lines that the dictionary of new ones holds at most while a large file is read."""
CLOSE_LINES = 64
"""New lines that are worth a run of the index when a store is closed."""

_PRINT_BYTES = 64
_BLOAT_BYTES = 1 << 20

T = TypeVar("T")


class Part:
    """A month file (or the contents of a sealed one) with its index.

    Attributes:
        name: the file's name.
        path: where it is.
        file: the file, open for reading.
        status: its status when it was last looked at.
        index: where its lines are.
        gate: through which its syncs go.
        writer: the file, open for appending, once this process has written to it.
        named: whether this process has seen its name become durable: its maker may have died.
        distrusted: whether a line was not where it should be, so that all must be read anew.
        traits: numbers what questions ask of its entries.
    """

    def __init__(
        self, layout: Layout, name: MonthName, path: str, file: Readable, reading: Reading
    ) -> None:
        self.name = name
        self.path = path
        self.file = file
        self.status: FileStatus = file.status()
        self.gate = SyncGate()
        self.writer: File | None = None
        self.named = False
        self.distrusted = False
        self.traits = reading.traits
        self._layout = layout
        self._reading = reading
        self._known_bytes = b""
        self._rest = b""
        self.index = Index(layout, name.name, reading.mark, self._settle, reading.traits)

    def _settle(self) -> None:
        file = self.writer or self.file
        sync_undoubted(self._layout, self.name.name, self.gate, file, self.known_end)

    def load(self, listed: Listed | None = None) -> None:
        """Take what the index on disk knows, and read the rest."""
        self.index.load(self.identify, listed)
        if self.name.plain:
            self._known_bytes = self._before(self.index.end)
            self.catch_up(self.status.size_bytes)
        elif not self.index.end:  # else it is whole: a sealed file makes one run, at its end
            self.catch_up(self.file.size())
            if not self.damage:  # else every look shall unpack it, and say so
                self.index.flush(self.identify, 1)

    @property
    def open_ended(self) -> bool:
        """Whether what is written next must begin with a newline."""
        known = self._known_bytes
        return bool(self._rest) or (bool(known) and not known.endswith(b"\n"))

    @property
    def damage(self) -> str:
        """What is wrong with the file as a whole: a sealed one may unpack only in part."""
        return getattr(self.file, "damage", "")

    @property
    def known_end(self) -> int:
        """The byte up to which this process has looked at the file."""
        return self.index.end + len(self._rest)

    def keep_index(self) -> None:
        """Write what of the index is in memory, so that whoever opens the file next finds it."""
        if self.name.plain:
            self.index.flush(self.identify, CLOSE_LINES)

    def is_bloated(self, share: float) -> bool:
        """Say whether superseded lines take more than a share of the file, and more than 1 MiB."""
        return self.index.superseded_bytes > max(_BLOAT_BYTES, share * self.index.end)

    def identify(self, end: int) -> bytes | None:
        """Return what tells this file, up to a byte, from every other; None when it is shorter.

        An inode number can come back once its file is gone, so the bytes at both ends count too.
        """
        inode = self.status.inode.to_bytes(8, "little")
        if not self.name.plain:
            return hashlib.blake2b(repr(self.status[:3]).encode(), digest_size=16).digest()
        if end > self.file.size():
            return None
        ends = self.file.read(0, min(end, _PRINT_BYTES)) + self._before(end)
        return hashlib.blake2b(inode + ends, digest_size=16).digest()

    def unchanged_before(self) -> bool:
        """Say whether what was read last still stands where it stood."""
        return self._before(self.index.end) == self._known_bytes

    def grow(self, status: FileStatus) -> bool:
        """Read what was appended; return False when the file was changed in place instead.

        What was known is only looked at where what came is no good line: a read after a write
        costs the new bytes and no others.
        """
        end, known, damaged = self.index.end, self._known_bytes, self.index.damaged
        self.status = status
        self.catch_up(status.size_bytes)
        if not self._rest and self.index.damaged == damaged:
            return True
        return self._before(end) == known

    def _before(self, end: int) -> bytes:
        start = max(0, end - _PRINT_BYTES)
        return self.file.read(start, end - start)

    def catch_up(self, size: int) -> None:
        """Read on, in pieces, up to ``size``."""
        try:
            self._catch_up(size)
        except BlockDamagedError:
            self.read_anew()

    def _catch_up(self, size: int) -> None:
        rest, offset = b"", self.index.end
        while offset < size:
            piece = self.file.read(offset, min(CHUNK_BYTES, size - offset))
            if not piece:
                break  # cut back meanwhile: the next look will see it
            offset += len(piece)
            rest = self._take_lines(rest + piece)
            if self.name.plain:
                self.index.flush(self.identify, MEMORY_LINES)
        self._take_unfinished(rest)
        if self.name.plain:
            self.index.flush(self.identify)

    def _take_lines(self, data: bytes) -> bytes:
        """Take the whole lines that stand at the index's end; return what is left of the last."""
        whole = data.rfind(b"\n") + 1
        if not whole:
            return data
        offset, lines, damaged = self.index.end, 0, 0
        first_line = self.index.lines + 1
        for line in data[: whole - 1].split(b"\n"):
            if not self._take(line, offset, first_line + lines):
                damaged += 1
            offset += len(line) + 1
            lines += 1
        self.index.advance(offset, lines, damaged)
        self._known_bytes = (self._known_bytes + data[:whole])[-_PRINT_BYTES:]
        return data[whole:]

    def _take(self, line: bytes, offset: int, number: int) -> bool:
        """Enter a line into the index; return False when it is damaged."""
        if not line or line.isspace():
            return True
        try:
            seen = self._reading.glimpse(line)
        except InvalidEntryError as error:
            for start, stretch in between_nuls(line):
                self._take(stretch, offset + start, number)
            told = {"file": self.path, "line": number, "reason": str(error)}
            logger.warning("damaged line %d in %s: %s", number, self.path, error, extra=told)
            return False
        hashed = hash_of(seen.id)
        place = offset, stamp_of(seen.timestamp), len(line), self.index.length_of(hashed)
        self.index.add(Line(hashed, *place, *self.traits.of(seen)))
        return True

    def _take_unfinished(self, rest: bytes) -> None:
        """Take a last line without a newline when it is whole: a half one never parses."""
        if ended := rest.rfind(b"\0") + 1:
            self._take(rest[:ended], self.index.end, self.index.lines + 1)
            self.index.advance(self.index.end + ended, 0, 1)
            self._known_bytes = (self._known_bytes + rest[:ended])[-_PRINT_BYTES:]
            rest = rest[ended:]
        self._rest = rest
        if not rest:
            return
        try:
            self.decode(rest)
        except InvalidEntryError:
            return
        self._take(rest, self.index.end, self.index.lines + 1)
        self.index.advance(self.index.end + len(rest), 0, 0)
        self._known_bytes = (self._known_bytes + rest)[-_PRINT_BYTES:]
        self._rest = b""

    def note_written(self, data: bytes, lines: list[Line], status: FileStatus) -> None:
        """Enter what this process has just appended, without reading it again.

        Args:
            data: all bytes that were written.
            lines: the lines in it, with their offsets in those bytes.
            status: the file's status since.
        """
        start = self.index.end + len(self._rest)
        if self._rest:  # ended by the newline before our lines: a damaged line of its own
            damaged = not self._take(self._rest, self.index.end, self.index.lines + 1)
            self.index.advance(start, 0, int(damaged))
        for line in lines:
            self.index.add(line, start)
        self.index.advance(start + len(data), data.count(b"\n"), 0)
        self._known_bytes = (self._known_bytes + data)[-_PRINT_BYTES:]
        self._rest = b""
        self.status = status

    def find(self, id: str, hashed: int) -> "tuple[FeedbackEntry, int, int] | None":
        """Return the entry with its offset and length, or None: the last line of the id is it."""
        try:
            return self._find(id, hashed)
        except (BlockDamagedError, InvalidEntryError):
            self.read_anew()
            return self._find(id, hashed)

    def _find(self, id: str, hashed: int) -> "tuple[FeedbackEntry, int, int] | None":
        for offset, length in self.index.find(hashed):
            entry = self._reading.decode(self.file.read(offset, length))
            if entry.id == id:
                return entry, offset, length
        return None

    def read_anew(self) -> None:
        """Read all of the file: the index is damaged, or the lines are not where they were."""
        self.distrusted = False
        self.index.discard()
        self._known_bytes = self._rest = b""
        self.status = self.file.status()
        self.catch_up(self.status.size_bytes if self.name.plain else self.file.size())

    def has_line_of(self, hashed: int) -> bool:
        """Say whether there is a line of an id with that hash."""
        return bool(self._ask(lambda: self.index.find(hashed)))

    def decode(self, line: bytes) -> FeedbackEntry:
        """Return the entry of a line as this store reads lines."""
        return self._reading.decode(line)

    def sibling(self, name: MonthName, path: str, file: File) -> "Part":
        """Return a part for a new, empty file that is read as this one is."""
        index_name = MonthName(name.month, plain=True, name=name.name)
        part = Part(self._layout, index_name, path, file, self._reading)
        part.writer = file
        return part

    def records(self, first: int = 0) -> Records:
        """Return a copy of all good lines, but for the first ones."""
        return self._ask(lambda: self.index.records(first))

    def _ask(self, question: Callable[[], T]) -> T:
        try:
            return question()
        except BlockDamagedError:
            self.read_anew()
            return question()

    def decode_known(self, line: bytes) -> FeedbackEntry:
        """Decode a line that was good when it was read; if it no longer is, look again soon.

        Raises:
            InvalidEntryError: somebody changed the file in place, or cut back what failed.
        """
        try:
            return self.decode(line)
        except InvalidEntryError:
            self.distrusted = True
            raise
