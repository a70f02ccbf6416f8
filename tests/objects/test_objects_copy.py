"""From a folder of month files into a bucket, and back."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from fault_proxy import FaultProxy
from jsonl_harness import an_entry
from s3_endpoint import Endpoint

from feedback_store import decode, encode, open_store
from feedback_store.backends.objects import ObjectStore
from feedback_store.migrate import copy

START = datetime(2025, 8, 20, tzinfo=UTC)
MANY = 3000

# Unknown keys, nulls that were spelled out, numbers of every type, an id and times of its own.
SPECIAL = (
    '{"message_id":"m","question":"\u2028","answer":"\\n","rating":1.0,'
    '"timestamp":"2025-02-03T10:00:00.000001Z","sources":null,"metadata":{"token_count":null,'
    '"issues":[],"n":1,"x":1.0},"id":"m/rider","user_id":null,'
    '"updated_at":"2025-03-01T00:00:00.500Z","z":{"b":-0.0,"a":[1,1.0,true,null,'
    "18446744073709551616,1e22]}}"
).encode()

Run = Callable[..., dict[str, int]]


@pytest.fixture
def run(endpoint: Endpoint, tmp_path: Path) -> Run:
    """Run a command, in a process that finds the endpoint as those of AWS's own tools do."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    if endpoint.url is not None:
        environment["AWS_ENDPOINT_URL"] = endpoint.url

    def run(*args: str) -> dict[str, int]:
        command = [sys.executable, "-m", "feedback_store", *args]
        done = subprocess.run(
            command, capture_output=True, cwd=tmp_path, env=environment, check=False
        )
        assert (0, b"") == (done.returncode, done.stderr)
        told: dict[str, int] = json.loads(done.stdout)
        return told

    return run


def lines(location: str | Path, **options: Any) -> list[bytes]:  # noqa: ANN401  # any of the store's
    """Return all that a store holds, as encoded lines, oldest first."""
    with open_store(location, **options) as store:
        return [encode(entry) for entry in store.scan()]


def check_both_ways(endpoint: Endpoint, run: Run, months: Path, s3_root: str) -> None:
    """See that what a folder holds comes into a bucket, and from there into another folder."""
    there, back = f"s3://{s3_root}", months.parent / "back"
    expected = lines(months)
    assert expected
    for added in (len(expected), 0):
        counts = {"added": added, "unchanged": len(expected) - added}
        for source, target in ((str(months), there), (there, str(back))):
            told = run("copy", source, target, "--json")
            assert {**counts, "read": len(expected), "conflicting": 0, "refused": 0} == told
    assert expected == lines(there, storage_options=endpoint.options())
    assert expected == lines(back)
    run("compact", there, "--json")
    assert expected == lines(there, storage_options=endpoint.options())


def test_what_is_copied_both_ways_is_the_same(
    endpoint: Endpoint, run: Run, tmp_path: Path, s3_root: str
) -> None:
    """Byte for byte, by the command; again it changes nothing."""
    with open_store(tmp_path / "months", durability="os") as store:
        store.add(decode(SPECIAL))
        store.add_many(
            an_entry(f"{n}", timestamp=START + timedelta(hours=n), extra={"n": [n, float(n)]})
            for n in range(MANY)
        )
    check_both_ways(endpoint, run, tmp_path / "months", s3_root)


def test_real_rows_are_copied_both_ways(
    endpoint: Endpoint, run: Run, tmp_path: Path, s3_root: str, real_rows: Path
) -> None:
    """Those of a real service too."""
    shutil.copytree(real_rows / "month_files", tmp_path / "months")
    check_both_ways(endpoint, run, tmp_path / "months", s3_root)


def test_a_copy_that_goes_on_asks_for_few_lists(
    endpoint: Endpoint, proxy: FaultProxy, s3_root: str, tmp_path: Path
) -> None:
    """What is there already is looked up a batch at a time."""
    with open_store(tmp_path) as source:
        source.add_many(an_entry(f"{n}") for n in range(500))
        with closing(ObjectStore(endpoint.filesystem(proxy.url), s3_root)) as target:
            for unchanged in (0, 500):
                proxy.reset()
                assert unchanged == copy(source, target, batch_size=250).unchanged
                assert proxy.counts.total() <= 8
