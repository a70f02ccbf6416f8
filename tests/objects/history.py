"""What several processes asked of a store and were told, and whether a store may tell such things.

Each process keeps a journal: what it is about to ask, and then what it was told. A call that was
told nothing, because it failed or because its process was killed, may have been done or not. Of
each id one process is the writer, which numbers the versions; who erases waits until the writer has
said that it is done with the id, which never comes back then.
"""

import json
import os
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal, TypeAlias

import attrs

from feedback_store import FeedbackEntry

Phase: TypeAlias = Literal["asked", "told", "failed", "broke"]
Verb: TypeAlias = Literal["add", "update", "erase", "compact", "done"]

NOBODYS = -1
"""The version of an entry with content that nobody gave it."""

_START = datetime(2025, 8, 5, 12, tzinfo=UTC)
_MONTHS = 2


def entry_of(id: str, version: int) -> FeedbackEntry:
    """Return an entry, all of whose content tells its id and its version."""
    number = int(id.rpartition(".")[2])
    return FeedbackEntry(
        message_id=id,
        question="How?",
        answer=f"<{id} {version}> " * (1 + number % 7),
        rating=version % 11 / 10,
        timestamp=_START + timedelta(days=31 * (number // 4 % _MONTHS), seconds=number),
        extra={"version": version},
    )


def version_of(entry: FeedbackEntry) -> int:
    """Return the version that an entry is, if it is one as a whole."""
    version = entry.extra.get("version")
    whole = isinstance(version, int) and entry == entry_of(entry.id, version)
    return version if whole and isinstance(version, int) else NOBODYS


# ------------------------------------------------------------------------------------ journals


@attrs.frozen
class Event:
    """A line of a journal.

    Attributes:
        at: when, in nanoseconds of the machine's monotonic clock, which all processes share:
            before a call was made, or after it had come back.
        call: the name of the call: the worker, which life of it, and a number.
        phase: what was written down.
        verb: what was asked; "done" is asked of nobody, it tells others that an id is theirs.
        ids: of which entries.
        version: which content.
        said: what the store answered; or why it did not.
    """

    at: int
    call: str
    phase: Phase
    verb: Verb
    ids: tuple[str, ...] = ()
    version: int = 0
    said: tuple[Any, ...] = ()


@attrs.frozen
class Call:
    """What was asked, and what came of it.

    Attributes:
        asked: how it began.
        end: how it ended; None where its process was killed first.
    """

    asked: Event
    end: Event | None = None

    @property
    def is_told(self) -> bool:
        """Whether the store acknowledged it."""
        return self.end is not None and self.end.phase == "told"

    @property
    def is_cut(self) -> bool:
        """Whether its process was killed: a request of it may still be on its way long after."""
        return self.end is None

    def told_by(self, at: int) -> bool:
        """Say whether the store had acknowledged it then."""
        return self.end is not None and self.is_told and self.end.at < at


class Journal:
    """The journal of a worker, in a file that outlives it: one line, one write."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def note(self, event: Event) -> None:
        """Write an event down; a line that a kill has torn before it stays apart from it."""
        line = f"\n{json.dumps(attrs.asdict(event))}\n".encode()
        file = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        try:
            os.write(file, line)
        finally:
            os.close(file)

    def events(self) -> list[Event]:
        """Return what was written down, without what was torn: nothing was done after that."""
        lines = self._path.read_bytes().split(b"\n") if self._path.exists() else []
        found: list[Event] = []
        for line in lines:
            with suppress(json.JSONDecodeError):
                read = json.loads(line)
                lists = {"ids": tuple(read["ids"]), "said": tuple(read["said"])}
                found.append(Event(**{**read, **lists}))
        return found


def calls_of(events: Iterable[Event]) -> list[Call]:
    """Return the calls of some journals, in the order in which they were asked."""
    calls: dict[str, Call] = {}
    for event in sorted(events, key=lambda event: event.at):
        if event.verb == "done":
            continue
        if event.phase == "asked":
            calls[event.call] = Call(event)
        else:
            calls[event.call] = Call(calls[event.call].asked, event)
    return list(calls.values())


# ----------------------------------------------------------------------------------- the judge


@attrs.frozen
class Sight:
    """What somebody saw in the store.

    Attributes:
        begun: when they began to look.
        ended: when they had seen all.
        found: the id and the version of each entry.
    """

    begun: int
    ended: int
    found: tuple[tuple[str, int], ...]


class Story:
    """All that was asked about one entry, in order."""

    def __init__(self) -> None:
        self.writes: list[Call] = []
        self.erasures: list[Call] = []

    def least(self, at: int) -> int:
        """Return the version that had been acknowledged last by then, or -1."""
        told = [call.asked.version for call in self.writes if call.told_by(at)]
        return max(told, default=-1)

    def may_be(self, version: int, begun: int, ended: int) -> bool:
        """Say whether a version may be seen in that time.

        It is the one that was acknowledged last before, or one that was asked for later. Only of a
        process that was killed may an earlier version come last, if its request was on its way.
        """
        asked = [c for c in self.writes if c.asked.version == version and c.asked.at < ended]
        return bool(asked) and (version >= self.least(begun) or any(c.is_cut for c in asked))

    def is_erased(self, at: int) -> bool:
        """Say whether the erasure had been acknowledged by then."""
        return any(call.told_by(at) for call in self.erasures)

    def must_be_there(self, begun: int, ended: int) -> bool:
        """Say whether whoever looked in that time must have seen the entry."""
        return self.least(begun) >= 0 and not any(c.asked.at < ended for c in self.erasures)


def stories_of(calls: Iterable[Call]) -> dict[str, Story]:
    """Return what was asked about each entry."""
    stories: dict[str, Story] = {}
    for call in calls:
        for id in call.asked.ids:
            story = stories.setdefault(id, Story())
            (story.erasures if call.asked.verb == "erase" else story.writes).append(call)
    return stories


def violations(calls: Sequence[Call], sights: Iterable[Sight]) -> list[str]:
    """Return what a store that keeps its promises would never have said or shown."""
    stories = stories_of(calls)
    wrong = [f"{call.asked.call}: {text}" for call in calls for text in _answered(stories, call)]
    for number, sight in enumerate(sights):
        wrong.extend(f"sight {number}: {text}" for text in _seen(stories, sight))
    return wrong


def _seen(stories: dict[str, Story], sight: Sight) -> Iterator[str]:
    """Yield what is wrong with what somebody saw."""
    begun, ended = sight.begun, sight.ended
    versions: dict[str, int] = {}
    for id, version in sight.found:
        if id in versions:
            yield f"{id} is there twice"
        versions[id] = version
        story = stories.get(id, Story())
        if not any(call.asked.at < ended for call in story.writes):
            yield f"{id} is there, which nobody has added"
        elif not story.may_be(version, begun, ended):
            yield f"{id} is of version {version}, after {story.least(begun)} was acknowledged"
        if story.is_erased(begun):
            yield f"{id} is there, after its erasure was acknowledged"
    for id, story in stories.items():
        if id not in versions and story.must_be_there(begun, ended):
            yield f"{id} is lost"


def _answered(stories: dict[str, Story], call: Call) -> Iterator[str]:
    """Yield what is wrong with what the store said."""
    asked, end = call.asked, call.end
    if end is not None and end.phase == "broke":
        yield f"{asked.verb} of {asked.ids} raised {end.said}"
    if end is None or not call.is_told:
        return
    if asked.verb == "add":
        for id, said in zip(asked.ids, end.said, strict=True):
            again = any(other.asked.at < asked.at for other in stories[id].writes)
            if said not in ({"added", "unchanged"} if again else {"added"}):
                yield f"{id} is {said}, as nobody else adds it"
    elif asked.verb == "update":
        (id,), (seen,) = asked.ids, end.said
        if not stories[id].may_be(seen, asked.at, asked.at):
            yield f"{id} was of version {seen} when {asked.version} was asked for"
    elif asked.verb == "erase":
        (count,) = end.said
        before = [id for id in asked.ids if _was_asked_before(stories[id].erasures, call)]
        if not len(asked.ids) - len(before) <= count <= len(asked.ids):
            yield f"{count} of {asked.ids} were there to be erased"


def _was_asked_before(erasures: Collection[Call], call: Call) -> bool:
    return any(other.asked.at < call.asked.at for other in erasures)
