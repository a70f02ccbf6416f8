"""`Subscription`: a subscriber may be slow, fail, or never return, and no write feels it."""

import logging
import threading
from collections.abc import Iterator

import pytest
from hearing import CANARY, Gate, make, messages

from feedback_store import (
    ChangeEvent,
    FeedbackStore,
    Outcome,
)
from feedback_store.backends.memory import MemoryStore


@pytest.fixture
def feedback() -> Iterator[FeedbackStore]:
    """Return an empty store."""
    with FeedbackStore(MemoryStore()) as store:
        yield store


@pytest.fixture
def gate() -> Iterator[Gate]:
    """Return a callback that holds on until the test ends, at the latest."""
    gate = Gate()
    yield gate
    gate.let_go.release(100)


def test_a_slow_subscriber_slows_no_write(feedback: FeedbackStore, gate: Gate) -> None:
    """While a callback does not return, every verb does, and other subscribers go on."""
    others: list[ChangeEvent] = []
    slow, other = feedback.on_change(gate), feedback.on_change(others.append)
    feedback.add(make("a"))
    assert gate.entered.acquire(timeout=60)
    feedback.add_many([make("b"), make("c")])
    feedback.update("a", rating=1)
    feedback.delete("b", "c")
    assert other.wait(60)
    assert ["a", "b", "c", "a", "b", "c"] == [event.id for event in others]
    assert not slow.wait(0.001)
    gate.let_go.release(6)
    assert slow.wait(60)
    assert [event.id for event in others] == gate.heard


def test_a_full_queue_drops_and_counts(
    feedback: FeedbackStore, gate: Gate, caplog: pytest.LogCaptureFixture
) -> None:
    """What finds the queue full is dropped and counted, and logged once until it has caught up."""
    subscription = feedback.on_change(gate, max_queued=2)
    feedback.add(make("a"))
    assert gate.entered.acquire(timeout=60)  # it is in hand, and waits no more
    for id in "bcdef":
        assert Outcome.ADDED is feedback.add(make(id))
    assert 3 == subscription.dropped
    gate.let_go.release()
    assert gate.entered.acquire(timeout=60)
    feedback.add_each([make("g"), make("h")])  # room for one; it has not caught up yet
    assert 4 == subscription.dropped
    assert 1 == len(messages(caplog))
    gate.let_go.release(3)
    assert subscription.wait(60)
    assert list("abcg") == gate.heard
    feedback.add_each([make(id) for id in "ijkl"])  # one more episode
    assert 2 == len(messages(caplog))
    assert "Subscription(Gate): too many events are waiting" in messages(caplog)[1]
    assert 8 == feedback.count() - 4


class Secret(Exception):  # noqa: N818  # any name
    """An error of an app, whose message quotes what it should not."""


@pytest.mark.parametrize("error", [Secret, KeyError, SystemExit, KeyboardInterrupt])
def test_a_failing_subscriber_fails_nothing(
    feedback: FeedbackStore, error: type[BaseException], caplog: pytest.LogCaptureFixture
) -> None:
    """What a callback raises is logged by its class, and the next event is brought all the same."""

    def callback(event: ChangeEvent) -> None:
        heard.append(event.id)
        if event.id != "c":
            raise error(CANARY, event.entry)

    heard: list[str] = []
    subscription = feedback.on_change(callback)
    for id in "abc":
        assert Outcome.ADDED is feedback.add(make(id))
    assert subscription.wait(60)
    assert (["a", "b", "c"], 0) == (heard, subscription.dropped)
    assert 2 == len(messages(caplog))
    assert f"failed with {error.__name__} in {__name__}, line " in messages(caplog)[0]
    assert messages(caplog)[0].endswith("the event was 'added'")


def test_a_failing_log_handler_fails_nothing(feedback: FeedbackStore, gate: Gate) -> None:
    """Where the app's own log handler raises, writes succeed, and events go on."""

    class Broken(logging.Handler):
        """A handler that cannot write."""

        def emit(self, record: logging.LogRecord) -> None:
            raise OSError(record)

    def callback(event: ChangeEvent) -> None:
        heard.append(event.id)
        raise ValueError

    heard: list[str] = []
    handler = Broken()
    logger = logging.getLogger("feedback_store.hooks")
    logger.addHandler(handler)
    try:
        failing, slow = feedback.on_change(callback), feedback.on_change(gate, max_queued=1)
        feedback.add_each([make(id) for id in "abcde"])
        assert failing.wait(60)
        assert slow.dropped
    finally:
        logger.removeHandler(handler)
    assert list("abcde") == heard


def test_a_callback_may_use_the_store(feedback: FeedbackStore) -> None:
    """A callback reads and writes; what it writes is told in its turn."""

    def callback(event: ChangeEvent) -> None:
        heard.append(event.id)
        assert feedback.get(event.id) == event.entry
        if len(event.id) < 3:
            feedback.add(make(f"{event.id}a"))

    heard: list[str] = []
    subscription = feedback.on_change(callback)
    feedback.add(make("a"))
    assert subscription.wait(60)
    assert ["a", "aa", "aaa"] == heard


@pytest.mark.parametrize("what", ["wait", "close", "close the store"])
def test_a_callback_may_end_its_own_subscription(feedback: FeedbackStore, what: str) -> None:
    """Waiting and closing within the callback wait for nothing: its own event is still in hand."""

    def callback(event: ChangeEvent) -> None:
        heard.append(event.id)
        if what == "wait":
            done.append(subscription.wait())
        elif what == "close":
            subscription.close()
        else:
            feedback.close()

    heard: list[str] = []
    done: list[bool] = []
    subscription = feedback.on_change(callback)
    feedback.add_each([make("a"), make("b")])
    if what == "wait":
        assert subscription.wait(60)
        assert ([False, False], ["a", "b"]) == (done, heard)
    else:
        thread = subscription._line.thread
        assert thread is not None
        thread.join(60)
        assert ["a"] == heard
        assert 1 == subscription.dropped


def test_a_thread_that_cannot_start_fails_no_write(
    feedback: FeedbackStore, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Where there are no more threads, events are dropped and counted, until there are."""

    def no_more(self: threading.Thread) -> None:
        msg = "can't start new thread"
        raise RuntimeError(msg)

    heard: list[str] = []
    subscription = feedback.on_change(lambda event: heard.append(event.id))
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", no_more)
        assert Outcome.ADDED is feedback.add(make("a"))
        assert Outcome.ADDED is feedback.add(make("b"))
        assert subscription.wait(60)
    assert (2, 1) == (subscription.dropped, len(messages(caplog)))
    feedback.add(make("c"))
    assert subscription.wait(60)
    assert ["c"] == heard
