"""What the cell really got: the time series of a pressing and what is read off it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Real = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class StageRecord:
    """One stage as done.

    Attributes:
        name: Name of the stage.
        asked: What was asked: ``pressure_mpa``, ``dwell_s``, ``temperature_c`` (or the roller's settings).
        achieved: The same keys as read off the curves: mean pressure and temperature over the dwell, time in band.
        achieved_sd: Standard deviation of each, from load-cell class, resolution and fluctuation.
        refills: Pump restarts during the hold.
        overshoot_mpa: Highest pressure above the set point, MPa.
        dose_mpa_s: Integral of pressure over time, MPa s.
    """

    name: str
    asked: dict[str, float]
    achieved: dict[str, float]
    achieved_sd: dict[str, float]
    refills: int = 0
    overshoot_mpa: float = 0.0
    dose_mpa_s: float = 0.0


@dataclass(frozen=True)
class PressRecord:
    """A whole pressing.

    Attributes:
        press: Identity of the machine.
        time_s, force_kn, temperature_c: Shape (n,) each: laboratory time from the start (s), force (kN),
            platen temperature (°C), as read.
        stage: Shape (n,): index of the stage each reading belongs to; -1 between stages.
        stages: One :class:`StageRecord` each, in order.
        held_mpa: Pressure on the sample at the end, in which the cell is measured, MPa.
        held_c: Temperature at the end, °C.
        deviations: What a person or the watch wrote down, in words.
    """

    press: str
    time_s: Real
    force_kn: Real
    temperature_c: Real
    stage: npt.NDArray[np.int64]
    stages: tuple[StageRecord, ...]
    held_mpa: float
    held_c: float
    deviations: tuple[str, ...] = ()
