"""The command that moves what an older service left into a store: migrate."""

import contextlib
import sys
from collections.abc import Generator
from datetime import UTC, tzinfo
from typing import Any

import click

from feedback_store import migrate as migration
from feedback_store.cli.options import as_json, on_store, time_zone
from feedback_store.cli.terminal import (
    complain,
    print_json,
    problem_found,
    say,
    visible,
    without_secrets,
)
from feedback_store.errors import FeedbackStoreError
from feedback_store.facade import FeedbackStore
from feedback_store.mapping import POSITIVE_TAGS, Scale
from feedback_store.migrate.wording import worded

_assume_tz = click.option(
    "--assume-tz",
    type=time_zone,
    metavar="ZONE",
    help="Time zone of times in SOURCE that name none: a name such as Europe/Berlin or an offset "
    "such as +01:00; UTC unless given.",
)
_scale = click.option(
    "--scale",
    type=click.Choice([str(scale) for scale in Scale]),
    help="What ratings mean: as they are (0-1), -1 and 1 (thumbs), 1 to 5 (stars), 1-10, 0 to 100 "
    "(percent). Unless given, one outside 0 to 1 is refused.",
)
_positive_tags = click.option(
    "--positive-tag",
    "positive_tags",
    multiple=True,
    metavar="TAG",
    help="A tag that means a positive rating, besides 'Looks Good / Accurate & Clear'.",
)
_table = click.option(
    "--table", metavar="NAME", help="The table of a database; found by its columns unless given."
)
_keep = click.option("--keep-sources", is_flag=True, help="Move no file to legacy_backup/.")
_move = click.option(
    "--move",
    type=click.Choice([str(move) for move in migration.Move if move is not migration.Move.NONE]),
    help="Which files move to legacy_backup/ when all is verified: those without problems (clean), "
    "or all. Unless given, clean if SOURCE is a folder, and none if it is a file.",
)


@click.command()
@click.argument("source", metavar="SOURCE")
@click.option("--dry-run", is_flag=True, help="Only read, and tell what would be done.")
@_assume_tz
@_scale
@_positive_tags
@_table
@_keep
@_move
@as_json
@on_store(durability=True)
def migrate(  # one argument an option
    store: FeedbackStore,
    /,
    *,
    source: str,
    dry_run: bool,
    keep_sources: bool,
    move: str | None,
    as_json: bool,
    **understood: Any,  # noqa: ANN401  # the options that `_rules` takes
) -> None:
    """Move what an older service left in SOURCE into STORE, with every row accounted for.

    SOURCE is a file, or a folder with any mix of them: files of JSON lines by day, by month or in
    one, compressed (.gz, .zst) or not, JSON arrays, back-ups of a browser's ratings, CSV files,
    SQLite databases. Try --dry-run first: it tells what was recognised and what will be assumed.

    Rows of one id, in the order of the files, are its history: the last one is the entry. When all
    is added, every entry is read back and compared, and only then the files move to
    legacy_backup/ in their folder, and never over anything.

    The exit code is 1 when a row was refused or in conflict, when not all is verified, or when
    there is nothing to migrate. After an interrupt or an error the same command goes on.
    """
    if keep_sources and move is not None:
        msg = "--keep-sources and --move contradict each other"
        raise click.UsageError(msg, click.get_current_context())
    with _progress(source) as tell:
        plan = migration.plan(source, target=store, rules=_rules(**understood), progress=tell)
        report = plan.report
        if not dry_run:
            is_folder = plan.found.is_folder and not keep_sources
            chosen = migration.Move(move or ("clean" if is_folder else "none"))
            report = _applied(plan, store, chosen, tell)
    _tell(report, as_json=as_json)


def _applied(
    plan: migration.Plan,
    store: FeedbackStore,
    move: migration.Move,
    tell: migration.Tell | None,
) -> migration.Report:
    """Apply; where it is cut short, say that nothing is lost by that."""
    try:
        return migration.apply(plan, store, move=move, progress=tell)
    except (KeyboardInterrupt, FeedbackStoreError):
        click.echo("Cut short. The same command goes on from there.", err=True)
        raise


def _rules(
    *,
    assume_tz: tzinfo | None,
    scale: str | None,
    positive_tags: tuple[str, ...],
    table: str | None,
) -> migration.Rules:
    return migration.Rules(
        assume_tz=assume_tz or UTC,
        scale=None if scale is None else Scale(scale),
        positive_tags=POSITIVE_TAGS.union(positive_tags),
        table=table,
    )


def _tell(report: migration.Report, *, as_json: bool) -> None:
    if as_json:
        print_json(report.as_json())
    else:
        for line in worded(report):
            say(without_secrets(line))
    for refused in report.refused:
        complain(f"{refused.where}: refused: {refused.reason}")
    for conflict in report.conflicts:
        complain(f"{conflict.where}: conflict: {conflict.id!r}: {conflict.reason}")
    for problem in report.unverified:
        complain(f"{problem.where}: not verified: {problem.reason}")
    if report.problem:
        complain(report.problem)
    is_empty = not report.files and not report.backed_up
    if is_empty:
        complain(f"there is nothing to migrate in {report.source}")
    if is_empty or not report.complete:
        raise problem_found()


@contextlib.contextmanager
def _progress(name: str) -> Generator[migration.Tell | None, None, None]:
    """Show a bar on standard error when that is a terminal; yield what moves it."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console  # noqa: PLC0415  # help must not wait for it
    from rich.markup import escape  # noqa: PLC0415  # as above
    from rich.progress import Progress  # noqa: PLC0415  # as above

    title = escape(visible(without_secrets(name)))
    with Progress(console=Console(stderr=True, highlight=False), transient=True) as bar:
        task = bar.add_task(title, total=None)

        def tell(progress: migration.Progress) -> None:
            described = f"{progress.step} {title}"  # a narrow terminal cuts the end off
            bar.update(task, description=described, completed=progress.done, total=progress.total)

        yield tell
