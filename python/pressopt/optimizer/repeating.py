"""Strategy ``repeat``: nothing is searched, every cell gets the same protocol, and the answer is their mean."""

from __future__ import annotations

import math
from collections.abc import Sequence

from pressopt.errors import InputError
from pressopt.optimizer.goals import Objective, from_model, measurement_to_model
from pressopt.optimizer.observation import Interval, Observation, Proposal, Recommendation
from pressopt.optimizer.question import Question
from pressopt.optimizer.strategies import register_strategy

#: Name of the strategy; the only one for a space without variables.
REPEAT = "repeat"


def repeat(question: Question) -> list[Proposal]:
    """The one protocol there is, once more."""
    return [Proposal({}, "replicate")] * question.count


def average(question: Question) -> Recommendation:
    """The mean of the cells for each measured objective, with the 95 % interval of that mean.

    On the model's scale, by Student's t over the cells; a single cell has the interval of its own reading.

    Raises:
        InputError: No cell was measured.
    """
    expected = {
        objective.quantity: interval
        for objective in question.objectives
        if objective.source == "measured" and (interval := mean_interval(objective, question.history)) is not None
    }
    if not expected:
        raise InputError("no cell was measured: there is no mean to give")
    told = [one for one in question.history if one.feasible is not None]
    good = sum(one.feasible is True for one in told)
    return Recommendation(
        settings={},
        expected=expected,
        window={},
        window_tolerance=0.0,
        # The rule of succession (Laplace 1774): a few good cells do not make certainty.
        feasibility=(good + 1) / (len(told) + 2),
        evidence=good,
        effects={},
        expected_gain=0.0,
        model={"name": REPEAT},
    )


def mean_interval(objective: Objective, history: Sequence[Observation]) -> Interval | None:
    """Return the mean of the valid cells with its 95 % interval, or None where none was measured."""
    from scipy.stats import norm, t

    pairs = [
        measurement_to_model(objective.quantity, one.outcomes[objective.quantity])
        for one in history
        if one.feasible and objective.quantity in one.outcomes
    ]
    if not pairs:
        return None
    count = len(pairs)
    mean = sum(value for value, _ in pairs) / count
    reading = math.sqrt(sum(variance for _, variance in pairs)) / count
    half = float(norm.ppf(0.975)) * reading
    if count > 1:
        scatter = math.sqrt(sum((value - mean) ** 2 for value, _ in pairs) / (count - 1) / count)
        half = max(half, float(t.ppf(0.975, count - 1)) * scatter)
    low, middle, high = (from_model(objective.quantity, value) for value in (mean - half, mean, mean + half))
    return Interval(middle, low, high)


register_strategy(REPEAT, repeat)
