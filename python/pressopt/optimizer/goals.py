"""What is wanted: objectives to improve and outcomes to keep within bounds."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from pressopt.errors import InputError, Violation
from pressopt.optimizer.observation import Measurement
from pressopt.pressing.quantities import QUANTITIES

Source = Literal["measured", "predicted"]


def on_log_scale(quantity: str) -> bool:
    """Whether errors of a quantity are even on its logarithm; unknown quantities are taken as they are."""
    known = QUANTITIES.get(quantity)
    return known.log if known is not None else False


def is_share(quantity: str) -> bool:
    """Whether a quantity is a share or a probability: without unit, on a linear scale."""
    known = QUANTITIES.get(quantity)
    return known is not None and not known.unit and not known.log


def to_model(quantity: str, value: float) -> float:
    """A value on the model's scale (natural logarithm for resistances, lives and times).

    A reading that is zero or negative within its noise has no logarithm; 1e-12 of the unit stands for it.
    """
    return math.log(max(value, 1e-12)) if on_log_scale(quantity) else value


def from_model(quantity: str, value: float) -> float:
    """Back from the model's scale; beyond 1e300 it stays there, and a share or probability within 0 and 1."""
    if on_log_scale(quantity):
        return math.exp(min(value, 690.0))
    return min(max(value, 0.0), 1.0) if is_share(quantity) else value


def measurement_to_model(quantity: str, measured: Measurement) -> tuple[float, float]:
    """Value and variance on the model's scale, first order in the relative error (at most 100 %)."""
    if not on_log_scale(quantity):
        return measured.value, measured.sd**2
    # Below its own standard deviation a reading says "small", and no more than that.
    value = max(measured.value, measured.sd, 1e-12)
    return math.log(value), min(measured.sd / value, 1.0) ** 2


@dataclass(frozen=True, slots=True)
class Objective:
    """A quantity to improve.

    Attributes:
        quantity: Its name, unit included.
        direction: Whether less or more is better.
        target: The value that is good enough, in the quantity's unit; ``None`` for as good as possible.
        source: Measured on each cell, or said by the physics alone.
        weight: Its share where several objectives have to be made one.

    Raises:
        InputError: Everything that is wrong with the values above, at once.
    """

    quantity: str
    direction: Literal["minimize", "maximize"] = "minimize"
    target: float | None = None
    source: Source = "measured"
    weight: float = 1.0

    def __post_init__(self) -> None:
        wrong = []
        if self.direction not in {"minimize", "maximize"}:
            wrong.append(Violation(self.quantity, f"direction '{self.direction}': give 'minimize' or 'maximize'"))
        if self.source not in {"measured", "predicted"}:
            wrong.append(Violation(self.quantity, f"source '{self.source}': give 'measured' or 'predicted'"))
        if not (math.isfinite(self.weight) and self.weight > 0):
            wrong.append(Violation(self.quantity, f"weight {self.weight}: give a positive number"))
        if self.target is not None and not math.isfinite(self.target):
            wrong.append(Violation(self.quantity, f"target {self.target}: give a finite number or leave it out"))
        if wrong:
            raise InputError(wrong)

    @property
    def sign(self) -> float:
        """Factor that makes less better."""
        return 1.0 if self.direction == "minimize" else -1.0


@dataclass(frozen=True, slots=True)
class OutcomeConstraint:
    """An outcome that has to stay within bounds.

    Attributes:
        quantity: Its name, unit included.
        upper: Largest allowed value, in the quantity's unit.
        lower: Smallest allowed value.
        source: Measured on each cell, or said by the physics alone.
        probability: How sure the recommendation has to be.

    Raises:
        InputError: No bound, bounds that exclude each other, or no probability.
    """

    quantity: str
    upper: float | None = None
    lower: float | None = None
    source: Source = "measured"
    probability: float = 0.95

    def __post_init__(self) -> None:
        wrong = []
        bounds = [bound for bound in (self.lower, self.upper) if bound is not None]
        if not bounds or not all(map(math.isfinite, bounds)):
            wrong.append(Violation(self.quantity, "has no bound: give a finite 'upper' or 'lower'"))
        elif len(bounds) == 2 and not bounds[0] < bounds[1]:
            wrong.append(
                Violation(self.quantity, f"must lie between {bounds[0]:g} and {bounds[1]:g}: no value does")
            )
        if self.source not in {"measured", "predicted"}:
            wrong.append(Violation(self.quantity, f"source '{self.source}': give 'measured' or 'predicted'"))
        if not 0.5 <= self.probability < 1.0:
            wrong.append(Violation(self.quantity, f"probability {self.probability}: give 0.5 to less than 1"))
        if wrong:
            raise InputError(wrong)

    @property
    def model_bounds(self) -> tuple[float, float]:
        """Lower and upper bound on the model's scale, infinite where there is none."""
        low = -math.inf if self.lower is None else to_model(self.quantity, self.lower)
        high = math.inf if self.upper is None else to_model(self.quantity, self.upper)
        return low, high
