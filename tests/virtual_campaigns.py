"""Campaigns on the twin's physics without wires, judged as :mod:`pressopt.study.virtual` judges them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from pressopt.assembly import recommender_of
from pressopt.campaign.experiment import Experiment
from pressopt.campaign.experiment_file import load_experiment
from pressopt.optimizer import Recommender
from pressopt.optimizer.observation import Observation
from pressopt.study.virtual import merit, optimum, press

EXPERIMENTS = Path(__file__).parents[1] / "experiments"
#: Those whose goals a spectrum shows: without wires no cell is cycled.
FILES = sorted(path.stem for path in EXPERIMENTS.glob("*.toml") if load_experiment(path).cycling is None)


@dataclass(frozen=True)
class Judged:
    """One campaign: cost per good cell of what it recommends, of its best reading, and of the best there is."""

    file: str
    seed: int
    strategy: str
    recommended: float
    best_reading: float
    optimum: float
    value: float
    optimum_value: float
    failing: float

    @property
    def gap(self) -> float:
        """How much more than the optimum a good cell costs, relative."""
        return self.recommended / self.optimum - 1.0

    @property
    def value_gap(self) -> float:
        """How much larger the true value itself is than the optimum's, relative."""
        return self.value / self.optimum_value - 1.0


def experiment(name: str, seed: int, strategy: str | None = None) -> Experiment:
    """Load an experiment with another twin (and campaign) seed, maybe with another strategy."""
    loaded = load_experiment(EXPERIMENTS / f"{name}.toml")
    changed = replace(loaded, laboratory=replace(loaded.laboratory, seed=seed), seed=seed)
    return replace(changed, strategy=replace(changed.strategy, name=strategy)) if strategy else changed


def spend_budget(of: Experiment) -> tuple[Recommender, list[Observation]]:
    """Run all trials of the experiment without wires, by the engine that the file's wiring makes."""
    engine = recommender_of(of)
    history: list[Observation] = []
    for number in range(1, of.budget.trials + 1):
        (proposal,) = engine.ask(history)
        history.append(press(of, number, proposal.settings))
    return engine, history


def judge(name: str, seed: int, strategy: str) -> Judged:
    """Run one campaign and judge its answer.

    Whatever proposed the trials, the same ``recommend`` with the same physics answers.
    """
    of = experiment(name, seed, strategy)
    engine, history = spend_budget(of)
    answer = replace(engine, strategy="physics-gp").recommend(history)
    (objective,) = of.objectives
    read = [one for one in history if objective.quantity in one.outcomes]
    luckiest = min(read, key=lambda one: one.outcomes[objective.quantity].value)
    found = merit(of, [answer.settings, luckiest.settings])
    best_cost, best_value = optimum(of)
    return Judged(
        file=name,
        seed=seed,
        strategy=strategy,
        recommended=float(found.cost[0]),
        best_reading=float(found.cost[1]),
        optimum=best_cost,
        value=float(found.value[0]),
        optimum_value=best_value,
        failing=float(found.failing[0]),
    )
