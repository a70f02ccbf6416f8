"""What goes out: text without control characters, JSON, and errors of one line."""

import json
import re
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

_BLANKS = re.compile(r"[\t-\r\x1c-\x1f\x85\u2028\u2029 ]+")
# What moves the cursor, starts an escape sequence, or turns the reading direction around; and
# half characters, which no encoding can say.
_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
_JSON_CONTROLS = re.compile(r"[\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]")
_PASSWORD = re.compile(r"(://[^\s/:@]*:)\S+(?=@)")
_SECRET = re.compile(
    r"([?&][^=&\s]*(?:password|secret|token|key)[^=&\s]*=)[^&\s'\"]+", re.IGNORECASE
)


def visible(text: str) -> str:
    """Return the text on one line, its control characters spelled out: ``\\x1b``."""  # noqa: D301  # one backslash is shown
    return _CONTROLS.sub(_spell, _BLANKS.sub(" ", text).strip())


def _spell(found: re.Match[str]) -> str:
    code = ord(found[0])
    return f"\\x{code:02x}" if code <= 0xFF else f"\\u{code:04x}"  # noqa: PLR2004  # two digits


def without_secrets(text: str) -> str:
    """Return the text with the passwords of the URLs in it replaced by stars."""
    return _SECRET.sub(r"\1***", _PASSWORD.sub(r"\1***", text))


def complain(message: str) -> None:
    """Say a problem on standard error, in one line."""
    # Not by click, which would write past the bar that `import` shows on a terminal.
    sys.stderr.write(f"Error: {visible(without_secrets(message))}\n")
    sys.stderr.flush()


def say(text: str) -> None:
    """Print a line that people read."""
    click.echo(visible(text))


def to_json(value: object, *, pretty: bool = False) -> str:
    """Return a value as JSON, on one line unless it shall be pretty."""
    separators = None if pretty else (",", ":")
    return json.dumps(
        value, ensure_ascii=False, indent=2 if pretty else None, separators=separators
    )


def json_writer() -> Callable[[str], None]:
    """Return a function that prints JSON: UTF-8 whatever the locale, and harmless on a terminal.

    JSON itself escapes only some control characters. All of them stand inside of strings, where
    an escape means the same.
    """
    write = line_writer()
    if not sys.stdout.isatty():
        return write
    return lambda text: write(_JSON_CONTROLS.sub(lambda found: f"\\u{ord(found[0]):04x}", text))


def line_writer() -> Callable[[str], None]:
    """Return a function that prints a line in UTF-8, whatever the locale."""
    stream = sys.stdout.buffer

    def write(text: str) -> None:
        stream.write(text.encode() + b"\n")

    return write


def show(console: "Console", table: "Table") -> None:
    """Print a table."""
    # By itself rich would end the program when nobody reads on, with a code of its own.
    with console.capture() as captured:
        console.print(table)
    click.echo(captured.get(), nl=False)


def print_json(value: Any, *, pretty: bool = False) -> None:  # noqa: ANN401  # any JSON value
    """Print one value as JSON."""
    json_writer()(to_json(value, pretty=pretty))


def escape_what_cannot_be_encoded() -> None:
    """Let standard output spell out what the terminal's encoding lacks, as standard error does."""
    reconfigure: Callable[..., None] | None = getattr(sys.stdout, "reconfigure", None)
    if reconfigure is not None:
        reconfigure(errors="backslashreplace")


def problem_found() -> click.exceptions.Exit:
    """Return what ends the program with the code for a problem that was told already."""
    return click.exceptions.Exit(1)
