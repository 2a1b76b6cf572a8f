"""The journal in SQLite: durable, append-only, chained, one writer; and every way in which a file can be bad."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from pressopt.campaign import events as e
from pressopt.campaign.journal import digest_of
from pressopt.errors import (
    JournalError,
    JournalFull,
    JournalLocked,
    JournalMissing,
    JournalNewer,
    JournalUnreadable,
)
from pressopt.store import SqliteJournal, leave_wish
from pressopt.store.sqlite_journal import refuse_network_file_system

OPENED = e.CampaignOpened("c", "c.toml", "text", "0" * 64, 1, {})


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "campaign" / "journal.sqlite"


def _filled(path: Path) -> None:
    with contextlib.closing(SqliteJournal.create(path)) as journal:
        journal.append(OPENED, e.Proposed(1, {"p": 1.5}, "", ""), actor="test", blobs=(b"raw",))


def test_what_was_appended_is_read_back(path: Path) -> None:
    """Events in order with numbers from 1, actors kept, blobs by their digest."""
    _filled(path)
    with contextlib.closing(SqliteJournal.read(path)) as journal:
        entries = list(journal.entries())
        assert [entry.seq for entry in entries] == [1, 2]
        assert entries[0].event == OPENED
        assert entries[1].actor == "test"
        assert list(journal.entries(after=1)) == entries[1:]
        assert journal.blob(digest_of(b"raw")) == b"raw"
        assert journal.verify() == 2


def test_an_event_that_cannot_be_written_leaves_nothing_behind(path: Path) -> None:
    """Events and blobs of one append are there together or not at all."""
    with contextlib.closing(SqliteJournal.create(path)) as journal:
        with pytest.raises(ValueError, match="finite"):
            journal.append(OPENED, e.Proposed(1, {"p": float("nan")}, "", ""), actor="t", blobs=(b"raw",))
        assert list(journal.entries()) == []
        with pytest.raises(JournalUnreadable, match="lacks the raw data"):
            journal.blob(digest_of(b"raw"))


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE event SET body = '{}'",
        "DELETE FROM event",
        "INSERT OR REPLACE INTO event SELECT 1, at, actor, kind, version, '{}', digest FROM event WHERE seq = 1",
        "INSERT INTO event SELECT 9, at, actor, kind, version, body, digest FROM event WHERE seq = 1",
        "UPDATE blob SET data = x'00'",
        "DELETE FROM blob",
    ],
)
def test_history_cannot_be_rewritten(path: Path, statement: str) -> None:
    """The file itself refuses to change, delete, replace or skip an entry."""
    _filled(path)
    with contextlib.closing(sqlite3.connect(path)) as db, pytest.raises(sqlite3.IntegrityError):
        db.execute(statement)


def test_tampering_is_found(path: Path) -> None:
    """Whoever drops the triggers and edits an entry is found by the chain, with the entry's number."""
    _filled(path)
    with contextlib.closing(sqlite3.connect(path)) as db:
        db.execute("DROP TRIGGER event_unchanged")
        db.execute("UPDATE event SET body = replace(body, '1.5', '2.5') WHERE seq = 2")
        db.commit()
    with (
        contextlib.closing(SqliteJournal.read(path)) as journal,
        pytest.raises(JournalUnreadable, match="entry 2 was"),
    ):
        journal.verify()


def test_a_second_writer_is_refused_by_name(path: Path) -> None:
    """Two processes never write one journal; the holder is named; readers are welcome."""
    _filled(path)
    with contextlib.closing(SqliteJournal.open(path)):
        with pytest.raises(JournalLocked, match=f"by process {os.getpid()}"):
            SqliteJournal.open(path)
        SqliteJournal.read(path).close()
    SqliteJournal.open(path).close()


def test_a_killed_writer_leaves_no_lock(path: Path) -> None:
    """After kill -9 the next process may write, and finds all that was acknowledged."""
    code = (
        "import os, pathlib, sys; from pressopt.store import SqliteJournal\n"
        "from pressopt.campaign import events as e\n"
        f"j = SqliteJournal.create(pathlib.Path({str(path)!r}))\n"
        "j.append(e.CampaignPaused('x'), actor='t'); os.kill(os.getpid(), 9)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == -9
    with contextlib.closing(SqliteJournal.open(path)) as journal:
        assert [entry.event for entry in journal.entries()] == [e.CampaignPaused("x")]


def test_a_wish_stays_until_what_became_of_it_is_written(path: Path) -> None:
    """Wishes come in order; one leaves with the record that settles it, and a refused one without any."""
    _filled(path)
    with contextlib.closing(SqliteJournal.open(path)) as journal:
        leave_wish(path, e.CampaignPaused("lunch"), actor="operator")
        leave_wish(path, e.Loaded(1, by="operator"), actor="operator")
        pause, loaded = journal.wishes()
        assert (pause.event, loaded.event) == (e.CampaignPaused("lunch"), e.Loaded(1, "operator"))
        assert journal.wishes() == [pause, loaded], "looking takes nothing"
        journal.append(pause.event, actor="operator", settles=(pause.number,))
    with contextlib.closing(SqliteJournal.open(path)) as journal:
        assert journal.wishes() == [loaded], "the other one is there for the next process"
        journal.append(actor="runner", settles=(loaded.number,))
        assert journal.wishes() == []


def test_a_wish_whose_record_cannot_be_written_is_kept(path: Path) -> None:
    """A full disk takes neither the wish nor writes its record."""
    with contextlib.closing(SqliteJournal.create(path)) as journal:
        journal.append(OPENED, actor="t")
        leave_wish(path, e.CampaignPaused("x" * 300_000), actor="operator")
        (wish,) = journal.wishes()
        pages = journal._db.execute("PRAGMA page_count").fetchone()[0]
        journal._db.execute(f"PRAGMA max_page_count={pages}")
        with pytest.raises(JournalFull):
            journal.append(wish.event, actor="operator", settles=(wish.number,))
        assert journal.wishes() == [wish]
        assert len(list(journal.entries())) == 1


def test_a_full_disk_is_said_and_a_copy_kept(path: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """When the disk is full the append raises, nothing is half-written, and the data lie elsewhere."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    with contextlib.closing(SqliteJournal.create(path)) as journal:
        journal.append(OPENED, actor="t")
        pages = journal._db.execute("PRAGMA page_count").fetchone()[0]
        journal._db.execute(f"PRAGMA max_page_count={pages}")
        with pytest.raises(JournalFull, match=r"database or disk is full.*nothing moves") as caught:
            journal.append(e.Proposed(1, {}, "", ""), actor="t", blobs=(b"x" * 200_000,))
        journal._db.execute("PRAGMA max_page_count=100000")
        assert len(list(journal.entries())) == 1
        journal.append(e.Proposed(1, {}, "", ""), actor="t")
    (folder,) = tmp_path.glob("pressopt-rescue-*")
    assert str(folder) in str(caught.value)
    assert (folder / digest_of(b"x" * 200_000)).read_bytes() == b"x" * 200_000


def test_a_folder_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    """A store inside a file, for instance, is refused with the way out."""
    (tmp_path / "file").write_text("x")
    with pytest.raises(JournalFull, match="choose another --store"):
        SqliteJournal.create(tmp_path / "file" / "journal.sqlite")


def test_bad_files_are_told_apart(path: Path) -> None:
    """Missing, a folder, another program's database, not a database, truncated, newer: each says what it is."""
    with pytest.raises(JournalMissing, match="no journal at"):
        SqliteJournal.open(path)
    path.parent.mkdir(parents=True)
    with pytest.raises(JournalUnreadable, match="not a file"):
        SqliteJournal.open(path.parent)
    path.write_bytes(b"this is no database, only words" * 100)
    with pytest.raises(JournalUnreadable, match="no readable journal"):
        SqliteJournal.open(path)
    path.write_bytes(b"")
    with pytest.raises(JournalUnreadable, match="another program"):
        SqliteJournal.read(path)
    path.unlink()
    _filled(path)
    with pytest.raises(JournalError, match="exists already"):
        SqliteJournal.create(path)
    with contextlib.closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA user_version=99")
    with pytest.raises(JournalNewer, match=r"layout 99.*update pressopt"):
        SqliteJournal.open(path)


def test_a_damaged_page_is_found(path: Path) -> None:
    """Bytes that rot in the middle of the file are found, not read as data."""
    _filled(path)
    data = bytearray(path.read_bytes())
    page = data.index(b'"p":1.5') // 4096 * 4096
    data[page : page + 200] = b"\xff" * 200
    path.write_bytes(data)
    with contextlib.closing(SqliteJournal.read(path)) as journal, pytest.raises(JournalUnreadable):
        journal.verify()


def test_network_drives_are_refused(tmp_path: Path) -> None:
    """A journal on NFS or SMB is refused, with the reason."""
    mounts = tmp_path / "mounts"
    mounts.write_text(f"disk / ext4 rw 0 0\nserver:/x {tmp_path} nfs4 rw 0 0\n")
    with pytest.raises(JournalError, match=r"network drive \(nfs4"):
        refuse_network_file_system(tmp_path / "c" / "journal.sqlite", mounts)
