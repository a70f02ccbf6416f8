"""Writers that are killed all the time, beside a compactor and an eraser.

Promises 2, 12, 13, 18 and 19: what was acknowledged is there in the end, unless it was erased; what
was erased is gone; no line is half or mixed, and no id is there twice.
"""

import json
import logging
from contextlib import closing
from pathlib import Path

import pytest
from jsonl_harness import contents, needs_fork, raw
from killing import ENTRIES, Journal, Scene, run, told

from feedback_store import Query
from feedback_store.backends.jsonl import JsonlStore

logger = logging.getLogger(__name__)

pytestmark = [needs_fork, pytest.mark.timeout(600)]


def check_lines(folder: Path) -> None:
    """Check that every line of every file is one whole entry, whose text is that of its id."""
    for path in sorted(folder.glob("feedback_*.jsonl")):
        *lines, rest = path.read_bytes().split(b"\n")
        assert b"" == rest
        for number, line in enumerate(lines, 1):
            given = json.loads(line)
            assert {f"<{given['message_id']}>"} == set(given["answer"].split()), (path, number)


def test_no_acknowledged_entry_is_lost_by_kills(tmp_path: Path) -> None:
    """Everything that was acknowledged is there, everything erased is gone, nothing is half."""
    folder, notes = tmp_path / "store", tmp_path / "journal"
    notes.mkdir()
    journal = Journal(notes)
    scene = Scene(lambda: JsonlStore(folder, compact_share=0.2), journal)
    seconds = run(scene)
    outcome = told(journal)
    acknowledged, erasing, erased = outcome.added, outcome.erasing, outcome.erased
    check_lines(folder)
    found = contents(folder)
    assert ENTRIES == len(acknowledged)
    assert set() == acknowledged - found.keys() - erasing
    assert set() == erased & found.keys()
    assert set() == found.keys() - acknowledged
    with closing(JsonlStore(folder)) as store:
        assert sorted(found) == sorted(entry.id for entry in store.scan(Query()))
        store.compact()
        store.erase(erasing)
        assert "no damaged lines" == store.check()["damaged_lines"].message
    assert found.keys() - erasing == contents(folder).keys()
    assert [] == list(folder.glob(".*.tmp"))
    bytes_left = raw(folder)
    assert set() == {id for id in erasing if f'"{id}"'.encode() in bytes_left}
    logger.info(
        "%d entries in %.1f s with %d kills, %d erasures and %d compactions: none lost",
        *(ENTRIES, seconds, scene.kills, len(erased), len(journal.lines("compacted"))),
    )
