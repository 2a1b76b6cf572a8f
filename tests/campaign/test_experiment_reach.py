"""What laboratory, materials and physics can bear is found out before anything runs."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from pressopt.campaign.experiment import Device
from pressopt.campaign.experiment_file import read_experiment
from pressopt.errors import ExperimentError

BASE: str = tomllib.loads((Path(__file__).parent / "experiment_mistakes.toml").read_text("utf-8"))["base"]
EXPERIMENTS = Path(__file__).parents[2] / "experiments"
PRESS = """extends = "generic-plc-press-tcp"
name = "small-press"
[press]
resolution_kn = 0.05
min_controllable_kn = 0.05
capacity_kn = 5.0
heated = false
[limits]
force_kn = 4.0
"""


def refused(text: str, path: Path) -> list[str]:
    """All that is said about a text."""
    with pytest.raises(ExperimentError) as caught:
        read_experiment(text, path)
    return [str(violation) for violation in caught.value.violations]


def test_pressures_are_proposed_on_the_steps_of_the_press() -> None:
    """Without a step in the file, the force resolution of the press over this die is the step."""
    pressure, dwell = read_experiment(BASE, "x.toml").space.variables
    assert pressure.resolution == pytest.approx(0.001 * 1000 / (3.14159265 / 4 * 100))
    assert dwell.resolution is None


def test_a_profile_of_ones_own_stands_beside_the_experiment(tmp_path: Path) -> None:
    """Its path starts from the experiment's folder; its force, heater and resolution are checked on this die."""
    (tmp_path / "small.toml").write_text(PRESS, encoding="utf-8")
    text = BASE.replace('kind = "twin"', 'kind = "twin"\npress = "small.toml"')
    text = text.replace('temperature = "25 °C"', 'temperature = "60 °C"')
    said = refused(
        text.replace('scale = "log" }\ndwell', 'scale = "log", step = "0.1 MPa" }\ndwell'), tmp_path / "e.toml"
    )
    assert said == [
        "line 20: stages.press.pressure: is searched up to 100 MPa, 'small-press' does at most 50.93 MPa (4 kN "
        "over the die): stay below",
        "line 20: stages.press.pressure.step: 0.1 MPa is finer than 'small-press' can set on this die "
        "(0.6366 MPa): give a wider step, or leave it out",
        "line 22: stages.press.temperature: press 'small-press' has no heater: give the temperature of the room",
    ]
    text = text.replace('high = "100 MPa"', 'high = "50 MPa"').replace("60 °C", "25 °C")
    experiment = read_experiment(text, tmp_path / "e.toml")
    assert experiment.laboratory.press == Device(str(tmp_path / "small.toml"))
    assert experiment.space.variables[0].resolution == pytest.approx(0.6366, rel=1e-4)


def test_a_mistake_inside_a_profile_is_reported_with_its_own_line(tmp_path: Path) -> None:
    """A profile that cannot be used says where, inside the list of the experiment's mistakes."""
    (tmp_path / "small.toml").write_text(PRESS.replace("heated = false", "heatd = false"), encoding="utf-8")
    (said,) = refused(BASE.replace('kind = "twin"', 'kind = "twin"\npress = "small.toml"'), tmp_path / "e.toml")
    assert said.startswith("line 32: laboratory.press.profile: ")
    assert "line 7: press.heatd" in said


def test_less_than_the_press_controls_is_refused() -> None:
    """Below the smallest controllable force a press only guesses; released is always possible."""
    text = BASE.replace('pressure = "5 MPa"', 'pressure = "0.01 MPa"')
    (said,) = refused(text, Path("x.toml"))
    assert said.startswith("line 27: measurement.pressure: is 0.01 MPa, 'generic-plc-press-tcp' does at least ")
    read_experiment(BASE.replace('pressure = "5 MPa"', 'pressure = "released"'), "x.toml")


def test_rolls_are_checked_against_the_laminator() -> None:
    """Line force and speed that are searched lie inside what the laminator does."""
    text = (EXPERIMENTS / "li-copper-roll-lamination.toml").read_text("utf-8")
    text = text.replace('high = "200 N/mm"', 'high = "400 N/mm"').replace('low = "1 mm/s"', 'low = "0.5 m/h"')
    said = refused(text.replace('line_force = "240 N/mm"', 'line_force = "500 N/mm"'), Path("x.toml"))
    assert len(said) == 2
    assert "'generic-roll-laminator-tcp' does at most 250 N/mm: stay below" in said[0]
    assert "'generic-roll-laminator-tcp' does at least 0.5 mm/s: stay above" in said[1]


def test_a_bench_needs_to_know_where_its_devices_are() -> None:
    """With a url each, a person loading, it is a laboratory."""
    devices = (
        'press = { profile = "generic-plc-press-tcp", url = "tcp://192.168.0.20:502" }\n'
        'analyzer = { profile = "generic-methodscript-analyzer", url = "/dev/serial/by-id/x" }'
    )
    plan = read_experiment(BASE.replace('kind = "twin"', f'kind = "bench"\n{devices}'), "x.toml").laboratory
    assert (plan.kind, plan.loading) == ("bench", "person")
    assert plan.press == Device("generic-plc-press-tcp", "tcp://192.168.0.20:502")
    assert (plan.laminator, plan.meter) == (None, None)


def test_a_cell_that_the_physics_cannot_describe_needs_another_strategy() -> None:
    """A quantity that the physics does not predict for this cell is no predicted goal."""
    constraint = '[[constraints]]\nquantity = "contact_resistance_mohm_cm2"\nupper = 10\nsource = "predicted"\n'
    text = BASE.replace("[measurement]", constraint + "[measurement]")
    assert refused(text, Path("x.toml")) == [
        "line 26: constraints[1].quantity: contact_resistance_mohm_cm2 needs an electrode on a collector: "
        "this cell has none"
    ]


def test_a_rule_over_fixed_settings_bounds_what_is_searched() -> None:
    """A fixed setting in a relation is put in as its number, and the rule keeps its text."""
    rule = 'relation = "stack.pressure <= 0.5 * press.pressure"'
    text = BASE.replace("[measurement]", f"[[constraints]]\n{rule}\n[measurement]")
    space = read_experiment(text, "x.toml").space
    (relation,) = space.relations
    assert dict(relation.terms) == {"press.pressure_mpa": -0.5}
    assert relation.bound == -5.0
    assert str(relation) == "stack.pressure <= 0.5 * press.pressure"
    assert all(float(settings["press.pressure_mpa"]) >= 10.0 for settings in space.sample(20, seed=1))
