"""The month-file store on the real kernel, and that its examiner notices what would be wrong."""

import os
from collections.abc import Callable
from pathlib import Path

import attrs
import pytest
from kernel import ERASED, NOVEMBER, STEPS, examine, play, prove_on_the_real_kernel

from feedback_store import encode

OCTOBER = "feedback_2025-10.jsonl"
BUDGET_S = 200.0
CHANGES = 4
"""The first steps, which change what the store shows."""


@pytest.mark.skipif(
    os.environ.get("FEEDBACK_STORE_PROFILE") != "deep",
    reason="takes ten seconds: only where FEEDBACK_STORE_PROFILE is deep",
)
@pytest.mark.timeout(300)
def test_a_kill_or_a_fault_at_any_call_loses_nothing(tmp_path: Path) -> None:
    """Promises 6, 7, 8, 10 and 12: what was acknowledged is there, whichever call was the last."""
    tally = prove_on_the_real_kernel(tmp_path, BUDGET_S)
    if tally.skipped and not tally.calls:
        pytest.skip(tally.skipped)
    assert "" == tally.skipped
    assert [] == tally.violations
    assert tally.kills > 20
    assert tally.faults > 20


@pytest.mark.parametrize("steps", range(len(STEPS) + 1))
def test_a_script_that_was_left_after_any_step_is_as_it_should(steps: int, tmp_path: Path) -> None:
    """Nothing is wrong where steps were played, or the last one was under way, or the next one."""
    for phase in {2 * steps, max(2 * steps - 1, 0), min(2 * steps + 1, 2 * len(STEPS))}:
        folder = tmp_path / str(phase)
        play(folder, STEPS[:steps])
        assert [] == examine(folder, phase)


@pytest.mark.parametrize("steps", range(CHANGES))
def test_a_step_that_was_acknowledged_is_missed(steps: int, tmp_path: Path) -> None:
    """A folder without what the next step does is wrong if that step was acknowledged."""
    play(tmp_path / "store", STEPS[:steps])
    assert [] != examine(tmp_path / "store", 2 * (steps + 1))


@pytest.mark.parametrize("steps", range(CHANGES))
def test_a_step_that_has_not_begun_is_noticed(steps: int, tmp_path: Path) -> None:
    """A folder with what the next step does is wrong if that step has not begun."""
    play(tmp_path / "store", STEPS[: steps + 1])
    assert [] != examine(tmp_path / "store", 2 * steps)


def a_line_is_lost(folder: Path) -> None:
    """Take an acknowledged line away."""
    (folder / OCTOBER).write_bytes(b"")


def a_line_is_cut(folder: Path) -> None:
    """Leave half of an acknowledged line."""
    os.truncate(folder / OCTOBER, 50)


def an_update_is_lost(folder: Path) -> None:
    """Put an entry back as it was before its update."""
    (folder / "feedback_2025-11.jsonl").write_bytes(encode(NOVEMBER) + b"\n")


def the_erased_is_there_again(folder: Path) -> None:
    """Put the line of an erased entry back."""
    append(folder / OCTOBER, encode(ERASED) + b"\n")


def the_erased_lies_beside(folder: Path) -> None:
    """Leave the line of an erased entry in a file that no store reads."""
    append(folder / "stray", b"before " + encode(ERASED))


def a_stranger_is_there(folder: Path) -> None:
    """Add an entry that nobody wrote."""
    stranger = attrs.evolve(NOVEMBER, id="stranger", message_id="stranger")
    append(folder / "feedback_2025-11.jsonl", encode(stranger) + b"\n")


def a_rewrite_is_left(folder: Path) -> None:
    """Leave what a rewrite that was cut short leaves, where no store looks for it."""
    (folder / "beside").mkdir()
    append(folder / "beside" / f".{OCTOBER}.0f.tmp", b"")


def a_month_cannot_be_read(folder: Path) -> None:
    """Put a folder where the file of a month was."""
    (folder / OCTOBER).unlink()
    (folder / OCTOBER).mkdir()


def append(path: Path, data: bytes) -> None:
    """Append to a file."""
    with path.open("ab") as file:
        file.write(data)


TAMPERINGS = (
    a_line_is_lost,
    a_line_is_cut,
    an_update_is_lost,
    the_erased_is_there_again,
    the_erased_lies_beside,
    a_stranger_is_there,
    a_rewrite_is_left,
    a_month_cannot_be_read,
)


@pytest.mark.parametrize("tamper", TAMPERINGS, ids=lambda tamper: tamper.__name__)
def test_what_is_wrong_is_told(tamper: Callable[[Path], None], tmp_path: Path) -> None:
    """The examiner of the script's folders can fail: it tells of whatever was tampered with."""
    folder = tmp_path / "store"
    play(folder)
    tamper(folder)
    assert [] != examine(folder, 2 * len(STEPS))


def test_a_torn_line_is_not_held_against_the_store(tmp_path: Path) -> None:
    """Half a line at the end of a month is what a kill may leave, and the store gets over it."""
    play(tmp_path / "store")
    append(tmp_path / "store" / OCTOBER, b'{"message_id":"torn')
    assert [] == examine(tmp_path / "store", 2 * len(STEPS))
