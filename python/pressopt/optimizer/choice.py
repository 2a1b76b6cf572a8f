"""The protocol that a model stands behind: value, doubt, failing cells and rules weighed against each other."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pressopt._core import search_acquisition
from pressopt.errors import InputError
from pressopt.optimizer.beliefs import Beliefs
from pressopt.optimizer.candidates import climb, spread
from pressopt.optimizer.observation import Settings

Array = NDArray[np.float64]

#: Standard deviations that doubt costs a protocol in the comparison: between two equals the better known one wins.
CAUTION = 0.5
#: What a missing unit of log probability of a rule costs, in scales of the objective; more than any difference of
#: values.
_BREACH = 50.0
#: The same for the probability of success, on top of the cells that are lost: 3 scales at one in two (assumed).
RISKY = 5.0
#: A recommended protocol should succeed with this probability, where any does.
_SUCCESS = 0.9


def _least(beliefs: Beliefs) -> list[float]:
    return [*(math.log(constraint.probability) for constraint in beliefs.question.constraints), math.log(_SUCCESS)]


def shortfall(beliefs: Beliefs, points: Array, settings: Sequence[Settings]) -> Array:
    """Shape (n,): what missing probabilities cost, in scales and negative; 0 where all is as sure as asked."""
    least = _least(beliefs)
    missing = RISKY * np.minimum(beliefs.log_success(points, settings) - least[-1], 0.0)
    if beliefs.constraints:
        logs = beliefs.log_constraints(points, settings) - np.array(least[:-1])[:, None]
        missing = missing + _BREACH * np.minimum(logs, 0.0).sum(axis=0)
    return missing


def best_protocol(beliefs: Beliefs, rng: np.random.Generator) -> Settings:
    """Where expected value, doubt and rules together are best, among all that the press can set."""
    question, belief = beliefs.question, beliefs.objectives[0]
    visited = beliefs.points[beliefs.valid]

    def value(points: Array, settings: Sequence[Settings]) -> Array:
        mixture = belief.at(points, settings)
        cost = mixture.mean + CAUTION * np.sqrt(mixture.variance)
        cost += beliefs.waste(belief, mixture.mean, points, settings)
        return -cost / belief.scale + shortfall(beliefs, points, settings)

    visited = question.space.held(np.clip(visited, 0.0, 1.0))
    inside = visited[question.space.allowed(visited)] if len(visited) else visited
    start = np.vstack([inside, spread(question, rng, 9 if beliefs.pure else 8, inside[-6:])])
    if beliefs.pure and belief.pure is not None:
        bounds = []
        for constraint, one in zip(question.constraints, beliefs.constraints, strict=True):
            low, high = constraint.model_bounds
            assert one.pure is not None, "pure beliefs hold pure processes"
            bounds.append((one.pure, (low - one.shift) / one.scale, (high - one.shift) / one.scale))
        points, _ = search_acquisition(
            start,
            [belief.pure],
            answer=(CAUTION, _least(beliefs)),
            constraints=bounds,
            success=beliefs.feasibility.classifier,
            free=question.space.free,
            relations=question.space.linear_relations,
        )
    else:
        points, _ = climb(question, rng, value, start)
    settable = [question.space.settable(question.space.from_unit(point)) for point in points[:64]]
    options: list[Settings] = [settings for settings in settable if settings is not None]
    options += [
        one
        for one, valid in zip(beliefs.settings, beliefs.valid, strict=True)
        if valid and question.space.given.items() <= one.items()
    ]
    admissible = question.admissible(options)
    options = [one for one, allowed in zip(options, admissible, strict=True) if allowed]
    if not options:
        raise InputError("no settable protocol keeps all rules: widen limits, loosen relations or raise 'risk'")
    # Rounding to the steps of the press moves the points, so they are judged again.
    worth = value(np.array([question.space.to_unit(one) for one in options]), options)
    return options[int(np.argmax(worth))]
