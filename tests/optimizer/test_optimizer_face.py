"""Ask and tell, skopt's plots, and stopping rules."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from pressopt.errors import InputError
from pressopt.optimizer import (
    Budget,
    DesignSpace,
    Measurement,
    Objective,
    Observation,
    Optimizer,
    Proposal,
    Recommender,
    SmallGain,
    TargetMet,
    Variable,
    first_reason,
    register_strategy,
    strategies,
    strategy_within,
    target_probabilities,
)


def branin(x: Sequence[float | int | str]) -> float:
    a, b = float(x[0]), float(x[1])
    return float(
        (b - 5.1 / (4 * np.pi**2) * a**2 + 5 / np.pi * a - 6) ** 2 + 10 * (1 - 1 / (8 * np.pi)) * np.cos(a) + 10
    )


def test_branin_is_minimized_in_thirty() -> None:
    """Thirty asks come within 1 % of the scale of Branin's minimum, by reading and by the model."""
    optimizer = Optimizer([(-5.0, 10.0), (0.0, 15.0)], random_state=1)
    result = optimizer.run(branin, 30)
    assert result.fun < 0.398 + 0.3
    settings = optimizer.recommend().settings
    assert branin([settings["x0"], settings["x1"]]) < 0.398 + 0.3


def test_points_and_failures_are_told_like_in_skopt() -> None:
    """Single and several points, categories, log scales and failures are accepted; nonsense is refused."""
    optimizer = Optimizer([(1.0, 100.0, "log-uniform"), (1, 5), ["rolled", "cast"]], n_initial_points=3)
    asked = optimizer.ask(n_points=3)
    optimizer.tell(asked, [1.0, None, 3.0])
    optimizer.tell(optimizer.ask(), float("nan"))
    assert [one.feasible for one in optimizer.history] == [True, False, True, False]
    assert len(optimizer.get_result().x_iters) == 2
    with pytest.raises(InputError, match="outside of the dimensions"):
        optimizer.tell([1000.0, 2, "rolled"], 1.0)
    with pytest.raises(InputError, match="give one for each"):
        optimizer.tell([1.0], 1.0)
    with pytest.raises(InputError, match="as many of each"):
        optimizer.tell(asked, [1.0])
    with pytest.raises(InputError, match="is no dimension"):
        Optimizer([3.0])


def test_the_result_is_plotted_by_skopt() -> None:
    """Convergence, evaluations and the objective's partial dependence are drawn from our result."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt
    from skopt.plots import plot_convergence, plot_evaluations, plot_objective

    optimizer = Optimizer([(-5.0, 10.0), (0.0, 15.0)])
    result = optimizer.run(branin, 12)
    assert plot_convergence(result).lines
    assert len(plot_evaluations(result).figure.axes) >= 4
    assert len(plot_objective(result, n_points=10, n_samples=20).figure.axes) >= 4
    plt.close("all")


def test_a_name_is_taken_once() -> None:
    """Registering another engine under a known name is refused; an unknown name lists the known ones."""
    with pytest.raises(InputError, match="'gp' exists already"):
        register_strategy("gp", lambda question: [])
    assert {"physics-gp", "gp", "skopt-gp", "skopt-forest", "sobol", "random"} <= set(strategies())


def test_a_strategy_that_breaks_rules_is_corrected() -> None:
    """Proposals outside of limits or already pending give way to settings that are allowed."""
    space = DesignSpace((Variable("p", 1, 100, resolution=1),))
    with strategy_within("stubborn", lambda question: [Proposal({"p": 1e9}, "more")] * question.count):
        recommender = Recommender(space, (Objective("loss"),), strategy="stubborn", initial=0)
        asked = recommender.ask([], n=4)
    assert all(space.contains(proposal.settings) for proposal in asked)
    assert len({proposal.settings["p"] for proposal in asked}) == 4
    assert "stubborn" not in strategies()


def flat(trials: int, slope: float) -> tuple[Recommender, list[Observation]]:
    space = DesignSpace((Variable("p", 0.0, 1.0),))
    recommender = Recommender(space, (Objective("loss", target=1.2),), strategy="gp")
    places = np.linspace(0, 1, trials)
    return recommender, [
        Observation(k, {"p": float(p)}, outcomes={"loss": Measurement(1.0 + slope * float(p), 0.01)})
        for k, p in enumerate(places)
    ]


def test_rules_stop_for_a_reason() -> None:
    """The budget, a small expected gain and a target that is met each give a sentence; none gives none."""
    recommender, history = flat(12, 2.0)
    assert first_reason([Budget(13)], recommender, history) is None
    assert first_reason([Budget(13), Budget(12)], recommender, history) == "the budget of 12 trials is spent"
    assert "less than 5.00%" in str(first_reason([SmallGain(0.05)], recommender, history))
    assert first_reason([SmallGain(0.05, after=13)], recommender, history) is None
    assert "the target is met" in str(first_reason([TargetMet(0.95)], recommender, history))
    assert target_probabilities(recommender, history)["loss"] > 0.99
    assert first_reason([SmallGain(0.05, after=1), TargetMet()], recommender, []) is None


def test_a_target_out_of_reach_is_not_met() -> None:
    """When everything lies above the target its probability is near zero and the campaign goes on."""
    recommender, history = flat(8, 0.0)
    hard = Recommender(recommender.space, (Objective("loss", target=0.5),), strategy="gp")
    assert target_probabilities(hard, history)["loss"] < 0.01
    assert TargetMet().reason(hard, history) is None


@pytest.mark.parametrize("rule", [lambda: Budget(0), lambda: SmallGain(0.0), lambda: TargetMet(1.0)])
def test_impossible_rules_are_refused(rule: object) -> None:
    """An empty budget, no share and full certainty are refused when the rule is built."""
    assert callable(rule)
    with pytest.raises(InputError, match="give"):
        rule()
