"""The merge: what is visible of a month, from any of its objects, in any order, however often.

Of each id the line with the highest revision counts, and of each erasure its highest revision.
Both are maxima, so merging is commutative, associative and idempotent (a last-writer-wins map, one
of the conflict-free replicated data types of Shapiro, Preguiça, Baquero and Zawirski, 2011), and
nobody who writes, reads or compacts needs to wait for anybody else. An entry is visible while its
line is later than its erasure.
"""

from collections.abc import Iterable

from feedback_store.backends.objects.lines import Contents, Line, hash_of


class State:
    """What is known of a month.

    Attributes:
        lines: of each id, the line with the highest revision.
        erased: the highest revision of each erasure, by the hash of the id.
        hidden: how many lines were taken in that do not count, or no longer.
    """

    __slots__ = ("erased", "hidden", "lines")

    def __init__(self) -> None:
        self.lines: dict[str, Line] = {}
        self.erased: dict[str, str] = {}
        self.hidden = 0

    def merge(self, contents: Contents) -> None:
        """Take in what an object holds."""
        lines = self.lines
        for line in contents.lines:
            known = lines.setdefault(line.id, line)
            if known is not line:
                self.hidden += 1
                # Two lines of one revision are copies of each other; should they ever differ,
                # everybody still chooses the same.
                if (line.revision, line.body) > (known.revision, known.body):
                    lines[line.id] = line
        for hashed, revision in contents.erased.items():
            self.erased[hashed] = max(self.erased.get(hashed, ""), revision)

    def find(self, id: str) -> Line | None:
        """Return the line of an id, if it is visible."""
        line = self.lines.get(id)
        return line if line is not None and self._is_visible(line) else None

    def visible(self) -> Iterable[Line]:
        """Return the lines that are visible."""
        if not self.erased:
            return self.lines.values()
        return [line for line in self.lines.values() if self._is_visible(line)]

    def _is_visible(self, line: Line) -> bool:
        return not self.erased or line.revision > self.erased.get(hash_of(line.id), "")


def merged(some: Iterable[Contents]) -> State:
    """Return what is known from some objects."""
    state = State()
    for contents in some:
        state.merge(contents)
    return state
