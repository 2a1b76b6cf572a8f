"""Wishes of people to a run that waits, and to a campaign that nobody runs."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from pressopt.campaign.replay import CampaignState, replay
from pressopt.cli import main
from pressopt.errors import JournalLocked
from pressopt.store import SqliteJournal
from pressopt.store.places import journal_of
from processes import Processes, experiment_file


def state_of(folder: Path) -> CampaignState:
    with contextlib.closing(SqliteJournal.read(journal_of(folder))) as journal:
        return replay(journal.entries())


def say(*words: str | Path) -> int:
    """Say something as a process of its own would, and return the exit code."""
    with pytest.raises(SystemExit) as left:
        main([str(word) for word in words])
    return int(left.value.code or 0)


def eventually(holds: Callable[[], bool]) -> None:
    """Wait until something holds; fail after a while."""
    end_s = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < end_s, "it never came"
        time.sleep(0.1)


@pytest.fixture(scope="module")
def by_hand(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An experiment whose cells a person loads."""
    folder = tmp_path_factory.mktemp("hand")
    changes = {'[laboratory]\nkind = "twin"': '[laboratory]\nloading = "person"\nkind = "twin"'}
    return experiment_file(folder, trials=2, changes=changes)


def runs(folder: Path) -> bool:
    """Whether a process writes the journal."""
    try:
        SqliteJournal.open(journal_of(folder)).close()
    except JournalLocked:
        return True
    return False


def proposed(folder: Path, trial: int) -> Callable[[], bool]:
    def holds() -> bool:
        return journal_of(folder).exists() and trial in state_of(folder).trials

    return holds


def test_a_waiting_run_hears_what_people_say(
    pressopt: Processes, by_hand: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Reject, pause, unpause and close from another process: the run that waits for a cell takes them up."""
    folder = tmp_path / "campaign"
    wait = pressopt.start("run", by_hand, "--store", folder)
    eventually(proposed(folder, 1))
    assert say("confirm", "7", "--campaign", folder) == 2
    assert "there is no trial 7" in capsys.readouterr().err
    assert say("resolve", "1", "discard", "--campaign", folder) == 2
    assert "trial 1 is proposed: Resolved is not possible there" in capsys.readouterr().err
    assert say("reject", "1", "--note", "foil torn", "--campaign", folder) == 0
    assert "left for the running campaign" in capsys.readouterr().out
    eventually(proposed(folder, 2))
    assert state_of(folder).trial(1).note == "foil torn"
    assert say("pause", "--campaign", folder) == 0
    eventually(lambda: state_of(folder).phase.value == "paused")
    assert say("pause", "--campaign", folder) == 2
    assert say("unpause", "--campaign", folder) == 0
    eventually(lambda: state_of(folder).phase.value == "open")
    assert say("close", "--note", "enough", "--campaign", folder) == 0
    ended = wait()
    assert ended.code == 0, ended.err
    assert "put cell 1 under the press" in ended.out
    assert "Traceback" not in ended.err
    state = state_of(folder)
    assert state.closed is not None
    assert state.closed.reason == "enough"
    assert state.trial(2).phase.value == "rejected"
    assert not any(trial.pressings for trial in state.trials.values())


def test_a_cell_confirmed_to_another_process_is_asked_for_again(
    pressopt: Processes, by_hand: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`confirm` where nobody runs the campaign is noted; resume asks again before it presses that cell."""
    folder = tmp_path / "campaign"
    assert pressopt("run", by_hand, "--store", folder, kill=("after", 3)).code == -9
    assert say("confirm", "1", "--by", "Ada", "--campaign", folder) == 0
    assert "noted: Loaded" in capsys.readouterr().out
    assert state_of(folder).trial(1).phase.value == "loaded"
    waits = pressopt.start("resume", folder)
    eventually(lambda: runs(folder))
    assert say("pause", "--campaign", folder) == 0
    eventually(lambda: state_of(folder).phase.value == "paused")
    assert state_of(folder).trial(1).pressings == 0, "it waits for a word to itself"
    assert say("confirm", "1", "--by", "Ada", "--campaign", folder) == 0
    eventually(lambda: state_of(folder).trial(1).phase.value == "done")
    ended = waits()
    assert ended.code == 0, ended.err
    assert "the program was away since that was confirmed" in ended.out
    assert state_of(folder).trial(1).pressings == 1


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("resolve", "1", "burn"), "burn"),
        (("resolve", "1", "done"), "--result"),
        (("resolve", "1", "discard", "--result", "interfacial_resistance_ohm_cm2=1±1"), "--result goes with"),
        (("resolve", "1", "done", "--result", "interfacial_resistance_ohm_cm2=nan±1"), "VALUE±SD"),
        (("resolve", "1", "done", "--result", "interfacial_resistance_ohm_cm2=12±0"), "must be positive"),
        (("resolve", "1", "done", "--result", "colour=12±1"), "no quantity 'colour'"),
        (("resolve", "1", "measure", "--achieved", "lamination.pressure_mpa=inf"), "SETTING=NUMBER"),
        (("unpause",), "the campaign is open"),
        (("clear",), "0 presses are in the safe state"),
    ],
)
def test_wrong_words_are_refused_with_what_is_possible(
    pressopt: Processes,
    by_hand: Path,
    tmp_path_factory: pytest.TempPathFactory,
    capsys: pytest.CaptureFixture[str],
    words: tuple[str, ...],
    told: str,
) -> None:
    """A word that the tables do not allow, or a number that is none, exits with 2 and says what is possible."""
    folder = tmp_path_factory.getbasetemp() / "wrong-words"
    if not folder.exists():
        assert pressopt("run", by_hand, "--store", folder, kill=("after", 3)).code == -9
    before = state_of(folder)
    assert say(*words, "--campaign", folder) == 2
    said = capsys.readouterr()
    assert told in " ".join((said.err + said.out).split())
    assert state_of(folder) == before
