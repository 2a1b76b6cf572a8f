"""The journal of one campaign in one SQLite file: WAL, synchronous FULL, append-only, hash-chained."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import sqlite3
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from pressopt.campaign.events import Event, from_json, to_json
from pressopt.campaign.journal import START, Entry, Wish, chained, digest_of
from pressopt.campaign.ledger import Row
from pressopt.clock import utc_now
from pressopt.errors import (
    JournalError,
    JournalFull,
    JournalLocked,
    JournalMissing,
    JournalNewer,
    JournalUnreadable,
)

#: Shape of the tables; a file with a higher number was written by a newer pressopt.
LAYOUT = 1
#: "PRES": marks the file as a pressopt journal in SQLite's own header.
APPLICATION_ID = 0x50524553

_TABLES = """
CREATE TABLE event (
    seq     INTEGER PRIMARY KEY CHECK (seq > 0),
    at      TEXT NOT NULL,
    actor   TEXT NOT NULL,
    kind    TEXT NOT NULL,
    version INTEGER NOT NULL,
    body    TEXT NOT NULL,
    digest  TEXT NOT NULL
) STRICT;
CREATE TABLE blob (digest TEXT PRIMARY KEY, data BLOB NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE wish (
    number  INTEGER PRIMARY KEY AUTOINCREMENT,
    at      TEXT NOT NULL,
    actor   TEXT NOT NULL,
    kind    TEXT NOT NULL,
    version INTEGER NOT NULL,
    body    TEXT NOT NULL,
    taken   INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE TRIGGER event_in_order BEFORE INSERT ON event
    WHEN NEW.seq <> (SELECT coalesce(max(seq), 0) + 1 FROM event)
    BEGIN SELECT raise(ABORT, 'events are appended, one after the other'); END;
CREATE TRIGGER event_unchanged BEFORE UPDATE ON event BEGIN SELECT raise(ABORT, 'events never change'); END;
CREATE TRIGGER event_kept BEFORE DELETE ON event BEGIN SELECT raise(ABORT, 'events are never deleted'); END;
CREATE TRIGGER blob_unchanged BEFORE UPDATE ON blob BEGIN SELECT raise(ABORT, 'raw data never change'); END;
CREATE TRIGGER blob_kept BEFORE DELETE ON blob BEGIN SELECT raise(ABORT, 'raw data are never deleted'); END;
"""

#: File systems on which SQLite's shared-memory file does not work between processes.
_NETWORK = frozenset({"nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "fuse.sshfs", "afs"})


def refuse_network_file_system(path: Path, mounts: Path = Path("/proc/mounts")) -> None:
    """SQLite's write-ahead log needs shared memory, which network drives do not give."""
    if not mounts.exists():
        return
    folder = path.resolve().parent
    best, kind = Path("/"), ""
    for line in mounts.read_text(encoding="utf-8", errors="replace").splitlines():
        _, where, type_, *_ = line.split(" ")
        point = Path(where.replace("\\040", " "))
        if folder.is_relative_to(point) and len(point.parts) >= len(best.parts):
            best, kind = point, type_
    if kind in _NETWORK:
        raise JournalError(
            f"{path} lies on a network drive ({kind} at {best}), where a journal can be damaged: "
            f"choose a folder on a local disk with --store"
        )


class SqliteJournal:
    """Implements :class:`pressopt.campaign.journal.Journal` in one file.

    Open it with :meth:`create` (a new campaign), :meth:`open` (the one writer) or :meth:`read` (looking never
    hurts).
    """

    def __init__(self, path: Path, connection: sqlite3.Connection, lock: int | None) -> None:
        self.path = path
        self._db = connection
        self._lock = lock

    # ------------------------------------------------------------------ opening

    @classmethod
    def create(cls, path: Path) -> SqliteJournal:
        """Make a new, empty journal, or take up one into which nothing was ever written.

        Raises:
            JournalError: A journal with something in it already lies there.
            JournalFull: The folder cannot be written.
        """
        if path.exists():
            begun = cls.open(path)
            if any(True for _ in begun.entries()):
                begun.close()
                raise JournalError(
                    f"{path} exists already: continue it with `pressopt resume`, or choose another --store"
                )
            return begun
        refuse_network_file_system(path)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            lock = take_lock(path)
        except OSError as error:
            raise JournalFull(
                f"{path.parent} cannot be written: {error.strerror}; choose another --store"
            ) from error
        try:
            _make(path)
            return cls(path, cls._connect(path, "rw"), lock)
        except (sqlite3.Error, OSError) as error:
            os.close(lock)
            raise JournalFull(f"{path} cannot be written: {error}; choose another --store") from error

    @classmethod
    def open(cls, path: Path) -> SqliteJournal:
        """Open an existing journal as its one writer; raise JournalLocked while another process writes it."""
        _check_file(path)
        lock = take_lock(path)
        try:
            return cls(path, cls._checked(path, "rw"), lock)
        except BaseException:
            os.close(lock)
            raise

    @classmethod
    def read(cls, path: Path) -> SqliteJournal:
        """Open an existing journal for looking only, whoever writes it."""
        _check_file(path)
        return cls(path, cls._checked(path, "ro"), None)

    @staticmethod
    def _connect(path: Path, mode: str) -> sqlite3.Connection:
        db = sqlite3.connect(
            f"{path.resolve().as_uri()}?mode={mode}",
            uri=True,
            isolation_level=None,
            timeout=60.0,
            check_same_thread=False,
        )
        if mode != "ro":
            db.execute("PRAGMA journal_mode=WAL")
            db.execute("PRAGMA synchronous=FULL")
        db.execute("PRAGMA foreign_keys=ON")
        return db

    @classmethod
    def _checked(cls, path: Path, mode: str) -> sqlite3.Connection:
        try:
            db = cls._connect(path, mode)
            application = db.execute("PRAGMA application_id").fetchone()[0]
            layout = db.execute("PRAGMA user_version").fetchone()[0]
        except sqlite3.Error as error:
            raise JournalUnreadable(f"{path} is no readable journal: {error}") from error
        if application != APPLICATION_ID:
            db.close()
            raise JournalUnreadable(f"{path} is a database of another program, not a pressopt journal")
        if layout > LAYOUT:
            db.close()
            raise JournalNewer(
                f"{path} was written by a newer pressopt (layout {layout}, this one knows {LAYOUT}): "
                f"update pressopt"
            )
        return db

    # ------------------------------------------------------------------ writing

    def append(self, *events: Event, actor: str, blobs: Sequence[bytes] = (), settles: Sequence[int] = ()) -> None:
        """Write events and blobs and take out the wishes ``settles``, in one transaction; on disk when it returns.

        Raises:
            JournalFull: Nothing of it was written (disk full, read-only, I/O error). A copy of what was to be
                written lies in the temporary folder named in the message, if even that was possible.
        """
        if self._lock is None:
            raise JournalError(f"{self.path} was opened for reading")
        rows = [(type(event).__name__, event.version, to_json(event)) for event in events]
        try:
            self._db.execute("BEGIN IMMEDIATE")
            for data in blobs:
                self._db.execute("INSERT OR IGNORE INTO blob VALUES (?, ?)", (digest_of(data), data))
            last = self._db.execute("SELECT seq, digest FROM event ORDER BY seq DESC LIMIT 1").fetchone()
            seq, previous = last or (0, START)
            for kind, version, body in rows:
                seq += 1
                at = utc_now().isoformat(timespec="milliseconds")
                previous = chained(previous, seq, at, actor, kind, version, body)
                self._db.execute(
                    "INSERT INTO event VALUES (?, ?, ?, ?, ?, ?, ?)",
                    (seq, at, actor, kind, version, body, previous),
                )
            self._db.executemany("UPDATE wish SET taken = 1 WHERE number = ?", [(number,) for number in settles])
            self._db.execute("COMMIT")
        except sqlite3.Error as error:
            with contextlib.suppress(sqlite3.Error):  # the transaction may already be gone; the cause is reported
                self._db.execute("ROLLBACK")
            rescued = _rescue(self.path, rows, blobs)
            raise JournalFull(
                f"{self.path} could not be written ({error}); nothing moves until it can. {rescued}"
            ) from error

    # ------------------------------------------------------------------ reading

    def entries(self, after: int = 0) -> Iterator[Entry]:
        """Entries after number ``after``, in order; raises JournalUnreadable or JournalNewer."""
        try:
            rows = self._db.execute(
                "SELECT seq, at, actor, kind, version, body, digest FROM event WHERE seq > ? ORDER BY seq",
                (after,),
            ).fetchall()
        except sqlite3.Error as error:
            raise JournalUnreadable(f"{self.path} is damaged: {error}") from error
        for seq, at, actor, kind, version, body, digest in rows:
            yield Entry(seq, at, actor, from_json(kind, version, body), digest)

    def blob(self, digest: str) -> bytes:
        try:
            row = self._db.execute("SELECT data FROM blob WHERE digest = ?", (digest,)).fetchone()
        except sqlite3.Error as error:
            raise JournalUnreadable(f"{self.path} is damaged: {error}") from error
        if row is None or digest_of(row[0]) != digest:
            raise JournalUnreadable(f"{self.path} lacks the raw data {digest[:12]}…, or they were changed")
        data: bytes = row[0]
        return data

    def verify(self) -> int:
        """Check the chain of digests, every blob and the file itself.

        Returns:
            The number of entries checked.

        Raises:
            JournalUnreadable: With the number of the first entry that does not fit.
        """
        try:
            found = self._db.execute("PRAGMA integrity_check").fetchone()[0]
            if found != "ok":
                raise JournalUnreadable(f"{self.path} is damaged: {found}")
            previous, count = START, 0
            for seq, at, actor, kind, version, body, digest in self._db.execute(
                "SELECT seq, at, actor, kind, version, body, digest FROM event ORDER BY seq"
            ):
                count += 1
                previous = chained(previous, seq, at, actor, kind, version, body)
                if seq != count or digest != previous:
                    raise JournalUnreadable(f"{self.path}: entry {count} was changed after it was written")
            for digest, data in self._db.execute("SELECT digest, data FROM blob"):
                if digest_of(data) != digest:
                    raise JournalUnreadable(f"{self.path}: the raw data {digest[:12]}… were changed")
        except sqlite3.Error as error:
            raise JournalUnreadable(f"{self.path} is damaged: {error}") from error
        return count

    # ------------------------------------------------------------------ the whole journal, elsewhere

    def last_seq(self) -> int:
        """Number of the newest entry; 0 while there is none."""
        try:
            return int(self._db.execute("SELECT coalesce(max(seq), 0) FROM event").fetchone()[0])
        except sqlite3.Error as error:
            raise JournalUnreadable(f"{self.path} is damaged: {error}") from error

    def rows(self, after: int = 0) -> list[Row]:
        """Entries after number ``after`` as they were written, their events still text."""
        try:
            found = self._db.execute(
                "SELECT seq, at, actor, kind, version, body, digest FROM event WHERE seq > ? ORDER BY seq",
                (after,),
            ).fetchall()
        except sqlite3.Error as error:
            raise JournalUnreadable(f"{self.path} is damaged: {error}") from error
        return [Row("", *row) for row in found]

    def blobs(self) -> Iterator[bytes]:
        """All raw data."""
        try:
            for (data,) in self._db.execute("SELECT data FROM blob ORDER BY digest"):
                yield data
        except sqlite3.Error as error:
            raise JournalUnreadable(f"{self.path} is damaged: {error}") from error

    def take_in(self, rows: Iterable[Row], blobs: Iterable[bytes]) -> None:
        """Fill this empty journal with entries and raw data that were written elsewhere, digests and all.

        The file is whole by itself afterwards: nothing is left in a log beside it.
        """
        try:
            self._db.execute("BEGIN IMMEDIATE")
            for data in blobs:
                self._db.execute("INSERT OR IGNORE INTO blob VALUES (?, ?)", (digest_of(data), data))
            self._db.executemany(
                "INSERT INTO event VALUES (?, ?, ?, ?, ?, ?, ?)",
                ((r.seq, r.at, r.actor, r.kind, r.version, r.body, r.digest) for r in rows),
            )
            self._db.execute("COMMIT")
            self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        except sqlite3.Error as error:
            with contextlib.suppress(sqlite3.Error):  # the transaction may already be gone; the cause is reported
                self._db.execute("ROLLBACK")
            raise JournalFull(f"{self.path} could not be written: {error}") from error

    # ------------------------------------------------------------------ inbox

    def wishes(self) -> list[Wish]:
        """Return the wishes of which nothing has become yet, oldest first."""
        try:
            rows = self._db.execute(
                "SELECT number, actor, kind, version, body FROM wish WHERE taken = 0 ORDER BY number"
            ).fetchall()
        except sqlite3.Error as error:
            raise JournalUnreadable(f"{self.path} is damaged: {error}") from error
        return [Wish(number, actor, from_json(kind, version, body)) for number, actor, kind, version, body in rows]

    def close(self) -> None:
        """Close the file and let go of the lock; twice is harmless."""
        self._db.close()
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


def leave_wish(path: Path, event: Event, *, actor: str, blobs: Sequence[bytes] = ()) -> None:
    """Ask the process that writes the journal at ``path`` to apply ``event`` at its next tick.

    ``blobs`` are raw data that the event names by their digest (a photograph, say).
    """
    _check_file(path)
    try:
        with contextlib.closing(SqliteJournal._checked(path, "rw")) as db:
            for data in blobs:
                db.execute("INSERT OR IGNORE INTO blob VALUES (?, ?)", (digest_of(data), data))
            db.execute(
                "INSERT INTO wish (at, actor, kind, version, body) VALUES (?, ?, ?, ?, ?)",
                (utc_now().isoformat(), actor, type(event).__name__, event.version, to_json(event)),
            )
    except sqlite3.Error as error:
        raise JournalFull(f"the wish could not be left in {path}: {error}") from error


def _make(path: Path) -> None:
    """Make a journal whole or not at all: under another name first, so that a kill leaves no half of one."""
    fresh = path.with_name(path.name + ".new")
    fresh.unlink(missing_ok=True)
    with contextlib.closing(sqlite3.connect(fresh, isolation_level=None)) as db:
        db.executescript(
            f"BEGIN IMMEDIATE; PRAGMA application_id={APPLICATION_ID}; PRAGMA user_version={LAYOUT};"
            f"{_TABLES} COMMIT;"
        )
    fresh.replace(path)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _check_file(path: Path) -> None:
    if not path.exists():
        raise JournalMissing(f"there is no journal at {path}: start one with `pressopt run EXPERIMENT.toml`")
    if not path.is_file():
        raise JournalUnreadable(f"{path} is not a file")
    refuse_network_file_system(path)


def take_lock(path: Path) -> int:
    """Take the advisory lock beside the journal; the file names its holder."""
    handle = os.open(path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        holder = os.pread(handle, 64, 0).decode(errors="replace").strip()
        os.close(handle)
        raise JournalLocked(
            f"{path} is being written by process {holder or 'unknown'}: stop that one first, "
            f"or leave it a wish (confirm, reject, pause)"
        ) from error
    os.ftruncate(handle, 0)
    os.pwrite(handle, str(os.getpid()).encode(), 0)
    return handle


def _rescue(path: Path, rows: Sequence[tuple[str, int, str]], blobs: Sequence[bytes]) -> str:
    """Try to keep elsewhere what the journal could not take; say where, or that it failed."""
    try:
        folder = Path(tempfile.mkdtemp(prefix="pressopt-rescue-"))
        (folder / "events.json").write_text(json.dumps({"journal": str(path), "events": rows}, ensure_ascii=False))
        for data in blobs:
            (folder / digest_of(data)).write_bytes(data)
    except OSError as error:
        return f"A copy could not be kept either ({error.strerror})."
    return f"A copy of what was to be written lies in {folder}."


__all__ = ["APPLICATION_ID", "LAYOUT", "SqliteJournal", "leave_wish"]
