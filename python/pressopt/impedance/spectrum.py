"""An impedance spectrum as a value."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from pressopt.errors import SpectrumError, Violation

Real = npt.NDArray[np.float64]
Complex = npt.NDArray[np.complex128]

#: Less than this is no impedance but a damaged number: its inverse would overflow, Ω.
NOUGHT_OHM = 1e-100


@dataclass(frozen=True)
class Sweep:
    """What an analyser is asked to do.

    Attributes:
        high_hz, low_hz: Frequency band, Hz; the sweep runs from high to low.
        points_per_decade: Density of the points, log-spaced.
        amplitude_mv: Amplitude of the excitation, mV (as the instrument defines it: see its profile).
        bias_v: DC level, V.
    """

    high_hz: float = 1e6
    low_hz: float = 1.0
    points_per_decade: int = 10
    amplitude_mv: float = 10.0
    bias_v: float = 0.0

    def __post_init__(self) -> None:
        wrong = []
        if not (np.isfinite(self.high_hz) and np.isfinite(self.low_hz) and 0 < self.low_hz < self.high_hz):
            wrong.append(
                Violation("low_hz, high_hz", f"{self.low_hz} to {self.high_hz} Hz is no band: 0 < low < high")
            )
        if not 1 <= self.points_per_decade <= 100:
            wrong.append(Violation("points_per_decade", f"{self.points_per_decade} is not allowed: give 1 to 100"))
        if not (np.isfinite(self.amplitude_mv) and 0 < self.amplitude_mv <= 1000):
            wrong.append(
                Violation("amplitude_mv", f"{self.amplitude_mv} mV is not allowed: above 0, at most 1000")
            )
        if not np.isfinite(self.bias_v):
            wrong.append(Violation("bias_v", f"{self.bias_v} V is not a number"))
        if wrong:
            raise SpectrumError(wrong)

    @property
    def points(self) -> int:
        """Number of points, both ends included."""
        return max(2, round(math.log10(self.high_hz / self.low_hz) * self.points_per_decade) + 1)

    def frequencies_hz(self) -> Real:
        """Shape (points,), Hz, from high to low."""
        return np.geomspace(self.high_hz, self.low_hz, self.points)


@dataclass(frozen=True)
class ImpedanceSpectrum:
    """One sweep, as measured.

    Attributes:
        frequency_hz: Shape (n,), Hz, positive, in the order measured.
        impedance_ohm: Shape (n,), Ω, whole cell, not normalised; Im Z is negative for a capacitor.
        flag: Shape (n,): 0 good; otherwise the point is not to be used (1 overload, 2 underload, 3 not finite,
            4 timing).
        time_s: Shape (n,), s from the start of the sweep, or None when the instrument does not say.
        metadata: What came with it (instrument, amplitude_mv, bias_v, temperature_c, pressure_mpa, date, ...).
    """

    frequency_hz: Real
    impedance_ohm: Complex
    flag: npt.NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    time_s: Real | None = None
    metadata: dict[str, str | float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        frequency = np.ascontiguousarray(self.frequency_hz, dtype=np.float64)
        impedance = np.ascontiguousarray(self.impedance_ohm, dtype=np.complex128)
        flag = np.ascontiguousarray(self.flag, dtype=np.int64)
        if flag.size == 0:
            flag = np.zeros(frequency.shape, dtype=np.int64)
        wrong = []
        if frequency.ndim != 1 or frequency.size == 0:
            wrong.append(
                Violation("frequency_hz", f"shape {frequency.shape}: give one row with at least one point")
            )
        if impedance.shape != frequency.shape or flag.shape != frequency.shape:
            wrong.append(
                Violation(
                    "impedance_ohm", f"shapes differ: {frequency.shape}, {impedance.shape}, flag {flag.shape}"
                )
            )
        elif not (np.isfinite(frequency).all() and (frequency > 0).all()):
            wrong.append(Violation("frequency_hz", "every frequency must be positive and finite"))
        else:
            flag = np.where((flag == 0) & ~np.isfinite(impedance), 3, flag)
        if self.time_s is not None and np.shape(self.time_s) != frequency.shape:
            wrong.append(Violation("time_s", f"shape {np.shape(self.time_s)}, expected {frequency.shape}"))
        if wrong:
            raise SpectrumError(wrong)
        object.__setattr__(self, "frequency_hz", frequency)
        object.__setattr__(self, "impedance_ohm", impedance)
        object.__setattr__(self, "flag", flag)

    @property
    def good(self) -> npt.NDArray[np.bool_]:
        """Shape (n,): which points may be used."""
        good: npt.NDArray[np.bool_] = self.flag == 0
        return good
