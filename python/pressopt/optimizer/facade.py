"""``Optimizer``: ask and tell for any function, with the habits of ``skopt`` users."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from pressopt.errors import InputError
from pressopt.optimizer.goals import Objective
from pressopt.optimizer.observation import Measurement, Observation, Recommendation, Settings, Value
from pressopt.optimizer.recommender import Recommender
from pressopt.optimizer.space import DesignSpace, space_from_skopt

if TYPE_CHECKING:
    from scipy.optimize import OptimizeResult

Point = list[Value]
#: Name of the value that is told.
_TOLD = "y"


class Optimizer:
    """Minimizes a noisy function by ask and tell; points are lists of values in the order of the dimensions.

    Args:
        dimensions: A :class:`DesignSpace`, or what ``skopt`` accepts: ``(low, high)``, ``(low, high,
            "log-uniform")``, lists of names, or its dimensions.
        strategy: Name of the engine.
        n_initial_points: Space-filling points first; ``None`` for a number that suits the space.
        random_state: Seed; the same seed and history give the same answers.

    Example:
        >>> optimizer = Optimizer([(-5.0, 10.0), (0.0, 15.0)])
        >>> x = optimizer.ask()
        >>> result = optimizer.tell(x, 3.0)
    """

    def __init__(
        self,
        dimensions: DesignSpace | Sequence[Any],
        *,
        strategy: str = "gp",
        n_initial_points: int | None = None,
        random_state: int = 0,
    ) -> None:
        design = dimensions if isinstance(dimensions, DesignSpace) else space_from_skopt(dimensions)
        self.recommender = Recommender(
            design, (Objective(_TOLD),), strategy=strategy, seed=random_state, initial=n_initial_points
        )
        self.history: list[Observation] = []

    @property
    def design(self) -> DesignSpace:
        """What may be varied."""
        return self.recommender.space

    def ask(self, n_points: int | None = None) -> Any:
        """One point, or a list of ``n_points`` different ones."""
        proposals = self.recommender.ask(self.history, n=n_points or 1)
        points = [self._point(proposal.settings) for proposal in proposals]
        return points[0] if n_points is None else points

    def tell(self, x: Any, y: Any, sd: Any = 0.0) -> OptimizeResult:
        """Add one value, or lists of points and values; ``None`` or NaN for y says that the point failed.

        Args:
            x: A point, or a list of points.
            y: Its value, or a list of them.
            sd: Standard deviation of the value, where it is known.

        Raises:
            InputError: Lengths that differ, or a point outside of the dimensions.
        """
        many = isinstance(y, (list, tuple, np.ndarray))
        points, values = (list(x), list(y)) if many else ([x], [y])
        sds = list(sd) if isinstance(sd, (list, tuple, np.ndarray)) else [sd] * len(values)
        if not len(points) == len(values) == len(sds):
            raise InputError(
                f"{len(points)} points with {len(values)} values and {len(sds)} sds: give as many of each"
            )
        told: list[Observation] = []
        for point, value, spread in zip(points, values, sds, strict=True):
            if len(point) != len(self.design.names):
                raise InputError(
                    f"{list(point)} has {len(point)} values: give one for each of {self.design.names}"
                )
            settings = dict(zip(self.design.names, (_plain(one) for one in point), strict=True))
            if not self.design.contains(settings):
                raise InputError(f"{settings} lies outside of the dimensions or breaks a relation: ask for points")
            number = float("nan") if value is None else float(value)
            failed = not np.isfinite(number)
            told.append(
                Observation(
                    len(self.history) + len(told),
                    settings,
                    outcomes={} if failed else {_TOLD: Measurement(number, float(spread))},
                    failures=frozenset({"failed"}) if failed else frozenset(),
                )
            )
        self.history += told
        return self.get_result()

    def run(self, func: Callable[[Point], float], n_iter: int = 1) -> OptimizeResult:
        """Ask, evaluate and tell ``n_iter`` times."""
        for _ in range(n_iter):
            point = self.ask()
            self.tell(point, func(point))
        return self.get_result()

    def recommend(self) -> Recommendation:
        """The best point by the model, with an interval of its true value."""
        return self.recommender.recommend(self.history)

    def get_result(self) -> OptimizeResult:
        """What ``skopt.plots`` accept: ``x``, ``fun`` (the best reading), all points and values, space and model.

        Failed points are left out, because the result has no word for them.
        """
        from scipy.optimize import OptimizeResult

        told = [one for one in self.history if one.feasible]
        values = np.array([one.outcomes[_TOLD].value for one in told])
        points = [self._point(one.settings) for one in told]
        best = int(np.argmin(values)) if told else None
        space = self.design.to_skopt()
        return OptimizeResult(
            x=None if best is None else points[best],
            fun=float("nan") if best is None else float(values[best]),
            x_iters=points,
            func_vals=values,
            space=space,
            models=[_SkoptModel(self, space)] if told else [],
            random_state=self.recommender.seed,
            specs={
                "args": {"n_initial_points": self.recommender.initial_trials},
                "function": "pressopt.Optimizer",
            },
        )

    result = get_result

    def _point(self, settings: Settings) -> Point:
        return [settings[name] for name in self.design.names]


class _SkoptModel:
    """The current model as ``skopt.plots`` ask it: on ``skopt``'s transformed space, fitted at first use."""

    def __init__(self, optimizer: Optimizer, space: Any) -> None:
        self._optimizer, self._space = optimizer, space
        self._history = tuple(optimizer.history)

    def predict(self, x: Any, return_std: bool = False) -> Any:
        """Mean, and standard deviation, at points (n, transformed dimensions)."""
        from pressopt.optimizer.beliefs import believe

        design = self._optimizer.design
        beliefs = believe(self._optimizer.recommender.question(self._history), physics=False)
        assert beliefs is not None, "a result without a value has no model"
        inverse: Iterable[Any] = self._space.inverse_transform(np.asarray(x))
        settings = [dict(zip(design.names, map(_plain, point), strict=True)) for point in inverse]
        points = np.array([design.to_unit(one) for one in settings])
        mixture = beliefs.objectives[0].at(points, settings)
        return (mixture.mean, np.sqrt(mixture.variance)) if return_std else mixture.mean


def _plain(value: Any) -> Value:
    plain: Value = value.item() if isinstance(value, np.generic) else value
    return plain
