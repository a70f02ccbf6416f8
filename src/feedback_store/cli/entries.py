"""The commands on single entries: add, get, update, delete."""

import functools
import sys
from datetime import UTC, datetime, tzinfo
from typing import Any

import click

from feedback_store import changing, codec
from feedback_store.cli.options import (
    Command,
    as_json,
    naive_tz_option,
    number,
    on_store,
    pair,
)
from feedback_store.cli.terminal import (
    json_writer,
    print_json,
    problem_found,
    say,
    to_json,
)
from feedback_store.entry import (
    OWN_KEYS,
    OWN_METADATA_KEYS,
    FeedbackEntry,
)
from feedback_store.facade import FeedbackStore
from feedback_store.fields import ANNOTATOR_KINDS
from feedback_store.rating import rating_from_stars, rating_from_thumbs

_REQUIRED = ("message_id", "question", "answer")
_NOT_BY_SET = {"extra": "--extra", "metadata": "the names of its fields"}


def _dash_before_store(command: Command) -> Command:
    """Tell ``-`` from a store: both may be left out, so a lone argument can be either."""

    @functools.wraps(command)
    def run(*, source: str | None, location: str | None, **given: Any) -> None:  # noqa: ANN401  # the options of the command
        if source not in (None, "-"):
            if location is not None:
                msg = f"Got an unexpected argument ({location}); before STORE only - may stand"
                raise click.UsageError(msg, click.get_current_context())
            source, location = None, source
        command(from_stdin=source == "-", location=location, **given)

    return run


@click.command()
@click.argument("source", metavar="[-]", required=False)
@click.option("--message-id", metavar="ID", help="The rated message.")
@click.option("--question", metavar="TEXT", help="What was asked.")
@click.option("--answer", metavar="TEXT", help="What was answered.")
@click.option("--rating", type=number, metavar="NUMBER", help="From 0 (negative) to 1 (positive).")
@click.option("--thumbs", type=click.Choice(["up", "down"]), help="The rating as a thumb.")
@click.option("--stars", type=float, metavar="NUMBER", help="The rating as stars, from 1.")
@click.option("--of", type=int, metavar="NUMBER", help="How many stars there are; 5 unless given.")
@click.option("--explanation", metavar="TEXT", help="What the user wrote about the answer.")
@click.option(
    "--issue", "issues", multiple=True, metavar="NAME", help="What was wrong; repeatable."
)
@click.option("--user-id", metavar="ID", help="Who gave the feedback.")
@click.option("--conversation-id", metavar="ID", help="The conversation of the message.")
@click.option("--id", metavar="ID", help="The entry's own key; the message's id unless given.")
@click.option("--timestamp", metavar="TIME", help="When it was given; now unless given.")
@click.option("--correction", metavar="TEXT", help="What the answer should have been.")
@click.option("--trace-id", metavar="ID", help="The trace of the answer.")
@click.option("--name", metavar="TEXT", help="What is rated, if there are several things.")
@click.option("--annotator-kind", type=click.Choice(ANNOTATOR_KINDS), help="Who or what rates.")
@click.option("--response-time", type=number, metavar="SECONDS", help="Until the answer came.")
@click.option("--token-count", type=number, metavar="NUMBER", help="Tokens of the answer.")
@click.option(
    "--extra",
    multiple=True,
    type=pair,
    metavar="KEY=VALUE",
    help="Any other key, JSON where it is JSON, else text; repeatable.",
)
@_dash_before_store
@naive_tz_option("Time zone of given times that name none")
@as_json
@on_store(naive_tz=False, durability=True)
def add(
    store: FeedbackStore,
    /,
    *,
    from_stdin: bool,
    naive_tz: tzinfo | None,
    as_json: bool,
    **fields: Any,  # noqa: ANN401  # one for each option
) -> None:
    """Add one entry, by options or, with -, from standard input.

    Standard input holds one JSON object, in the form that "get" prints.

    Adding the same content under the same id again is fine ("unchanged"). Other content under
    an id that is taken is refused.
    """
    given = {name: value for name, value in fields.items() if value not in (None, ())}
    now = datetime.now(UTC)
    zone = naive_tz or UTC
    if from_stdin:
        if given:
            msg = "Give the entry by options or by -, not by both"
            raise click.UsageError(msg, click.get_current_context())
        line = sys.stdin.buffer.read()
        entry = codec.decode(line, naive_tz=zone, fallback_time=now)
    else:
        entry = codec.from_mapping(_as_mapping(given), naive_tz=zone, fallback_time=now)
    outcome = store.add(entry)
    if as_json:
        print_json({"outcome": str(outcome), "id": entry.id})
    else:
        say(f"{outcome} {entry.id}")


def _as_mapping(given: dict[str, Any]) -> dict[str, Any]:
    """Return the JSON object that the options of `add` describe."""
    for name in _REQUIRED:
        if name not in given:
            msg = f"Missing option --{name.replace('_', '-')}, or - to read standard input"
            raise click.UsageError(msg, click.get_current_context())
    rating = _rating_of(given)
    extra = dict(given.pop("extra", ()))
    if taken := sorted(OWN_KEYS & extra.keys()):
        msg = f"--extra cannot give {taken[0]}, which is a field of its own"
        raise click.UsageError(msg, click.get_current_context())
    metadata = {name: given.pop(name) for name in OWN_METADATA_KEYS & given.keys()}
    return {**extra, **given, "rating": rating, "metadata": metadata}


def _rating_of(given: dict[str, Any]) -> int | float | None:
    """Take the one rating out of the options."""
    rating: int | float | None
    rating, thumbs, stars, of = (
        given.pop(name, None) for name in ("rating", "thumbs", "stars", "of")
    )
    if sum(value is not None for value in (rating, thumbs, stars)) > 1:
        msg = "Give one of --rating, --thumbs and --stars"
        raise click.UsageError(msg, click.get_current_context())
    if of is not None and stars is None:
        msg = "--of belongs to --stars"
        raise click.UsageError(msg, click.get_current_context())
    if thumbs is not None:
        return rating_from_thumbs(thumbs == "up")
    if stars is not None:
        return rating_from_stars(stars, of=of or 5)
    return rating


@click.command()
@click.argument("id", metavar="ID")
@as_json
@on_store()
def get(store: FeedbackStore, *, id: str, as_json: bool) -> None:  # the field's name
    """Print an entry as JSON.

    On a terminal it is indented, unless --json is given; else it stands on one line.
    """
    _print_entry(store.get(id), pretty=sys.stdout.isatty() and not as_json)


def _print_entry(entry: FeedbackEntry, *, pretty: bool) -> None:
    if pretty:
        print_json(codec.to_mapping(entry), pretty=True)
    else:
        json_writer()(codec.encode(entry).decode())


@click.command()
@click.argument("id", metavar="ID")
@click.option(
    "--set",
    "fields",
    multiple=True,
    type=pair,
    metavar="FIELD=VALUE",
    help="A field of the entry or its metadata; JSON where it is JSON, else text "
    "(--set correction='\"42\"' is the text 42, --set correction=null takes it away).",
)
@click.option("--rating", type=number, metavar="NUMBER", help="The same as --set rating=NUMBER.")
@click.option("--explanation", metavar="TEXT", help="The explanation, always as text.")
@click.option(
    "--add-issue", "add_issues", multiple=True, metavar="NAME", help="Add an issue; repeatable."
)
@click.option(
    "--extra",
    multiple=True,
    type=pair,
    metavar="KEY=VALUE",
    help="Any other key, added to those that the entry has; repeatable.",
)
@as_json
@on_store(durability=True)
def update(
    store: FeedbackStore,
    /,
    *,
    id: str,  # the field's name
    fields: tuple[tuple[str, Any], ...],
    add_issues: tuple[str, ...],
    extra: tuple[tuple[str, Any], ...],
    as_json: bool,
    **named: Any,  # noqa: ANN401  # the fields that have options of their own
) -> None:
    """Change fields of an entry, as one step.

    Only what is named changes; id, message id and timestamp never do. Prints "updated" and the
    id, or, by --json, the whole entry.
    """
    changes = dict(fields)
    for name in _NOT_BY_SET.keys() & changes.keys():
        msg = f"--set cannot replace {name}; use {_NOT_BY_SET[name]}"
        raise click.UsageError(msg, click.get_current_context())
    changes |= {name: value for name, value in named.items() if value is not None}
    if extra:
        changes["extra"] = dict(extra)
    if not changes and not add_issues:
        msg = "Nothing to change: give --set, --rating, --explanation, --add-issue or --extra"
        raise click.UsageError(msg, click.get_current_context())
    changing.check_names(changes)  # before they become names of arguments
    entry = store.update(id, add_issues=add_issues, **changes)
    if as_json:
        _print_entry(entry, pretty=False)
    else:
        say(f"updated {entry.id}")


@click.command()
@click.argument("ids", metavar="ID...", nargs=-1, required=True)
@click.option("--yes", "-y", is_flag=True, help="Do not ask.")
@as_json
@on_store(positional=False, durability=True)
def delete(store: FeedbackStore, *, ids: tuple[str, ...], yes: bool, as_json: bool) -> None:
    """Erase entries from the medium itself, and say how many were there.

    On a terminal it asks first, unless --yes is given. The exit code is 1 when none of the ids
    had an entry. The store is given by --store or the environment: all arguments are ids.
    """
    wanted = tuple(dict.fromkeys(ids))
    if not yes and sys.stdin.isatty():
        things = "1 entry" if len(wanted) == 1 else f"{len(wanted)} entries"
        if not click.confirm(f"Erase {things} for good?", err=True):
            raise problem_found()
    deleted = store.delete(*wanted)
    if as_json:
        click.echo(to_json({"deleted": deleted, "missing": len(wanted) - deleted}))
    else:
        say(f"{deleted} deleted, {len(wanted) - deleted} not found")
    if not deleted:
        raise problem_found()
