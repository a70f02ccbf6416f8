"""A cache with the time under control, beside a model that knows how old each answer may be.

Two parties write: one through the cache, one past it. Either may come while a question or a write
is under way, as another thread or process would, which needs no threads here: the store below lets
them act right after it has looked.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from datetime import timedelta
from typing import ClassVar, Literal, NamedTuple, TypeAlias

import attrs
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule
from jsonl_harness import NOON, an_entry

from feedback_store import FeedbackEntry, FeedbackStore, Outcome, Query, StoreUnavailableError
from feedback_store.backends.memory import MemoryStore
from feedback_store.layers import CachedStore
from feedback_store.store import Change, Store
from feedback_store.testing import FiveVerbs

TTL_S = 5
LIMIT = 2
IDS = ("a", "b", "c")
"""Each is given an hour after the one before."""

Contents: TypeAlias = dict[str, int]
"""The rating of each entry that is there."""
Answer: TypeAlias = object


class Question(NamedTuple):
    """Something to ask: a verb, and what it is asked about. There are few, so that they meet."""

    verb: Literal["get", "page", "count", "stats"]
    id: str
    rating: Literal["positive"] | None

    def ask(self, feedback: FeedbackStore) -> Answer:
        """Ask it; return what the answer shows."""
        query = Query(rating=self.rating)
        if self.verb == "get":
            entry = feedback.find(self.id)
            return None if entry is None else entry.rating
        if self.verb == "page":
            page = feedback.page(query, LIMIT)
            return [(entry.id, entry.rating) for entry in page.entries], page.total
        if self.verb == "count":
            return feedback.count(query)
        stats = feedback.stats(query)
        return stats.total, stats.positive

    def expected(self, contents: Contents) -> Answer:
        """Return what the answer should show."""
        if self.verb == "get":
            return contents.get(self.id)
        found = [
            (id, rating)
            for id, rating in sorted(contents.items(), reverse=True)
            if rating or self.rating is None
        ]
        if self.verb == "page":
            return found[:LIMIT], len(found)
        if self.verb == "count":
            return len(found)
        return len(found), sum(rating for _, rating in found)


class Write(NamedTuple):
    """Something to write, by the party that uses the cache, or by the one that does not."""

    verb: Literal["append", "rewrite", "erase"]
    id: str
    rating: int
    own: bool

    def apply(self, contents: Contents) -> Contents:
        """Return what is there afterwards."""
        if self.verb == "append":
            return {self.id: self.rating, **contents}
        rest = {id: rating for id, rating in contents.items() if id != self.id}
        return {**rest, self.id: self.rating} if self.verb == "rewrite" else rest


class Watched(MemoryStore):
    """A store in memory that lets others act right after it has looked or written."""

    def __init__(self) -> None:
        super().__init__()
        self.acts: list[Callable[[], None]] = []
        self.fails = False

    def _let_others_act(self) -> None:
        if self.acts:
            self.acts.pop(0)()

    def scan(self, query: Query) -> Iterator[FeedbackEntry]:
        """Take in everything before others act."""
        found = list(super().scan(query))
        self._let_others_act()
        return iter(found)

    def get(self, id: str) -> FeedbackEntry | None:
        """Take it in before others act."""
        found = super().get(id)
        self._let_others_act()
        return found

    def version(self) -> str:
        """Return what it was before others acted."""
        version = super().version()
        self._let_others_act()
        return version

    def append(self, entries: Sequence[FeedbackEntry]) -> Sequence[Outcome]:
        """Add, and then fail when told to."""
        outcomes = super().append(entries)
        self._written()
        return outcomes

    def rewrite(self, id: str, change: Change) -> FeedbackEntry:
        """Change, and then fail when told to."""
        entry = super().rewrite(id, change)
        self._written()
        return entry

    def erase(self, ids: Iterable[str]) -> int:
        """Erase, and then fail when told to."""
        count = super().erase(ids)
        self._written()
        return count

    def _written(self) -> None:
        self._let_others_act()
        if self.fails:
            self.fails = False
            raise StoreUnavailableError("nobody knows whether it was written")


_questions = st.builds(
    Question,
    st.sampled_from(("get", "page", "count", "stats")),
    st.sampled_from(IDS),
    st.sampled_from((None, "positive")),
)
_writes = st.builds(
    Write,
    st.sampled_from(("append", "rewrite", "erase")),
    st.sampled_from(IDS),
    st.integers(0, 1),
    st.booleans(),
)
_seconds = st.integers(1, TTL_S + 1)
_acts = st.lists(_questions | _writes | _seconds, min_size=1, max_size=3)


class CacheMachine(RuleBasedStateMachine):
    """A cache that asks for the version each time, and its model.

    Attributes:
        states: all contents that there ever were, each with the time when the next took its
            place.
        own: the number of the state that the last write through the cache left.
    """

    revalidate: ClassVar[Literal["always", "ttl", "never"]] = "always"

    def __init__(self) -> None:
        super().__init__()
        self.now = 0
        self.states: list[tuple[Contents, float]] = [({}, float("inf"))]
        self.own = 0
        self.inner = Watched()
        self.cached = CachedStore(
            self.below(), ttl_s=TTL_S, revalidate=self.revalidate, timer=lambda: self.now
        )
        self.feedback = FeedbackStore(self.cached)

    def below(self) -> Store:
        """Return what the cache stands on."""
        return self.inner

    def oldest(self) -> int:
        """Return the number of the oldest state that an answer may show now."""
        if self.revalidate == "always":
            return len(self.states) - 1
        young = (
            number
            for number, (_, replaced_at) in enumerate(self.states)
            if replaced_at > self.now - TTL_S
        )
        return max(self.own, next(young))

    def _ask(self, question: Question) -> Answer:
        """Ask, and see that the answer is not too old: it may be as of any moment of the call."""
        oldest = self.oldest()
        answer = question.ask(self.feedback)
        allowed = [question.expected(contents) for contents, _ in self.states[oldest:]]
        assert answer in allowed, (question, answer, allowed)
        return answer

    def _write(self, write: Write) -> None:
        """Write, through the cache or past it."""
        if write.verb == "rewrite" and write.id not in self.states[-1][0]:
            return
        store: Store = self.cached if write.own else self.inner
        acts, self.inner.acts = self.inner.acts, [lambda: self._written(write)]
        self._call(store, write)
        self.inner.acts = acts

    def _written(self, write: Write) -> None:
        """Take in what is now in the store; the write has not returned yet."""
        before, _ = self.states[-1]
        self.states[-1] = before, self.now
        self.states.append((write.apply(before), float("inf")))
        if write.own:
            self.own = len(self.states) - 1

    def _call(self, store: Store, write: Write) -> None:
        if write.verb == "append":
            given = an_entry(write.id, rating=write.rating, timestamp=_time_of(write.id))
            store.append([given])
        elif write.verb == "rewrite":
            store.rewrite(write.id, lambda old: attrs.evolve(old, rating=write.rating))
        else:
            store.erase([write.id])

    def _act(self, acts: list[Question | Write | int]) -> None:
        for act in acts:
            if isinstance(act, Question):
                self._ask(act)
            elif isinstance(act, Write):
                self._write(act)
            else:
                self.now += act

    # ------------------------------------------------------------------------------ rules

    @rule(question=_questions)
    def ask(self, question: Question) -> None:
        """Ask twice: the second answer is remembered, or nothing ever would be."""
        answer = self._ask(question)
        hits = self.cached.info().hits
        assert answer == self._ask(question)
        assert hits + 1 == self.cached.info().hits

    @rule(write=_writes)
    def write(self, write: Write) -> None:
        """Write."""
        self._write(write)

    @rule(write=_writes)
    def write_and_fail(self, write: Write) -> None:
        """Write, and learn only that it failed, though it was written."""
        self.inner.fails = True
        with suppress(StoreUnavailableError):
            self._write(write)
        self.inner.fails, self.inner.acts = False, []

    @rule(seconds=_seconds)
    def wait(self, seconds: int) -> None:
        """Let time pass."""
        self.now += seconds

    @rule(question=_questions, first=_acts, then=_acts)
    def ask_slowly(
        self,
        question: Question,
        first: list[Question | Write | int],
        then: list[Question | Write | int],
    ) -> None:
        """Ask while others act: right after the version was asked, and right after the read.

        What this reader leaves behind must not be older than what others leave.
        """
        self.inner.acts = [self._without_acts(first), self._without_acts(then)]
        self._ask(question)
        self.inner.acts = []
        self._ask(question)

    @rule(write=_writes, acts=_acts)
    def write_slowly(self, write: Write, acts: list[Question | Write | int]) -> None:
        """Write while others act, who see it before it has returned."""
        if write.verb == "rewrite" and write.id not in self.states[-1][0]:
            return

        def others() -> None:
            self._written(write)
            self._without_acts(acts)()

        self.inner.acts = [others]
        self._call(self.cached if write.own else self.inner, write)
        self.inner.acts = []

    def _without_acts(self, acts: list[Question | Write | int]) -> Callable[[], None]:
        """Return what acts while nobody else does."""

        def act() -> None:
            later, self.inner.acts = self.inner.acts, []
            self._act(acts)
            self.inner.acts = later

        return act


def _time_of(id: str) -> object:
    return NOON + timedelta(hours=IDS.index(id))


class ByTtlMachine(CacheMachine):
    """The version is asked when the time is over."""

    revalidate = "ttl"


class NeverMachine(CacheMachine):
    """The version is not asked."""

    revalidate = "never"


class WithoutVersionMachine(CacheMachine):
    """There is no version to be asked."""

    revalidate = "ttl"

    def below(self) -> Store:
        """Take the version away."""
        return FiveVerbs(self.inner)


TestAlways = CacheMachine.TestCase
TestByTtl = ByTtlMachine.TestCase
TestNever = NeverMachine.TestCase
TestWithoutVersion = WithoutVersionMachine.TestCase

# In memory and without threads, many can be tried: what goes wrong takes several steps.
_MANY = settings(max_examples=settings().max_examples * 2)
TestAlways.settings = TestByTtl.settings = _MANY
TestNever.settings = TestWithoutVersion.settings = _MANY
