"""Other optimizers, PyBaMM and Bluesky: round trips are exact, and the receivers' own tools run with them."""

from __future__ import annotations

import json
import math
import warnings
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from export_campaign import RESISTANCE
from pressopt.assembly import open_laboratory, recommender_of
from pressopt.campaign.experiment import Experiment
from pressopt.campaign.experiment_file import load_experiment
from pressopt.campaign.replay import CampaignState
from pressopt.errors import InputError
from pressopt.export.beamline import CellStation, pressing_plan
from pressopt.export.exchange import (
    attach_to_ax,
    from_ax,
    from_ax_summary,
    from_baybe,
    pybamm_parameters,
    to_ax,
    to_baybe,
)
from pressopt.optimizer import DesignSpace, Measurement, Objective, Observation, Variable
from pressopt.optimizer.skopt_exchange import from_skopt, to_skopt

MAIN = Path(__file__).parents[2] / "experiments" / "li-lpscl-symmetric.toml"
SPACE = DesignSpace((
    Variable("a.pressure_mpa", 1.0, 100.0, scale="log"),
    Variable("a.passes", 1, 9, kind="integer"),
    Variable("a.foil", kind="categorical", choices=("rough", "smooth")),
))  # fmt: skip
GOAL = Objective(RESISTANCE)
number = st.floats(1e-3, 1e6)
trials = st.lists(
    st.builds(
        lambda p, n, f, value, sd, fails, got: Observation(
            0,
            {"a.pressure_mpa": p, "a.passes": n, "a.foil": f},
            achieved={"a.pressure_mpa": got},
            outcomes={} if fails else {RESISTANCE: Measurement(value, sd)},
            failures=frozenset({"shorted", "spoilt"} if fails else ()),
            blameless=frozenset({"spoilt"} if fails else ()),
        ),
        st.floats(1.0, 100.0), st.integers(1, 9), st.sampled_from(("rough", "smooth")), number, number,
        st.booleans(), number,
    ), max_size=6,
).map(lambda rows: [replace(row, trial=place) for place, row in enumerate(rows, 1)])  # fmt: skip


@given(history=trials)
def test_trials_go_to_ax_and_back_exactly(history: list[Observation]) -> None:
    """Through JSON text: every setting, value, failure; limits, scales and kinds of the space."""
    space, back = from_ax(json.loads(json.dumps(to_ax(SPACE, history, [GOAL]))))
    assert back == history
    assert [(v.name, v.low, v.high, v.scale, v.kind, v.choices) for v in space.variables[:2]] == [
        (v.name, v.low, v.high, v.scale, v.kind, v.choices) for v in SPACE.variables[:2]
    ]
    assert space.variables[2].choices == SPACE.variables[2].choices


@given(history=trials)
def test_trials_go_to_baybe_and_back_exactly(history: list[Observation]) -> None:
    """Through JSON text; the table that BayBE takes holds the valid cells at what they achieved."""
    plain = json.loads(json.dumps(to_baybe(SPACE, history, [GOAL])))
    assert from_baybe(plain) == history
    valid = [one for one in history if one.feasible]
    assert [row["a.pressure_mpa"] for row in plain["measurements"]] == [
        one.achieved["a.pressure_mpa"] for one in valid
    ]
    told = [row[RESISTANCE] for row in plain["measurements"]]
    assert told == [one.outcomes[RESISTANCE].value for one in valid]


@given(history=trials, maximize=st.booleans())
@settings(max_examples=12, deadline=None)
def test_trials_go_to_skopt_and_back_exactly(history: list[Observation], maximize: bool) -> None:
    """The result has what skopt's plots ask for, minimized; all trials come back with their failures."""
    goal = Objective(RESISTANCE, "maximize" if maximize else "minimize")
    result = to_skopt(SPACE, history, goal)
    space, back = from_skopt(result, goal)
    assert back == history
    assert space.names == SPACE.names
    valid = [one for one in history if one.feasible]
    signs = -1.0 if maximize else 1.0
    assert result.func_vals.tolist() == [signs * one.outcomes[RESISTANCE].value for one in valid]


def test_a_result_of_skopt_itself_becomes_trials(tmp_path: Path) -> None:
    """A run of skopt, dumped and loaded by skopt: its points and values as valid cells; ours survives the same."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import skopt

        limits = [skopt.space.Real(1.0, 10.0, "log-uniform", name="p")]
        theirs = skopt.Optimizer(limits, base_estimator="RF", n_initial_points=5, random_state=3)
        for _ in range(4):
            point = theirs.ask()
            result = theirs.tell(point, (point[0] - 2.0) ** 2)
        space, found = from_skopt(result, GOAL)
        assert [one.settings["p"] for one in found] == [point[0] for point in result.x_iters]
        assert [one.outcomes[RESISTANCE].value for one in found] == result.func_vals.tolist()
        path = tmp_path / "ours.pkl"
        skopt.dump(to_skopt(space, found, GOAL), path)
        assert from_skopt(skopt.load(path), GOAL)[1] == found


class RecordingClient:
    """Stands for Ax's client: keeps what it is told, with the same methods and arguments."""

    def __init__(self) -> None:
        self.told: list[tuple[str, Any]] = []

    def attach_trial(self, parameters: Mapping[str, Any], arm_name: str | None = None) -> int:
        self.told.append(("attach", dict(parameters)))
        return sum(kind == "attach" for kind, _ in self.told) - 1

    def complete_trial(self, trial_index: int, raw_data: Mapping[str, Any] | None = None) -> None:
        self.told.append(("complete", (trial_index, dict(raw_data or {}))))

    def mark_trial_failed(self, trial_index: int, failed_reason: str | None = None) -> None:
        self.told.append(("failed", (trial_index, failed_reason)))


def test_an_ax_client_is_told_every_trial(experiment: Experiment, state: CampaignState) -> None:
    """Twelve trials attached, nine completed with mean and error, three marked failed with their reason."""
    plain = to_ax(experiment.space, state.observations(), experiment.objectives)
    client: Any = RecordingClient()
    assert attach_to_ax(client, plain) == list(range(12))
    kinds = [kind for kind, _ in client.told]
    assert (kinds.count("attach"), kinds.count("complete"), kinds.count("failed")) == (12, 9, 3)
    assert plain["objective"] == f"-{RESISTANCE}"  # the critical current is only predicted
    assert ("failed", (3, "shorted")) in client.told


def test_a_summary_of_ax_becomes_trials() -> None:
    """Completed and failed rows become cells, running ones do not; a missing column is named."""
    space = DesignSpace((Variable("p", 1.0, 9.0),))
    rows = [
        {"trial_index": 0, "trial_status": "COMPLETED", "p": 2.0, RESISTANCE: 5.0},
        {"trial_index": 1, "trial_status": "FAILED", "p": 3.0, RESISTANCE: float("nan")},
        {"trial_index": 2, "trial_status": "RUNNING", "p": 4.0, RESISTANCE: None},
    ]
    found = from_ax_summary(rows, space, [RESISTANCE])
    assert [(one.trial, one.feasible) for one in found] == [(1, True), (2, False)]
    with pytest.raises(InputError, match="no such column"):
        from_ax_summary([{"trial_index": 0, "trial_status": "COMPLETED"}], space, [RESISTANCE])


def test_rows_of_a_baybe_campaign_become_trials(experiment: Experiment, state: CampaignState) -> None:
    """What BayBE gives back, a table with parameters and targets, becomes valid cells; gaps are named."""
    plain = to_baybe(experiment.space, state.observations(), experiment.objectives)
    del plain["trials"]
    found = from_baybe(plain)
    assert [one.outcomes[RESISTANCE].value for one in found] == [row[RESISTANCE] for row in plain["measurements"]]
    del plain["measurements"][0][RESISTANCE]
    with pytest.raises(InputError, match="row 1 has no such column"):
        from_baybe(plain)


# ---------------------------------------------------------------------- PyBaMM


def test_contact_resistance_is_that_of_the_whole_cell() -> None:
    """Two interfaces of 10 Ω cm² on 0.5 cm² are 40 Ω, with their spread."""
    plain = pybamm_parameters((10.0, 8.0, 13.0), area_cm2=0.5, interfaces=2, source="measured")
    assert plain["parameters"] == {"Contact resistance [Ohm]": 40.0}
    assert (plain["low"]["Contact resistance [Ohm]"], plain["high"]["Contact resistance [Ohm]"]) == (32.0, 52.0)


def test_pybamm_runs_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """A single-particle model loses I·R at its terminals and nothing else: run by PyBaMM itself."""
    monkeypatch.setenv("PYBAMM_DISABLE_TELEMETRY", "true")
    pybamm = pytest.importorskip("pybamm", reason="the extra pybamm is not installed")
    plain = pybamm_parameters((0.005, 0.004, 0.006), area_cm2=1.0, interfaces=2, source="measured")
    voltages = {}
    for name, wanted in (("with", plain["parameters"]), ("without", {"Contact resistance [Ohm]": 0.0})):
        model = pybamm.lithium_ion.SPM(options=plain["model_options"])
        values = pybamm.ParameterValues("Chen2020")
        values.update(wanted, check_already_exists=False)
        solution = pybamm.Simulation(model, parameter_values=values).solve([0, 60])
        voltages[name] = solution["Voltage [V]"].entries[-1]
        current = solution["Current [A]"].entries[-1]
    lost = voltages["without"] - voltages["with"]
    assert lost == pytest.approx(current * plain["parameters"]["Contact resistance [Ohm]"], rel=1e-3)


# ---------------------------------------------------------------------- Bluesky


def test_a_run_engine_presses_measures_and_learns(tmp_path: Path) -> None:
    """A real RunEngine runs two cells on the twin's wires: valid documents in order, values those of the cells."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        bluesky = pytest.importorskip("bluesky", reason="the extra beamline is not installed")
        from event_model import DocumentNames, schema_validators

        experiment = load_experiment(MAIN)
        experiment = replace(experiment, strategy=replace(experiment.strategy, name="sobol", risk=None))
        laboratory = open_laboratory(experiment, tmp_path)
        documents: list[tuple[str, dict[str, Any]]] = []
        try:
            station = CellStation(experiment, laboratory)
            engine = bluesky.RunEngine({}, context_managers=[])
            plan = pressing_plan(station, recommender_of(experiment), cells=2, metadata={"sample": "Li | LPSCl"})
            engine(plan, lambda name, document: documents.append((name, document)))
            reading = laboratory.machine.read()
        finally:
            laboratory.close()
    names = [name for name, _ in documents]
    assert names == ["start", "descriptor", "event", "event", "stop"]
    for name, document in documents:
        schema_validators[DocumentNames[name]].validate(document)
    assert documents[0][1]["sample"] == "Li | LPSCl"
    assert documents[-1][1]["exit_status"] == "success"
    last = documents[3][1]["data"]
    value = last[f"cell_{experiment.objectives[0].quantity}"]
    found = station.observation
    assert found.trial == 2
    expected = found.outcomes.get(experiment.objectives[0].quantity)
    assert math.isnan(value) if expected is None else value == expected.value
    pressure = experiment.space.names[0].replace(".", "_")
    assert last[f"cell_achieved_{pressure}"] == pytest.approx(last[f"cell_asked_{pressure}"], rel=0.1)
    assert abs(getattr(reading, "force_kn", np.nan)) < 0.05  # nothing stays loaded


def test_a_station_needs_both_instruments(experiment: Experiment) -> None:
    """A laboratory without press or analyser is refused in words."""
    from pressopt.campaign.laboratory import Laboratory
    from pressopt.clock import FastClock

    with pytest.raises(InputError, match="needs a press and an impedance analyser"):
        CellStation(experiment, Laboratory(clock=FastClock(0.0)))
