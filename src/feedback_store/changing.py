"""Changing what any store holds: derived from its verbs, once, for every backend."""

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

import attrs

from feedback_store.entry import (
    OWN_KEYS,
    OWN_METADATA_KEYS,
    FeedbackEntry,
    Metadata,
    with_checked,
)
from feedback_store.errors import EntryNotFoundError, InvalidEntryError
from feedback_store.frozen import JsonDict
from feedback_store.operations import FIXED, matching, same_content
from feedback_store.query import Query
from feedback_store.store import Change, Outcome, Store

_ERASE_BATCH = 1000


class Written(NamedTuple):
    """The entry as it is now, and what became of it: ADDED, UPDATED or UNCHANGED."""

    entry: FeedbackEntry
    outcome: Outcome


def put(store: Store, entry: FeedbackEntry) -> Written:
    """Store an entry in place of what stands under its id.

    It keeps the timestamp of what it replaces and gets ``updated_at``; the same content again
    is UNCHANGED, and nothing is written.
    """
    while True:
        outcome = store.append([entry])[0]
        if outcome is not Outcome.CONFLICT:
            return Written(entry, outcome)
        try:
            return _rewrite(store, entry.id, lambda old: _replacing(old, entry))
        except EntryNotFoundError:
            continue  # erased since: then it can be added


def _rewrite(store: Store, id: str, change: Change) -> Written:
    outcome = Outcome.UNCHANGED

    def noted(old: FeedbackEntry) -> FeedbackEntry:
        nonlocal outcome
        new = change(old)
        if new is not old:  # and never back: a store may apply it again to what it just wrote
            outcome = Outcome.UPDATED
        return new

    return Written(store.rewrite(id, noted), outcome)


def _replacing(old: FeedbackEntry, new: FeedbackEntry) -> FeedbackEntry:
    if same_content(old, new):
        return old
    return with_checked(new, timestamp=old.timestamp, updated_at=datetime.now(UTC))


def update(
    store: Store,
    id: str,
    add_issues: Iterable[str],
    fields: dict[str, Any],
    redact: Change | None = None,
) -> Written:
    """Change fields of the entry and of its metadata by their names; see `FeedbackStore.update`."""
    check_names(fields)
    added = (add_issues,) if isinstance(add_issues, str) else add_issues
    issues = Metadata(issues=added).issues  # checked before the store is asked
    return _rewrite(store, id, lambda old: changed(old, issues, fields, redact))


def check_names(fields: dict[str, Any]) -> None:
    """Refuse names that no update can change.

    Raises:
        InvalidEntryError: naming the first of them, and what can be given.
    """
    known = (OWN_KEYS | OWN_METADATA_KEYS | {"extra"}) - FIXED
    for name in fields:
        if name in FIXED:
            msg = f"{name} cannot be changed: delete the entry and add another"
            raise InvalidEntryError(msg)
        if name not in known:
            msg = f"{name!r} is no field of an entry; fields are {', '.join(sorted(known))}"
            raise InvalidEntryError(msg)


def changed(
    old: FeedbackEntry,
    issues: tuple[str, ...],
    fields: dict[str, Any],
    redact: Change | None = None,
) -> FeedbackEntry:
    """Return the entry with fields replaced, extras merged and issues added, then redacted.

    ``updated_at`` is now, unless given, or unless nothing changes: then it is the old one itself.
    """
    metadata = old.metadata
    if "metadata" in fields:
        metadata = attrs.evolve(old, metadata=fields["metadata"]).metadata
    told = {name: value for name, value in fields.items() if name in OWN_METADATA_KEYS}
    if told:
        metadata = attrs.evolve(metadata, **told)
    if added := [issue for issue in dict.fromkeys(issues) if issue not in metadata.issues]:
        metadata = attrs.evolve(metadata, issues=(*metadata.issues, *added))
    own = {k: v for k, v in fields.items() if k in OWN_KEYS and k != "metadata"}
    if "extra" in fields:
        more = attrs.evolve(old, extra=fields["extra"]).extra
        own["extra"] = JsonDict({**old.extra, **more})
    new = with_checked(old, metadata=metadata)
    if own:
        new = attrs.evolve(new, **own)
    if redact is not None:  # also where nothing else changes: so an older entry gets redacted
        new = redact(new)
    if new == old:
        return old
    return new if "updated_at" in fields else with_checked(new, updated_at=datetime.now(UTC))


def delete_where(store: Store, query: Query, erase: Callable[[Sequence[str]], int]) -> int:
    """Erase every entry that matches, by a function that takes ids; say how many there were."""
    ids = [entry.id for entry in matching(store, query)]
    return sum(erase(ids[i : i + _ERASE_BATCH]) for i in range(0, len(ids), _ERASE_BATCH))
