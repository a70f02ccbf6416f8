"""`Subscription`: how it ends, with a call, with the store, the process or the last reference."""

import gc
import os
import signal
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Callable, Iterator

import pytest
from hearing import Gate, make, messages

from feedback_store import (
    ChangeEvent,
    FeedbackStore,
    StoreClosedError,
    hooks,
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


def test_closing_finishes_what_is_queued(feedback: FeedbackStore) -> None:
    """Closing a subscription brings what is queued, then its thread is gone; again is harmless."""
    heard: list[str] = []
    with feedback.on_change(lambda event: heard.append(event.id)) as subscription:
        feedback.add_each([make(id) for id in "abc"])
    assert list("abc") == heard
    thread = subscription._line.thread
    assert thread is not None
    assert not thread.is_alive()
    subscription.close()
    assert subscription.wait()


def test_closing_without_time_drops_what_is_queued(
    feedback: FeedbackStore, gate: Gate, caplog: pytest.LogCaptureFixture
) -> None:
    """When time is up, the rest is dropped, counted and logged; the one at work is the last."""
    subscription = feedback.on_change(gate)
    feedback.add_each([make(id) for id in "abc"])
    assert gate.entered.acquire(timeout=60)
    subscription.close(timeout_s=0)
    assert 2 == subscription.dropped
    (message,) = messages(caplog)
    assert "closed while 2 events were waiting" in message
    subscription.close(timeout_s=0)
    gate.let_go.release(3)
    assert subscription.wait(60)
    thread = subscription._line.thread
    assert thread is not None
    thread.join(60)
    assert (["a"], False) == (gate.heard, thread.is_alive())


def test_closing_the_store_finishes_what_is_queued() -> None:
    """Closing the store brings what is queued, while the store still answers, and then closes."""

    def callback(event: ChangeEvent) -> None:
        heard.append(feedback.get(event.id).id)

    heard: list[str] = []
    with FeedbackStore(MemoryStore()) as feedback:
        subscriptions = [feedback.on_change(callback) for _ in range(2)]
        feedback.add_each([make(id) for id in "abc"])
    assert ["a", "a", "b", "b", "c", "c"] == sorted(heard)
    threads = [subscription._line.thread for subscription in subscriptions]
    assert [False, False] == [thread is None or thread.is_alive() for thread in threads]
    with pytest.raises(StoreClosedError):
        feedback.count()
    feedback.close()


def test_closing_the_store_does_not_wait_for_ever(
    feedback: FeedbackStore, gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many callbacks do not return, closing ends after one bounded time, and closes."""
    monkeypatch.setattr(hooks, "CLOSE_TIMEOUT_S", 0.02)
    subscriptions = [feedback.on_change(gate) for _ in range(3)]
    feedback.add_each([make("a"), make("b")])
    for _ in subscriptions:
        assert gate.entered.acquire(timeout=60)
    before = time.monotonic()
    feedback.close()
    assert time.monotonic() - before < 60
    assert [1, 1, 1] == [subscription.dropped for subscription in subscriptions]
    with pytest.raises(StoreClosedError):
        feedback.count()


def test_a_store_that_is_forgotten_is_not_kept_alive() -> None:
    """A callback that holds the store does not keep it: the collector takes all of it."""

    class Holder:
        """A callback that holds the store, and fails, so that it is logged."""

        def __init__(self, held: FeedbackStore) -> None:
            self.held = held

        def __call__(self, event: ChangeEvent) -> None:
            raise ValueError

    feedback = FeedbackStore(MemoryStore())
    subscription = feedback.on_change(Holder(feedback))
    feedback.add(make("a"))
    assert subscription.wait(60)
    thread, living = subscription._line.thread, weakref.ref(feedback)
    assert thread is not None
    del feedback, subscription
    deadline = time.monotonic() + 60
    while living() is not None:  # the thread may still be on its way back to the queue
        gc.collect()
        assert time.monotonic() < deadline
    thread.join(60)
    assert not thread.is_alive()


def test_what_is_queued_is_brought_before_all_is_forgotten(gate: Gate) -> None:
    """Dropping the last reference to a store loses no event that waits."""
    feedback = FeedbackStore(MemoryStore())
    feedback.on_change(gate)
    feedback.add_each([make(id) for id in "abc"])
    del feedback
    gc.collect()
    for _ in range(3):
        gate.let_go.release()
        assert gate.entered.acquire(timeout=60)
    assert list("abc") == gate.heard


PROGRAM = """
import threading
from feedback_store import FeedbackEntry, open_store

entered = threading.Event()
def callback(event):
    entered.set()
    threading.Event().wait()

store = open_store("mem://")
store.on_change(callback)
store.on_change(lambda event: None)
store.add(FeedbackEntry(message_id="a", question="", answer=""))
assert entered.wait(60)
"""


def test_the_interpreter_exits() -> None:
    """A callback that never returns does not keep the process from ending."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", PROGRAM],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (0, "", "") == (done.returncode, done.stdout, done.stderr)


def in_child(act: Callable[[], bool]) -> int:
    """Do something in a forked child; return its exit code."""
    pid = os.fork()
    if pid == 0:
        signal.alarm(30)
        try:
            os._exit(0 if act() else 1)
        finally:
            os._exit(2)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")  # with threads is the point
@pytest.mark.parametrize("locked", [False, True])
def test_a_child_has_a_queue_of_its_own(feedback: FeedbackStore, gate: Gate, locked: bool) -> None:
    """After a fork, the child's changes are told in the child, and what waited in the parent not.

    It does not matter what other threads were doing just then.
    """

    def act() -> bool:
        gate.heard.clear()
        gate.entered, gate.let_go = threading.Semaphore(0), threading.Semaphore(9)
        fresh = (subscription.dropped, subscription.wait(0)) == (0, True)
        feedback.add(make("child"))
        there = subscription.wait(30) and gate.heard == ["child"]
        feedback.on_change(print).close()
        feedback.close()
        return fresh and there

    subscription = feedback.on_change(gate, max_queued=2)
    feedback.add(make("a"))
    assert gate.entered.acquire(timeout=60)
    feedback.add_each([make(id) for id in "bcd"])
    held = threading.Event()
    release = threading.Event()

    def hold() -> None:
        with feedback._changes._lock, subscription._line.changed:
            held.set()
            release.wait(60)

    holder = threading.Thread(target=hold)
    if locked:
        holder.start()
        assert held.wait(60)
    assert 0 == in_child(act)
    release.set()
    if locked:
        holder.join(60)
    gate.let_go.release(9)
    assert subscription.wait(60)
    assert (list("abc"), 1) == (gate.heard, subscription.dropped)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")  # with threads is the point
def test_a_callback_may_fork(feedback: FeedbackStore) -> None:
    """When a callback forks, and the child goes on, it does not do the parent's work again."""

    def callback(event: ChangeEvent) -> None:
        os.write(writing, event.id.encode())
        if event.id == "a":
            assert ready.wait(60)
            pid = os.fork()
            if pid == 0:
                signal.alarm(30)
            else:
                codes.append(os.waitpid(pid, 0)[1])

    codes: list[int] = []
    ready = threading.Event()
    reading, writing = os.pipe()
    subscription = feedback.on_change(callback)
    feedback.add_each([make(id) for id in "abc"])
    ready.set()
    assert subscription.wait(60)
    os.close(writing)
    assert (b"abc", [0]) == (os.read(reading, 99), codes)
    os.close(reading)
