"""Encryption for those who can read it, in the format of age: https://age-encryption.org/v1.

Streaming: what is written goes through a pipe to a thread that encrypts, so that nothing of it
touches a disk before, and memory stays constant.
"""

import io
import os
import threading
from collections.abc import Sequence
from typing import Any, BinaryIO, Protocol

from feedback_store.errors import MissingExtraError, SnapshotError

_CHUNK_BYTES = 1 << 20


class Sink(Protocol):
    """What takes bytes."""

    def write(self, data: bytes, /) -> int:
        """Take all of them; say how many there were."""
        ...

    def flush(self) -> None:
        """Do nothing, or pass on what is held back."""
        ...


def recipients_of(texts: Sequence[str]) -> list[Any]:
    """Return those who shall be able to read: ``age1…`` and ``ssh-…`` public keys.

    Raises:
        ValueError: one is no public key of that kind. It is not quoted: it may be a secret one.
        MissingExtraError: the extra ``encrypt`` is not installed.
    """
    pyrage = _pyrage()
    return [_parsed(text, i, pyrage, "Recipient", "recipient") for i, text in enumerate(texts, 1)]


def identities_of(texts: Sequence[str]) -> list[Any]:
    """Return what can read: ``AGE-SECRET-KEY-1…`` and SSH private keys.

    Raises:
        ValueError: one is no such key; it is not quoted.
        MissingExtraError: the extra ``encrypt`` is not installed.
    """
    pyrage = _pyrage()
    return [_parsed(text, i, pyrage, "Identity", "identity") for i, text in enumerate(texts, 1)]


def _parsed(text: str, number: int, pyrage: Any, kind: str, what: str) -> Any:  # noqa: ANN401  # it has no types
    text = text.strip()
    try:
        if text.startswith("ssh-"):
            return pyrage.ssh.Recipient.from_str(text)
        if text.startswith("-----BEGIN"):
            return pyrage.ssh.Identity.from_buffer(text.encode() + b"\n")
        return getattr(pyrage.x25519, kind).from_str(text)
    except (pyrage.RecipientError, pyrage.IdentityError, AttributeError) as error:
        wanted = "age1… or ssh-…" if what == "recipient" else "AGE-SECRET-KEY-1… or an SSH key"
        raise ValueError(f"{what} {number} is no key of age: {wanted} is wanted") from error


class Encrypting:
    """Takes bytes, and writes them to a sink, encrypted.

    Args:
        sink: where they go; it is written to by another thread until `close` has returned.
        recipients: who can read them: see `recipients_of`.
    """

    def __init__(self, sink: Sink, recipients: Sequence[Any]) -> None:
        pyrage = _pyrage()
        reading, writing = os.pipe()
        self._writing = os.fdopen(writing, "wb", buffering=0)
        self._error: BaseException | None = None
        reader = os.fdopen(reading, "rb")

        def encrypt() -> None:
            with reader:  # once it is closed, whoever writes on meets a broken pipe
                try:
                    pyrage.encrypt_io(reader, sink, recipients)
                except BaseException as error:  # noqa: BLE001  # it is raised again by `close`
                    self._error = error

        self._thread = threading.Thread(target=encrypt, name="snapshot encryption", daemon=True)
        self._thread.start()

    def write(self, data: bytes) -> int:
        """Take bytes in."""
        view = memoryview(data)
        try:
            while view:
                view = view[self._writing.write(view) :]
        except BrokenPipeError:
            self.close()
        return len(data)

    def flush(self) -> None:
        """Do nothing: age writes whole blocks."""

    def close(self) -> None:
        """Write the rest.

        Raises:
            OSError: what the sink raised.
        """
        self._writing.close()
        self._thread.join()
        if self._error is not None:
            raise self._error


def decrypted(file: BinaryIO, identities: Sequence[Any], name: str) -> BinaryIO:
    """Return what can be read of an encrypted file; it is to be closed, which closes both.

    Raises:
        SnapshotError: while reading: none of the identities can read it, or it is damaged.
    """
    return io.BufferedReader(_Decrypted(file, identities, name), _CHUNK_BYTES)


class _Decrypted(io.RawIOBase):
    """Reads through a pipe from a thread that decrypts."""

    def __init__(self, file: BinaryIO, identities: Sequence[Any], name: str) -> None:
        pyrage = _pyrage()
        reading, writing = os.pipe()
        self._file = file
        self._name = name
        self._reading = os.fdopen(reading, "rb", buffering=0)
        self._error: BaseException | None = None
        writer = os.fdopen(writing, "wb")

        def decrypt() -> None:
            try:
                with writer:
                    pyrage.decrypt_io(file, writer, identities)
            except BaseException as error:  # noqa: BLE001  # it is raised again by `readinto`
                self._error = error

        self._thread = threading.Thread(target=decrypt, name="snapshot decryption", daemon=True)
        self._thread.start()

    def readable(self) -> bool:
        """Say yes."""
        return True

    def readinto(self, buffer: Any, /) -> int:  # noqa: ANN401  # any buffer
        """Read some."""
        size = self._reading.readinto(buffer)
        if not size:
            self._thread.join()
            if self._error is not None:
                msg = f"{self._name}: it cannot be decrypted with what was given, or is damaged"
                raise SnapshotError(msg) from self._error
        return size

    def close(self) -> None:
        """End, at the end or before it: then whoever decrypts meets a broken pipe."""
        if not self.closed:
            self._reading.close()
            self._thread.join()
            self._file.close()
        super().close()


def _pyrage() -> Any:  # noqa: ANN401  # it has no types
    try:
        import pyrage  # noqa: PLC0415  # an extra
    except ImportError as error:
        msg = "encryption needs the extra 'encrypt': pip install 'feedback-store[encrypt]'"
        raise MissingExtraError(msg, name=error.name) from error
    return pyrage
