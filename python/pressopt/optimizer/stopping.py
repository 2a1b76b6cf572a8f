"""When a campaign is done: the budget is spent, nothing more is to be gained, or the target is met."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from pressopt.errors import InputError
from pressopt.optimizer.observation import Observation
from pressopt.optimizer.recommender import Recommender


class StoppingRule(Protocol):
    """Says why a campaign may stop, or ``None`` while it should go on. A function of the history."""

    def reason(self, recommender: Recommender, history: Sequence[Observation]) -> str | None: ...


@dataclass(frozen=True, slots=True)
class Budget:
    """Stop after so many trials; blameless failures count, because a cell was used up."""

    trials: int

    def __post_init__(self) -> None:
        if self.trials < 1:
            raise InputError(f"a budget of {self.trials} trials is empty: give 1 or more")

    def reason(self, recommender: Recommender, history: Sequence[Observation]) -> str | None:
        return f"the budget of {self.trials} trials is spent" if len(history) >= self.trials else None


@dataclass(frozen=True, slots=True)
class SmallGain:
    """Stop when one more trial is expected to improve the result by less than a share of it.

    Attributes:
        share: Relative improvement that is not worth a cell (0.01: one per cent).
        after: Trials before the model is believed.

    Source:
        Makarova et al., AutoML 2022 (a regret bound instead of the expected gain used here).
    """

    share: float
    after: int = 10

    def __post_init__(self) -> None:
        if not 0.0 < self.share < 1.0:
            raise InputError(f"a share of {self.share} is not usable: give more than 0 and less than 1")

    def reason(self, recommender: Recommender, history: Sequence[Observation]) -> str | None:
        if len(history) < self.after or not _measured(recommender, history):
            return None
        gain = recommender.recommend(history).expected_gain
        if gain >= self.share:
            return None
        return f"one more trial is expected to gain {gain:.2%}, less than {self.share:.2%}"


@dataclass(frozen=True, slots=True)
class TargetMet:
    """Stop when the recommended protocol reaches the target of every objective that has one, as surely as asked.

    Attributes:
        probability: How sure that has to be, for each objective.
    """

    probability: float = 0.95

    def __post_init__(self) -> None:
        if not 0.5 <= self.probability < 1.0:
            raise InputError(f"probability {self.probability} is not usable: give 0.5 to less than 1")

    def reason(self, recommender: Recommender, history: Sequence[Observation]) -> str | None:
        if not _measured(recommender, history):
            return None
        met = target_probabilities(recommender, history)
        if not met or min(met.values()) < self.probability:
            return None
        return "the target is met: " + ", ".join(f"{name} with {p:.1%}" for name, p in met.items())


def _measured(recommender: Recommender, history: Sequence[Observation]) -> bool:
    """Whether every measured objective has been measured at least once."""
    wanted = {objective.quantity for objective in recommender.objectives if objective.source == "measured"}
    seen = {name for observation in history if observation.feasible for name in observation.outcomes}
    return wanted <= seen


def target_probabilities(recommender: Recommender, history: Sequence[Observation]) -> dict[str, float]:
    """Probability that the recommended protocol's true value reaches the target, per objective with a target."""
    if all(objective.target is None for objective in recommender.objectives):
        return {}
    return dict(recommender.recommend(history).target_probability)


def first_reason(
    rules: Sequence[StoppingRule], recommender: Recommender, history: Sequence[Observation]
) -> str | None:
    """Why to stop, by the first rule that says so; ``None`` to go on."""
    return next((why for rule in rules if (why := rule.reason(recommender, history)) is not None), None)
