"""Campaigns on the twin's physics without wires, and what their answers are worth by the twin's truth.

A protocol is judged by its *cost per good cell*: the true value divided by the share of cells that neither
short nor crack nor tear a layer, because for each cell that works so many have to be pressed. The same figure
defines the optimum, so that nobody gains by a protocol that reads well and fails often.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pressopt.assembly import recommender_of
from pressopt.campaign.experiment import Experiment
from pressopt.campaign.experiment_file import load_experiment
from pressopt.optimizer import Recommender
from pressopt.optimizer.observation import Measurement, Observation, Settings
from pressopt.twin.truth import measure_directly, truth

EXPERIMENTS = Path(__file__).parents[1] / "experiments"
FILES = sorted(path.stem for path in EXPERIMENTS.glob("*.toml"))
#: Predicted and true probabilities that each spoil a cell.
HAZARDS = ("short_probability", "crack_probability", "damage_probability")
#: Starting points of the search for the twin's optimum, and the rounds in which it closes in on the best.
SAMPLES, ROUNDS = 2048, 4

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Merit:
    """What protocols are really worth: shape (n,) each.

    Attributes:
        value: The objective, as cells that work have it.
        failing: Share of cells that short, crack or tear a layer.
        kept: Whether the file's bounds on measured or physical outcomes that no cell dies of hold in truth.
    """

    value: Array
    failing: Array
    kept: NDArray[np.bool_]

    @property
    def cost(self) -> Array:
        """Value per cell that works; infinite where all fail."""
        alive = 1.0 - self.failing
        return np.where(alive > 1e-9, self.value / np.maximum(alive, 1e-9), np.inf)


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


def merit(of: Experiment, settings: Sequence[Settings]) -> Merit:
    """Ask the twin's truth, which only tests may do."""
    found = truth(of.cell, of.laboratory.seed, [of.protocol(one) for one in settings])
    alive = np.ones(len(settings))
    for hazard in HAZARDS:
        if hazard in found:
            alive = alive * (1.0 - found[hazard])
    kept = np.ones(len(settings), dtype=bool)
    for bound in of.constraints:
        # Bounds on hazards are paid for by the cells that fail.
        if bound.quantity not in HAZARDS and bound.quantity in found and bound.upper is not None:
            kept &= found[bound.quantity] <= bound.upper
    (objective,) = of.objectives
    assert objective.direction == "minimize", "the cost per good cell is for what is to become less"
    return Merit(found[objective.quantity], 1.0 - alive, kept)


def optimum(of: Experiment) -> tuple[float, float]:
    """The least cost per good cell within the file's limits, and the value there: a Sobol net, then clouds."""
    settings: list[Settings] = list(of.space.sample(SAMPLES, seed=1))
    judged = merit(of, settings)
    values, costs = judged.value, np.where(judged.kept, judged.cost, np.inf)
    rng = np.random.default_rng(0)
    for step in range(ROUNDS):
        centres = np.array([of.space.to_unit(settings[row]) for row in np.argsort(costs, kind="stable")[:8]])
        cloud = np.repeat(centres, 32, axis=0)
        cloud = np.clip(cloud + 0.1 * 0.4**step * rng.standard_normal(cloud.shape), 0.0, 1.0)
        moved = [of.space.settable(of.space.from_unit(point)) for point in cloud[of.space.allowed(cloud)]]
        fresh: list[Settings] = [one for one in moved if one is not None]
        judged = merit(of, fresh)
        settings += fresh
        values = np.concatenate([values, judged.value])
        costs = np.concatenate([costs, np.where(judged.kept, judged.cost, np.inf)])
    best = int(np.argmin(costs))
    return float(costs[best]), float(values[best])


def press(of: Experiment, number: int, settings: Settings) -> Observation:
    """One cell without wires."""
    outcomes, failures = measure_directly(of.cell, of.laboratory.seed, number, of.protocol(settings))
    measured = {name: Measurement(value, sd) for name, (value, sd) in outcomes.items()}
    return Observation(number, settings, outcomes=measured, failures=frozenset(failures))


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
