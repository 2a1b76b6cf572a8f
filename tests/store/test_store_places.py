"""Where a new campaign goes, and which one a person means."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

import pytest

from pressopt.campaign.events import CampaignClosed, CampaignOpened
from pressopt.errors import JournalError, JournalMissing
from pressopt.store import SqliteJournal
from pressopt.store.places import campaign_folder, find_campaign, journal_of


def _campaign(folder: Path, *, closed: bool, at_s: float = 0.0) -> Path:
    with contextlib.closing(SqliteJournal.create(journal_of(folder))) as journal:
        journal.append(CampaignOpened("c", "c.toml", "", "", 1, {}), actor="t")
        if closed:
            journal.append(CampaignClosed("budget"), actor="t")
    os.utime(journal_of(folder), (at_s, at_s))
    return folder


def test_a_new_campaign_lies_beside_its_experiment(tmp_path: Path) -> None:
    """The folder has the experiment's name; a finished campaign there is never touched."""
    file = tmp_path / "cell.toml"
    assert campaign_folder(file) == tmp_path / "cell"
    _campaign(tmp_path / "cell", closed=True)
    _campaign(tmp_path / "cell-2", closed=True)
    assert campaign_folder(file) == tmp_path / "cell-3"
    assert campaign_folder(file, tmp_path / "mine") == tmp_path / "mine"


def test_an_unfinished_campaign_is_resumed_not_doubled(tmp_path: Path) -> None:
    """Starting over an unfinished campaign is refused with both ways out."""
    _campaign(tmp_path / "cell", closed=False)
    with pytest.raises(JournalError, match=r"pressopt resume .*cell.*--new"):
        campaign_folder(tmp_path / "cell.toml")
    assert campaign_folder(tmp_path / "cell.toml", unfinished_is_taken=True) == tmp_path / "cell-2"


def test_the_newest_campaign_is_meant(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a name the last written campaign counts; an experiment file means its own ones."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(JournalMissing, match="no campaign in"):
        find_campaign()
    with pytest.raises(JournalMissing, match="has no campaign yet"):
        find_campaign(tmp_path / "a.toml")
    _campaign(tmp_path / "a", closed=True, at_s=100.0)
    _campaign(tmp_path / "a-2", closed=True, at_s=200.0)
    _campaign(tmp_path / "deep" / "b", closed=True, at_s=300.0)
    assert find_campaign() == tmp_path / "deep" / "b"
    assert find_campaign(tmp_path / "a.toml") == tmp_path / "a-2"
    assert find_campaign(tmp_path / "a") == tmp_path / "a"
    assert find_campaign(journal_of(tmp_path / "a")) == tmp_path / "a"
    with pytest.raises(JournalMissing, match="is no campaign"):
        find_campaign(tmp_path / "nothing")
