"""What a fork does to an open store, and how both sides get over it.

A child has the parent's memory and open files, but only one of its threads. So nobody may be in
the middle of a change when the process forks, and the child must not use the parent's kernel lock:
freeing it would free the parent's, and merely living would keep it.
"""

import os
import threading
import weakref
from typing import Protocol


class Forkable(Protocol):
    """What wants to know of forks."""

    def before_fork(self) -> None:
        """Come to rest, and stay there."""
        ...

    def after_fork_in_parent(self) -> None:
        """Go on."""
        ...

    def after_fork_in_child(self) -> None:
        """Start anew."""
        ...


class Renewed:
    """The half of a `Forkable` that has nothing to bring to rest, and only starts anew."""

    def before_fork(self) -> None:
        """See `Forkable`."""

    def after_fork_in_parent(self) -> None:
        """See `Forkable`."""


_living: "weakref.WeakSet[Forkable]" = weakref.WeakSet()
_forking = threading.local()
"""Who rests for the fork of this thread: other threads may fork at the same time."""


def watch_forks(store: Forkable) -> None:
    """Tell the store of every fork, as long as it lives."""
    _living.add(store)


def _all_living() -> list[Forkable]:
    """Return all stores, in one order for all: two that fork at once would else wait in a ring."""
    while True:
        try:
            return sorted(_living, key=id)
        except RuntimeError:
            continue  # another thread has opened a store meanwhile


def _before() -> None:
    _forking.resting = _all_living()
    for store in _forking.resting:
        store.before_fork()


def _in_parent() -> None:
    for store in reversed(_forking.resting):
        store.after_fork_in_parent()
    _forking.resting = []


def _in_child() -> None:
    for store in _forking.resting:
        store.after_fork_in_child()
    _forking.resting = []


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_before, after_in_parent=_in_parent, after_in_child=_in_child
    )  # fmt: skip
