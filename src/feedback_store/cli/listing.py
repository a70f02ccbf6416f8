"""The command that shows many entries: list."""

import click

from feedback_store.cli.options import on_store, with_query
from feedback_store.cli.shapes import SHAPES
from feedback_store.cli.terminal import say
from feedback_store.facade import FeedbackStore
from feedback_store.query import Order, Query


@click.command("list")
@click.option(
    "--order",
    type=click.Choice([str(order) for order in Order]),
    default=str(Order.NEWEST),
    show_default=True,
    help="By time, or by rating with the unrated last.",
)
@click.option(
    "--limit",
    type=click.IntRange(min=0),
    metavar="NUMBER",
    default=50,
    show_default=True,
    help="How many entries a page has; 0 for all.",
)
@click.option("--all", "everything", is_flag=True, help="All entries, as --limit 0.")
@click.option("--cursor", help="The cursor that the page before ended with.")
@click.option(
    "--format",
    "shape",
    type=click.Choice(list(SHAPES)),
    default="table",
    show_default=True,
    help="A table for people, or all fields as JSON lines, or a spreadsheet.",
)
@click.option("--json", "as_json", is_flag=True, help="The same as --format jsonl.")
@on_store()
@with_query
def list_(  # one for each option
    store: FeedbackStore,
    *,
    query: Query,
    order: str,
    limit: int,
    everything: bool,
    cursor: str | None,
    shape: str,
    as_json: bool,
) -> None:
    """List entries: as a table, JSON lines or CSV.

    All conditions must hold. Dates and times without a zone are in UTC.

    The table shortens texts to fit the terminal. CSV has the columns timestamp, id, message_id,
    user_id, conversation_id, rating, issues, explanation, question, answer, correction,
    source_types, response_time, token_count, trace_id, name, annotator_kind, updated_at; a text
    that a spreadsheet would take for a formula gets an apostrophe in front. Where more follows,
    the cursor of the next page is told: under the table, else on standard error.
    """
    shape = "jsonl" if as_json else shape
    query = query.ordered(Order(order))
    if everything or not limit:
        if cursor is not None:
            msg = "--cursor belongs to a page, not to --all"
            raise click.UsageError(msg, click.get_current_context())
        shown = SHAPES[shape](store.scan(query))
        _tell_rest(shape, shown, shown, None)
    else:
        page = store.page(query, limit, cursor=cursor)
        shown = SHAPES[shape](page.entries)
        _tell_rest(shape, shown, page.total, page.next_cursor)


def _tell_rest(shape: str, shown: int, total: int, next_cursor: str | None) -> None:
    told = f"{shown} of {total} entries"
    if next_cursor:
        told += f"; the next page: --cursor {next_cursor}"
    if shape == "table":
        say(told)
    elif next_cursor:
        click.echo(told, err=True)
