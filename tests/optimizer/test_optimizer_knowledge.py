"""What is known beside this campaign's cells: batches, given values, earlier campaigns, beliefs, costs, goals."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from pressopt._core import GaussianProcess
from pressopt.errors import InputError
from pressopt.optimizer import (
    DesignSpace,
    EarlierCampaigns,
    Measurement,
    Objective,
    Observation,
    Recommender,
    Settings,
    Source,
    Variable,
    goal,
    goals,
)
from pressopt.optimizer.circumstances import alike
from pressopt.pressing import QUANTITIES

Array = NDArray[np.float64]
R = "interfacial_resistance_ohm_cm2"
SPACE = DesignSpace(
    (Variable("p.pressure_mpa", 1.0, 100.0, scale="log"), Variable("p.temperature_c", 20.0, 120.0))
)


def true_log(settings: Settings, best: tuple[float, float] = (0.6, 0.7)) -> float:
    u = SPACE.to_unit({name: settings[name] for name in SPACE.names})
    return float(np.log(10.0) + 4.0 * ((u[0] - best[0]) ** 2 + (u[1] - best[1]) ** 2))


def seen(
    trial: int, settings: Settings, *, best: tuple[float, float] = (0.6, 0.7), error: float = 0.0
) -> Observation:
    value = float(np.exp(true_log(settings, best) + error))
    return Observation(trial, settings, outcomes={R: Measurement(value, 0.01 * value)})


def run(recommender: Recommender, trials: int, seed: int = 0) -> list[Observation]:
    rng = np.random.default_rng(seed)
    history: list[Observation] = []
    for trial in range(trials):
        settings = recommender.ask(history)[0].settings
        history.append(seen(trial, settings, error=0.03 * float(rng.standard_normal())))
    return history


def cells_until(recommender: Recommender, budget: int = 16, seed: int = 0) -> int:
    """Cells until the recommended protocol is within 5 % of the best."""
    rng = np.random.default_rng(seed)
    history: list[Observation] = []
    for trial in range(budget):
        settings = recommender.ask(history)[0].settings
        history.append(seen(trial, settings, error=0.02 * float(rng.standard_normal())))
        if true_log(recommender.recommend(history).settings) < np.log(10.0 * 1.05):
            return trial + 1
    return budget + 1


def test_cells_of_one_batch_err_together() -> None:
    """Noted batches share all or nothing; unnoted ones with a probability that falls with their distance."""
    named = [Observation(k, {}, batch=name) for k, name in enumerate(("a", "a", "b", ""))]
    shared = alike(named, 4)
    assert shared is not None
    assert shared[0, 1] == 1.0
    assert shared[0, 2] == 0.0
    assert shared[2, 3] == 0.0
    unnamed = alike([Observation(k, {}) for k in range(5)], 4)
    assert unnamed is not None
    np.testing.assert_allclose(unnamed[0], [1.0, 0.75, 0.5, 0.25, 0.0])
    assert alike([Observation(0, {})], 0) is None


def test_a_random_effect_of_the_batch_widens_what_is_believed_and_keeps_the_truth_inside() -> None:
    """Of three foils that differ by 15 % the naive 95 % interval of the mean misses, that with batches holds."""
    inside = {"batches": 0, "naive": 0}
    for seed in range(40):
        rng = np.random.default_rng(seed)
        foils = 0.15 * rng.standard_normal(3)
        x = rng.random((24, 1))
        y = foils[np.arange(24) // 8] + 0.03 * rng.standard_normal(24)
        same = (np.arange(24)[:, None] // 8 == np.arange(24)[None, :] // 8).astype(float)
        for name, likeness in (("batches", same), ("naive", None)):
            process = GaussianProcess.fit(
                x,
                y[None, :] / 0.15,
                np.zeros(24),
                alike=likeness,
                shared=(0.0, 1.5) if likeness is not None else None,
            )
            mean, variance = process.predict(np.array([[0.5]]))
            inside[name] += abs(float(mean[0, 0])) <= 1.96 * float(np.sqrt(variance[0]))
    assert inside["batches"] >= 32
    assert inside["naive"] < inside["batches"] - 8


@pytest.mark.parametrize("strategy", ["gp", "sobol", "skopt-gp"])
def test_given_values_are_kept_by_every_proposal_and_by_the_answer(strategy: str) -> None:
    """A measured roughness is no choice: proposals of any strategy and the answer carry it, off any step."""
    space = DesignSpace((*SPACE.variables, Variable("pellet.roughness_um", 0.1, 5.0, scale="log", resolution=0.1)))
    recommender = Recommender(space, (Objective(R),), strategy=strategy, seed=1)
    history: list[Observation] = []
    for trial, roughness in enumerate((0.33, 1.7, 0.52, 2.2, 0.91, 1.23)):
        (proposal,) = recommender.ask(history, given={"pellet.roughness_um": roughness})
        assert proposal.settings["pellet.roughness_um"] == roughness
        history.append(seen(trial, proposal.settings))
    answer = recommender.recommend(history, given={"pellet.roughness_um": 0.777})
    assert answer.settings["pellet.roughness_um"] == 0.777
    assert "pellet.roughness_um" not in answer.window


def test_given_values_that_cannot_be_are_refused_at_once() -> None:
    """An unknown name and a value beyond its limits are named together."""
    recommender = Recommender(SPACE, (Objective(R),))
    with pytest.raises(InputError) as refused:
        recommender.ask([], given={"p.pressure_mpa": 1e6, "colour": "red"})
    assert {violation.where for violation in refused.value.violations} == {"p.pressure_mpa", "colour"}


def source(best: tuple[float, float]) -> Source:
    points = SPACE.sample(12, seed=9)
    # Another level: a related material with five times the resistance.
    return Source("earlier", tuple(seen(k, one, best=best, error=np.log(5.0)) for k, one in enumerate(points)))


def test_a_good_source_saves_cells_and_a_bad_one_costs_few() -> None:
    """An earlier campaign with nearly the same best halves the cells; a misleading one costs 20 % at most."""
    alone = [cells_until(Recommender(SPACE, (Objective(R),), seed=s, initial=3), seed=s) for s in range(6)]

    def with_source(best: tuple[float, float]) -> list[int]:
        prior = EarlierCampaigns(SPACE, [source(best)])
        return [
            cells_until(Recommender(SPACE, (Objective(R),), seed=s, prior=prior, initial=None), seed=s)
            for s in range(6)
        ]

    good, bad = with_source((0.62, 0.66)), with_source((0.05, 0.1))
    assert np.mean(good) <= 0.5 * np.mean(alone)
    assert np.mean(bad) <= 1.2 * np.mean(alone) + 1.0


def test_a_source_without_readings_is_refused() -> None:
    """Nothing is carried over from nothing."""
    with pytest.raises(InputError, match="nothing can be carried over"):
        EarlierCampaigns(SPACE, [Source("empty", ())])


def test_a_belief_about_the_optimum_leads_first_and_fades() -> None:
    """A right belief brings the first free cell near the best; a wrong one has faded after a dozen cells."""
    right = {"p.pressure_mpa": (16.0, 1.5), "p.temperature_c": (90.0, 8.0)}
    wrong = {"p.pressure_mpa": (1.5, 1.5), "p.temperature_c": (25.0, 8.0)}
    start = [seen(k, one) for k, one in enumerate(SPACE.sample(3, seed=5))]
    led = Recommender(SPACE, (Objective(R),), belief=right, initial=0).ask(start)[0].settings
    assert true_log(led) < np.log(10.0) + 0.2
    misled = Recommender(SPACE, (Objective(R),), belief=wrong, seed=2)
    assert true_log(misled.recommend(run(misled, 14)).settings) < np.log(10.0 * 1.1)


def test_a_belief_that_is_none_is_refused() -> None:
    """An unknown setting, a guess beyond the limits and a factor of one are named."""
    with pytest.raises(InputError) as refused:
        Recommender(
            SPACE,
            (Objective(R),),
            belief={"x": (1.0, 1.0), "p.pressure_mpa": (5.0, 1.0), "p.temperature_c": (500.0, 5.0)},
        )
    assert len(refused.value.violations) == 3


def test_gain_per_cost_prefers_the_cheap_side() -> None:
    """Where hot trials cost ten times as much, colder ones are pressed, without giving up the best."""

    def cost(settings: Sequence[Settings]) -> Array:
        return np.array([10.0 if float(one["p.temperature_c"]) > 95.0 else 1.0 for one in settings])

    free = run(Recommender(SPACE, (Objective(R),), seed=4), 12)
    thrifty = Recommender(SPACE, (Objective(R),), seed=4, cost=cost)
    careful = run(thrifty, 12)
    spent = [float(cost([one.settings for one in history]).sum()) for history in (free, careful)]
    assert spent[1] < spent[0]
    assert true_log(thrifty.recommend(careful).settings) < np.log(10.0 * 1.1)


def test_the_joint_window_is_good_all_through_and_lies_in_the_single_ones() -> None:
    """At the corners of the joint box the true value stays near the tolerance, which single windows do not say."""
    recommender = Recommender(SPACE, (Objective(R, target=12.0),), seed=3)
    answer = recommender.recommend(run(recommender, 14))
    for name, (low, high) in answer.joint_window.items():
        assert answer.window[name][0] <= low <= float(answer.settings[name]) <= high <= answer.window[name][1]
        assert low < high
    corners = [
        {"p.pressure_mpa": p, "p.temperature_c": t}
        for p in answer.joint_window["p.pressure_mpa"]
        for t in answer.joint_window["p.temperature_c"]
    ]
    at_best = true_log(answer.settings)
    assert max(true_log(one) for one in corners) < at_best + np.log(1.0 + answer.window_tolerance) + 0.1
    assert answer.target_probability[R] > 0.9


def test_goals_by_name_are_objectives_and_bounds_on_known_quantities() -> None:
    """Each goal has a meaning and objectives whose directions are the better ones; spelling is forgiving."""
    for name, meaning in goals().items():
        found = goal(name.replace(" ", "-").upper())
        assert meaning.endswith(".")
        for objective in found.objectives:
            better = "minimize" if QUANTITIES[objective.quantity].better == "lower" else "maximize"
            assert objective.direction == better
        for bound in found.constraints:
            assert bound.quantity in QUANTITIES
    assert any(bound.quantity == "damage_probability" for bound in goal("yield", layered=True).constraints)


def test_an_unknown_goal_is_refused_with_what_there_is() -> None:
    """Foils have fewer goals than cells."""
    with pytest.raises(InputError, match="choose one of low initial resistance"):
        goal("fame")
    with pytest.raises(InputError, match="for foils"):
        goal("long life", resistance="contact_resistance_mohm_cm2")
