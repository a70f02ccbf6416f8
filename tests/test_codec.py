"""The codec: one entry, one line, and nothing lost on the way in or out."""

import json
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from feedback_store import FeedbackEntry, InvalidEntryError, Metadata, Stats, decode, encode
from feedback_store.codec import converter, from_mapping, parse, to_mapping
from feedback_store.testing import entries, json_values
from feedback_store.testing.strategies import texts

GOLDEN = sorted((Path(__file__).parent / "golden").glob("*.json"))
NOON = datetime(2025, 10, 5, 12, tzinfo=UTC)
LINE: dict[str, Any] = {"message_id": "m", "question": "q", "answer": "a"}
TIMED = {**LINE, "timestamp": "2025-10-05T12:00:00.000Z"}


def dump(value: object) -> bytes:
    """Return JSON as another program would write it."""
    return json.dumps(value).encode()


def spelling(entry: FeedbackEntry) -> str:
    """Return all that an entry is, types of numbers and spelled-out nulls included."""
    told = entry.metadata
    fields = [
        entry.message_id, entry.question, entry.answer, entry.rating, entry.timestamp.isoformat(),
        entry.sources, entry.id, entry.user_id, entry.trace_id, entry.name, entry.annotator_kind,
        entry.correction, entry.updated_at, sorted(entry.extra.items()),
        sorted(entry.spelled.items()), told.response_time, told.token_count, told.conversation_id,
        told.explanation, told.issues, sorted(told.extra.items()), sorted(told.spelled.items()),
    ]  # fmt: skip
    return repr(fields)


@given(entries())
def test_what_is_encoded_can_be_decoded(entry: FeedbackEntry) -> None:
    """decode(encode(e)) == e, with the types of all numbers, and what was spelled out."""
    assert entry == decode(encode(entry))
    assert spelling(entry) == spelling(decode(encode(entry)))


@given(entries(), entries())
def test_what_is_changed_can_be_decoded(a: FeedbackEntry, b: FeedbackEntry) -> None:
    """A key that was spelled as null and then set is as if it had never been spelled."""
    names = ("id", "user_id", "updated_at", "annotator_kind", "sources", "metadata", "correction")
    changed = attrs.evolve(a, **{name: getattr(b, name) for name in names})
    assert spelling(changed) == spelling(decode(encode(changed)))
    told = attrs.evolve(a.metadata, issues=b.metadata.issues, token_count=b.metadata.token_count)
    changed = attrs.evolve(a, metadata=told)
    assert spelling(changed) == spelling(decode(encode(changed)))


@given(entries())
def test_a_line_is_one_line_of_json(entry: FeedbackEntry) -> None:
    """A line has no newline in it, is UTF-8, and other programs read the same JSON from it."""
    line = encode(entry)
    assert [line] == line.splitlines()
    assert to_mapping(decode(dump(json.loads(line)))) == to_mapping(entry)
    assert 7 <= len(json.loads(line))


@given(entries())
def test_the_fast_and_the_careful_way_agree(entry: FeedbackEntry) -> None:
    """Both ways of reading give equal entries, to the types and to what was spelled out."""
    line = encode(entry)
    assert spelling(from_mapping(parse(line))) == spelling(decode(line))


def within(part: object, whole: object) -> bool:
    """Say whether every key and value of one JSON value is in another, types included."""
    if isinstance(part, dict) and isinstance(whole, dict):
        return all(key in whole and within(value, whole[key]) for key, value in part.items())
    return json.dumps(part) == json.dumps(whole)


ANY_KEYS = st.dictionaries(st.sampled_from(["extra", "spelled"]) | texts(), json_values())
NOTHING: st.SearchStrategy[Any] = st.none() | st.just([]) | st.just({})
METADATA = st.builds(
    lambda more, own: {**more, **own},
    st.dictionaries(
        texts() | st.sampled_from(["timestamp", "question", "rating", "id", "extra", "spelled"]),
        json_values(),
        max_size=3,
    ),
    st.fixed_dictionaries(
        {},
        optional={
            "response_time": st.sampled_from([None, 0, 1.0, 10**25, -0.0]),
            "token_count": st.sampled_from([None, 7, 7.0]),
            "conversation_id": st.none() | texts(),
            "explanation": st.none() | texts(),
            "issues": st.none() | st.lists(texts(), max_size=2),
        },
    ),
)
OBJECTS = st.builds(
    lambda more, own: {**more, **own},
    st.just({}) | ANY_KEYS,
    st.fixed_dictionaries(
        {"message_id": texts(), "question": texts(), "answer": texts()},
        optional={
            "rating": st.sampled_from([None, 0, 1, 0.0, 1.0, 0.5, 2, True]),
            "timestamp": st.sampled_from([None, "2025-10-05T12:00:00+02:00", "2025-10-05", "x"]),
            "sources": NOTHING | st.lists(st.dictionaries(texts(), json_values()), max_size=2),
            "metadata": NOTHING | METADATA,
            "id": st.none() | texts(),
            "user_id": st.none() | texts(),
            "name": st.none() | texts(),
            "annotator_kind": st.sampled_from([None, "HUMAN", "human"]),
            "correction": st.none() | texts(),
            "updated_at": st.sampled_from([None, "2025-10-05T12:00:00.000Z", 1]),
        },
    ),
)


@given(OBJECTS)
def test_nothing_of_a_line_is_lost(given: dict[str, Any]) -> None:
    """Every key and value of a line that decodes is in what the entry encodes to, nulls too."""
    try:
        entry = decode(dump(given), fallback_time=NOON)
    except InvalidEntryError:
        return
    shown = json.loads(encode(entry))
    given.pop("timestamp", None)
    assert within(given, shown)
    assert encode(entry) == encode(decode(encode(entry)))


@given(OBJECTS)
def test_both_ways_read_any_line_alike(given: dict[str, Any]) -> None:
    """Whatever a line holds, the careful way gives the same entry, or the same error."""
    outcomes: list[str] = []
    for read in (decode, lambda line, **more: from_mapping(parse(line), **more)):
        try:
            outcomes.append(spelling(read(dump(given), fallback_time=NOON)))
        except InvalidEntryError as error:
            outcomes.append(str(error))
    assert outcomes[0] == outcomes[1]


@pytest.mark.parametrize("file", GOLDEN, ids=lambda file: file.stem)
def test_golden_files(file: Path) -> None:
    """Each file holds an object as it stands in a store, and comes back as it stands, in order."""
    text = file.read_text("utf-8").rstrip("\n")
    assert text == encode(decode(text.encode())).decode()


def test_there_is_a_golden_file_for_every_field() -> None:
    """No field can be added without a file that shows how it looks."""
    shown: set[str] = set()
    for file in GOLDEN:
        given = json.loads(file.read_text("utf-8"))
        shown.update(key for key, value in given.items() if value is not None)
        shown.update(f"metadata.{key}" for key in given["metadata"] or ())
    entry, told = attrs.fields(FeedbackEntry), attrs.fields(Metadata)
    needed = {field.name for field in entry} | {f"metadata.{field.name}" for field in told}
    hidden = {"extra", "spelled", "metadata.extra", "metadata.spelled"}
    assert set() == needed - hidden - shown


OLDER: dict[str, tuple[dict[str, Any], str]] = {
    "naive": ({"timestamp": "2025-02-19T12:34:21.147594"}, "2025-02-19T11:34:21.147594"),
    "of the metadata": ({"metadata": {"timestamp": "2025-02-17T09:36:14Z"}}, "2025-02-17T09:36:14"),
    "naive, told": ({"metadata": {"timestamp": "2025-02-17T09:36:14"}}, "2025-02-17T08:36:14"),
    "null": (
        {"timestamp": None, "metadata": {"timestamp": "2025-02-17T09:36:14Z"}},
        "2025-02-17T09:36:14",
    ),
    "told nowhere": ({}, "2025-10-05T12:00:00"),
    "nonsense in the metadata": ({"metadata": {"timestamp": "yes"}}, "2025-10-05T12:00:00"),
    "with an offset": ({"timestamp": "2025-02-19T12:00:00-05:30"}, "2025-02-19T17:30:00"),
    "basic form": ({"timestamp": "20250219T120000Z"}, "2025-02-19T12:00:00"),
    "nanoseconds": ({"timestamp": "2025-02-19T12:00:00.123456789Z"}, "2025-02-19T12:00:00.123457"),
}


@pytest.mark.parametrize(("shown", "time"), OLDER.values(), ids=OLDER)
def test_the_time_of_lines_by_older_writers(shown: dict[str, Any], time: str) -> None:
    """The top-level time, else that of the metadata, else the one given; naive ones as told."""
    line = dump({**LINE, **shown})
    vienna = timezone(timedelta(hours=1))
    read = decode(line, naive_tz=vienna, fallback_time=NOON)
    assert datetime.fromisoformat(time).replace(tzinfo=UTC) == read.timestamp


def test_real_rows_lose_nothing(real_rows: Path) -> None:
    """Every key and value of real rows is there after a round trip, and both ways agree."""
    files = sorted((real_rows / "month_files").glob("*.jsonl"))
    lines = [line for file in files for line in file.read_bytes().splitlines()]
    for line in lines:
        given = json.loads(line)
        entry = decode(line, fallback_time=NOON)
        assert spelling(from_mapping(given, fallback_time=NOON)) == spelling(entry)
        given.pop("timestamp", None)
        assert within(given, json.loads(encode(entry)))
    assert len(lines) > 10


WRONG: dict[str, bytes] = {
    "empty": b"",
    "blank": b" \n",
    "text": b"hello",
    "array": b"[]",
    "number": b"1",
    "null": b"null",
    "cut": dump(TIMED)[:-5],
    "two": dump(TIMED) + dump(TIMED),
    "NaN": dump({**TIMED, "n": float("nan")}),
    "infinity": dump(TIMED).replace(b'"q"', b"1e999"),
    "not UTF-8": dump(TIMED).replace(b'"q"', b'"\xff"'),
    "surrogate": dump({**TIMED, "question": "\ud800"}),
    "surrogate in a key": dump({**TIMED, "\udc00": 1}),
    "NULs": b"\x00" * 50,
    "deep": dump(TIMED)[:-1] + b',"x":' + b"[" * 200 + b"]" * 200 + b"}",
    "very deep": dump(TIMED)[:-1] + b',"x":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "deep told": dump(TIMED)[:-1] + b',"metadata":{"x":' + b"[" * 100 + b"]" * 100 + b"}}",
    "long number": dump(TIMED)[:-1] + b',"x":' + b"1" * 5000 + b"}",
    "long token count": dump(TIMED)[:-1] + b',"metadata":{"token_count":' + b"1" * 400 + b"}}",
    "no message": dump({"question": "q", "answer": "a", "timestamp": "2025-10-05T12:00:00Z"}),
    "null answer": dump({**TIMED, "answer": None}),
    "empty id": dump({**TIMED, "id": ""}),
    "rating": dump({**TIMED, "rating": 7}),
    "truth": dump({**TIMED, "rating": True}),
    "time": dump({**LINE, "timestamp": "noon"}),
    "number for time": dump({**LINE, "timestamp": 1759665600}),
    "time out of range": dump({**LINE, "timestamp": "0001-01-01T00:00:00+01:00"}),
    "metadata": dump({**TIMED, "metadata": []}),
    "sources": dump({**TIMED, "sources": {"type": "wiki"}}),
    "issues": dump({**TIMED, "metadata": {"issues": "wrong"}}),
    "updated_at": dump({**TIMED, "updated_at": 1}),
}  # fmt: skip


@pytest.mark.parametrize("line", WRONG.values(), ids=WRONG)
def test_what_is_no_entry_is_refused(line: bytes) -> None:
    """Whatever is wrong with a line, it is one typed error, without a cause that quotes it."""
    with pytest.raises(InvalidEntryError) as caught:
        decode(line)
    assert caught.value.__cause__ is None
    assert len(str(caught.value)) < 1000


@given(st.binary(max_size=60) | st.binary(max_size=20).map(lambda b: dump(TIMED)[:-1] + b + b"}"))
def test_any_bytes_are_an_entry_or_one_error(line: bytes) -> None:
    """No bytes at all raise anything else."""
    try:
        entry = decode(line)
    except InvalidEntryError:
        return
    assert entry == decode(encode(entry))


@pytest.mark.parametrize(
    "around", [b"%s\n", b"%s\r\n", b"  %s\t", b"\xef\xbb\xbf%s", b"\xef\xbb\xbf%s\r\n"]
)
def test_what_stands_around_a_line_does_not_matter(around: bytes) -> None:
    """White space, ends of lines of any system and a byte order mark are no part of an entry."""
    assert decode(dump(TIMED)) == decode(around % dump(TIMED))


SECRET = "sesame"
PLACES = ("question", "answer", "correction", "explanation", "sources", "extra", "metadata")


def error_of(line: bytes) -> str:
    """Return all that the error of a line shows, if there is one."""
    try:
        decode(line)
    except InvalidEntryError as error:
        return f"{error} {(error, error.__cause__, error.__context__)!r}"
    return ""


@given(st.sampled_from(PLACES), st.integers(0, 400), st.sampled_from([b"\x00", b"}", b"\xff", b""]))
def test_errors_do_not_quote_what_users_wrote(place: str, position: int, damage: bytes) -> None:
    """However a line is damaged, the error holds nothing of what stood in the line's texts."""
    given: dict[str, Any] = {**TIMED, "metadata": {"explanation": SECRET}, place: SECRET}
    line = dump(given)
    for broken in (line, line[:position], line[:position] + damage + line[position + 1 :]):
        assert SECRET not in error_of(broken)


def test_the_size_can_be_bounded() -> None:
    """A line of the allowed size is fine; one byte more is an error that tells both sizes."""
    entry = from_mapping(TIMED)
    size = len(encode(entry))
    assert size == len(encode(entry, max_bytes=size))
    with pytest.raises(InvalidEntryError, match=f"takes {size} bytes and at most {size - 1}"):
        encode(entry, max_bytes=size - 1)


@pytest.mark.parametrize(
    ("time", "text"),
    [
        (NOON, "2025-10-05T12:00:00.000Z"),
        (NOON.replace(microsecond=789000), "2025-10-05T12:00:00.789Z"),
        (NOON.replace(microsecond=1), "2025-10-05T12:00:00.000001Z"),
        (datetime.min.replace(tzinfo=UTC), "0001-01-01T00:00:00.000Z"),
        (datetime.max.replace(tzinfo=UTC), "9999-12-31T23:59:59.999999Z"),
    ],
)
def test_how_a_time_is_written(time: datetime, text: str) -> None:
    """In UTC, with milliseconds, or with microseconds where it has them."""
    entry = FeedbackEntry(**LINE, timestamp=time, updated_at=time)
    assert (text, text) == (to_mapping(entry)["timestamp"], to_mapping(entry)["updated_at"])


def test_the_given_object_is_not_changed() -> None:
    """Reading an object leaves it as it was."""
    given = {**TIMED, "metadata": {"issues": [], "x": [1]}, "user_id": None, "y": {"z": []}}
    before = dump(given)
    from_mapping(given)
    assert before == dump(given)


def test_the_converter_knows_entries_and_numbers() -> None:
    """With cattrs, entries come out and go in as in the store, and statistics become JSON."""
    entry = from_mapping({**TIMED, "channel": "web", "metadata": {"issues": ["a"]}})
    shown = converter().unstructure(entry)
    assert json.loads(encode(entry)) == json.loads(json.dumps(shown))
    assert entry == converter().structure(shown, FeedbackEntry)
    stats = json.loads(json.dumps(converter().unstructure(Stats.of([entry]))))
    assert ({"a": 1}, "2025-10-05T12:00:00.000Z") == (stats["by_issue"], stats["first"])
