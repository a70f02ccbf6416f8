"""Putting results into the documentation, between markers."""

from pathlib import Path

_DOCS = Path(__file__).parent.parent / "docs"
_SPEED = _DOCS / "explanation" / "speed.md"
PAGES = {
    "comparison": _SPEED,
    "again": _SPEED,
    "choice": _DOCS / "how-to" / "choose-where-it-lives.md",
    "growth": _SPEED,
    "objects": _SPEED,
    "postgres": _SPEED,
    "sizes": _SPEED,
}
"""The page that each section is on."""
PICTURE = _SPEED.with_name("sizes.svg")
"""What that page shows of the sizes."""


def write(section: str, text: str, page: Path | None = None) -> None:
    """Replace what stands between the markers of a section, on its page unless told another.

    Raises:
        ValueError: the page has no such section.
    """
    page = page or PAGES[section]
    begin, end = f"<!-- {section}: begin -->", f"<!-- {section}: end -->"
    before, found, rest = page.read_text("utf-8").partition(begin)
    _, found_end, after = rest.partition(end)
    if not (found and found_end):
        msg = f"{page.name} has no section {section!r}"
        raise ValueError(msg)
    page.write_text(f"{before}{begin}\n\n{text}\n\n{end}{after}", "utf-8")
