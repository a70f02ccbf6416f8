"""Leaving nothing behind: what comes after an erasure, and compaction."""

import logging

from feedback_store.backends.postgres.database import Database
from feedback_store.report import CompactReport

logger = logging.getLogger("feedback_store.postgres")

# Indexes too: with few dead rows, PostgreSQL would leave their keys there for later.
_PURGE = ("VACUUM (INDEX_CLEANUP ON) {entry}", "VACUUM (INDEX_CLEANUP ON) {damaged}")
_COMPACT = (
    "VACUUM (FULL, ANALYZE) {entry}",
    "VACUUM (FULL) {damaged}",
    "VACUUM (FULL) {change}",
)
_SIZE = "SELECT pg_total_relation_size('{entry}')"


def purge(database: Database) -> None:
    """Remove the dead rows that an erasure has left, as far as nobody can still see them."""
    database.settle()  # a scan of ours that is not at its end would still see them
    _vacuum(database, _PURGE)


def compact(database: Database) -> CompactReport:
    """Write the tables anew, without what is unused; others wait meanwhile."""
    before = _size(database)
    database.settle()
    _vacuum(database, _COMPACT)
    return CompactReport(size_bytes_before=before, size_bytes_after=_size(database))


def _vacuum(database: Database, statements: tuple[str, ...]) -> None:
    told = database.run_alone(*map(database.names.word, statements))
    if told:  # it is only a warning where the role may not
        logger.warning("%s: not vacuumed: %s", database.address.shown, "; ".join(told))


def _size(database: Database) -> int:
    sql = database.names.word(_SIZE)
    return database.read(lambda c: int((c.execute(sql).fetchone() or (0,))[0]), 0)
