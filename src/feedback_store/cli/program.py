"""The program: its commands, and how each way of ending looks to the shell."""

import functools
import os
import sys
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import click

from feedback_store.cli.copying import copy
from feedback_store.cli.entries import add, delete, get, update
from feedback_store.cli.exporting import export, verify_snapshot
from feedback_store.cli.importing import import_
from feedback_store.cli.listing import list_
from feedback_store.cli.migrating import migrate
from feedback_store.cli.terminal import complain, escape_what_cannot_be_encoded
from feedback_store.cli.whole import check, compact, stats
from feedback_store.errors import FeedbackStoreError

NAME = "feedback-store"
_INTERRUPTED = 130  # what shells give for Ctrl-C: 128 and the number of SIGINT


class Program(click.Group):
    """A group of commands that says every error in one line."""

    def main(  # click's own signature
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,  # noqa: FBT001, FBT002  # as above
        windows_expand_args: bool = True,  # noqa: FBT001, FBT002  # as above
        **extra: Any,  # noqa: ANN401  # as above
    ) -> Any:  # noqa: ANN401  # as above
        """Run, and exit: 0 fine, 1 a problem was found, 2 wrong use, 130 interrupted.

        With ``standalone_mode=False`` it is click's own `main`.
        """
        extra |= {"windows_expand_args": windows_expand_args, "standalone_mode": False}
        run = functools.partial(super().main, args, prog_name or NAME, complete_var, **extra)
        if not standalone_mode:
            return run()
        try:
            code: object = run()
        except click.Abort:
            sys.exit(_INTERRUPTED)
        except click.UsageError as error:
            path = error.ctx.command_path if error.ctx else NAME
            complain(f"{error.format_message().rstrip('.')}. See '{path} --help'.")
            sys.exit(error.exit_code)
        except click.ClickException as error:
            complain(error.format_message())
            sys.exit(error.exit_code)
        except FeedbackStoreError as error:
            complain(str(error))
            sys.exit(1)
        sys.exit(code if isinstance(code, int) else 0)

    def invoke(self, ctx: click.Context) -> Any:  # noqa: ANN401  # click's own signature
        """Run the command, and end in silence when nobody reads on, as in ``| head``."""
        try:
            result = super().invoke(ctx)
            sys.stdout.flush()
        except FeedbackStoreError:
            raise
        except OSError as error:
            # A broken pipe below a store is no silent end: standard output must be what broke.
            if _output_failed() and isinstance(error, BrokenPipeError):
                return None
            msg = f"input or output failed: {error.strerror or error}"
            raise click.ClickException(msg) from error
        return result


def _output_failed() -> bool:
    """Say whether standard output takes no more; if so, nothing is written there at exit either."""
    try:
        # What could not be written is forgotten by now: only something new shows the state.
        sys.stdout.write("\n")
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return True
    return False


def _show_version(ctx: click.Context, _: click.Parameter, wanted: bool) -> None:  # noqa: FBT001  # click's own signature
    if not wanted or ctx.resilient_parsing:
        return
    try:
        number = version("feedback-store")
    except PackageNotFoundError:
        number = "(not installed)"
    click.echo(f"{NAME} {number}")
    ctx.exit()


@click.group(
    cls=Program,
    name=NAME,
    no_args_is_help=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_show_version,
    help="Show the version and exit.",
)
def program() -> None:
    """Keep, ask and examine feedback on the answers of language models.

    STORE is the path of a folder (data/feedback) or a URL. It comes last, or is given by
    --store, or by the environment variable FEEDBACK_STORE_URL.

    \b
    Exit codes: 0    fine
                1    a problem was found, or the store refused
                2    wrong use
                130  interrupted
    """  # noqa: D301  # \b is click's mark for lines to leave as they are
    escape_what_cannot_be_encoded()


_COMMANDS = (
    add, import_, export, verify_snapshot, copy, migrate, get, list_, stats, update, delete,
    compact, check,
)  # fmt: skip
for _command in _COMMANDS:
    program.add_command(_command)
