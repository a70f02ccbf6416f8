"""The command line. It needs the extra ``cli``; all that it does, the library does."""

import sys
from importlib.util import find_spec


def main() -> None:
    """Run ``feedback-store``, and exit with its code."""
    missing = [name for name in ("click", "rich") if find_spec(name) is None]
    if missing:
        print(  # noqa: T201  # click, which would print it, may be what is missing
            f"Error: the command line needs {' and '.join(missing)}: "
            "pip install 'feedback-store[cli]'",
            file=sys.stderr,
        )
        sys.exit(2)
    from feedback_store.cli.program import program  # noqa: PLC0415  # it needs click

    program()
