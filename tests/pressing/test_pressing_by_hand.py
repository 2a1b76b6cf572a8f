"""Pressing by a person: what is asked, in the units of the gauge, what is taken, and what the cell got."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pressopt.pressing import (
    Die,
    LaminatorCapability,
    PressCapability,
    PressingProtocol,
    RollStage,
    SafeState,
    Stage,
)
from pressopt.pressing.by_hand import Answer, Gauge, HandPress, Kind, Question, problem_of

RAM_MM2 = math.pi / 4 * 60.0**2
PRESS = HandPress(
    PressCapability("hand-1", 100.0, 1.0, 0.5, 5.0, 200.0, 20.0, 0.03, SafeState.RELEASE, heated=True),
    Gauge("tf", 9.80665, 0.05),
    Die(12.7),
    (("kN", 1.0), ("tf", 9.80665), ("oil bar", RAM_MM2 * 0.1 / 1000)),
)
PROTOCOL = PressingProtocol(
    (Stage("densify", 300.0, 2.0, 120.0, 25.0), Stage("laminate", 25.0, 1.0, 300.0, 60.0)), measure_at_mpa=10.0
)


def as_asked(question: Question, *, elapsed_s: float | None = None) -> Answer:
    """What a person says who did exactly what was asked."""
    values = {one.name: 0.0 if one.asked is None else one.asked for one in question.fields}
    return Answer(question.number, values, values, elapsed_s=question.timer_s if elapsed_s is None else elapsed_s)


def questions(protocol: PressingProtocol, press: HandPress = PRESS) -> list[Question]:
    answers: list[Answer] = []
    found = []
    for _ in press.steps(protocol):
        found.append(press.question(protocol, answers))
        answers.append(as_asked(found[-1]))
    return found


def test_every_step_is_asked_in_order() -> None:
    """Heat where it changes, pump, hold for each stage; then let down, cool and settle for the measurement."""
    assert [each.kind for each in questions(PROTOCOL)] == [
        Kind.HEAT, Kind.PUMP, Kind.HOLD, Kind.HEAT, Kind.PUMP, Kind.HOLD, Kind.PUMP, Kind.HEAT, Kind.SETTLE,
    ]  # fmt: skip
    assert [each.number for each in questions(PROTOCOL)] == list(range(1, 10))


def test_a_force_is_said_as_the_gauge_shows_it_and_as_others_do() -> None:
    """300 MPa on a 12.7 mm die are 38.0 kN, 3.88 tf, and 134 bar of oil under a 60 mm ram."""
    pump = questions(PROTOCOL)[1]
    assert pump.title == "stage 'densify': pump up to 3.88 tf"
    assert "3.88 tf (38 kN; 134 oil bar; 300 MPa on the sample)" in pump.lines[0]
    assert pump.fields[0].unit == "tf"


def test_doing_as_asked_is_recorded_as_asked() -> None:
    """Pressure, rate, time and temperature of each stage come out as they were asked, with an uncertainty."""
    asked = questions(PROTOCOL)
    record = PRESS.record(PROTOCOL, [as_asked(each) for each in asked])
    for stage in record.stages:
        assert stage.achieved == pytest.approx(stage.asked)
        assert stage.achieved_sd["pressure_mpa"] >= 0.03 * stage.asked["pressure_mpa"]
        assert stage.achieved_sd["temperature_c"] >= 0.8
    assert (record.held_mpa, record.held_c) == pytest.approx((10.0, 25.0))
    assert record.deviations == ()


def test_what_deviates_is_recorded_as_it_was() -> None:
    """A lower force and a shorter hold, explained, are what the optimizer is told; the words are kept."""
    asked = questions(PROTOCOL)
    answers = [as_asked(each) for each in asked]
    kn = Die(12.7).force_kn(200.0)
    low = {"gauge": PRESS.gauge.shown(kn)}
    answers[1] = Answer(2, low, low, why="valve leaks", elapsed_s=100.0)
    held = {"gauge": PRESS.gauge.shown(kn), "refills": 3.0, "temperature_c": 25.0}
    answers[2] = Answer(3, held, held, why="late for lunch", elapsed_s=60.0)
    for at in (1, 2):
        assert problem_of(asked[at], answers[at]) == ""
    stage = PRESS.record(PROTOCOL, answers).stages[0]
    assert stage.achieved["pressure_mpa"] == pytest.approx(200.0)
    assert stage.achieved["dwell_s"] == 60.0
    assert stage.achieved["ramp_mpa_s"] == pytest.approx(2.0)
    assert stage.refills == 3
    assert PRESS.record(PROTOCOL, answers).deviations == (
        "'densify', pump: valve leaks",
        "'densify', hold: late for lunch",
    )


def test_a_fall_during_the_hold_widens_the_uncertainty() -> None:
    """A gauge that fell from 3.88 to 3.38 tf gives the mean, and half its span enters the standard deviation."""
    answers = [as_asked(each) for each in questions(PROTOCOL)]
    fallen = {"gauge": answers[1].values["gauge"] - 0.5, "refills": 0.0, "temperature_c": 25.0}
    steady, answers[2] = PRESS.record(PROTOCOL, answers), Answer(3, fallen, fallen, elapsed_s=120.0)
    fell = PRESS.record(PROTOCOL, answers)
    lost_mpa = Die(12.7).pressure_mpa(0.5 * 9.80665)
    assert fell.stages[0].achieved["pressure_mpa"] == pytest.approx(300.0 - lost_mpa / 2)
    more = fell.stages[0].achieved_sd["pressure_mpa"] ** 2 - steady.stages[0].achieved_sd["pressure_mpa"] ** 2
    assert more == pytest.approx(lost_mpa**2 / 12, rel=0.1)


@pytest.mark.parametrize(
    ("values", "again", "told"),
    [
        ({}, {}, "enter a number in tf"),
        ({"gauge": 3.88}, {}, "enter it a second time"),
        ({"gauge": 3.88}, {"gauge": 3.38}, "3.88 and 3.38 tf were entered: which one is it?"),
        ({"gauge": 38.0}, {"gauge": 38.0}, "38 tf is not possible here .0 to 15.3.*another unit"),
        ({"gauge": -1.0}, {"gauge": -1.0}, "not possible"),
        ({"gauge": math.nan}, {"gauge": math.nan}, "enter a number"),
        ({"gauge": 2.0}, {"gauge": 2.0}, "2 tf instead of 3.875: is it another unit"),
        ({"gauge": 3.88, "colour": 1.0}, {"gauge": 3.88}, "'colour' was not asked for"),
    ],
)
def test_what_cannot_be_is_not_taken(values: dict[str, float], again: dict[str, float], told: str) -> None:
    """Missing, single, different, impossible, far-off and unasked values are refused with what to do."""
    import re

    pump = questions(PROTOCOL)[1]
    problem = problem_of(pump, Answer(2, values, again))
    assert re.search(told, problem), problem


def test_a_hold_that_ends_early_needs_a_word() -> None:
    """Half of the time is refused, and taken with a word on why; what nobody timed is taken as it is."""
    hold = questions(PROTOCOL)[2]
    assert "60 s are left" in problem_of(hold, as_asked(hold, elapsed_s=60.0))
    assert problem_of(hold, as_asked(hold, elapsed_s=119.0)) == ""
    half = as_asked(hold, elapsed_s=60.0)
    assert problem_of(hold, Answer(3, half.values, half.again, "foil moved", 60.0)) == ""


def test_a_hold_that_nobody_timed_asks_for_its_time() -> None:
    """Taken up after the program was away, the hold has no timer and wants the time under pressure."""
    answers = [as_asked(each) for each in questions(PROTOCOL)[:2]]
    hold = PRESS.question(PROTOCOL, answers, taken_up=True)
    assert (hold.timer_s, hold.fields[-1].name, hold.fields[-1].asked) == (0.0, "dwell_s", 120.0)
    values = {"gauge": 3.88, "refills": 1.0, "temperature_c": 25.0, "dwell_s": 500.0}
    late = Answer(3, values, values, why="the computer was off")
    assert "instead of 120" in problem_of(hold, Answer(3, values, values))
    assert problem_of(hold, late) == ""
    rest = [as_asked(each) for each in questions(PROTOCOL)[3:]]
    assert PRESS.record(PROTOCOL, [*answers, late, *rest]).stages[0].achieved["dwell_s"] == 500.0


def test_a_rate_that_nobody_timed_is_as_asked_and_very_uncertain() -> None:
    """After a kill in the ramp, the rate asked is kept with half of itself as standard deviation."""
    answers = [as_asked(each) for each in questions(PROTOCOL)]
    answers[1] = Answer(2, answers[1].values, answers[1].again)
    stage = PRESS.record(PROTOCOL, answers).stages[0]
    assert (stage.achieved["ramp_mpa_s"], stage.achieved_sd["ramp_mpa_s"]) == (2.0, 1.0)


def test_a_force_above_the_limit_is_found() -> None:
    """More than the experiment allows, by more than one step of the gauge, ends the trial; a step does not."""
    pump = questions(PROTOCOL)[1]
    assert PRESS.over_limit(as_asked(pump), 38.0) == ""
    assert "20 kN" in PRESS.over_limit(as_asked(pump), 20.0)


def test_rolling_by_hand_is_reported_as_it_was() -> None:
    """Line force, speed, passes and temperature come from the person."""
    capability = LaminatorCapability(
        "rolls", 200.0, 5.0, 50.0, 1.0, 120.0, 20.0, 50.0, 60.0, 0.05, SafeState.RELEASE
    )
    rolls = HandPress(capability, Gauge("kN", 1.0, 1.0), Die(16.0))
    protocol = PressingProtocol((RollStage("roll", 60.0, 10.0, 3, 80.0),), 0.0)
    asked = questions(protocol, rolls)
    assert [each.kind for each in asked] == [Kind.HEAT, Kind.ROLL, Kind.SETTLE]
    answers = [as_asked(each) for each in asked]
    told = {"line_force_n_mm": 55.0, "speed_mm_s": 10.0, "passes": 4.0, "temperature_c": 78.0}
    assert "passes done" in problem_of(asked[1], Answer(2, told, told))
    answers[1] = Answer(2, told, told, why="one more")
    assert rolls.record(protocol, answers).stages[0].achieved == told


@given(
    pressure=st.floats(10, 500), dwell=st.floats(0, 3600), temperature=st.floats(20, 150), held=st.floats(0, 50),
    digits=st.floats(0.001, 1),
)  # fmt: skip
def test_doing_as_asked_is_always_taken(
    pressure: float, dwell: float, temperature: float, held: float, digits: float
) -> None:
    """Whatever protocol and gauge: exact answers raise no problem, questions survive JSON, the record fits."""
    press = HandPress(PRESS.capability, Gauge("tf", 9.80665, digits), PRESS.die)
    protocol = PressingProtocol((Stage("one", pressure, 1.0, dwell, temperature),), held)
    asked = questions(protocol, press)
    for each in asked:
        assert Question.from_json(each.to_json()) == each
        assert problem_of(each, as_asked(each)) == ""
    record = press.record(protocol, [as_asked(each) for each in asked])
    assert record.stages[0].achieved["pressure_mpa"] == pytest.approx(pressure)
    assert record.held_mpa == pytest.approx(held)
