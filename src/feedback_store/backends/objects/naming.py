"""The names of objects: the month, when it was made, and what it is.

``2025-10/<revision>.segment.jsonl``
    Lines that were added or changed by one call.
``2025-10/<revision>.base.jsonl.gz``, or ``.zst``
    What a compaction or erasure has made of other objects of the month.
``2025-10/<revision>.erased.jsonl``
    Which entries of the month were erased.

A name is never used twice, and what stands under one never changes. The revision of an object is
larger than that of every object it was made from. So where names are listed in their order, an
object that takes the place of others comes after them: a listing that misses one because it was
removed meanwhile cannot miss what replaced it.
"""

import re
from typing import Literal, NamedTuple

Kind = Literal["segment", "base", "erased"]
"""What an object is."""

_NAME = re.compile(
    r"(\d{4}-(?:0[1-9]|1[0-2]))/([0-9a-f]{32})\.(segment|base|erased)\.jsonl(\.gz|\.zst)?"
)


class ObjectName(NamedTuple):
    """The name of an object, taken apart; names sort by month, then by revision.

    Attributes:
        month: such as ``"2025-10"``.
        revision: when it was made.
        kind: what it is.
        suffix: ``".gz"``, ``".zst"``, or ``""`` where it is not compressed.
    """

    month: str
    revision: str
    kind: Kind
    suffix: str = ""

    @property
    def path(self) -> str:
        """Where it is, below the root of the store."""
        return f"{self.month}/{self.revision}.{self.kind}.jsonl{self.suffix}"


def parse_name(path: str) -> ObjectName | None:
    """Return the name that a path below the root is, or None where it is not one of ours."""
    found = _NAME.fullmatch(path)
    if found is None:
        return None
    month, revision, kind, suffix = found.groups("")
    return ObjectName(month, revision, kind, suffix)  # type: ignore[arg-type]  # the pattern names the kinds
