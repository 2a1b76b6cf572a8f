"""Ax and BayBE themselves take our trials, propose from them, and give them back.

Both bring PyTorch (extra ``optimizers``); without them these tests are skipped, and the shapes are tested
elsewhere.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator
from typing import Any

import pytest

from export_campaign import RESISTANCE
from pressopt.campaign.experiment import Experiment
from pressopt.campaign.replay import CampaignState
from pressopt.export.exchange import attach_to_ax, from_ax, from_ax_summary, from_baybe, to_ax, to_baybe
from pressopt.optimizer import DesignSpace, Measurement, Objective, Observation, Variable

WHY = "the extra optimizers is not installed"
GOAL = Objective(RESISTANCE)
#: Every kind of variable, a replicate, a failure, a blameless one, and a cell that got more than the limit.
SPACE = DesignSpace((
    Variable("a.pressure_mpa", 1.0, 100.0, scale="log"),
    Variable("a.passes", 1, 9, kind="integer"),
    Variable("a.foil", kind="categorical", choices=("rough", "smooth")),
))  # fmt: skip
ROWS: tuple[tuple[float, int, str, float, frozenset[str]], ...] = (
    (3.0, 2, "rough", 7.25, frozenset()),
    (40.0, 5, "smooth", 0.0, frozenset({"shorted", "cracked"})),
    (3.0, 2, "rough", 7.5, frozenset()),
    (12.5, 9, "smooth", 0.0, frozenset({"spoilt"})),
    (100.0, 1, "smooth", 2.125, frozenset()),
)
HISTORY = [
    Observation(
        trial,
        {"a.pressure_mpa": pressure, "a.passes": passes, "a.foil": foil},
        achieved={"a.pressure_mpa": 1.01 * pressure},
        outcomes={} if failures else {RESISTANCE: Measurement(value, 0.25)},
        failures=failures,
        blameless=failures & {"spoilt"},
    )
    for trial, (pressure, passes, foil, value, failures) in enumerate(ROWS, 1)
]


@pytest.fixture(autouse=True)
def _theirs_to_mend() -> Iterator[None]:
    """Their own deprecations are no failure of ours."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def ax_client(plain: dict[str, Any]) -> Any:
    """A client of Ax that is configured with nothing but what was exported."""
    client = pytest.importorskip("ax.api.client", reason=WHY).Client(random_seed=1)
    configs = pytest.importorskip("ax.api.configs", reason=WHY)
    made = [
        configs.ChoiceParameterConfig(**one) if "values" in one else configs.RangeParameterConfig(**one)
        for one in plain["parameters"]
    ]
    client.configure_experiment(parameters=made)
    client.configure_optimization(objective=plain["objective"])
    return client


def test_ax_takes_every_trial_and_gives_it_back() -> None:
    """Settings, values and kinds of failure are those that went in; two cells pressed alike are one arm."""
    plain = json.loads(json.dumps(to_ax(SPACE, HISTORY, [GOAL])))
    client = ax_client(plain)
    assert attach_to_ax(client, plain) == [0, 1, 2, 3, 4]
    rows = client.summarize().to_dict("records")
    assert [row["arm_name"] for row in rows] == ["cell_1", "cell_2", "cell_1", "cell_4", "cell_5"]
    back = from_ax_summary(rows, SPACE, [RESISTANCE])
    assert [(one.trial, dict(one.settings), one.failures) for one in back] == [
        (one.trial, dict(one.settings), one.failures) for one in HISTORY
    ]
    values = [{name: found.value for name, found in one.outcomes.items()} for one in back]
    assert values == [{name: found.value for name, found in one.outcomes.items()} for one in HISTORY]


def test_a_campaign_goes_on_in_ax(experiment: Experiment, state: CampaignState) -> None:
    """Told all twelve cells, Ax proposes one within the limits; completed, it is a trial like the others."""
    plain = json.loads(json.dumps(to_ax(experiment.space, state.observations(), experiment.objectives)))
    client = ax_client(plain)
    attach_to_ax(client, plain)
    ((index, proposed),) = client.get_next_trials(max_trials=1).items()
    client.complete_trial(index, {RESISTANCE: (4.5, 0.2)})
    *told, last = from_ax_summary(client.summarize().to_dict("records"), experiment.space, [RESISTANCE])
    assert (len(told), last.trial, last.outcomes[RESISTANCE].value) == (12, 13, 4.5)
    assert dict(last.settings) == proposed
    experiment.space.to_unit(last.settings)
    assert all(v.low <= float(last.settings[v.name]) <= v.high for v in experiment.space.variables)
    assert from_ax(to_ax(experiment.space, [*told, last], experiment.objectives))[1] == [*told, last]


def baybe_campaign(plain: dict[str, Any]) -> Any:
    """A campaign of BayBE that is made of nothing but what was exported, told its measurements."""
    pandas = pytest.importorskip("pandas", reason="the test extra is not installed")
    baybe = pytest.importorskip("baybe", reason=WHY)
    parameter = pytest.importorskip("baybe.parameters.base").Parameter
    target = pytest.importorskip("baybe.targets.base").Target
    space = pytest.importorskip("baybe.searchspace").SearchSpace
    made = [parameter.from_json(json.dumps(one)) for one in plain["parameters"]]
    (goal,) = [target.from_json(json.dumps(one)) for one in plain["targets"]]
    campaign = baybe.Campaign(space.from_product(made), goal.to_objective())
    campaign.add_measurements(
        pandas.DataFrame(plain["measurements"]), numerical_measurements_must_be_within_tolerance=False
    )
    return campaign


def test_baybe_takes_every_valid_cell_and_gives_it_back() -> None:
    """Values and what cells achieved are exact, also beyond the limit; failed cells stand beside the table."""
    plain = json.loads(json.dumps(to_baybe(SPACE, HISTORY, [GOAL])))
    rows = baybe_campaign(plain).measurements.to_dict("records")
    back = from_baybe({**{k: plain[k] for k in ("parameters", "targets")}, "measurements": rows})
    valid = [one for one in HISTORY if one.feasible]
    assert [dict(one.settings) for one in back] == [{**one.settings, **one.achieved} for one in valid]
    assert [one.outcomes[RESISTANCE].value for one in back] == [7.25, 7.5, 2.125]
    assert from_baybe(plain) == HISTORY


def test_a_campaign_goes_on_in_baybe(experiment: Experiment, state: CampaignState) -> None:
    """Told nine valid cells, BayBE recommends one within the limits, and minimizes."""
    plain = json.loads(json.dumps(to_baybe(experiment.space, state.observations(), experiment.objectives)))
    campaign = baybe_campaign(plain)
    assert campaign.objective.targets[0].minimize is True
    (proposed,) = campaign.recommend(1).to_dict("records")
    assert all(v.low <= proposed[v.name] <= v.high for v in experiment.space.variables)
