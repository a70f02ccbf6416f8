"""A script for the SQLite store, and what its files must show when it has come so far.

The store must show every entry that was acknowledged, whole, and nothing that was erased or never
asked for; it must be usable; and of what was erased no byte may be left in any file.
"""

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal, NamedTuple

import attrs
from syscalls import files_below

from feedback_store import FeedbackEntry, Metadata, Outcome, Status
from feedback_store.backends.sqlite import SqliteStore
from feedback_store.store import Change
from feedback_store.testing.simulation import Ledger, Operation
from feedback_store.testing.simulation.examination import show

Journal = Literal["wal", "delete"]
Durability = Literal["sync", "os"]

_NOON = datetime(2025, 10, 5, 12, tzinfo=UTC)

FILE = "srv/feedback/store.db"
"""Where the database is, below the folder that is watched: two folders are made for it."""

_MUST_BE_WELL = ("integrity", "numbers", "damaged_rows")


class Step(NamedTuple):
    """A call of the script.

    Attributes:
        verb: what is called.
        entries: what is added, or put in place of what it was.
        ids: what is erased.
    """

    verb: Literal["add", "update", "erase", "compact", "reopen"]
    entries: tuple[FeedbackEntry, ...] = ()
    ids: tuple[str, ...] = ()

    def effect(self) -> Iterator[tuple[str, FeedbackEntry | None]]:
        """Yield what it makes of entries, by id; None for one that is gone."""
        yield from ((entry.id, entry) for entry in self.entries)
        yield from ((id, None) for id in self.ids)

    def run(self, store: SqliteStore) -> None:
        """Make the call; a client that has heard no answer may make it again."""
        if self.verb == "add":
            outcomes = store.append(self.entries)
            assert Outcome.CONFLICT not in outcomes, outcomes
        elif self.verb == "erase":
            store.erase(self.ids)
        elif self.verb == "compact":
            store.compact()
        else:  # an update, or opening anew, which is done by whoever plays the script
            for entry in self.entries:
                store.rewrite(entry.id, _giving(entry))


def _giving(entry: FeedbackEntry) -> Change:
    return lambda _: entry


def text_of(id: str) -> str:
    """Return what stands in the text of an entry and nowhere else; its id is no part of it."""
    return f"what person {id[-2:]} thinks;"


def _an_entry(number: int, *, times: int = 20) -> FeedbackEntry:
    id = f"entry-{number:02}"
    return FeedbackEntry(
        id=id,
        message_id=id,
        question=f"{text_of(id)} is it?",
        answer=text_of(id) * times,
        rating=number % 2,
        timestamp=_NOON + timedelta(days=17 * (number % 7)),
        metadata=Metadata(issues=("wrong", f"issue {number}")[: number % 3]),
    )


def _larger(entry: FeedbackEntry) -> FeedbackEntry:
    """Return an entry as an update leaves it, which moves its neighbours to other pages."""
    explained = Metadata(explanation=text_of(entry.id) * 100, issues=("old",))
    return attrs.evolve(entry, rating=0.5, metadata=explained)


_MANY = tuple(_an_entry(n) for n in range(1, 16))
_LONG = _an_entry(21, times=1200)  # it takes pages of its own

STEPS = (
    Step("add", (_an_entry(0),)),
    Step("add", _MANY),
    Step("update", (_larger(_MANY[6]),)),
    Step("update", (_larger(_MANY[3]), _larger(_MANY[10]))),
    Step("add", _MANY[4:5]),  # again: it is acknowledged once more
    Step("add", (_LONG, _an_entry(22))),
    Step("erase", ids=("entry-07", "entry-12")),
    Step("reopen"),
    Step("erase", ids=("entry-21",)),
    Step("add", (_an_entry(23, times=700),)),
    Step("erase", ids=("entry-23",)),
    Step("compact"),
    Step("add", (_an_entry(24),)),
    Step("erase", ids=("entry-04", "entry-08", "entry-21", "entry-22")),
    Step("add", (_an_entry(25),)),
)
"""The script; the last two steps are made after a power cut, and are no part of it before."""

PLAYED = len(STEPS) - 2


def play(
    root: Path,
    journal: Journal,
    numbers: Iterable[int] = range(PLAYED),
    durability: Durability = "sync",
) -> None:
    """Make the steps of these numbers; tell on the standard output what begins and has ended."""
    store = SqliteStore(root / FILE, journal_mode=journal, durability=durability)
    for number in numbers:
        os.write(1, b"begin %d\n" % number)
        STEPS[number].run(store)
        if STEPS[number].verb == "reopen":
            store.close()
            store = SqliteStore(root / FILE, journal_mode=journal, durability=durability)
        os.write(1, b"ack %d\n" % number)
    store.close()


class Owed:
    """What the store owes, after steps that have begun and some of them ended.

    Attributes:
        ledger: what each entry may be.
        erased: the ids that must stand in no file any more.
        running: the steps that have not ended, by number.
    """

    def __init__(self) -> None:
        self.ledger = Ledger()
        self.erased: set[str] = set()
        self.running: dict[int, Operation] = {}

    @classmethod
    def after(cls, said: Sequence[str]) -> "Owed":
        """Return what is owed once the power is back, after what players have told."""
        owed = cls()
        for line in said:
            word, number = line.split()
            (owed.begin if word == "begin" else owed.end)(int(number))
        owed.ledger = owed.ledger.after_crash()
        return owed

    def begin(self, number: int) -> None:
        """Note that a step begins: from now on it may be seen."""
        operation = self.running[number] = self.ledger.begin()
        for id, value in STEPS[number].effect():
            self.ledger.may(operation, id, value)

    def end(self, number: int) -> None:
        """Note that a step was acknowledged."""
        operation = self.running.pop(number)
        for id, value in STEPS[number].effect():
            self.ledger.owe(operation, id, value)
        self.ledger.end(operation)
        self.erased.update(STEPS[number].ids)

    def next_steps(self) -> list[int]:
        """Return what a client does when the power is back: what it has no answer to, and more."""
        return [*self.running, *range(PLAYED, len(STEPS))]

    def left_behind(self, folder: Path) -> list[str]:
        """Return where something of an erased entry stands."""
        return [
            f"{id} stands in {name}, though it was erased"
            for name, data in files_below(folder).items()
            for id in sorted(self.erased)
            if id.encode() in data or text_of(id).encode() in data
        ]


def examine(folder: Path, journal: Journal, owed: Owed) -> list[str]:
    """Return what is wrong with a folder that a power cut has left; then go on there."""
    problems = owed.left_behind(folder)
    try:
        with closing(SqliteStore(folder / FILE, journal_mode=journal)) as store:
            problems += owed.ledger.problems(show(store))
            for number in owed.next_steps():
                owed.begin(number)
                STEPS[number].run(store)
                owed.end(number)
            problems += [
                f"it says {check}"
                for check in store.check().checks
                if check.name in _MUST_BE_WELL and check.status != Status.OK
            ]
        with closing(SqliteStore(folder / FILE, journal_mode=journal)) as store:
            problems += owed.ledger.problems(show(store))
    except Exception as error:  # noqa: BLE001  # whatever it is, it is what was looked for
        return [*problems, repr(error)]
    return [*problems, *owed.left_behind(folder)]
