"""Promise 22 for the SQLite store: power cuts at its system calls, by a replay of what it did."""

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from sqlite_power import EFFORTS, JOURNALS, MODELS, Effort, Exploration, in_memory, prove_sqlite
from sqlite_script import FILE, PLAYED, STEPS, Journal, Owed, examine, play
from syscalls import needs_strace

EFFORT = EFFORTS[os.environ.get("FEEDBACK_STORE_PROFILE", "fast")]
LEAST_STATES = 70

every_journal = pytest.mark.parametrize("journal", JOURNALS)
told = pytest.mark.usefixtures("capfd")  # the script talks


@pytest.fixture
def scratch() -> Iterator[Path]:
    """Return a folder in memory."""
    with in_memory() as memory:
        yield memory


@every_journal
@needs_strace
@pytest.mark.timeout(300)
@pytest.mark.parametrize("model", MODELS)
def test_a_power_cut_loses_nothing(journal: Journal, model: str, scratch: Path) -> None:
    """Whatever is left: what was acknowledged is there, what was erased is not, and it goes on."""
    tally = Exploration(scratch, journal, model, EFFORT).run()
    assert not tally.violations, "\n".join(tally.violations[:10])
    assert LEAST_STATES <= tally.states


@every_journal
@needs_strace
def test_a_store_that_does_not_sync_is_caught(journal: Journal, scratch: Path) -> None:
    """Where a write is acknowledged as soon as the kernel has it, acknowledged entries are lost."""
    effort = Effort(2, every=False, second=0)
    tally = Exploration(scratch, journal, "posix", effort, durability="os").run()
    assert any("was acknowledged" in violation for violation in tally.violations)


@needs_strace
def test_the_proof_ends_when_its_time_is_over(scratch: Path) -> None:
    """It says where it was cut short, and has counted what came before that."""
    tally = prove_sqlite(scratch, 0)
    assert "cut short" in tally.skipped
    assert len(JOURNALS) * len(MODELS) * PLAYED == tally.steps
    assert [] == tally.violations


# ------------------------------------------------------------------------------ the examiner


def said(done: int, begun: int) -> list[str]:
    """Return what the script says when some steps were acknowledged and more had begun."""
    ended = [f"{word} {number}" for number in range(done) for word in ("begin", "ack")]
    return [*ended, *(f"begin {number}" for number in range(done, begun))]


@told
@every_journal
def test_a_script_that_was_left_after_any_step_is_as_it_should(
    journal: Journal, scratch: Path
) -> None:
    """Nothing is wrong where steps were made, or the last one was under way, or the next one."""
    for steps in range(PLAYED + 1):
        for done, begun in {(steps, steps), (max(steps - 1, 0), steps), (steps, steps + 1)}:
            folder = scratch / f"{steps} {done} {begun}"
            play(folder, journal, range(steps))
            assert [] == examine(folder, journal, Owed.after(said(done, min(begun, PLAYED))))


CHANGING = [n for n in range(PLAYED) if any(STEPS[n].effect()) and n != 4]  # the fifth is a repeat


@told
@pytest.mark.parametrize("step", CHANGING)
def test_a_step_that_was_acknowledged_is_missed(step: int, scratch: Path) -> None:
    """A file without what a step does is wrong if that step was acknowledged."""
    play(scratch, "wal", range(step))
    assert [] != examine(scratch, "wal", Owed.after(said(step + 1, step + 1)))


@told
@pytest.mark.parametrize("step", CHANGING)
def test_a_step_that_has_not_begun_is_noticed(step: int, scratch: Path) -> None:
    """A file with what a step does is wrong if that step has not begun."""
    play(scratch, "wal", range(step + 1))
    assert [] != examine(scratch, "wal", Owed.after(said(step, step)))


def an_entry_is_lost(path: Path) -> None:
    """Take an acknowledged row away."""
    change(path, "DELETE FROM entry WHERE id = 'entry-00'")


def an_entry_is_another(path: Path) -> None:
    """Give an acknowledged row the content of another one."""
    change(path, "UPDATE entry SET body = replace(body, 'person 03', 'person 02')")


def a_stranger_is_there(path: Path) -> None:
    """Add a row that nobody wrote."""
    columns = "stamp, class, explained"
    body = "replace(body, '\"entry-00\"', '\"stranger\"')"
    change(
        path,
        f"INSERT INTO entry (id, body, {columns}) "
        f"SELECT 'stranger', {body}, {columns} FROM entry WHERE id = 'entry-00'",
    )


def the_erased_lies_beside(path: Path) -> None:
    """Leave the text of an erased entry in a file that no store reads."""
    path.with_name("stray").write_bytes(b"what person 07 thinks;")


def the_header_is_lost(path: Path) -> None:
    """Overwrite the beginning of the file."""
    path.write_bytes(bytes(100) + path.read_bytes()[100:])


def nothing_is_there(path: Path) -> None:
    """Remove the file."""
    path.unlink()


def change(path: Path, statement: str) -> None:
    """Change the database, as something else than the store."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute(statement)


TAMPERINGS = (
    an_entry_is_lost,
    an_entry_is_another,
    a_stranger_is_there,
    the_erased_lies_beside,
    the_header_is_lost,
    nothing_is_there,
)


@told
@pytest.mark.parametrize("tamper", TAMPERINGS, ids=lambda tamper: tamper.__name__)
def test_what_is_wrong_is_told(tamper: Callable[[Path], None], scratch: Path) -> None:
    """The examiner can fail: it tells of whatever was tampered with."""
    play(scratch, "wal")
    tamper(scratch / FILE)
    assert [] != examine(scratch, "wal", Owed.after(said(PLAYED, PLAYED)))
