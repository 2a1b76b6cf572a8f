"""What a trial costs: a cell, and hours of the press while it presses, heats and cools."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pressopt.optimizer.observation import Settings
from pressopt.optimizer.question import Prior

#: Temperature at which a press stands between trials, °C (assumed).
_ROOM_C = 25.0


@dataclass(frozen=True, slots=True)
class TrialCost:
    """Money (any unit) by settings; implements :data:`pressopt.optimizer.Cost`.

    Attributes:
        prior: Says the time under the press.
        cell: One cell, material and hands.
        hour: One hour of the press.
        heating_k_min: How fast platens heat, and cool, K/min.
    """

    prior: Prior
    cell: float
    hour: float
    heating_k_min: float = 5.0

    def __call__(self, settings: Sequence[Settings]) -> NDArray[np.float64]:
        """Shape (n,)."""
        pressing_s = np.exp(np.asarray(self.prior.draws("press_time_s", settings))[0])
        hottest = [
            max([float(v) for name, v in one.items() if name.endswith(".temperature_c")], default=_ROOM_C)
            for one in settings
        ]
        thermal_s = 120.0 * np.maximum(np.array(hottest) - _ROOM_C, 0.0) / self.heating_k_min
        cost: NDArray[np.float64] = self.cell + self.hour * (pressing_s + thermal_s) / 3600.0
        return cost
