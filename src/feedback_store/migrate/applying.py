"""Applying a plan: add, verify, move; each step may be cut short and the whole be run again."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import NamedTuple

import attrs

from feedback_store.errors import InvalidEntryError
from feedback_store.facade import FeedbackStore
from feedback_store.mapping import Assumption, Mapped
from feedback_store.migrate.copying import BATCH_BYTES, below, path_of, standing
from feedback_store.migrate.moving import moved
from feedback_store.migrate.planning import Plan, Progress, Step, Tell
from feedback_store.migrate.report import Conflict, FileReport, Move, Problem, Report
from feedback_store.migrate.rows import Row
from feedback_store.migrate.sources import Kind
from feedback_store.operations import same_content
from feedback_store.store import Outcome, Store


def apply(
    plan: Plan,
    store: FeedbackStore | Store,
    *,
    move: Move = Move.NONE,
    progress: Tell | None = None,
    batch_size: int = 1000,
) -> Report:
    """Do what a plan says: add, oldest file first; verify; and only then move the files.

    Durability: a batch is durable in the store before the next one is read.
    Conflicts: what the store holds under an id stays as it is.
    Verification: when all is added, every source is read once more, and each entry that is claimed
    to be there is read back from the store and compared. A time that the row does not tell, and
    which was assumed, is not compared.
    Repeating: after an error, an interrupt or a kill, plan and apply again; what had arrived counts
    as unchanged, and what had moved is named by `Report.backed_up`.
    Moving: see `Move`; nothing is moved unless every row of every file is accounted for.

    As by `copy`, entries go to the store below: its ``redact`` does not see them, and nobody who
    has subscribed is told. To redact, do so in `Rules.mapping`.

    Args:
        plan: the plan.
        store: the store that the plan was made for.
        move: which files move to ``legacy_backup/``; none unless told: that a call which adds
            entries also moves files would surprise, and be noticed late.
        progress: called after every batch.
        batch_size: how many entries are added at a time, 1 or more.

    Returns:
        What became of every row; look at `Report.complete`.

    Raises:
        ValueError: ``batch_size`` is below 1, or the plan was made for another target.
        StoreUnavailableError: the store failed, or a source has changed since the plan was made.
        StoreClosedError: the store was closed.
    """
    if batch_size < 1:
        msg = "batch_size must be 1 or more"
        raise ValueError(msg)
    _check_target(plan, store)
    applying = _Applying(plan, below(store), batch_size, progress)
    applying.add()
    applying.verify()
    return moved(plan.found, applying.report(), move)


def _check_target(plan: Plan, store: FeedbackStore | Store) -> None:
    """Refuse a store that reads the sources where they lie, if the plan does not know of it.

    Its month files would be moved away as if they were only a source.
    """
    place, folder = path_of(store), plan.found.folder
    is_same = place is not None and folder is not None and place.is_dir() and place.samefile(folder)
    if is_same and not all(s.in_place for s in plan.found.sources if s.kind is Kind.MONTH_FILE):
        msg = "the store lies in the folder of the source: plan(source, target=store)"
        raise ValueError(msg)


class _Placed(NamedTuple):
    """An entry and where it comes from."""

    row: Row
    mapped: Mapped

    @property
    def is_timed(self) -> bool:
        """Whether the row tells its time."""
        return Assumption.FALLBACK_TIME not in self.mapped.assumed


class _Account:
    """What became of the rows of a source so far."""

    def __init__(self) -> None:
        self.added = self.unchanged = self.verified = 0
        self.refused: list[Problem] = []
        self.conflicts: list[Conflict] = []
        self.unverified: list[Problem] = []
        self.absent: set[str] = set()  # ids that are not claimed to be there

    def refuse(self, placed: _Placed, reason: str) -> None:
        self.refused.append(Problem(placed.row.where, reason))
        self.absent.add(placed.mapped.entry.id)

    def conflict(self, placed: _Placed, reason: str) -> None:
        id = placed.mapped.entry.id  # the field's name
        self.conflicts.append(Conflict(placed.row.where, id, reason))
        self.absent.add(id)


class _Applying:
    """A plan while it is applied."""

    def __init__(self, plan: Plan, target: Store, batch_size: int, tell: Tell | None) -> None:
        self._plan = plan
        self._target = target
        self._batch_size = batch_size
        self._tell = tell
        self._accounts = [_Account() for _ in plan.found.sources]
        self._done = 0

    def add(self) -> None:
        """Add the entries of all sources; look at those that are in place before that changes."""
        sources = list(enumerate(self._plan.found.sources))
        in_place = [(n, source) for n, source in sources if source.in_place]
        for number, source in chain(in_place, (each for each in sources if each not in in_place)):
            account = self._accounts[number]
            for batch in self._batches(number):
                if source.in_place:
                    self._find(account, batch)
                else:
                    self._append(account, batch)
                self._progress(Step.ADDING, len(batch))
            source.check_unchanged()

    def verify(self) -> None:
        """Read back what is claimed to be there."""
        self._done = 0
        for number, source in enumerate(self._plan.found.sources):
            if source.in_place:
                continue  # it was read from the store, and nothing was added
            account = self._accounts[number]
            for batch in self._batches(number):
                claimed = [p for p in batch if p.mapped.entry.id not in account.absent]
                differences = self._differences(claimed)
                account.verified += len(claimed) - len(differences)
                account.unverified += (Problem(p.row.where, why) for p, why in differences)
                self._progress(Step.VERIFYING, len(batch))
            source.check_unchanged()

    def report(self) -> Report:
        """Return what became of every row."""
        files = zip(self._plan.report.files, self._accounts, strict=True)
        return attrs.evolve(
            self._plan.report,
            applied=True,
            files=tuple(_settled(file, account) for file, account in files),
        )

    def _progress(self, step: Step, count: int) -> None:
        self._done += count
        if self._tell is not None:
            self._tell(Progress(step, self._done, len(self._plan.last)))

    def _batches(self, number: int) -> Iterator[list[_Placed]]:
        """Yield the entries of a source in lists that are bounded in number and in size."""
        batch: list[_Placed] = []
        size_bytes = 0
        for row, mapped in self._plan.entries_of(number):
            batch.append(_Placed(row, mapped))
            size_bytes += row.size_bytes
            if len(batch) >= self._batch_size or size_bytes >= BATCH_BYTES:
                yield batch
                batch, size_bytes = [], 0
        if batch:
            yield batch

    def _append(self, account: _Account, batch: list[_Placed]) -> None:
        """Append a batch; one with an entry that the target refuses is halved until it is alone."""
        try:
            outcomes = self._target.append([placed.mapped.entry for placed in batch])
        except InvalidEntryError as error:
            if len(batch) == 1:
                account.refuse(batch[0], str(error))
                return
            middle = len(batch) // 2
            self._append(account, batch[:middle])
            self._append(account, batch[middle:])
            return
        self._judge(account, batch, outcomes)

    def _judge(
        self, account: _Account, batch: Sequence[_Placed], outcomes: Iterable[Outcome]
    ) -> None:
        """Say what became of a batch; what was there already is compared."""
        judged = zip(batch, outcomes, strict=True)
        there = [placed for placed, outcome in judged if outcome is not Outcome.ADDED]
        account.added += len(batch) - len(there)
        self._find(account, there)

    def _find(self, account: _Account, batch: Sequence[_Placed]) -> None:
        """Count what is there already, or in conflict with what is."""
        differences = self._differences(batch)
        account.unchanged += len(batch) - len(differences)
        for placed, difference in differences:
            account.conflict(placed, difference)

    def _differences(self, batch: Sequence[_Placed]) -> list[tuple[_Placed, str]]:
        """Return those that the target does not hold as they are, each with what is different."""
        if not batch:
            return []
        entries = [placed.mapped.entry for placed in batch]
        timed = all(placed.is_timed for placed in batch)
        found = {e.id: e for e in standing(self._target, entries, any_time=not timed)}
        differences = []
        for placed in batch:
            wanted, there = placed.mapped.entry, found.get(placed.mapped.entry.id)
            if there == wanted:
                continue
            if there is None or not same_content(wanted, there):
                differences.append((placed, "something else stands under its id"))
            elif placed.is_timed:
                differences.append((placed, "it stands under its id with another time"))
        return differences


def _settled(file: FileReport, account: _Account) -> FileReport:
    in_place = account.unchanged if file.in_place else 0
    return attrs.evolve(
        file,
        added=account.added,
        unchanged=account.unchanged,
        refused=file.refused + tuple(account.refused),
        conflicts=tuple(account.conflicts),
        verified=account.verified + in_place,
        unverified=tuple(account.unverified),
    )
