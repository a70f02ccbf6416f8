"""Erasure: nothing readable is left of an entry, in no file, and a power cut or a reader apart."""

import errno
import os
import random
import shutil
import sqlite3
from contextlib import closing
from datetime import timedelta
from functools import partial
from pathlib import Path

import attrs
import pytest
from jsonl_harness import NOON, an_entry

from feedback_store import DurabilityError, FeedbackEntry, LockTimeoutError, Query, encode
from feedback_store.backends.sqlite import SqliteStore, folding, remains


def bytes_of(file: Path) -> bytes:
    """Return all bytes of the database and of the files beside it."""
    return b"".join(path.read_bytes() for path in sorted(file.parent.iterdir()))


def marked(number: int, rng: random.Random) -> FeedbackEntry:
    """Return an entry of some size, all of whose texts name it."""
    mark = f"mark-{number:05}-mark"
    told = attrs.evolve(
        an_entry().metadata,
        explanation=mark * rng.randrange(3),
        conversation_id=f"conversation {mark}",
        issues=(f"issue {mark}",) * rng.randrange(2),
    )
    return an_entry(
        f"id-{number:05}-{rng.randrange(10**9)}",
        message_id=f"message {mark}",
        answer=mark * rng.choice([1, 5, 60, 900]),
        user_id=f"user {mark}",
        sources=({"type": f"type {mark}"},),
        metadata=told,
        timestamp=NOON - timedelta(minutes=rng.randrange(10**5)),
    )


@pytest.mark.parametrize("mode", ["wal", "delete"])
@pytest.mark.parametrize("seed", range(3))
def test_nothing_readable_is_left(
    tmp_path: Path, seed: int, mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows that grow, shrink and go, of all sizes, in a file whose pages are split all the time."""
    rng = random.Random(seed)
    monkeypatch.setattr(folding.fold, "__kwdefaults__", {"at_least": 10})
    file = tmp_path / "db" / "feedback.db"
    alive: dict[str, FeedbackEntry] = {}
    gone: list[FeedbackEntry] = []
    with closing(SqliteStore(file, durability="os", journal_mode=mode)) as store:  # type: ignore[arg-type]  # one of the two
        for number in range(150):
            entry = marked(number, rng)
            store.append([entry])
            alive[entry.id] = entry
            if rng.random() < 0.5:
                changed = alive[rng.choice(sorted(alive))]
                text = changed.message_id * rng.choice([1, 9, 300])
                alive[changed.id] = store.rewrite(changed.id, partial(attrs.evolve, answer=text))
            if rng.random() < 0.3:
                erased = alive.pop(rng.choice(sorted(alive)))
                gone.append(erased)
                assert 1 == store.erase([erased.id])
        left = bytes_of(file)
        assert [] == [e.id for e in gone if e.id.encode() in left]
        assert [] == [e.id for e in gone if e.message_id.removeprefix("message ").encode() in left]
        assert sorted(alive) == sorted(entry.id for entry in store.scan(Query()))
        assert store.check(deep=True)["numbers"].message.endswith("agree with the entries")


def test_what_sqlite_leaves_behind_is_found_and_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stale copy in the middle of a page is no row any more; only its bytes tell of it."""
    file = tmp_path / "db" / "feedback.db"
    with closing(SqliteStore(file)) as store:
        store.append([an_entry("keep"), an_entry("secret-of-ada", answer="a long secret " * 9)])
        store.close()
    content = bytearray(file.read_bytes())
    place = next(start for start, _ in gaps_of(content, 40))
    content[place : place + 13] = b"secret-of-ada"
    file.write_bytes(content)
    with closing(SqliteStore(file)) as store:
        assert remains.are_left(str(file), remains.traces_of(frozenset({"secret-of-ada"}), []))
        store.erase(["secret-of-ada"])
    assert b"secret" not in bytes_of(file)


def gaps_of(content: bytearray, size: int) -> list[tuple[int, int]]:
    """Return where there is so much unallocated room, and how much, in pages with rows."""
    found = []
    for start in range(8192, len(content), 8192):
        if content[start] in (10, 13):
            cells = int.from_bytes(content[start + 3 : start + 5], "big")
            first = start + 8 + 2 * cells
            end = start + int.from_bytes(content[start + 5 : start + 7], "big")
            if end - first > size:
                found.append((first, end - first))
    return found


def test_pieces_find_what_lacks_its_ends() -> None:
    """Whatever stretch of a text is left, one of the pieces stands in it, however it is spelled."""
    text = 'She said "no" and then\nnothing for a long time, twice; ' + "é" * 40
    entry = an_entry("0123456789-0123456789-0123", answer=text)
    traces = remains.traces_of(frozenset({entry.id}), [entry])
    for spelled in (encode(entry), text.encode()):
        start = spelled.index(b"nothing")
        end = start + len(b"nothing for a long time, twice; ") + 80
        for first in range(start, end - 36):
            assert any(trace in spelled[first : first + 36] for trace in traces)
    assert any(trace in b"xx0123456789-0123456789-01xx" for trace in traces)
    common = encode(an_entry("another", message_id="another"))
    assert [] == [trace for trace in traces if trace in common and b"2025" not in trace]


def test_a_scan_of_this_process_does_not_keep_an_erasure_waiting(tmp_path: Path) -> None:
    """It goes on as of its beginning, from memory."""
    file = tmp_path / "db" / "feedback.db"
    with closing(SqliteStore(file, lock_timeout_s=0.5)) as store:
        store.append([an_entry(f"{n:04}") for n in range(1000)])
        scan = store.scan(Query())
        assert "0000" == next(scan).id
        assert 2 == store.erase(["0500", "0999"])
        assert [f"{n:04}" for n in range(1, 1000)] == [entry.id for entry in scan]
        assert b"0500" not in bytes_of(file)


def test_a_reader_elsewhere_keeps_an_erasure_waiting(tmp_path: Path) -> None:
    """A typed error after the timeout; the same call, made again, ends the work."""
    file = tmp_path / "db" / "feedback.db"
    with closing(SqliteStore(file, lock_timeout_s=0.2)) as store:
        store.append([an_entry("a"), an_entry("secret-of-ada")])
        with closing(sqlite3.connect(file, isolation_level=None)) as other:
            other.execute("BEGIN")
            other.execute("SELECT count(*) FROM entry").fetchone()
            with pytest.raises(LockTimeoutError, match="gone from sight"):
                store.erase(["secret-of-ada"])
            assert None is store.get("secret-of-ada")
            assert ["a"] == [entry.id for entry in store.scan(Query())]
        assert 0 == store.erase(["secret-of-ada"])
    assert b"secret-of-ada" not in bytes_of(file)


def test_an_erasure_whose_sync_fails_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A power cut could bring the log back: a typed error, and the same call may be made again."""

    def fail(_: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    file = tmp_path / "db" / "feedback.db"
    with closing(SqliteStore(file)) as store:
        store.append([an_entry("a"), an_entry("b")])
        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", fail)
            with pytest.raises(DurabilityError):
                store.erase(["a"])
        assert 0 == store.erase(["a"])
        assert ["b"] == [entry.id for entry in store.scan(Query())]


def test_names_go_with_the_last_entry_that_has_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An issue may be what somebody typed."""
    monkeypatch.setattr(folding.fold, "__kwdefaults__", {"at_least": 1})
    file = tmp_path / "db" / "feedback.db"
    told = attrs.evolve(an_entry().metadata, issues=("ask Ada Lovelace",))
    with closing(SqliteStore(file)) as store:
        store.append([an_entry("a", metadata=told), an_entry("b", metadata=told)])
        store.erase(["a"])
        assert b"Lovelace" in bytes_of(file)
        assert 1 == store.count(Query(issues=["ask Ada Lovelace"]))
        store.erase(["b"])
        assert b"Lovelace" not in bytes_of(file)


def test_the_descriptor_of_a_file_that_is_gone_is_closed(tmp_path: Path) -> None:
    """One is kept for each file that is there: closing it would drop SQLite's locks."""
    identities = []
    for number in range(3):
        file = tmp_path / f"db-{number}" / "feedback.db"
        with closing(SqliteStore(file)) as store:
            store.append([an_entry()])
            store.erase(["a"])
        found = file.stat()
        identities.append((found.st_dev, found.st_ino))
        assert {identities[-1]} == set(identities) & remains._descriptors.keys()
        shutil.rmtree(file.parent)
