"""Killed at every journal record and taken up again: the same campaign to the digit, no cell pressed twice."""

from __future__ import annotations

import contextlib
import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from pressopt.campaign import events as e
from pressopt.campaign.replay import CampaignState, TrialState, replay
from pressopt.store import SqliteJournal
from pressopt.store.places import journal_of
from processes import Processes, experiment_file

#: Kinds of the records of an undisturbed campaign of two cells, in order; a call of append writes one of them.
TRIAL = ("Proposed", "Loaded", "PressingStarted", "PressingFinished", "SpectrumRecorded", "Measured")
RECORDS = ("CampaignOpened", "PressFound", *TRIAL, *TRIAL, "CampaignClosed")
PRESSING = {number + 1 for number, kind in enumerate(RECORDS) if kind == "PressingStarted"}


def state_of(folder: Path) -> CampaignState:
    with contextlib.closing(SqliteJournal.read(journal_of(folder))) as journal:
        journal.verify()
        return replay(journal.entries())


def kinds_of(folder: Path) -> list[str]:
    with contextlib.closing(SqliteJournal.read(journal_of(folder))) as journal:
        return [type(entry.event).__name__ for entry in journal.entries()]


def pressings(folder: Path) -> dict[int, int]:
    """How often each cell was begun to be pressed."""
    with contextlib.closing(SqliteJournal.read(journal_of(folder))) as journal:
        begun = [entry.event.trial for entry in journal.entries() if isinstance(entry.event, e.PressingStarted)]
    return {trial: begun.count(trial) for trial in set(begun)}


def told(folder: Path) -> dict[str, Any]:
    """Everything that a campaign tells, apart from dates and from how often it was interrupted.

    The curves of the press are compared by their digest, the spectra to the byte but for their date.
    """
    state = state_of(folder)
    assert state.closed is not None
    return {
        "phase": state.phase,
        "trials": {number: asdict(replace(trial, measurements=())) for number, trial in state.trials.items()},
        "spectra": {number: spectra_of(folder, trial) for number, trial in state.trials.items()},
        "closed": asdict(state.closed),
        "presses": dict(state.presses),
    }


def spectra_of(folder: Path, trial: TrialState) -> list[Any]:
    """The raw spectra of a trial, without the date on which they were taken."""
    with contextlib.closing(SqliteJournal.read(journal_of(folder))) as journal:
        spectra = [json.loads(journal.blob(taken.measurement)) for taken in trial.measurements]
    for spectrum in spectra:
        assert spectrum["metadata"].pop("date")
    return spectra


def world(folder: Path) -> Any:
    """The virtual laboratory as it was left: its cells, its machine, its time."""
    return json.loads((folder / "twin-world.json").read_text())


@pytest.fixture(scope="module")
def short(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return experiment_file(tmp_path_factory.mktemp("short"), trials=2)


@pytest.fixture(scope="module")
def undisturbed(pressopt: Processes, short: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A campaign that nothing disturbed."""
    folder = tmp_path_factory.mktemp("undisturbed") / "campaign"
    ended = pressopt("run", short, "--store", folder)
    assert ended.code == 0, ended.err
    assert kinds_of(folder) == list(RECORDS)
    return folder


def killed_and_resumed(
    pressopt: Processes, short: Path, folder: Path, undisturbed: Path, where: str, number: int
) -> None:
    """Kill at a record, resume, and compare with the campaign that nothing disturbed."""
    killed = pressopt("run", short, "--store", folder, kill=(where, number))
    assert killed.code == -9
    written = number - (where == "before")
    assert kinds_of(folder) == list(RECORDS[:written])
    if written in PRESSING:
        in_pressing(pressopt, folder, trial=1 if written < 9 else 2)
        return
    # A journal with nothing in it is begun anew by the very command that began it.
    taken_up = pressopt("resume", folder) if written else pressopt("run", short, "--store", folder)
    assert taken_up.code == 0, taken_up.err
    if where == "before" and RECORDS[number - 1] == "SpectrumRecorded":
        measured_again(folder, undisturbed)
        return
    assert told(folder) == told(undisturbed)
    assert world(folder) == world(undisturbed)
    assert set(pressings(folder).values()) == {1}
    assert kinds_of(folder) == list(RECORDS)


def measured_again(folder: Path, undisturbed: Path) -> None:
    """A sweep that was not written down is taken once more, a sweep later: the same but for noise and creep."""
    for number, trial in state_of(undisturbed).trials.items():
        again = state_of(folder).trial(number)
        assert (again.phase, again.verdict, again.settings) == (trial.phase, trial.verdict, trial.settings)
        assert again.pressings == 1
        assert dict(again.achieved) == pytest.approx(dict(trial.achieved), rel=0.01)
        assert {name: value for name, (value, _) in again.outcomes.items()} == pytest.approx(
            {name: value for name, (value, _) in trial.outcomes.items()}, rel=0.05
        )


def in_pressing(pressopt: Processes, folder: Path, trial: int) -> None:
    """Taken up in `pressing`, nothing moves, a person is asked, and the answer lets the campaign end."""
    before = world(folder)
    for _ in range(2):
        asked = pressopt("resume", folder)
        assert asked.code == 7
        assert f"trial {trial} is uncertain" in asked.err
        assert "Look at the press and the cell" in asked.err
        assert f"pressopt resolve {trial} discard" in asked.err
        assert world(folder)["machine"] == before["machine"]
        assert world(folder)["sample"] == before["sample"]
    assert kinds_of(folder).count("Interrupted") == 1
    assert pressopt("resolve", str(trial), "discard", "--campaign", folder).code == 0
    ended = pressopt("resume", folder)
    assert ended.code == 0, ended.err
    state = state_of(folder)
    assert state.trial(trial).phase.value == "rejected"
    assert len(state.done) == 2
    assert set(pressings(folder).values()) == {1}


#: Every kind of record once before and once after; the kill in `pressing` is both.
QUICK = [("before", 1), *(("after", number) for number in range(1, 8)), ("before", 8), ("after", 15)]
ALL = [(where, number) for number in range(1, len(RECORDS) + 1) for where in ("before", "after")]


@pytest.mark.parametrize(("where", "number"), QUICK, ids=str)
def test_killed_at_each_kind_of_record_the_campaign_ends_the_same(
    pressopt: Processes, short: Path, undisturbed: Path, tmp_path: Path, where: str, number: int
) -> None:
    """A kill at a record of each kind changes nothing of what a campaign finds, and no cell is pressed twice."""
    killed_and_resumed(pressopt, short, tmp_path / "campaign", undisturbed, where, number)


@pytest.mark.long
@pytest.mark.parametrize(("where", "number"), [item for item in ALL if item not in QUICK])
def test_killed_at_every_record_the_campaign_ends_the_same(
    pressopt: Processes, short: Path, undisturbed: Path, tmp_path: Path, where: str, number: int
) -> None:
    """A kill before or after any record changes nothing of what a campaign finds."""
    killed_and_resumed(pressopt, short, tmp_path / "campaign", undisturbed, where, number)
