"""Putting results into the documentation, between markers."""

from pathlib import Path

PAGE = Path(__file__).parent.parent / "docs" / "explanation" / "speed.md"


def write(section: str, text: str, page: Path = PAGE) -> None:
    """Replace what stands between the markers of a section.

    Raises:
        ValueError: the page has no such section.
    """
    begin, end = f"<!-- {section}: begin -->", f"<!-- {section}: end -->"
    before, found, rest = page.read_text("utf-8").partition(begin)
    _, found_end, after = rest.partition(end)
    if not (found and found_end):
        msg = f"{page.name} has no section {section!r}"
        raise ValueError(msg)
    page.write_text(f"{before}{begin}\n\n{text}\n\n{end}{after}", "utf-8")
