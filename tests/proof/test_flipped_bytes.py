"""Promise 24: a flipped byte anywhere is told by a deep check, or it was harmless.

Harmless is also what leaves its line an entry: lines carry no checksum, so that people can edit
them; the page on durability says so.
"""

import gzip
import logging

import pytest
from month_files import path_of
from subject import FOLDER, open_store, small_indexes

from feedback_store import FeedbackEntry, FeedbackStoreError, InvalidEntryError, Status, decode
from feedback_store.backends.jsonl import JsonlStore
from feedback_store.testing.simulation import Image, SimulatedDisk, an_entry
from feedback_store.testing.simulation.examination import show

ENTRIES = (an_entry(1), an_entry(2), an_entry(3), an_entry(4, 2), an_entry(5, 2))
BITS = (0x01, 0x20, 0x80)


@pytest.fixture(autouse=True)
def quiet(caplog: pytest.LogCaptureFixture) -> None:
    """Keep thousands of damaged lines out of the log."""
    caplog.set_level(logging.CRITICAL, "feedback_store")


@pytest.fixture(scope="module")
def image() -> Image:
    """Return a small store with everything that one has: an index, and a sealed month."""
    with small_indexes():
        disk = SimulatedDisk()
        store = open_store(disk)
        store.append(ENTRIES)
        store.close()
        image = disk.image()
        sealed = image.nodes[path_of(2)]
        packed = gzip.compress(sealed.content or b"", mtime=0)
        nodes = {path: node for path, node in image.nodes.items() if path != path_of(2)}
        disk = SimulatedDisk(Image({**nodes, f"{path_of(2)}.gz": sealed._replace(content=packed)}))
        assert set(show(open_store(disk))) == {entry.id for entry in ENTRIES}
        return disk.image()


def flipped(image: Image, path: str, offset: int, bit: int) -> Image:
    """Return the disk with one bit of one byte changed."""
    node = image.nodes[path]
    content = bytearray(node.content or b"")
    content[offset] ^= bit
    return Image({**image.nodes, path: node._replace(content=bytes(content))})


def is_an_entry(line: bytes) -> bool:
    """Say whether a line still holds one."""
    try:
        decode(line, fallback_time=ENTRIES[0].timestamp)
    except InvalidEntryError:
        return False
    return True


def lines_that_still_parse(image: Image) -> int:
    """Count the lines of the plain month that hold an entry."""
    content = image.nodes[path_of(1)].content or b""
    return sum(map(is_an_entry, content.split(b"\n")))


def told(store: JsonlStore) -> bool:
    """Say whether a deep check tells of damage."""
    report = store.check(deep=True)
    return any(check.status is not Status.OK for check in report.checks)


def served(store: JsonlStore) -> dict[str, FeedbackEntry]:
    """Return what the store serves."""
    try:
        return show(store)
    except FeedbackStoreError as error:
        pytest.fail(f"one byte takes the store away: {error!r}")


def test_every_byte_of_the_lines(image: Image) -> None:
    """What no longer parses is told; what does harms nobody else, and neighbours are served."""
    path, whole = path_of(1), lines_that_still_parse(image)
    for offset in range(len(image.nodes[path].content or b"")):
        for bit in BITS:
            changed = flipped(image, path, offset, bit)
            store = open_store(SimulatedDisk(changed))
            assert (lines_that_still_parse(changed) < whole) == told(store), (offset, bit)
            others = [e for e in ENTRIES if served(store).get(e.id) == e]
            assert len(ENTRIES) - 2 <= len(others), (offset, bit)


def test_every_byte_of_a_sealed_month(image: Image) -> None:
    """The checksum of the format tells, or the byte carries nothing."""
    path = f"{path_of(2)}.gz"
    for offset in range(len(image.nodes[path].content or b"")):
        for bit in BITS:
            with_index = flipped(image, path, offset, bit)
            nodes = {p: n for p, n in with_index.nodes.items() if "/index/" not in p}
            store = open_store(SimulatedDisk(Image(nodes)))
            assert told(store) or {e.id: e for e in ENTRIES} == served(store), (offset, bit)


def test_every_byte_of_everything_else(image: Image) -> None:
    """Index, format and locks can be made again: no answer depends on them."""
    others = [(p, c) for p, _, c in image.files() if p.startswith(f"{FOLDER}/.feedback_store")]
    assert any(".idx" in path for path, _ in others)
    for path, content in others:
        for offset in range(len(content)):
            for bit in BITS[:1] if ".idx" in path else BITS:
                store = open_store(SimulatedDisk(flipped(image, path, offset, bit)))
                assert {e.id: e for e in ENTRIES} == served(store), (path, offset, bit)
