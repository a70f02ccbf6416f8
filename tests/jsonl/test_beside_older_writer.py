"""A store beside an older service that appends without a lock and replaces files after freeing it.

What is acknowledged here survives the copies of the other, and what the other appends survives the
rewrites here (promise 13, and the regressions of the older service).
"""

import json
import os
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime
from pathlib import Path

import older_writer
import pytest

from feedback_store import (
    FeedbackEntry,
    FeedbackStore,
    LockTimeoutError,
    Outcome,
    Store,
    open_store,
)
from feedback_store.backends.jsonl import JsonlStore
from feedback_store.backends.jsonl import beside as beside_module
from feedback_store.backends.jsonl.beside import BesideOlderWriterStore
from feedback_store.backends.jsonl.os_disk import OsDisk, OsFile
from feedback_store.testing import StoreContract

OCTOBER = datetime(2025, 10, 7, tzinfo=UTC)


def entry(key: str) -> FeedbackEntry:
    """Return an entry of October 2025."""
    return FeedbackEntry(
        message_id=key, question="how?", answer="so. " * 50, rating=1, timestamp=OCTOBER
    )


@pytest.fixture
def month(tmp_path: Path) -> Path:
    """Return the path of October's file, in a folder that has the older writer's first line."""
    path = tmp_path / "feedback_2025-10.jsonl"
    older_writer.append(path, "older-first")
    return path


@pytest.fixture
def store(month: Path) -> FeedbackStore:
    """Return a store beside an older writer."""
    return open_store(month.parent, beside_older_writer=True)


def ids_in(path: Path) -> set[str]:
    """Return the message ids that stand in a file."""
    return {json.loads(line)["message_id"] for line in path.read_text().splitlines()}


def test_option_opens_the_careful_store(tmp_path: Path) -> None:
    """The option chooses a store of its own, so that nobody else pays for its care."""
    with open_store(tmp_path, beside_older_writer=True) as careful, open_store(tmp_path) as plain:
        assert BesideOlderWriterStore is type(careful.store)
        assert JsonlStore is type(plain.store)


class TestContract(StoreContract):
    """It is a store like any other, as long as the other writer is still."""

    @pytest.fixture(autouse=True)
    def _folder(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(beside_module, "GRACE_S", 0.0)
        self._path = tmp_path

    def make_store(self) -> BesideOlderWriterStore:
        """Return a new, empty store."""
        folder = self._path / str(time.monotonic_ns())
        return BesideOlderWriterStore(folder)

    def reopen(self, store: Store) -> BesideOlderWriterStore:
        """Return the store, opened again."""
        store.close()
        return self.open_second(store)

    def open_second(self, store: Store) -> BesideOlderWriterStore:
        """Return the store, opened a second time."""
        assert isinstance(store, BesideOlderWriterStore)
        return BesideOlderWriterStore(store.path)

    def raw_bytes(self, store: Store) -> bytes:
        """Return all that is in the folder, names included."""
        assert isinstance(store, BesideOlderWriterStore)
        files = [path for path in Path(store.path).rglob("*") if path.is_file()]
        return b"".join(str(path).encode() + path.read_bytes() for path in files)


def test_add_waits_for_a_copy_that_lacks_it(month: Path, store: FeedbackStore) -> None:
    """An entry written between a copy and its replacement is acknowledged once it is in both."""
    copy = older_writer.copy(month, "older-first", 0)
    adding = threading.Thread(target=store.add, args=(entry("ours"),))
    adding.start()
    adding.join(0.3)
    assert adding.is_alive(), "acknowledged while a copy without it was about to take its place"
    copy.replace(month)
    adding.join(10)
    assert not adding.is_alive()
    assert {"older-first", "ours"} == ids_in(month)


def test_update_waits_for_a_copy_that_lacks_it(month: Path, store: FeedbackStore) -> None:
    """The same for a revision: it is made again on what the copy holds."""
    store.add(entry("ours"))
    copy = older_writer.copy(month, "older-first", 0)
    updating = threading.Thread(target=lambda: store.update("ours", explanation="wrong"))
    updating.start()
    updating.join(0.3)
    assert updating.is_alive()
    copy.replace(month)
    updating.join(10)
    assert "wrong" == store.get("ours").metadata.explanation


def test_add_into_a_file_replaced_before_the_lock(month: Path, store: FeedbackStore) -> None:
    """A file replaced since the store looked last is found out, and the new one is written."""
    store.add(entry("one"))
    older_writer.update(month, "older-first", 0)
    assert Outcome.ADDED is store.add(entry("two"))
    assert {"older-first", "one", "two"} == ids_in(month)
    assert 0 == store.get("older-first").rating


def test_copy_left_behind_by_a_dead_writer_blocks_nobody(month: Path, store: FeedbackStore) -> None:
    """A copy that has not grown for some seconds belongs to a writer that died."""
    copy = older_writer.copy(month, "older-first", 0)
    long_ago = time.time() - beside_module.STALE_S - 1
    os.utime(copy, (long_ago, long_ago))
    assert Outcome.ADDED is store.add(entry("ours"))
    assert 0 == store.compact().superseded
    assert {"older-first", "ours"} == ids_in(month)


def test_copy_that_never_ends_is_a_typed_error(
    month: Path, store: FeedbackStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Waiting for a copy has a timeout; the error names the file, and the retry is harmless."""
    monkeypatch.setattr(beside_module, "_TIMEOUT_S", 0.2)
    copy = older_writer.copy(month, "older-first", 0)
    with pytest.raises(LockTimeoutError, match=r"feedback_2025-10\.jsonl"):
        store.add(entry("ours"))
    copy.replace(month)
    store.add(entry("ours"))
    assert {"older-first", "ours"} == ids_in(month)


def test_line_in_the_making_is_awaited(month: Path, store: FeedbackStore) -> None:
    """While the older writer is in the middle of a line, nothing of ours gets into it.

    A blank line would do harm too: its reader gives up the whole month at one.
    """
    line = older_writer.line_of("older-late", 1)
    with month.open("a", encoding="utf-8") as file:
        file.write(line[:40])
        file.flush()
        assert 1 == store.count()
        adding = threading.Thread(target=store.add, args=(entry("ours"),))
        adding.start()
        adding.join(beside_module.GRACE_S / 3)
        file.write(line[40:])
    adding.join(10)
    assert not adding.is_alive()
    assert {"older-first", "older-late", "ours"} == ids_in(month)


def test_line_torn_by_a_dead_writer_is_sealed(month: Path, store: FeedbackStore) -> None:
    """A line that nobody finishes damages only itself."""
    with month.open("a", encoding="utf-8") as file:
        file.write(older_writer.line_of("older-torn", 1)[:40])
    store.add(entry("ours"))
    assert {"older-first", "ours"} == {e.id for e in store.scan()}
    assert "1 damaged lines: feedback_2025-10.jsonl:2" == store.check()["damaged_lines"].message


def test_line_that_another_has_run_into_is_written_again(
    month: Path, store: FeedbackStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half a line that comes between our look and our write costs our line, which comes again."""
    store.add(entry("before"))
    halves = [older_writer.line_of("older-torn", 1)[:40].encode()]
    append = OsFile.append

    def append_after_half(file: OsFile, data: bytes) -> int:
        if halves:
            append(file, halves.pop())
        return append(file, data)

    monkeypatch.setattr(OsFile, "append", append_after_half)
    assert Outcome.ADDED is store.add(entry("ours"))
    assert [] == halves
    assert {"older-first", "before", "ours"} == {e.id for e in store.scan()}


class AppendsAfterExchange(OsDisk):
    """A disk on which the older writer opens the file before an exchange and writes after it."""

    def __init__(self, keys: list[str]) -> None:
        self.keys = keys

    def exchange(self, a: str, b: str) -> None:
        """Exchange the files, between the older writer's open and its write."""
        with Path(b).open("a", encoding="utf-8") as file:
            super().exchange(a, b)
            file.writelines(older_writer.line_of(key, 1) for key in self.keys)


def test_rewrite_takes_over_what_goes_to_the_old_file(month: Path) -> None:
    """A line that the older writer puts into the replaced file is taken over, once."""
    disk = AppendsAfterExchange(["older-late", "ours"])
    with FeedbackStore(BesideOlderWriterStore(month.parent, disk=disk)) as store:
        store.add(entry("ours"))
        store.update("ours", explanation="wrong")
        assert 1 == store.compact().superseded
        assert ["older-first", "older-late", "ours"] == sorted(e.id for e in store.scan())
        assert "wrong" == store.get("ours").metadata.explanation
    assert {"older-first", "older-late", "ours"} == ids_in(month)
    assert 3 == len(month.read_text().splitlines())


def test_erased_entry_is_not_taken_over(month: Path) -> None:
    """An erased entry that stands in the replaced file again does not come back with it."""
    disk = AppendsAfterExchange(["gone"])
    with FeedbackStore(BesideOlderWriterStore(month.parent, disk=disk)) as store:
        store.add(entry("gone"))
        assert 1 == store.delete("gone")
        assert ["older-first"] == [e.id for e in store.scan()]
    assert {"older-first"} == ids_in(month)


def test_ten_seconds_side_by_side(month: Path) -> None:
    """Writers on both sides, and rewrites here: no acknowledged entry and no append is lost."""
    seconds = 10.0
    program = Path(older_writer.__file__)
    older = subprocess.Popen(
        [sys.executable, program, month, str(seconds)], stdout=subprocess.PIPE, text=True
    )
    until = time.monotonic() + seconds
    acknowledged: list[str] = []
    errors: list[BaseException] = []

    def add_and_update(store: FeedbackStore, name: str) -> None:
        try:
            for n in range(10**6):
                if time.monotonic() > until:
                    return
                store.add(entry(f"{name}-{n}"))
                acknowledged.append(f"{name}-{n}")
                if n % 7 == 0:
                    store.update(f"{name}-{n}", explanation="wrong")
        except BaseException as error:  # told in the main thread
            errors.append(error)
            raise

    with (
        open_store(month.parent, beside_older_writer=True) as one,
        open_store(month.parent, beside_older_writer=True) as other,
    ):
        writers = [
            threading.Thread(target=add_and_update, args=(one, "a")),
            threading.Thread(target=add_and_update, args=(one, "b")),
            threading.Thread(target=add_and_update, args=(other, "c")),
        ]
        for writer in writers:
            writer.start()
        compactions = 0
        while time.monotonic() < until:
            compactions += other.compact().months
            time.sleep(0.5)
        for writer in writers:
            writer.join()
        appended = json.loads(older.communicate()[0])
        assert [] == errors
        there = {e.id for e in one.scan()}
        assert set() == set(acknowledged) - there
        assert set() == set(appended) - there
        assert compactions > 0, "no rewrite came through"
        assert "no damaged lines" == one.check()["damaged_lines"].message
