"""Has the imaginary part the right sign? Instruments and programs send Z'' or -Z'', and one fits nothing.

The data decide: what is measured obeys the Kramers-Kronig relations, and its mirror image does not.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from pressopt.impedance.spectrum import Complex, ImpedanceSpectrum, Real

_LEAST_POINTS = 8
_PER_DECADE = 2  # RC elements per decade: coarse, because only two mirror images are compared
_CLEARLY_BETTER = 3.0  # times smaller residual (assumed): a sign error gives 10 and more on an arc
_NOTICEABLE = 0.02  # residual relative to |Z| below which both signs fit, as on a plain resistor
_NEGATIVE_SHARE = 0.5
_NEGATIVE_REAL = 0.05


def sign_complaint(spectrum: ImpedanceSpectrum) -> str:
    """Say why the sign of Z'' (or of Z') cannot be right; empty when nothing speaks against it.

    Only the good points count. Fewer than eight, and spectra that fit neither sign, are left to later judgement.

    Source:
        Boukamp, J. Electrochem. Soc. 142 (1995) 1885: a series of RC elements is its own Kramers-Kronig transform.
    """
    frequency_hz, impedance_ohm = spectrum.frequency_hz[spectrum.good], spectrum.impedance_ohm[spectrum.good]
    if frequency_hz.size < _LEAST_POINTS or not np.all(np.abs(impedance_ohm) > 0):
        return ""
    if np.mean(impedance_ohm.real < -_NEGATIVE_REAL * np.abs(impedance_ohm)) > _NEGATIVE_SHARE:
        return (
            "the real part is negative in most points, which no passive cell shows: are the leads of the sense or "
            "counter electrode swapped?"
        )
    as_sent, mirrored = _misfit(frequency_hz, impedance_ohm), _misfit(frequency_hz, impedance_ohm.conj())
    if as_sent > _NOTICEABLE and as_sent > _CLEARLY_BETTER * mirrored:
        return (
            f"Z'' has the wrong sign: no causal, passive cell fits the spectrum as sent (residual {as_sent:.1%} "
            f"of |Z|), its mirror image fits ({mirrored:.1%}); check analyzer.imaginary_sign in the profile on a "
            "dummy cell"
        )
    return ""


def _misfit(frequency_hz: Real, impedance_ohm: Complex) -> float:
    """Root mean square residual relative to |Z| of the best passive chain of R, L, C and RC elements."""
    omega = 2 * np.pi * frequency_hz
    decades = np.log10(omega.max() / omega.min())
    tau_s = np.geomspace(0.1 / omega.max(), 10 / omega.min(), max(4, round((decades + 2) * _PER_DECADE)))
    columns = [np.ones_like(omega) + 0j, 1j * omega, 1 / (1j * omega), *(1 / (1 + 1j * omega * t) for t in tau_s)]
    chain = np.column_stack(columns) / np.abs(impedance_ohm)[:, None]
    target = impedance_ohm / np.abs(impedance_ohm)
    system = np.vstack([chain.real, chain.imag])
    wanted = np.concatenate([target.real, target.imag])
    scale = np.linalg.norm(system, axis=0)
    weights = _non_negative(system / scale, wanted)
    return float(np.sqrt(np.mean((system / scale @ weights - wanted) ** 2) * 2))


def _non_negative(system: npt.NDArray[np.float64], wanted: Real) -> Real:
    """Non-negative least squares (Lawson and Hanson, Solving Least Squares Problems, 1974, chapter 23)."""
    columns = system.shape[1]
    weights = np.zeros(columns)
    passive = np.zeros(columns, dtype=bool)
    for _ in range(3 * columns):
        gradient = system.T @ (wanted - system @ weights)
        gradient[passive] = -np.inf
        best = int(np.argmax(gradient))
        if gradient[best] <= 1e-9:
            break
        passive[best] = True
        while True:
            trial = np.zeros(columns)
            trial[passive] = np.linalg.lstsq(system[:, passive], wanted, rcond=None)[0]
            if (trial[passive] > 0).all():
                weights = trial
                break
            shrinking = passive & (trial <= 0)
            step = float(np.min(weights[shrinking] / (weights[shrinking] - trial[shrinking] + 1e-300)))
            weights = weights + step * (trial - weights)
            passive &= weights > 1e-12
            weights[~passive] = 0.0
            if not passive.any():
                break
    return weights
