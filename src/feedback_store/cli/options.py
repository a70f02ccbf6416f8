"""Arguments and options that several commands share."""

import functools
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timezone, tzinfo
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

import click

from feedback_store import codec
from feedback_store.errors import InvalidEntryError
from feedback_store.facade import FeedbackStore
from feedback_store.opening import open_store
from feedback_store.query import Query
from feedback_store.rating import Rating

P = ParamSpec("P")
C = TypeVar("C", bound=Callable[..., Any])
Command = Callable[..., None]

STORE_VARIABLE = "FEEDBACK_STORE_URL"
as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


def on_store(
    *, positional: bool = True, naive_tz: bool = True, durability: bool = False
) -> Callable[[Callable[Concatenate[FeedbackStore, P], None]], Command]:
    """Give a command a store: as its last argument, as ``--store``, or by the environment.

    Args:
        positional: whether the store may be the last argument.
        naive_tz: whether the command reads entries whose times may lack a zone.
        durability: whether the command writes.
    """

    def decorate(command: Callable[Concatenate[FeedbackStore, P], None]) -> Command:
        @functools.wraps(command)
        def run(*, location: str | None = None, store: str | None, **given: Any) -> None:  # noqa: ANN401  # the options of any command
            chosen = _chosen_location(location, store, positional=positional)
            options: dict[str, Any] = {
                name: given.pop(name) for name in ("naive_tz", "durability") if name in taken
            }
            with opened_store(chosen, options) as opened:
                command(opened, **given)  # type: ignore[call-arg]  # click knows what there is

        taken: set[str] = set()
        decorated: Command = run
        if durability:
            taken.add("durability")
            decorated = _durability(decorated)
        if naive_tz:
            taken.add("naive_tz")
            decorated = naive_tz_option("Time zone of stored times that name none")(decorated)
        decorated = _store(decorated)
        return _location(decorated) if positional else decorated

    return decorate


_location = click.argument("location", metavar="[STORE]", required=False)
_store = click.option(
    "--store",
    "-s",
    metavar="STORE",
    envvar=STORE_VARIABLE,
    show_envvar=True,
    help="The store, as a path or URL.",
)
_durability = click.option(
    "--durability",
    type=click.Choice(["sync", "os"]),
    help="When a write counts as done: on the disk (sync, unless given) or in the system (os).",
)


def naive_tz_option(what: str) -> Callable[[C], C]:
    """Return the option for the zone of times that name none."""
    return click.option(
        "--naive-tz",
        type=time_zone,
        metavar="ZONE",
        help=f"{what}: a name such as Europe/Berlin or an offset such as +01:00; UTC unless given.",
    )


identity_option = click.option(
    "--identity",
    "-i",
    type=click.Path(exists=True, dir_okay=False),
    multiple=True,
    metavar="FILE",
    help="A file with a secret key of age or SSH that can read the encrypted snapshot; repeatable.",
)


def keys_in(files: Sequence[str]) -> list[str]:
    """Return the keys in files: one on a line, with comments as of age-keygen, or an SSH key."""
    keys: list[str] = []
    for file in files:
        text = Path(file).read_text("utf-8")
        if text.startswith("-----BEGIN"):
            keys.append(text)
        else:
            lines = (line.strip() for line in text.splitlines())
            keys += [line for line in lines if line and not line.startswith("#")]
    return keys


def _chosen_location(location: str | None, store: str | None, *, positional: bool) -> str:
    source = click.get_current_context().get_parameter_source("store")
    if location is not None and store is not None and source is not None:
        if source.name == "COMMANDLINE":
            msg = "The store is given twice: as an argument and by --store"
            raise click.UsageError(msg, click.get_current_context())
        return location
    chosen = location if location is not None else store
    if chosen is None:
        ways = "as the last argument, by --store" if positional else "by --store"
        msg = f"No store is given: name it {ways}, or by the variable {STORE_VARIABLE}"
        raise click.UsageError(msg, click.get_current_context())
    return chosen


def opened_store(location: str, options: dict[str, Any]) -> FeedbackStore:
    """Open the store, with those options that were given."""
    given = {name: value for name, value in options.items() if value is not None}
    try:
        return open_store(location, **given)
    except TypeError as error:
        for name in given:
            if "unexpected keyword argument" in str(error) and repr(name) in str(error):
                msg = f"This kind of store takes no --{name.replace('_', '-')}"
                raise click.UsageError(msg, click.get_current_context()) from error
        raise


def with_query(command: Command) -> Command:
    """Give a command the filters of `Query`, as its argument ``query``."""

    @functools.wraps(command)
    def run(*args: Any, **given: Any) -> None:  # noqa: ANN401  # the options of any command
        filters = {name: given.pop(name) for name in _FILTERS}
        filters["match"] = dict(filters["match"])
        command(*args, query=Query(**filters), **given)

    decorated: Command = run
    for option in reversed(_FILTERS.values()):
        decorated = option(decorated)
    return decorated


def to_time(text: str) -> datetime:
    """Return the time that a date or an ISO 8601 time means; one without a zone is in UTC."""
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        msg = "not a date or time in ISO 8601 form, such as 2025-02-17 or 2025-02-17T10:30Z"
        raise click.BadParameter(msg) from None
    return time if time.tzinfo is not None else time.replace(tzinfo=UTC)


def time_zone(text: str) -> tzinfo:
    """Return the time zone of a name or an offset."""
    from zoneinfo import ZoneInfo  # noqa: PLC0415  # only what is used

    if text[:1] in "+-":
        try:
            offset = datetime.strptime(text, "%z").utcoffset()
        except ValueError:
            offset = None
        if offset is not None:
            return timezone(offset)
    try:
        return ZoneInfo(text)
    except (KeyError, ValueError, OSError):
        msg = "not a time zone known here, such as Europe/Berlin, and not an offset, such as +01:00"
        raise click.BadParameter(msg) from None


def pair(text: str) -> tuple[str, Any]:
    """Return key and value of ``key=value``: JSON where it is JSON, else text."""
    key, equals, value = text.partition("=")
    if not key or not equals:
        msg = "write it as KEY=VALUE"
        raise click.BadParameter(msg)
    try:
        return key, codec.parse(value.encode())
    except (InvalidEntryError, UnicodeEncodeError):
        return key, value


def number(text: str) -> int | float:
    """Return a number; 1 stays 1, and does not become 1.0."""
    try:
        return int(text)
    except ValueError:
        pass
    try:
        return float(text)
    except ValueError:
        msg = "not a number"
        raise click.BadParameter(msg) from None


_FILTERS: dict[str, Callable[[Command], Command]] = {
    "rating": click.option(
        "--rating",
        type=click.Choice([str(rating) for rating in Rating]),
        help="Only entries rated so: positive is above 0.5, negative below, neutral 0.5.",
    ),
    "since": click.option(
        "--since",
        type=to_time,
        metavar="TIME",
        help="Only entries of this date or time, or later. Times without a zone are in UTC.",
    ),
    "until": click.option(
        "--until",
        type=to_time,
        metavar="TIME",
        help="Only entries before this date or time: --until 2025-03-01 ends with February.",
    ),
    "issues": click.option(
        "--issue", "issues", multiple=True, metavar="NAME",
        help="Only entries with this issue; repeated, with any of them.",
    ),
    "source_types": click.option(
        "--source-type", "source_types", multiple=True, metavar="TYPE",
        help="Only entries with a source of this type; repeated, of any of them.",
    ),
    "text": click.option(
        "--text", help="Only entries with this in question, answer or explanation."
    ),
    "message_id": click.option("--message-id", metavar="ID", help="Only entries on this message."),
    "conversation_id": click.option(
        "--conversation-id", metavar="ID", help="Only entries of this conversation."
    ),
    "user_id": click.option("--user-id", metavar="ID", help="Only entries by this user."),
    "has_explanation": click.option(
        "--has-explanation/--no-explanation", default=None,
        help="Only entries with an explanation, or only those without.",
    ),
    "match": click.option(
        "--match", multiple=True, type=pair, metavar="KEY=VALUE",
        help="Only entries with this value under any other key; JSON where it is JSON, else text.",
    ),
}  # fmt: skip
