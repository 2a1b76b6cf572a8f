"""The database of a ledger in PostgreSQL: one writer by advisory lock, connections that come back."""

from __future__ import annotations

import contextlib
import re
import threading
import uuid
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar
from urllib.parse import urlsplit

import psycopg

from pressopt.clock import wall_monotonic_s, wall_pause_s
from pressopt.errors import JournalFull, JournalLocked, JournalNewer, JournalUnreadable
from pressopt.store.ledger import LAYOUT, Statement

T = TypeVar("T")
#: How long a server that was stopped is waited for, s, before whoever asks is told.
PATIENCE_S = 20.0
_PAUSE_S = 0.2
#: Advisory lock of the one writer of a database ("PREL").
_LOCK = 0x5052454C

_TABLES = """
CREATE TABLE entry (
    number  BIGINT PRIMARY KEY CHECK (number > 0),
    stream  TEXT NOT NULL,
    seq     BIGINT NOT NULL,
    at      TEXT NOT NULL,
    actor   TEXT NOT NULL,
    kind    TEXT NOT NULL,
    version INTEGER NOT NULL,
    body    TEXT NOT NULL,
    digest  TEXT NOT NULL,
    UNIQUE (stream, seq)
);
CREATE TABLE blob (digest TEXT PRIMARY KEY, data BYTEA NOT NULL);
CREATE TABLE held (stream TEXT, digest TEXT, PRIMARY KEY (stream, digest));
CREATE TABLE summary (stream TEXT PRIMARY KEY, body TEXT NOT NULL);
CREATE TABLE receipt (
    key TEXT PRIMARY KEY, request TEXT NOT NULL, status INTEGER NOT NULL, body TEXT NOT NULL, at TEXT NOT NULL
);
CREATE TABLE intake (source TEXT, stream TEXT, seq BIGINT NOT NULL, PRIMARY KEY (source, stream));
CREATE TABLE mark (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE FUNCTION pressopt_kept() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN RAISE EXCEPTION 'what is written down never changes'; END $$;
CREATE TRIGGER entry_kept BEFORE UPDATE OR DELETE OR TRUNCATE ON entry
    FOR EACH STATEMENT EXECUTE FUNCTION pressopt_kept();
CREATE TRIGGER blob_kept BEFORE UPDATE OR DELETE OR TRUNCATE ON blob
    FOR EACH STATEMENT EXECUTE FUNCTION pressopt_kept();
"""


class PostgresDatabase:
    """One writing connection that holds the advisory lock, and one for each thread that looks."""

    def __init__(self, address: str, *, writing: bool) -> None:
        self._address = address
        self._mine = threading.local()
        self._readers: list[psycopg.Connection[Any]] = []
        self._writer = self._writing() if writing else None

    @classmethod
    def open(cls, address: str, *, writing: bool = True) -> PostgresDatabase:
        """Connect to a database; make the tables where there are none.

        Raises:
            JournalLocked: Another service writes it.
            JournalUnreadable: There is no such database, or no way in.
        """
        try:
            return cls(address, writing=writing)
        except psycopg.Error as error:
            raise JournalUnreadable(f"{_shown(address)} cannot be opened: {error}") from error

    @property
    def where(self) -> str:
        return _shown(self._address)

    def _connect(self) -> psycopg.Connection[Any]:
        return psycopg.connect(self._address, autocommit=True, connect_timeout=5, application_name="pressopt")

    def _writing(self) -> psycopg.Connection[Any]:
        """Connect as the one writer."""
        db = self._connect()
        try:
            if not db.execute("SELECT pg_try_advisory_lock(%s)", (_LOCK,)).fetchall()[0][0]:
                raise JournalLocked(f"{self.where} is being written by another service: stop that one first")
            db.execute("SET synchronous_commit = on")
            if db.execute("SELECT to_regclass('entry')").fetchall()[0][0] is None:
                with db.transaction():
                    db.execute(_TABLES)
                    db.execute("INSERT INTO mark VALUES ('layout', %s)", (str(LAYOUT),))
            layout = int(db.execute("SELECT value FROM mark WHERE name = 'layout'").fetchall()[0][0])
            if layout > LAYOUT:
                raise JournalNewer(
                    f"{self.where} was written by a newer pressopt (layout {layout}, this one knows {LAYOUT}): "
                    f"update pressopt"
                )
        except BaseException:
            db.close()
            raise
        return db

    def transact(self, statements: Sequence[Statement]) -> None:
        """Write in one transaction, over a restart of the server where need be.

        When the connection is lost in the very moment of the commit, nobody knows whether it was done: each
        transaction therefore leaves a mark, which is looked for before it is done again.
        """
        if self._writer is None:
            raise JournalFull(f"{self.where} was opened for reading")
        mark = uuid.uuid4().hex
        end_s = wall_monotonic_s() + PATIENCE_S
        tried = False
        while True:
            try:
                if self._writer.closed:
                    self._writer = self._writing()
                    if tried and self._marked(self._writer, mark):
                        return
                tried = True
                self._write(self._writer, statements, mark)
            except (psycopg.OperationalError, JournalLocked) as error:
                # Locked: the server has not yet noticed that our own last connection is gone.
                self._writer.close()
                if wall_monotonic_s() > end_s:
                    raise JournalFull(f"{self.where} cannot be reached: {error}") from error
                wall_pause_s(_PAUSE_S)
            except psycopg.Error as error:
                raise JournalFull(f"{self.where} could not be written: {error}") from error
            else:
                return

    @staticmethod
    def _write(db: psycopg.Connection[Any], statements: Sequence[Statement], mark: str) -> None:
        with db.transaction(), db.cursor() as cursor:
            for sql, values in statements:
                cursor.executemany(_dialect(sql), values)
            cursor.execute(
                "INSERT INTO mark VALUES ('last', %s) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
                (mark,),
            )

    @staticmethod
    def _marked(db: psycopg.Connection[Any], mark: str) -> bool:
        found = db.execute("SELECT value FROM mark WHERE name = 'last'").fetchall()
        return bool(found) and found[0][0] == mark

    def read(self, sql: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        return self._patiently(lambda db: db.execute(_dialect(sql), values).fetchall())

    def _patiently(self, ask: Callable[[psycopg.Connection[Any]], T]) -> T:
        """Ask on this thread's own connection, over a restart of the server where need be."""
        end_s = wall_monotonic_s() + PATIENCE_S
        while True:
            try:
                db: psycopg.Connection[Any] | None = getattr(self._mine, "db", None)
                if db is None or db.closed:
                    db = self._mine.db = self._connect()
                    self._readers.append(db)
                return ask(db)
            except psycopg.OperationalError as error:
                if db is not None:
                    db.close()
                if wall_monotonic_s() > end_s:
                    raise JournalUnreadable(f"{self.where} cannot be reached: {error}") from error
                wall_pause_s(_PAUSE_S)
            except psycopg.Error as error:
                raise JournalUnreadable(f"{self.where} cannot be read: {error}") from error

    @contextlib.contextmanager
    def snapshot(self, queries: Sequence[str]) -> Iterator[list[Iterator[tuple[Any, ...]]]]:
        with contextlib.ExitStack() as stack:
            try:
                db = stack.enter_context(contextlib.closing(self._connect()))
                db.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
                stack.enter_context(db.transaction())
                cursors: list[Iterator[tuple[Any, ...]]] = []
                for place, sql in enumerate(queries):
                    cursor = stack.enter_context(db.cursor(f"pressopt_{place}"))
                    cursors.append(iter(cursor.execute(_dialect(sql))))
                yield cursors
            except psycopg.Error as error:
                raise JournalUnreadable(f"{self.where} cannot be read: {error}") from error

    def check(self) -> None:
        """PostgreSQL checks its own pages; the chain of digests is checked by whoever asks."""

    def copy_file(self, to: object) -> bool:
        """Not its own way: the copy is made table by table from one snapshot."""
        return False

    def close(self) -> None:
        for db in self._readers:
            db.close()
        self._readers.clear()
        if self._writer is not None:
            self._writer.close()


def _dialect(sql: str) -> str:
    return sql.replace("?", "%s")


def _shown(address: str) -> str:
    """An address without its password."""
    parts = urlsplit(address)
    return re.sub(r":[^:@/]*@", ":***@", address) if parts.password else address
