"""Circuits: notation, closed forms, derivatives, fits without a guess, and input that is no input."""

from __future__ import annotations

import cmath
import math
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from impedance_cells import noisy
from pressopt import _core
from pressopt.errors import SpectrumError
from pressopt.impedance import (
    Fit,
    ImpedanceSpectrum,
    circuit_impedance,
    fit,
    fit_many,
    parameters,
    read_spectra,
)

_F = np.geomspace(1e6, 0.1, 60)
_TWO_ARCS = "R0-p(R1,CPE1)-p(R2,CPE2)-CPE3"
#: Values of the same size as in a pressed pellet, for every element.
_VALUES = {
    "R": 30.0, "C": 1e-6, "L": 3e-7, "W": 12.0, "q": 2e-6, "n": 0.83, "r": 55.0, "tau": 3e-4, "c": 4e-7,
}  # fmt: skip


def _default(name: str) -> float:
    return _VALUES[name.split(".")[1]] if "." in name else _VALUES[name[0]]


@pytest.mark.parametrize(
    ("circuit", "expected"),
    [
        ("R0", ["R0"]),
        ("L0-R0-p(R1,CPE1)-W1", ["L0", "R0", "R1", "CPE1.q", "CPE1.n", "W1"]),
        (" R0 - p( C1 , R1 - Wo1 ) ", ["R0", "C1", "R1", "Wo1.r", "Wo1.tau"]),
        ("p(R1,p(C1,R2))-Ws1-G1", ["R1", "C1", "R2", "Ws1.r", "Ws1.tau", "G1.r", "G1.tau"]),
        ("ZARC1-TL1", ["ZARC1.r", "ZARC1.c", "ZARC1.n", "TL1.r", "TL1.q", "TL1.n"]),
        ("p(R1,CPE1)-p(R1,CPE2)", ["R1", "CPE1.q", "CPE1.n", "CPE2.q", "CPE2.n"]),
        ("CPE1-CPE2; CPE2.n = CPE1.n", ["CPE1.q", "CPE1.n", "CPE2.q"]),
        ("R0-C1-R2-R3; R0 = R3; R2=R3", ["C1", "R3"]),
    ],
)
def test_the_usual_notation_is_read(circuit: str, expected: list[str]) -> None:
    """Parameters stand in the order of the string; a name written twice is one parameter."""
    assert list(parameters(circuit)) == expected


@pytest.mark.parametrize(
    ("circuit", "says"),
    [
        ("", "the end at position 1"),
        ("R0-", "the end at position 4"),
        ("R0-p(R1)", "two branches"),
        ("R0-p(R1,C1", "expected ',' or ')'"),
        ("R0)", "')' at position 3"),
        ("Q0-R1", "'Q' at position 1"),
        ("R0-Rx", "'x' at position 5"),
        ("R0 R1", "'R' at position 4"),
        ("R0-R1; R0 = R7", "expected the name of a parameter"),
        ("R0-R1; R0 R1", "expected '='"),
        ("R0-C1; R0 = C1", "cannot share"),
        ("R0-R1; R0 = R0", "cannot share"),
        ("Ω", "'Ω' at position 1"),
        ("p(" * 200 + "R0", "nested too deeply"),
        ("-".join(f"R{i}" for i in range(70)), "too many elements"),
    ],
)
def test_what_is_no_circuit_is_refused_with_the_place(circuit: str, says: str) -> None:
    """The error names the position, what stands there and what may."""
    with pytest.raises(SpectrumError, match=re.escape(says)):
        parameters(circuit)


@given(st.text(alphabet="RCLWGopsCPEZATn0123(),-_ ", max_size=30))
def test_no_string_makes_the_parser_fail_in_another_way(text: str) -> None:
    """Whatever is written, the answer is a list of parameters or a SpectrumError."""
    try:
        assert parameters(text)
    except SpectrumError:
        return


def _closed_form(name: str, w: float) -> complex:
    jw = 1j * w
    s = cmath.sqrt(jw * 3e-4)
    pore = cmath.sqrt(55 * 2e-6 * jw**0.83)
    return {
        "R1": 30 + 0j,
        "C1": 1 / (jw * 1e-6),
        "L1": jw * 3e-7,
        "CPE1": 1 / (2e-6 * jw**0.83),
        "W1": 12 * (1 - 1j) / math.sqrt(w),
        "Wo1": 55 / cmath.tanh(s) / s if s.real < 300 else 55 / s,
        "Ws1": 55 * cmath.tanh(s) / s if s.real < 300 else 55 / s,
        "G1": 55 / cmath.sqrt(1 + jw * 3e-4),
        "ZARC1": 55 / (1 + (jw * 55 * 4e-7) ** 0.83),
        "TL1": 55 / cmath.tanh(pore) / pore if pore.real < 300 else 55 / pore,
        "p(R1,C1)": 1 / (1 / 30 + jw * 1e-6),
        "p(C1,R1-W1)": 1 / (jw * 1e-6 + 1 / (30 + 12 * (1 - 1j) / math.sqrt(w))),
    }[name]


@pytest.mark.parametrize(
    "circuit", ["R1", "C1", "L1", "CPE1", "W1", "Wo1", "Ws1", "G1", "ZARC1", "TL1", "p(R1,C1)", "p(C1,R1-W1)"]
)
def test_each_element_is_its_closed_form(circuit: str) -> None:
    """Impedances agree with the textbook formulas to rounding, over nine decades of frequency."""
    frequency = np.geomspace(1e7, 1e-2, 40)
    found = circuit_impedance(circuit, {n: _default(n) for n in parameters(circuit)}, frequency)
    expected = [_closed_form(circuit, 2 * math.pi * f) for f in frequency]
    np.testing.assert_allclose(found, expected, rtol=1e-9)


@settings(max_examples=60, deadline=None)
@given(
    circuit=st.sampled_from(
        [
            "L0-R0-p(R1,CPE1)-p(R2-W1,C2)-CPE3",
            "R0-Wo1-Ws1-G1",
            "p(ZARC1-R1,TL1,L1)",
            "p(R1,CPE1)-p(R1,CPE2)-R1",
            "p(CPE1,R1)-p(R2,CPE2,C2)-R3; CPE2.n = CPE1.n; R3 = R2",
        ]
    ),
    shift=st.lists(st.floats(-2.0, 2.0), min_size=16, max_size=16),
    ln_f=st.floats(-2.0, 13.0),
)
def test_analytic_derivatives_are_those_of_finite_differences(
    circuit: str, shift: list[float], ln_f: float
) -> None:
    """Every column of the Jacobian agrees with a central difference, also for shared parameters."""
    names = list(parameters(circuit))
    values = np.array(
        [
            min(max(_default(n) + 0.05 * x, 0.3), 0.97) if n.endswith(".n") else _default(n) * math.exp(x)
            for n, x in zip(names, shift, strict=False)
        ]
    )
    frequency = np.array([math.exp(ln_f)])
    z, jacobian = _core.circuit_jacobian(circuit, values, frequency)
    for i in range(values.size):
        step = 1e-5 * values[i]
        high, low = values.copy(), values.copy()
        high[i] += step
        low[i] -= step
        numeric = (
            _core.circuit_impedance(circuit, high, frequency) - _core.circuit_impedance(circuit, low, frequency)
        ) / (2 * step)
        assert (
            abs(jacobian[0, i] - numeric[0]) * values[i] <= 1e-6 * abs(z[0]) + 1e-7 * abs(numeric[0]) * values[i]
        )


def _random_two_arcs(rng: np.random.Generator) -> dict[str, float]:
    """Resistances over four decades, arcs 0.7 decades apart or more, a tail of a blocking end."""
    r0, r1, r2 = 10 ** rng.uniform(0, 2), 10 ** rng.uniform(0, 4), 10 ** rng.uniform(0, 4)
    fast = 10 ** rng.uniform(-6, -2.5)
    slow = fast * 10 ** rng.uniform(0.7, 3)
    n1, n2, n3 = rng.uniform(0.7, 1), rng.uniform(0.7, 1), rng.uniform(0.5, 0.95)
    tail = (r0 + r1 + r2) * 10 ** rng.uniform(-0.5, 1)
    return {
        "R0": r0, "R1": r1, "CPE1.q": fast**n1 / r1, "CPE1.n": n1, "R2": r2, "CPE2.q": slow**n2 / r2, "CPE2.n": n2,
        "CPE3.q": 0.6**-n3 / tail, "CPE3.n": n3,
    }  # fmt: skip


def _floor_reached(count: int, seed: int) -> float:
    """Share of random two-arc spectra fitted without a guess to a chi-square no worse than from the truth."""
    rng = np.random.default_rng(seed)
    reached = 0
    for k in range(count):
        truth = _random_two_arcs(rng)
        z = noisy(circuit_impedance(_TWO_ARCS, truth, _F), (0.003, 0.01)[k % 2], rng)
        spectrum = ImpedanceSpectrum(_F, z)
        found = fit(spectrum, _TWO_ARCS)
        floor = fit(spectrum, _TWO_ARCS, initial=truth).chi2
        # One unit of a true chi-square is a difference no statistics can see.
        reached += found.chi2 <= floor * (1 + 1 / (2 * _F.size - 9))
    return reached / count


def test_fits_without_a_guess_reach_the_noise_floor() -> None:
    """On random spectra, overlapping arcs included, no start values are needed: 98 of 100."""
    assert _floor_reached(100, seed=1) >= 0.98


@pytest.mark.long
def test_a_thousand_fits_without_a_guess_reach_the_noise_floor() -> None:
    """The same over 1000 spectra: 99.5 %; what is missed are arcs at the level of the noise."""
    assert _floor_reached(1000, seed=2) >= 0.995


def _wanted_inside(count: int, seed: int) -> float:
    """Share of random two-arc spectra whose slower arc (the interface) lies in its own 95 % interval."""
    rng = np.random.default_rng(seed)
    inside = 0
    for k in range(count):
        truth = _random_two_arcs(rng)
        z = noisy(circuit_impedance(_TWO_ARCS, truth, _F), (0.003, 0.01)[k % 2], rng)
        low, high = fit(ImpedanceSpectrum(_F, z), _TWO_ARCS).interval("R2")
        inside += low < truth["R2"] < high
    return inside / count


@pytest.mark.long
def test_the_wanted_arc_lies_in_its_interval_over_a_thousand_fits() -> None:
    """The slower arc's resistance lies in its own 95 % interval in 93 to 97 % of 1000 random spectra.

    Arcs that the noise hides included: their intervals say that they may not be there.
    """
    assert 0.93 <= _wanted_inside(1000, seed=5) <= 0.97


def test_an_arc_that_noise_hides_gets_an_interval_that_says_so() -> None:
    """An arc of a thousandth of the other one: its 95 % interval holds it in 18 of 20 and more."""
    truth = {"R0": 10.0, "R1": 2000.0, "CPE1.q": 2e-8, "CPE1.n": 0.95, "R2": 2.0, "CPE2.q": 5e-5, "CPE2.n": 0.85,
             "CPE3.q": 2e-3, "CPE3.n": 0.8}  # fmt: skip
    clean = circuit_impedance(_TWO_ARCS, truth, _F)
    rng = np.random.default_rng(12)
    inside = 0
    for _ in range(20):
        low, high = fit(ImpedanceSpectrum(_F, noisy(clean, 0.01, rng)), _TWO_ARCS).interval("R2")
        inside += low <= 2.0 <= high
    assert inside >= 18


def test_known_values_come_back_with_honest_deviations() -> None:
    """Two arcs and a tail with 0.3 % noise: each value within four deviations, noise as put in."""
    truth = {"R0": 10.0, "R1": 50.0, "CPE1.q": 2e-8, "CPE1.n": 0.95, "R2": 120.0, "CPE2.q": 5e-6, "CPE2.n": 0.85,
             "CPE3.q": 2e-3, "CPE3.n": 0.8}  # fmt: skip
    z = noisy(circuit_impedance(_TWO_ARCS, truth, _F), 0.003, np.random.default_rng(7))
    found = fit(ImpedanceSpectrum(_F, z), _TWO_ARCS)
    assert found.converged
    assert math.sqrt(found.chi2_reduced) == pytest.approx(0.003, rel=0.2)
    for name, value in truth.items():
        assert abs(found.values[name] - value) < 4 * found.sds[name], name
        low, high = found.interval(name, 0.9999)
        assert low < value < high
    np.testing.assert_allclose(found.impedance(_F), z, rtol=0.03)


def test_intervals_hold_what_they_promise() -> None:
    """The 95 % interval of a resolved arc's resistance holds the truth in 90 to 99 % of 200 noisy copies."""
    truth = {"R0": 20.0, "R1": 80.0, "CPE1.q": 1e-6, "CPE1.n": 0.88}
    clean = circuit_impedance("R0-p(R1,CPE1)", truth, _F)
    rng = np.random.default_rng(3)
    inside = 0
    for _ in range(200):
        found = fit(ImpedanceSpectrum(_F, noisy(clean, 0.01, rng)), "R0-p(R1,CPE1)")
        low, high = found.interval("R1")
        inside += low < 80.0 < high
    assert 180 <= inside <= 198


def test_a_profile_is_right_where_the_curvature_is_not() -> None:
    """Most of an arc outside the band: the profile's interval is lopsided and holds the truth."""
    truth = {"R0": 20.0, "R1": 500.0, "CPE1.q": 1e-5, "CPE1.n": 0.9}
    frequency = np.geomspace(1e5, 1500.0, 40)
    z = noisy(circuit_impedance("R0-p(R1,CPE1)", truth, frequency), 0.01, np.random.default_rng(1))
    found = fit(ImpedanceSpectrum(frequency, z), "R0-p(R1,CPE1)")
    low, high = found.interval("R1")
    assert low < 500.0 < high
    best = found.values["R1"]
    assert high / best > 1.2 * best / low
    narrow_low, narrow_high = found.interval("R1", 0.5)
    assert low < narrow_low < best < narrow_high < high
    with pytest.raises(SpectrumError, match="unknown"):
        found.interval("R1", method="other")  # type: ignore[arg-type]


def test_an_interval_stops_at_its_bound() -> None:
    """What the spectrum does not limit ends at the bound that was given; what is fixed has no width."""
    truth = {"R0": 10.0, "R1": 1e6, "C1": 1e-3}
    spectrum = ImpedanceSpectrum(
        _F, noisy(circuit_impedance("R0-p(R1,C1)", truth, _F), 0.01, np.random.default_rng(2))
    )
    found = fit(spectrum, "R0-p(R1,C1)", bounds={"R1": (1.0, 1e8)})
    assert found.interval("R1")[1] == pytest.approx(1e8)
    fixed = fit(spectrum, "R0-p(R1,C1)", fixed={"R0": 10.0})
    np.testing.assert_allclose(fixed.interval("R0"), 10.0)


def test_shared_parameters_are_one() -> None:
    """Two arcs with one exponent: fewer parameters, the same truth."""
    truth = {"R0": 10.0, "R1": 50.0, "CPE1.q": 2e-8, "CPE1.n": 0.9, "R2": 120.0, "CPE2.q": 5e-6, "CPE2.n": 0.9}
    circuit = "R0-p(R1,CPE1)-p(R2,CPE2)"
    z = noisy(circuit_impedance(circuit, truth, _F), 0.003, np.random.default_rng(3))
    found = fit(ImpedanceSpectrum(_F, z), circuit, shared={"CPE2.n": "CPE1.n"})
    assert "CPE2.n" not in found.values
    assert found.values["CPE1.n"] == pytest.approx(0.9, abs=0.01)
    np.testing.assert_allclose(found.impedance(_F), z, rtol=0.03)


def test_arcs_stand_fast_to_slow() -> None:
    """Whichever way a search went, R1 is the faster arc."""
    truth = {"R0": 10.0, "R1": 50.0, "C1": 1e-4, "R2": 80.0, "C2": 1e-8}
    spectrum = ImpedanceSpectrum(_F, circuit_impedance("R0-p(R1,C1)-p(R2,C2)", truth, _F))
    found = fit(spectrum, "R0-p(R1,C1)-p(R2,C2)")
    assert found.values["R1"] == pytest.approx(80.0, rel=1e-4)
    asked = fit(spectrum, "R0-p(R1,C1)-p(R2,C2)", initial=truth)
    assert asked.values["R1"] == pytest.approx(50.0, rel=1e-4)


def test_many_spectra_are_fitted_one_by_one() -> None:
    """A stream of spectra gives what each alone would give, in order; one that cannot be fitted is a value."""
    rng = np.random.default_rng(4)
    truth = {"R0": 10.0, "R1": 100.0, "CPE1.q": 1e-6, "CPE1.n": 0.9}
    circuit = "R0-p(R1,CPE1)"

    def spectra() -> Iterator[ImpedanceSpectrum]:
        for k in range(300):
            frequency = _F[: 30 + k % 20] if k != 7 else _F[:1]
            yield ImpedanceSpectrum(frequency, noisy(circuit_impedance(circuit, truth, frequency), 0.005, rng))

    found = list(fit_many(spectra(), circuit))
    assert len(found) == 300
    assert isinstance(found[7], SpectrumError)
    assert "too few" in str(found[7])
    fits = [f for f in found if isinstance(f, Fit)]
    assert len(fits) == 299
    assert np.median([f.values["R1"] for f in fits]) == pytest.approx(100.0, rel=0.02)
    with pytest.raises(SpectrumError, match="no parameter"):
        fit_many([], circuit, fixed={"R9": 1.0})


def test_fixed_values_and_bounds_are_kept() -> None:
    """What is fixed stays to the digit with deviation 0; what touches its bound is named."""
    z = circuit_impedance("R0-p(R1,C1)", {"R0": 10.0, "R1": 100.0, "C1": 1e-6}, _F)
    found = fit(
        ImpedanceSpectrum(_F, noisy(z, 0.01, np.random.default_rng(0))),
        "R0-p(R1,C1)",
        fixed={"R0": 11.0},
        bounds={"R1": (1.0, 90.0)},
    )
    assert found.values["R0"] == pytest.approx(11.0, rel=1e-12)
    assert found.sds["R0"] == 0.0
    assert found.values["R1"] == pytest.approx(90.0)
    assert found.at_bound == ("R1",)


@pytest.mark.parametrize("weight", ["modulus", "proportional", "unit"])
def test_clean_data_give_the_truth_under_any_weight(weight: str) -> None:
    """Without noise the weights do not matter."""
    truth = {"R0": 10.0, "R1": 100.0, "C1": 1e-6}
    spectrum = ImpedanceSpectrum(_F, circuit_impedance("R0-p(R1,C1)", truth, _F))
    found = fit(spectrum, "R0-p(R1,C1)", weight=weight)  # type: ignore[arg-type]
    assert found.values == pytest.approx(truth, rel=1e-5)


def test_a_published_fit_is_met_and_a_better_one_found() -> None:
    """The example of impedance.py (Murbach et al., J. Open Source Softw. 5 (2020) 2349), with its start values.

    R0 = 16.5 mΩ, R1 = 8.68 mΩ, C1 = 3.32 F, R2 = 5.39 mΩ, Wo = 63.7 mΩ and 238 s, C2 = 0.220 F. Without start
    values a minimum below it is found.
    """
    (measured,) = read_spectra(Path(__file__).parent / "data" / "exampleData.csv")
    below = measured.impedance_ohm.imag < 0
    spectrum = ImpedanceSpectrum(measured.frequency_hz[below], measured.impedance_ohm[below])
    circuit = "R0-p(R1,C1)-p(R2-Wo1,C2)"
    start = {"R0": 0.01, "R1": 0.01, "C1": 100.0, "R2": 0.01, "Wo1.r": 0.05, "Wo1.tau": 100.0, "C2": 1.0}
    found = fit(spectrum, circuit, initial=start, weight="unit")
    published = {
        "R0": 0.0165,
        "R1": 0.00868,
        "C1": 3.32,
        "R2": 0.00539,
        "Wo1.r": 0.0637,
        "Wo1.tau": 238,
        "C2": 0.22,
    }
    assert found.values == pytest.approx(published, rel=0.01)
    assert fit(spectrum, circuit, weight="unit").chi2 < 0.8 * found.chi2


def test_measured_deviations_make_a_true_chi_square() -> None:
    """With the noise known, chi-square per degree of freedom is one."""
    z = circuit_impedance("R0-p(R1,C1)", {"R0": 10.0, "R1": 100.0, "C1": 1e-6}, _F)
    sd = 0.01 * np.abs(z)
    found = fit(ImpedanceSpectrum(_F, noisy(z, 0.01, np.random.default_rng(0))), "R0-p(R1,C1)", weight=sd)
    assert found.chi2_reduced == pytest.approx(1.0, abs=0.35)


@settings(max_examples=25, deadline=None)
@given(scale=st.floats(1e-3, 1e4), order=st.permutations(range(60)))
def test_scale_and_order_do_not_change_the_answer(scale: float, order: list[int]) -> None:
    """Ω to kΩ and points in any order: the same resistances, scaled."""
    truth = {"R0": 10.0, "R1": 100.0, "CPE1.q": 1e-6, "CPE1.n": 0.9}
    z = noisy(circuit_impedance("R0-p(R1,CPE1)", truth, _F), 0.005, np.random.default_rng(5))
    one = fit(ImpedanceSpectrum(_F, z), "R0-p(R1,CPE1)")
    other = fit(ImpedanceSpectrum(_F[order], scale * z[order]), "R0-p(R1,CPE1)")
    assert other.values["R1"] == pytest.approx(scale * one.values["R1"], rel=1e-4)
    assert other.sds["R1"] == pytest.approx(scale * one.sds["R1"], rel=1e-3)


def test_flagged_points_are_left_out() -> None:
    """An overload of 9.9e37 with its flag changes nothing."""
    z = circuit_impedance("R0-p(R1,C1)", {"R0": 10.0, "R1": 100.0, "C1": 1e-6}, _F)
    z[3], z[4] = 9.9e37, np.nan
    flag = np.zeros(60, dtype=np.int64)
    flag[3] = 1
    found = fit(ImpedanceSpectrum(_F, z, flag), "R0-p(R1,C1)")
    assert found.frequency_hz.size == 58
    assert found.values["R1"] == pytest.approx(100.0, rel=1e-6)


def test_input_that_cannot_be_used_is_refused_at_once() -> None:
    """Unknown names come together; points, bounds, weights and start values each say what is allowed."""
    spectrum = ImpedanceSpectrum(_F, circuit_impedance("R0-p(R1,C1)", {"R0": 1.0, "R1": 2.0, "C1": 1e-6}, _F))
    with pytest.raises(SpectrumError) as caught:
        fit(spectrum, "R0-p(R1,C1)", fixed={"R7": 1.0, "X": 2.0})
    assert len(caught.value.violations) == 2
    few = ImpedanceSpectrum(_F[:1], spectrum.impedance_ohm[:1])
    with pytest.raises(SpectrumError, match="too few"):
        fit(few, "R0-p(R1,C1)")
    with pytest.raises(SpectrumError, match="bounds"):
        fit(spectrum, "R0-p(R1,C1)", bounds={"R1": (5.0, 1.0)})
    with pytest.raises(SpectrumError, match="start value"):
        fit(spectrum, "R0-p(R1,C1)", initial={"R1": -5.0})
    with pytest.raises(SpectrumError, match="weight"):
        fit(spectrum, "R0-p(R1,C1)", weight="other")  # type: ignore[arg-type]
    with pytest.raises(SpectrumError, match="standard deviations"):
        fit(spectrum, "R0-p(R1,C1)", weight=np.zeros(60))
    with pytest.raises(SpectrumError, match="no value for R1"):
        circuit_impedance("R0-R1", {"R0": 1.0}, _F)
    with pytest.raises(SpectrumError, match="frequency 0"):
        circuit_impedance("R0", {"R0": 1.0}, np.array([0.0]))
    with pytest.raises(SpectrumError, match="not positive"):
        circuit_impedance("R0", {"R0": math.nan}, _F)


@settings(max_examples=40, deadline=None)
@example(z=[1 + 0j] * 11 + [2.2e-311 + 0j], frequency=[1e-2] * 12)
@given(
    z=st.lists(st.complex_numbers(max_magnitude=1e12, allow_nan=False), min_size=12, max_size=12),
    frequency=st.lists(st.sampled_from([1e-2, 1.0, 1.0, 1e3, 1e6]), min_size=12, max_size=12),
)
def test_nonsense_never_panics(z: list[complex], frequency: list[float]) -> None:
    """Negative resistances, zeros, duplicates: a fit or a SpectrumError, never a crash."""
    spectrum = ImpedanceSpectrum(np.array(frequency), np.array(z))
    try:
        found = fit(spectrum, "R0-p(R1,CPE1)-CPE2")
        assert all(math.isfinite(v) for v in found.values.values())
    except SpectrumError:
        return
