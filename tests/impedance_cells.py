"""Cells made up for the tests: symmetric, with leads, bulk, grain boundary, interfaces and a slow process."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from pressopt.impedance import ImpedanceSpectrum
from pressopt.impedance.spectrum import Complex, Real

#: What arithmetic with complex128 gives by numpy's own types.
AnyComplex = npt.NDArray[np.complexfloating[Any, Any]]


@dataclass(frozen=True)
class MadeCell:
    """What is true of a made-up cell: its clean impedance in Ω and the resistances behind it."""

    frequency_hz: Real
    clean_ohm: Complex
    area_cm2: float
    interface_ohm_cm2: float
    cell_ohm_cm2: float
    noise: float

    def spectrum(self, rng: np.random.Generator, *, factor: Complex | Real | float = 1.0) -> ImpedanceSpectrum:
        """One noisy sweep; ``factor`` (n,) changes the cell while it is measured."""
        return ImpedanceSpectrum(self.frequency_hz, noisy(self.clean_ohm * factor, self.noise, rng))


def noisy(impedance_ohm: AnyComplex, share: float, rng: np.random.Generator) -> Complex:
    """Add normal noise of this share of |Z| to both parts."""
    n = impedance_ohm.size
    noise = np.abs(impedance_ohm) * share * (rng.normal(size=n) + 1j * rng.normal(size=n))
    return np.asarray(impedance_ohm + noise, dtype=np.complex128)


def random_cell(rng: np.random.Generator, *, noise: float | None = None) -> MadeCell:
    """Li|electrolyte|Li: 1 MHz or 200 kHz to 1 Hz, interface of 1 to 2000 Ω cm², 0.3 to 1 % noise.

    The interfacial capacitance falls with the contact area where the resistance is large, as R·C of a partial
    contact is constant.
    """
    area = float(rng.choice([0.785, 1.267]))
    high = float(rng.choice([1e6, 2e5]))
    frequency = np.geomspace(high, 1.0, round(np.log10(high) * 10) + 1)
    s = 2j * np.pi * frequency
    bulk = 10 ** rng.uniform(1, 2.3) / area
    boundary = bulk * rng.uniform(0.05, 1.0)
    boundary_f = 10 ** rng.uniform(-9.5, -8.3) * area
    interface_ohm_cm2 = 10 ** rng.uniform(0, 3.3)
    interface = 2 * interface_ohm_cm2 / area
    interface_f = 10 ** rng.uniform(-7, -5.3) * area / 2 * min(1.0, 200 / interface)
    slow = float(rng.uniform(1, 30) / area) if rng.random() < 0.5 else 0.0
    z = (
        s * 2 * 10 ** rng.uniform(-7, -6.3)
        + bulk
        + boundary / (1 + (s * boundary * boundary_f) ** 0.92)
        + interface / (1 + (s * interface * interface_f) ** rng.uniform(0.8, 0.95))
        + slow / (1 + (s * slow * 1e-3 * area) ** 0.8)
    )
    return MadeCell(
        frequency_hz=frequency,
        clean_ohm=z,
        area_cm2=area,
        interface_ohm_cm2=interface_ohm_cm2,
        cell_ohm_cm2=(bulk + boundary + interface + slow) * area,
        noise=float(10 ** rng.uniform(np.log10(0.003), -2)) if noise is None else noise,
    )
