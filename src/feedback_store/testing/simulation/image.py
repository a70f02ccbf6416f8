"""What a disk holds while the power is off."""

import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

import attrs

_TOKEN = re.compile(r"[0-9a-f]{16}")


class Node(NamedTuple):
    """A file or a folder.

    Attributes:
        number: its inode number.
        content: its bytes, None for a folder.
        mode: its permission bits.
        owner: the ids of its user and its group.
    """

    number: int
    content: bytes | None
    mode: int
    owner: tuple[int, int]


@attrs.frozen
class Image:
    """The files and folders of a disk, by absolute path; the root is always there."""

    nodes: Mapping[str, Node] = attrs.field(factory=dict[str, Node])

    def files(self) -> Iterator[tuple[str, Node, bytes]]:
        """Yield path, node and bytes of every file, in the order of the paths."""
        for path in sorted(self.nodes):
            node = self.nodes[path]
            if node.content is not None:
                yield path, node, node.content

    def key(self) -> int:
        """Return a number that is the same for images that a store cannot tell apart.

        Random parts of names (16 hexadecimal digits) do not count.
        """
        return hash(frozenset((_TOKEN.sub("*", path), node) for path, node in self.nodes.items()))
