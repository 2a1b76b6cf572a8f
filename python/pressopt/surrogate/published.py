"""Published measurements beside the surrogate: a table of points in, prediction and interval of each out.

The table is a CSV file of one measurement a row with the columns :data:`COLUMNS`; what is not stated stays blank.
Rows that the surrogate has no answer to are handed back with the reason, never dropped. An interval is that of
*another laboratory's* measurement: prior of the parameters and scatter between laboratories (:data:`SCATTER`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from pressopt.errors import InputError, MaterialError
from pressopt.materials import Catalogue
from pressopt.surrogate.published_answers import CONDUCTIVITY_SCATTER, SCATTER, Answer, Predictor
from pressopt.surrogate.published_points import COLUMNS, Point, UnansweredError, read

__all__ = [
    "COLUMNS",
    "CONDUCTIVITY_SCATTER",
    "SCATTER",
    "Comparison",
    "Point",
    "Skipped",
    "compare",
    "read",
]

#: What a published zero means: the first half-cycle of the published times to short, h (Doux 2020).
RESOLUTION: Mapping[str, float] = {"h": 1.0}


@dataclass(frozen=True, slots=True)
class Comparison:
    """A point beside its prediction, all in ``unit``.

    Attributes:
        point: What was published.
        published: Its value.
        unit: Unit of all four numbers.
        nominal: What the catalogue's values predict.
        low, high: Central interval of another laboratory's measurement.
        taken: What had to be taken for granted, in words; empty where the table says all.
        least, most: What counts as near: the range of all values that were published for the same state, and the
            tolerance around it.
    """

    point: Point
    published: float
    unit: str
    nominal: float
    low: float
    high: float
    taken: str
    least: float
    most: float

    @property
    def bound(self) -> bool:
        """Whether the published value is a lower bound."""
        return self.point.quantity.endswith("_min")

    @property
    def near(self) -> bool:
        """Whether the nominal prediction is within the tolerance of the point (or above the bound)."""
        return self.least <= self.nominal and (self.bound or self.nominal <= self.most)

    @property
    def covered(self) -> bool:
        """Whether the interval holds the point (or reaches above the bound)."""
        within = RESOLUTION.get(self.unit, 0.0) if self.published == 0 else 0.0
        reached = self.high >= self.published
        return reached and (self.bound or self.low <= self.published + within)


@dataclass(frozen=True, slots=True)
class Skipped:
    """A point without a prediction, and why."""

    point: Point
    reason: str


def compare(
    points: Iterable[Point],
    *,
    catalogue: Catalogue | None = None,
    draws: int = 2000,
    seed: int = 1,
    probability: float = 0.9,
    tolerance: float = 0.15,
) -> tuple[list[Comparison], list[Skipped]]:
    """Predict each point; those without an answer come back with the reason."""
    answers: list[tuple[Point, float, Answer]] = []
    skipped = []
    predictor = Predictor(catalogue or Catalogue.load(), draws, seed)
    for point in points:
        try:
            published, unit = point.canonical
            answer = predictor.answer(point)
            if answer.unit != unit:
                raise UnansweredError(f"{point.unit} is not a unit of {point.quantity}: {answer.unit} is")
        except (UnansweredError, MaterialError, InputError) as error:
            skipped.append(Skipped(point, str(error)))
        else:
            answers.append((point, published, answer))
    published_of: dict[tuple[str, ...], list[float]] = {}
    for point, published, _ in answers:
        published_of.setdefault(point.state, []).append(published)
    tails = ((1 - probability) / 2, (1 + probability) / 2)
    compared = []
    for point, published, answer in answers:
        low, high = np.quantile(predictor.scattered(answer, point.row), tails)
        same = published_of[point.state]
        slack = RESOLUTION.get(answer.unit, 0.0) if max(same) == 0 else 0.0
        ends = min(same) * (1 - tolerance), max(same) * (1 + tolerance) + slack
        compared.append(
            Comparison(point, published, answer.unit, answer.nominal, float(low), float(high), answer.taken, *ends)
        )
    return compared, skipped
