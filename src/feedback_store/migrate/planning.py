"""The plan of a migration: everything is read, and nothing is written."""

import os
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from datetime import UTC, datetime, timedelta, tzinfo
from enum import StrEnum
from typing import Any, NamedTuple, TypeAlias

import attrs

from feedback_store import codec
from feedback_store.errors import InvalidEntryError
from feedback_store.facade import FeedbackStore
from feedback_store.mapping import (
    POSITIVE_TAGS,
    Assumption,
    EntryMapping,
    Mapped,
    RowMapping,
    Scale,
    VotesMapping,
)
from feedback_store.migrate.copying import path_of
from feedback_store.migrate.finding import Found, find
from feedback_store.migrate.report import FileReport, Problem, Report
from feedback_store.migrate.rows import Row
from feedback_store.migrate.sources import Source
from feedback_store.store import Store

_TELL_EVERY_ROWS = 1000


class Step(StrEnum):
    """What a migration is about."""

    READING = "reading"
    ADDING = "adding"
    VERIFYING = "verifying"


class Progress(NamedTuple):
    """How far a migration came.

    Attributes:
        step: what it is about.
        done: how many rows that step has seen.
        total: how many there are; None while they are being counted.
    """

    step: Step
    done: int
    total: int | None


Tell: TypeAlias = Callable[[Progress], object]
"""What is called now and then; what it raises ends the migration, which may be run again."""


@attrs.frozen(kw_only=True)
class Rules:
    """How rows are to be understood.

    Attributes:
        assume_tz: the zone of times that name none.
        scale: the scale of the ratings; unless told, a number outside 0 to 1 is refused.
        positive_tags: the tags that mean a positive rating.
        table: the table of a database; unless told, the one that looks like feedback.
        mapping: what makes an entry of a row, in place of all of the above but the table.
    """

    assume_tz: tzinfo = UTC
    scale: Scale | None = attrs.field(default=None, converter=attrs.converters.optional(Scale))
    positive_tags: Collection[str] = POSITIVE_TAGS
    table: str | None = None
    mapping: RowMapping | None = None

    def mapping_for(self, source: Source) -> RowMapping:
        """Return what makes entries of the rows of a source."""
        told: dict[str, Any] = {
            "assume_tz": self.assume_tz,
            "scale": self.scale,
            "positive_tags": self.positive_tags,
        }
        if source.in_place:
            return _InPlace(self.assume_tz)
        return self.mapping or _Either(EntryMapping(**told, flat=source.flat), VotesMapping(**told))


class _Either(NamedTuple):
    """Rows of votes are told by their columns from rows of entries."""

    entries: RowMapping
    votes: RowMapping

    def __call__(
        self,
        row: Mapping[str, Any],
        /,
        *,
        fallback_time: datetime,
        fallback_id: str | None = None,
    ) -> Mapped:
        is_vote = "user_query" in row and "bot_response" in row
        mapping = self.votes if is_vote else self.entries
        return mapping(row, fallback_time=fallback_time, fallback_id=fallback_id)


class _InPlace(NamedTuple):
    """Rows of a file that the target reads: they are what it makes of them, and nothing else."""

    assume_tz: tzinfo

    def __call__(
        self,
        row: Mapping[str, Any],
        /,
        *,
        fallback_time: datetime,
        fallback_id: str | None = None,
    ) -> Mapped:
        entry = codec.from_mapping(row, naive_tz=self.assume_tz, fallback_time=fallback_time)
        mapping = EntryMapping(assume_tz=self.assume_tz)
        mapped = mapping(row, fallback_time=fallback_time, fallback_id=fallback_id)
        return Mapped(entry, mapped.assumed, mapped.offset)


class Read(NamedTuple):
    """A row, and the entry that it means, or why it means none."""

    row: Row
    mapped: Mapped | None
    problem: str = ""


def read(source: Source, rules: Rules) -> Iterator[Read]:
    """Yield every row of a source with its entry."""
    mapping = rules.mapping_for(source)
    for row in source.read():
        if row.value is None:
            yield Read(row, None, row.problem)
            continue
        try:
            mapped = mapping(
                row.value, fallback_time=source.fallback_time, fallback_id=row.fallback_id
            )
        except InvalidEntryError as error:
            yield Read(row, None, str(error))
        else:
            yield Read(row, mapped)


class Last(NamedTuple):
    """Where the last row of an id stands: which source, which row; and the month of the entry."""

    source: int
    number: int
    month: str


@attrs.frozen(kw_only=True)
class Plan:
    """What a migration will do: to be looked at, and to be applied.

    Attributes:
        report: what was found, and what would become of it.
        found: the sources.
        rules: how their rows are understood.
        last: where the last row of each id stands.
    """

    report: Report
    found: Found = attrs.field(repr=False)
    rules: Rules = attrs.field(repr=False)
    last: Mapping[str, Last] = attrs.field(repr=False)

    def entries_of(self, source: int) -> Iterator[tuple[Row, Mapped]]:
        """Yield the rows of a source that become entries: the last ones of their ids."""
        for row, mapped, _ in read(self.found.sources[source], self.rules):
            if mapped is None:
                continue
            last = self.last.get(mapped.entry.id)
            if last is not None and (last.source, last.number) == (source, row.number):
                yield row, mapped


def plan(
    source: str | os.PathLike[str] | Source,
    *,
    target: FeedbackStore | Store | None = None,
    rules: Rules | None = None,
    progress: Tell | None = None,
) -> Plan:
    """Read all that there is to migrate, and write nothing.

    Rows of one id in the order of the files are its history: the last one is the entry, the
    earlier ones are superseded. Memory: the ids, and the places of bad rows.

    Args:
        source: a file, a folder with any mix of them, ``postgresql://host/database?table=votes``,
            or a `Source` of your own.
        target: the store that it will be applied to. It must be told when it lies in the folder of
            the source, whose month files it reads where they are.
        rules: how rows are to be understood.
        progress: called now and then.

    Raises:
        StoreUnavailableError: nothing is there, or it cannot be listed.
        MissingExtraError: the source needs a package that is not installed.
        UnknownBackendError: the URL of a server names no table, or is none.
    """
    rules = rules or Rules()
    found = find(source, None if target is None else path_of(target), rules.table)
    last: dict[str, Last] = {}
    drafts = []
    total = 0
    for number, each in enumerate(found.sources):
        draft = _Draft(each)
        for seen in read(each, rules):
            draft.take(seen, number, last)
            total += 1
            if progress is not None and total % _TELL_EVERY_ROWS == 0:
                progress(Progress(Step.READING, total, None))
        drafts.append(draft)
    months: list[Counter[str]] = [Counter() for _ in drafts]
    for place in last.values():
        months[place.source][place.month] += 1
    report = Report(
        source=found.location,
        zone=str(rules.assume_tz),
        files=tuple(draft.report(counts) for draft, counts in zip(drafts, months, strict=True)),
        passed_over=found.passed_over,
        backed_up=found.backed_up,
    )
    return Plan(report=report, found=found, rules=rules, last=last)


class _Draft:
    """What is known of a source while it is read."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._rows = 0
        self._refused: list[Problem] = []
        self._assumed: Counter[Assumption] = Counter()
        self._offsets: Counter[str] = Counter()

    def take(self, seen: Read, number: int, last: dict[str, Last]) -> None:
        """Count a row, and note that it is the last one of its id so far."""
        self._rows += 1
        if seen.mapped is None:
            self._refused.append(Problem(seen.row.where, seen.problem))
            return
        entry = seen.mapped.entry
        last[entry.id] = Last(number, seen.row.number, entry.month)
        self._assumed.update(assumed_by(seen.mapped, self._source))
        if Assumption.CONTRADICTING_TIME in seen.mapped.assumed:
            self._offsets[_shown(seen.mapped.offset)] += 1

    def report(self, months: Counter[str]) -> FileReport:
        """Return what is known of it when all sources were read."""
        source = self._source
        return FileReport(
            name=source.name,
            kind=source.kind,
            in_place=source.in_place,
            rows=self._rows,
            superseded=self._rows - len(self._refused) - months.total(),
            refused=tuple(self._refused),
            months=dict(sorted(months.items())),
            assumed=self._assumed,
            offsets=self._offsets,
            stays=source.stays,
            notes=source.notes,
        )


def assumed_by(mapped: Mapped, source: Source) -> Iterator[Assumption]:
    """Yield what was assumed of a row, with where its time comes from."""
    for assumption in mapped.assumed:
        yield source.fallback if assumption is Assumption.FALLBACK_TIME else assumption


def _shown(offset: timedelta | None) -> str:
    if offset is None:
        return "none that a zone has"
    minutes = round(offset.total_seconds() / 60)
    return f"{'-' if minutes < 0 else '+'}{abs(minutes) // 60:02}:{abs(minutes) % 60:02}"
