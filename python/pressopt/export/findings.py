"""What a report concludes from a campaign: how far the physics was right, and what to try next."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import mean, pstdev

from pressopt.export.answer import Answer
from pressopt.export.wording import (
    count,
    interval,
    label_of,
    number,
    quantity_label,
    quantity_value,
    set_aside_sentence,
    setting,
)
from pressopt.optimizer import Interval, Proposal, Recommender

#: A best value within this share of a searched range from its end may lie beyond it (assumed).
_NEAR_EDGE = 0.03
#: Fewer repeated cells than this leave the scatter of cells hardly known (assumed: two degrees of freedom).
_FEW_REPLICATES = 2
#: One more cell that improves less than this is not worth pressing (assumed: below the scatter of cells).
_SMALL_GAIN = 0.02
#: More cells than this share failing for their settings call for a narrower search (assumed).
_MANY_FAILURES = 0.25


@dataclass(frozen=True, slots=True)
class CellCheck:
    """One cell: what the physics alone expected of its settings, and what was measured."""

    trial: int
    predicted: Interval
    measured: float

    @property
    def ratio(self) -> float:
        """Measured over predicted."""
        return self.measured / self.predicted.median

    @property
    def inside(self) -> bool:
        """Whether the measured value lies in the 95 % interval of the physics."""
        return self.predicted.low <= self.measured <= self.predicted.high


@dataclass(frozen=True, slots=True)
class PhysicsCheck:
    """How far the physics alone was right.

    Attributes:
        quantity: What was compared.
        cells: Every valid cell.
        weight: Weight of the physics in the campaign's model, 0 to 1; None: the model does without.
    """

    quantity: str
    cells: tuple[CellCheck, ...]
    weight: float | None

    @property
    def bias(self) -> float:
        """Geometric mean of measured over predicted: above 1, the physics is too hopeful of a resistance."""
        return math.exp(mean(math.log(one.ratio) for one in self.cells))

    @property
    def scatter(self) -> float:
        """Factor by which single cells differ from the physics once the bias is taken off."""
        return math.exp(pstdev(math.log(one.ratio) for one in self.cells))

    @property
    def inside(self) -> int:
        """How many cells lie in their 95 % interval."""
        return sum(one.inside for one in self.cells)

    @property
    def worst(self) -> list[CellCheck]:
        """Cells by how far the physics missed them once its bias is taken off, the farthest first."""
        bias = self.bias
        return sorted(self.cells, key=lambda one: -abs(math.log(one.ratio / bias)))

    def sentences(self) -> list[str]:
        """Return what that means, in words."""
        label = quantity_label(self.quantity)
        found = []
        if 1 / 1.1 < self.bias < 1.1:
            found.append(f"On average the physics was right about the {label} to within 10 %.")
        else:
            many = f"{number(max(self.bias, 1 / self.bias), 2)} times"
            how = "higher" if self.bias > 1 else "lower"
            found.append(f"The measured {label} was on average {many} {how} than the physics expected.")
        found.append(
            f"{self.inside} of {count(len(self.cells), 'cell')} lie within the 95 % interval of the physics; once "
            f"the average is taken off, single cells differ from it by a factor of {number(self.scatter, 2)}."
        )
        if self.weight is not None:
            trust = "more than" if self.weight >= 0.5 else "less than"
            found.append(
                f"In the model the physics ended with a weight of {100 * self.weight:.0f} %: the data trusted it "
                f"{trust} a model that knows no physics."
            )
        return found


def check_physics(answer: Answer, recommender: Recommender | None) -> PhysicsCheck | None:
    """Compare the first measured objective with the physics alone, or return None where there is none to ask."""
    if recommender is None or recommender.prior is None:
        return None
    goal = next((goal for goal in recommender.objectives if goal.source == "measured"), None)
    if goal is None:
        return None
    fit = [t for t in answer.state.done if t.outcomes.get(goal.quantity, (0.0,))[0] > 0 and not t.failures]
    if not fit:
        return None
    import numpy as np

    from pressopt.optimizer.goals import from_model

    try:
        draws = recommender.prior.draws(goal.quantity, [_as_pressed(t.settings, t.achieved) for t in fit])
    except KeyError:
        return None  # the physics does not know this quantity
    edges = np.quantile(draws, (0.025, 0.5, 0.975), axis=0)
    cells = []
    for trial, (low, middle, high) in zip(fit, edges.T, strict=True):
        values = [from_model(goal.quantity, float(edge)) for edge in (middle, low, high)]
        if values[0] > 0:
            cells.append(CellCheck(trial.number, Interval(*values), trial.outcomes[goal.quantity][0]))
    if not cells:
        return None
    weight = answer.recommendation.model.get("physics_weight") if answer.recommendation is not None else None
    return PhysicsCheck(goal.quantity, tuple(cells), float(weight) if isinstance(weight, (int, float)) else None)


def _as_pressed(
    asked: Mapping[str, float | int | str], achieved: Mapping[str, float]
) -> dict[str, float | int | str]:
    return {**asked, **{name: value for name, value in achieved.items() if name in asked}}


def next_trial(answer: Answer, recommender: Recommender | None) -> Proposal | None:
    """Return what the engine would press next, or None where it has nothing to go by."""
    history = answer.state.observations()
    if recommender is None or not any(one.outcomes for one in history):
        return None
    pending = [trial.settings for trial in answer.state.in_flight]
    return recommender.ask(history, pending)[0]


def advice(answer: Answer, following: Proposal | None = None) -> list[str]:
    """Return what to try next, the most useful first, each with its reason."""
    recommendation, evidence = answer.recommendation, answer.evidence
    if recommendation is None:
        return _advice_without_answer(answer)
    found = list(_edges(answer))
    if evidence.replicates < _FEW_REPLICATES:
        found.append(
            f"Press the recommended protocol on two or three more cells ({count(evidence.replicates, 'cell')} "
            "repeated another so far): the interval is that of the median cell, and how far single cells "
            "scatter is hardly known."
        )
    found += [
        f"Measure the {quantity_label(name)}: only the physics speaks of it so far."
        for name in answer.predicted_only
    ]
    if recommendation.set_aside:
        found.append(set_aside_sentence(recommendation.set_aside) + " Look at what is left of them.")
    blamed = sum(many for kind, many in evidence.failed.items() if kind not in evidence.blameless)
    if evidence.pressed and blamed > _MANY_FAILURES * evidence.pressed:
        found.append(
            f"{blamed} of {count(evidence.pressed, 'cell')} failed for their settings: keep new ones inside the "
            "process window, or give the campaign a bound on the risk ([strategy] risk)."
        )
    gain = 100 * recommendation.expected_gain
    if following is not None and recommendation.expected_gain >= _SMALL_GAIN:
        found.append(
            f"Go on: one more cell, the one named below, is expected to improve the result by {number(gain, 2)} %."
        )
    elif recommendation.expected_gain < _SMALL_GAIN and answer.experiment.space.variables:
        found.append(
            f"Searching on pays little: one more cell is expected to improve the result by {number(gain, 2)} %."
        )
    if answer.assumed:
        found.append(
            f"{count(len(answer.assumed), 'input')} of the physics are assumed, not measured: measuring those of "
            "your electrolyte and metal would sharpen every prediction (protocol.json lists them)."
        )
    return found


def _advice_without_answer(answer: Answer) -> list[str]:
    failed = answer.evidence.failed
    if not answer.state.done:
        return ["No cell has been pressed and measured yet: run the campaign."]
    if answer.evidence.valid:
        return ["Ask the campaign's engine for a protocol: `pressopt export` does."]
    kinds = ", ".join(f"{many} {kind.replace('_', ' ')}" for kind, many in failed.items())
    found = [f"No cell gave a valid measurement ({kinds or 'no verdict'})."]
    if "shorted" in failed:
        found.append("Cells short: begin at a lower pressure and temperature, or with a denser electrolyte.")
    if "open" in failed or "invalid_spectrum" in failed:
        found.append("Look at leads and contacts first: measure a known resistor in the cell's place.")
    return found


def _edges(answer: Answer) -> list[str]:
    """Best values at the end of what was searched: the optimum may lie beyond."""
    recommendation = answer.recommendation
    assert recommendation is not None  # asked for campaigns with an answer only
    found = []
    for variable in answer.experiment.space.variables:
        if not variable.numeric or recommendation.effects.get(variable.name, 0.0) < 0.05:
            continue
        place = variable.to_unit(float(recommendation.settings[variable.name]))
        if _NEAR_EDGE < place < 1 - _NEAR_EDGE:
            continue
        end = "lower" if place <= _NEAR_EDGE else "upper"
        found.append(
            f"The best {label_of(variable.name)} lies at the {end} end of what was searched "
            f"({setting(variable.name, variable.low)} to {setting(variable.name, variable.high)}): widen that "
            "range, if press and cell allow it."
        )
    return found


def expectation(quantity: str, predicted: Mapping[str, Interval]) -> str:
    """Return what a model expects of a proposal, in words; empty where it says nothing."""
    known = predicted.get(quantity)
    if known is None:
        return ""
    return f"{quantity_value(quantity, known.median)} ({interval(known.low, known.high)})"


def coverage(answer: Answer, quantity: str) -> tuple[int, int]:
    """Return how many cells fell into the interval that the model gave before they were pressed, and of how many.

    A check of the model's honesty: of 95 % intervals of the true value, somewhat fewer than 95 % hold a reading,
    which scatters more.
    """
    told: Sequence[tuple[float, float, float]] = [
        (trial.predicted[quantity][1], trial.outcomes[quantity][0], trial.predicted[quantity][2])
        for trial in answer.state.done
        if quantity in trial.predicted and quantity in trial.outcomes and not trial.failures
    ]
    return sum(low <= value <= high for low, value, high in told), len(told)
