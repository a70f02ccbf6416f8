"""`FeedbackStore`: what the contract of all stores leaves open."""

import pytest

from feedback_store import (
    BatchResult,
    CheckReport,
    CompactReport,
    FeedbackEntry,
    FeedbackStore,
    InvalidEntryError,
    Status,
    open_store,
)
from feedback_store.backends.memory import MemoryStore
from feedback_store.report import Check
from feedback_store.testing import FiveVerbs


def make(id: str, **fields: str) -> FeedbackEntry:
    """Return an entry with that id."""
    return FeedbackEntry(message_id=id, question="", answer=fields.get("answer", ""))


class Examined(MemoryStore):
    """A store that can examine and compact itself."""

    def check(self) -> CheckReport:
        """Find one problem."""
        found = Check(name="disk", status=Status.ERROR, message="Broken.", hint="Buy another.")
        return CheckReport(location="here", checks=(found,))

    def compact(self) -> CompactReport:
        """Find something to give back."""
        return CompactReport(months=1, superseded=2)


def test_it_says_where_it_is() -> None:
    """Its repr shows the store below, which can be reached."""
    store = MemoryStore()
    assert "FeedbackStore(MemoryStore())" == repr(FeedbackStore(store))
    assert store is FeedbackStore(store).store


def test_a_store_without_checks_is_checked_by_reading() -> None:
    """A store that cannot examine itself is read once, and says how many entries it has."""
    feedback = FeedbackStore(FiveVerbs(MemoryStore()))
    feedback.add(make("a"))
    report = feedback.check()
    assert ("FiveVerbs(MemoryStore())", True) == (report.location, report.ok)
    assert "1 entries" == report["entries"].message
    with pytest.raises(KeyError):
        report["nothing"]


def test_what_a_store_says_of_itself_is_passed_on() -> None:
    """A store's own check and compaction are asked."""
    feedback = FeedbackStore(Examined())
    assert (False, "Buy another.") == (feedback.check().ok, feedback.check()["disk"].hint)
    twice = feedback.compact() + feedback.compact()
    assert CompactReport(months=2, superseded=4) == twice


def test_a_store_without_compaction_has_nothing_to_give_back() -> None:
    """Compacting a store that keeps nothing superseded does nothing."""
    assert CompactReport() == FeedbackStore(MemoryStore()).compact()


def test_batches_before_a_refused_one_are_kept() -> None:
    """After an error in one batch of `add_many`, what came before it is stored; none of it is."""
    feedback = open_store("mem://", max_entry_bytes=500)
    many = [make(str(n)) for n in range(1500)]
    large = make("large", answer="x" * 500)
    with pytest.raises(InvalidEntryError):
        feedback.add_many([*many, large])
    assert 1000 == feedback.count()
    assert BatchResult(added=500, unchanged=1000) == feedback.add_many(many)


def test_results_of_batches_add_up() -> None:
    """The sum of two results counts both, and keeps the conflicts in order."""
    both = BatchResult(added=1, conflicts=("a",)) + BatchResult(unchanged=2, conflicts=("b",))
    assert BatchResult(added=1, unchanged=2, conflicts=("a", "b")) == both
    assert 5 == both.total
