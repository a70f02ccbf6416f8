"""A table of a server as the source, and a database of a server as the target."""

import shutil
from contextlib import closing
from pathlib import Path

import pytest
from older import SECRET, a_row, by_id, counts, write_lines

from feedback_store import UnknownBackendError, open_store
from feedback_store.backends.memory import MemoryStore
from feedback_store.migrate import Kind, Move, apply, plan

psycopg = pytest.importorskip("psycopg")

VOTES = """
CREATE TABLE votes (
    vote_id serial PRIMARY KEY, user_query text, bot_response text, evaluation_json jsonb,
    feedback_tags text[], comment text, citations jsonb, "timestamp" timestamptz
);
INSERT INTO votes (user_query, bot_response, evaluation_json, feedback_tags, citations, "timestamp")
SELECT 'what a person wrote', 'a' || n, '{"response_time": 1.5}', ARRAY['Incorrect'],
       '[{"title": "t"}]', timestamptz '2025-06-17 17:00:00+00' + n * interval '1 hour'
FROM generate_series(1, 2500) AS n
"""


def run(url: str, script: str) -> None:
    """Run a script on the server."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(script)


def test_a_table_is_migrated(postgres_url: str) -> None:
    """Every row of it, by its primary key; twice the same, and nothing secret is shown."""
    run(postgres_url, VOTES)
    url = f"{postgres_url}{'&' if '?' in postgres_url else '?'}table=votes"
    store = MemoryStore()
    for number in range(2):
        made = plan(url, target=store)
        report = apply(made, store, move=Move.ALL)
        assert ((2500, 0) if number == 0 else (0, 2500)) == (report.added, report.unchanged)
        assert (Kind.TABLE, True) == (report.files[0].kind, report.complete)
        assert {"row_id": 2500, "other_tags": 2500} == dict(report.assumed)
        password = psycopg.conninfo.conninfo_to_dict(postgres_url).get("password")
        assert password is None or str(password) not in repr(made) + str(report.as_json())
    entry = by_id(store)["votes-2500"]
    assert (0, ("Incorrect",), 1.5, SECRET) == (
        entry.rating, entry.metadata.issues, entry.metadata.response_time, entry.question,
    )  # fmt: skip


def test_real_rows_of_a_table(postgres_url: str, real_rows: Path) -> None:
    """Of a real service: what was tagged, what was not, and a row without a time."""
    run(postgres_url, (real_rows / "votes.sql").read_text("utf-8"))
    url = f"{postgres_url}{'&' if '?' in postgres_url else '?'}table=votes"
    store = MemoryStore()
    for number in range(2):
        report = apply(plan(url), store)
        assert ((5, 0) if number == 0 else (0, 5)) == (report.added, report.unchanged)
        assert (5, True) == (report.verified, report.complete)
        assert {
            "row_id": 5, "positive_tag": 1, "other_tags": 2, "untagged": 2, "time_of_migration": 1,
        } == dict(report.assumed)  # fmt: skip
    found = by_id(store)
    assert [1, 0, 0, None, None] == [found[f"votes-{n}"].rating for n in range(1, 6)]


def test_a_server_is_the_target(postgres_url: str, real_rows: Path, tmp_path: Path) -> None:
    """Real rows into a database: every row accounted for, and twice the same."""
    source = Path(shutil.copytree(real_rows / "month_files", tmp_path / "real"))
    with closing(open_store(postgres_url)) as store:
        first = apply(plan(source, target=store), store)
        assert ((21, 0, 0, 2, 0), True) == (counts(first), first.complete)
        again = apply(plan(source, target=store), store, move=Move.CLEAN)
        assert ((0, 21, 0, 2, 0), True) == (counts(again), again.complete)
        assert 21 == store.count()


def test_rows_without_a_time_are_found_again_in_a_server(postgres_url: str, tmp_path: Path) -> None:
    """What got the time of another run counts as there."""
    path = write_lines(tmp_path / "feedback.jsonl", a_row("a", metadata={}))
    with closing(open_store(postgres_url)) as store:
        assert 1 == apply(plan(path), store).added
        path.touch()
        report = apply(plan(path), store)
        assert (1, True) == (report.unchanged, report.complete)


def test_a_url_that_names_no_table_is_refused(postgres_url: str) -> None:
    """The message says how one is named, and shows no password."""
    with pytest.raises(UnknownBackendError, match=r"\?table=votes") as caught:
        plan(postgres_url)
    password = psycopg.conninfo.conninfo_to_dict(postgres_url).get("password")
    assert password is None or str(password) not in str(caught.value)
