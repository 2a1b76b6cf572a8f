"""Campaigns on the twin's physics without wires: the same engine, the same cells, no bytes in between."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from pressopt.assembly import recommender_of
from pressopt.campaign.experiment import Experiment
from pressopt.campaign.experiment_file import load_experiment
from pressopt.optimizer.observation import Measurement, Observation, Settings
from pressopt.twin.truth import measure_directly, truth

EXPERIMENTS = Path(__file__).parents[1] / "experiments"
FILES = sorted(path.stem for path in EXPERIMENTS.glob("*.toml"))


@dataclass(frozen=True)
class Outcome:
    """A finished campaign without wires."""

    experiment: Experiment
    history: tuple[Observation, ...]
    settings: Settings

    def true_value(self, quantity: str) -> float:
        """What the recommended protocol really gives on this twin."""
        return float(true_values(self.experiment, [self.settings])[quantity][0])


def experiment(name: str, *, twin_seed: int, seed: int | None = None, strategy: str | None = None) -> Experiment:
    """Load an experiment with another twin, seed or strategy."""
    loaded = load_experiment(EXPERIMENTS / f"{name}.toml")
    changed = replace(loaded, laboratory=replace(loaded.laboratory, seed=twin_seed), seed=seed or twin_seed)
    return replace(changed, strategy=replace(changed.strategy, name=strategy)) if strategy else changed


def true_values(of: Experiment, settings: list[Settings]) -> Mapping[str, npt.NDArray[np.float64]]:
    """The twin's truth at many settings."""
    return truth(of.cell, of.laboratory.seed, [of.protocol(one) for one in settings])


def run_without_wires(of: Experiment) -> Outcome:
    """Run the whole budget, then recommend."""
    recommender = recommender_of(of)
    history: list[Observation] = []
    for number in range(1, of.budget.trials + 1):
        (proposal,) = recommender.ask(history)
        outcomes, failures = measure_directly(of.cell, of.laboratory.seed, number, of.protocol(proposal.settings))
        history.append(
            Observation(
                trial=number,
                settings=proposal.settings,
                outcomes={name: Measurement(value, sd) for name, (value, sd) in outcomes.items()},
                failures=frozenset(failures),
            )
        )
    return Outcome(of, tuple(history), recommender.recommend(history).settings)
