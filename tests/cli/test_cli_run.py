"""`pressopt run` and `resume` from outside: signals, second starts, closed campaigns, full disks, exit codes."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from pathlib import Path

import pytest

from pressopt.campaign.replay import CampaignState, replay
from pressopt.store import SqliteJournal
from pressopt.store.places import journal_of
from processes import Ended, Processes, experiment_file


def state_of(folder: Path) -> CampaignState:
    with contextlib.closing(SqliteJournal.read(journal_of(folder))) as journal:
        journal.verify()
        return replay(journal.entries())


def kinds_of(folder: Path) -> list[str]:
    with contextlib.closing(SqliteJournal.read(journal_of(folder))) as journal:
        return [type(entry.event).__name__ for entry in journal.entries()]


def one_clear_message(ended: Ended) -> None:
    """One message, no traceback."""
    assert ended.err.startswith("pressopt: "), ended.err
    assert "Traceback" not in ended.err
    assert ended.err.count("pressopt: ") == 1


@pytest.fixture(scope="module")
def short(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return experiment_file(tmp_path_factory.mktemp("short"), trials=2)


@pytest.fixture(scope="module")
def closed(pressopt: Processes, short: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A campaign that has ended."""
    folder = tmp_path_factory.mktemp("closed") / "campaign"
    assert pressopt("run", short, "--store", folder, "--trials", "1").code == 0
    return folder


# ---------------------------------------------------------------------- signals


def test_the_first_ctrl_c_lets_the_trial_in_flight_end(pressopt: Processes, short: Path, tmp_path: Path) -> None:
    """Ctrl-C in pressing: the trial ends well, the exit code is 130, and resume goes on as the message says."""
    folder = tmp_path / "campaign"
    stopped = pressopt("run", short, "--store", folder, kill=("reading", 5), by=("SIGINT",))
    assert stopped.code == 130
    assert "Ctrl-C again" in stopped.err
    assert f"pressopt resume {folder}" in stopped.err
    state = state_of(folder)
    assert [trial.phase.value for trial in state.trials.values()] == ["done"]
    assert pressopt("resume", folder).code == 0
    assert len(state_of(folder).done) == 2


@pytest.mark.parametrize(
    ("place", "by", "code"),
    [
        ("reading", ("SIGINT", "SIGINT"), 130),
        ("point", ("SIGINT", "SIGINT"), 130),
        ("reading", ("SIGTERM",), 143),
        ("point", ("SIGTERM",), 143),
    ],
)
def test_breaking_off_makes_the_press_safe_and_gives_the_cell_up(
    pressopt: Processes, short: Path, tmp_path: Path, place: str, by: tuple[str, ...], code: int
) -> None:
    """A second Ctrl-C, or SIGTERM, opens the press and gives the cell up; resume asks nothing."""
    folder = tmp_path / "campaign"
    stopped = pressopt("run", short, "--store", folder, kill=(place, 9), by=by)
    assert stopped.code == code
    assert "Traceback" not in stopped.err
    world = json.loads((folder / "twin-world.json").read_text())
    assert world["force"]["to_kn"] == 0.0
    state = state_of(folder)
    assert state.trial(1).phase.value == "rejected"
    assert "on request" in state.trial(1).note
    assert pressopt("resume", folder).code == 0
    after = state_of(folder)
    assert len(after.done) == 2
    assert all(trial.pressings == 1 for trial in after.trials.values())


# ---------------------------------------------------------------------- second starts, closed campaigns


def test_a_closed_campaign_is_said_to_be_closed_and_moves_nothing(pressopt: Processes, closed: Path) -> None:
    """`resume` of a closed campaign says so, exits 0 and writes nothing into the journal or the laboratory."""
    journal, world = journal_of(closed).read_bytes(), (closed / "twin-world.json").read_bytes()
    again = pressopt("resume", closed)
    assert again.code == 0
    assert "the campaign is closed (the budget of 1 trials is spent): nothing was moved" in again.err
    assert journal_of(closed).read_bytes() == journal
    assert (closed / "twin-world.json").read_bytes() == world


def test_a_second_process_is_refused(pressopt: Processes, short: Path, closed: Path) -> None:
    """While one process writes a journal another one is refused with exit code 6 and the holder's number."""
    with contextlib.closing(SqliteJournal.open(journal_of(closed))):
        second = pressopt("resume", closed)
    assert second.code == 6
    assert "is being written by process" in second.err
    one_clear_message(second)


def test_an_unfinished_campaign_is_not_begun_over(pressopt: Processes, short: Path, tmp_path: Path) -> None:
    """`run` beside an unfinished campaign is refused with the words that go on with it."""
    folder = tmp_path / "campaign"
    assert pressopt("run", short, "--store", folder, kill=("after", 3)).code == -9
    again = pressopt("run", short, "--store", folder)
    assert again.code == 6
    assert f"pressopt resume {folder}" in again.err
    one_clear_message(again)


# ---------------------------------------------------------------------- what cannot be read or written


def test_a_missing_file_and_a_typo_are_told_in_one_message(
    pressopt: Processes, short: Path, tmp_path: Path
) -> None:
    """Input errors exit with 2 and one message that names file, line and what is allowed."""
    missing = pressopt("run", tmp_path / "nowhere.toml")
    assert missing.code == 2
    one_clear_message(missing)
    wrong = tmp_path / "wrong.toml"
    wrong.write_text(short.read_text().replace("dwell = {", "dwel = {", 1))
    typo = pressopt("run", wrong)
    assert typo.code == 2
    assert "dwel" in typo.err
    assert "line" in typo.err
    one_clear_message(typo)
    assert not (tmp_path / "wrong").exists()


def test_journals_that_cannot_be_read_are_told_in_one_message(pressopt: Processes, tmp_path: Path) -> None:
    """No journal, a text file, another program's database, and a newer layout: exit code 6, one message each."""
    for name, make in {
        "none": None,
        "text": lambda path: path.write_text("no database"),
        "foreign": lambda path: sqlite3.connect(path).executescript("CREATE TABLE a (b);").close(),
        "newer": _newer,
    }.items():
        folder = tmp_path / name
        folder.mkdir()
        if make is not None:
            make(journal_of(folder))
        ended = pressopt("resume", folder)
        assert ended.code == 6, (name, ended)
        one_clear_message(ended)


def _newer(path: Path) -> None:
    SqliteJournal.create(path).close()
    with contextlib.closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA user_version=99")


#: Number of the record that finds no room, and what resume then does.
FULL = {3: 0, 5: 0, 6: 7, 7: 7, 8: 0}


@pytest.mark.parametrize("number", FULL)
def test_a_full_disk_makes_the_press_safe(pressopt: Processes, short: Path, tmp_path: Path, number: int) -> None:
    """No room for a record: exit code 6, the press is opened, nothing is half-written; resume goes on or asks."""
    folder = tmp_path / "campaign"
    full = pressopt("run", short, "--store", folder, kill=("before", number), by=("full",))
    assert full.code == 6, full.err
    assert "could not be written" in full.err
    one_clear_message(full)
    assert len(kinds_of(folder)) == number - 1
    if number > 4:
        assert json.loads((folder / "twin-world.json").read_text())["force"]["to_kn"] == 0.0
    resumed = pressopt("resume", folder)
    assert resumed.code == FULL[number], resumed.err
    if FULL[number] == 7:
        assert "pressopt resolve 1 discard" in resumed.err
        assert pressopt("resolve", "1", "discard", "--campaign", folder).code == 0
        if "pressopt clear" in resumed.err:
            assert pressopt("clear", "--campaign", folder).code == 0
        assert pressopt("resume", folder).code == 0
    state = state_of(folder)
    assert len(state.done) == 2
    assert all(trial.pressings == 1 for trial in state.trials.values() if trial.phase.value == "done")


def test_an_instrument_that_cannot_be_used_exits_with_five(
    pressopt: Processes, short: Path, tmp_path: Path
) -> None:
    """A twin whose kept world is damaged: exit code 5 and one message that says what to delete."""
    folder = tmp_path / "campaign"
    assert pressopt("run", short, "--store", folder, kill=("after", 4)).code == -9
    (folder / "twin-world.json").write_text("{")
    ended = pressopt("resume", folder)
    assert ended.code == 5
    assert "twin-world.json is damaged" in ended.err
    one_clear_message(ended)


def test_an_open_interlock_exits_with_four(pressopt: Processes, short: Path, tmp_path: Path) -> None:
    """A guard open when the next cell is to be loaded: exit code 4, written down, then a person is asked."""
    folder = tmp_path / "campaign"
    assert pressopt("run", short, "--store", folder, kill=("after", 8)).code == -9
    world = folder / "twin-world.json"
    world.write_text(world.read_text().replace('"guard_closed": true', '"guard_closed": false'))
    ended = pressopt("resume", folder)
    assert ended.code == 4, ended.err
    assert "guard" in ended.err
    one_clear_message(ended)
    assert kinds_of(folder)[-1] == "PressMadeSafe"
    assert pressopt("resume", folder).code == 7
