"""The reference of the command line says what the help of the commands says."""

import runpy
from pathlib import Path

DOCS = Path(__file__).parents[2] / "docs"


def test_the_reference_is_up_to_date() -> None:
    """The page is what the generator writes; if it is not, run: python docs/generate_cli.py."""
    generated = runpy.run_path(str(DOCS / "generate_cli.py"))["reference"]()
    assert generated == (DOCS / "reference" / "cli.md").read_text("utf-8")
