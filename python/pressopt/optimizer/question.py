"""What a strategy is asked, as one value, and the physics it may ask in turn."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from pressopt.optimizer.goals import Objective, OutcomeConstraint, measurement_to_model
from pressopt.optimizer.observation import Observation, Settings, Value
from pressopt.optimizer.space import DesignSpace, key_of

Array = NDArray[np.float64]
#: From n settings to what each trial costs, shape (n,), in any unit, positive.
Cost = Callable[[Sequence[Settings]], Array]

#: Name of the quantity that a ``risk`` bounds.
RISK_QUANTITY = "short_probability"
#: Trials for which a person's belief about the optimum counts in full, roughly (Hvarfner et al.: a tenth of a
#: budget).
_CONVICTION = 5.0


class Prior(Protocol):
    """What physics expects before any cell is pressed, as draws of its uncertain parameters.

    - Row ``j`` of every answer belongs to the same parameter draw, whatever the quantity and the settings.
    - The same question gets the same answer, to the bit.
    - Values are on the model's scale: natural logarithm where ``on_log_scale(quantity)``; all finite.
    """

    def draws(self, quantity: str, settings: Sequence[Settings]) -> Array:
        """Shape (k, n): predictions of k parameter draws at n settings.

        Raises:
            KeyError: The physics does not know the quantity.
        """
        ...


@runtime_checkable
class SelectivePrior(Prior, Protocol):
    """A prior that can be asked for some of its draws alone, which saves most of the time of a search."""

    def some_draws(self, quantity: str, settings: Sequence[Settings], rows: NDArray[np.intp]) -> Array:
        """Shape (rows, n): those rows of :meth:`Prior.draws`, to the bit."""
        ...

    def remember(self, settings: Sequence[Settings]) -> None:
        """Hint: these settings will be asked for again and again. It changes no answer."""
        ...


def draws_of(
    prior: Prior, quantity: str, settings: Sequence[Settings], rows: NDArray[np.intp] | None = None
) -> Array:
    """Shape (k, n): draws of the physics, or some rows; what is not finite is brought to the edge of what is."""
    if rows is None:
        draws = np.asarray(prior.draws(quantity, settings), dtype=float)
    elif isinstance(prior, SelectivePrior):
        draws = np.asarray(prior.some_draws(quantity, settings, rows), dtype=float)
    else:
        draws = np.asarray(prior.draws(quantity, settings), dtype=float)[rows]
    if np.isfinite(draws).all():
        return draws
    finite = draws[np.isfinite(draws)]
    low, high = (finite.min(), finite.max()) if finite.size else (0.0, 0.0)
    tamed: Array = np.nan_to_num(draws, nan=high, posinf=high, neginf=low)
    return tamed


@dataclass(frozen=True)
class Question:
    """Everything that a proposal may depend on.

    Attributes:
        space: What may be varied.
        objectives: What is to improve; several make a front.
        constraints: Outcomes that have to stay within bounds.
        history: Finished trials, in order.
        pending: Settings of trials that are under way.
        count: How many proposals are wanted.
        seed: The campaign's seed.
        prior: The physics, if any.
        risk: Largest allowed predicted probability of a short, or ``None``.
        replicate: Whether a strategy may repeat settings where noise limits.
        cells_per_batch: How many cells share a foil (or whatever differs between batches); 0 when batches are
            noted cell by cell or do not matter.
        cost: What a trial costs at some settings, in any unit; ``None`` when all cost the same.
        belief: Where a person expects the optimum: best guess and spread by setting, in its unit; on a log scale
            the spread is a factor.
    """

    space: DesignSpace
    objectives: tuple[Objective, ...]
    constraints: tuple[OutcomeConstraint, ...] = ()
    history: tuple[Observation, ...] = ()
    pending: tuple[Settings, ...] = ()
    count: int = 1
    seed: int = 0
    prior: Prior | None = None
    risk: float | None = None
    replicate: bool = True
    cells_per_batch: int = 0
    cost: Cost | None = None
    belief: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    taken: frozenset[tuple[Value, ...]] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "taken", frozenset(key_of(self.space, settings) for settings in self.pending))

    def generator(self, stream: int) -> np.random.Generator:
        """Randomness that depends on seed, number of trials and pending, count and nothing else."""
        trials = len(self.history) + len(self.pending)
        return np.random.default_rng([self.seed, trials, self.count, stream])

    @property
    def smooth(self) -> bool:
        """Whether nothing but models decides about a trial, so that gradients of the models may be followed."""
        return self.cost is None and not self.belief

    def leaning(self, points: Array) -> Array:
        """Shape (n,): what cost and a person's belief add to the log gain of a trial.

        Gain per cost; and the belief's log density, which fades as one over the number of trials.

        Source:
            Lee, Perrone, Archambeau and Seeger, arXiv:2003.10870 (gain per cost); Hvarfner et al., ICLR 2022
            (πBO).
        """
        found = np.zeros(len(points))
        if self.belief:
            fading = _CONVICTION / (1.0 + len(self.history))
            for variable, columns in zip(self.space.variables, self.space.columns, strict=True):
                if variable.name in self.belief:
                    guess, spread = self.belief[variable.name]
                    centre = variable.to_unit(guess)
                    wide = guess * spread if variable.scale == "log" else guess + spread
                    width = max(abs(variable.to_unit(wide) - centre), 1e-3)
                    found -= fading * 0.5 * ((points[:, columns.start] - centre) / width) ** 2
        if self.cost is not None:
            costs = np.asarray(self.cost(self.space.many_from_unit(points)), dtype=float)
            found -= np.log(np.maximum(costs, 1e-12))
        return found

    def admissible(self, settings: Sequence[Settings]) -> NDArray[np.bool_]:
        """Shape (n,): whether limits, relations and the bound on the risk hold."""
        allowed = np.array([self.space.contains(one) for one in settings], dtype=bool)
        if self.risk is not None and self.prior is not None and allowed.any():
            allowed &= self.risks(settings) <= self.risk
        return allowed

    def risks(self, settings: Sequence[Settings]) -> Array:
        """Shape (n,): predicted probability of a short, mean over the draws; 0 without physics."""
        if self.prior is None:
            return np.zeros(len(settings))
        risks: Array = np.asarray(self.prior.draws(RISK_QUANTITY, settings)).mean(axis=0)
        return risks


def achieved(space: DesignSpace, observation: Observation) -> Settings:
    """What the cell got, as far as a record tells; what was asked otherwise."""
    if not observation.achieved and tuple(observation.settings) == space.names:
        return observation.settings
    numeric = {variable.name for variable in space.variables if variable.numeric}
    asked = {name: observation.settings[name] for name in space.names}
    return asked | {name: value for name, value in observation.achieved.items() if name in numeric}


def scores(question: Question) -> list[tuple[Settings, float]]:
    """One number per trial, lower is better, for engines that know neither failures nor several objectives.

    Several measured objectives become one by an augmented Chebyshev norm of their ranges; a failure that is the
    settings' fault counts like the worst trial so far. Only foreign engines need this; ours do without.

    Source:
        Knowles, IEEE Trans. Evol. Comput. 10 (2006) 50 (ParEGO).
    """
    measured = [objective for objective in question.objectives if objective.source == "measured"]
    rows: list[tuple[Settings, list[float] | None]] = []
    for observation in question.history:
        place = achieved(question.space, observation)
        if observation.feasible and all(objective.quantity in observation.outcomes for objective in measured):
            rows.append((place, [_lower_is_better(objective, observation) for objective in measured]))
        elif observation.feasible is False:
            rows.append((place, None))
    values = np.array([row for _, row in rows if row is not None], dtype=float).reshape(-1, max(len(measured), 1))
    if values.shape[0] == 0:
        return []
    if values.shape[1] > 1:
        span = np.ptp(values, axis=0)
        scaled = (values - values.min(axis=0)) / np.where(span > 0, span, 1.0)
        weighted = scaled * np.array([objective.weight for objective in measured])
        single = weighted.max(axis=1) + 0.05 * weighted.sum(axis=1)
    else:
        single = values[:, 0]
    worst, order = float(single.max()), iter(single.tolist())
    return [(place, worst if row is None else float(next(order))) for place, row in rows]


def _lower_is_better(objective: Objective, observation: Observation) -> float:
    value, _ = measurement_to_model(objective.quantity, observation.outcomes[objective.quantity])
    return objective.sign * value
