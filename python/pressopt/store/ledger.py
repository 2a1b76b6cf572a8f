"""Many journals in one database: the statements, the same for every kind of database."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Protocol

from pressopt.campaign.journal import START, chained, digest_of
from pressopt.campaign.ledger import Receipt, Row, Write
from pressopt.errors import JournalError, JournalUnreadable

#: Shape of the tables; a store with a higher number was written by a newer pressopt.
LAYOUT = 1
#: A statement with all sets of values that it is executed with.
Statement = tuple[str, Sequence[Sequence[Any]]]

#: Tables with their columns, in an order in which they can be filled.
TABLES: dict[str, tuple[str, ...]] = {
    "entry": ("number", "stream", "seq", "at", "actor", "kind", "version", "body", "digest"),
    "blob": ("digest", "data"),
    "held": ("stream", "digest"),
    "summary": ("stream", "body"),
    "receipt": ("key", "request", "status", "body", "at"),
    "intake": ("source", "stream", "seq"),
}
_SAY = {
    "entry": "",
    "blob": " ON CONFLICT (digest) DO NOTHING",
    "held": " ON CONFLICT (stream, digest) DO NOTHING",
    "summary": " ON CONFLICT (stream) DO UPDATE SET body = excluded.body",
    "receipt": "",
    "intake": " ON CONFLICT (source, stream) DO UPDATE SET seq = excluded.seq",
}
_INSERT = {
    table: f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({', '.join('?' * len(columns))}){_SAY[table]}"
    for table, columns in TABLES.items()
}
_ROW = "stream, seq, at, actor, kind, version, body, digest"
#: Rows copied at a time.
_CHUNK = 500


class Database(Protocol):
    """What a kind of database has to do; statements mark values by ``?``.

    - ``transact`` returns when all statements are on disk, all of them or none; raises JournalFull otherwise.
    - ``read`` may be called from any thread; raises JournalUnreadable.
    """

    @property
    def where(self) -> str:
        """How people name it."""
        ...

    def transact(self, statements: Sequence[Statement]) -> None: ...

    def read(self, sql: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]: ...

    def snapshot(self, queries: Sequence[str]) -> AbstractContextManager[list[Iterator[tuple[Any, ...]]]]:
        """Answer several queries from one moment, whatever is written meanwhile."""
        ...

    def check(self) -> None:
        """Raise JournalUnreadable where the database itself is damaged."""
        ...

    def copy_file(self, to: Path) -> bool:
        """Copy the database as it is now into a new file where that is its own way; else return False."""
        ...

    def close(self) -> None: ...


class SqlLedger:
    """Implements :class:`pressopt.campaign.ledger.Ledger` on a database."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._last = int(database.read("SELECT coalesce(max(number), 0) FROM entry")[0][0])

    @property
    def where(self) -> str:
        """How people name the store."""
        return self._database.where

    # ------------------------------------------------------------------ writing

    def write(self, writes: Sequence[Write]) -> list[int]:
        number, first = self._last, []
        values: dict[str, list[Sequence[Any]]] = {table: [] for table in TABLES}
        for write in writes:
            first.append(number + 1)
            for row in write.rows:
                number += 1
                values["entry"].append(
                    (number, row.stream, row.seq, row.at, row.actor, row.kind, row.version, row.body, row.digest)
                )
            for data in write.blobs:
                digest = digest_of(data)
                values["blob"].append((digest, data))
                values["held"] += [(stream, digest) for stream in dict.fromkeys(row.stream for row in write.rows)]
            values["summary"] += write.summaries
            if write.receipt is not None:
                got = write.receipt
                values["receipt"].append((got.key, got.request, got.status, got.body, got.at))
            if write.intake is not None:
                values["intake"].append((write.intake.source, write.intake.stream, write.intake.seq))
        # Of several views of the same thing only the last one stays.
        values["summary"] = list({summary[0]: summary for summary in values["summary"]}.values())
        values["intake"] = list({(one[0], one[1]): one for one in values["intake"]}.values())
        statements = [(_INSERT[table], rows) for table, rows in values.items() if rows]
        if statements:
            self._database.transact(statements)
        self._last = number
        return first

    # ------------------------------------------------------------------ reading

    @property
    def last_number(self) -> int:
        return self._last

    def streams(self) -> list[str]:
        found = self._database.read("SELECT stream FROM entry WHERE seq = 1 ORDER BY number")
        return [stream for (stream,) in found]

    def rows(self, stream: str, after: int = 0) -> list[Row]:
        sql = f"SELECT {_ROW} FROM entry WHERE stream = ? AND seq > ? ORDER BY seq"
        return [Row(*found) for found in self._database.read(sql, (stream, after))]

    def news(self, after: int, limit: int, stream: str | None = None) -> list[tuple[int, Row]]:
        where = "number > ?"
        values: tuple[int | str, ...] = (after,)
        if stream is not None:
            where, values = "number > ? AND stream = ?", (after, stream)
        sql = f"SELECT number, {_ROW} FROM entry WHERE {where} ORDER BY number LIMIT ?"
        return [(found[0], Row(*found[1:])) for found in self._database.read(sql, (*values, limit))]

    def blob(self, digest: str) -> bytes:
        found = self._database.read("SELECT data FROM blob WHERE digest = ?", (digest,))
        data = bytes(found[0][0]) if found else b""
        if not found or digest_of(data) != digest:
            raise JournalUnreadable(f"{self.where} lacks the raw data {digest[:12]}…, or they were changed")
        return data

    def blobs_of(self, stream: str) -> Iterator[bytes]:
        for (digest,) in self._database.read(
            "SELECT digest FROM held WHERE stream = ? ORDER BY digest", (stream,)
        ):
            yield self.blob(digest)

    def summaries(self) -> dict[str, str]:
        return dict(self._database.read("SELECT stream, body FROM summary"))

    def receipt(self, key: str) -> Receipt | None:
        found = self._database.read("SELECT key, request, status, body, at FROM receipt WHERE key = ?", (key,))
        return Receipt(*found[0]) if found else None

    def taken(self, source: str, stream: str) -> int:
        found = self._database.read("SELECT seq FROM intake WHERE source = ? AND stream = ?", (source, stream))
        return int(found[0][0]) if found else 0

    # ------------------------------------------------------------------ trust and copies

    def verify(self) -> dict[str, int]:
        """Check chains, numbers and raw data.

        Raises:
            JournalUnreadable: With the stream and the number of the first entry that does not fit.
        """
        self._database.check()
        heads: dict[str, tuple[int, str]] = {}
        expected = 0
        queries = (
            f"SELECT number, {_ROW} FROM entry ORDER BY number",
            "SELECT digest, data FROM blob",
        )
        with self._database.snapshot(queries) as (entries, blobs):
            for number, stream, seq, at, actor, kind, version, body, digest in entries:
                expected += 1
                count, previous = heads.get(stream, (0, START))
                fits = chained(previous, seq, at, actor, kind, version, body) == digest
                if not fits or seq != count + 1 or number != expected:
                    raise JournalUnreadable(
                        f"{self.where}: entry {seq} of '{stream}' was changed, added or removed afterwards"
                    )
                heads[stream] = (seq, digest)
            for digest, data in blobs:
                if digest_of(bytes(data)) != digest:
                    raise JournalUnreadable(f"{self.where}: the raw data {digest[:12]}… were changed")
        return {stream: count for stream, (count, _) in heads.items()}

    def backup(self, to: Path) -> int:
        """Copy everything into a new SQLite file and check the copy.

        Raises:
            JournalError: The file exists already, cannot be written, or the copy is not whole.
        """
        from pressopt.store.sqlite_database import SqliteDatabase

        if to.exists():
            raise JournalError(f"{to} exists already: give the name of a new file")
        part = to.with_name(f".{to.name}.part")
        part.unlink(missing_ok=True)
        try:
            if not self._database.copy_file(part):
                target = SqliteDatabase.create(part)
                try:
                    copy(self._database, target)
                finally:
                    target.close()
            copied = SqlLedger(SqliteDatabase.read_only(part))
            try:
                count = sum(copied.verify().values())
            finally:
                copied.close()
        except OSError as error:
            raise JournalError(f"{to} could not be written: {error.strerror or error}") from error
        for ending in ("-wal", "-shm"):
            part.with_name(part.name + ending).unlink(missing_ok=True)
        part.with_suffix(".lock").unlink(missing_ok=True)
        os.replace(part, to)
        return count

    def restore(self, source: Path) -> int:
        """Fill this empty ledger from a backup; return the number of entries.

        Raises:
            JournalError: Something is in this ledger already, or the backup is damaged.
        """
        from pressopt.store.sqlite_database import SqliteDatabase

        if self._last:
            raise JournalError(f"{self.where} holds {self._last} entries: restore into an empty store")
        backup = SqliteDatabase.read_only(source)
        try:
            SqlLedger(backup).verify()
            copy(backup, self._database)
        finally:
            backup.close()
        self._last = int(self._database.read("SELECT coalesce(max(number), 0) FROM entry")[0][0])
        return self._last

    def close(self) -> None:
        self._database.close()


def copy(source: Database, target: Database) -> None:
    """Copy all tables as they are at one moment."""
    queries = [f"SELECT {', '.join(columns)} FROM {table}" for table, columns in TABLES.items()]
    queries[0] += " ORDER BY number"
    with source.snapshot(queries) as tables:
        for table, rows in zip(TABLES, tables, strict=True):
            for chunk in _chunks(rows):
                target.transact([(_INSERT[table], chunk)])


def _chunks(rows: Iterable[tuple[Any, ...]]) -> Iterator[list[tuple[Any, ...]]]:
    chunk: list[tuple[Any, ...]] = []
    for row in rows:
        chunk.append(row)
        if len(chunk) >= _CHUNK:
            yield chunk
            chunk = []
    if chunk:
        yield chunk
