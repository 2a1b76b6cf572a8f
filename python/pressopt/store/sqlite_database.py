"""The database of a ledger in one SQLite file: WAL, synchronous FULL, one writer, readers of their own."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from pressopt.errors import JournalFull, JournalMissing, JournalNewer, JournalUnreadable
from pressopt.store.ledger import LAYOUT, Statement
from pressopt.store.sqlite_journal import refuse_network_file_system, take_lock

#: "PREL": marks the file as a pressopt ledger in SQLite's own header.
APPLICATION_ID = 0x5052454C

_TABLES = """
CREATE TABLE entry (
    number  INTEGER PRIMARY KEY CHECK (number > 0),
    stream  TEXT NOT NULL,
    seq     INTEGER NOT NULL,
    at      TEXT NOT NULL,
    actor   TEXT NOT NULL,
    kind    TEXT NOT NULL,
    version INTEGER NOT NULL,
    body    TEXT NOT NULL,
    digest  TEXT NOT NULL,
    UNIQUE (stream, seq)
) STRICT;
CREATE TABLE blob (digest TEXT PRIMARY KEY, data BLOB NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE held (stream TEXT, digest TEXT, PRIMARY KEY (stream, digest)) STRICT, WITHOUT ROWID;
CREATE TABLE summary (stream TEXT PRIMARY KEY, body TEXT NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE receipt (
    key     TEXT PRIMARY KEY,
    request TEXT NOT NULL,
    status  INTEGER NOT NULL,
    body    TEXT NOT NULL,
    at      TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE intake (
    source TEXT, stream TEXT, seq INTEGER NOT NULL, PRIMARY KEY (source, stream)
) STRICT, WITHOUT ROWID;
CREATE TRIGGER entry_in_order BEFORE INSERT ON entry
    WHEN NEW.number <> (SELECT coalesce(max(number), 0) + 1 FROM entry)
    BEGIN SELECT raise(ABORT, 'entries are appended, one after the other'); END;
CREATE TRIGGER entry_unchanged BEFORE UPDATE ON entry BEGIN SELECT raise(ABORT, 'entries never change'); END;
CREATE TRIGGER entry_kept BEFORE DELETE ON entry BEGIN SELECT raise(ABORT, 'entries are never deleted'); END;
CREATE TRIGGER blob_unchanged BEFORE UPDATE ON blob BEGIN SELECT raise(ABORT, 'raw data never change'); END;
CREATE TRIGGER blob_kept BEFORE DELETE ON blob BEGIN SELECT raise(ABORT, 'raw data are never deleted'); END;
"""


class SqliteDatabase:
    """One writing connection under a lock, and one read-only connection for each thread that looks."""

    def __init__(self, path: Path, lock: int | None) -> None:
        self.path = path
        self._lock = lock
        self._mine = threading.local()
        self._readers: list[sqlite3.Connection] = []
        self._writer = self._connect("rw") if lock is not None else None
        with contextlib.closing(self._connect("ro")) as db:
            self._recognise(db)

    @classmethod
    def create(cls, path: Path) -> SqliteDatabase:
        """Open the ledger at ``path`` for writing; make it where there is none.

        Raises:
            JournalLocked: Another process writes it.
            JournalFull: The folder cannot be written.
        """
        refuse_network_file_system(path)
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            lock = take_lock(path)
        except OSError as error:
            raise JournalFull(f"{path.parent} cannot be written: {error.strerror}") from error
        try:
            if not path.exists():
                _make(path)
            return cls(path, lock)
        except (sqlite3.Error, OSError) as error:
            os.close(lock)
            raise JournalFull(f"{path} cannot be written: {error}") from error
        except BaseException:
            os.close(lock)
            raise

    @classmethod
    def read_only(cls, path: Path) -> SqliteDatabase:
        """Open an existing ledger for looking only, whoever writes it."""
        if not path.is_file():
            raise JournalMissing(f"there is no store at {path}")
        return cls(path, None)

    @property
    def where(self) -> str:
        return str(self.path)

    def _connect(self, mode: str) -> sqlite3.Connection:
        try:
            db = sqlite3.connect(
                f"{self.path.resolve().as_uri()}?mode={mode}",
                uri=True,
                isolation_level=None,
                timeout=60.0,
                check_same_thread=False,
            )
            if mode == "rw":
                db.execute("PRAGMA journal_mode=WAL")
                db.execute("PRAGMA synchronous=FULL")
            else:
                db.execute("PRAGMA query_only=ON")
        except sqlite3.Error as error:
            raise JournalUnreadable(f"{self.path} cannot be opened: {error}") from error
        return db

    def _recognise(self, db: sqlite3.Connection) -> None:
        try:
            application = db.execute("PRAGMA application_id").fetchone()[0]
            layout = db.execute("PRAGMA user_version").fetchone()[0]
        except sqlite3.Error as error:
            raise JournalUnreadable(f"{self.path} is no readable store: {error}") from error
        if application != APPLICATION_ID:
            raise JournalUnreadable(f"{self.path} is a database of another program, not a store of pressopt")
        if layout > LAYOUT:
            raise JournalNewer(
                f"{self.path} was written by a newer pressopt (layout {layout}, this one knows {LAYOUT}): "
                f"update pressopt"
            )

    def transact(self, statements: Sequence[Statement]) -> None:
        if self._writer is None:
            raise JournalFull(f"{self.path} was opened for reading")
        db = self._writer
        try:
            db.execute("BEGIN IMMEDIATE")
            for sql, values in statements:
                db.executemany(sql, values)
            db.execute("COMMIT")
        except sqlite3.Error as error:
            with contextlib.suppress(sqlite3.Error):  # the transaction may already be gone; the cause is reported
                db.execute("ROLLBACK")
            raise JournalFull(f"{self.path} could not be written: {error}") from error

    def read(self, sql: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        db: sqlite3.Connection | None = getattr(self._mine, "db", None)
        if db is None:
            db = self._mine.db = self._connect("ro")
            self._readers.append(db)
        try:
            return db.execute(sql, values).fetchall()
        except sqlite3.Error as error:
            raise JournalUnreadable(f"{self.path} is damaged: {error}") from error

    @contextlib.contextmanager
    def snapshot(self, queries: Sequence[str]) -> Iterator[list[Iterator[tuple[Any, ...]]]]:
        with contextlib.closing(self._connect("ro")) as db:
            try:
                db.execute("BEGIN")
                yield [iter(db.execute(sql)) for sql in queries]
            except sqlite3.Error as error:
                raise JournalUnreadable(f"{self.path} is damaged: {error}") from error

    def check(self) -> None:
        found = self.read("PRAGMA integrity_check")[0][0]
        if found != "ok":
            raise JournalUnreadable(f"{self.path} is damaged: {found}")

    def copy_file(self, to: Path) -> bool:
        with contextlib.closing(self._connect("ro")) as db:
            try:
                db.execute("PRAGMA query_only=OFF")
                db.execute("VACUUM INTO ?", (str(to),))
            except sqlite3.Error as error:
                raise JournalFull(f"{to} could not be written: {error}") from error
        return True

    def close(self) -> None:
        for db in self._readers:
            db.close()
        self._readers.clear()
        if self._writer is not None:
            self._writer.close()
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


def _make(path: Path) -> None:
    """Make the file whole or not at all."""
    fresh = path.with_name(path.name + ".new")
    fresh.unlink(missing_ok=True)
    os.close(os.open(fresh, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))  # tokens' digests lie in it
    with contextlib.closing(sqlite3.connect(fresh, isolation_level=None)) as db:
        db.executescript(
            f"BEGIN IMMEDIATE; PRAGMA application_id={APPLICATION_ID}; PRAGMA user_version={LAYOUT};"
            f"{_TABLES} COMMIT;"
        )
    fresh.replace(path)
