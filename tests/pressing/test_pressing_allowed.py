"""What may be asked of a press: every violation at once, and never a force above any limit."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pressopt.errors import LimitError
from pressopt.pressing import (
    Die,
    LaminatorCapability,
    Limits,
    PressCapability,
    PressingProtocol,
    RollStage,
    SafeState,
)
from pressopt.pressing.execution import check_protocol, pressure_range, settable
from pressopt.pressing.protocol import Stage

PRESS = PressCapability("bench-1", 25.0, 0.1, 0.01, 2.0, 150.0, 20.0, 0.01, SafeState.RELEASE, heated=True)
ROLLS = LaminatorCapability("rolls-1", 250.0, 0.5, 80.0, 0.5, 150.0, 20.0, 50.0, 60.0, 0.02, SafeState.RELEASE)
DIE = Die(10.0)


def pressed(*stages: Stage, measure_at_mpa: float = 5.0, release_mpa_s: float = 1.0) -> PressingProtocol:
    return PressingProtocol(stages, measure_at_mpa=measure_at_mpa, release_mpa_s=release_mpa_s)


def test_a_violation_says_asked_allowed_and_way_out() -> None:
    """The whole sentence."""
    protocol = pressed(Stage("a", 100.0, 1.0, 60.0, 25.0), Stage("b", 420.0, 1.0, 60.0, 25.0))
    with pytest.raises(LimitError) as told:
        check_protocol(protocol, DIE, None, PRESS)
    assert str(told.value).strip() == (
        "stages.b.pressure_mpa: stage 2 asks for 33 kN (420 MPa on a 10 mm die), press 'bench-1' allows 25 kN: "
        "stay at or below 318 MPa"
    )


def test_everything_that_is_too_much_is_told_at_once() -> None:
    """Pressure, rate, temperature, measuring pressure and release rate: five violations."""
    protocol = pressed(Stage("a", 420.0, 100.0, 60.0, 300.0), measure_at_mpa=400.0, release_mpa_s=99.0)
    with pytest.raises(LimitError) as told:
        check_protocol(protocol, DIE, None, PRESS)
    assert [violation.where for violation in told.value.violations] == [
        "stages.a.pressure_mpa", "stages.a.ramp_mpa_s", "stages.a.temperature_c",
        "measure_at_mpa", "release_mpa_s",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("protocol", "limits", "words"),
    [
        (pressed(Stage("a", 1.0, 1.0, 1.0, 25.0)), None, r"at the least: stay at or above 1\.28 MPa"),
        (pressed(Stage("a", 60.0, 1.0, 1.0, 25.0)), Limits(pressure_mpa=50.0), "experiment allows 50 MPa"),
        (pressed(Stage("a", 60.0, 1.0, 1.0, 25.0)), Limits(force_kn=3.0), "the experiment allows 3 kN"),
        (
            pressed(Stage("a", 60.0, 1.0, 1.0, 90.0)),
            Limits(temperature_c=80.0),
            "the experiment allows 20 to 80 °C",
        ),
        (pressed(Stage("a", 60.0, 5.0, 1.0, 25.0)), Limits(ramp_mpa_s=2.0), "the experiment allows 2 MPa/s"),
        (pressed(Stage("a", 60.0, 1.0, 1.0, 10.0)), None, "20 to 150 °C"),
        (PressingProtocol((RollStage("r", 9.0, 9.0, 1, 25.0),), measure_at_mpa=0.0), None, "name a laminator"),
    ],
)
def test_limits_of_press_and_experiment(protocol: PressingProtocol, limits: Limits | None, words: str) -> None:
    """The lower of the two limits counts, and is named."""
    with pytest.raises(LimitError, match=words):
        check_protocol(protocol, DIE, limits, PRESS)


def test_rolls_have_limits_of_their_own() -> None:
    """Line force, speed and temperature; and platens are not rolls."""
    rolled = PressingProtocol((RollStage("r", 300.0, 100.0, 1, 200.0),), measure_at_mpa=0.0)
    with pytest.raises(LimitError) as told:
        check_protocol(rolled, DIE, None, ROLLS)
    assert len(told.value.violations) == 3
    with pytest.raises(LimitError, match="is a laminator"):
        check_protocol(pressed(Stage("a", 60.0, 1.0, 1.0, 25.0)), DIE, None, ROLLS)


@given(
    pressure_mpa=st.floats(0.01, 2000.0),
    diameter_mm=st.floats(2.0, 60.0),
    limit_kn=st.none() | st.floats(0.2, 100.0),
    limit_mpa=st.none() | st.floats(1.0, 1000.0),
)
def test_what_passes_is_inside_every_limit(
    pressure_mpa: float, diameter_mm: float, limit_kn: float | None, limit_mpa: float | None
) -> None:
    """Accepted exactly when force and pressure lie inside machine and experiment."""
    die = Die(diameter_mm)
    force_kn = die.force_kn(pressure_mpa)
    allowed = (
        PRESS.min_kn <= force_kn <= min(PRESS.limit_kn, limit_kn or 1e9) and pressure_mpa <= (limit_mpa or 1e9)
    )  # fmt: skip
    protocol = pressed(Stage("a", pressure_mpa, 1e-3, 1.0, 25.0), measure_at_mpa=0.0, release_mpa_s=1e-3)
    try:
        check_protocol(protocol, die, Limits(force_kn=limit_kn, pressure_mpa=limit_mpa), PRESS)
        assert allowed
    except LimitError:
        assert not allowed


@given(pressure_mpa=st.floats(1.0, 5000.0), diameter_mm=st.floats(2.0, 60.0))
def test_the_way_out_is_one(pressure_mpa: float, diameter_mm: float) -> None:
    """The pressure that a violation recommends is itself allowed."""
    die = Die(diameter_mm)

    def check(asked_mpa: float) -> str:
        protocol = pressed(Stage("a", asked_mpa, 1e-3, 1.0, 25.0), measure_at_mpa=0.0, release_mpa_s=1e-3)
        try:
            check_protocol(protocol, die, None, PRESS)
        except LimitError as error:
            return str(error)
        return ""

    if told := check(pressure_mpa):
        way_out_mpa = float(told.rsplit(" ", 2)[1])
        assert check(way_out_mpa) == ""


def test_range_and_step_of_a_press_on_a_die() -> None:
    """0.1 to 25 kN in steps of 0.01 kN on 10 mm are 1.27 to 318 MPa in steps of 0.127 MPa."""
    found = pressure_range(PRESS, DIE)
    assert (found.low_mpa, found.high_mpa, found.step_mpa) == pytest.approx((1.2732, 318.31, 0.12732), rel=1e-4)
    assert pressure_range(PRESS, DIE, Limits(pressure_mpa=100.0)).high_mpa == 100.0
    with pytest.raises(LimitError, match="larger die or a smaller press"):
        pressure_range(PRESS, DIE, Limits(pressure_mpa=1.0))


@dataclass(frozen=True)
class Searched:
    name: str
    low: float
    high: float


@dataclass(frozen=True)
class Space:
    variables: tuple[Searched, ...]


def test_a_space_is_clipped_to_what_the_press_can_do() -> None:
    """Ranges shrink to machine and experiment; what the press does not set stays."""
    space = Space((Searched("a.pressure_mpa", 0.5, 500.0), Searched("a.temperature_c", 10.0, 90.0),
                   Searched("a.ramp_mpa_s", 0.1, 100.0), Searched("a.dwell_s", 1.0, 9e9)))  # fmt: skip
    pressure, heat, ramp, dwell = settable(space, PRESS, DIE, Limits(temperature_c=80.0)).variables
    assert (pressure.low, pressure.high) == pytest.approx((1.2732, 318.31), rel=1e-4)
    assert (heat.low, heat.high) == (20.0, 80.0)
    assert (ramp.low, ramp.high) == pytest.approx((0.1, 25.46), rel=1e-3)
    assert dwell == space.variables[3]


def test_a_range_of_which_nothing_is_left_is_refused() -> None:
    """Searching only beyond the press is an error, all ranges at once."""
    space = Space((Searched("a.pressure_mpa", 400.0, 500.0), Searched("a.temperature_c", 200.0, 300.0)))
    with pytest.raises(LimitError) as told:
        settable(space, PRESS, DIE)
    assert len(told.value.violations) == 2
