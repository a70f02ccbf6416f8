"""No text that a user or a model wrote is in any log record or error message.

Whatever fails, and however loudly: only file, line number, byte, field and size are told.
"""

import json
import logging
import resource
import traceback
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonl_harness import (
    CANARY,
    DEEP,
    MONTH,
    NOON,
    an_entry,
    ids,
    in_child,
    needs_fork,
    write_behind,
)

from feedback_store import (
    FeedbackEntry,
    FeedbackStore,
    FeedbackStoreError,
    InvalidEntryError,
    Metadata,
    decode,
    encode,
)
from feedback_store.backends.jsonl import JsonlStore

# Its plain half would show even where an escape hid the rest.
CANARIES = (CANARY, CANARY[:6], "canary")


def private(id: str = "private", **fields: object) -> FeedbackEntry:
    """Return an entry with the canary in every text that somebody writes."""
    told = Metadata(explanation=CANARY, issues=("inaccurate",))
    texts = {"question": CANARY, "answer": f"{CANARY} and more", "correction": CANARY}
    return an_entry(id, metadata=told, **{**texts, **fields})


def told(error: BaseException) -> str:
    """Return all that an error tells, its causes included, as a log would show it."""
    return "".join(traceback.format_exception(error)) + repr(error) + str(error.__dict__)


def all_of(records: list[logging.LogRecord]) -> str:
    """Return all that log records hold, their extra fields included."""
    return "\n".join(f"{record.getMessage()} {record.__dict__}" for record in records)


def check_silent(text: str) -> None:
    """Check that no canary is in a text."""
    for canary in CANARIES:
        assert canary not in text.lower()


@pytest.fixture(autouse=True)
def _no_source_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave the lines of this file out of tracebacks: they name the canary."""
    monkeypatch.setattr(traceback.linecache, "getline", lambda *_: "")  # type: ignore[attr-defined]  # what traceback itself imports


def spoilt() -> Iterator[bytes]:
    """Yield lines of the entry with a byte flipped, cut out, or put in."""
    line = encode(private())
    for at in range(0, len(line), 1 if DEEP else 3):
        for byte in (b"", b'"', b"\xff", b"\0", b"{", b"\\", b",", b"\n", b"7"):
            yield line[:at] + byte + line[at + 1 :]
        yield line[:at]
        yield line[at:]


def test_damaged_lines_are_told_without_their_text(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever byte of a line is wrong, the log names its place and nothing of it."""
    caplog.set_level(logging.DEBUG)
    lines = list(spoilt())
    (tmp_path / MONTH).write_bytes(b"\n".join(lines) + b"\n")
    with closing(JsonlStore(tmp_path)) as store:
        ids(store)
        report = store.check()
        store.compact()
        store.erase(["private"])
    damaged = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert len(damaged) > len(lines) / 2
    check_silent(all_of(caplog.records))
    check_silent(repr(report))


@given(st.integers(0, 10**6), st.binary(max_size=4), st.integers(0, 4))
def test_no_error_of_the_codec_quotes_a_line(at: int, put: bytes, cut: int) -> None:
    """Whatever is wrong with a line, its error is about places and types."""
    line = encode(private())
    at %= len(line)
    try:
        decode(line[:at] + put + line[at + cut :])
    except InvalidEntryError as error:
        check_silent(told(error))


WRONG: dict[str, Callable[[], object]] = {
    "a lone surrogate": lambda: private(answer=f"{CANARY}\ud800"),
    "bytes": lambda: private(question=CANARY.encode()),
    "a list": lambda: private(answer=[CANARY]),
    "NaN beside it": lambda: private(extra={"note": [CANARY, float("nan")]}),
    "a set": lambda: private(extra={"note": {CANARY}}),
    "a source of text": lambda: private(sources=[CANARY]),
    "issues of text": lambda: Metadata(issues=CANARY),
    "text as time": lambda: private(timestamp=CANARY),
    "text as rating": lambda: private(rating=CANARY),
    "text as entry": lambda: FeedbackStore(JsonlStore("nowhere")).add(CANARY),  # type: ignore[arg-type]  # wrong on purpose
    "too large": lambda: encode(private(), 10),
    "a text of JSON": lambda: decode(json.dumps(CANARY).encode()),
    "a list in JSON": lambda: decode(json.dumps([CANARY]).encode()),
}


@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG)
def test_no_error_about_invalid_input_quotes_it(wrong: Callable[[], object]) -> None:
    """The field is named, and what is wrong with it; not what it holds."""
    with pytest.raises(InvalidEntryError) as caught:
        wrong()
    check_silent(told(caught.value))


def test_no_repr_shows_a_text() -> None:
    """A log line of the app may hold an entry, a store, a report."""
    check_silent(repr(private()) + repr(private().metadata))


class Gathering(logging.Handler):
    """A handler that keeps the records."""

    def __init__(self, records: list[logging.LogRecord]) -> None:
        super().__init__()
        self._records = records

    def emit(self, record: logging.LogRecord) -> None:
        """Keep it."""
        self._records.append(record)


def failing_verbs(store: JsonlStore) -> dict[str, Callable[[], object]]:
    """Return calls that touch a private entry."""
    feedback = FeedbackStore(store)
    return {
        "add": lambda: feedback.add(private("other")),
        "conflict": lambda: feedback.add(private(answer=f"{CANARY} otherwise")),
        "november": lambda: feedback.add(private("nov", timestamp=NOON.replace(month=11))),
        "update": lambda: feedback.update("private", explanation=f"{CANARY} again"),
        "update missing": lambda: feedback.update("missing", explanation=CANARY),
        "invalid update": lambda: feedback.update("private", rating=CANARY),
        "put": lambda: feedback.put(private(answer=f"{CANARY} put")),
        "delete": lambda: feedback.delete("private"),
        "rewrite": lambda: store.rewrite("private", lambda e: attrs.evolve(e, id="b")),
        "compact": store.compact,
        "scan": lambda: ids(store),
        "check": store.check,
    }


def failure(call: Callable[[], object]) -> str:
    """Return what an error of a call tells, or what the call gives back."""
    try:
        return repr(call())
    except FeedbackStoreError as error:
        return told(error)


@needs_fork
@pytest.mark.parametrize("limit", ["size", "files", "folder", "index", "nothing"])
def test_no_failure_of_the_disk_tells_a_text(limit: str, tmp_path: Path) -> None:
    """Full, without descriptors, with a folder or an index spoilt: no message holds a text."""
    folder = tmp_path / "store"
    with closing(JsonlStore(folder)) as store:
        store.append([private(), an_entry("b")])
    write_behind(folder / MONTH, encode(private("torn"))[:-20])

    def failing() -> object:
        records: list[logging.LogRecord] = []
        logging.getLogger().addHandler(Gathering(records))
        logging.getLogger().setLevel(logging.DEBUG)
        store = JsonlStore(folder)
        if limit == "size":
            size = (folder / MONTH).stat().st_size
            resource.setrlimit(resource.RLIMIT_FSIZE, (size + 50, resource.RLIM_INFINITY))
        if limit == "files":
            open_now = len(list(Path("/proc/self/fd").iterdir()))
            resource.setrlimit(resource.RLIMIT_NOFILE, (open_now + 2, 4096))
        if limit == "folder":
            (folder / "feedback_2025-11.jsonl").mkdir()
        if limit == "index":
            (folder / ".feedback_store" / "lock").unlink()
            (folder / ".feedback_store" / "lock").mkdir()
        told_ = [failure(call) for call in failing_verbs(store).values()]
        told_.append(all_of(records))
        resource.setrlimit(resource.RLIMIT_NOFILE, (1024, 4096))
        return told_

    for text in in_child(failing):
        check_silent(text)
