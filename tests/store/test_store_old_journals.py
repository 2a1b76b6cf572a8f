"""Journals that released versions wrote: they replay for ever, alone and under the service."""

from __future__ import annotations

import contextlib
import gzip
from pathlib import Path

import pytest

from pressopt.campaign.lifecycle import CampaignPhase
from pressopt.campaign.replay import replay
from pressopt.service.client import Client
from pressopt.store import SqliteJournal
from service_on_a_port import QUANTITY, served

FILES = sorted((Path(__file__).parent / "data").glob("journal-*.sqlite.gz"))
#: What each of them tells: entries, and the digest of the last one.
KNOWN = {"journal-0.1.0.sqlite.gz": (21, "28ccc3a732a579cfb3fae6ec160b9908b6b2828a51b104ebebc859f869b2cc6b")}


@pytest.mark.parametrize("file", FILES, ids=lambda path: path.name)
def test_old_journals_replay(file: Path, tmp_path: Path) -> None:
    """A journal of every released version is whole, replays, and tells what it told then."""
    path = tmp_path / "journal.sqlite"
    path.write_bytes(gzip.decompress(file.read_bytes()))
    count, head = KNOWN[file.name]
    with contextlib.closing(SqliteJournal.read(path)) as journal:
        assert journal.verify() == count
        state = replay(journal.entries())
    assert state.digest == head
    assert state.phase is CampaignPhase.CLOSED
    assert len(state.done) == 3
    assert any(QUANTITY in trial.outcomes for trial in state.done)


@pytest.mark.parametrize("file", FILES, ids=lambda path: path.name)
def test_old_journals_are_taken_in_by_a_service(file: Path, tmp_path: Path) -> None:
    """The service takes a journal of every version in, entry by entry, and gives the same back."""
    data = gzip.decompress(file.read_bytes())
    with served(tmp_path / "store") as service, Client(service.url) as client:
        campaign = client.take_in(data)
        assert client.campaign(campaign)["done"] == 3
        assert service.ledger.rows(campaign)[-1].digest == KNOWN[file.name][1]
        record = service.http.get(f"/campaigns/{campaign}/trials/1/record")
        assert record.json()["stages"]
        back = client.journal(campaign)
    path = tmp_path / "back.sqlite"
    path.write_bytes(back)
    with contextlib.closing(SqliteJournal.read(path)) as journal:
        assert journal.verify() == KNOWN[file.name][0]
        assert replay(journal.entries()).digest == KNOWN[file.name][1]


def test_views_are_made_again(tmp_path: Path) -> None:
    """What lists show is a view: removed, or of another version, it is made again from the journals."""
    data = gzip.decompress(FILES[0].read_bytes())
    with served(tmp_path / "store") as service, Client(service.url) as client:
        client.take_in(data)
        before = client.campaigns()
    import sqlite3

    with contextlib.closing(sqlite3.connect(tmp_path / "store" / "service.sqlite", isolation_level=None)) as db:
        db.execute("DELETE FROM summary")
    with served(tmp_path / "store") as service, Client(service.url) as client:
        assert client.campaigns() == before
        assert service.ledger.summaries()
