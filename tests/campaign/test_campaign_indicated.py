"""A person at a hand press with a load indicator on a wire: the force is read, not entered, and watched."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from pressopt.assembly import Campaign, SilentWatcher, begin_campaign, continue_campaign
from pressopt.campaign import events as e
from pressopt.campaign.by_hand import Said, open_question
from pressopt.campaign.lifecycle import Phase
from pressopt.campaign.replay import CampaignState, TrialState
from pressopt.errors import LinkTimeout, NeedsPersonError, ProfileError
from pressopt.pressing.by_hand import Kind, Question
from pressopt.pressing.record import record_from_bytes
from pressopt.profiles import load_profile, parse_profile
from pressopt.store import SqliteJournal
from pressopt.store.places import journal_of
from pressopt.twin.follower import BenchFollower
from pressopt.twin.laboratory import VirtualBench
from processes import experiment_file

CHANGES = {
    "[laboratory]": '[laboratory]\npress = { profile = "generic-hand-press-indicated" }',
    'temperature = { low = "25 °C", high = "90 °C", step = "1 °C" }': 'temperature = "25 °C"',
    'low = "1 MPa", high = "100 MPa", scale = "log", step = "0.1 MPa"': 'low = "10 MPa", high = "100 MPa"',
    'pressure = "5 MPa"': 'pressure = "10 MPa"',
}


class Person:
    """Does what is asked, waits for the timer, and reports what there is to report.

    Attributes:
        seen: (question, what the indicator showed) of every look.
        does: Called before an answer; returns another answer, or None.
    """

    def __init__(self, does: Callable[[TrialState, Question], Said | None] = lambda *_: None) -> None:
        self.seen: list[tuple[Question, str]] = []
        self.does = does

    def __call__(self, trial: TrialState, question: Question, left_s: float, shown: str) -> Said | None:
        self.seen.append((question, shown))
        own = self.does(trial, question)
        assert len(self.seen) < 5000, f"asked again and again: {question.title}: {question.problem}"
        if own is not None or left_s > 0:
            return own
        values = {field.name: 0.0 if field.asked is None else field.asked for field in question.fields}
        return e.PersonAnswered(trial.number, question.number, values=values, again=values, by="tester"), ()


def begun(tmp_path: Path) -> Campaign:
    return begin_campaign(experiment_file(tmp_path, trials=1, changes=CHANGES), store=tmp_path / "campaign")


def bench_of(campaign: Campaign) -> VirtualBench:
    follower = campaign.laboratory.follower
    assert isinstance(follower, BenchFollower)
    return follower._bench


def run(campaign: Campaign, person: Person, watcher: SilentWatcher | None = None) -> CampaignState:
    return campaign.run(watcher or SilentWatcher(), ask=person, confirm=lambda _: "tester")


def test_the_force_is_read_and_not_entered(tmp_path: Path) -> None:
    """No question asks for the gauge; pressure, its spread and its course are what the load cell saw."""
    person = Person()
    with begun(tmp_path) as campaign:
        trial = run(campaign, person).trial(1)
    assert trial.phase is Phase.DONE
    assert {field.name for question, _ in person.seen for field in question.fields} == {"refills"}
    assert any(shown.endswith(" kN") for _, shown in person.seen)
    with contextlib.closing(SqliteJournal.read(journal_of(tmp_path / "campaign"))) as journal:
        record = record_from_bytes(journal.blob(trial.record))
    (stage,) = record.stages
    held = record.force_kn[record.stage == 0]
    assert held.size > 10
    assert stage.achieved["pressure_mpa"] == pytest.approx(stage.asked["pressure_mpa"], rel=0.03)
    assert stage.achieved["pressure_mpa"] != stage.asked["pressure_mpa"]
    least = load_profile("generic-hand-press-indicated").press
    assert least is not None
    assert stage.achieved_sd["pressure_mpa"] >= least.force_sd_rel * stage.achieved["pressure_mpa"]
    assert (np.diff(record.time_s) >= 0).all()


def test_who_stops_pumping_too_early_is_told_what_the_indicator_shows(tmp_path: Path) -> None:
    """The report is refused until the force is there; with a word on why it is taken as it is."""
    problems: list[str] = []

    def hasty(trial: TrialState, question: Question) -> Said | None:
        if question.problem:
            problems.append(question.problem)
            values = dict.fromkeys((field.name for field in question.fields), 0.0)
            said = e.PersonAnswered(
                trial.number, question.number, values=values, again=values, why="the valve sticks", by="tester"
            )
            return said, ()
        if question.number > 1:
            return None
        return e.PersonAnswered(trial.number, question.number, by="tester"), ()

    with begun(tmp_path) as campaign:
        trial = run(campaign, Person(hasty)).trial(1)
    assert "the load indicator" in problems[0]
    assert trial.phase is Phase.DONE
    assert any("the valve sticks" in deviation for deviation in trial.deviations)


class Told(SilentWatcher):
    """Keeps what the person is told."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def on_wait(self, message: str) -> None:
        self.told.append(message)


def test_a_force_above_the_limit_ends_the_pressing_at_once(tmp_path: Path) -> None:
    """Nobody has to report it: the person is told to release, and the cell is asked about."""
    watcher = Told()
    with begun(tmp_path) as campaign:

        def slips(_: TrialState, question: Question) -> Said | None:
            if question.kind is Kind.HOLD and not slipped:
                slipped.append(True)
                bench_of(campaign).inject("runaway", rate_kn_s=5.0)
            return None

        slipped: list[bool] = []
        with pytest.raises(NeedsPersonError, match="shown by the load indicator"):
            run(campaign, Person(slips), watcher)
        trial = campaign.state.trial(1)
    assert trial.phase is Phase.FAULTED
    assert any("release the press by hand now" in message for message in watcher.told)


def test_an_indicator_that_gives_no_force_is_waited_for(tmp_path: Path) -> None:
    """While it does not answer nothing is taken for a force; once it does, the pressing goes on."""
    problems: list[str] = []
    with begun(tmp_path) as campaign:
        indicator = campaign.laboratory.indicator
        assert indicator is not None
        works, dead = indicator.read, [True]

        def read() -> object:
            if dead:
                raise LinkTimeout("no reply")
            return works()

        indicator.read = read  # type: ignore[method-assign,assignment]

        def mends(trial: TrialState, question: Question) -> Said | None:
            if question.problem and dead:
                problems.append(question.problem)
                dead.clear()
            return None

        trial = run(campaign, Person(mends)).trial(1)
    assert "gives no force (no reply)" in problems[0]
    assert trial.phase is Phase.DONE


def test_killed_in_the_hold_it_is_taken_up_with_the_force_that_is_there(tmp_path: Path) -> None:
    """A new process asks how long the cell was under pressure, and reads the force on."""

    class LeftError(BaseException):
        """The program ended here."""

    def leaves(_: TrialState, question: Question) -> Said | None:
        if question.kind is Kind.HOLD:
            raise LeftError
        return None

    with begun(tmp_path) as campaign, pytest.raises(LeftError):
        run(campaign, Person(leaves))
    with continue_campaign(tmp_path / "campaign") as campaign:
        (waiting,) = campaign.state.in_flight
        assert open_question(waiting).kind is Kind.HOLD
        person = Person()
        trial = run(campaign, person).trial(1)
    assert trial.phase is Phase.DONE
    assert "dwell_s" in {field.name for question, _ in person.seen for field in question.fields}


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ('[parts.other]\nextends = "cas-ci-600d"\n', "parts.other"),
        ('[parts.indicator]\nextends = "delta-dtb"\n', "parts.indicator"),
        ('[press]\ngauge_unit = "tf"\n', "press.gauge_unit"),
    ],
)
def test_what_does_not_belong_beside_a_person_is_named(text: str, where: str) -> None:
    """One load indicator called so, and no gauge beside it."""
    with pytest.raises(ProfileError) as told:
        parse_profile(f'extends = "generic-hand-press-indicated"\n{text}', source="mine")
    assert where in [violation.where for violation in told.value.violations]
