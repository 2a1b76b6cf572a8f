"""What cells share beside their settings, a foil or a day: readings of one batch err together.

Laird and Ware, Biometrics 38 (1982) 963: a random effect of each batch. Where nobody noted which cells share a
foil but only how many it serves, cells ``g`` apart share it with probability ``1 - g / cells``, whatever the
first one was.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pressopt.optimizer.goals import on_log_scale
from pressopt.optimizer.observation import Observation

Array = NDArray[np.float64]

#: Spread between batches of a quantity on a log scale: 8 %, within a factor of two (assumed).
_BETWEEN, _FACTOR = 0.08, 2.0
#: The same for other quantities, relative to the spread of the data (assumed).
_BETWEEN_LINEAR = 0.1


def alike(observations: Sequence[Observation], cells_per_batch: int) -> Array | None:
    """Shape (n, n): probability that two cells share their batch; ``None`` when nothing is known about batches.

    Args:
        observations: In any order; their trial numbers count the cells.
        cells_per_batch: How many cells one batch serves; 0 when only cells with a noted batch share one.
    """
    names = [observation.batch for observation in observations]
    if not observations or not (cells_per_batch or any(names)):
        return None
    numbers = np.array([observation.trial for observation in observations], dtype=float)
    if cells_per_batch:
        shared = np.maximum(1.0 - np.abs(numbers[:, None] - numbers[None, :]) / cells_per_batch, 0.0)
    else:
        shared = np.eye(len(numbers))
    noted = np.array([bool(name) for name in names])
    both = noted[:, None] & noted[None, :]
    same = np.array([[one == other for other in names] for one in names])
    shared = np.where(both, same, np.where(noted[:, None] | noted[None, :], 0.0, shared))
    np.fill_diagonal(shared, 1.0)
    return shared


def between_batches(quantity: str, scale: float) -> tuple[float, float]:
    """Centre and spread of the log variance between batches, for a quantity divided by ``scale``."""
    sd = _BETWEEN / scale if on_log_scale(quantity) else _BETWEEN_LINEAR
    return 2.0 * math.log(sd), 2.0 * math.log(_FACTOR)
