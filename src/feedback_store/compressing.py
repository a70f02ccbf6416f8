"""Compression, told by a file's suffix: gzip (``.gz``), and Zstandard (``.zst``) as an extra."""

import importlib
import io
import zlib
from collections.abc import Callable
from typing import IO, Any, Protocol

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


def unpacked(packed: IO[bytes], name: str) -> IO[bytes]:
    """Return what reads the contents of a compressed file once, and closes it as it is closed.

    Several members that follow each other are read as one.

    Args:
        packed: the file, at its start.
        name: its name, which ends in ``.gz`` or ``.zst``.

    Raises:
        MissingExtraError: it is ``.zst``, and nothing that reads it is installed.
        EOFError: while reading: it is damaged, or ends before its contents do.
    """
    try:
        make = unpacker_for(name)
    except BaseException:
        packed.close()
        raise
    return io.BufferedReader(_Unpacked(packed, make), _PIECE_BYTES)


_PIECE_BYTES = 1 << 18


class _Unpacked(io.RawIOBase):
    """The contents of a compressed file, of all its members one after the other."""

    def __init__(self, packed: IO[bytes], make: Callable[[], Unpacker]) -> None:
        self._packed = packed
        self._make = make
        self._unpacker = make()
        self._begun = False
        self._ready = b""

    def readable(self) -> bool:
        return True

    def close(self) -> None:
        if not self.closed:
            self._packed.close()
        super().close()

    def readinto(self, buffer: Any, /) -> int:  # noqa: ANN401  # any buffer, which the stubs cannot say
        while not self._ready:
            piece = self._packed.read(_PIECE_BYTES)
            if not piece and self._begun:
                raise EOFError("the file ends before its contents do")
            if not piece:
                return 0
            self._unpack(piece)
        size = min(len(buffer), len(self._ready))
        buffer[:size], self._ready = self._ready[:size], self._ready[size:]
        return size

    def _unpack(self, piece: bytes) -> None:
        while piece:
            try:
                self._ready += self._unpacker.decompress(piece)
            except OSError:
                raise
            except Exception as error:  # each format has errors of its own
                raise EOFError("it is damaged, or compressed in another format") from error
            self._begun = not self._unpacker.eof
            piece = b"" if self._begun else self._unpacker.unused_data
            if not self._begun:
                self._unpacker = self._make()


def _zstd(name: str) -> Any:  # noqa: ANN401  # one of two modules of the same shape
    for module in ("compression.zstd", "backports.zstd"):
        try:
            return importlib.import_module(module)
        except ImportError:
            continue
    msg = f"{name} needs the extra 'zstd': pip install 'feedback-store[zstd]'"
    raise MissingExtraError(msg)
