"""The promises of a store of many journals, on SQLite and on PostgreSQL alike."""

from __future__ import annotations

import contextlib
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from postgres_server import PostgresServer
from pressopt.campaign.events import CampaignPaused, Event, Loaded
from pressopt.campaign.journal import START, digest_of
from pressopt.campaign.ledger import Intake, Receipt, Row, Write, row_of
from pressopt.errors import JournalError, JournalFull, JournalLocked, JournalUnreadable
from pressopt.store.ledger import SqlLedger
from pressopt.store.opening import LEDGER, open_ledger, read_ledger


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    running = PostgresServer()
    yield running
    running.close()


@pytest.fixture(params=["sqlite", "postgres"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where an empty store may be made."""
    if request.param == "sqlite":
        return str(tmp_path / "store")
    address: str = request.getfixturevalue("server").address
    with psycopg.connect(address, autocommit=True) as db:
        db.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
    return address


@pytest.fixture
def ledger(store: str) -> Iterator[SqlLedger]:
    with contextlib.closing(open_ledger(store)) as opened:
        yield opened


def chain(stream: str, count: int, *, after: Row | None = None) -> tuple[Row, ...]:
    """So many entries of a stream, one after the other."""
    rows: list[Row] = []
    previous, seq = (after.digest, after.seq) if after else (START, 0)
    for number in range(count):
        event: Event = CampaignPaused(f"reason {number}: Ω ✓ \u2028 'quoted' %s ?")
        rows.append(row_of(stream, previous, seq + 1, "2026-01-01T00:00:00+00:00", "tester", event))
        previous, seq = rows[-1].digest, seq + 1
    return tuple(rows)


def test_what_is_written_is_read_back(ledger: SqlLedger) -> None:
    """Entries come back as they were written, in order, each stream for itself, all numbered through."""
    a, b = chain("a", 3), chain("b", 2)
    assert ledger.write([Write(rows=a[:2]), Write(rows=b), Write(rows=a[2:])]) == [1, 3, 5]
    assert ledger.rows("a") == list(a)
    assert ledger.rows("a", after=2) == [a[2]]
    assert ledger.streams() == ["a", "b"]
    assert [number for number, _ in ledger.news(0, 10)] == [1, 2, 3, 4, 5]
    assert [row for _, row in ledger.news(2, 2)] == list(b)
    assert [row.seq for _, row in ledger.news(0, 10, stream="a")] == [1, 2, 3]
    assert ledger.last_number == 5
    assert ledger.rows("a")[0].entry().event == CampaignPaused("reason 0: Ω ✓ \u2028 'quoted' %s ?")
    assert ledger.verify() == {"a": 3, "b": 2}


def test_one_write_is_whole_or_not_at_all(ledger: SqlLedger) -> None:
    """A transaction that cannot be done leaves nothing behind, and the store goes on."""
    rows = chain("a", 2)
    ledger.write([Write(rows=rows)])
    with pytest.raises(JournalFull):
        ledger.write([Write(rows=chain("b", 1), blobs=(b"new",)), Write(rows=rows)])
    assert ledger.streams() == ["a"]
    with pytest.raises(JournalUnreadable):
        ledger.blob(digest_of(b"new"))
    assert ledger.write([Write(rows=chain("b", 1))]) == [3]


def test_raw_data_views_and_receipts(ledger: SqlLedger) -> None:
    """Raw data come back to the byte; views, receipts and how far a runner was taken over are as last written."""
    data = bytes(range(256)) * 100
    receipt = Receipt("anna:1", "digest", 201, '{"ω": 1}', "now")
    ledger.write(
        [
            Write(chain("a", 1), (data, b""), (("a", "old"),), receipt, Intake("left", "a", 3)),
            Write(summaries=(("a", "new"), ("b", "b")), intake=Intake("left", "a", 7)),
        ]
    )
    assert ledger.blob(digest_of(data)) == data
    assert sorted(ledger.blobs_of("a")) == [b"", data]
    assert list(ledger.blobs_of("b")) == []
    assert ledger.summaries() == {"a": "new", "b": "b"}
    assert ledger.receipt("anna:1") == receipt
    assert ledger.receipt("anna:2") is None
    assert (ledger.taken("left", "a"), ledger.taken("right", "a")) == (7, 0)


def test_what_is_written_never_changes(ledger: SqlLedger, store: str) -> None:
    """Entries and raw data can be neither changed nor removed, not even past this program."""
    ledger.write([Write(rows=chain("a", 2), blobs=(b"raw",))])
    statements = (
        "UPDATE entry SET actor = 'x'",
        "DELETE FROM entry WHERE seq = 2",
        "UPDATE blob SET data = data",
        "DELETE FROM blob",
    )
    for statement in statements:
        if store.startswith("postgresql"):
            with psycopg.connect(store, autocommit=True) as db, pytest.raises(psycopg.Error, match="never"):
                db.execute(statement)
        else:
            lite = sqlite3.connect(Path(store) / LEDGER)
            with contextlib.closing(lite), pytest.raises(sqlite3.Error, match="never"):
                lite.execute(statement)
    assert ledger.verify() == {"a": 2}


def test_a_change_by_hand_is_found(ledger: SqlLedger, store: str) -> None:
    """Whoever gets past that is found out: changed text, a swapped actor, changed raw data."""
    ledger.write([Write(rows=chain("a", 3), blobs=(b"raw",))])
    if store.startswith("postgresql"):
        with psycopg.connect(store, autocommit=True) as db:
            db.execute("ALTER TABLE entry DISABLE TRIGGER ALL")
            db.execute("UPDATE entry SET actor = 'somebody else' WHERE seq = 2")
    else:
        with contextlib.closing(sqlite3.connect(Path(store) / LEDGER, isolation_level=None)) as lite:
            lite.execute("DROP TRIGGER entry_unchanged")
            lite.execute("UPDATE entry SET actor = 'somebody else' WHERE seq = 2")
    with pytest.raises(JournalUnreadable, match="entry 2 of 'a'"):
        ledger.verify()


def test_one_writer(ledger: SqlLedger, store: str) -> None:
    """A second writer is refused; readers come and go, and see whole writes."""
    with pytest.raises(JournalLocked):
        open_ledger(store)
    ledger.write([Write(rows=chain("a", 2))])
    with contextlib.closing(read_ledger(store)) as reader:
        assert [row.seq for row in reader.rows("a")] == [1, 2]
        with pytest.raises(JournalError):
            reader.write([Write(rows=chain("b", 1))])


@pytest.mark.parametrize("target", ["sqlite", "postgres"])
def test_backup_and_restore(
    ledger: SqlLedger, tmp_path: Path, target: str, request: pytest.FixtureRequest
) -> None:
    """A backup taken while the store is open holds everything, and fills an empty store of either kind."""
    rows = chain("a", 700)
    ledger.write(
        [Write(rows, (b"raw",), (("a", "view"),), Receipt("k", "r", 200, "{}", "t"), Intake("l", "a", 1))]
    )
    ledger.write([Write(rows=chain("b", 2))])
    backup = tmp_path / "backup.sqlite"
    assert ledger.backup(backup) == 702
    with pytest.raises(JournalError, match="exists already"):
        ledger.backup(backup)
    if target == "postgres":
        address: str = request.getfixturevalue("server").address
        with psycopg.connect(address, autocommit=True) as db:
            db.execute("DROP DATABASE IF EXISTS restored")
            db.execute("CREATE DATABASE restored")
        where = address.replace("/postgres?", "/restored?")
    else:
        where = str(tmp_path / "elsewhere")
    with contextlib.closing(open_ledger(where)) as other:
        assert other.restore(backup) == 702
        assert other.rows("a") == list(rows)
        assert other.blob(digest_of(b"raw")) == b"raw"
        assert (other.summaries(), other.taken("l", "a")) == ({"a": "view"}, 1)
        assert other.verify() == {"a": 700, "b": 2}
        with pytest.raises(JournalError, match="empty store"):
            other.restore(backup)
    changed = backup.read_bytes().replace(b"reason 17:", b"reason 18:")
    backup.write_bytes(changed)
    with contextlib.closing(open_ledger(str(tmp_path / "third"))) as third, pytest.raises(JournalUnreadable):
        third.restore(backup)


_KILLED = """
import os, sys
sys.path[:0] = sys.argv[2:]
from pressopt.campaign.ledger import Write
from pressopt.store.opening import open_ledger
from test_store_ledger import chain
ledger, last = open_ledger(sys.argv[1]), None
while True:
    rows = chain("a", 3, after=last)
    ledger.write([Write(rows=rows)])
    last = rows[-1]
    os.write(1, b"%d\\n" % last.seq)
"""


def test_killed_while_writing(store: str) -> None:
    """What was acknowledged before a SIGKILL is there, in whole writes, and the next writer goes on."""
    here = str(Path(__file__).parent)
    child = subprocess.Popen(
        [sys.executable, "-c", _KILLED, store, here, str(Path(here).parent)], stdout=subprocess.PIPE, text=True
    )
    assert child.stdout is not None
    acknowledged = 0
    for line in child.stdout:
        acknowledged = int(line)
        if acknowledged >= 30:
            os.kill(child.pid, signal.SIGKILL)
            break
    acknowledged = max([acknowledged, *map(int, child.stdout.read().split())])
    child.stdout.close()
    child.wait()
    with contextlib.closing(_opened_again(store)) as ledger:
        count = len(ledger.rows("a"))
        assert count >= acknowledged
        assert count % 3 == 0
        assert ledger.verify() == {"a": count}
        ledger.write([Write(rows=chain("a", 1, after=ledger.rows("a")[-1]))])


def _opened_again(store: str) -> SqlLedger:
    """Open a store whose last writer was killed; a server may notice that a moment later."""
    from service_on_a_port import wait_for

    found: list[SqlLedger] = []

    def attempt() -> bool:
        with contextlib.suppress(JournalLocked):
            found.append(open_ledger(store))
        return bool(found)

    wait_for(attempt, "the lock of a killed writer to be free")
    return found[0]


def test_a_database_server_that_comes_back(server: PostgresServer, tmp_path: Path) -> None:
    """Stopped at once and started again, the server is found again; nothing is lost and nothing written twice."""
    with psycopg.connect(server.address, autocommit=True) as db:
        db.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
    with contextlib.closing(open_ledger(server.address)) as ledger:
        rows = chain("a", 4)
        ledger.write([Write(rows=rows[:2])])
        for row in rows[2:]:
            server.stop()
            server.start()
            ledger.write([Write(rows=(row,))])
        assert ledger.rows("a") == list(rows)
        assert ledger.verify() == {"a": 4}


@settings(max_examples=10)
@given(
    st.lists(
        st.lists(
            st.tuples(st.sampled_from("abc"), st.text(max_size=20).filter(lambda t: "\0" not in t)), max_size=5
        ),
        max_size=6,
    )
)
def test_any_mixture_of_streams(
    tmp_path_factory: pytest.TempPathFactory, writes: list[list[tuple[str, str]]]
) -> None:
    """Whatever is written in whatever mixture, each stream reads back its own entries, and the chains hold."""
    folder = tmp_path_factory.mktemp("store")
    with contextlib.closing(open_ledger(str(folder))) as ledger:
        heads: dict[str, Row] = {}
        expected: dict[str, list[str]] = {}
        for write in writes:
            rows = []
            for stream, text in write:
                head = heads.get(stream)
                previous, seq = (head.digest, head.seq) if head else (START, 0)
                heads[stream] = row_of(stream, previous, seq + 1, "now", text, Loaded(1, by=text))
                rows.append(heads[stream])
                expected.setdefault(stream, []).append(text)
            ledger.write([Write(rows=tuple(rows))])
        assert {stream: [row.actor for row in ledger.rows(stream)] for stream in expected} == expected
        assert ledger.verify() == {stream: len(texts) for stream, texts in expected.items()}


def test_a_service_on_postgresql(server: PostgresServer, tmp_path: Path) -> None:
    """The same service by one setting: asked, told, the server stopped and started, and all of it there."""
    from pressopt.service.client import Client
    from service_on_a_port import QUANTITY, experiment_text, served

    with psycopg.connect(server.address, autocommit=True) as db:
        db.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
    with served(server.address) as service, Client(service.url) as client:
        campaign = client.create(experiment_text(tmp_path))
        (first,) = client.ask(campaign)
        server.stop()
        server.start()
        client.tell(campaign, first.trial, {QUANTITY: (12.0, 0.5)})
        (second,) = client.ask(campaign)
    with served(server.address) as service, Client(service.url) as client:
        found = client.campaign(campaign)
        assert (found["done"], found["in_flight"]) == (1, [second.trial])
        assert service.ledger.verify()[campaign] == found["last_seq"]
