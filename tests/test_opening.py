"""`open_store`: from a URL or a path to a store."""

import sys
from pathlib import Path

import pytest

from feedback_store import FeedbackEntry, FeedbackStoreError, UnknownBackendError, open_store
from feedback_store.backends.memory import MemoryStore
from feedback_store.opening import path_of

ENTRY_POINTS = """\
[feedback_store.backends]
shelf = shelf_backend:open_shelf
broken = shelf_backend:nothing
"""
MODULE = """
from feedback_store.backends.memory import MemoryStore

class Shelf(MemoryStore):
    def __init__(self, url, **options):
        super().__init__(**options)
        self.url = url

def open_shelf(url, **options):
    return Shelf(url, **options)
"""


@pytest.fixture
def shelf_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Install a package with a backend of its own, as far as Python can tell."""
    info = tmp_path / "shelf_backend-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: shelf-backend\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(ENTRY_POINTS)
    (tmp_path / "shelf_backend.py").write_text(MODULE)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "shelf_backend", raising=False)


@pytest.mark.parametrize("url", ["mem://", "mem:", "MEM://", "mem://anything"])
def test_memory_has_a_scheme(url: str) -> None:
    """`mem://` opens an empty store in memory, and options reach it."""
    with open_store(url, max_entry_bytes=10) as feedback:
        assert isinstance(feedback.store, MemoryStore)
        assert 0 == feedback.count()
        with pytest.raises(FeedbackStoreError):
            feedback.add(FeedbackEntry(message_id="m", question="q", answer="a"))


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("jsonl:///data/feedback", "data/feedback"),
        ("jsonl:////srv/feedback", "/srv/feedback"),
        ("jsonl:///with%20space", "with space"),
        ("jsonl:///what%3F", "what?"),
        ("jsonl:///with space", "with space"),
        ("jsonl:///n%C3%A4he", "nähe"),
        ("jsonl:///a#b", "a#b"),
        ("sqlite:///feedback.db", "feedback.db"),
    ],
)
def test_paths_in_urls(url: str, path: str) -> None:
    """Three slashes stand before a relative path, four before an absolute one."""
    assert path == path_of(url)


@pytest.mark.parametrize(
    "url",
    ["jsonl:data", "jsonl:/data", "jsonl://data", "jsonl://", "jsonl:///", "jsonl:///a?sync=no"],
)
def test_urls_that_would_mean_another_place_are_refused(url: str) -> None:
    """A wrong number of slashes, and options in the URL, are errors: no folder is guessed."""
    with pytest.raises(UnknownBackendError):
        open_store(url)


def test_an_unknown_scheme_is_told_with_the_known_ones() -> None:
    """The error names the schemes that are known, and how a package adds one."""
    with pytest.raises(UnknownBackendError, match=r"jsonl.*mem.*feedback_store\.backends"):
        open_store("gopher://example.org/feedback")


def test_an_empty_location_is_refused() -> None:
    """An empty variable in a configuration does not open the working directory."""
    with pytest.raises(UnknownBackendError, match="empty"):
        open_store("")


@pytest.mark.usefixtures("shelf_package")
def test_a_package_can_add_a_scheme() -> None:
    """A scheme that an installed package registers is opened by it, with URL and options."""
    store = open_store("shelf://top/left", max_entry_bytes=999).store
    assert ("Shelf", "shelf://top/left") == (type(store).__name__, getattr(store, "url", None))
    with pytest.raises(UnknownBackendError, match="shelf"):
        open_store("shelve://")


def test_a_path_opens_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A path, as text or not, and both kinds of URL open the same folder, told absolutely."""
    monkeypatch.chdir(tmp_path)
    with open_store("data") as feedback:
        feedback.add(FeedbackEntry(message_id="m", question="q", answer="a"))
    for location in (Path("data"), tmp_path / "data", "jsonl:///data", f"jsonl:///{tmp_path}/data"):
        with open_store(location) as feedback:
            assert 1 == feedback.count()
            assert str(tmp_path / "data") in repr(feedback)
