"""What a migration will do, and what it did: every row accounted for, by file and line."""

from collections import Counter
from collections.abc import Mapping
from enum import StrEnum
from typing import Any, NamedTuple

import attrs

from feedback_store.frozen import EMPTY, FrozenDict
from feedback_store.mapping import Assumption
from feedback_store.migrate.sources import Kind, PassedOver


class Move(StrEnum):
    """Which files a migration moves to ``legacy_backup/`` once all is verified."""

    NONE = "none"
    """None."""
    CLEAN = "clean"
    """Those of which no row was refused or in conflict: the others are told again next time."""
    ALL = "all"
    """All: the report in that folder tells which of their rows were not taken."""


class Problem(NamedTuple):
    """A row that is no entry, or that the target does not take.

    Attributes:
        where: the file and the line.
        reason: why; never quotes the row.
    """

    where: str
    reason: str


class Conflict(NamedTuple):
    """A row under whose id the target holds something else, which was left as it is.

    Attributes:
        where: the file and the line.
        id: the id.
        reason: what is different.
    """

    where: str
    id: str
    reason: str


def _counts(given: Mapping[Any, int]) -> FrozenDict:
    return FrozenDict({str(key): given[key] for key in given if given[key]})


@attrs.frozen(kw_only=True)
class FileReport:
    """What became of the rows of one source.

    Each row is one of these: superseded, refused, added, unchanged, or in conflict. Before a plan
    is applied, `entries` stands for the last three.

    Attributes:
        name: the file, or the table.
        kind: what it was recognised as.
        in_place: whether it is a month file of the target itself.
        rows: how many rows there are; blank lines are none.
        superseded: rows whose id comes again, later: they are the history of the entry.
        refused: rows that are no entry, or that the target does not take.
        added: rows that were new in the target.
        unchanged: rows that were there already.
        conflicts: rows under whose ids the target holds something else.
        verified: how many of those added and unchanged were read back, and are the same.
        unverified: those that were not.
        months: how many entries there are of each UTC month.
        assumed: how often each `Assumption` was made, superseded rows included.
        offsets: where times contradict: the offsets from UTC that they suggest, and how often.
        moved_to: the file that it is now, in the folder of the source.
        stays: why it was not moved.
        notes: what an operator should know about it.
    """

    name: str
    kind: Kind
    in_place: bool = False
    rows: int = 0
    superseded: int = 0
    refused: tuple[Problem, ...] = ()
    added: int = 0
    unchanged: int = 0
    conflicts: tuple[Conflict, ...] = ()
    verified: int = 0
    unverified: tuple[Problem, ...] = ()
    months: Mapping[str, int] = attrs.field(default=EMPTY, converter=_counts)
    assumed: Mapping[str, int] = attrs.field(default=EMPTY, converter=_counts)
    offsets: Mapping[str, int] = attrs.field(default=EMPTY, converter=_counts)
    moved_to: str | None = None
    stays: str = ""
    notes: tuple[str, ...] = ()

    @property
    def entries(self) -> int:
        """How many rows are the last of their id, and so become an entry."""
        return self.rows - self.superseded - len(self.refused)

    @property
    def accounted(self) -> int:
        """How many rows it is known of what became of them."""
        stored = self.added + self.unchanged + len(self.conflicts)
        return stored + self.superseded + len(self.refused)

    @property
    def is_verified(self) -> bool:
        """Whether every row is accounted for, and all that is claimed to be there was read."""
        is_there = self.verified == self.added + self.unchanged and not self.unverified
        return is_there and self.accounted == self.rows

    @property
    def has_problems(self) -> bool:
        """Whether a row was refused, or is in conflict."""
        return bool(self.refused or self.conflicts)

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        told = attrs.asdict(self, recurse=False)
        told |= {"kind": str(self.kind), "entries": self.entries, "notes": list(self.notes)}
        for name in ("refused", "conflicts", "unverified"):
            told[name] = [item._asdict() for item in told[name]]
        for name in ("months", "assumed", "offsets"):
            told[name] = dict(told[name])
        return told


@attrs.frozen(kw_only=True)
class Report:
    """What a migration will do, or did.

    Attributes:
        source: where the rows come from.
        applied: whether it was done, and not only planned.
        zone: the zone that times without one were taken to be of.
        files: what became of each source, oldest first.
        passed_over: files of the folder that are no source.
        backed_up: what the folder of moved files held before this run.
        account: the file in that folder which holds this report, where files were moved.
        problem: why the files could not be moved, where that failed.
    """

    source: str
    applied: bool = False
    zone: str = "UTC"
    files: tuple[FileReport, ...] = ()
    passed_over: tuple[PassedOver, ...] = ()
    backed_up: tuple[str, ...] = ()
    account: str | None = None
    problem: str = ""

    @property
    def rows(self) -> int:
        """How many rows there are."""
        return sum(file.rows for file in self.files)

    @property
    def entries(self) -> int:
        """How many entries these are, of those that are taken."""
        return sum(file.entries for file in self.files)

    @property
    def superseded(self) -> int:
        """How many rows are the history of an entry that comes later."""
        return sum(file.superseded for file in self.files)

    @property
    def added(self) -> int:
        """How many entries were new in the target."""
        return sum(file.added for file in self.files)

    @property
    def unchanged(self) -> int:
        """How many entries were there already."""
        return sum(file.unchanged for file in self.files)

    @property
    def verified(self) -> int:
        """How many entries were read back from the target and compared."""
        return sum(file.verified for file in self.files)

    @property
    def refused(self) -> tuple[Problem, ...]:
        """The rows that are no entry, or that the target does not take."""
        return tuple(problem for file in self.files for problem in file.refused)

    @property
    def conflicts(self) -> tuple[Conflict, ...]:
        """The rows under whose ids the target holds something else."""
        return tuple(conflict for file in self.files for conflict in file.conflicts)

    @property
    def unverified(self) -> tuple[Problem, ...]:
        """The entries that are not in the target as they should be."""
        return tuple(problem for file in self.files for problem in file.unverified)

    @property
    def months(self) -> Mapping[str, int]:
        """How many entries there are of each UTC month."""
        return _sum_of([file.months for file in self.files])

    @property
    def assumed(self) -> Mapping[str, int]:
        """How often each `Assumption` was made, by its name, in the order of these."""
        total = _sum_of([file.assumed for file in self.files])
        return {str(name): total[name] for name in Assumption if name in total}

    @property
    def offsets(self) -> Mapping[str, int]:
        """The offsets from UTC that contradicting times suggest, and how often."""
        return _sum_of([file.offsets for file in self.files])

    @property
    def is_verified(self) -> bool:
        """Whether every row of every source is accounted for, and was read back where claimed."""
        return self.applied and all(file.is_verified for file in self.files)

    @property
    def complete(self) -> bool:
        """Whether nothing was refused or in conflict and, once applied, all of it is verified."""
        has_problems = self.problem or any(file.has_problems for file in self.files)
        return not has_problems and (self.is_verified or not self.applied)

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON values: the totals, and then every file."""
        return {
            "source": self.source,
            "applied": self.applied,
            "complete": self.complete,
            "verified": self.is_verified,
            "rows": self.rows,
            "entries": self.entries,
            "superseded": self.superseded,
            "refused": len(self.refused),
            "added": self.added,
            "unchanged": self.unchanged,
            "conflicting": len(self.conflicts),
            "unverified": len(self.unverified),
            "months": dict(self.months),
            "assumed": dict(self.assumed),
            "zone": self.zone,
            "offsets": dict(self.offsets),
            "files": [file.as_json() for file in self.files],
            "passed_over": [item._asdict() for item in self.passed_over],
            "backed_up": list(self.backed_up),
            "account": self.account,
            "problem": self.problem,
        }


def _sum_of(counts: list[Mapping[str, int]]) -> dict[str, int]:
    total: Counter[str] = Counter()
    for count in counts:
        total.update(count)
    return dict(sorted(total.items()))
