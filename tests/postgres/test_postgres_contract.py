"""The shipped suite on the PostgreSQL store, on a real server."""

import itertools
from collections.abc import Iterator
from contextlib import closing
from typing import Any, ClassVar

import psycopg
import pytest
from pg_server import PostgresServer

from feedback_store.backends.postgres import PostgresStore, writing
from feedback_store.store import Store
from feedback_store.testing import StoreContract, StoreMachine
from feedback_store.testing.contract.adding import AddingContract
from feedback_store.testing.contract.base import ContractBase, an_entry
from feedback_store.testing.contract.threads import ThreadsContract

_FILES = """
SELECT coalesce(pg_read_binary_file(pg_relation_filepath(c.oid::regclass)), '')
FROM pg_class c WHERE relkind IN ('r', 'i', 't') AND relfilenode <> 0
  AND (relname LIKE %s OR relname LIKE 'pg_toast%%')
"""


@pytest.fixture(scope="class")
def database(postgres: PostgresServer) -> Iterator[str]:
    """A database of the class: its stores are tables of many names in it."""
    url = postgres.new_database()
    yield url
    postgres.drop(url)


class PostgresMade(ContractBase):
    """How a suite comes to stores with some options."""

    options: ClassVar[dict[str, Any]] = {}

    numbers = itertools.count()

    @pytest.fixture(autouse=True)
    def _database(self, database: str) -> None:
        self.url = database

    def make_store(self) -> PostgresStore:
        """See `StoreContract.make_store`."""
        return PostgresStore(self.url, table=f"feedback{next(self.numbers)}", **self.options)

    def reopen(self, store: Store) -> PostgresStore:
        """See `StoreContract.reopen`."""
        store.close()
        return self.open_second(store)

    def open_second(self, store: Store) -> PostgresStore:
        """See `StoreContract.open_second`."""
        assert isinstance(store, PostgresStore)
        return PostgresStore(self.url, table=store._names.table, **self.options)

    def raw_bytes(self, store: Store) -> bytes:
        """See `StoreContract.raw_bytes`: the files of the tables, and not the server's log."""
        assert isinstance(store, PostgresStore)
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute("CHECKPOINT")
            rows = connection.execute(_FILES, (f"{store._names.table}%",), binary=True)
            return b"".join(row[0] for row in rows)


class TestPostgres(PostgresMade, StoreContract):
    """The whole suite, on a store as it is used."""

    gaps: ClassVar = {
        "test_nothing_of_an_erased_entry_stays_on_the_medium": (
            "VACUUM frees the place of a row without overwriting it; compact writes the file anew"
        ),
    }


class TestPostgresCopying(PostgresMade, AddingContract, ThreadsContract):
    """Every batch is copied where it can be, without waiting for the server's disk."""

    options: ClassVar[dict[str, Any]] = {"durability": "os", "max_connections": 3}

    @pytest.fixture(autouse=True)
    def _copy_at_once(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(writing, "_BULK", 1)


class PostgresMachine(StoreMachine):
    """The machine, on tables of one database."""

    url: ClassVar[str]
    numbers = itertools.count()

    def make_store(self) -> PostgresStore:
        """See `StoreMachine.make_store`."""
        return PostgresStore(self.url, table=f"machine{next(self.numbers)}", durability="os")


@pytest.fixture
def _database_of_the_machine(database: str) -> None:
    PostgresMachine.url = database


TestPostgresMachine = pytest.mark.usefixtures("_database_of_the_machine")(PostgresMachine.TestCase)


def test_after_compacting_nothing_of_an_erased_entry_is_in_the_files(database: str) -> None:
    """What `erase` leaves in free places of the files is gone once they are written anew."""
    suite = TestPostgres()
    suite.url = database
    with closing(suite.make_store()) as store:
        store.append([an_entry("secret-id"), an_entry("b")])
        assert b"secret" in suite.raw_bytes(store)
        store.erase(["secret-id"])
        store.compact()
        assert b"secret" not in suite.raw_bytes(store)
