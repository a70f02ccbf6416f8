"""The command that reads many entries from elsewhere: import."""

import contextlib
import sys
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from datetime import UTC, tzinfo

import click

from feedback_store.batch import BatchResult
from feedback_store.cli.options import as_json, identity_option, keys_in, naive_tz_option, on_store
from feedback_store.cli.snapshot_source import SnapshotSource, is_snapshot
from feedback_store.cli.source import Row, Source
from feedback_store.cli.terminal import complain, print_json, problem_found, say, visible
from feedback_store.entry import FeedbackEntry
from feedback_store.errors import InvalidEntryError
from feedback_store.facade import FeedbackStore

_BATCH_ROWS = 1000
_BATCH_BYTES = 8 * 1024 * 1024


@click.command("import")
@click.argument("path", metavar="SOURCE")
@identity_option
@naive_tz_option("Time zone of times in SOURCE that name none")
@as_json
@on_store(naive_tz=False, durability=True)
def import_(
    store: FeedbackStore,
    *,
    path: str,
    naive_tz: tzinfo | None,
    identity: Sequence[str],
    as_json: bool,
) -> None:
    """Add all entries of a file: JSON lines or a JSON array.

    SOURCE is a file, compressed if its name ends in .gz, or - for standard input. A row that
    tells no time gets the date in the file's name (feedback_2025-02.jsonl or
    feedback_20250217.jsonl).

    Rows that are no entries are refused, each told with its line. Where other content stands
    under an id, that is a conflict, and what is there stays. All other rows are stored, and
    importing again is harmless. The exit code is 1 when any row was refused or in conflict.

    A snapshot that has its manifest beside it (see export) is verified first, as a whole, and
    nothing is added when it is not what its manifest says. It may be a URL, and encrypted: then
    --identity names a file with the key.

    JSON lines take constant memory, and so does an array with an entry on each line, as snapshots
    are; another array is read as a whole.
    """
    source = _source(path, naive_tz or UTC, identity)
    importing = _Importing(store, source.name)
    with _progress(source) as advance:
        for batch in _batches(source.rows()):
            importing.take(batch)
            advance()
    counts = {
        "added": importing.result.added,
        "unchanged": importing.result.unchanged,
        "conflicting": len(importing.result.conflicts),
        "refused": importing.refused,
    }
    if as_json:
        print_json(counts)
    else:
        say(", ".join(f"{count} {name}" for name, count in counts.items()))
    if counts["conflicting"] or counts["refused"]:
        raise problem_found()


def _source(path: str, naive_tz: tzinfo, identity: Sequence[str]) -> "Source | SnapshotSource":
    if is_snapshot(path):
        return SnapshotSource(path, keys_in(identity))
    existing = click.Path(exists=True, dir_okay=False, allow_dash=True)
    existing.convert(path, None, click.get_current_context())
    return Source(path, naive_tz)


class _Importing:
    """What became of the rows so far."""

    def __init__(self, store: FeedbackStore, name: str) -> None:
        self.result = BatchResult()
        self.refused = 0
        self._store = store
        self._name = name

    def take(self, batch: list[Row]) -> None:
        """Store the entries of a batch; tell of those that are none, or cannot be stored."""
        for row in batch:
            if row.entry is None:
                self._refuse(row.where, row.problem)
        result = self._add([(row.where, row.entry) for row in batch if row.entry is not None])
        for id in result.conflicts:  # the field's name
            complain(f"{self._name}: conflict: other content stands under the id {id!r}")
        self.result += result

    def _add(self, placed: list[tuple[str, FeedbackEntry]]) -> BatchResult:
        """Add entries; a batch with one that the store refuses is halved until it stands alone."""
        try:
            return self._store.add_many(entry for _, entry in placed)
        except InvalidEntryError as error:
            if len(placed) == 1:
                self._refuse(placed[0][0], str(error))
                return BatchResult()
        middle = len(placed) // 2
        return self._add(placed[:middle]) + self._add(placed[middle:])

    def _refuse(self, where: str, problem: str) -> None:
        self.refused += 1
        complain(f"{where}: refused: {problem}")


def _batches(rows: Iterable[Row]) -> Iterator[list[Row]]:
    """Yield rows in lists that are bounded in number and in size."""
    batch: list[Row] = []
    size_bytes = 0
    for row in rows:
        batch.append(row)
        size_bytes += row.size_bytes
        if len(batch) >= _BATCH_ROWS or size_bytes >= _BATCH_BYTES:
            yield batch
            batch, size_bytes = [], 0
    if batch:
        yield batch


@contextlib.contextmanager
def _progress(source: "Source | SnapshotSource") -> Generator[Callable[[], None], None, None]:
    """Show a bar on standard error when that is a terminal; yield what moves it."""
    if not sys.stderr.isatty():
        yield lambda: None
        return
    from rich.console import Console  # noqa: PLC0415  # help must not wait for it
    from rich.markup import escape  # noqa: PLC0415  # as above
    from rich.progress import Progress  # noqa: PLC0415  # as above

    # Lines on standard error that are written meanwhile come out above the bar.
    with Progress(console=Console(stderr=True, highlight=False), transient=True) as progress:
        task = progress.add_task(escape(visible(source.name)), total=source.size_bytes)
        yield lambda: progress.update(task, completed=source.position_bytes)
