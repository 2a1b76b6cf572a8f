"""From an experiment's settings to protocols, tables and back from records."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pressopt.campaign.experiment import Experiment
from pressopt.campaign.experiment_file import load_experiment, read_experiment
from pressopt.errors import InputError
from pressopt.pressing import PressRecord, RollStage, Stage, StageRecord

EXPERIMENTS = Path(__file__).parents[2] / "experiments"
FILES = sorted(EXPERIMENTS.glob("*.toml"))


@pytest.fixture(params=FILES, ids=lambda path: path.stem)
def experiment(request: pytest.FixtureRequest) -> Experiment:
    path: Path = request.param
    return load_experiment(path)


def test_every_system_has_its_file() -> None:
    """The systems that the README promises are there."""
    assert {path.stem for path in FILES} == {
        "li-lpscl-critical-current",
        "li-lpscl-symmetric",
        "li-llzo-symmetric",
        "li-copper-lamination",
        "li-copper-roll-lamination",
        "li3ocl-li3incl6-secondary-press",
        "na-stack-pressure",
        "two-stage-assembly",
    }


def test_every_shipped_file_is_a_campaign_of_thirty_cells(experiment: Experiment) -> None:
    """Each file loads, searches something, and spends thirty cells on the twin."""
    assert experiment.budget.trials == 30
    assert experiment.laboratory.kind == "twin"
    assert 3 <= len(experiment.space.variables) <= 4
    assert experiment.title
    assert experiment.goal


def test_the_text_of_a_file_is_the_experiment(experiment: Experiment) -> None:
    """Read from the text that a journal keeps, it is the same to the digest."""
    again = read_experiment(experiment.text, experiment.path)
    assert again == experiment
    assert len(again.digest) == 64


def test_every_sampled_setting_makes_a_protocol_inside_the_limits(experiment: Experiment) -> None:
    """What the space allows, cell, limits and protocol allow too."""
    limits = experiment.limits
    for settings in experiment.space.sample(20, seed=3):
        protocol = experiment.protocol(settings)
        for stage in protocol.stages:
            assert limits.temperature_c is not None
            assert stage.temperature_c <= limits.temperature_c
            if isinstance(stage, RollStage):
                assert limits.line_force_n_mm is not None
                assert stage.line_force_n_mm <= limits.line_force_n_mm
            else:
                most = limits.pressure_mpa or experiment.cell.die.pressure_mpa(limits.force_kn or 0.0)
                assert stage.pressure_mpa <= most


def test_the_table_says_what_the_protocols_say(experiment: Experiment) -> None:
    """The arrays for the surrogate and the protocols for the press are the same numbers."""
    settings = experiment.space.sample(7, seed=1)
    table = experiment.table(settings)
    for row, one in enumerate(settings):
        protocol = experiment.protocol(one)
        for column, stage in enumerate(protocol.stages):
            names = ("pressure_mpa", "ramp_mpa_s", "dwell_s") if isinstance(stage, Stage) else ROLLED
            for name in (*names, "temperature_c"):
                assert table[name][row, column] == getattr(stage, name)
        for name in ("measure_at_mpa", "measure_at_c", "settle_s", "release_mpa_s"):
            assert table[name].shape == (7,)
            assert table[name][row] == getattr(protocol, name)


ROLLED = ("line_force_n_mm", "speed_mm_s", "passes")


def test_an_empty_table_is_a_table(experiment: Experiment) -> None:
    """No protocols give arrays of length zero, not an error."""
    assert {array.shape[0] for array in experiment.table([]).values()} == {0}


def test_untouched_is_first_loading_at_one_megapascal(experiment: Experiment) -> None:
    """The cell to compare with saw 1 MPa at 25 °C and no dwell; rolls at least touch it gently."""
    (stage,) = experiment.untouched_protocol().stages
    assert stage.temperature_c == 25.0
    if isinstance(stage, Stage):
        assert (stage.pressure_mpa, stage.dwell_s) == (1.0, 0.0)
        assert experiment.untouched_protocol().measure_at_mpa == 1.0
    else:
        lowest = next(v.low for v in experiment.space.variables if v.name.endswith("line_force_n_mm"))
        assert (stage.line_force_n_mm, stage.passes) == (lowest, 1)


def test_a_force_becomes_pressure_over_the_die() -> None:
    """The file that speaks of tons-force searches the pressure that they make on its die."""
    experiment = load_experiment(EXPERIMENTS / "li3ocl-li3incl6-secondary-press.toml")
    pressure = experiment.space.variables[0]
    assert pressure.name == "secondary.pressure_mpa"
    area_mm2 = np.pi / 4 * 10.0**2
    assert pressure.low == pytest.approx(0.1 * 9806.65 / area_mm2)
    assert pressure.high == pytest.approx(4 * 9806.65 / area_mm2)
    assert pressure.resolution == pytest.approx(0.01 * 9806.65 / area_mm2)


def test_a_searched_stack_pressure_is_the_state_of_the_measurement() -> None:
    """What is searched under [measurement] is where the cell is measured."""
    experiment = load_experiment(EXPERIMENTS / "na-stack-pressure.toml")
    settings = experiment.space.sample(1, seed=1)[0]
    assert experiment.protocol(settings).measure_at_mpa == settings["stack.pressure_mpa"]


def test_relations_hold_in_everything_that_is_proposed() -> None:
    """The second pressure never exceeds the first where the file says so."""
    for name, low, high in (
        ("na-stack-pressure", "stack.pressure_mpa", "assembly.pressure_mpa"),
        ("two-stage-assembly", "assembly.pressure_mpa", "formation.pressure_mpa"),
    ):
        for settings in load_experiment(EXPERIMENTS / f"{name}.toml").space.sample(50, seed=2):
            assert float(settings[low]) <= float(settings[high])


def record(*stages: StageRecord, held_mpa: float = 5.0) -> PressRecord:
    """A record without curves."""
    empty = np.zeros(0)
    return PressRecord("p", empty, empty, empty, np.zeros(0, dtype=np.int64), stages, held_mpa, 25.0)


def test_what_was_achieved_is_told_under_the_names_of_the_variables() -> None:
    """Only what is searched and what the record can tell is told."""
    experiment = load_experiment(EXPERIMENTS / "na-stack-pressure.toml")
    settings = experiment.space.sample(1, seed=1)[0]
    achieved = {"pressure_mpa": 49.0, "dwell_s": 61.0, "ramp_mpa_s": 1.0}
    found = experiment.achieved_settings(
        record(StageRecord("assembly", {}, achieved, {}), StageRecord("other", {}, achieved, {}), held_mpa=9.5),
        settings,
    )
    assert found == {"assembly.pressure_mpa": 49.0, "assembly.dwell_s": 61.0, "stack.pressure_mpa": 9.5}


def test_settings_that_do_not_fit_are_refused_all_at_once() -> None:
    """A missing, an unknown and a nonsensical setting are named together."""
    experiment = load_experiment(EXPERIMENTS / "li-lpscl-symmetric.toml")
    with pytest.raises(InputError) as caught:
        experiment.protocol({"lamination.pressure_mpa": float("nan"), "lamination.dwell_s": 60, "x": 1})
    assert str(caught.value) == (
        "x: is not varied here: use lamination.pressure_mpa, lamination.dwell_s, lamination.temperature_c\n"
        "lamination.pressure_mpa: nan is no finite number: give one\n"
        "lamination.temperature_c: is missing: give a value"
    )
    with pytest.raises(InputError, match=r"lamination\.dwell_s: is missing"):
        experiment.table([{"lamination.pressure_mpa": 1.0, "lamination.temperature_c": 25.0}])
