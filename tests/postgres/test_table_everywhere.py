"""The votes of a table go into every kind of store, and out again, as they were."""

import json
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from feedback_store import FeedbackEntry, encode, open_store
from feedback_store.migrate import apply, plan
from feedback_store.snapshot import export, read

psycopg = pytest.importorskip("psycopg")

VOTES = """
CREATE TABLE votes (
    vote_id serial PRIMARY KEY, user_query text, bot_response text, evaluation_json jsonb,
    feedback_tags text[], comment text, citations jsonb, "timestamp" timestamptz DEFAULT now()
);
INSERT INTO votes (user_query, bot_response, evaluation_json, feedback_tags, comment, citations,
                   "timestamp") VALUES
  ('What does a day pass cost?', '12.00.', '{}', '{"Looks Good / Accurate & Clear"}', '',
   '[{"title": "Prices", "id": 7}]', '2025-05-31 23:30:00-01'),
  ('And “a week”? 😀', E'40.00,\\nor less', '{"response_time": 0.25}', '{Incorrect,Outdated}',
   E'it is\\t44.00', '[]', '2025-06-02 08:00:00.000001+00'),
  ('Where?', 'Here.', NULL, NULL, NULL, NULL, '2025-06-03 08:00:00+02');
"""
COLUMNS = {
    "vote_id", "user_query", "bot_response", "evaluation_json", "feedback_tags", "comment",
    "citations", "timestamp",
}  # fmt: skip
TARGETS = ("mem", "jsonl", "sqlite", "objects", "postgres")

Run = Callable[..., str]


@pytest.fixture
def votes(postgres_url: str) -> str:
    """The URL of a table with three votes."""
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute(VOTES)
    return f"{postgres_url}{'&' if '?' in postgres_url else '?'}table=votes"


def target_of(kind: str, folder: Path, postgres_url: str) -> str:
    """Return the URL of a store of a kind."""
    return {
        "mem": "mem://",
        "jsonl": str(folder / "store"),
        "sqlite": f"sqlite:///{folder}/f.db",
        "objects": f"file://{folder}/objects",
        "postgres": postgres_url,
    }[kind]


def lines(entries: Any) -> list[bytes]:  # noqa: ANN401  # any iterable of entries
    """Return entries as their lines."""
    return [encode(entry) for entry in entries]


@pytest.mark.parametrize("kind", TARGETS)
def test_votes_round_trip_into_every_store(
    votes: str, postgres_url: str, tmp_path: Path, kind: str
) -> None:
    """Migrated, exported, imported elsewhere: the entries are those that the table tells."""
    from feedback_store.backends.postgres.table import table_source_of  # noqa: PLC0415  # an extra

    with closing(table_source_of(votes)) as table:
        expected = lines(table.scan())
        export(table, tmp_path / "table.jsonl")
    assert 3 == len(expected)
    with open_store(target_of(kind, tmp_path, postgres_url)) as store:
        for added in (3, 0):
            report = apply(plan(votes, target=store), store)
            assert (added, True) == (report.added, report.complete)
        assert expected == lines(store.scan())
        store.export(tmp_path / "store.json")
    assert expected == lines(read(tmp_path / "store.json"))
    assert expected == lines(read(tmp_path / "table.jsonl"))
    with open_store(tmp_path / "again") as again:
        again.add_many(read(tmp_path / "store.json"))
        assert expected == lines(again.scan())


def test_votes_mean_what_they_meant(votes: str) -> None:
    """A tag that is praise is a rating, the others are issues; citations are sources."""
    from feedback_store.backends.postgres.table import table_source_of  # noqa: PLC0415  # as above

    with closing(table_source_of(votes)) as table:
        liked, wrong, untold = table.scan()
    assert isinstance(liked, FeedbackEntry)
    assert ("votes-1", 1, "What does a day pass cost?") == (liked.id, liked.rating, liked.question)
    assert "2025-06-01T00:30:00+00:00" == liked.timestamp.isoformat()
    assert ("Prices", 7) == (liked.sources[0]["title"], liked.sources[0]["id"])
    assert (0, ("Incorrect", "Outdated")) == (wrong.rating, wrong.metadata.issues)
    assert ("it is\t44.00", 0.25) == (wrong.metadata.explanation, wrong.metadata.response_time)
    assert (None, ()) == (untold.rating, untold.metadata.issues)


def test_the_fallback_file_is_as_the_older_exporter_wrote_it(votes: str, tmp_path: Path) -> None:
    """``export --raw``: every row as it is, every column, times in ISO form; no password shown."""
    target = tmp_path / "fallback" / "feedback.json"
    command = [sys.executable, "-m", "feedback_store", "export", votes, str(target), "--raw"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("3 rows as raw json")
    password = psycopg.conninfo.conninfo_to_dict(votes.partition("?")[0]).get("password")
    assert password is None or str(password) not in done.stdout + done.stderr
    rows = json.loads(target.read_bytes())
    assert [COLUMNS] * 3 == [set(row) for row in rows]
    assert "2025-06-01T00:30:00+00:00" == rows[0]["timestamp"]
    assert ({"response_time": 0.25}, ["Incorrect", "Outdated"]) == (
        rows[1]["evaluation_json"], rows[1]["feedback_tags"],
    )  # fmt: skip
    assert [None, None, None] == [
        rows[2][name] for name in ("feedback_tags", "comment", "citations")
    ]
    verify = [sys.executable, "-m", "feedback_store", "verify-snapshot", str(target)]
    assert b"as it was written" in subprocess.run(verify, capture_output=True, check=True).stdout


def test_a_fallback_file_is_migrated_like_its_table(votes: str, tmp_path: Path) -> None:
    """What was exported as rows gives the entries that the table gives."""
    from feedback_store.backends.postgres.table import table_source_of  # noqa: PLC0415  # as above

    with closing(table_source_of(votes)) as table:
        expected = lines(table.scan())
        export(table, tmp_path / "fallback" / "feedback.json", raw=True)
    with open_store("mem://") as store:
        report = apply(plan(tmp_path / "fallback" / "feedback.json"), store)
        assert (3, True) == (report.added, report.complete)
        assert expected == lines(store.scan())
