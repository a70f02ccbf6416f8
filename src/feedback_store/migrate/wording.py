"""A report in words: a few lines, of which the first says all if all is well."""

from collections.abc import Iterator

from feedback_store.mapping import Assumption
from feedback_store.migrate.report import FileReport, Report

_ASSUMED = {
    Assumption.NAIVE_TIME: "times without a zone were taken to be in {zone}",
    Assumption.CONTRADICTING_TIME: "of those contradict the time in their metadata",
    Assumption.EPOCH_TIME: "times are numbers, taken as seconds or milliseconds since 1970",
    Assumption.METADATA_TIME: "have no time but the one in their metadata",
    Assumption.UNREADABLE_TIME: "have an unreadable time in their metadata and no other",
    Assumption.FALLBACK_TIME: "have no time and got another",
    Assumption.TIME_OF_NAME: "have no time and got the date in the file's name",
    Assumption.TIME_OF_FILE: "have no time and got that of the file's last change",
    Assumption.TIME_OF_MIGRATION: "have no time and got that of the migration",
    Assumption.ROW_ID: "have no id and got one from the key that they stand under",
    Assumption.NUMBER_AS_ID: "have a number as their id, taken as text",
    Assumption.ID_OF_MESSAGE: "have no message_id and got their id",
    Assumption.EMPTY_TEXT: "have null as question or answer, taken as an empty text",
    Assumption.RATING_SCALED: "ratings were converted from the scale that was told",
    Assumption.HELPFUL: "were rated by helpful, true or false",
    Assumption.POSITIVE_TAG: "are positive by a tag",
    Assumption.OTHER_TAGS: "are negative, having tags and no positive one",
    Assumption.UNTAGGED: "have no tags and are unrated",
    Assumption.ISSUES_SPLIT: "have issues in one text, which was split",
    Assumption.SOURCES_NAMED: "have a bare text as a source, taken as its url or title",
}


def worded(report: Report) -> Iterator[str]:
    """Yield a report as lines: the whole, what was assumed, every source, what else is there.

    Rows that were refused or are in conflict are counted here; `Report` has them one by one.
    """
    yield f"{report.source}: {_outcome(report)}"
    if report.applied and not report.is_verified:
        yield "not verified: some rows are not accounted for, or not in the store as they should be"
    if report.months:
        months = ", ".join(f"{month}: {count}" for month, count in report.months.items())
        yield f"entries by month: {months}"
    for name, count in report.assumed.items():
        yield f"assumed: {count} {_ASSUMED[Assumption(name)].format(zone=report.zone)}"
    for offset, count in report.offsets.items():
        if offset[0] in "+-":
            yield (
                f"{count} of these times look as if the clock stood at UTC{offset}: "
                f"--assume-tz {offset}"
            )
    for file in report.files:
        yield _line_of(file, applied=report.applied)
    for passed in report.passed_over:
        yield f"passed over {passed.name}: {passed.reason}"
    if report.backed_up:
        yield f"legacy_backup/ holds from earlier runs: {', '.join(report.backed_up)}"
    if report.account:
        yield f"this report is kept in {report.account}"


def _outcome(report: Report) -> str:
    found = f"{report.rows} rows"
    refused = f"{report.superseded} superseded, {len(report.refused)} refused"
    if not report.applied:
        return f"{found}: {report.entries} entries, {refused}; nothing was written"
    stored = f"{report.added} added, {report.unchanged} unchanged"
    rest = f"{len(report.conflicts)} conflicting, {refused}"
    return f"{found}: {stored}, {rest}; {report.verified} entries verified"


def _line_of(file: FileReport, *, applied: bool) -> str:
    counts = {"rows": file.rows}
    if applied:
        counts |= {"added": file.added, "unchanged": file.unchanged}
        counts |= {"conflicting": len(file.conflicts)}
    else:
        counts |= {"entries": file.entries}
    counts |= {"superseded": file.superseded, "refused": len(file.refused)}
    shown = ", ".join(
        f"{count} {name}" for name, count in counts.items() if count or name == "rows"
    )
    where = f"; moved to {file.moved_to}" if file.moved_to else ""
    if file.stays and not file.moved_to:
        where = f"; stays: {file.stays}"
    return "; ".join([f"{file.name} ({file.kind}): {shown}{where}", *file.notes])
