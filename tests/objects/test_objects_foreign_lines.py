"""Objects that prove right, with lines in them that are no entries: another program wrote them."""

import json
import logging
import zlib
from contextlib import closing
from pathlib import Path

import fsspec
import pytest
from jsonl_harness import an_entry

from feedback_store import EntryNotFoundError, Outcome, Query
from feedback_store.backends.objects import ObjectStore

MONTH = an_entry("a").month
REVISION = f"{1:032x}"
WRONG = b'{"message_id":"wrong","question":1,"answer":"","timestamp":"%s-05T00:00:00Z"}'
GOOD = b'{"message_id":"good","question":"?","answer":"!","timestamp":"%s-06T00:00:00+02:00"}'


def put(folder: Path, *bodies: bytes) -> Path:
    """Write an object as the layout says, with a right checksum."""
    rest = b"".join(
        b'{"revision":"%s","entry":%s}\n' % (REVISION.encode(), body % MONTH.encode())
        for body in bodies
    )
    header = {"format": 1, "lines": 2, "bytes": len(rest), "crc32": f"{zlib.crc32(rest):08x}"}
    path = folder / MONTH / f"{REVISION}.segment.jsonl"
    path.parent.mkdir(parents=True)
    path.write_bytes(json.dumps(header).encode() + b"\n" + rest)
    return path


def opened(folder: Path) -> ObjectStore:
    """Open the store."""
    return ObjectStore(fsspec.filesystem("file"), str(folder))


def test_what_is_no_entry_harms_no_neighbour(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """It is left out, told once, shown by the check, and kept by a compaction."""
    put(tmp_path, WRONG, GOOD)
    caplog.set_level(logging.WARNING, "feedback_store")
    with closing(opened(tmp_path)) as store:
        for _ in range(3):
            assert ["good"] == [entry.id for entry in store.scan(Query())]
            assert store.get("wrong") is None
            assert {"good"} == store.get_many(["wrong", "good"]).keys()
            with pytest.raises(EntryNotFoundError):
                store.rewrite("wrong", lambda entry: entry)
            check = store.check()
            assert "1 lines are no entries" in check["no_entries"].message
            store.compact()
        (base,) = tmp_path.rglob("*.base.*")
        assert 1 == len(list(tmp_path.rglob("*.jsonl*"))), base
        assert [True] == ["question" in record.getMessage() for record in caplog.records]
        assert Outcome.ADDED is store.append([an_entry("wrong")])[0]
        assert ["good", "wrong"] == sorted(entry.id for entry in store.scan(Query()))


def test_a_time_with_another_offset_is_read(tmp_path: Path) -> None:
    """The fast way reads what this library writes; all else goes the careful way."""
    put(tmp_path, GOOD)
    with closing(opened(tmp_path)) as store:
        (entry,) = store.scan(Query())
    assert (22, "UTC") == (entry.timestamp.hour, str(entry.timestamp.tzinfo))
