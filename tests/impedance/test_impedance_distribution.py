"""Distribution of relaxation times: peaks where the arcs are, nothing where there is none."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from impedance_cells import noisy
from pressopt.errors import SpectrumError
from pressopt.impedance import ImpedanceSpectrum, circuit_impedance, judge, relaxation_times

_F = np.geomspace(1e6, 0.1, 71)
_TWO = {"R0": 10.0, "R1": 50.0, "C1": 1e-7, "R2": 120.0, "C2": 5e-5}
_CIRCUIT = "R0-p(R1,C1)-p(R2,C2)"


def _spectrum(noise: float, seed: int = 0) -> ImpedanceSpectrum:
    clean = circuit_impedance(_CIRCUIT, _TWO, _F)
    return ImpedanceSpectrum(_F, noisy(clean, noise, np.random.default_rng(seed)))


@pytest.mark.parametrize("noise", [0.001, 0.003, 0.01])
def test_two_arcs_are_two_peaks(noise: float) -> None:
    """Resistance, time constant and capacitance of both arcs, and what stands in series, are found."""
    spectrum = _spectrum(noise)
    found = relaxation_times(spectrum, noise=judge(spectrum).noise)
    large = [p for p in found.peaks if p.resistance_ohm > 5]
    assert len(large) == 2
    for peak, r, c in zip(large, (50.0, 120.0), (1e-7, 5e-5), strict=True):
        assert peak.resistance_ohm == pytest.approx(r, rel=0.05)
        assert peak.tau_s == pytest.approx(r * c, rel=0.1)
        assert peak.capacitance_f == pytest.approx(c, rel=0.12)
        assert peak.apex_hz == pytest.approx(1 / (2 * np.pi * r * c), rel=0.1)
    assert found.series_ohm == pytest.approx(10.0, rel=0.1)
    assert found.polarisation_ohm == pytest.approx(170.0, rel=0.03)
    assert (found.gamma_ohm >= 0).all()


def test_more_noise_is_smoothed_more() -> None:
    """The smoothing is the strongest that the noise allows, so it grows with the noise."""
    smoothings = [relaxation_times(_spectrum(noise), noise=noise).smoothing for noise in (0.0003, 0.003, 0.03)]
    assert smoothings[0] < smoothings[1] < smoothings[2]


def test_residuals_are_at_the_noise() -> None:
    """What the distribution leaves is noise: nothing is smoothed away, nothing followed."""
    found = relaxation_times(_spectrum(0.005), noise=0.005)
    rms = float(np.sqrt(np.mean(np.abs(found.residuals) ** 2) / 2))
    assert 0.003 < rms < 0.007


@settings(max_examples=15)
@given(scale=st.floats(1e-3, 1e5))
def test_other_units_scale_the_answer(scale: float) -> None:
    """Ω to kΩ: the same peaks, larger."""
    spectrum = _spectrum(0.003)
    one = relaxation_times(spectrum)
    other = relaxation_times(ImpedanceSpectrum(_F, spectrum.impedance_ohm * scale))
    np.testing.assert_allclose(other.gamma_ohm, one.gamma_ohm * scale, rtol=1e-4, atol=1e-6 * scale)


def test_a_blocking_end_is_a_capacitance() -> None:
    """A tail at the slow end becomes the series capacitance, not a giant peak."""
    z = circuit_impedance("R0-p(R1,C1)-C2", {"R0": 10.0, "R1": 50.0, "C1": 1e-7, "C2": 1e-3}, _F)
    found = relaxation_times(ImpedanceSpectrum(_F, noisy(z, 0.003, np.random.default_rng(1))), noise=0.003)
    assert found.capacitance_f == pytest.approx(1e-3, rel=0.02)
    assert found.peaks[0].resistance_ohm == pytest.approx(50.0, rel=0.05)


def test_what_cannot_be_distributed_is_refused() -> None:
    """Too few points, no band, a point of nought: each says so."""
    with pytest.raises(SpectrumError, match="8 or more"):
        relaxation_times(ImpedanceSpectrum(_F[:5], np.ones(5, dtype=np.complex128)))
    with pytest.raises(SpectrumError, match="half a decade"):
        relaxation_times(ImpedanceSpectrum(np.linspace(100, 120, 20), np.ones(20, dtype=np.complex128)))
    with pytest.raises(SpectrumError, match="Z = 0"):
        relaxation_times(ImpedanceSpectrum(_F, np.zeros(_F.size, dtype=np.complex128)))
    with pytest.raises(SpectrumError, match="noise"):
        relaxation_times(_spectrum(0.003), noise=-1.0)
