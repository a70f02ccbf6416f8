"""The demonstration: several processes write at once, one is killed, and nothing is lost.

Run it by ``make demo``, or ``python examples/demo.py [FOLDER]``. It exits with 1 when anything
that a store had acknowledged is missing or changed.
"""

import argparse
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import attrs
from demo_feedback import Step, steps

from feedback_store import FeedbackEntry, FeedbackStore, Query, Stats, open_store

WORKERS = 4
THREADS = 3
STEPS_PER_WORKER = 500
SEED = 2025
VICTIM = 2
KILL_AFTER = 100
BAR_WIDTH = 30


# ------------------------------------------------------------------------------ in each worker


def work(folder: str, worker: int) -> None:
    """Do what the users of this worker do, and report every id once it is acknowledged."""
    plan = steps(worker, STEPS_PER_WORKER, SEED)
    with open_store(folder) as store, ThreadPoolExecutor(THREADS) as threads:
        for _ in threads.map(lambda step: add(store, step), plan):
            pass
        for _ in threads.map(lambda step: explain(store, step), plan):
            pass


def add(store: FeedbackStore, step: Step) -> None:
    """Store one entry. After a crash the same entry may come again: that is fine."""
    outcome = store.add(step.entry)
    report(outcome, step.entry.id)


def explain(store: FeedbackStore, step: Step) -> None:
    """Add what the user wrote later."""
    if step.explanation is not None:
        store.update(step.entry.id, explanation=step.explanation, add_issues=step.issues)
        report("updated", step.entry.id)


def report(what: str, id: str) -> None:
    """Tell the parent, by one write, which the kernel does not tear: the pipe outlives us."""
    os.write(sys.stdout.fileno(), f"{what} {id}\n".encode())


# ------------------------------------------------------------------------------- in the parent


@attrs.define
class Worker:
    """A worker process, and what it has reported so far.

    Attributes:
        number: which part of the users it serves.
        process: the process.
        kill_after: how many reports it lives for; for ever when None.
        acknowledged: pairs of what happened and the id that it happened to.
    """

    number: int
    process: "subprocess.Popen[str]"
    kill_after: int | None = None
    acknowledged: list[tuple[str, str]] = attrs.Factory(list)

    def listen(self) -> None:
        """Read reports until the process has ended; kill it when its time has come."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            what, _, id = line.rstrip("\n").partition(" ")
            self.acknowledged.append((what, id))
            if len(self.acknowledged) == self.kill_after:
                self.process.kill()
        self.process.wait()

    def count(self, what: str) -> int:
        """Say how often something was reported."""
        return sum(told == what for told, _ in self.acknowledged)


def start(folder: str, number: int, kill_after: int | None = None) -> Worker:
    """Start a worker: this file again, in a process of its own."""
    command = [sys.executable, __file__, "--worker", str(number), folder]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)  # noqa: S603  # our own file
    return Worker(number, process, kill_after)


def listen_to(workers: Sequence[Worker]) -> None:
    """Listen to all of them until each has ended."""
    listeners = [threading.Thread(target=worker.listen) for worker in workers]
    for listener in listeners:
        listener.start()
    for listener in listeners:
        listener.join()


def write(folder: str) -> list[Worker]:
    """Let the workers write, kill one, and let another do its work again from the start."""
    say(f"{WORKERS} processes with {THREADS} threads each write to one folder, all at once.")
    workers = [start(folder, n, KILL_AFTER if n == VICTIM else None) for n in range(WORKERS)]
    listen_to(workers)
    victim = workers[VICTIM]
    for worker in workers:
        say(f"  process {worker.number}: {len(worker.acknowledged)} acknowledged, {ending(worker)}")
    say(f"Process {VICTIM} is started again, and sends everything again from the start.")
    second = start(folder, VICTIM)
    listen_to([second])
    say(
        f"  process {VICTIM}: {second.count('unchanged')} entries were there already "
        f"({victim.count('added')} of them acknowledged before it was killed), "
        f"{second.count('added')} are new, {ending(second)}"
    )
    return [*workers, second]


def ending(worker: Worker) -> str:
    """Say how a worker ended."""
    code = worker.process.returncode
    if code == -signal.SIGKILL:
        return "then killed (SIGKILL) in the middle of its work"
    return "all done" if code == 0 else f"ended with {code}"


def lost(store: FeedbackStore, workers: Iterable[Worker]) -> list[str]:
    """Compare what was acknowledged with what is there; tell every difference."""
    sent = {s.entry.id: s for n in range(WORKERS) for s in steps(n, STEPS_PER_WORKER, SEED)}
    there = {entry.id: entry for entry in store.scan()}
    problems = [f"{id} was never sent" for id in there.keys() - sent.keys()]
    for worker in workers:
        for what, id in worker.acknowledged:
            entry = there.get(id)
            if entry is None:
                problems.append(f"{id} was {what}, and is not there")
            elif not is_whole(entry, sent[id], explained=what == "updated"):
                problems.append(f"{id} was {what}, and is not as it was sent")
    return problems


def is_whole(entry: FeedbackEntry, step: Step, *, explained: bool) -> bool:
    """Say whether an entry is, in every field, as it was sent; by now it may be explained."""
    before, told = step.entry, step.entry.metadata
    issues = (*told.issues, *(issue for issue in step.issues if issue not in told.issues))
    more = attrs.evolve(told, explanation=step.explanation, issues=issues)
    after = attrs.evolve(before, metadata=more, updated_at=entry.updated_at)
    return entry == after or (entry == before and not explained)


def show(store: FeedbackStore) -> None:
    """Show what the feedback says."""
    stats = store.stats()
    table(
        "Entries",
        ("", "entries"),
        [
            ("all", f"{stats.total}"),
            ("positive", f"{stats.positive}"),
            ("negative", f"{stats.negative}"),
            ("neutral", f"{stats.neutral}"),
            ("unrated", f"{stats.unrated}"),
            ("with an explanation", f"{store.count(Query(has_explanation=True))}"),
        ],
    )
    by_month = {month: of_month(store, month) for month in stats.by_month}
    rows = [(m, f"{s.total}", percent(s.helpful_rate), bar(s)) for m, s in by_month.items()]
    table("Helpful answers by month", ("month", "entries", "helpful", ""), rows)
    table("What was wrong", ("issue", "entries"), by_count(stats.by_issue))
    groups = stats.by_source_type.items()
    types = [(kind, f"{group.total}", percent(group.helpful_rate)) for kind, group in groups]
    table("What answers relied on", ("source", "entries", "helpful"), types)


def of_month(store: FeedbackStore, month: str) -> Stats:
    """Return the statistics of one month."""
    since = datetime.strptime(month, "%Y-%m").replace(tzinfo=UTC)
    until = since.replace(year=since.year + since.month // 12, month=since.month % 12 + 1)
    return store.stats(Query(since=since, until=until))


def by_count(counts: Mapping[str, int]) -> list[tuple[str, str]]:
    """Return names with their counts, the largest first."""
    return [(name, f"{n}") for name, n in sorted(counts.items(), key=lambda pair: -pair[1])]


def percent(share: float | None) -> str:
    """Return a share as people write it."""
    return "-" if share is None else f"{share:.0%}"


def bar(stats: Stats) -> str:
    """Return the helpful rate as a bar."""
    return "#" * round((stats.helpful_rate or 0) * BAR_WIDTH)


def table(title: str, heads: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table: by rich where it is installed, else by spaces."""
    try:
        from rich.console import Console  # noqa: PLC0415  # the demonstration works without it
        from rich.table import Table  # noqa: PLC0415  # as above
    except ImportError:
        say(f"\n{title}")
        for row in (heads, *rows):
            say("  " + "".join(cell.ljust(22 if i == 0 else 9) for i, cell in enumerate(row)))
        return
    shown = Table(title=title, title_justify="left", box=None, padding=(0, 2, 0, 2))
    for head in heads:
        shown.add_column(head, justify="right" if head in {"entries", "helpful"} else "left")
    for row in rows:
        shown.add_row(*row)
    say("")
    Console(highlight=False).print(shown)


def say(text: str) -> None:
    """Print at once, so that what is shown keeps pace with what happens."""
    print(text, flush=True)


def say_what_to_try(folder: str) -> None:
    """Print commands that work as they stand."""
    program = "feedback-store"
    if shutil.which(program) is None:
        beside = os.path.relpath(Path(sys.executable).with_name(program))
        program = f"{shlex.quote(sys.executable)} -m feedback_store"
        if not beside.startswith(os.pardir):
            program = shlex.quote(beside)
    place = shlex.quote(folder)
    say("\nThe folder is kept. Try next:")
    say(f"  {program} list --rating negative --has-explanation {place}")
    say(f"  {program} stats --since 2025-09-01 {place}")
    say(f"  {program} check {place}")


def demonstrate(folder: str) -> int:
    """Write, kill, read, compare; return the exit code."""
    say(f"The store is the folder {folder}\n")
    begun = time.monotonic()
    workers = write(folder)
    took_s = time.monotonic() - begun
    acknowledged = sum(len(worker.acknowledged) for worker in workers)
    say(f"{acknowledged} acknowledged writes in {took_s:.1f} s, each synced to the disk.")
    with open_store(folder) as store:
        show(store)
        problems = lost(store, workers)
        total = store.count()
    failed = [w for w in workers if w.process.returncode not in (0, -signal.SIGKILL)]
    problems += [f"process {w.number} ended with {w.process.returncode}" for w in failed]
    if total != WORKERS * STEPS_PER_WORKER:
        problems.append(f"{total} entries are there, not {WORKERS * STEPS_PER_WORKER}")
    for problem in problems:
        say(f"LOST: {problem}")
    if not problems:
        say(f"\nEvery acknowledged write is there and whole; {total} entries, none twice.")
    say_what_to_try(folder)
    return 1 if problems else 0


def main() -> int:
    """Run as the parent, or as one of its workers."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", nargs="?", help="a new or empty folder; else a temporary one")
    parser.add_argument("--worker", type=int, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.worker is not None:
        work(given.folder, given.worker)
        return 0
    folder = Path(given.folder or tempfile.mkdtemp(prefix="feedback-demo-")).absolute()
    if folder.exists() and any(folder.iterdir()):
        parser.error(f"{folder} is not empty; give a new folder")
    return demonstrate(str(folder))


if __name__ == "__main__":
    sys.exit(main())
