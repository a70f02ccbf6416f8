"""Anybody's table, read as rows and as entries: all of it, as of one moment, and in order."""

import base64
import gc
import json
import logging
import os
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit
from zoneinfo import ZoneInfo

import pytest

from feedback_store import FeedbackEntry, Order, Query, operations
from feedback_store.errors import (
    InvalidEntryError,
    StoreClosedError,
    StoreReadOnlyError,
    StoreUnavailableError,
    UnknownBackendError,
)
from feedback_store.mapping import Assumption, EntryMapping, Mapped, VotesMapping

pytest.importorskip("psycopg")

import pg_server
import psycopg

from feedback_store.backends.postgres.table import TableSource, table_source_of

if TYPE_CHECKING:
    from pg_server import PostgresServer

logger = logging.getLogger(__name__)

NOON = datetime(2025, 10, 5, 12, tzinfo=UTC)
NOW = datetime(2025, 12, 1, tzinfo=UTC)

VOTES = """
CREATE TABLE votes (
    vote_id         serial PRIMARY KEY,
    user_query      text,
    bot_response    text,
    evaluation_json jsonb,
    feedback_tags   text[],
    comment         text,
    citations       jsonb,
    "timestamp"     timestamptz DEFAULT now()
)
"""
INSERT = """
INSERT INTO votes (user_query, bot_response, evaluation_json, feedback_tags, comment, citations,
                   "timestamp") VALUES (%s, %s, %s, %s, %s, %s, %s)
"""
GOOD = "Looks Good / Accurate & Clear"


class Database:
    """A database with tables of other people."""

    def __init__(self, url: str) -> None:
        self.url = url

    def run(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        """Run a statement, and return its rows, if it has any."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            done = connection.execute(statement.encode(), values or None)
            return done.fetchall() if done.description else []

    def vote(self, question: str | None, time: datetime | None, **told: Any) -> None:  # noqa: ANN401  # columns
        """Add a row to the votes."""
        about = told.get("about")
        self.run(
            INSERT,
            question,
            told.get("answer", "So."),
            None if about is None else json.dumps(about),
            told.get("tags"),
            told.get("comment"),
            told.get("citations"),
            time,
        )

    def source(self, *, table: str | None = None, **options: Any) -> TableSource:  # noqa: ANN401  # options
        """Open a table; few rows at a time, so that there are several fetches."""
        return TableSource(self.url, table, **{"batch_rows": 3, "fallback_time": NOW, **options})


@pytest.fixture
def database(postgres_url: str) -> Database:
    """Return an empty database."""
    return Database(postgres_url)


@pytest.fixture
def votes(database: Database) -> Database:
    """Return a database with an empty table of votes."""
    database.run(VOTES)
    return database


def ids_of(entries: Iterator[FeedbackEntry]) -> list[str]:
    """Return the ids of entries."""
    return [entry.id for entry in entries]


# ------------------------------------------------------------------------------------ rows


def test_rows_are_as_they_are(votes: Database) -> None:
    """Each row comes with every column and its key, in the order of the keys."""
    for number in range(11):
        votes.vote(f"q{number}", NOON, tags=["a"], about={"x": 1.5})
    with votes.source() as source:
        rows = list(source.rows())
    assert [f"votes-{n}" for n in range(1, 12)] == [id for id, _ in rows]
    assert {
        "vote_id": 3,
        "user_query": "q2",
        "bot_response": "So.",
        "evaluation_json": {"x": 1.5},
        "feedback_tags": ["a"],
        "comment": None,
        "citations": None,
        "timestamp": NOON,
    } == rows[2][1]


def test_real_rows_are_read(votes: Database, real_rows: Path) -> None:
    """The rows of a real service become one entry each, with nothing left out."""
    votes.run("DROP TABLE votes")
    votes.run((real_rows / "votes.sql").read_text("utf-8"))
    with votes.source() as source:
        raw, rows, entries = list(source.raw_rows()), list(source.rows()), list(source.scan())
        assert (5, 5, 5, 0) == (len(raw), len(rows), len(entries), source.skipped)
        assert {f"votes-{n}" for n in range(1, 6)} == {entry.id for entry in entries}
        assert sorted(entry.timestamp for entry in entries) == [e.timestamp for e in entries]
        assert NOW == entries[-1].timestamp
        assert 1 == source.assumed[Assumption.FALLBACK_TIME]
        assert {e.id: e for e in entries} == {
            id: VotesMapping()(row, fallback_time=NOW, fallback_id=id).entry for id, row in rows
        }


TYPES: Mapping[str, tuple[str, object]] = {
    "bool": ("true", True),
    "int2": ("-3", -3),
    "int8": ("9223372036854775807", 9223372036854775807),
    "float4": ("1.5", 1.5),
    "float8": ("0.1", 0.1),
    "float8 ": ("'NaN'", "NaN"),
    "float8  ": ("'-Infinity'", "-Infinity"),
    "numeric": ("1.10", 1.1),
    "numeric ": ("12345678901234567890", 12345678901234567890),
    "numeric  ": ("0.12345678901234567890123", "0.12345678901234567890123"),
    "numeric   ": ("'NaN'", "NaN"),
    "numeric    ": ("'Infinity'", "Infinity"),
    "numeric     ": ("1e400", str(Decimal("1" + "0" * 400))),
    "money": ("12.5", "$12.50"),
    "text": ("'ünï \u2028 😀'", "ünï \u2028 😀"),
    "varchar(9)": ("'a'", "a"),
    "char(3)": ("'a'", "a  "),
    "name": ("'n'", "n"),
    "bytea": (r"'\x00ff80'", base64.b64encode(b"\x00\xff\x80").decode()),
    "uuid": ("'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"),
    "date": ("'2025-10-05'", "2025-10-05"),
    "date ": ("'infinity'", "infinity"),
    "date  ": ("'0044-03-15 BC'", "0044-03-15 BC"),
    "time": ("'24:00:00'", "24:00:00"),
    "timetz": ("'12:34:56.789+02'", "12:34:56.789+02"),
    "timestamp": ("'2025-10-05 12:34:56.789'", "2025-10-05T12:34:56.789000"),
    "timestamptz": ("'2025-10-05 12:34:56+02'", "2025-10-05T10:34:56+00:00"),
    "timestamptz ": ("'-infinity'", "-infinity"),
    "timestamptz  ": ("'20000-01-01 00:00:00+00'", "20000-01-01 00:00:00+00"),
    "interval": ("'1 year 2 months 3.5 s'", "P1Y2MT3.5S"),
    "json": ('\'{"a": [1, 2.50, null, "\\u00e9"]}\'', {"a": [1, 2.5, None, "é"]}),
    "json ": ("'{\"a\": \"\\ud800\"}'", '{"a": "\\ud800"}'),
    "jsonb": ("'[1.0, 1e400, 123456789012345678]'", [1.0, str(10**400), 123456789012345678]),
    "jsonb ": ("'null'", None),
    "int4[]": ("'{1,NULL,3}'", [1, None, 3]),
    "int4[] ": ("'[2:3]={7,8}'", [7, 8]),
    "text[]": ('\'{{"a,b",NULL},{"c","d"}}\'', [["a,b", None], ["c", "d"]]),
    "numeric[]": ("'{1.5,NaN}'", [1.5, "NaN"]),
    "timestamptz[]": ("'{2025-10-05 12:00:00+00}'", ["2025-10-05T12:00:00+00:00"]),
    "jsonb[]": ("array['{\"a\": 1}'::jsonb]", [{"a": 1}]),
    "bytea[]": (r"array['\xff'::bytea]", ["/w=="]),
    "interval[]": ("'{1 day}'", ["P1D"]),
    "inet": ("'10.0.0.1'", "10.0.0.1"),
    "cidr": ("'10.0.0.0/8'", "10.0.0.0/8"),
    "macaddr": ("'08:00:2b:01:02:03'", "08:00:2b:01:02:03"),
    "inet[]": ("'{10.0.0.1}'", ["10.0.0.1"]),
    "int4range": ("'[1,10)'", "[1,10)"),
    "tstzrange": ("'empty'", "empty"),
    "int4multirange": ("'{[1,3),[5,7)}'", "{[1,3),[5,7)}"),
    "bit(3)": ("B'101'", "101"),
    "point": ("'(1,2)'", "(1,2)"),
    "box[]": ("array['(1,1),(0,0)'::box, '(3,3),(2,2)'::box]", ["(1,1),(0,0)", "(3,3),(2,2)"]),
    "tsvector": ("'a b'", "'a' 'b'"),
    "pg_lsn": ("'0/10'", "0/10"),
    "mood": ("'happy'", "happy"),
    "mood[]": ("'{happy,sad}'", ["happy", "sad"]),
    "pair": ("ROW(1, 'x y')", '(1,"x y")'),
    "positive": ("7", 7),
}  # fmt: skip


def test_every_type_is_kept(database: Database) -> None:
    """Whatever the type of a column, its value comes out, in a form that JSON can say."""
    database.run("CREATE TYPE mood AS ENUM ('happy', 'sad')")
    database.run("CREATE TYPE pair AS (a int, b text)")
    database.run("CREATE DOMAIN positive AS int CHECK (VALUE > 0)")
    columns = ", ".join(f"c{n} {kind}" for n, kind in enumerate(TYPES))
    values = ", ".join(f"{given}::{kind.strip()}" for kind, (given, _) in TYPES.items())
    database.run(f"CREATE TABLE kinds (id int PRIMARY KEY, {columns})")
    database.run(f"INSERT INTO kinds VALUES (1, {values})")
    database.run("INSERT INTO kinds VALUES (2)")
    with database.source(table="kinds") as source:
        full, empty = source.raw_rows()
        assert ["kinds-1", "kinds-2"] == [id for id, _ in source.rows()]
    told = dict(zip(TYPES, list(full.values())[1:], strict=True))
    assert {kind: value for kind, (_, value) in TYPES.items()} == told
    assert [type(value) for _, value in TYPES.values()] == [type(value) for value in told.values()]
    assert [2, *[None] * len(TYPES)] == list(empty.values())
    text = json.dumps([full, empty], allow_nan=False, ensure_ascii=False).encode()
    assert [full, empty] == json.loads(text)


def test_columns_of_any_type_lose_no_entry(votes: Database) -> None:
    """Columns that are none of ours become extras, whatever they are."""
    votes.run(
        "ALTER TABLE votes ADD COLUMN ip inet, ADD COLUMN span int4range, ADD COLUMN raw bytea"
    )
    votes.run("ALTER TABLE votes ADD COLUMN response_time interval, ADD COLUMN at time")
    votes.vote("q", NOON)
    votes.run(
        "UPDATE votes SET ip = '10.0.0.1', span = '[1,3)', raw = '\\xff', "
        "response_time = '3.5 s', at = '12:00'"
    )
    with votes.source() as source:
        (entry,) = source.scan()
        assert 0 == source.skipped
    told = {key: entry.extra[key] for key in ("ip", "span", "raw", "at")}
    assert {"ip": "10.0.0.1", "span": "[1,3)", "raw": "/w==", "at": "12:00:00"} == told
    assert 3.5 == entry.metadata.response_time


def test_a_role_of_its_own_ways_changes_nothing(votes: Database) -> None:
    """Whatever zone and styles are set for a role, times and spans come out the same."""
    votes.vote("q", NOON)
    votes.run("ALTER TABLE votes ADD COLUMN span interval DEFAULT '1 month 2 days'")
    name = urlsplit(votes.url).path[1:]
    for setting in (
        "TimeZone = 'Asia/Tokyo'",
        "DateStyle = 'German'",
        "IntervalStyle = 'sql_standard'",
        "statement_timeout = 1",
        "idle_in_transaction_session_timeout = 1",
    ):
        votes.run(f'ALTER DATABASE "{name}" SET {setting}')
    with votes.source() as source:
        (raw,) = source.raw_rows()
        (entry,) = source.scan()
    assert ("2025-10-05T12:00:00+00:00", "P1M2D") == (raw["timestamp"], raw["span"])
    assert NOON == entry.timestamp


# ------------------------------------------------------------------------------- entries


def test_rows_become_entries(votes: Database) -> None:
    """Tags, comment, citations and evaluation find their places, and what is assumed is told."""
    votes.vote("q1", NOON, tags=[GOOD], about={"response_time": 3.25}, comment="nice")
    votes.vote("q2", NOON + timedelta(days=1), tags=["Incomplete"], citations='[{"title": "T"}]')
    votes.vote(None, None)
    with votes.source() as source:
        first, second, third = source.scan()
        assert {
            Assumption.ROW_ID: 3,
            Assumption.POSITIVE_TAG: 1,
            Assumption.OTHER_TAGS: 1,
            Assumption.UNTAGGED: 1,
            Assumption.EMPTY_TEXT: 1,
            Assumption.FALLBACK_TIME: 1,
        } == source.assumed
    assert ("votes-1", "q1", 1, 3.25, "nice") == (
        first.id, first.question, first.rating, first.metadata.response_time,
        first.metadata.explanation,
    )  # fmt: skip
    assert (0, ("Incomplete",), "T") == (
        second.rating, second.metadata.issues, second.sources[0]["title"],
    )  # fmt: skip
    assert (None, NOW, 3) == (third.rating, third.timestamp, third.extra["vote_id"])


def disordered(votes: Database) -> None:
    """Fill the votes: equal times, no time, a time in the metadata only, and more keys than 9."""
    for number in range(7):
        votes.vote(f"q{number}", NOON + timedelta(days=(number * 3) % 5))
    for number in range(8):
        votes.vote(f"r{number}", NOON)
    for number in range(4):
        votes.vote(f"n{number}", None)
    for number in range(3):
        time = NOON + timedelta(days=1, hours=-number)
        votes.vote(f"m{number}", None, about={"timestamp": time.isoformat()})
    votes.vote("m", None, about={"timestamp": "nonsense"})
    votes.vote("late", NOW + timedelta(days=1))


def mapped_by_a_function(
    row: Mapping[str, Any], /, *, fallback_time: datetime, fallback_id: str | None = None
) -> Mapped:
    """Map a row in a way that nobody could foresee: times run backwards, and ids are reversed."""
    entry = VotesMapping()(row, fallback_time=fallback_time, fallback_id=fallback_id).entry
    time = NOON + (NOON - entry.timestamp)
    return Mapped(
        FeedbackEntry(
            message_id=str(fallback_id)[::-1],
            question=entry.question,
            answer=entry.answer,
            timestamp=time if row["vote_id"] % 3 else NOW,
        )
    )


OF_ENTRIES: dict[str, Any] = {"user_query": "question", "bot_response": "answer"}


@pytest.mark.parametrize(
    "mapping",
    [
        VotesMapping(),
        VotesMapping(columns={**VotesMapping().columns, "comment": "message_id"}),
        VotesMapping(columns=OF_ENTRIES),
        mapped_by_a_function,
    ],
    ids=["votes", "own ids", "few columns", "function"],
)
@pytest.mark.parametrize("kind", ["timestamptz", "timestamp", "text", "timestamp in a zone"])
def test_entries_come_in_the_order_of_a_store(
    votes: Database, mapping: Callable[..., Mapped], kind: str
) -> None:
    """By time and id, whatever column the time is in and whatever is made of it; each once."""
    disordered(votes)
    votes.run("UPDATE votes SET comment = 'c' || (100 - vote_id) WHERE vote_id % 2 = 0")
    options: dict[str, Any] = {}
    if kind == "timestamp in a zone":
        # Among them is the hour that comes twice when summer ends.
        votes.run("UPDATE votes SET timestamp = timestamp + '20 days 14:10'")
        options["naive_tz"] = ZoneInfo("Europe/Berlin")
        if isinstance(mapping, VotesMapping):
            mapping = VotesMapping(columns=mapping.columns, assume_tz=options["naive_tz"])
    if kind != "timestamptz":
        votes.run("SET TimeZone = 'UTC'; ALTER TABLE votes ALTER timestamp DROP DEFAULT")
        column = kind.partition(" ")[0]
        votes.run(f"ALTER TABLE votes ALTER timestamp TYPE {column} USING timestamp::{column}")
    with votes.source(mapping=mapping, **options) as source:
        expected = [
            mapping(row, fallback_time=NOW, fallback_id=id).entry for id, row in source.rows()
        ]
        expected.sort(key=lambda entry: (entry.timestamp, entry.id))
        oldest = list(source.scan(Query(order=Order.OLDEST)))
        newest = list(source.scan(Query(order=Order.NEWEST)))
    assert 24 == len(expected)
    assert [(e.timestamp, e.id) for e in expected] == [(e.timestamp, e.id) for e in oldest]
    assert expected == oldest
    assert expected[::-1] == newest


def test_a_query_chooses(votes: Database) -> None:
    """A scan yields what matches, and the operations of a store work on it."""
    disordered(votes)
    query = Query(since=NOON + timedelta(days=1), until=NOW, text="q")
    with votes.source() as source:
        everything = list(source.scan())
        expected = [entry for entry in everything if query.matches(entry)]
        assert 0 < len(expected) < len(everything)
        assert expected == list(source.scan(query))
        page = operations.page(source, Query(), 5)  # type: ignore[arg-type]  # only its scan is asked for
    assert [entry.id for entry in everything[:-6:-1]] == [entry.id for entry in page.entries]


def test_rows_that_are_no_entries_are_left_out_and_told(
    votes: Database, caplog: pytest.LogCaptureFixture
) -> None:
    """They are counted at each scan, and logged once, by their key and without their words."""
    secret = "what somebody wrote"
    for number in range(5):
        votes.vote(secret, NOON, citations=json.dumps({"no": secret} if number % 2 else []))
    with votes.source() as source:
        for _ in range(2):
            assert ["votes-1", "votes-3", "votes-5"] == ids_of(source.scan())
            assert 2 == source.skipped
    told = [record.getMessage() for record in caplog.records]
    assert 2 == len(told)
    assert "votes: the row votes-2 is no entry, and left out: sources must be" in told[0]
    assert "the row votes-4" in told[1]
    assert secret not in caplog.text
    assert pg_server.PASSWORD not in caplog.text
    assert {"feedback_store.postgres"} == {record.name for record in caplog.records}


def test_an_error_of_a_mapping_is_its_own(votes: Database) -> None:
    """A mapping that raises something else than that the row is no entry is not silenced."""

    def broken(row: Mapping[str, Any], /, **_: object) -> Mapped:
        raise LookupError(row["vote_id"])

    votes.vote("q", NOON)
    with votes.source(mapping=broken) as source, pytest.raises(LookupError):
        list(source.scan())


def test_rows_of_our_own_shape_are_entries_too(database: Database) -> None:
    """A table whose columns are named like the fields of an entry needs no names to be told."""
    database.run(
        "CREATE TABLE given (message_id text PRIMARY KEY, question text, answer text, stars int)"
    )
    database.run("INSERT INTO given VALUES ('m-2', 'q', 'a', 3), ('m-10', 'q', 'a', 5)")
    with database.source(table="given", mapping=EntryMapping(flat=True)) as source:
        assert ["m-10", "m-2"] == ids_of(source.scan())
        assert ["given-m-10", "given-m-2"] == [id for id, _ in source.rows()]


# ---------------------------------------------------------------------------- names, keys


@pytest.mark.parametrize(
    ("sql", "name", "id"),
    [
        ("app.votes", "app.votes", "votes-1"),
        ('"My Votes"', "My Votes", "My Votes-1"),
        ('app."Vo""tes"', 'app."Vo""tes"', 'Vo"tes-1'),
        ('"a.b"', '"a.b"', "a.b-1"),
        ('"select"', "select", "select-1"),
        ('"x; DROP TABLE y"', "x; DROP TABLE y", "x; DROP TABLE y-1"),
        ('"100%s{}"', "100%s{}", "100%s{}-1"),
    ],
)
def test_names_are_taken_as_they_are(database: Database, sql: str, name: str, id: str) -> None:
    """Capitals, blanks, quotes, dots and other schemas are names like any other."""
    database.run("CREATE SCHEMA app")
    database.run(
        f'CREATE TABLE {sql} ("The Key" int PRIMARY KEY, "Q""1%s" text, timestamp timestamptz)'
    )
    database.run(f"INSERT INTO {sql} VALUES (1, 'x', now())")
    mapping = VotesMapping(columns={'Q"1%s': "question"})
    with database.source(table=name, mapping=mapping) as source:
        assert [id] == [found for found, _ in source.rows()]
        assert [{"The Key": 1, 'Q"1%s': "x"}] == [
            {k: v for k, v in row.items() if k != "timestamp"} for row in source.raw_rows()
        ]
        assert [] == list(source.scan())
        assert 1 == source.skipped  # it has no answer


@pytest.mark.parametrize("name", ["a.b.c", "a..b", ".a", "a.", '"a', '"a"b', 'a"b', "a\0b"])
def test_what_is_no_name_is_refused(name: str) -> None:
    """A name that cannot be understood is told at once."""
    with pytest.raises(UnknownBackendError, match="is no name of a table"):
        TableSource("postgresql://127.0.0.1/x", name)


def test_a_table_that_is_not_there_is_told(votes: Database) -> None:
    """The error names the table and the database, and neither the password nor other tables."""
    for table in ("Votes", "absent.votes", "vote"):
        with votes.source(table=table) as source, pytest.raises(StoreUnavailableError) as raised:
            source.rows()
        assert f"there is no table {table!r}" in str(raised.value)
        assert pg_server.PASSWORD not in str(raised.value)
        assert "evaluation_json" not in str(raised.value)


def test_rows_without_a_key_are_still_rows(votes: Database) -> None:
    """Without a primary key rows come as they are; as entries, once the key is told."""
    votes.run("CREATE VIEW seen AS SELECT * FROM votes")
    for number in range(4):
        votes.vote(f"q{number}", NOON + timedelta(hours=-number))
    with votes.source(table="seen") as source:
        assert [1, 2, 3, 4] == sorted(row["vote_id"] for row in source.raw_rows())
        for verb in (source.rows, source.scan):
            with pytest.raises(StoreUnavailableError, match="'seen' has no primary key"):
                verb()
    with votes.source(table="seen", key="vote_id") as source:
        assert ["seen-4", "seen-3", "seen-2", "seen-1"] == ids_of(source.scan())
    with (
        votes.source(table="seen", key="nothing") as source,
        pytest.raises(StoreUnavailableError, match="has no column 'nothing'"),
    ):
        source.raw_rows()


def test_a_key_of_several_columns(database: Database) -> None:
    """Such a row is named by all of them, in the order of the primary key."""
    database.run(
        "CREATE TABLE votes (a text, user_query text, bot_response text, b int, PRIMARY KEY (b, a))"
    )
    database.run("INSERT INTO votes VALUES ('x', 'q', 'a', 10), ('y', 'q', 'a', 9)")
    with database.source() as source:
        assert ["votes-9-y", "votes-10-x"] == [id for id, _ in source.rows()]
        assert ["votes-10-x", "votes-9-y"] == ids_of(source.scan())


# ----------------------------------------------------------------- one moment, and its end


def test_what_is_written_meanwhile_is_not_seen(votes: Database) -> None:
    """Each reading is of the table as it was at the call, whoever changes it, and blocks nobody."""
    for number in range(10):
        votes.vote(f"q{number}", NOON)
    with votes.source() as source:
        rows, raw, entries = source.rows(), source.raw_rows(), source.scan()
        first = next(rows)
        votes.vote("new", NOON)
        votes.run("UPDATE votes SET user_query = 'changed'")
        votes.run("DELETE FROM votes WHERE vote_id > 5")
        seen = [first, *rows]
        assert [f"q{n}" for n in range(10)] == [row["user_query"] for _, row in seen]
        assert [f"q{n}" for n in range(10)] == [row["user_query"] for row in raw]
        assert {f"q{n}" for n in range(10)} == {entry.question for entry in entries}
        assert {"changed"} == {row["user_query"] for _, row in source.rows()}


def test_it_cannot_write(votes: Database) -> None:
    """The transaction is one that only reads, whatever a table might do when it is read."""
    votes.vote("q", NOON)
    votes.run("CREATE TABLE harmed (n int)")
    votes.run(
        "CREATE FUNCTION harm() RETURNS int LANGUAGE plpgsql AS "
        "$$ BEGIN INSERT INTO harmed VALUES (1); RETURN 1; END $$"
    )
    votes.run("CREATE VIEW trap AS SELECT *, harm() FROM votes")
    with (
        votes.source(table="trap", key="vote_id") as source,
        pytest.raises(StoreReadOnlyError),
    ):
        list(source.rows())
    assert [] == votes.run("SELECT * FROM harmed")


def connections(votes: Database) -> int:
    """Return how many connections others have to the database."""
    found = votes.run(
        "SELECT count(*) FROM pg_stat_activity "
        "WHERE datname = current_database() AND pid <> pg_backend_pid() "
        "AND backend_type = 'client backend'"
    )
    return int(found[0][0])


def test_connections_are_given_back(votes: Database) -> None:
    """At the end of an iteration, when it is dropped, begun or not, and when the source closes."""
    for number in range(10):
        votes.vote(f"q{number}", NOON)
    source = votes.source()
    for verb in (source.rows, source.raw_rows, source.scan):
        assert 10 == len(list(verb()))
        begun = verb()
        next(begun)
        unbegun = verb()
        del begun, unbegun
    gc.collect()
    left = source.scan()
    next(left)
    source.close()
    source.close()
    with pytest.raises(StoreClosedError):
        list(left)
    with pytest.raises(StoreClosedError):
        source.rows()
    deadline = 200
    while connections(votes) and deadline:  # the server needs a moment to see that they are gone
        deadline -= 1
    assert 0 == connections(votes)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_child_does_not_read_on(votes: Database) -> None:
    """After a fork the parent reads on, and the child is told to begin anew."""
    for number in range(10):
        votes.vote(f"q{number}", NOON)
    with votes.source() as source:
        rows = source.rows()
        next(rows)
        pid = os.fork()
        if not pid:
            code = 1
            try:
                list(rows)
            except StoreClosedError:
                code = 0 if len(list(source.rows())) == 10 else 2
            finally:
                os._exit(code)
        assert 0 == os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        assert 9 == len(list(rows))


@pytest.mark.parametrize("verb", ["rows", "raw_rows", "scan"])
def test_a_server_that_dies_is_told(verb: str) -> None:
    """When the server is killed midway, the next rows are an error of ours; no end is pretended."""
    programs = pg_server.programs()
    if programs is None:
        pytest.skip("there is no PostgreSQL of our own to kill")
    with pg_server.own_server(programs) as server:
        votes = Database(server.url)
        votes.run(VOTES)
        votes.run(
            "INSERT INTO votes (user_query, bot_response) "
            "SELECT 'q', 'a' FROM generate_series(1, 50)"
        )
        with votes.source() as source:
            found = getattr(source, verb)()
            next(found)
            server.kill()
            with pytest.raises(StoreUnavailableError) as raised:
                list(found)
            with pytest.raises(StoreUnavailableError) as again:
                getattr(source, verb)()
        for error in (raised.value, again.value):
            assert f"127.0.0.1:{server.port}" in str(error)
            assert pg_server.PASSWORD not in str(error)


# ------------------------------------------------------------------------- URLs, privacy


def test_a_url_names_the_table(votes: Database) -> None:
    """``?table=`` is the table; without it there is none to read."""
    votes.run("CREATE SCHEMA app; ALTER TABLE votes SET SCHEMA app")
    votes.run("SET search_path = app; " + INSERT.replace("%s", "NULL"))
    url = f"{votes.url}?table={quote('app.votes')}&application_name=x"
    with table_source_of(url, fallback_time=NOW) as source:
        assert 1 == len(list(source.rows()))
    with pytest.raises(UnknownBackendError, match="names no table"):
        table_source_of(votes.url)


def test_no_password_is_shown(postgres: "PostgresServer", votes: Database) -> None:
    """Neither the repr nor an error, in a URL or a connection string, shows it."""
    parts = urlsplit(votes.url)
    shown = f"{parts.hostname}:{parts.port}{parts.path}"
    wrong = "other-secret-12"
    conninfo = (
        f"host={parts.hostname} port={parts.port} user={parts.username} dbname={parts.path[1:]} "
        f"password={wrong}"
    )
    for given in (conninfo, votes.url.replace(pg_server.PASSWORD, wrong)):
        source = TableSource(given)
        assert shown in repr(source)
        with pytest.raises(StoreUnavailableError) as raised:
            source.rows()
        told = f"{source!r} {raised.value} {raised.value!r} {raised.value.__cause__}"
        assert wrong not in told
        assert pg_server.PASSWORD not in told


def test_wrong_options_are_refused(votes: Database) -> None:
    """A batch of none and a time without a zone make no sense."""
    with pytest.raises(ValueError, match="batch_rows"):
        votes.source(batch_rows=0)
    with pytest.raises(InvalidEntryError, match="fallback_time has no time zone"):
        votes.source(fallback_time=datetime(2025, 1, 1))  # noqa: DTZ001  # that is the point


# --------------------------------------------------------------------------------- size

DEEP = os.environ.get("FEEDBACK_STORE_PROFILE") == "deep"
MANY = 200_000 if DEEP else 30_000
LITTLE_KIB = 16 * 1024

SIZED = """
    import re, sys
    from pathlib import Path
    from feedback_store.backends.postgres.table import TableSource

    def peak_kib():  # what getrusage tells is the peak of the parent, where that was higher
        return int(re.search(r"VmHWM:\\s*(\\d+)", Path("/proc/self/status").read_text())[1])

    url, verb, batch_rows = sys.argv[1:]
    source = TableSource(url, "votes", batch_rows=int(batch_rows))
    for _ in TableSource(url, "few").scan():
        pass  # what is imported by then does not count
    before = peak_kib()
    number = sum(1 for _ in getattr(source, verb)())
    print(number, peak_kib() - before)
"""

needs_proc = pytest.mark.skipif(
    not Path("/proc/self/status").exists(), reason="this system does not tell the peak of memory"
)


def sized(votes: Database, number: int, verb: str, batch_rows: int = 500) -> int:
    """Read so many rows in a new process; return by how many KiB its peak of memory grows."""
    votes.run(VOTES.replace("votes", "few"))
    votes.run("INSERT INTO few (user_query, bot_response) VALUES ('q', 'a')")
    votes.run(
        """
        INSERT INTO votes (user_query, bot_response, evaluation_json, feedback_tags, timestamp)
        SELECT 'q' || n, repeat('answer ', 80), '{"response_time": 1.5}', '{Incomplete}',
          CASE WHEN n %% 8 > 0 THEN '2025-01-01'::timestamptz + n * 37 %% 9973 * '1 s'::interval END
        FROM generate_series(1, %s) AS n
        """,
        number,
    )
    command = [sys.executable, "-c", textwrap.dedent(SIZED), votes.url, verb, str(batch_rows)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    found, grown_kib = map(int, done.stdout.split())
    logger.info("%s: %d rows, %d KiB more", verb, found, grown_kib)
    assert number == found
    return grown_kib


@needs_proc
@pytest.mark.parametrize(
    ("verb", "number"),
    [("rows", MANY), ("raw_rows", 200_000), ("scan", MANY)],
    ids=["rows", "raw rows", "entries"],
)
def test_a_large_table_needs_little_memory(votes: Database, verb: str, number: int) -> None:
    """However many rows there are, few of them are in memory; those without a time included."""
    assert sized(votes, number, verb) < LITTLE_KIB


@needs_proc
def test_much_memory_would_be_seen(votes: Database) -> None:
    """The measure of the test above tells when rows are kept, as in a batch of all of them."""
    assert sized(votes, 30_000, "rows", batch_rows=1_000_000) > LITTLE_KIB
