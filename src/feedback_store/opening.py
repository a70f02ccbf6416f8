"""`open_store`: from a URL or a path to a store. The only file that lists backends.

Other people's packages add backends by an entry point of the group ``feedback_store.backends``:
its name is the scheme, its object a function ``(url, **options) -> Store``.
"""

import os
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal, TypeAlias
from urllib.parse import unquote

from feedback_store.errors import UnknownBackendError
from feedback_store.facade import FeedbackStore
from feedback_store.redaction import Redact
from feedback_store.store import Store

if TYPE_CHECKING:
    from feedback_store.aio import AsyncFeedbackStore
    from feedback_store.backends.postgres.table import TableSource

ENTRY_POINT_GROUP = "feedback_store.backends"
"""Where packages register backends of their own."""

Revalidate: TypeAlias = Literal["always", "ttl", "never"]

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:")


def open_store(
    location: str | os.PathLike[str],
    *,
    redact: Redact | None = None,
    cache_ttl_s: float | None = None,
    cache_revalidate: Revalidate | None = None,
    **options: Any,  # noqa: ANN401  # every backend has its own
) -> FeedbackStore:
    """Open the store at a location; it is made at the first write if it is not there.

    Args:
        location: a path to a folder of month files, or a URL: ``jsonl:///relative/folder``,
            ``jsonl:////absolute/folder``, ``sqlite:///relative.db``, ``sqlite:////absolute.db``,
            ``sqlite://`` or ``mem://`` (in memory, for tests),
            ``postgresql://user@host/database``, ``s3://bucket/feedback`` or any other filesystem
            of fsspec, or the scheme of an installed backend.
        redact: what every entry goes through before it is written: see `FeedbackStore`.
        cache_ttl_s: remember answers, by a `feedback_store.layers.CachedStore` around the store,
            and for how long, in seconds, where nothing else says that they still hold; unless
            given, nothing is remembered.
        cache_revalidate: when to ask whether remembered answers still hold: see `CachedStore`.
            Unless given, ``"always"``, but ``"ttl"`` for a bucket, where asking costs a request.
        **options: what the backend takes: see the class of the store. A folder of month files
            also takes ``beside_older_writer=True``, while an older service still writes there.

    Raises:
        UnknownBackendError: no backend is known for the scheme.
        MissingExtraError: the backend needs a package that is not installed.
        ValueError: a value that an option cannot have.
    """
    if cache_ttl_s is not None and not cache_ttl_s > 0:
        msg = f"cache_ttl_s must be more than 0 seconds, or None for no cache, not {cache_ttl_s!r}"
        raise ValueError(msg)
    store = _open(location, options)
    if cache_ttl_s is None:
        return FeedbackStore(store, redact=redact)
    from feedback_store.layers import CachedStore  # noqa: PLC0415  # only what is used

    own: Revalidate = getattr(store, "cache_revalidate", "always")
    cached = CachedStore(store, ttl_s=cache_ttl_s, revalidate=cache_revalidate or own)
    return FeedbackStore(cached, redact=redact)


def _open(location: str | os.PathLike[str], options: dict[str, Any]) -> Store:
    text = os.fspath(location)
    if not text:
        msg = "the location is empty; give a folder, such as 'data/feedback', or a URL"
        raise UnknownBackendError(msg)
    if not isinstance(location, str) or not (found := _SCHEME.match(text)):
        return _open_folder(text, **options)
    return _opener(found[0][:-1].lower())(text, **options)


def open_async_store(
    location: str | os.PathLike[str], *, max_threads: int = 8, **options: Any  # noqa: ANN401  # as above
) -> "AsyncFeedbackStore":  # fmt: skip
    """Open the store at a location, for asynchronous code. This itself is not awaited.

    Args:
        location: as for `open_store`.
        max_threads: how many calls may run at the same time, ``add`` apart.
        **options: as for `open_store`.

    Raises:
        UnknownBackendError: no backend is known for the scheme.
        MissingExtraError: the extra ``async`` is not installed, or what the backend needs.
    """
    from feedback_store.aio import AsyncFeedbackStore  # noqa: PLC0415  # anyio may be absent

    return AsyncFeedbackStore(open_store(location, **options), max_threads=max_threads)


def open_source(
    location: str | os.PathLike[str], **options: Any  # noqa: ANN401  # as above
) -> "FeedbackStore | TableSource":  # fmt: skip
    """Open what entries can be read from: a store, or a table of other people.

    Args:
        location: as for `open_store`, or ``postgresql://host/database?table=votes``.
        **options: as for `open_store`, or `TableSource`.

    Raises:
        UnknownBackendError: no backend is known for the scheme.
        MissingExtraError: the extra that the backend needs is not installed.
    """
    text = os.fspath(location)
    if isinstance(location, str) and _TABLE.match(text):
        from feedback_store.backends.postgres.table import table_source_of  # noqa: PLC0415  # only what is used

        return table_source_of(text, **options)
    return open_store(location, **options)


_TABLE = re.compile(r"(?i)postgres(ql)?://[^?]*\?(.*&)?table=")


def _open_folder(path: str, *, beside_older_writer: bool = False, **options: Any) -> Store:  # noqa: ANN401  # as above
    if beside_older_writer:
        from feedback_store.backends.jsonl.beside import BesideOlderWriterStore  # noqa: PLC0415  # only what is used

        return BesideOlderWriterStore(path, **options)
    from feedback_store.backends.jsonl import JsonlStore  # noqa: PLC0415  # as above

    return JsonlStore(path, **options)


def _open_jsonl(url: str, **options: Any) -> Store:  # noqa: ANN401  # as above
    return _open_folder(path_of(url), **options)


def _open_memory(url: str, **options: Any) -> Store:  # noqa: ANN401, ARG001  # as above; there is no location in it
    from feedback_store.backends.memory import MemoryStore  # noqa: PLC0415  # only what is used

    return MemoryStore(**options)


def path_of(url: str) -> str:
    """Return the path of a URL with three slashes for a relative one, four for an absolute one.

    Raises:
        UnknownBackendError: the URL has another number of slashes, or a ``?``.
    """
    scheme, _, rest = url.partition(":")
    if "?" in rest:
        msg = "options are not part of the URL: open_store(url, durability='os'); write ? as %3F"
        raise UnknownBackendError(msg)
    if not rest.startswith("///") or rest == "///":
        msg = (
            f"a {scheme} URL has three slashes before a relative path and four before an "
            f"absolute one: {scheme}:///data/feedback, {scheme}:////srv/feedback"
        )
        raise UnknownBackendError(msg)
    return unquote(rest[3:])


def _open_sqlite(url: str, **options: Any) -> Store:  # noqa: ANN401  # as above
    from feedback_store.backends.sqlite import SqliteStore  # noqa: PLC0415  # only what is used

    path = ":memory:" if url.partition(":")[2] in _IN_MEMORY else path_of(url)
    return SqliteStore(path, **options)


def _open_postgres(url: str, **options: Any) -> Store:  # noqa: ANN401  # as above
    from feedback_store.backends.postgres import PostgresStore  # noqa: PLC0415  # psycopg may be absent

    return PostgresStore(url, **options)


_IN_MEMORY = {"//", "///:memory:"}
_OPENERS: dict[str, Callable[..., Store]] = {
    "jsonl": _open_jsonl,
    "mem": _open_memory,
    "postgres": _open_postgres,
    "postgresql": _open_postgres,
    "sqlite": _open_sqlite,
}


def _opener(scheme: str) -> Callable[..., Store]:
    if scheme in _OPENERS:
        return _OPENERS[scheme]
    from importlib.metadata import entry_points  # noqa: PLC0415  # as slow as all other imports

    installed = entry_points(group=ENTRY_POINT_GROUP)
    for point in installed:
        if point.name == scheme:
            opener: Callable[..., Store] = point.load()
            return opener
    from feedback_store.backends.objects import opening as objects  # noqa: PLC0415  # only what is used

    if objects.serves(scheme):
        return objects.open_url
    known = sorted({*_OPENERS, *(point.name for point in installed)})
    msg = (
        f"no backend is known for {scheme}: URLs; known are {', '.join(known)}, plain paths, and "
        "the filesystems of fsspec, such as s3, gs, abfs and file. "
        f"A package can add one by the entry point group {ENTRY_POINT_GROUP!r}"
    )
    raise UnknownBackendError(msg)
