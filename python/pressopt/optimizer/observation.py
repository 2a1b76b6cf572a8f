"""What the optimizer hears and says: observations, proposals and recommendations, as values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

#: The value of one setting: a number, or the name of a category.
Value = float | int | str
#: All settings of one protocol, keyed ``stage.variable`` with the unit in the name: ``lamination.pressure_mpa``.
Settings = Mapping[str, Value]


@dataclass(frozen=True, slots=True)
class Measurement:
    """A measured value with one standard deviation, both in the quantity's own unit."""

    value: float
    sd: float


@dataclass(frozen=True, slots=True)
class Observation:
    """A finished trial as the optimizer sees it.

    Attributes:
        trial: Number of the trial.
        settings: What was asked.
        achieved: What the cell got, same keys (only those that a record can tell; others count as asked).
        outcomes: Measured quantities by name; empty when nothing valid could be measured.
        failures: Why it failed, by kind (``shorted``, ``cracked``, ``open``, ``invalid_spectrum``, ``spoilt``):
            observations of feasibility, never numbers. Kinds in ``blameless`` say nothing about the settings.
        blameless: Failures that are no fault of the settings (a spoilt cell, a lost instrument).
        batch: Name of what this cell shares with others, its foil for instance; empty when nobody noted it.
    """

    trial: int
    settings: Settings
    achieved: Mapping[str, float] = field(default_factory=dict)
    outcomes: Mapping[str, Measurement] = field(default_factory=dict)
    failures: frozenset[str] = frozenset()
    blameless: frozenset[str] = frozenset()
    batch: str = ""

    @property
    def feasible(self) -> bool | None:
        """True, False, or None when this trial says nothing about the settings."""
        if self.failures - self.blameless:
            return False
        return None if self.failures else True


@dataclass(frozen=True, slots=True)
class Interval:
    """Median and central interval of a prediction, in the quantity's own unit."""

    median: float
    low: float
    high: float
    probability: float = 0.95


@dataclass(frozen=True, slots=True)
class Proposal:
    """The next thing to press.

    Attributes:
        settings: Values on the press's own resolution, inside limits and relations.
        reason: ``initial design``, ``expected improvement``, ``replicate``, ``random``, ...
        predicted: What the model expects, by quantity.
        feasibility: Probability that the trial does not fail, by the model; 1 when nothing is known.
    """

    settings: Settings
    reason: str
    predicted: Mapping[str, Interval] = field(default_factory=dict)
    feasibility: float = 1.0


@dataclass(frozen=True, slots=True)
class Recommendation:
    """The answer of a campaign, by the model and not by the luckiest reading.

    Attributes:
        settings: The recommended settings.
        expected: Interval of the true value of each quantity at these settings (not of one reading).
        window: Per numeric setting: the range within which the result stays within ``window_tolerance`` of the
            expected best with the others held, feasibility included.
        window_tolerance: Relative worsening that the window allows (0.1: ten per cent).
        feasibility: Probability that a cell pressed so does not fail.
        evidence: How many valid observations stand behind it.
        effects: Share of the modelled variation that each setting explains, 0 to 1.
        expected_gain: What one more trial is expected to improve, relative to the expected value.
        model: Which model answered, and what it said about the physics (weight of the discrepancy).
        front: Pareto-optimal settings with their expected quantities, for several objectives.
        joint_window: Per numeric setting: the box inside ``window`` within which the result stays as good when all
            settings move at once.
        target_probability: Per objective with a target: probability that the true value reaches it here.
        set_aside: Trials whose readings are so much worse than their settings deserve that the model takes their
            cells for spoilt.
    """

    settings: Settings
    expected: Mapping[str, Interval]
    window: Mapping[str, tuple[float, float]]
    window_tolerance: float
    feasibility: float
    evidence: int
    effects: Mapping[str, float]
    expected_gain: float
    model: Mapping[str, float | str]
    front: tuple[tuple[Settings, Mapping[str, Interval]], ...] = ()
    joint_window: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    target_probability: Mapping[str, float] = field(default_factory=dict)
    set_aside: tuple[int, ...] = ()
