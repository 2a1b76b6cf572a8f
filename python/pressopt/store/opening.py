"""Where a service stores: a folder with one SQLite file, or a PostgreSQL database."""

from __future__ import annotations

from pathlib import Path

from pressopt.errors import JournalError
from pressopt.store.ledger import SqlLedger
from pressopt.store.sqlite_database import SqliteDatabase

#: Name of the store's file in its folder.
LEDGER = "service.sqlite"
_POSTGRES = ("postgresql://", "postgres://")


def is_postgres(store: str) -> bool:
    """Whether ``store`` is the address of a PostgreSQL database."""
    return store.startswith(_POSTGRES)


def open_ledger(store: str) -> SqlLedger:
    """Open the store of a service for writing; make it where there is none.

    Args:
        store: A folder, or ``postgresql://user:password@host/database``.

    Raises:
        JournalLocked: Another process writes it.
        JournalError: It cannot be opened.
    """
    if is_postgres(store):
        try:
            from pressopt.store.postgres_database import PostgresDatabase
        except ImportError as error:
            raise JournalError(
                f"PostgreSQL needs the driver psycopg ({error}): pip install 'pressopt[postgres]'"
            ) from error
        return SqlLedger(PostgresDatabase.open(store))
    return SqlLedger(SqliteDatabase.create(Path(store) / LEDGER))


def read_ledger(store: str) -> SqlLedger:
    """Open the store of a service for looking only, whoever writes it."""
    if is_postgres(store):
        from pressopt.store.postgres_database import PostgresDatabase

        return SqlLedger(PostgresDatabase.open(store, writing=False))
    path = Path(store)
    return SqlLedger(SqliteDatabase.read_only(path / LEDGER if path.is_dir() else path))
