"""What makes a command stay, and do its work on time."""

import functools
import hashlib
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import click

from feedback_store.cli.terminal import complain, without_secrets
from feedback_store.errors import FeedbackStoreError
from feedback_store.snapshot.places import place_of


@attrs.frozen(kw_only=True)
class Times:
    """When a command does its work.

    Attributes:
        every: the period, as people write it.
        cron: five cron fields instead.
        once: whether to do it once, now, as one of several workers.
        retries: how often to try again what failed.
        retry_wait: how long to wait before that, in seconds.
        lock: the file of the lock by which one of several workers does it.
    """

    every: str | None
    cron: str | None
    once: bool
    retries: int
    retry_wait: float
    lock: str | None

    @property
    def scheduled(self) -> bool:
        """Whether the command is one of several workers, and not simply run."""
        return bool(self.every or self.cron or self.once)


_OPTIONS = {
    "every": click.option(
        "--every", metavar="PERIOD",
        help="Stay, and export now and then every hour, 15 minutes, 30s, day...",
    ),
    "cron": click.option(
        "--cron", metavar="FIELDS",
        help="Stay, and export now and then at these times in UTC: '0 * * * *' is on the hour.",
    ),
    "once": click.option(
        "--once", is_flag=True,
        help="Export now, unless a schedule of this machine does so for TARGET: for cron itself.",
    ),
    "retries": click.option(
        "--retries", type=click.IntRange(min=0), default=3, show_default=True, metavar="N",
        help="How often a scheduled export that failed is tried again before its next time.",
    ),
    "retry_wait": click.option(
        "--retry-wait", type=click.FloatRange(min=0), default=30.0, show_default=True,
        metavar="SECONDS", help="How long to wait before that.",
    ),
    "lock": click.option(
        "--lock", type=click.Path(dir_okay=False), metavar="FILE",
        help="The lock by which one of several exports; beside TARGET unless given.",
    ),
}  # fmt: skip


def with_times(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options of a schedule, as its argument ``times``."""

    @functools.wraps(command)
    def run(*args: Any, **given: Any) -> None:  # noqa: ANN401  # the options of any command
        times = Times(**{name: given.pop(name) for name in _OPTIONS})
        command(*args, times=times, **given)

    decorated: Callable[..., None] = run
    for option in reversed(_OPTIONS.values()):
        decorated = option(decorated)
    return decorated


def on_time(times: Times, target: str, run: Callable[[], object]) -> None:
    """Do a command's work on time, until the process is asked to end; or once.

    Raises:
        ValueError: the times make no sense.
        MissingExtraError: the extra ``schedule`` is not installed.
    """
    from feedback_store.snapshot.schedule import SnapshotSchedule  # noqa: PLC0415  # an extra
    from feedback_store.snapshot.schedule_times import parse_every  # noqa: PLC0415  # as above

    if times.once and (times.every or times.cron):
        raise ValueError("--once goes without --every and --cron")
    every = "hour" if times.once else times.every
    schedule = SnapshotSchedule(
        run,
        lock_path=times.lock or lock_beside(target),
        every_s=None if every is None else parse_every(every),
        cron=times.cron,
        retry_attempts=times.retries,
        retry_wait_s=times.retry_wait,
        name=without_secrets(target),
        on_error=None if times.once else _tell,
    )
    if not times.once:
        schedule.run()
    elif not schedule.run_once():
        click.echo("not exported: a schedule of this machine does so for this target", err=True)


def _tell(error: BaseException) -> None:
    """Say on standard error that an export failed, which the log of the library says too."""
    # What is not ours may quote what was exported.
    what = str(error) if isinstance(error, FeedbackStoreError) else type(error).__name__
    complain(f"an export failed: {what}")


def lock_beside(target: str) -> Path:
    """Return the lock of a target: beside it, or of a bucket's, among the temporary files."""
    folder, name = place_of(target)
    path = getattr(folder, "path", None)
    if isinstance(path, Path):
        return path / f".{name}.leader"
    told = hashlib.sha256(target.encode()).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"feedback_store-{told}.leader"
