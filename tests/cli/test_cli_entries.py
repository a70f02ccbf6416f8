"""The commands on single entries: add, get, update, delete."""

import json
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from click.testing import Result

from feedback_store import FeedbackEntry, FeedbackStore, Metadata, encode

Invoke = Callable[..., Result]

NEEDED = ("--message-id", "m", "--question", "q", "--answer", "a")
JANUARY = datetime(2025, 1, 2, 3, 4, 5, tzinfo=UTC)


@pytest.fixture
def entry(store: FeedbackStore) -> FeedbackEntry:
    """An entry that is in the store."""
    entry = FeedbackEntry(
        message_id="m",
        question="q",
        answer="a",
        timestamp=JANUARY,
        metadata=Metadata(issues=("inaccurate",)),
        extra={"channel": "web"},
    )
    store.add(entry)
    return entry


def test_add_takes_every_field_by_an_option(invoke: Invoke, store: FeedbackStore) -> None:
    """Each option of `add` ends in the field of its name, and numbers keep their type."""
    result = invoke(
        "add", *NEEDED, "--rating", "1", "--explanation", "e", "--issue", "x", "--issue", "y",
        "--user-id", "u", "--conversation-id", "c", "--id", "own", "--timestamp",
        "2025-01-02T03:04:05Z", "--correction", "42", "--trace-id", "t", "--name", "n",
        "--annotator-kind", "LLM", "--response-time", "1.5", "--token-count", "7",
        "--extra", "channel=web", "--extra", "level=3", "--extra", 'list=[1, "2"]',
    )  # fmt: skip
    assert "added own\n" == result.stdout
    expected = FeedbackEntry(
        message_id="m", question="q", answer="a", rating=1, id="own", timestamp=JANUARY,
        user_id="u", correction="42", trace_id="t", name="n", annotator_kind="LLM",
        metadata=Metadata(
            explanation="e", issues=("x", "y"), conversation_id="c",
            response_time=1.5, token_count=7,
        ),
        extra={"channel": "web", "level": 3, "list": [1, "2"]},
    )  # fmt: skip
    assert expected == store.get("own")
    assert int is type(store.get("own").rating)


@pytest.mark.parametrize(
    ("options", "rating"),
    [
        ((), None),
        (("--rating", "0.25"), 0.25),
        (("--thumbs", "up"), 1),
        (("--thumbs", "down"), 0),
        (("--stars", "4"), 0.75),
        (("--stars", "2", "--of", "3"), 0.5),
    ],
)
def test_add_rates(
    invoke: Invoke, store: FeedbackStore, options: tuple[str, ...], rating: float | None
) -> None:
    """A rating is a number, a thumb or stars, or absent."""
    assert 0 == invoke("add", *NEEDED, *options).exit_code
    assert rating == store.get("m").rating


@pytest.mark.parametrize(
    "options",
    [
        ("--message-id", "m", "--question", "q"),
        (*NEEDED, "--rating", "1", "--thumbs", "up"),
        (*NEEDED, "--of", "5"),
        (*NEEDED, "--rating", "good"),
        (*NEEDED, "--thumbs", "sideways"),
        (*NEEDED, "-"),
        (*NEEDED, "--extra", "metadata={}"),
        ("x", "y"),
    ],
)
def test_add_refuses_what_is_unclear(
    invoke: Invoke, store: FeedbackStore, options: tuple[str, ...]
) -> None:
    """Missing fields, two ratings, and options beside - are wrong use, and nothing is stored."""
    assert 2 == invoke("add", *options, stdin="{}").exit_code
    assert 0 == store.count()


def test_add_reads_standard_input(invoke: Invoke, store: FeedbackStore) -> None:
    """With -, an entry is one JSON object, with every key that it has."""
    given = '{"message_id": "m", "question": "q", "answer": "a", "rating": 0, "channel": "web",\n}'
    given = given.replace(",\n", "\n")
    result = invoke("add", "-", "--json", stdin=given)
    assert {"outcome": "added", "id": "m"} == json.loads(result.stdout)
    assert {"channel": "web"} == store.get("m").extra


@pytest.mark.parametrize("text", ["", "{", "[]", '{"message_id": "secret words"}'])
def test_add_refuses_other_input(invoke: Invoke, store: FeedbackStore, text: str) -> None:
    """What is no entry is refused without being quoted."""
    result = invoke("add", "-", stdin=text)
    assert (1, 0) == (result.exit_code, store.count())
    assert "secret" not in result.stderr


def test_add_reads_naive_times_by_the_zone(invoke: Invoke, store: FeedbackStore) -> None:
    """A time without a zone is in UTC, or in the zone of --naive-tz."""
    invoke("add", *NEEDED, "--timestamp", "2025-01-02T03:04:05")
    invoke(
        "add", *NEEDED, "--id", "2", "--timestamp", "2025-01-02T04:04:05", "--naive-tz", "+01:00"
    )
    assert [JANUARY, JANUARY] == [entry.timestamp for entry in store.scan()]


def test_add_tells_unchanged_from_conflict(invoke: Invoke, store: FeedbackStore) -> None:
    """The same content again is fine; other content under the same id is refused."""
    invoke("add", *NEEDED)
    assert "unchanged m\n" == invoke("add", *NEEDED).stdout
    result = invoke("add", *NEEDED, "--rating", "1")
    assert (1, "", None) == (result.exit_code, result.stdout, store.get("m").rating)


@pytest.mark.parametrize("options", [(), ("--json",)])
def test_get_prints_the_line(
    invoke: Invoke, entry: FeedbackEntry, options: tuple[str, ...]
) -> None:
    """Away from a terminal, `get` prints the entry's own line of JSON."""
    assert encode(entry).decode() + "\n" == invoke("get", "m", *options).stdout


def test_update_changes_what_is_named(
    invoke: Invoke, store: FeedbackStore, entry: FeedbackEntry
) -> None:
    """Fields, metadata, issues and extras change; all others stay."""
    result = invoke(
        "update", "m", "--set", "name=first", "--set", "token_count=3", "--rating", "0",
        "--explanation", "42", "--add-issue", "too_verbose", "--extra", "level=2",
    )  # fmt: skip
    assert "updated m\n" == result.stdout
    changed = store.get("m")
    assert ("first", 0, "q") == (changed.name, changed.rating, changed.question)
    assert ("42", 3) == (changed.metadata.explanation, changed.metadata.token_count)
    assert ("inaccurate", "too_verbose") == changed.metadata.issues
    assert {"channel": "web", "level": 2} == changed.extra


def test_update_can_take_a_value_away(
    invoke: Invoke, store: FeedbackStore, entry: FeedbackEntry
) -> None:
    """A value of null unsets the field, and --json prints the entry as it is now."""
    invoke("update", "m", "--set", 'correction="42"')
    assert "42" == store.get("m").correction
    result = invoke("update", "m", "--set", "correction=null", "--json")
    assert None is store.get("m").correction
    assert encode(store.get("m")).decode() + "\n" == result.stdout


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ((), 2),
        (("--set", "extra=1"), 2),
        (("--set", "metadata={}", "--add-issue", "x"), 2),
        (("--set", "id=other"), 1),
        (("--set", "add_issues=1", "--add-issue", "x"), 1),
        (("--set", "self=1"), 1),
        (("--extra", "rating=1"), 1),
        (("--set", "correction=42"), 1),
        (("--set", "sources=7"), 1),
        (("--set", "updated_at=2025-01-01"), 1),
    ],
)
def test_update_refuses_what_does_not_fit(
    invoke: Invoke, store: FeedbackStore, entry: FeedbackEntry, options: tuple[str, ...], code: int
) -> None:
    """A change that names nothing, a fixed field, or a value that does not fit changes nothing."""
    assert code == invoke("update", "m", *options).exit_code
    assert entry == store.get("m")


def test_delete_says_how_many(invoke: Invoke, store: FeedbackStore, entry: FeedbackEntry) -> None:
    """Ids that are there go, each once; those that are not are counted."""
    result = invoke("delete", "m", "nobody", "m")
    assert (0, "1 deleted, 1 not found\n") == (result.exit_code, result.stdout)
    assert 0 == store.count()


def test_delete_of_nothing_is_a_problem(invoke: Invoke, entry: FeedbackEntry) -> None:
    """The exit code is 1 when none of the ids had an entry."""
    result = invoke("delete", "nobody", "--json")
    assert (1, {"deleted": 0, "missing": 1}) == (result.exit_code, json.loads(result.stdout))
