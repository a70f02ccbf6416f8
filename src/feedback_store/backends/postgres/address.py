"""Where a database is: from a URL or a connection string, and how it may be shown.

A password can stand in a URL in two places and in a connection string in more. So nothing of what
was given is ever shown as it was given: what is shown is put together anew from what is harmless.
"""

import re
from collections.abc import Mapping
from urllib.parse import quote, unquote

import attrs
import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from feedback_store.errors import UnknownBackendError

_SCHEME = re.compile(r"(postgresql|postgres)://", re.IGNORECASE)
_PORTS = re.compile(r"[0-9,]*")
_SCHEME_LIKE = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")


@attrs.frozen
class Address:
    """A database, and how to get there.

    Attributes:
        conninfo: what libpq takes, with the password, if one was given.
        shown: the same as a URL without anything secret: user, host, port, and database.
        table: the table that ``?table=`` names; None where it does not.
    """

    conninfo: str = attrs.field(repr=False)
    shown: str
    table: str | None = None


def parse(given: str) -> Address:
    """Return the address that a URL or a connection string stands for; nothing is connected.

    Args:
        given: ``postgresql://user:password@host:5432/database?sslmode=require``, where all but
            the scheme may be missing, or ``host=... dbname=...``. ``?table=`` is taken out of a
            URL, and all else in its query is for libpq.

    Raises:
        UnknownBackendError: it is neither; what was given is not quoted, nor is libpq's message,
            which may hold a password.
    """
    table = None
    if found := _SCHEME.match(given):
        given, table = _without_table(f"postgresql://{given[found.end() :]}")
    elif _SCHEME_LIKE.match(given):
        raise UnknownBackendError(_NO_URL)
    try:
        parts = {key: str(value) for key, value in conninfo_to_dict(given).items()}
    except psycopg.Error:
        parts = None
    if parts is not None and not _PORTS.fullmatch(parts.get("port", "")):
        parts = None
    if parts is None:  # raised out here: the cause would be shown with it, password and all
        raise UnknownBackendError(_refusal(given))
    return Address(make_conninfo(**parts), _shown(parts), table)


_NO_URL = (
    "this is no URL of a PostgreSQL database: write postgresql://user:password@host:5432/database, "
    "and special characters in any part percent-encoded (@ is %40)"
)


def _without_table(url: str) -> tuple[str, str | None]:
    place, mark, query = url.partition("?")
    asked = query.split("&")
    rest = [part for part in asked if not part.startswith("table=")]
    if len(rest) == len(asked):
        return url, None
    table = [part for part in asked if part.startswith("table=")][-1]
    return place + (mark if rest else "") + "&".join(rest), unquote(table.partition("=")[2])


def _refusal(given: str) -> str:
    """Say what is wrong with a URL that libpq does not take."""
    known = {option.keyword.decode() for option in psycopg.pq.Conninfo.get_defaults()}
    query = given.partition("?")[2] if "://" in given else ""
    keys = [part.partition("=")[0] for part in query.split("&") if "=" in part]
    unknown = [key for key in keys if key not in known | {"ssl"}]
    if unknown:
        return (
            f"libpq knows no parameter {unknown[0]!r}; after the ? of the URL come parameters of "
            "the connection, such as sslmode=require; options of the store are keyword arguments"
        )
    return _NO_URL


def _shown(parts: Mapping[str, str]) -> str:
    user, port = parts.get("user", ""), parts.get("port", "")
    host = parts.get("host") or parts.get("hostaddr", "")
    database = parts.get("dbname", "")
    if "=" in database or "://" in database:
        database = "..."  # libpq takes a whole connection string there, password and all
    shown_host = f"[{host}]" if ":" in host and "," not in host else quote(host, safe=",:.")
    return "".join(
        (
            "postgresql://",
            f"{quote(user)}@" if user else "",
            shown_host,
            f":{port}" if port else "",
            f"/{quote(database)}" if database else "",
        )
    )
