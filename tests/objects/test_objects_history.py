"""Nothing acknowledged is lost, and nothing erased comes back: on a history that was recorded.

What each process was told, and what a reader saw meanwhile and afterwards, is held against what a
store promises. That the judge would see a promise broken is tested at the end.
"""

import os
import secrets
from contextlib import closing
from pathlib import Path
from typing import Final

import attrs
import pytest
from fault_proxy import FaultProxy
from history import (
    NOBODYS,
    Call,
    Event,
    Journal,
    Phase,
    Sight,
    Verb,
    calls_of,
    entry_of,
    version_of,
    violations,
)
from history_scene import KILLS, LIMIT_S, Chaos, Scene, erase, look, remains, watched, work
from jsonl_harness import DEEP
from s3_endpoint import Endpoint

SEED: Final = "FEEDBACK_STORE_HISTORY_SEED"
"""The variable of the environment that names a seed to be tried again."""


@pytest.mark.timeout(3 * LIMIT_S)
@pytest.mark.parametrize("number", range(5 if DEEP else 1))
def test_nothing_acknowledged_is_lost_and_nothing_erased_comes_back(
    endpoint: Endpoint, proxy: FaultProxy, s3_root: str, tmp_path: Path, number: int
) -> None:
    """Whatever fails, whoever is killed, and however wrong the clocks are."""
    seed = int(os.environ.get(SEED) or secrets.randbits(32)) + number
    scene = Scene(endpoint, s3_root, tmp_path, seed)
    chaos = Chaos(seed)
    with watched(scene) as sights:
        code = work(scene, proxy, chaos)
    calls = scene.calls()
    erasing = [call for call in calls if call.asked.verb == "erase"]
    added = [call for call in calls if call.asked.verb == "add" and call.is_told]
    ids = {id for call in [*erasing, *added[::5]] for id in call.asked.ids}
    report = f"{SEED}={seed} tries it again; the journals are in {scene.folder}"
    with closing(scene.store(is_cached=True)) as store, closing(scene.store()) as new:
        sights.append(look(store))
        calls.append(erase(store, ids))
        left = remains(scene, ids)
        store.compact()
        sights.append(look(new))
        assert [] == violations(calls, sights), report
        assert [] == left + remains(scene, ids), report
        assert store.check().ok, f"{store.check()}; {report}"
    assert 0 == code, scene.errors()
    assert scene.is_enough(), report
    assert KILLS // 2 <= len(chaos.killed), report


# ----------------------------------------------------------------------------------- the judge


class Told:
    """A history that is made up: each call takes two moments, and each sight too."""

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.sights: list[Sight] = []
        self._now = 0

    def _moment(self) -> int:
        self._now += 1
        return self._now

    def call(
        self,
        verb: Verb,
        id: str,
        said: object = None,
        *,
        version: int = 0,
        end: Phase | None = "told",
    ) -> None:
        """Let somebody ask, and be told something, or nothing."""
        asked = Event(self._moment(), f"{len(self.calls)}", "asked", verb, (id,), version)
        ended = attrs.evolve(asked, at=self._moment(), phase=end, said=(said,)) if end else None
        self.calls.append(Call(asked, ended))

    def see(self, *found: tuple[str, int]) -> None:
        """Let somebody look."""
        self.sights.append(Sight(self._moment(), self._moment(), found))

    def wrong(self) -> list[str]:
        """Return what the judge says."""
        return [text.partition(": ")[2] for text in violations(self.calls, self.sights)]


def a_history() -> Told:
    """Return one in which "a" is of version 1, and "b" was erased."""
    told = Told()
    told.call("add", "a", "added")
    told.call("add", "b", "added")
    told.call("update", "a", 0, version=1)
    told.see(("a", 1), ("b", 0))
    told.call("erase", "b", 1)
    told.see(("a", 1))
    return told


def test_a_history_of_kept_promises_is_accepted() -> None:
    """The judge finds nothing wrong with what nothing is wrong with."""
    assert [] == a_history().wrong()


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        ((), "a is lost"),
        ((("a", 1), ("b", 0)), "b is there, after its erasure was acknowledged"),
        ((("a", 0),), "a is of version 0, after 1 was acknowledged"),
        ((("a", 2),), "a is of version 2, after 1 was acknowledged"),
        ((("a", NOBODYS),), "a is of version -1, after 1 was acknowledged"),
        ((("a", 1), ("c", 0)), "c is there, which nobody has added"),
        ((("a", 1), ("a", 1)), "a is there twice"),
    ],
    ids=["lost", "erased", "stale", "early", "mixed", "invented", "double"],
)
def test_a_sight_that_breaks_a_promise_is_found(
    found: tuple[tuple[str, int], ...], expected: str
) -> None:
    """Each kind of what must never be seen."""
    told = a_history()
    told.see(*found)
    assert [expected] == told.wrong()


@pytest.mark.parametrize(
    ("verb", "id", "said", "expected"),
    [
        ("add", "c", "unchanged", "c is unchanged, as nobody else adds it"),
        ("add", "c", "conflict", "c is conflict, as nobody else adds it"),
        ("update", "a", 0, "a was of version 0 when 2 was asked for"),
        ("update", "a", 2, "a was of version 2 when 2 was asked for"),
        ("erase", "a", 0, "0 of ('a',) were there to be erased"),
        ("erase", "a", 2, "2 of ('a',) were there to be erased"),
    ],
)
def test_an_answer_that_breaks_a_promise_is_found(
    verb: Verb, id: str, said: object, expected: str
) -> None:
    """Each kind of what must never be said."""
    told = a_history()
    told.call(verb, id, said, version=2 if verb == "update" else 0)
    assert [expected] == told.wrong()


def test_another_error_than_that_of_the_endpoint_is_found() -> None:
    """The entry that is to be changed is there: nobody may say otherwise."""
    told = a_history()
    told.call("update", "a", "EntryNotFoundError", version=2, end="broke")
    assert ["update of ('a',) raised ('EntryNotFoundError',)"] == told.wrong()


@pytest.mark.parametrize("end", ["failed", None])
@pytest.mark.parametrize("is_done", [True, False])
def test_what_was_not_acknowledged_may_be_or_not(end: Phase | None, is_done: bool) -> None:
    """Of a call that failed, and of one that was cut off, either is accepted."""
    told = a_history()
    told.call("add", "c", end=end)
    told.call("update", "a", version=2, end=end)
    told.see(*((("a", 2), ("c", 0)) if is_done else (("a", 1),)))
    told.call("add", "c", "unchanged" if is_done else "added")
    told.call("update", "a", 2 if is_done else 1, version=3)
    told.call("erase", "c", end=end)
    told.see(("a", 3), *(() if is_done else (("c", 0),)))
    told.call("erase", "c", 0 if is_done else 1)
    told.see(("a", 3))
    assert [] == told.wrong()


def test_only_of_who_was_killed_may_a_request_arrive_late() -> None:
    """One that failed came back, and nothing of it is on its way any more."""
    ends: tuple[Phase | None, ...] = (None, "failed")
    for end in ends:
        expected = ["a is of version 2, after 3 was acknowledged"] if end else []
        told = a_history()
        told.call("update", "a", version=2, end=end)
        told.call("update", "a", 1, version=3)
        told.see(("a", 2))
        assert expected == told.wrong()


def test_what_happens_meanwhile_may_be_seen_or_not() -> None:
    """A sight is no moment: what is done while somebody looks may be in it."""
    for found in ((("a", 1),), (("a", 2), ("c", 0)), ()):
        told = a_history()
        begun = told._moment()
        told.call("add", "c", "added")
        told.call("update", "a", 1, version=2)
        told.call("erase", "a", 1)
        told.sights.append(Sight(begun, told._moment(), found))
        assert [] == told.wrong()


def test_a_journal_outlives_what_a_kill_has_torn(tmp_path: Path) -> None:
    """What is whole is read, before the torn line and after it."""
    path = tmp_path / "a.journal"
    journal = Journal(path)
    asked = Event(1, "a.0", "asked", "add", ("a",))
    journal.note(asked)
    path.write_bytes(path.read_bytes() + path.read_bytes()[:20])
    told = Event(2, "a.0", "told", "add", ("a",), said=("added",))
    journal.note(told)
    journal.note(Event(3, "a.done", "told", "done", ("a",)))
    assert [Call(asked, told)] == calls_of(journal.events())


def test_an_entry_tells_its_version_only_as_a_whole() -> None:
    """A mixture of two is the version of nobody."""
    entry = entry_of("a.1", 3)
    assert 3 == version_of(entry)
    assert NOBODYS == version_of(attrs.evolve(entry, extra={"version": 4}))
    assert NOBODYS == version_of(attrs.evolve(entry, extra={}))
