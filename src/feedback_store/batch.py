"""`BatchResult`: what became of many entries."""

import attrs


@attrs.frozen(kw_only=True)
class BatchResult:
    """What became of many entries.

    Attributes:
        added: how many were new.
        unchanged: how many were there already, with the same content.
        conflicts: the ids under which other content stands; nothing was stored for those.
    """

    added: int = 0
    unchanged: int = 0
    conflicts: tuple[str, ...] = ()

    @property
    def total(self) -> int:
        """How many entries were given."""
        return self.added + self.unchanged + len(self.conflicts)

    def __add__(self, other: "BatchResult") -> "BatchResult":
        """Return the result of both batches."""
        return BatchResult(
            added=self.added + other.added,
            unchanged=self.unchanged + other.unchanged,
            conflicts=self.conflicts + other.conflicts,
        )
