"""The commands on a store as a whole: stats, compact, check."""

from typing import TYPE_CHECKING, Any

import click

from feedback_store.cli.options import as_json, on_store, with_query
from feedback_store.cli.terminal import (
    print_json,
    problem_found,
    say,
    show,
    visible,
    without_secrets,
)
from feedback_store.codec import converter, format_time
from feedback_store.facade import FeedbackStore
from feedback_store.query import Query
from feedback_store.report import Status
from feedback_store.stats import Stats

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from rich.table import Table

_COLORS = {Status.OK: "green", Status.WARNING: "yellow", Status.ERROR: "red"}


@click.command()
@as_json
@on_store()
@with_query
def stats(store: FeedbackStore, *, query: Query, as_json: bool) -> None:
    """Show numbers: totals, and by month, issue and source type.

    "Helpful" is the share of positive entries among those that are rated.
    """
    numbers = store.stats(query)
    if as_json:
        print_json(_as_mapping(numbers))
        return
    from rich.console import Console  # noqa: PLC0415  # help must not wait for it

    console = Console(highlight=False)
    for table in _tables(numbers):
        show(console, table)


def _as_mapping(numbers: Stats) -> dict[str, Any]:
    """Return the numbers with those that are derived from them."""
    shown: dict[str, Any] = converter().unstructure(numbers)
    for kind, group in numbers.by_source_type.items():
        shown["by_source_type"][kind]["helpful_rate"] = group.helpful_rate
    return {
        **shown,
        "rated": numbers.rated,
        "helpful_rate": numbers.helpful_rate,
        "mean_response_time": numbers.mean_response_time,
    }


def _tables(numbers: Stats) -> "Iterable[Table]":
    yield _table(
        ("entries", ""),
        [
            ("total", str(numbers.total)),
            *((name, str(getattr(numbers, name))) for name in _CLASSES),
            ("helpful", _percent(numbers.helpful_rate)),
            ("mean response time", _seconds(numbers.mean_response_time)),
            ("first", format_time(numbers.first) if numbers.first else "-"),
            ("last", format_time(numbers.last) if numbers.last else "-"),
        ],
    )
    for title, counts in (("month", numbers.by_month), ("issue", numbers.by_issue)):
        if counts:
            yield _table((title, "entries"), [(key, str(n)) for key, n in counts.items()])
    if types := numbers.by_source_type:
        yield _table(
            ("source type", "entries", "positive", "helpful"),
            [
                (kind, str(group.total), str(group.positive), _percent(group.helpful_rate))
                for kind, group in types.items()
            ],
        )


_CLASSES = ("positive", "negative", "neutral", "unrated")


def _table(titles: "Sequence[str]", rows: "Iterable[Sequence[str]]") -> "Table":
    from rich.table import Table  # noqa: PLC0415  # as above
    from rich.text import Text  # noqa: PLC0415  # as above

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for i, title in enumerate(titles):
        table.add_column(title, justify="right" if i else "left", overflow="fold")
    for row in rows:
        table.add_row(*(Text(visible(cell)) for cell in row))
    table.add_row()
    return table


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{share:.1%}"


def _seconds(time: float | None) -> str:
    return "-" if time is None else f"{time:.2f} s"


@click.command()
@as_json
@on_store(durability=True)
def compact(store: FeedbackStore, *, as_json: bool) -> None:
    """Give back the space of superseded entries.

    Nothing visible changes, and others may write meanwhile. Damaged lines are moved aside, kept
    as they were.
    """
    done = store.compact()
    if as_json:
        print_json(converter().unstructure(done))
        return
    say(
        f"{done.months} months rewritten: {done.superseded} superseded lines dropped, "
        f"{done.damaged} damaged lines moved aside, "
        f"{done.size_bytes_before} bytes before, {done.size_bytes_after} after"
    )


@click.command()
@as_json
@on_store()
def check(store: FeedbackStore, *, as_json: bool) -> None:
    """Examine the store: what was looked at, and how it came out.

    Where something can be done, a hint says what. The exit code is 1 when a check came out as
    an error; warnings leave it at 0.
    """
    report = store.check()
    if as_json:
        print_json({**converter().unstructure(report), "ok": report.ok})
    else:
        say(without_secrets(report.location))
        for one in report.checks:
            status = click.style(f"{one.status:<7}", fg=_COLORS[one.status])
            click.echo(f"{status}  {visible(one.name)}: {visible(one.message)}")
            if one.hint:
                click.echo(f"         {visible(one.hint)}")
    if not report.ok:
        raise problem_found()
