"""Compression, told by a file's suffix: gzip (``.gz``), and Zstandard (``.zst``) as an extra."""

import importlib
import zlib
from collections.abc import Callable
from typing import Any, Protocol

from feedback_store.errors import MissingExtraError

_GZIP = 16 + zlib.MAX_WBITS
_GZIP_LEVEL = 6


class Packer(Protocol):
    """What `zlib.compressobj` and its kin for other formats have in common."""

    def compress(self, data: bytes, /) -> bytes:
        """Take in bytes; return what is ready."""
        ...

    def flush(self) -> bytes:
        """Return the rest."""
        ...


class Unpacker(Protocol):
    """What `zlib.decompressobj` and its kin for other formats have in common."""

    @property
    def eof(self) -> bool:
        """Whether the end of what was packed is reached."""
        ...

    @property
    def unused_data(self) -> bytes:
        """What came after that end."""
        ...

    def decompress(self, data: bytes, /) -> bytes:
        """Take in bytes; return what they hold. Each format has errors of its own for damage."""
        ...


class _Plain:
    """No compression."""

    def compress(self, data: bytes, /) -> bytes:
        return data

    def flush(self) -> bytes:
        return b""


def packer_for(name: str) -> Packer:
    """Return what compresses the contents of a file of that name.

    Raises:
        MissingExtraError: it is ``.zst``, and nothing that writes it is installed.
    """
    if name.endswith(".gz"):
        return zlib.compressobj(_GZIP_LEVEL, zlib.DEFLATED, _GZIP)
    if name.endswith(".zst"):
        made: Packer = _zstd(name).ZstdCompressor()
        return made
    return _Plain()


def unpacker_for(name: str) -> Callable[[], Unpacker]:
    """Return what makes an unpacker for a file of that name, which ends in ``.gz`` or ``.zst``.

    Raises:
        MissingExtraError: it is ``.zst``, and nothing that reads it is installed.
    """
    if name.endswith(".zst"):
        made: Callable[[], Unpacker] = _zstd(name).ZstdDecompressor
        return made
    return lambda: zlib.decompressobj(_GZIP)


def _zstd(name: str) -> Any:  # noqa: ANN401  # one of two modules of the same shape
    for module in ("compression.zstd", "backports.zstd"):
        try:
            return importlib.import_module(module)
        except ImportError:
            continue
    msg = f"{name} needs the extra 'zstd': pip install 'feedback-store[zstd]'"
    raise MissingExtraError(msg)
