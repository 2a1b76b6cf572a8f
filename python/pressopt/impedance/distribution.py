"""Distribution of relaxation times: what a spectrum says without a circuit, as a second opinion."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from pressopt import _core
from pressopt.errors import SpectrumError
from pressopt.impedance.spectrum import NOUGHT_OHM, Complex, ImpedanceSpectrum, Real
from pressopt.impedance.verdict import Mask, Verdict


@dataclass(frozen=True, slots=True)
class Peak:
    """One process of a distribution.

    Attributes:
        tau_s: Time constant at its centre of mass on the logarithmic axis, s.
        resistance_ohm: Its area, Ω of the cell.
        capacitance_f: τ/R, F of the cell.
    """

    tau_s: float
    resistance_ohm: float
    capacitance_f: float

    @property
    def apex_hz(self) -> float:
        """Frequency of its apex in the Nyquist plot, Hz."""
        return 1 / (2 * math.pi * self.tau_s)


@dataclass(frozen=True)
class Distribution:
    """A distribution of relaxation times γ(ln τ).

    Attributes:
        tau_s: Shape (m,), s, ascending.
        gamma_ohm: Shape (m,), Ω for each unit of ln τ, nowhere negative.
        series_ohm, inductance_h: What stands in series, Ω and H.
        capacitance_f: The series capacitance of a blocking end, F; infinite without one.
        smoothing: Weight of the squared second derivative that was chosen.
        frequency_hz: Shape (n,), Hz: the points that were used.
        residuals: Shape (n,), dimensionless: (measured - distributed)/|measured|.
        peaks: Fast to slow; the smallest ripples left out.
    """

    tau_s: Real
    gamma_ohm: Real
    series_ohm: float
    inductance_h: float
    capacitance_f: float
    smoothing: float
    frequency_hz: Real
    residuals: Complex
    peaks: tuple[Peak, ...]

    def near(self, apex_hz: float) -> Peak | None:
        """The peak nearest to a frequency, Hz; ``None`` when none lies within a factor of four."""
        distance = [abs(math.log(peak.apex_hz / apex_hz)) for peak in self.peaks]
        if not distance or min(distance) > math.log(4):
            return None
        return self.peaks[distance.index(min(distance))]

    @property
    def polarisation_ohm(self) -> float:
        """Area of the whole distribution, Ω."""
        return float(self.gamma_ohm.sum() * np.log(self.tau_s[1] / self.tau_s[0]))


def second_opinion(spectrum: ImpedanceSpectrum, verdict: Verdict) -> Distribution | None:
    """Return the distribution of what a verdict lets be used; ``None`` where that is nothing, or too little."""
    if not verdict.use.any() or not math.isfinite(verdict.noise):
        return None
    try:
        return relaxation_times(spectrum, use=verdict.use, noise=max(verdict.noise, 1e-6))
    except SpectrumError:
        return None


def relaxation_times(
    spectrum: ImpedanceSpectrum, *, use: Mask | None = None, noise: float | None = None
) -> Distribution:
    """Return the distribution of relaxation times of a spectrum.

    Args:
        spectrum: Whole cell, Ω.
        use: Shape (n,): the points to use (``verdict.use``); the good ones otherwise.
        noise: Standard deviation of the parts of Z relative to \\|Z\\| (``verdict.noise``). The smoothing is the
            strongest that it allows; without it, the strongest that the residuals of the weakest allow.

    Raises:
        SpectrumError: Fewer than 8 points, less than half a decade, or a point with Z = 0.

    Source:
        Tikhonov regularisation of γ'' under γ ≥ 0: Wan, Saccoccio, Chen and Ciucci, Electrochim. Acta 184 (2015)
        483; choice of the smoothing by the discrepancy: Morozov, Sov. Math. Dokl. 7 (1966) 414.
    """
    points = spectrum.good if use is None else use
    frequency, z = spectrum.frequency_hz[points], spectrum.impedance_ohm[points]
    modulus = np.abs(z)
    if (modulus < NOUGHT_OHM).any():
        raise SpectrumError("a good point has Z = 0 Ω, which has no relative weight: flag it")
    try:
        found = _core.spectrum_distribution(
            frequency,
            np.ascontiguousarray(z.real),
            np.ascontiguousarray(z.imag),
            1 / modulus,
            noise=noise if noise is not None and math.isfinite(noise) else None,
        )
    except ValueError as error:
        raise SpectrumError(str(error)) from error
    elastance = found["elastance_per_f"]
    return Distribution(
        tau_s=found["tau_s"],
        gamma_ohm=found["gamma_ohm"],
        series_ohm=found["series_ohm"],
        inductance_h=found["inductance_h"],
        capacitance_f=1 / elastance if elastance > 0 else math.inf,
        smoothing=found["smoothing"],
        frequency_hz=frequency,
        residuals=(z - found["model"]) / modulus,
        peaks=tuple(Peak(*peak) for peak in found["peaks"]),
    )
