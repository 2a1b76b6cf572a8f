"""The sign of the imaginary part is decided by the data."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pressopt.impedance.spectrum import Complex, ImpedanceSpectrum, Sweep
from pressopt.instruments.causality import sign_complaint

HZ = Sweep().frequencies_hz()
OMEGA = 2 * np.pi * HZ


def arc(resistance_ohm: float, tau_s: float, power: float = 0.9) -> Complex:
    return np.asarray(resistance_ohm / (1 + (1j * OMEGA * tau_s) ** power), dtype=np.complex128)


CELLS = {
    "cell with two arcs": 20 + arc(30, 1e-4) + arc(200, 1e-2) + 1j * OMEGA * 1e-7,
    "blocking electrode": 20 + 1 / (1j * OMEGA * 1e-6) ** 0.9,
    "capacitor": 1 / (1j * OMEGA * 1e-9),
    "inductive lead on a short": 0.01 + 1j * OMEGA * 5e-7,
    "open leads": 1 / (1 / 1e8 + 1j * OMEGA * 1e-11),
}


@pytest.mark.parametrize("name", CELLS)
def test_the_right_sign_passes_and_its_mirror_image_is_refused(name: str) -> None:
    """What a passive cell shows is accepted as it is and refused mirrored, with the way out in the message."""
    assert sign_complaint(ImpedanceSpectrum(HZ, CELLS[name])) == ""
    assert "imaginary_sign" in sign_complaint(ImpedanceSpectrum(HZ, CELLS[name].conj()))


@given(
    series=st.floats(1, 100), height=st.floats(100, 1000), log_tau=st.floats(-5.5, -1.5), power=st.floats(0.7, 1),
    seed=st.integers(0, 1000),
)  # fmt: skip
def test_noise_does_not_turn_a_sign(series: float, height: float, log_tau: float, power: float, seed: int) -> None:
    """With 1 % of noise an arc as large as the rest or larger keeps its sign, and a mirrored one is found."""
    draw = np.random.default_rng(seed)
    exact = series + arc(height, 10**log_tau, power)
    noisy = exact * (1 + 0.01 * (draw.normal(size=HZ.size) + 1j * draw.normal(size=HZ.size)) / np.sqrt(2))
    assert sign_complaint(ImpedanceSpectrum(HZ, noisy)) == ""
    assert sign_complaint(ImpedanceSpectrum(HZ, noisy.conj())) != ""


@pytest.mark.parametrize("seed", range(5))
def test_a_resistor_tells_nothing_of_the_sign(seed: int) -> None:
    """A plain resistor with noise is accepted either way."""
    noise = np.random.default_rng(seed).normal(size=(2, HZ.size)) * 0.003
    flat = 10 * (1 + noise[0] + 1j * noise[1])
    assert sign_complaint(ImpedanceSpectrum(HZ, flat)) == ""
    assert sign_complaint(ImpedanceSpectrum(HZ, flat.conj())) == ""


def test_a_negative_real_part_is_refused() -> None:
    """A cell that gives energy away is none: the leads are swapped."""
    assert "leads" in sign_complaint(ImpedanceSpectrum(HZ, -CELLS["cell with two arcs"]))


def test_flagged_points_and_short_spectra_do_not_decide() -> None:
    """Bad points are left out; fewer than eight good ones decide nothing."""
    flag = np.ones(HZ.size, dtype=np.int64)
    flag[:7] = 0
    assert sign_complaint(ImpedanceSpectrum(HZ, CELLS["capacitor"].conj(), flag)) == ""
