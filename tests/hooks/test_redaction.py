"""`redact`: nothing is written that did not go through it."""

import re
import threading
import traceback
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import attrs
import pytest

from feedback_store import (
    BatchResult,
    ChangeEvent,
    DuplicateEntryError,
    FeedbackEntry,
    FeedbackStore,
    InvalidEntryError,
    Metadata,
    Outcome,
    open_store,
)
from feedback_store.backends.memory import MemoryStore
from feedback_store.migrate import copy

NOON = datetime(2025, 10, 5, 12, tzinfo=UTC)
ADDRESS = re.compile(r"[\w.+-]+@[\w-]+\.[\w.]+")
RAW, MASKED = "write to ada@example.org", "write to [e-mail]"


def make(id: str = "a", text: str = RAW, **fields: Any) -> FeedbackEntry:  # noqa: ANN401  # any field's value
    """Return an entry with that id, whose explanation is the text."""
    given = {"metadata": Metadata(explanation=text), "timestamp": NOON, **fields}
    return FeedbackEntry(message_id=id, question="?", answer="!", **given)


def mask(entry: FeedbackEntry) -> FeedbackEntry:
    """Mask the addresses in the explanation."""
    if (said := entry.metadata.explanation) is None:
        return entry
    metadata = attrs.evolve(entry.metadata, explanation=ADDRESS.sub("[e-mail]", said))
    return attrs.evolve(entry, metadata=metadata)


def texts(feedback: FeedbackStore) -> list[str | None]:
    """Return what is stored, in the order of ids."""
    return [entry.metadata.explanation for entry in feedback.scan()]


@pytest.fixture
def feedback() -> FeedbackStore:
    """Return an empty store that masks addresses."""
    return FeedbackStore(MemoryStore(), redact=mask)


WAYS_IN: dict[str, Callable[[FeedbackStore], object]] = {
    "add": lambda f: f.add(make()),
    "add_each": lambda f: f.add_each([make(), make()]),
    "add_many": lambda f: f.add_many(iter([make()])),
    "put": lambda f: f.put(make()),
    "put in place": lambda f: (f.put(make(text="other")), f.put(make())),
    "update": lambda f: (f.add(make(text="other")), f.update("a", explanation=RAW)),
    "update of metadata": lambda f: (
        f.add(make(text="other")),
        f.update("a", metadata=Metadata(explanation=RAW)),
    ),
}


@pytest.mark.parametrize("way", WAYS_IN)
def test_every_way_in_is_redacted(feedback: FeedbackStore, way: str) -> None:
    """Whichever verb brings an entry, it is stored, returned and told as redacted."""
    events: list[ChangeEvent] = []
    with feedback.on_change(events.append):
        WAYS_IN[way](feedback)
    assert [MASKED] == texts(feedback)
    assert feedback.get("a") == events[-1].entry
    assert RAW not in str([attrs.asdict(event) for event in events])


def test_an_update_returns_what_is_stored(feedback: FeedbackStore) -> None:
    """What `update` returns is redacted as well."""
    feedback.add(make(text="other"))
    assert MASKED == feedback.update("a", explanation=RAW).metadata.explanation


def test_an_update_redacts_the_whole_entry() -> None:
    """What was stored before there was a redaction goes through it, if nothing else changes too."""
    store = MemoryStore()
    store.append([make()])
    feedback = FeedbackStore(store, redact=mask)
    redacted = feedback.update("a")
    assert ([MASKED], redacted) == (texts(feedback), feedback.get("a"))
    assert redacted.updated_at is not None
    assert redacted is feedback.update("a")


def test_retries_are_unchanged(feedback: FeedbackStore) -> None:
    """The same entry again is the same entry, as what was redacted and as what was not."""
    assert Outcome.ADDED is feedback.add(make())
    assert Outcome.UNCHANGED is feedback.add(make())
    assert Outcome.UNCHANGED is feedback.add(make(text=MASKED))
    assert Outcome.UNCHANGED is feedback.put(make())
    assert BatchResult(unchanged=2) == feedback.add_many([make(), make()])
    before = feedback.get("a")
    assert before is feedback.update("a", explanation=RAW)
    assert before.updated_at is None
    with pytest.raises(DuplicateEntryError):
        feedback.add(make(text="other"))


def test_a_replacement_keeps_its_time(feedback: FeedbackStore) -> None:
    """A `put` that takes another one's place keeps the first timestamp, redacted or not."""
    feedback.add(make())
    later = datetime(2026, 1, 1, tzinfo=UTC)
    assert Outcome.UPDATED is feedback.put(make(text="new: " + RAW, timestamp=later))
    assert (NOON, "new: " + MASKED) == (feedback.get("a").timestamp, texts(feedback)[0])


def test_open_store_takes_it(tmp_path: Path) -> None:
    """Every kind of location takes the option, and nothing else reaches the disk."""
    for location in ("mem://", tmp_path / "folder", f"sqlite:///{tmp_path}/file.db"):
        with open_store(location, redact=mask) as feedback:
            feedback.add(make())
            assert [MASKED] == texts(feedback)
    written = b"".join(file.read_bytes() for file in tmp_path.rglob("*") if file.is_file())
    assert b"ada@" not in written
    assert 2 <= written.count(b"[e-mail]")


def test_the_store_below_does_not_redact(feedback: FeedbackStore) -> None:
    """What is written to the store below is not redacted, and `copy` writes there."""
    feedback.store.append([make("a")])
    source = MemoryStore()
    source.append([make("b")])
    copy(source, feedback)
    assert [RAW, RAW] == texts(feedback)


class Secret(Exception):  # noqa: N818  # any name
    """An error of an app, whose message quotes what it should not."""


def failing(entry: FeedbackEntry) -> FeedbackEntry:
    """Fail at one of the entries, with its text."""
    if "fail" in (entry.metadata.explanation or ""):
        raise Secret(entry.metadata.explanation)
    return mask(entry)


WRONG: dict[str, tuple[Callable[[FeedbackEntry], Any], str]] = {
    "raises": (failing, f"redact failed with Secret in {__name__}, line "),
    "is refused": (
        lambda entry: attrs.evolve(entry, rating=RAW),  # type: ignore[arg-type]  # wrong on purpose
        f"redact failed with InvalidEntryError in {__name__}, line ",
    ),
    "is no function": (RAW, "redact failed with TypeError"),  # type: ignore[dict-item]  # wrong on purpose
    "returns None": (lambda _: None, "redact must return a FeedbackEntry, not a NoneType"),
    "returns text": (lambda _: RAW, "redact must return a FeedbackEntry, not a str"),
    "changes id": (lambda e: attrs.evolve(e, id="other"), "redact may not change id"),
    "changes message_id": (
        lambda e: attrs.evolve(e, message_id="other", id=e.id),
        "redact may not change message_id",
    ),
    "changes timestamp": (
        lambda e: attrs.evolve(e, timestamp=datetime(2026, 1, 1, tzinfo=UTC)),
        "redact may not change timestamp",
    ),
}


@pytest.mark.parametrize("way", ["add", "add_each", "add_many", "put", "update"])
@pytest.mark.parametrize("wrong", WRONG)
def test_a_wrong_redaction_fails_the_write(wrong: str, way: str) -> None:
    """Whatever it does wrong, the write raises, nothing is stored, and no text can be seen."""
    redact, message = WRONG[wrong]
    text = f"fail: {RAW}"
    store = MemoryStore()
    store.append([make("a", text="other")] if way.startswith("update") else [])
    before = dict(store._entries)
    feedback = FeedbackStore(store, redact=redact)
    events: list[ChangeEvent] = []
    given = make(text=text)
    write: Callable[[], object] = {
        "add": lambda: feedback.add(given),
        "add_each": lambda: feedback.add_each([given]),
        "add_many": lambda: feedback.add_many([given]),
        "put": lambda: feedback.put(given),
        "update": lambda: feedback.update("a", explanation=text),
    }[way]
    raised = pytest.raises(InvalidEntryError, match=re.escape(message))
    with feedback.on_change(events.append), raised as caught:
        write()
    assert (before, []) == (store._entries, events)
    assert (None, None) == (caught.value.__cause__, caught.value.__context__)
    assert "ada@" not in "".join(traceback.format_exception(caught.value))


def test_one_that_fails_stores_nothing_of_its_batch() -> None:
    """When one of several cannot be redacted, none of them is stored by that call."""
    feedback = FeedbackStore(MemoryStore(), redact=failing)
    given = [make("a"), make("b", text=f"fail: {RAW}")]
    for call in (feedback.add_each, feedback.add_many):
        with pytest.raises(InvalidEntryError):
            call(given)
    assert 0 == feedback.count()


@pytest.mark.parametrize("interrupt", [KeyboardInterrupt, SystemExit])
def test_an_interrupt_passes(interrupt: type[BaseException]) -> None:
    """An interrupt while it redacts is raised as it is, and nothing is stored."""

    def redact(entry: FeedbackEntry) -> FeedbackEntry:
        raise interrupt

    feedback = FeedbackStore(MemoryStore(), redact=redact)
    with pytest.raises(interrupt):
        feedback.add(make())
    assert 0 == feedback.count()


def test_what_is_no_entry_does_not_reach_it() -> None:
    """The function is called with entries only."""
    feedback = FeedbackStore(MemoryStore(), redact=lambda entry: pytest.fail(repr(entry)))
    with pytest.raises(InvalidEntryError, match="must be a FeedbackEntry"):
        feedback.add("text")  # type: ignore[arg-type]  # wrong on purpose
    with pytest.raises(InvalidEntryError, match="must be a FeedbackEntry"):
        feedback.add_each([None])  # type: ignore[list-item]  # wrong on purpose


def test_one_that_fails_harms_nobody_in_its_group() -> None:
    """Threads that share a sync do not share the failure: what fails never joins the group."""

    class Medium(MemoryStore):
        """A store that waits to be let go."""

        def append(self, entries: Sequence[FeedbackEntry]) -> Sequence[Outcome]:
            groups.append([entry.id for entry in entries])
            entered.release()
            assert let_go.acquire(timeout=60)
            return super().append(entries)

    groups: list[list[str]] = []
    entered, let_go = threading.Semaphore(0), threading.Semaphore(0)
    feedback = FeedbackStore(Medium(), redact=failing)
    with ThreadPoolExecutor(8) as threads:
        first = threads.submit(feedback.add, make("first"))
        assert entered.acquire(timeout=60)
        followers = [threads.submit(feedback.add, make(str(n))) for n in range(3)]
        failed = threads.submit(feedback.add, make("failing", text=f"fail: {RAW}"))
        with pytest.raises(InvalidEntryError):
            failed.result(60)  # while the others still wait
        while len(feedback._group._queue.waiting) < 3:
            threading.Event().wait(0.001)
        let_go.release(9)
        assert [Outcome.ADDED] * 4 == [future.result(60) for future in (first, *followers)]
    assert [1, 3] == [len(group) for group in groups]
    assert {MASKED} == set(texts(feedback))
