"""Earlier campaigns as one more opinion about where cells are good, weighed by the cells of this one.

A source is a campaign on a related material, or a table of published points. A Gaussian process of its own is
fitted to it; its mean, with several strengths and on top of whatever physics there is, makes members of the
ensemble that the strategy ``physics-gp`` weighs by evidence. Their level does not matter (a constant between
source and target is learned), only their shape; and the plain process beside them wins when they foretell this
campaign's cells worse.

Source:
    Feurer, Letham and Bakshy, arXiv:1802.02219 (RGPE: an ensemble of earlier models, weighed by what they
    foretell).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pressopt._core import GaussianProcess
from pressopt.errors import InputError
from pressopt.optimizer.goals import measurement_to_model
from pressopt.optimizer.observation import Observation, Settings
from pressopt.optimizer.question import Prior, SelectivePrior, achieved
from pressopt.optimizer.space import DesignSpace
from pressopt.pressing.quantities import QUANTITIES

Array = NDArray[np.float64]

#: How strongly a source may shape the target: less than it does itself, as much, more.
_STRENGTHS = (0.3, 0.6, 1.0, 1.5)
#: Members of one source; as many as a grainy prior of physics has, so that neither drowns the other.
_MEMBERS = 32
#: A source with fewer valid readings of a quantity has no shape.
_ENOUGH = 3


@dataclass(frozen=True)
class Source:
    """What was learned elsewhere.

    Attributes:
        name: For reports.
        observations: Its finished trials, with settings named as in this campaign; values that this campaign does
            not vary are left out by whoever collects them.
        trust: Weight beforehand, relative to one: 0.5 for a distant relative.

    Raises:
        InputError: A trust that is not between 0 and 1.
    """

    name: str
    observations: tuple[Observation, ...]
    trust: float = 1.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "observations", tuple(self.observations))
        if not 0.0 < self.trust <= 1.0:
            raise InputError(
                f"a trust of {self.trust} in '{self.name}' is not usable: give more than 0, at most 1"
            )


class EarlierCampaigns:
    """What earlier campaigns, and physics if there is any, expect: a :class:`pressopt.optimizer.SelectivePrior`.

    Args:
        space: The space of this campaign.
        sources: Earlier campaigns and published points.
        physics: The physics of this campaign, or ``None``.

    Raises:
        InputError: No source with enough valid readings of anything.
    """

    def __init__(self, space: DesignSpace, sources: Sequence[Source], physics: Prior | None = None) -> None:
        self._space, self._physics = space, physics
        self._models = [_fit_all(space, source) for source in sources]
        self._rows = [max(1, round(_MEMBERS * source.trust)) for source in sources]
        if not any(self._models):
            raise InputError(
                f"no source has {_ENOUGH} valid readings of one quantity: nothing can be carried over"
            )

    def draws(self, quantity: str, settings: Sequence[Settings]) -> Array:
        """Shape (k, n): draws of the physics, then the members of each source that measured the quantity.

        Raises:
            KeyError: Neither the physics nor a source knows the quantity.
        """
        blocks: list[Array | int] = []
        if self._physics is not None:
            try:
                blocks.append(np.asarray(self._physics.draws(quantity, settings), dtype=float))
            except KeyError:
                blocks.append(self._physics_rows)
        for models, rows in zip(self._models, self._rows, strict=True):
            model = models.get(quantity)
            if model is None:
                blocks.append(rows)
            else:
                shape = model.at(self._space, settings)
                strengths = np.resize(_STRENGTHS, rows)[:, None]
                blocks.append(model.level + strengths * (shape - model.level)[None, :])
        known = [block.mean(axis=0) for block in blocks if not isinstance(block, int)]
        if not known:
            raise KeyError(quantity)
        # Who does not know a quantity believes what the others expect of it.
        usual = np.mean(known, axis=0)[None, :]
        return np.vstack([np.repeat(usual, one, axis=0) if isinstance(one, int) else one for one in blocks])

    def some_draws(self, quantity: str, settings: Sequence[Settings], rows: NDArray[np.intp]) -> Array:
        """Shape (rows, n): those rows of :meth:`draws`."""
        return self.draws(quantity, settings)[rows]

    def remember(self, settings: Sequence[Settings]) -> None:
        """Hand the hint on to the physics."""
        if isinstance(self._physics, SelectivePrior):
            self._physics.remember(settings)

    @property
    def _physics_rows(self) -> int:
        """Draws of the physics, found by asking it what it knows."""
        assert self._physics is not None, "asked where there is physics"
        for quantity in QUANTITIES:
            try:
                return len(np.asarray(self._physics.draws(quantity, self._space.probes[:1])))
            except KeyError:
                continue
        return 1


@dataclass(frozen=True)
class _Model:
    process: GaussianProcess
    level: float
    scale: float

    def at(self, space: DesignSpace, settings: Sequence[Settings]) -> Array:
        """Shape (n,): mean of the process on the model's scale."""
        if not len(settings):
            return np.zeros(0)
        points = np.array([space.to_unit({name: one[name] for name in space.names}) for one in settings])
        mean: Array = self.level + self.scale * self.process.predict(points)[0][:, 0]
        return mean


def _fit_all(space: DesignSpace, source: Source) -> Mapping[str, _Model]:
    """One process per quantity that the source measured often enough."""
    good = [one for one in source.observations if one.feasible]
    found: dict[str, _Model] = {}
    for quantity in sorted({name for one in good for name in one.outcomes}):
        told = [one for one in good if quantity in one.outcomes]
        if len(told) < _ENOUGH:
            continue
        points = np.array([space.to_unit(achieved(space, one)) for one in told])
        read = [measurement_to_model(quantity, one.outcomes[quantity]) for one in told]
        y, noise = np.array([value for value, _ in read]), np.array([variance for _, variance in read])
        level, scale = float(y.mean()), float(y.std()) or 1.0
        process = GaussianProcess.fit(points, ((y - level) / scale)[None, :], noise / scale**2)
        found[quantity] = _Model(process, level, scale)
    return found
