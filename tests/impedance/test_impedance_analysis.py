"""From spectrum to interfacial resistance: right, with an honest deviation, and silent where it must be."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from impedance_cells import AnyComplex, noisy, random_cell
from pressopt.errors import SpectrumError
from pressopt.impedance import Cause, Expectation, ImpedanceSpectrum, Kind, analyse
from pressopt.impedance.spectrum import Complex, Real

_F = np.geomspace(1e6, 1.0, 61)
_AREA = 0.785


def _cell(
    frequency: Real = _F,
    *,
    bulk: float = 40.0,
    boundary: float = 20.0,
    interface: float = 60.0,
    interface_f: float = 1e-6,
    tail_f: float = math.inf,
) -> Complex:
    """A 10 mm cell, resistances in Ω; grain boundary of 3e-8 F/cm² (around 200 kHz)."""
    s = 2j * np.pi * frequency
    z = (
        2e-7 * s
        + bulk
        + boundary / (1 + (s * boundary * 3e-8 * _AREA) ** 0.93)
        + interface / (1 + (s * interface * interface_f * _AREA / 2) ** 0.88)
    )
    return np.asarray(z + 1 / (tail_f * s**0.92) if math.isfinite(tail_f) else z, dtype=np.complex128)


def _spectrum(z: AnyComplex, *, noise: float = 0.003, seed: int = 0, frequency: Real = _F) -> ImpedanceSpectrum:
    return ImpedanceSpectrum(frequency, noisy(z, noise, np.random.default_rng(seed)))


def test_bulk_boundary_and_interface_are_told_apart() -> None:
    """Each arc gets its role by its capacitance, and its resistance within four deviations."""
    found = analyse(_spectrum(_cell()), area_cm2=_AREA)
    assert found.verdict.kind is Kind.VALID
    truth = {"bulk": 40.0, "grain boundary": 20.0, "interface": 60.0}
    assert {arc.role for arc in found.arcs} == set(truth)
    for arc in found.arcs:
        assert abs(arc.resistance_ohm - truth[arc.role]) < 4 * arc.sd_ohm
    value, sd = found.outcomes["interfacial_resistance_ohm_cm2"]
    assert abs(value - 60 * _AREA / 2) < 4 * sd
    assert sd < 0.1 * value
    value, sd = found.outcomes["cell_resistance_ohm_cm2"]
    assert abs(value - 120 * _AREA) < 4 * sd
    assert found.confidence > 0.9
    json.dumps(found.brief)


def _inside(count: int, seed: int) -> tuple[float, float]:
    """Share of random cells whose interface, and whole, lie within their own 95 % intervals."""
    rng = np.random.default_rng(seed)
    interface, whole = [], []
    for _ in range(count):
        cell = random_cell(rng)
        found = analyse(cell.spectrum(rng), area_cm2=cell.area_cm2)
        if not found.outcomes:
            continue
        assert found.interface_ohm_cm2 is not None
        assert found.interface_log_sd is not None
        interface.append(
            abs(math.log(found.interface_ohm_cm2 / cell.interface_ohm_cm2)) < 1.96 * found.interface_log_sd
        )
        value, sd = found.outcomes["cell_resistance_ohm_cm2"]
        whole.append(abs(value - cell.cell_ohm_cm2) < 1.96 * sd)
    assert len(interface) > 0.98 * count
    return float(np.mean(interface)), float(np.mean(whole))


def test_the_deviation_is_honest() -> None:
    """Of 100 random cells at least 92 hold the truth in their 95 % interval (93 to 99 % over the long run)."""
    interface, whole = _inside(100, seed=1)
    assert interface >= 0.92
    assert whole >= 0.86


@pytest.mark.long
def test_the_deviation_is_honest_over_a_thousand_cells() -> None:
    """Of 1000 random cells 93 to 99 % hold the interface in its 95 % interval, the whole cell in 90 % or more.

    The whole cell's deviation allows for a gain error of the analyser that the made-up cells do not have.
    """
    interface, whole = _inside(1000, seed=2)
    assert 0.93 <= interface <= 0.99
    assert whole >= 0.90


def test_twice_the_area_is_twice_the_specific_resistance() -> None:
    """The answer scales with the area that is given; the arcs in Ω do not move with it."""
    spectrum = _spectrum(_cell())
    one, two = analyse(spectrum, area_cm2=_AREA), analyse(spectrum, area_cm2=2 * _AREA)
    assert one.interface_ohm_cm2 is not None
    assert two.interface_ohm_cm2 is not None
    assert two.interface_ohm_cm2 == pytest.approx(2 * one.interface_ohm_cm2, rel=0.05)


def test_one_interface_is_the_sum_of_two_halves() -> None:
    """The same arc as one interface has twice the resistance of each of two."""
    spectrum = _spectrum(_cell())
    one, two = analyse(spectrum, area_cm2=_AREA, interfaces=1), analyse(spectrum, area_cm2=_AREA, interfaces=2)
    assert one.interface_ohm_cm2 is not None
    assert two.interface_ohm_cm2 is not None
    assert one.interface_ohm_cm2 == pytest.approx(2 * two.interface_ohm_cm2, rel=0.05)


def test_the_order_of_the_points_does_not_matter() -> None:
    """Low to high and high to low give the same number."""
    spectrum = _spectrum(_cell())
    turned = ImpedanceSpectrum(spectrum.frequency_hz[::-1], spectrum.impedance_ohm[::-1])
    one, other = analyse(spectrum, area_cm2=_AREA), analyse(turned, area_cm2=_AREA)
    assert one.interface_ohm_cm2 == pytest.approx(other.interface_ohm_cm2, rel=1e-3)


def test_a_boundary_above_the_band_does_not_disturb_the_interface() -> None:
    """Where grain boundary and bulk merge, the interface is still right and the merged part is called bulk."""
    f = np.geomspace(2e5, 1, 54)
    s = 2j * np.pi * f
    z = 30 + 15 / (1 + (s * 15 * 1e-9) ** 0.95) + 200 / (1 + (s * 200 * 5e-7) ** 0.9)
    found = analyse(_spectrum(z, frequency=f), area_cm2=1.0)
    assert found.interface_ohm_cm2 == pytest.approx(100.0, rel=0.03)


def test_total_minus_bulk_is_a_second_opinion() -> None:
    """With the electrolyte known, the difference is given, and agrees when nothing hides."""
    z = _cell(boundary=1e-3)
    found = analyse(_spectrum(z), area_cm2=_AREA, bulk_ohm=(40.0, 0.4))
    assert found.second_opinion_ohm_cm2 is not None
    value, sd = found.second_opinion_ohm_cm2
    assert abs(value - 30 * _AREA) < 4 * sd
    hidden = analyse(_spectrum(z), area_cm2=_AREA, bulk_ohm=(25.0, 0.2))
    assert any("total minus bulk" in note for note in hidden.notes)


def test_a_blocking_end_is_no_interface() -> None:
    """With a collector that blocks ions the tail is left to itself and the arc is found."""
    z = _cell(boundary=1e-3, interface=150.0, tail_f=6e-6)
    found = analyse(_spectrum(z), area_cm2=_AREA, interfaces=1, layout="blocking")
    assert found.interface_ohm_cm2 == pytest.approx(150 * _AREA, rel=0.1)


def test_a_spectrum_that_is_not_valid_gives_no_outcomes() -> None:
    """Drift, short and open end in an empty mapping: never a number made up."""
    n = _F.size
    drifting = _spectrum(_cell() * (1 + 0.15 * np.arange(n) / (n - 1)))
    for spectrum, kind in (
        (drifting, Kind.REMEASURE),
        (_spectrum(np.full(n, 0.01 + 0j)), Kind.SHORTED),
        (_spectrum(1 / (2j * np.pi * _F * 5e-12)), Kind.OPEN),
    ):
        found = analyse(spectrum, area_cm2=_AREA)
        assert found.verdict.kind is kind
        assert found.outcomes == {}
        json.dumps(found.brief)


def test_an_arc_below_the_band_asks_for_a_lower_sweep() -> None:
    """An interface whose apex was not reached is no number but a reason to sweep lower."""
    f = np.geomspace(1e6, 1e3, 31)
    s = 2j * np.pi * f
    z = 30 + 5000 / (1 + (s * 5000 * 3e-6) ** 0.9)
    found = analyse(_spectrum(z, frequency=f), area_cm2=1.0)
    assert found.verdict.kind is Kind.REMEASURE
    assert Cause.BAND in found.verdict.causes
    assert found.outcomes == {}


def test_too_few_points_in_the_arc_of_interest_are_named() -> None:
    """Three points a decade show where the interface is and not what it is: the verdict says so, and the place."""
    f = np.geomspace(1e6, 0.1, 19)
    found = analyse(_spectrum(_cell(f), frequency=f), area_cm2=_AREA)
    assert Cause.FEW_POINTS in found.verdict.causes
    assert "apex" in " ".join(found.verdict.reasons)
    assert Cause.FEW_POINTS not in analyse(_spectrum(_cell()), area_cm2=_AREA).verdict.causes


def test_an_interface_that_is_too_small_to_see_says_so() -> None:
    """Under noise of 1 % an interface of 0.05 % gets a wide deviation and a note, and the cell stays exact."""
    found = analyse(_spectrum(_cell(interface=0.05, boundary=1e-3), noise=0.01), area_cm2=_AREA)
    assert found.interface_log_sd is not None
    assert found.interface_log_sd > 0.5
    assert any("factor" in note for note in found.notes)
    value, sd = found.outcomes["cell_resistance_ohm_cm2"]
    assert abs(value - 40.05 * _AREA) < 4 * sd
    assert sd < 0.05 * value


def test_temperature_and_pressure_come_from_the_metadata() -> None:
    """What the cell was held at while it was measured stays with the number."""
    spectrum = _spectrum(_cell())
    spectrum.metadata.update({"temperature_c": 25.5, "pressure_mpa": "20.0"})
    found = analyse(spectrum, area_cm2=_AREA)
    assert found.temperature_c == 25.5
    assert found.pressure_mpa == 20.0


def test_the_same_spectrum_gives_the_same_answer() -> None:
    """Nothing is drawn: replaying a journal gives the same number to the last bit."""
    one, other = (analyse(_spectrum(_cell()), area_cm2=_AREA) for _ in range(2))
    assert one.outcomes == other.outcomes


def test_what_cannot_be_is_refused_all_at_once() -> None:
    """Area, interfaces and layout are each named; an expectation is checked when it is made."""
    with pytest.raises(SpectrumError) as caught:
        analyse(_spectrum(_cell()), area_cm2=-1.0, interfaces=0, layout="x")  # type: ignore[arg-type]
    assert len(caught.value.violations) == 3
    with pytest.raises(SpectrumError):
        Expectation(interface_f_cm2=(1e-6, 0.5), exponent=(2.0, 0.1))
