"""What physics leaves out: past some point more does harm. Bowls of unknown place and depth stand for it.

People choose limits so that the best lies between them, and a model without the damage of too much sends the first
cells to a corner. So the ensemble of the physics has members that add to a draw of its parameters a draw of a loss
that grows away from some place inside the limits. Cells decide between them and the members without.

Source:
    Snoek et al., ICML 2015 (a quadratic prior mean, because the limits that people choose hold the optimum).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from pressopt.optimizer.goals import on_log_scale
from pressopt.optimizer.space import DesignSpace

Array = NDArray[np.float64]

#: Members of the ensemble for each draw of the physics: the first without a bowl, the others with one.
COPIES = 3
#: Mean of the loss, per variable, from the middle of its range to an end: on a log scale, and in spreads of the
#: data otherwise (assumed: a factor of three).
_DEPTH_LOG, _DEPTH_LINEAR = 1.1, 1.1
#: Where the least loss lies: within this share of the range around its middle (assumed).
_WITHIN = 0.7


@dataclass(frozen=True)
class Bowls:
    """Losses over the unit cube, one per member of the ensemble.

    Attributes:
        centres: Shape (members, dimension).
        depths: Shape (members, dimension), on the model's scale; zero where nothing is lost.
    """

    centres: Array
    depths: Array

    def at(self, points: Array, members: NDArray[np.intp]) -> Array:
        """Shape (members, n): the loss of each of some members at points (n, dimension)."""
        centres, depths = self.centres[members], self.depths[members]
        # Σ d (2 (u - c))², multiplied out: no array of members times points times columns.
        loss: Array = 4.0 * (
            depths @ (points**2).T
            - 2.0 * (depths * centres) @ points.T
            + (depths * centres**2).sum(axis=1)[:, None]
        )
        return loss


def bowls(space: DesignSpace, quantity: str, draws: int, scale: float) -> Bowls:
    """The bowls of an ensemble of ``COPIES * draws`` members; member ``j`` belongs to draw ``j % draws``."""
    centres, depths = _standard(space.dimension, draws)
    numeric = np.array(
        [
            variable.numeric
            for variable, own in zip(space.variables, space.columns, strict=True)
            for _ in range(own.start, own.stop)
        ]
    )
    depth = _DEPTH_LOG if on_log_scale(quantity) else _DEPTH_LINEAR * scale
    return Bowls(centres, depth * depths * numeric)


@lru_cache(maxsize=8)
def _standard(dimension: int, draws: int) -> tuple[Array, Array]:
    rng = np.random.default_rng(20_15)
    shape = (COPIES * draws, dimension)
    centres = 0.5 + _WITHIN * (rng.random(shape) - 0.5)
    depths = rng.exponential(size=shape)
    depths[:draws] = 0.0
    return centres, depths
