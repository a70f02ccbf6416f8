"""Where a database is, as it is shown: a password is never in it."""

import pytest

from feedback_store import MissingExtraError, UnknownBackendError, open_store
from feedback_store.backends.postgres import PostgresStore, _extra
from feedback_store.backends.postgres.address import parse

SECRET = "sesame-87"


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        (f"postgresql://ada:{SECRET}@db.test:5433/app", "postgresql://ada@db.test:5433/app"),
        (f"postgres://ada:{SECRET}@db.test/app", "postgresql://ada@db.test/app"),
        (f"POSTGRESQL://ada:{SECRET}@db.test", "postgresql://ada@db.test"),
        (f"postgresql://db.test/app?password={SECRET}&user=ada", "postgresql://ada@db.test/app"),
        (f"postgresql://db.test/app?sslpassword={SECRET}", "postgresql://db.test/app"),
        (f"postgresql://ada:{SECRET}@/app?host=/run/pg", "postgresql://ada@%2Frun%2Fpg/app"),
        (f"postgresql://ada:{SECRET}@[::1]:5433/app", "postgresql://ada@[::1]:5433/app"),
        (f"host=db.test user=ada password={SECRET} dbname=app", "postgresql://ada@db.test/app"),
        (f"dbname=postgresql://ada:{SECRET}@db.test/app", "postgresql:///..."),
        ("postgresql://", "postgresql://"),
    ],
)
def test_an_address_is_shown_without_its_password(given: str, shown: str) -> None:
    """User, host, port and database are shown, and nothing else."""
    address = parse(given)
    assert shown == address.shown
    assert SECRET not in repr(address)
    store = PostgresStore(given)
    assert f"PostgresStore({shown!r}, table='feedback')" == repr(store)
    store.close()


def test_parameters_of_the_url_go_to_libpq() -> None:
    """What stands after the ``?`` is for the connection; ``table`` is taken out of it."""
    address = parse("postgresql://db.test/app?sslmode=require&table=old%20votes&connect_timeout=3")
    assert "old votes" == address.table
    assert {"sslmode=require", "connect_timeout=3"} < set(address.conninfo.split())
    assert parse("postgresql://db.test/app").table is None
    assert "password=a+b" in parse("postgresql://h/d?table=t&password=a+b").conninfo


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        (f"postgresql://ada:{SECRET}%zz@db.test/app", "percent-encoded"),
        (f"postgresql://ada:{SECRET}@db.test:port/app", "percent-encoded"),
        (f"postgresql://db.test/app?password={SECRET}&tabel=votes", "'tabel'"),
        (f"mysql://ada:{SECRET}@db.test/app", "no URL of a PostgreSQL database"),
        (f"{SECRET}", "no URL of a PostgreSQL database"),
    ],
)
def test_what_is_no_address_is_refused_without_quoting_it(wrong: str, told: str) -> None:
    """The error says what to write, and holds nothing of the password; nor does what caused it."""
    with pytest.raises(UnknownBackendError, match=told) as caught:
        parse(wrong)
    assert SECRET not in str(caught.value)
    assert (None, None) == (caught.value.__cause__, caught.value.__context__)


def test_without_psycopg_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its absence is told before anything else of it is imported."""
    monkeypatch.setattr(_extra, "find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"feedback-store\[postgres\]"):
        _extra.require_extra()


def test_a_foreign_table_is_no_store() -> None:
    """``?table=`` is for tables of other programs; the error names the option for the store's."""
    with pytest.raises(UnknownBackendError, match="table='feedback'"):
        open_store("postgresql://db.test/app?table=votes")


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("table", "a b"), ("table", ""), ("table", 'x"; DROP'), ("table", "t" * 49),
        ("schema", "a.b"), ("durability", "never"), ("max_connections", 0),
    ],
)  # fmt: skip
def test_a_wrong_option_is_refused(option: str, value: object) -> None:
    """A value that an option cannot have is a ValueError at opening."""
    with pytest.raises(ValueError, match=option):
        PostgresStore("postgresql://db.test/app", **{option: value})  # type: ignore[arg-type]  # the point
