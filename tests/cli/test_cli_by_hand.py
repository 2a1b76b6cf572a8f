"""A campaign whose press a person works: on a terminal of 100 columns, and through the inbox alone."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pexpect
import pytest

from pressopt.assembly import SilentWatcher, begin_campaign, continue_campaign
from pressopt.campaign import events as e
from pressopt.campaign.by_hand import open_question
from pressopt.campaign.replay import CampaignState, TrialState, replay
from pressopt.pressing.by_hand import Kind, Question
from pressopt.store import SqliteJournal, leave_wish
from pressopt.store.places import journal_of
from processes import experiment_file

CHANGES = {
    '[laboratory]\nkind = "twin"': '[laboratory]\npress = { profile = "generic-hand-press" }\nkind = "twin"',
    'temperature = { low = "25 °C", high = "90 °C", step = "1 °C" }': 'temperature = "25 °C"',
    'low = "1 MPa", high = "100 MPa", scale = "log", step = "0.1 MPa"': 'low = "10 MPa", high = "100 MPa"',
    'pressure = "5 MPa"': 'pressure = "10 MPa"',
}


@pytest.fixture
def by_hand(tmp_path: Path) -> Path:
    return experiment_file(tmp_path, trials=1, changes=CHANGES)


def state_of(folder: Path) -> CampaignState:
    with contextlib.closing(SqliteJournal.read(journal_of(folder))) as journal:
        journal.verify()
        return replay(journal.entries())


def kinds_of(folder: Path) -> list[str]:
    with contextlib.closing(SqliteJournal.read(journal_of(folder))) as journal:
        return [type(entry.event).__name__ for entry in journal.entries()]


# ---------------------------------------------------------------------- on a terminal


class Dialogue:
    """One run on a terminal of 100 columns, with a person who reads and types."""

    def __init__(self, *argv: str) -> None:
        command = f"from pressopt.cli import main; main({[str(word) for word in argv]!r})"
        environment = {**os.environ, "TERM": "xterm", "COLUMNS": "100", "LINES": "40"}
        self.child: Any = pexpect.spawn(
            sys.executable, ["-c", command], dimensions=(40, 100), encoding="utf-8", timeout=60, env=environment
        )
        self.lines: list[str] = []

    def reads(self, text: str) -> str:
        """Wait until ``text`` stands there, and return what came before it."""
        self.child.expect_exact(text)
        before: str = self.child.before
        self.lines += (before + text).replace("\r", "").split("\n")
        return before

    def types(self, text: str) -> None:
        self.child.sendline(text)

    def enters(self, prompt: str, value: str) -> None:
        """Enter a value twice."""
        self.reads(f"    {prompt}: ")
        self.types(value)
        self.reads(f"    once more, {prompt}: ")
        self.types(value)

    def interrupts(self) -> None:
        """Press Ctrl-C until it is heard: what is typed ahead of a question is thrown away, Ctrl-C with it."""
        for _ in range(20):
            self.child.sendintr()
            if self.child.expect_exact(["stopping:", "stopped safely", pexpect.TIMEOUT], timeout=5) != 2:
                return

    def ends(self) -> int:
        self.child.expect(pexpect.EOF)
        self.lines += self.child.before.replace("\r", "").split("\n")
        self.child.close()
        return int(self.child.exitstatus if self.child.exitstatus is not None else -self.child.signalstatus)


def asked_of(folder: Path) -> float:
    """What the gauge should show now."""
    (trial,) = state_of(folder).in_flight
    asked = open_question(trial).fields[0].asked
    assert asked is not None
    return asked


def loads(said: Dialogue) -> None:
    said.reads("release the press, put cell 1 under the press")
    said.reads("pressopt reject 1`)")
    said.types("")


def test_a_person_presses_a_cell_on_a_terminal(by_hand: Path, tmp_path: Path) -> None:
    """One cell by hand: gauge units, timers, double entry, a slip caught, a note, a photograph, and the answer."""
    folder, photo = tmp_path / "campaign", tmp_path / "cell 1.jpg"
    photo.write_bytes(b"\xff\xd8 a picture")
    said = Dialogue("run", str(by_hand), "--store", str(folder))
    loads(said)
    said.reads("step 1 · stage 'lamination': pump up to ")
    said.reads("MPa on the sample), evenly")
    said.reads("takes about 0:")
    said.reads("the gauge now [tf]: ")
    said.types("3.2 kN")
    said.reads("'kN' was given: read it in tf")
    gauge = f"{asked_of(folder):.3f}"
    said.types(gauge)
    said.reads("once more, the gauge now [tf]: ")
    said.types("0.01")
    said.reads("are not the same: look again")
    said.types("note foil lay well")
    said.reads("noted")
    said.types(f"photo {photo}")
    said.reads("kept: cell 1.jpg, 12 bytes")
    said.enters("the gauge now [tf]", gauge)
    said.reads("step 2 · stage 'lamination': hold ")
    said.reads("left")
    said.reads("time is up")
    said.enters("the gauge at the end, before you touch it [tf]", gauge.replace(".", ","))
    said.enters("how often you pumped up again [times]", "1")
    said.reads("step 3 · for the measurement: let down to ")
    said.enters("the gauge now [tf]", f"{asked_of(folder):.3f}")
    said.reads("step 4 · for the measurement: leave the cell alone for 60 s")
    said.enters("the gauge now [tf]", f"{asked_of(folder):.3f}")
    said.reads("trial   1/1")
    assert said.ends() == 0
    told = [line for line in said.lines if line.startswith("    ") and "]: " not in line]
    assert max(map(len, told)) <= 100
    state = state_of(folder)
    trial = state.trial(1)
    assert trial.phase.value == "done"
    assert "interfacial_resistance_ohm_cm2" in trial.outcomes or trial.failures
    assert trial.achieved["lamination.pressure_mpa"] == pytest.approx(
        float(trial.settings["lamination.pressure_mpa"]), rel=0.02
    )
    note, picture = trial.attached
    assert note.note == "foil lay well"
    with contextlib.closing(SqliteJournal.read(journal_of(folder))) as journal:
        assert journal.blob(picture.data) == photo.read_bytes()
        record = json.loads(journal.blob(trial.record))
    assert record["stages"][0]["refills"] == 1


def test_killed_while_the_person_pumps_it_asks_that_step_again(by_hand: Path, tmp_path: Path) -> None:
    """kill -9 in the middle: resume puts the open step once more, never an earlier one, and goes on."""
    folder = tmp_path / "campaign"
    said = Dialogue("run", str(by_hand), "--store", str(folder))
    loads(said)
    said.reads("step 1")
    said.enters("the gauge now [tf]", f"{asked_of(folder):.3f}")
    said.reads("time is up")
    said.child.kill(signal.SIGKILL)
    assert said.ends() == -signal.SIGKILL
    said = Dialogue("resume", str(folder))
    said.reads("step 2 · stage 'lamination': hold ")
    said.reads("The program was away while this was open")
    gauge = f"{asked_of(folder):.3f}"
    said.enters("the gauge at the end, before you touch it [tf]", gauge)
    said.enters("how often you pumped up again [times]", "0")
    said.reads("time under pressure in all [s]: ")
    said.types("5000")
    said.reads("once more")
    said.types("5000")
    said.reads("not taken: time under pressure in all: 5000 s instead of")
    said.types("why the computer was off")
    said.enters("the gauge at the end, before you touch it [tf]", gauge)
    said.enters("how often you pumped up again [times]", "0")
    said.enters("time under pressure in all [s]", "5000")
    said.reads("step 3")
    said.enters("the gauge now [tf]", f"{asked_of(folder):.3f}")
    said.reads("step 4")
    said.enters("the gauge now [tf]", f"{asked_of(folder):.3f}")
    said.reads("trial   1/1")
    assert said.ends() == 0
    trial = state_of(folder).trial(1)
    assert (trial.phase.value, trial.pressings, len(trial.answers)) == ("done", 1, 4)
    assert trial.achieved["lamination.dwell_s"] == 5000.0
    assert "'lamination', hold: the computer was off" in trial.deviations


def test_abort_is_possible_at_any_time(by_hand: Path, tmp_path: Path) -> None:
    """`abort` while a timer runs: release is asked for, the cell is given up, the next one is proposed."""
    folder = tmp_path / "campaign"
    said = Dialogue("run", str(by_hand), "--store", str(folder))
    loads(said)
    said.reads("the gauge now [tf]: ")
    said.types("abort foil slipped")
    said.reads("release the press by hand now")
    said.reads("rejected: foil slipped")
    said.reads("put cell 2 under the press")
    trial = state_of(folder).trial(1)
    assert trial.phase.value == "rejected"
    assert trial.record, "what the cell got until then is kept"
    said.interrupts()
    assert said.ends() == 130


# ---------------------------------------------------------------------- through the inbox alone


class Colleague(SilentWatcher):
    """Somebody with a web page: sees the journal's events, leaves wishes in its inbox."""

    def __init__(self, folder: Path, answers: Iterator[dict[str, Any]] | None = None) -> None:
        self.path, self.seen = journal_of(folder), list[Question]()
        self._special = answers

    def on_wait(self, message: str) -> None:
        for number in (1, 2):
            if f"put cell {number} under the press" in message:
                leave_wish(self.path, e.Loaded(number, by="Ada"), actor="Ada")

    def on_entry(self, event: object, state: CampaignState) -> None:
        if isinstance(event, e.PersonAsked):
            question = open_question(state.trial(event.trial))
            self.seen.append(question)
            values = {one.name: 0.0 if one.asked is None else one.asked for one in question.fields}
            special = next(self._special, {}) if self._special is not None else {}
            said = {"values": values, "again": values, "why": "by the page", "by": "Ada", **special}
            leave_wish(self.path, e.PersonAnswered(event.trial, event.number, **said), actor="Ada")


def test_a_page_can_work_the_same_press_through_the_inbox(by_hand: Path, tmp_path: Path) -> None:
    """No terminal: questions are read from the journal, answers come as wishes, and the cell is measured."""
    folder = tmp_path / "campaign"
    page = Colleague(folder)
    with begin_campaign(by_hand, store=folder) as campaign:
        state = campaign.run(page)
    assert [each.kind for each in page.seen] == [Kind.PUMP, Kind.HOLD, Kind.PUMP, Kind.SETTLE]
    assert state.trial(1).phase.value == "done"
    assert all(answer.by == "Ada" for answer in state.trial(1).answers)
    kinds = kinds_of(folder)
    assert kinds.count("PressingStarted") == kinds.count("PressingFinished") == 1


def test_a_wrong_answer_is_asked_for_again_with_its_problem(by_hand: Path, tmp_path: Path) -> None:
    """Entries that differ come back as the same question with a problem; the answer after that is taken."""
    folder = tmp_path / "campaign"
    page = Colleague(folder, iter([{"again": {"gauge": 9.0}}]))
    with begin_campaign(by_hand, store=folder) as campaign:
        state = campaign.run(page)
    assert [each.number for each in page.seen] == [1, 1, 2, 3, 4]
    assert "which one is it?" in page.seen[1].problem
    assert len(state.trial(1).answers) == 4


def test_a_force_above_the_limit_stops_the_trial_and_asks(by_hand: Path, tmp_path: Path) -> None:
    """A force reported above the limit is written down, ends the trial as a fault, and somebody has to look."""
    from pressopt.errors import NeedsPersonError

    folder = tmp_path / "campaign"
    much = {"gauge": 4.0}  # 120 MPa are allowed: 1.55 tf on this die
    page = Colleague(folder, iter([{"values": much, "again": much}]))
    with begin_campaign(by_hand, store=folder) as campaign, pytest.raises(NeedsPersonError, match="are allowed"):
        campaign.run(page)
    trial = state_of(folder).trial(1)
    assert trial.phase.value == "faulted"
    assert trial.record


class LeftError(BaseException):
    """The program ended here."""


class Dies(Colleague):
    """The program ends right after the n-th record."""

    def __init__(self, folder: Path, number: int) -> None:
        super().__init__(folder)
        self._left = number

    def on_entry(self, event: object, state: CampaignState) -> None:
        super().on_entry(event, state)
        self._left -= 1
        if self._left == 0:
            raise LeftError


@pytest.mark.parametrize(
    "number", [each if each in (4, 6, 8) else pytest.param(each, marks=pytest.mark.long) for each in range(3, 12)]
)
def test_ended_after_any_record_the_cell_is_pressed_once(by_hand: Path, tmp_path: Path, number: int) -> None:
    """Whatever record was the last, resume asks only what is open, and no answer is lost or asked twice."""
    folder = tmp_path / "campaign"
    with begin_campaign(by_hand, store=folder) as campaign, pytest.raises(LeftError):
        campaign.run(Dies(folder, number))
    before = state_of(folder).trials.get(1, TrialState(1))
    page = Colleague(folder)
    with continue_campaign(folder) as campaign:
        state = campaign.run(page)
    trial = state.trial(1)
    assert (trial.phase.value, trial.pressings, len(trial.answers)) == ("done", 1, 4)
    assert trial.answers[: len(before.answers)] == before.answers
