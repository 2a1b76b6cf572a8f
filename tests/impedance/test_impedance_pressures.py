"""Which arc is the interface, told by its answer to pressure."""

from __future__ import annotations

import numpy as np
import pytest

from impedance_cells import noisy
from pressopt.errors import SpectrumError
from pressopt.impedance import Analysis, ImpedanceSpectrum, analyse, pressure_response

_F = np.geomspace(1e6, 1.0, 61)
_PRESSURES = (5.0, 10.0, 20.0, 50.0)


def _analyses(*, boundary_power: float, interface_power: float) -> list[Analysis]:
    rng = np.random.default_rng(1)
    found = []
    for p in _PRESSURES:
        s = 2j * np.pi * _F
        boundary, interface = 200 * (p / 5) ** -boundary_power, 300 * (p / 5) ** -interface_power
        z = 40 + boundary / (1 + (s * boundary * 2e-9) ** 0.95) + interface / (1 + (s * interface * 1e-6) ** 0.9)
        found.append(analyse(ImpedanceSpectrum(_F, noisy(z, 0.003, rng)), area_cm2=1.0))
    return found


def test_the_arc_that_falls_with_pressure_is_the_interface() -> None:
    """Power and role come back, and the confidence is high."""
    found = pressure_response(_analyses(boundary_power=0.02, interface_power=0.8), _PRESSURES)
    assert found.interface == "interface"
    power, sd = found.powers["interface"]
    assert power == pytest.approx(0.8, abs=max(0.05, 4 * sd))
    assert abs(found.powers["grain boundary"][0]) < 0.1
    assert found.confidence > 0.99


def test_a_void_that_looks_like_a_grain_boundary_is_found_out() -> None:
    """Where the arc with the grain boundary's capacitance falls, it is named, and what to do is said."""
    found = pressure_response(_analyses(boundary_power=0.9, interface_power=0.05), _PRESSURES)
    assert found.interface == "grain boundary"
    assert "total minus bulk" in found.note


def test_no_answer_to_pressure_is_no_interface() -> None:
    """Arcs that stay as they are give none."""
    found = pressure_response(_analyses(boundary_power=0.0, interface_power=0.05), _PRESSURES)
    assert found.interface is None


def test_what_cannot_be_compared_is_refused() -> None:
    """One pressure, a negative one, or another number of them."""
    analyses = _analyses(boundary_power=0.0, interface_power=0.5)
    with pytest.raises(SpectrumError, match="one for each"):
        pressure_response(analyses, (1.0,))
    with pytest.raises(SpectrumError, match="positive"):
        pressure_response(analyses, (1.0, 2.0, -3.0, 4.0))
    with pytest.raises(SpectrumError, match="two different"):
        pressure_response(analyses, (5.0, 5.0, 5.0, 5.0))
