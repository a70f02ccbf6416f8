"""What a store owes: after each call, which values every id may have, and which it must.

Until a call returns, what it was to write may be there or not; once it has returned, it is owed.
Where calls overlap, each may have come last. A call that failed owes nothing, and what it was to
write may still turn up.
"""

import gzip
import json
import zlib
from collections.abc import Mapping

import attrs

from feedback_store.codec import encode
from feedback_store.entry import FeedbackEntry
from feedback_store.operations import same_content
from feedback_store.testing.simulation.image import Image

_GZIP = 16 + zlib.MAX_WBITS


@attrs.define(eq=False)
class Operation:
    """A call, from its begin to its end, in counted moments.

    Attributes:
        began: the moment of its begin.
        ended: the moment of its end, None while it runs.
    """

    began: int
    ended: int | None = None


@attrs.frozen(eq=False)
class Claim:
    """A value that an id may have, None for no entry, and the call that would give it."""

    by: Operation
    value: FeedbackEntry | None


class Ledger:
    """What a store owes.

    Attributes:
        version: a number that grows with every change.
    """

    def __init__(self) -> None:
        self._claims: dict[str, list[Claim]] = {}
        self._start = Operation(0, 0)
        self._erased: set[str] = set()
        self._later: set[str] = set()
        self.version = 0

    def after_crash(self) -> "Ledger":
        """Return what is owed once the power is back: no call runs any longer."""
        ledger = Ledger()
        ledger.version = self.version + 1
        past = Operation(0, 0)
        ledger._erased, ledger._later = set(self._erased), set(self._later)
        ledger._claims = {
            id: [Claim(past, claim.value) for claim in claims]
            for id, claims in self._claims.items()
        }
        return ledger

    def begin(self) -> Operation:
        """Note that a call begins."""
        self.version += 1
        return Operation(self.version)

    def may(self, by: Operation, id: str, value: FeedbackEntry | None) -> None:
        """Note that a call may give an id this value from now on."""
        self.version += 1
        self._of(id).append(Claim(by, value))
        if value is not None:
            self._erased.discard(id)

    def owe(self, by: Operation, id: str, value: FeedbackEntry | None) -> None:
        """Note that a call has acknowledged a value: an equal one is owed, unless others ran."""
        self.version += 1
        claims = self._of(id)
        owed = [c for c in claims if _fits(c.value, value)]
        others = [c for c in claims if c.by is not by and _overlap(c.by, by) and c not in owed]
        self._claims[id] = (owed or [Claim(by, value)]) + others
        if all(claim.value is None for claim in self._claims[id]):
            self._erased.add(id)

    def owe_later(self, id: str) -> None:
        """Note that what an id has may be out of sight after a power cut, until a compaction."""
        self._later.add(id)

    def refuse(self, by: Operation, id: str) -> None:
        """Note that a call has said that it did not write its value."""
        self.version += 1
        self._claims[id] = [claim for claim in self._of(id) if claim.by is not by]

    def end(self, by: Operation) -> None:
        """Note that a call has returned, or failed."""
        self.version += 1
        by.ended = self.version

    def _of(self, id: str) -> list[Claim]:
        return self._claims.setdefault(id, [Claim(self._start, None)])

    def entries(self) -> list[FeedbackEntry]:
        """Return every entry that may be there."""
        return [c.value for claims in self._claims.values() for c in claims if c.value is not None]

    def key(self) -> int:
        """Return a number that is the same for ledgers that ask the same."""
        asked = frozenset(
            (id, frozenset(None if c.value is None else encode(c.value) for c in claims))
            for id, claims in self._claims.items()
        )
        return hash((asked, frozenset(self._erased)))

    def problems(self, found: Mapping[str, FeedbackEntry], *, settled: bool = True) -> list[str]:
        """Return what is wrong with what a store shows, one sentence each.

        Args:
            found: all that it shows.
            settled: whether what was owed for later must be there.
        """
        said = []
        for id, claims in self._claims.items():
            there = found.get(id)
            if any(there == claim.value for claim in claims):
                continue
            if there is None and id in self._later and not settled:
                continue
            values = [claim.value for claim in claims]
            if there is None:
                said.append(f"{id} is gone, though it was acknowledged")
            elif values == [None]:
                said.append(f"{id} is there again, though it was erased or never written")
            else:
                said.append(f"{id} is not as it was acknowledged, nor as a later call wanted it")
        said.extend(f"{id} is there, though nobody wrote it" for id in found.keys() - self._claims)
        return said

    def left_behind(self, image: Image) -> list[str]:
        """Return the erased ids that still stand in a file, one sentence each."""
        if not self._erased:
            return []
        needles = [(id, json.dumps(id, ensure_ascii=False).encode()) for id in self._erased]
        return [
            f"{id} stands in {path}, though it was erased"
            for path, _, content in image.files()
            for unpacked in [unpack(path, content)]
            for id, needle in needles
            if needle in unpacked
        ]


def _fits(claimed: FeedbackEntry | None, value: FeedbackEntry | None) -> bool:
    if claimed is None or value is None:
        return claimed is value
    return same_content(claimed, value)


def _overlap(a: Operation, b: Operation) -> bool:
    return a.ended is None or a.ended > b.began


def unpack(path: str, content: bytes) -> bytes:
    """Return what a file says, as far as it can be unpacked where it is compressed."""
    if not path.endswith(".gz"):
        return content
    try:
        return gzip.decompress(content)
    except (OSError, EOFError, zlib.error):
        return content
