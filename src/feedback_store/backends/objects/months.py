"""The months of a bucket, as one process knows them.

Objects never change, so what was read once is right for ever; which objects there are is asked anew
each time. An object that is gone when it is fetched has given its place to another: the month is
listed again.
"""

import logging
import threading
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

from cachetools import LRUCache

from feedback_store.backends.objects.bucket import Bucket
from feedback_store.backends.objects.cache_folder import CacheFolder
from feedback_store.backends.objects.clock import Clock
from feedback_store.backends.objects.lines import Contents, Line, parsed
from feedback_store.backends.objects.merging import State, merged
from feedback_store.backends.objects.naming import ObjectName
from feedback_store.errors import StoreUnavailableError

logger = logging.getLogger("feedback_store.objects")

_LOOKS = 100
"""How often a month is listed again before somebody must be removing objects without end."""


class Month:
    """A month, as it was when it was listed.

    Attributes:
        name: such as ``"2025-10"``.
        contents: what its objects hold.
        state: what that comes to.
        size_bytes: the size of what is held in memory, about.
    """

    __slots__ = ("contents", "name", "size_bytes", "state")

    def __init__(self, name: str, contents: dict[ObjectName, Contents]) -> None:
        self.name = name
        self.contents = contents
        self.state: State = merged(contents.values())
        self.size_bytes = sum(map(_size_of, contents.values()))

    def with_more(self, more: dict[ObjectName, Contents]) -> None:
        """Take in objects that have come."""
        for name, contents in more.items():
            self.contents[name] = contents
            self.state.merge(contents)
            self.size_bytes += _size_of(contents)


class Months:
    """The months of a bucket. It is to be used under `lock`.

    Args:
        bucket: where they are.
        clock: hears of every revision that is seen.
        cache_bytes: how much of what was read is kept in memory.
        folder: keeps it for the processes that come later.

    Attributes:
        lock: held while what is known changes, or is looked at.
    """

    def __init__(
        self, bucket: Bucket, clock: Clock, cache_bytes: int, folder: CacheFolder | None = None
    ) -> None:
        self.lock = threading.RLock()
        self._bucket = bucket
        self._clock = clock
        self._known: LRUCache[str, Month] = LRUCache(cache_bytes, lambda month: month.size_bytes)
        self._cache_bytes = cache_bytes
        self._folder = folder
        self._told: set[ObjectName] = set()

    def listed(self) -> dict[str, list[ObjectName]]:
        """Return which objects there are, by month, the oldest month first."""
        names, _ = self._bucket.list()
        months: dict[str, list[ObjectName]] = {}
        for name in names:
            months.setdefault(name.month, []).append(name)
        if self._folder is not None:
            self._folder.keep_only_months(months)
        return months

    def all(self) -> Iterator[Month]:
        """Yield the months as they are now, the oldest first."""
        for month, names in self.listed().items():
            yield self.look(month, names)

    def find(self, ids: Collection[str]) -> dict[str, Line]:
        """Return the visible lines of ids, the newest month first; without the lock, takes it."""
        found: dict[str, Line] = {}
        for month, names in reversed(self.listed().items()):
            missing = [id for id in ids if id not in found]
            if not missing:
                break
            with self.lock:
                state = self.look(month, names).state
                lines = [line for id in missing if (line := state.find(id)) is not None]
            found.update((line.id, line) for line in lines)
        return found

    def known(self, month: str, names: Sequence[ObjectName]) -> list[Line] | None:
        """Return the visible lines of a month with just these objects, if it is in memory."""
        found: Month | None = self._known.get(month)
        if found is None or found.contents.keys() != set(names):
            return None
        if not all(contents.whole for contents in found.contents.values()):
            return None  # it may be whole by now
        return list(found.state.visible())

    def look(self, month: str, names: Sequence[ObjectName] | None = None) -> Month:
        """Return a month as it is now, or as it was listed just now.

        Raises:
            StoreUnavailableError: it cannot be read.
        """
        for _ in range(_LOOKS):
            if names is None:
                names, _others = self._bucket.list(month)
            found = self._as_listed(month, names)
            if found is not None:
                return found
            names = None
        msg = f"{self._bucket.shown}: the objects of {month} go faster than they can be read"
        raise StoreUnavailableError(msg)

    def _as_listed(self, month: str, names: Sequence[ObjectName]) -> Month | None:
        """Return a month with these objects, or None where one of them is gone by now."""
        if names:
            self._clock.observe(max(name.revision for name in names))
        known: Month | None = self._known.get(month)
        held = {} if known is None else {n: c for n, c in known.contents.items() if c.whole}
        if self._folder is not None:
            self._folder.keep_only(month, names)
        fetched = self._fetch([name for name in names if name not in held])
        if fetched is None:
            return None
        listed = set(names)
        if known is not None and held.keys() <= listed and len(held) == len(known.contents):
            known.with_more(fetched)
            found = known
        else:
            kept = {name: contents for name, contents in held.items() if name in listed}
            found = Month(month, kept | fetched)
        self._keep(found)
        return found

    def _fetch(self, names: Iterable[ObjectName]) -> dict[ObjectName, Contents] | None:
        fetched: dict[ObjectName, Contents] = {}
        by_path: dict[str, ObjectName] = {}
        for name in names:
            if (contents := self._remembered(name)) is None:
                by_path[name.path] = name
            else:
                fetched[name] = contents
        for path, data in self._bucket.read(list(by_path)):
            if data is None:
                return None
            name = by_path[path]
            fetched[name] = self._parsed(name, data)
            if self._folder is not None and fetched[name].whole:
                self._folder.keep(name, data)
        return fetched

    def _remembered(self, name: ObjectName) -> Contents | None:
        """Return what the folder has of an object, if it is as it was written."""
        if self._folder is None or (data := self._folder.read(name)) is None:
            return None
        contents = parsed(data, name.suffix, name.path)
        if contents.whole:
            return contents
        self._folder.drop(name)
        return None

    def _parsed(self, name: ObjectName, data: bytes) -> Contents:
        location = f"{self._bucket.shown}/{name.path}"
        contents = parsed(data, name.suffix, location)
        if (contents.damaged or not contents.whole) and name not in self._told:
            self._told.add(name)
            what = f"{contents.damaged} damaged lines" if contents.whole else "not whole"
            logger.warning("%s: %s; what can be read is served", location, what)
        return contents

    def note_written(self, name: ObjectName, contents: Contents) -> None:
        """Take in what this process has just written, without reading it again."""
        known: Month | None = self._known.get(name.month)
        if known is not None:
            known.with_more({name: contents})
            self._keep(known)

    def remembered(self, month: str) -> Month | None:
        """Return what is in memory of a month."""
        found: Month | None = self._known.get(month)
        return found

    def note_replaced(
        self, month: str, old: Collection[ObjectName], new: Mapping[ObjectName, Contents]
    ) -> None:
        """Take in that this process has put objects in the place of others."""
        known: Month | None = self._known.get(month)
        if known is not None:
            left = {name: found for name, found in known.contents.items() if name not in old}
            self._keep(Month(month, {**left, **new}))

    def _keep(self, month: Month) -> None:
        self._known.pop(month.name, None)  # its size has changed
        if month.size_bytes <= self._cache_bytes:
            self._known[month.name] = month

    def forget(self) -> None:
        """Drop what is known."""
        self._known.clear()


def _size_of(contents: Contents) -> int:
    return sum(len(line.body) for line in contents.lines) + 400 * (len(contents.lines) + 1)
