"""The command that moves entries between stores: copy."""

import contextlib
import sys
from collections.abc import Callable, Generator
from datetime import tzinfo
from itertools import islice

import click

from feedback_store import migrate
from feedback_store.cli.options import as_json, naive_tz_option, on_store, opened_store, with_query
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
from feedback_store.migrate.copying import same_store
from feedback_store.query import Query

Show = Callable[[str], None]


@click.command()
@click.argument("source", metavar="SOURCE")
@naive_tz_option("Time zone of times in SOURCE that name none")
@as_json
@on_store(naive_tz=False, durability=True)
@with_query
def copy(
    store: FeedbackStore, *, source: str, naive_tz: tzinfo | None, query: Query, as_json: bool
) -> None:
    """Copy all entries of SOURCE, or those that match, into STORE.

    Both are paths or URLs, of any kinds. Entries arrive exactly as they are, and what is in STORE
    is never overwritten: where anything else stands under an id, that is a conflict, told with the
    id, also where only a time differs. The exit code is 1 when there was a conflict, or an entry
    that STORE refuses, and when SOURCE holds nothing.

    After an interrupt or an error the same command goes on; what had arrived is unchanged. Let
    nobody write to SOURCE meanwhile, or copy again afterwards.
    """
    with opened_store(source, {"naive_tz": naive_tz}) as origin:
        if same_store(origin, store):
            msg = "SOURCE and STORE are the same store"
            raise click.UsageError(msg, click.get_current_context())
        result = _told(origin, store, query, source)
        is_empty = not result.read and next(origin.scan(), None) is None
    if as_json:
        print_json(_counts(result))
    else:
        say(_worded(result))
    if is_empty:
        complain(f"there is nothing to copy: {source} does not exist, or holds no entries")
    if is_empty or not result.complete:
        raise problem_found()


def _told(
    origin: FeedbackStore, store: FeedbackStore, query: Query, source: str
) -> migrate.CopyResult:
    """Copy, and tell of problems as they come; where it is cut short, say how far it came."""
    so_far = migrate.CopyResult()

    def advance(result: migrate.CopyResult) -> None:
        nonlocal so_far
        for id in islice(result.conflicts, len(so_far.conflicts), None):  # the field's name
            complain(f"conflict: something else stands under the id {id!r}")
        for id, problem in islice(result.refused.items(), len(so_far.refused), None):  # as above
            complain(f"refused: the entry with the id {id!r}: {problem}")
        so_far = result
        show(_worded(result))

    try:
        with _progress(source) as show:
            return migrate.copy(origin, store, query, progress=advance)
    except (KeyboardInterrupt, FeedbackStoreError):
        done = f"Cut short after: {_worded(so_far)}."
        click.echo(f"{done} The same command goes on from there.", err=True)
        raise


def _counts(result: migrate.CopyResult) -> dict[str, int]:
    return {
        "read": result.read,
        "added": result.added,
        "unchanged": result.unchanged,
        "conflicting": len(result.conflicts),
        "refused": len(result.refused),
    }


def _worded(result: migrate.CopyResult) -> str:
    return ", ".join(f"{count} {name}" for name, count in _counts(result).items())


@contextlib.contextmanager
def _progress(name: str) -> Generator[Show, None, None]:
    """Show how far it came on standard error when that is a terminal; yield what tells it."""
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.console import Console  # noqa: PLC0415  # help must not wait for it
    from rich.markup import escape  # noqa: PLC0415  # as above

    title = escape(visible(without_secrets(name)))
    # No bar: how many there are is known only by reading all of them first. Lines on standard
    # error that are written meanwhile come out above it.
    with Console(stderr=True, highlight=False).status(title) as status:
        yield lambda text: status.update(f"{title}: {text}")
