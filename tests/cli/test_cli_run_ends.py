"""How runs end: nothing valid, a missed target, machine-readable lines, quiet, mistakes of ours."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

import pytest

from pressopt.campaign.replay import CampaignState, replay
from pressopt.store import SqliteJournal
from pressopt.store.places import journal_of
from processes import Processes, experiment_file

#: Changes to the shipped experiment under which every cell shorts.
ALL_SHORT = {'pressure = { low = "1 MPa"': 'pressure = { low = "92 MPa"'}
TARGET = {'direction = "minimize"': 'direction = "minimize"\ntarget = 1.0'}


def state_of(folder: Path) -> CampaignState:
    with contextlib.closing(SqliteJournal.read(journal_of(folder))) as journal:
        return replay(journal.entries())


@pytest.mark.parametrize(
    ("changes", "code"), [(ALL_SHORT, 0), ({**ALL_SHORT, **TARGET}, 3)], ids=["no target", "target"]
)
def test_where_every_cell_fails_the_run_ends_and_says_so(
    pressopt: Processes, tmp_path: Path, changes: dict[str, str], code: int
) -> None:
    """Every cell shorted: the run closes, says that nothing can be recommended, and writes what can be written."""
    folder = tmp_path / "campaign"
    short = experiment_file(tmp_path, trials=2, changes=changes)
    ended = pressopt("run", short, "--store", folder, results=True)
    assert ended.code == code, ended.err
    assert "Traceback" not in ended.err
    state = state_of(folder)
    assert state.closed is not None
    assert [trial.verdict for trial in state.trials.values()] == ["shorted", "shorted"]
    assert "No protocol: the campaign ended without a valid measurement" in ended.out
    assert "0 valid, 2 shorted" in ended.out
    assert (folder / "trials.csv").exists()
    assert (folder / "protocol.json").exists()


def test_a_target_that_is_not_expected_to_be_met_ends_with_three(pressopt: Processes, tmp_path: Path) -> None:
    """A budget that is spent before the target is met: exit code 3."""
    short = experiment_file(tmp_path, trials=1, changes=TARGET)
    assert pressopt("run", short, "--store", tmp_path / "campaign").code == 3


def test_every_line_of_json_parses_and_the_summary_is_last(pressopt: Processes, tmp_path: Path) -> None:
    """`--json`: one object a line, each with its schema, the summary last, and nothing else on either stream."""
    short = experiment_file(tmp_path, trials=1)
    ended = pressopt("run", short, "--store", tmp_path / "campaign", "--json")
    assert ended.code == 0
    lines = [json.loads(line) for line in ended.out.splitlines()]
    assert all(line["schema"] == "pressopt/event/1" for line in lines[:-1])
    assert lines[0]["event"] == "CampaignOpened"
    assert lines[-1]["schema"] == "pressopt/summary/1"
    assert lines[-1]["complete"] is True
    assert ended.err == ""


def test_errors_are_json_too(pressopt: Processes, tmp_path: Path) -> None:
    """`--json`: an error is one object with its exit code, and nothing is on the other stream."""
    ended = pressopt("run", tmp_path / "nowhere.toml", "--json")
    assert ended.code == 2
    (line,) = [json.loads(line) for line in ended.out.splitlines()]
    assert line["schema"] == "pressopt/error/1"
    assert line["exit_code"] == 2
    assert "nowhere.toml" in line["message"]
    assert ended.err == ""


def test_quiet_says_only_the_answer_and_a_pipe_gets_plain_text(pressopt: Processes, tmp_path: Path) -> None:
    """`--quiet` prints no trials; a pipe gets no control codes, and an answer of at most 100 columns."""
    short = experiment_file(tmp_path, trials=1)
    quiet = pressopt("run", short, "--store", tmp_path / "quiet", "--quiet")
    assert quiet.code == 0
    assert "trial   1" not in quiet.out
    assert "Recommended protocol" in quiet.out
    assert max(map(len, quiet.out.splitlines())) <= 100
    loud = pressopt("run", short, "--store", tmp_path / "loud")
    assert "trial   1/1" in loud.out
    assert "\x1b" not in loud.out + loud.err
    assert "\r" not in loud.out + loud.err


def test_a_mistake_of_ours_is_told_and_exits_with_one(pressopt: Processes, tmp_path: Path) -> None:
    """An error that nobody foresaw: exit code 1, its traceback, and a sentence that says whose mistake it is."""
    short = experiment_file(tmp_path, trials=1)
    ended = pressopt("run", short, "--store", tmp_path / "campaign", kill=("reading", 3), by=("mistake",))
    assert ended.code == 1
    assert "this is a mistake of pressopt" in ended.err
    world = json.loads((tmp_path / "campaign" / "twin-world.json").read_text())
    assert world["force"]["to_kn"] == 0.0


def test_limits_of_the_press_are_told_before_anything_moves(pressopt: Processes, tmp_path: Path) -> None:
    """What no setting can reach is refused with exit code 2 or 4 and one message."""
    changes = {'pressure = "120 MPa"': 'pressure = "0.5 MPa"'}
    short = experiment_file(tmp_path, trials=1, changes=changes)
    ended = pressopt("run", short, "--store", tmp_path / "campaign")
    assert ended.code in {2, 4}
    assert ended.err.startswith("pressopt: ")
    assert "Traceback" not in ended.err


@pytest.mark.parametrize(
    ("answer", "phase"),
    [
        (("measure",), "done"),
        (("done", "--result", "interfacial_resistance_ohm_cm2=14.2±0.5"), "done"),
    ],
    ids=["measure", "done"],
)
@pytest.mark.parametrize("reading", [8, pytest.param(60, marks=pytest.mark.long)], ids=["early", "late"])
def test_killed_while_the_ram_moves_a_person_answers(
    pressopt: Processes, tmp_path: Path, answer: tuple[str, ...], phase: str, reading: int
) -> None:
    """Killed while the press works: resume asks with code 7; measured as it is, or done by hand, it goes on."""
    short = experiment_file(tmp_path, trials=1)
    folder = tmp_path / "campaign"
    assert pressopt("run", short, "--store", folder, kill=("reading", reading)).code == -9
    asked = pressopt("resume", folder)
    assert asked.code == 7
    assert "trial 1 is uncertain" in asked.err
    assert pressopt("resolve", "1", *answer, "--campaign", folder).code == 0
    ended = pressopt("resume", folder)
    assert ended.code == 0, ended.err
    trial = state_of(folder).trial(1)
    assert trial.phase.value == phase
    assert trial.pressings == 1


def test_killed_in_the_sweep_the_cell_is_measured_again_as_it_was_held(
    pressopt: Processes, tmp_path: Path
) -> None:
    """Killed in mid-sweep: nothing is asked; the press still holds the cell, which is measured from the start."""
    short = experiment_file(tmp_path, trials=1)
    folder = tmp_path / "campaign"
    assert pressopt("run", short, "--store", folder, kill=("point", 30)).code == -9
    assert pressopt("resume", folder).code == 0
    trial = state_of(folder).trial(1)
    assert trial.verdict == "valid"
    assert trial.pressings == 1
    assert len(trial.measurements) == 1
