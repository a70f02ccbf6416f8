"""The commands that write snapshots and examine them: export, verify-snapshot."""

import contextlib
import sys
from collections.abc import Callable, Generator, Mapping, Sequence
from datetime import timedelta
from typing import Any

import click

from feedback_store import snapshot
from feedback_store.cli.options import STORE_VARIABLE, as_json, naive_tz_option, with_query
from feedback_store.cli.scheduling import Times, on_time, with_times
from feedback_store.cli.terminal import print_json, say, visible, without_secrets
from feedback_store.opening import open_source
from feedback_store.query import Query
from feedback_store.snapshot import FORMATS, Manifest
from feedback_store.snapshot.manifest import to_mapping

Tick = Callable[[int], object]

_OPTIONS = (
    click.argument("places", nargs=-1, required=True, metavar="[STORE] TARGET"),
    click.option(
        "--store", "-s", metavar="STORE", envvar=STORE_VARIABLE, show_envvar=True,
        help="The store, as a path or URL.",
    ),
    click.option(
        "--format", type=click.Choice(FORMATS),
        help="The format, where the suffix of TARGET does not tell it.",
    ),
    click.option("--raw", is_flag=True, help="The rows of a table as they are, every column."),
    click.option(
        "--partitioned", is_flag=True,
        help="Parquet in a folder, with a file for each month.",
    ),
    click.option(
        "--recipient", "-r", "recipients", multiple=True, metavar="KEY",
        help="Encrypt for this public key of age or SSH; repeatable. TARGET ends in .age then.",
    ),
    click.option(
        "--keep", type=click.IntRange(min=0), metavar="N",
        help="Keep so many older snapshots beside TARGET.",
    ),
    click.option(
        "--keep-days", type=click.FloatRange(min=0), metavar="DAYS",
        help="Keep older snapshots for so long.",
    ),
    naive_tz_option("Time zone of stored times that name none"),
    with_times,
    as_json,
    with_query,
)  # fmt: skip


def _with_options(command: Callable[..., None]) -> Callable[..., None]:
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


@click.command()
@_with_options
def export(
    *,
    places: Sequence[str],
    store: str | None,
    times: Times,
    as_json: bool,
    naive_tz: Any,  # noqa: ANN401  # a time zone or None
    keep_days: float | None,
    **given: Any,  # noqa: ANN401  # the options of `snapshot.export`
) -> None:
    """Write all entries, or those that match, to one file that is always whole.

    TARGET is a path or a URL (s3://bucket/feedback.json.gz). Its suffix tells the format: .json is
    an array, .jsonl, .csv and .parquet are what they say; then the compression (.gz, .zst), then
    the encryption (.age). kto and dpo are training data. Beside it stands TARGET.manifest.json,
    which verify-snapshot and import look at. Whoever reads TARGET meanwhile finds the old one or
    the new one, whole.

    STORE may also be a table of other people: postgresql://host/database?table=votes.

    With --every or --cron the command stays, and exports at once and then on time, until SIGTERM.
    Of several such commands or apps with one TARGET on this machine, one exports.
    """
    source, target = _source_and_target(places, store)
    options: dict[str, Any] = {} if naive_tz is None else {"naive_tz": naive_tz}
    if keep_days is not None:
        given["keep_for"] = timedelta(days=keep_days)

    def run(progress: Tick | None = None) -> Manifest:
        with open_source(source, **options) as opened:
            return snapshot.export(opened, target, progress=progress, **given)

    def tell(written: Manifest) -> None:
        if as_json:
            print_json(to_mapping(written))
        else:
            say(f"{_described(written)} to {without_secrets(target)}")

    with _wrong_use():
        if times.scheduled:
            on_time(times, target, lambda: tell(run()))
            return
        with _progress(source, options, given["query"]) as tick:
            written = run(tick)
    tell(written)


@contextlib.contextmanager
def _wrong_use() -> Generator[None, None, None]:
    """Say of values that make no sense together that the command was used wrongly."""
    try:
        yield
    except (ValueError, TypeError) as error:
        from feedback_store.errors import FeedbackStoreError  # noqa: PLC0415  # only then

        if isinstance(error, FeedbackStoreError):
            raise
        raise click.UsageError(str(error), click.get_current_context()) from error


def _source_and_target(places: Sequence[str], store: str | None) -> tuple[str, str]:
    if len(places) == 1 and store is not None:
        return store, places[0]
    if len(places) == 2:  # noqa: PLR2004  # store and target
        return places[0], places[1]
    msg = f"Name the store and the target, or the store by --store or {STORE_VARIABLE}"
    raise click.UsageError(msg, click.get_current_context())


def _described(written: Manifest) -> str:
    what = "rows" if written.format.startswith("raw") else "entries"
    skipped = f" ({written.skipped} of no use for it)" if written.skipped else ""
    size = f"{written.size_bytes} bytes, SHA-256 {written.sha256[:12]}…"
    return f"{written.entries} {what} as {written.format}{skipped}, {size}"


@contextlib.contextmanager
def _progress(
    location: str, options: Mapping[str, Any], query: Query
) -> Generator[Tick | None, None, None]:
    """Show a bar on standard error when that is a terminal; yield what moves it."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console  # noqa: PLC0415  # help must not wait for it
    from rich.markup import escape  # noqa: PLC0415  # as above
    from rich.progress import Progress  # noqa: PLC0415  # as above

    with open_source(location, **options) as opened:
        count = getattr(opened, "count", None)
        total = None if count is None else count(query)
    with Progress(console=Console(stderr=True, highlight=False), transient=True) as progress:
        task = progress.add_task(escape(visible(without_secrets(location))), total=total)
        yield lambda number: progress.update(task, completed=number)


@click.command("verify-snapshot")
@click.argument("target", metavar="TARGET")
@as_json
def verify_snapshot(*, target: str, as_json: bool) -> None:
    """See whether a snapshot is, byte by byte, what its manifest says.

    TARGET is a path or a URL, as for export. The exit code is 1 when it is damaged, was changed,
    or has no manifest.
    """
    with _wrong_use():
        found = snapshot.verify(target)
    if as_json:
        print_json(to_mapping(found))
    else:
        say(f"{without_secrets(target)}: {_described(found)}: as it was written")
