"""What has reached the medium, and what is still on its way there.

The persistence model is that of ALICE (Pillai et al., "All File Systems Are Not Created Equal",
OSDI 2014): each call becomes one or more small operations, which reach the medium in some order;
a sync orders them. What a crash may leave is a choice among those that are pending.
"""

import itertools
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Protocol

import attrs

from feedback_store.testing.simulation.image import Image, Node
from feedback_store.testing.simulation.tearing import Data, apply_all

Rights = tuple[int, tuple[int, int]]
"""A mode, and the ids of a user and a group."""


@attrs.define(eq=False)
class Inode:
    """A file or folder as the kernel has it now.

    Attributes:
        number: its inode number.
        data: the bytes that a read would give, None for a folder.
        mode: its permission bits.
        owner: the ids of its user and its group.
        modified_ns: when it was last changed.
        links: how many names it has.
        failures: how many syncs of it have failed.
        holder: what the lock on it belongs to.
    """

    number: int
    data: bytes | None
    mode: int
    owner: tuple[int, int]
    modified_ns: int = 0
    links: int = 0
    failures: int = 0
    holder: object = None


@attrs.define(eq=False)
class NameChange:
    """Names of one folder that change as one step.

    Attributes:
        folder: the folder.
        names: what each path leads to afterwards, None for nothing.
        what: how to tell of it.
        makes: whether the file is new.
        replaces: whether a file takes the place of another.
        halved: whether the change after it is its other half, in another folder.
    """

    folder: str
    names: Mapping[str, Inode | None]
    what: str
    makes: bool = False
    replaces: bool = False
    halved: bool = False


@attrs.define(eq=False)
class DataChange:
    """Bytes that were written to a file, or a cut of it.

    Attributes:
        inode: the file.
        data: the change.
        lost: whether a sync has failed that should have carried it: no later one will. A cut is
            never lost, as it is no data.
        what: how to tell of it.
    """

    inode: Inode
    data: Data
    what: str
    lost: bool = False


@attrs.define(eq=False)
class RightsChange:
    """Mode and owner of a file."""

    inode: Inode
    rights: Rights
    what: str


Change = NameChange | DataChange | RightsChange


@attrs.frozen
class Option:
    """One of the things that may have happened to something pending.

    Attributes:
        what: how to tell of it, empty for the plainest one.
        names: the changes of names that it keeps.
        contents: the bytes that it gives to files.
        rights: the rights that it gives to files.
    """

    what: str = ""
    names: tuple[NameChange, ...] = ()
    contents: Mapping[Inode, bytes] = attrs.field(factory=dict[Inode, bytes])
    rights: Mapping[Inode, Rights] = attrs.field(factory=dict[Inode, Rights])


class Options(Protocol):
    """Says what may have happened to each pending thing, independently of the others."""

    def __call__(self, medium: "Medium", /, *, every_cut: bool) -> list[Sequence[Option]]:
        """Return the options of each; the first is that nothing of it was kept, the second all.

        Args:
            medium: what is pending, and on what.
            every_cut: whether a torn write may be torn at every byte.
        """
        ...


class Medium:
    """The durable state of a disk, and the changes that are not yet durable.

    Attributes:
        names: what each durable name leads to.
        contents: the durable bytes of each file.
        rights: durable mode and owner.
        pending: the changes that are not durable yet, the oldest first.
    """

    def __init__(self) -> None:
        self.names: dict[str, Inode] = {}
        self.contents: dict[Inode, bytes] = {}
        self.rights: dict[Inode, Rights] = {}
        self.pending: list[Change] = []

    def settle(self, done: Callable[[Change], bool]) -> None:
        """Make the pending changes durable for which ``done`` holds, in their order.

        Of what a failed sync has lost, no more may still appear than what these have left.
        """
        changes, self.pending = self.pending, []
        for change in changes:
            if not done(change):
                self.pending.append(change)
            elif isinstance(change, NameChange):
                self._rename(self.names, change)
            elif isinstance(change, DataChange):
                before = self.contents.get(change.inode, b"")
                self.contents[change.inode] = apply_all(before, [change.data])
                self.pending = [rest for each in self.pending for rest in _under(change, each)]
            else:
                self.rights[change.inode] = change.rights

    @staticmethod
    def _rename(names: dict[str, Inode], change: NameChange) -> None:
        for path, inode in change.names.items():
            if inode is None:
                names.pop(path, None)
            else:
                names[path] = inode

    def crash_states(
        self, options: Options, limit: int, rng: random.Random, *, every_cut: bool = False
    ) -> Iterator[tuple[str, Image]]:
        """Yield what a power cut may leave now, each with words for it; at most about ``limit``.

        All combinations, where those are no more than that. Else each thing on its own, with
        nothing and with all of the rest kept, and then combinations at random.
        """
        dimensions = options(self, every_cut=every_cut)
        total = 1
        for dimension in dimensions:
            total *= len(dimension)
        if total <= limit:
            choices: Iterator[Sequence[Option]] = itertools.product(*dimensions)
        else:
            choices = itertools.islice(_some(dimensions, rng), limit)
        order = {change: place for place, change in enumerate(self.pending)}
        for chosen in choices:
            words = "; ".join(option.what for option in chosen if option.what)
            yield words or "nothing pending was kept", self._image(chosen, order)

    def _image(self, chosen: Sequence[Option], order: Mapping[Change, int]) -> Image:
        names = dict(self.names)
        kept = [change for option in chosen for change in option.names]
        for change in sorted(kept, key=order.__getitem__):
            self._rename(names, change)
        contents: dict[Inode, bytes] = {}
        rights: dict[Inode, Rights] = {}
        for option in chosen:
            contents.update(option.contents)
            rights.update(option.rights)
        nodes: dict[str, Node] = {}
        for path in sorted(names):  # a folder comes before what is in it
            folder, inode = path.rpartition("/")[0], names[path]
            if folder and folder not in nodes:
                continue  # nobody can reach it
            there = rights.get(inode) or self.rights[inode]
            content = contents.get(inode, self.contents.get(inode, b""))
            nodes[path] = Node(inode.number, None if inode.data is None else content, *there)
        return Image(nodes)


def _under(later: DataChange, change: Change) -> Sequence[Change]:
    """Return what a later change of a file's bytes leaves of another change."""
    if not isinstance(change, DataChange) or change.inode is not later.inode:
        return [change]
    return [attrs.evolve(change, data=part) for part in change.data.under(later.data)]


def _some(dimensions: list[Sequence[Option]], rng: random.Random) -> Iterator[Sequence[Option]]:
    """Yield nothing kept, all kept, one thing at a time around both, then what chance gives."""
    nothing = [dimension[0] for dimension in dimensions]
    everything = [dimension[min(1, len(dimension) - 1)] for dimension in dimensions]
    yield nothing
    yield everything
    alone = [
        (corner, place, option)
        for place, dimension in enumerate(dimensions)
        for option in dimension
        for corner in (everything, nothing)
        if option is not corner[place]
    ]
    rng.shuffle(alone)
    for corner, place, option in alone:
        yield [*corner[:place], option, *corner[place + 1 :]]
    while True:
        yield [rng.choice(dimension) for dimension in dimensions]
