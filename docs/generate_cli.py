"""Writes the reference of the command line from its own help: python docs/generate_cli.py.

`tests/cli/test_cli_reference.py` fails when the page on disk is not what this would write.
"""  # noqa: INP001  # a script

from pathlib import Path

import click

from feedback_store.cli.program import program

PAGE = Path(__file__).parent / "reference" / "cli.md"

_INTRODUCTION = """\
<!-- Written by docs/generate_cli.py from the help of the commands: change it there. -->

# The command line

`feedback-store` comes with the extra `cli`: `pip install 'feedback-store[cli]'`. Without the script
on the path, `python -m feedback_store` is the same.

- **The store** is a path or a URL. It comes last (`feedback-store list data/feedback`), or is given
  by `--store`, or by the environment variable `FEEDBACK_STORE_URL`. Given as an argument, it goes
  before the environment; given as an argument and by `--store`, it is an error. `delete` takes
  any number of ids, so its store is never an argument.
- **Output** goes to standard output, and everything that is not the answer (problems, progress,
  questions) to standard error. `--json` prints JSON for programs, in UTF-8 whatever the locale.
- **Errors** are one line that begins with `Error:`. No password in a URL is ever shown.
- **Exit codes**: 0 fine; 1 a problem was found, or the store refused; 2 wrong use; 130 interrupted
  by Ctrl-C. A reader that stops early, as in `feedback-store list --all | head`, is fine.
- **Values** of `--set`, `--match` and `--extra` are JSON where they parse as JSON, else text:
  `count=3` is a number, `count='"3"'` and `channel=web` are texts.
- **What users wrote** is never sent to a terminal raw: control characters, and with them escape
  sequences, are spelled out.
"""


def reference() -> str:
    """Return the page."""
    settings = {"terminal_width": 80, **program.context_settings}
    parent = click.Context(program, info_name=program.name, **settings)
    parts = [_INTRODUCTION, _block(program.get_help(parent))]
    for name, command in sorted(program.commands.items()):
        context = click.Context(command, info_name=name, parent=parent, terminal_width=80)
        parts += [f"## feedback-store {name}\n", _block(command.get_help(context))]
    return "\n".join(parts)


def _block(text: str) -> str:
    return f"```text\n{text}\n```\n"


if __name__ == "__main__":
    PAGE.write_text(reference(), "utf-8")
