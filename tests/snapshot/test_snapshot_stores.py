"""A snapshot is the same from every store, and says what the store says, whatever its lines are."""

import gzip
import json
from datetime import timedelta, timezone
from pathlib import Path

import attrs
import pytest
from exporting import some_entries
from jsonl_harness import MONTH, NOON, a_line, an_entry

from feedback_store import Query, encode, open_store
from feedback_store.snapshot import export, read

URLS = (
    "mem://",
    "sqlite://",
    "sqlite:///{folder}/f.db",
    "jsonl:///{folder}/store",
    "file://{folder}/objects",
)


@pytest.mark.parametrize("cached", [False, True], ids=["plain", "cached"])
@pytest.mark.parametrize("url", URLS, ids=lambda url: url.partition("{")[0])
def test_every_store_gives_the_same_bytes(tmp_path: Path, url: str, cached: bool) -> None:
    """Updates, several entries of one time, and erased ones included."""
    entries = [*some_entries(40), *(an_entry(f"tie-{i}", timestamp=NOON) for i in (2, 1, 3))]
    cache = 300.0 if cached else None
    with open_store(url.format(folder=tmp_path), cache_ttl_s=cache) as store:
        store.add_many(entries)
        updated = store.update("m-0007", rating=1, explanation="Better.")
        store.delete("m-0003")
        for query in (Query(), Query(order="newest"), Query(rating="positive"), Query(text="so")):
            target = tmp_path / "f.jsonl"
            export(store, target, query)
            expected = [encode(entry) for entry in store.scan(query)]
            assert expected == target.read_bytes().splitlines()
        assert encode(updated) in (tmp_path / "f.jsonl").read_bytes()


FOREIGN = (
    b'{"message_id":"naive","question":"?","answer":"!","timestamp":"2025-10-02T10:00:00"}\n'
    b'\xef\xbb\xbf{"message_id":"marked","question":"?","answer":"!",'
    b'"timestamp":"2025-10-02T11:00:00Z"}\n'
    b'{"message_id":"untimed","question":"?","answer":"!"}\n'
    b'{"message_id":"told","question":"?","answer":"!",'
    b'"metadata":{"timestamp":"2025-10-03T10:00:00+01:00"}}\n'
    b'{"message_id":"zoned","question":"?","answer":"!","timestamp":"2025-10-04T10:00:00+02:00"}\n'
    b'{"message_id":"changed","question":"?","answer":"!","timestamp":"2025-10-05T10:00:00Z",'
    b'"updated_at":"2025-10-05T12:00:00"}\n'
    b'{ "message_id":"spaced", "question":"?","answer":"!","timestamp":"2025-10-06T10:00:00Z" }\r\n'
    b'{"message_id":"torn","question":"?","ans\n'
    b'{"message_id":"other-month","question":"?","answer":"!","timestamp":"2024-01-01T00:00:00Z"}\n'
    b'\0\0\0{"message_id":"zeros","question":"?","answer":"!","timestamp":"2025-10-07T10:00:00Z"}\n'
)


@pytest.mark.parametrize("name", ["f.json", "f.jsonl"])
def test_lines_of_other_programs_mean_the_same_anywhere(tmp_path: Path, name: str) -> None:
    """Their times name a zone in a snapshot, since whoever reads it does not know the store's."""
    folder = tmp_path / "store"
    folder.mkdir()
    (folder / MONTH).write_bytes(a_line("a") + FOREIGN + a_line("b"))
    (folder / "feedback_2024-01.jsonl.gz").write_bytes(
        gzip.compress(a_line("sealed", timestamp=NOON.replace(year=2024, month=1)))
    )
    with open_store(folder, naive_tz=timezone(timedelta(hours=2))) as store:
        written = store.export(tmp_path / name)
        assert 12 == written.entries
        assert list(store.scan()) == list(read(tmp_path / name))
    text = (tmp_path / name).read_bytes()
    json.loads(text if name.endswith("json") else text.splitlines()[0])
    assert b"\xef\xbb\xbf" not in text
    assert b"\0" not in text


def test_a_line_that_was_damaged_since_is_left_out(tmp_path: Path) -> None:
    """A flipped byte in a month does not make an array that nobody can read."""
    folder = tmp_path / "store"
    with open_store(folder) as store:
        store.add_many(an_entry(f"m-{i}", answer="x" * 50) for i in range(100))
        assert 100 == store.export(tmp_path / "f.json").entries
        month = folder / MONTH
        damaged = month.read_bytes().replace(b"x" * 50, b"x" * 20 + b"\xff" + b"x" * 29, 1)
        with month.open("r+b") as file:
            file.write(damaged)
        written = store.export(tmp_path / "f.json")
    assert 99 == written.entries == len(json.loads((tmp_path / "f.json").read_bytes()))


def test_a_snapshot_is_as_of_its_beginning(tmp_path: Path) -> None:
    """What is added while it is written is not in it."""
    with open_store(tmp_path / "store") as store:
        store.add_many(an_entry(f"m-{i:04}") for i in range(3000))

        def add_more(number: int) -> None:
            store.add(attrs.evolve(an_entry(f"new-{number}"), timestamp=NOON))

        written = store.export(tmp_path / "f.json", progress=add_more)
        assert 3000 == written.entries
        assert store.count() > 3000


def test_a_progress_that_raises_ends_it(tmp_path: Path) -> None:
    """What is there stays, and nothing is left beside it."""
    with open_store(tmp_path / "store") as store:
        store.add_many(some_entries(10))
        store.export(tmp_path / "out" / "f.json")
        before = (tmp_path / "out" / "f.json").read_bytes()
        store.delete("m-0000")

        def refuse(number: int) -> None:
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            store.export(tmp_path / "out" / "f.json", progress=refuse)
    assert before == (tmp_path / "out" / "f.json").read_bytes()
    assert [] == list((tmp_path / "out").glob(".*.tmp"))
