"""What the tests of hooks share: entries, callbacks that hold on, and what subscribers are told."""

import threading
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from feedback_store import ChangeEvent, ChangeKind, FeedbackEntry, FeedbackStore

CANARY = "canary-Zwölfboxkämpfer"
"""Text of a user, which must be found nowhere but in the data."""

NOON = datetime(2025, 10, 5, 12, tzinfo=UTC)


def make(id: str, **fields: Any) -> FeedbackEntry:  # noqa: ANN401  # any field's value
    """Return an entry with that id, full of a user's text."""
    given: dict[str, Any] = {"question": CANARY, "answer": CANARY, "timestamp": NOON}
    return FeedbackEntry(message_id=id, **{**given, "user_id": CANARY, **fields})


class Gate:
    """A callback that waits to be let go, once for each event."""

    def __init__(self) -> None:
        self.heard: list[str] = []
        self.entered = threading.Semaphore(0)
        self.let_go = threading.Semaphore(0)

    def __call__(self, event: ChangeEvent) -> None:
        """Say that the event is here, and hold on."""
        self.heard.append(event.id)
        self.entered.release()
        assert self.let_go.acquire(timeout=60)


def messages(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return what was logged; there is no text of a user in it, and no trace."""
    for record in caplog.records:
        assert ("feedback_store.hooks", "WARNING") == (record.name, record.levelname)
        assert record.exc_info is None
        assert CANARY not in f"{record.getMessage()} {record.__dict__}"
    return [record.getMessage() for record in caplog.records]


def told(feedback: FeedbackStore, act: Callable[[FeedbackStore], object]) -> list[ChangeEvent]:
    """Return the events of what is done."""
    events: list[ChangeEvent] = []
    with feedback.on_change(events.append) as subscription:
        act(feedback)
        assert subscription.wait(60)
    return events


def added(entry: FeedbackEntry) -> ChangeEvent:
    """Return the event of an entry that was added."""
    return ChangeEvent(kind=ChangeKind.ADDED, id=entry.id, entry=entry)
