"""Writers that are killed all the time, beside a compactor and an eraser: the SQLite store.

Promises 2, 12, 13, 18 and 22: what was acknowledged is there in the end, unless it was erased; what
was erased is gone, from the bytes of the file too; and SQLite finds no damage.
"""

import logging
from contextlib import closing
from pathlib import Path

import pytest
from jsonl_harness import needs_fork
from killing import ENTRIES, Journal, Scene, run, told

from feedback_store import Query
from feedback_store.backends.sqlite import SqliteStore

logger = logging.getLogger(__name__)

pytestmark = [needs_fork, pytest.mark.timeout(600)]


@pytest.mark.parametrize("mode", ["wal", "delete"])
def test_no_acknowledged_entry_is_lost_by_kills(tmp_path: Path, mode: str) -> None:
    """Everything that was acknowledged is there, everything erased is gone, nothing is half."""
    file, notes = tmp_path / "store" / "feedback.db", tmp_path / "journal"
    notes.mkdir()
    journal = Journal(notes)
    scene = Scene(lambda: SqliteStore(file, journal_mode=mode, lock_timeout_s=100), journal)  # type: ignore[arg-type]  # one of the two
    seconds = run(scene)

    outcome = told(journal)
    assert ENTRIES == len(outcome.added)
    with closing(SqliteStore(file)) as store:
        found = {entry.id: entry for entry in store.scan(Query())}
        assert all({f"<{id}>"} == set(entry.answer.split()) for id, entry in found.items())
        assert set() == outcome.added - found.keys() - outcome.erasing
        assert set() == outcome.erased & found.keys()
        assert set() == found.keys() - outcome.added
        report = store.check(deep=True)
        assert ["ok"] * len(report.checks) == [check.status for check in report.checks], report
        store.erase(outcome.erasing)
    bytes_left = b"".join(path.read_bytes() for path in file.parent.iterdir())
    assert set() == {id for id in outcome.erasing if f"<{id}>".encode() in bytes_left}
    logger.info(
        "%d entries in %.1f s with %d kills, %d erasures and %d compactions: none lost",
        *(ENTRIES, seconds, scene.kills, len(outcome.erased), len(journal.lines("compacted"))),
    )
