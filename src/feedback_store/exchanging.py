"""Exchanging two names of a folder as one step: renameat2(2), which Python does not offer."""

import ctypes
import os

_AT_CWD, _RENAME_EXCHANGE = -100, 2


def exchange(a: str, b: str) -> None:
    """Let each of two files or folders have the other's name.

    Raises:
        OSError: the system or the filesystem cannot do that, or one is missing.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.renameat2(_AT_CWD, os.fsencode(a), _AT_CWD, os.fsencode(b), _RENAME_EXCHANGE):
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code), a)
