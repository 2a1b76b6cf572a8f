"""Verdicts: clean spectra pass, each fault is named, and nothing made up becomes a number."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from impedance_cells import MadeCell, noisy, random_cell
from pressopt.errors import SpectrumError
from pressopt.impedance import Cause, ImpedanceSpectrum, Kind, Verdict, circuit_impedance, judge

Fault = Callable[[MadeCell, np.random.Generator], ImpedanceSpectrum]


def _clean(cell: MadeCell, rng: np.random.Generator) -> ImpedanceSpectrum:
    return cell.spectrum(rng)


def _drift(cell: MadeCell, rng: np.random.Generator) -> ImpedanceSpectrum:
    n = cell.frequency_hz.size
    return cell.spectrum(rng, factor=1 + rng.choice([-0.15, 0.15]) * np.arange(n) / (n - 1))


def _slow_drift(cell: MadeCell, rng: np.random.Generator) -> ImpedanceSpectrum:
    time_s = np.cumsum(0.2 + 3 / cell.frequency_hz)
    share = (time_s - time_s[0]) / np.ptp(time_s)
    z = noisy(cell.clean_ohm * (1 + rng.choice([-0.15, 0.15]) * share), cell.noise, rng)
    return ImpedanceSpectrum(cell.frequency_hz, z, time_s=time_s)


def _slip(cell: MadeCell, rng: np.random.Generator) -> ImpedanceSpectrum:
    n = cell.frequency_hz.size
    step = rng.choice([-1, 1]) * rng.uniform(0.1, 0.5)
    return cell.spectrum(rng, factor=np.where(np.arange(n) >= rng.integers(n // 5, 4 * n // 5), 1 + step, 1.0))


def _hum(cell: MadeCell, rng: np.random.Generator) -> ImpedanceSpectrum:
    factor = np.ones(cell.frequency_hz.size, dtype=np.complex128)
    mains = rng.choice([50, 60])
    for k in (1, 2, 3):
        nearest = int(np.argmin(np.abs(np.log(cell.frequency_hz / (mains * k)))))
        factor[nearest] += rng.uniform(0.06, 0.3) / k * np.exp(2j * np.pi * rng.random())
    return cell.spectrum(rng, factor=factor)


def _overload(cell: MadeCell, rng: np.random.Generator) -> ImpedanceSpectrum:
    spectrum = cell.spectrum(rng)
    flag = (rng.random(cell.frequency_hz.size) < 0.4).astype(np.int64)
    return ImpedanceSpectrum(cell.frequency_hz, np.where(flag == 1, 9.9e37, spectrum.impedance_ohm), flag)


def _short(cell: MadeCell, rng: np.random.Generator) -> ImpedanceSpectrum:
    z = 0.05 * rng.uniform(0.2, 2) + 2j * np.pi * cell.frequency_hz * 1e-7
    return ImpedanceSpectrum(cell.frequency_hz, noisy(z, cell.noise, rng))


def _open(cell: MadeCell, rng: np.random.Generator) -> ImpedanceSpectrum:
    z = 1 / (2j * np.pi * cell.frequency_hz * 10 ** rng.uniform(-11.5, -10) + 1e-10)
    return ImpedanceSpectrum(cell.frequency_hz, noisy(z, cell.noise, rng))


def _verdicts(fault: Fault, count: int, seed: int) -> list[Verdict]:
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(count):
        cell = random_cell(rng)
        found.append(judge(fault(cell, rng), area_cm2=cell.area_cm2))
    return found


def test_at_most_one_clean_spectrum_in_a_hundred_is_refused() -> None:
    """300 clean cells with 0.3 to 1 % noise: at most 3 are not valid."""
    assert sum(v.kind is not Kind.VALID for v in _verdicts(_clean, 300, seed=1)) <= 3


@pytest.mark.parametrize(
    ("fault", "cause"),
    [
        (_drift, Cause.DRIFT),
        (_slow_drift, Cause.DRIFT),
        (_slip, Cause.SLIP),
        (_hum, Cause.HUM),
        (_overload, Cause.OVERLOAD),
        (_short, Cause.SHORT),
        (_open, Cause.OPEN),
    ],
)
def test_each_fault_is_named(fault: Fault, cause: Cause) -> None:
    """Drift of 15 %, slip, hum, overload, short, open: 98 of 100 of each named rightly, all but one noticed."""
    verdicts = _verdicts(fault, 100, seed=2)
    assert sum(cause in v.causes for v in verdicts) >= 98
    if cause is not Cause.HUM:  # its points are left out; the rest is as good as ever
        assert sum(v.kind is Kind.VALID for v in verdicts) <= 1


@pytest.mark.long
def test_a_thousand_clean_and_two_hundred_of_each_fault() -> None:
    """At most 1 % of 1000 clean spectra refused; at least 98 % of 200 of each fault named rightly."""
    assert sum(v.kind is not Kind.VALID for v in _verdicts(_clean, 1000, seed=3)) <= 10
    for fault, cause in (
        (_drift, Cause.DRIFT),
        (_slow_drift, Cause.DRIFT),
        (_slip, Cause.SLIP),
        (_hum, Cause.HUM),
        (_overload, Cause.OVERLOAD),
        (_short, Cause.SHORT),
        (_open, Cause.OPEN),
    ):
        assert sum(cause in v.causes for v in _verdicts(fault, 200, seed=4)) >= 0.98 * 200


def test_one_percent_of_noise_passes_and_five_do_not() -> None:
    """Noise is measured and has a limit; the verdict says which."""
    rng = np.random.default_rng(0)
    cell = random_cell(rng, noise=0.01)
    assert judge(cell.spectrum(rng)).kind is Kind.VALID
    assert judge(cell.spectrum(rng)).noise == pytest.approx(0.01, rel=0.3)
    loud = judge(random_cell(rng, noise=0.06).spectrum(rng))
    assert loud.kind is Kind.REMEASURE
    assert Cause.NOISE in loud.causes


def test_a_drift_at_the_slow_end_leaves_the_fast_end_valid() -> None:
    """Most of a sweep's time goes into its last half decade: the verdict says from where on it holds."""
    rng = np.random.default_rng(4)
    cell = random_cell(rng, noise=0.003)
    time_s = np.cumsum(0.05 + 3 / cell.frequency_hz)
    share = (time_s - time_s[0]) / np.ptp(time_s)
    z = noisy(cell.clean_ohm * (1 + 0.12 * share), 0.003, rng)
    verdict = judge(ImpedanceSpectrum(cell.frequency_hz, z, time_s=time_s))
    assert verdict.kind is Kind.VALID_ABOVE
    assert verdict.above_hz is not None
    assert verdict.value == f"valid above {verdict.above_hz:.3g} Hz"
    assert Cause.DRIFT in verdict.causes
    assert not verdict.use[cell.frequency_hz < verdict.above_hz].any()


def test_a_known_bulk_tells_a_soft_short() -> None:
    """3 Ω is a good cell by itself, and a short where the electrolyte alone has 30 Ω."""
    f = np.geomspace(1e6, 1, 61)
    z = noisy(3.0 + 2j * np.pi * f * 2e-7, 0.005, np.random.default_rng(0))
    assert judge(ImpedanceSpectrum(f, z)).usable
    verdict = judge(ImpedanceSpectrum(f, z), bulk_ohm=30.0)
    assert verdict.kind is Kind.SHORTED
    assert "15 Ω" in verdict.reasons[0]


def test_too_few_points_are_named() -> None:
    """Nine points, or half a decade, cannot be judged."""
    f = np.geomspace(1e6, 1, 9)
    z = circuit_impedance("R0-p(R1,C1)", {"R0": 10.0, "R1": 50.0, "C1": 1e-6}, f)
    assert judge(ImpedanceSpectrum(f, z)).causes == (Cause.FEW_POINTS,)
    f = np.geomspace(1e3, 300, 30)
    z = circuit_impedance("R0-p(R1,C1)", {"R0": 10.0, "R1": 50.0, "C1": 1e-6}, f)
    assert judge(ImpedanceSpectrum(f, z)).causes == (Cause.FEW_POINTS,)


def test_a_negative_real_part_is_refused() -> None:
    """A passive cell takes power; wires that are swapped do not."""
    f = np.geomspace(1e6, 1, 61)
    z = -circuit_impedance("R0-p(R1,C1)", {"R0": 10.0, "R1": 50.0, "C1": 1e-6}, f)
    verdict = judge(ImpedanceSpectrum(f, z))
    assert verdict.kind is Kind.REMEASURE
    assert Cause.NOT_PASSIVE in verdict.causes


def test_inductive_leads_are_noted_and_harmless() -> None:
    """Where leads dominate the verdict says from where on, and stays valid."""
    f = np.geomspace(1e6, 1, 61)
    z = circuit_impedance("L0-R0-p(R1,C1)", {"L0": 5e-6, "R0": 10.0, "R1": 50.0, "C1": 1e-6}, f)
    verdict = judge(ImpedanceSpectrum(f, noisy(z, 0.003, np.random.default_rng(0))))
    assert verdict.kind is Kind.VALID
    assert Cause.INDUCTIVE in verdict.causes


def test_repeated_points_are_no_fault() -> None:
    """Frequencies measured twice to watch for drift are welcome."""
    rng = np.random.default_rng(8)
    cell = random_cell(rng)
    again = [0, 10, 20, 30]
    frequency = np.concatenate([cell.frequency_hz, cell.frequency_hz[again]])
    z = noisy(np.concatenate([cell.clean_ohm, cell.clean_ohm[again]]), 0.005, rng)
    assert judge(ImpedanceSpectrum(frequency, z)).kind is Kind.VALID


def test_repeated_points_show_a_drift() -> None:
    """Four frequencies measured again at the end, 10 % higher than before: a drift, whatever the arcs are."""
    rng = np.random.default_rng(8)
    cell = random_cell(rng, noise=0.005)
    again = [10, 20, 30, 40]
    frequency = np.concatenate([cell.frequency_hz, cell.frequency_hz[again]])
    n = frequency.size
    grown = 1 + 0.1 * np.arange(n) / (n - 1)
    z = np.asarray(np.concatenate([cell.clean_ohm, cell.clean_ohm[again]]) * grown, dtype=np.complex128)
    verdict = judge(ImpedanceSpectrum(frequency, noisy(z, 0.005, rng)))
    assert Cause.DRIFT in verdict.causes
    assert verdict.drift == pytest.approx(0.1, abs=0.03)


def _interface_grows(*, again_hz: tuple[float, ...], by: float, seed: int) -> Verdict:
    """A cell of which the interface alone changes in the sweep, with some points measured again at its end."""
    f = np.geomspace(1e6, 1.0, 61)
    f = np.concatenate([f, [f[np.argmin(np.abs(f - hz))] for hz in again_hz]])
    time_s = np.cumsum(0.2 + 3 / f)
    interface = 300 * (1 + by * (time_s - time_s[0]) / np.ptp(time_s))
    s = 2j * np.pi * f
    z = 30 + 20 / (1 + (s * 20 * 2e-9) ** 0.95) + interface / (1 + (s * interface * 3e-7) ** 0.9)
    return judge(ImpedanceSpectrum(f, noisy(z, 0.005, np.random.default_rng(seed)), time_s=time_s))


@pytest.mark.parametrize("again_hz", [(100.0,), (1e4, 300.0, 10.0)])
def test_a_drift_of_the_interface_alone_shows_in_points_measured_again(again_hz: tuple[float, ...]) -> None:
    """15 % of one arc gives a spectrum that another cell could have; a repeated point tells, and does no harm."""
    for seed in range(20):
        verdict = _interface_grows(again_hz=again_hz, by=0.15, seed=seed)
        assert verdict.kind is not Kind.VALID
        assert Cause.DRIFT in verdict.causes
        assert any("measured twice" in reason or "during the sweep" in reason for reason in verdict.reasons)
        assert _interface_grows(again_hz=again_hz, by=0.0, seed=seed).kind is Kind.VALID


@pytest.mark.parametrize(("full_ohm", "kind"), [(1.4, Kind.SHORTED), (40.0, Kind.OVERLOAD), (None, Kind.OVERLOAD)])
def test_a_range_that_is_full_everywhere_is_a_short_where_no_cell_could_fill_it(
    full_ohm: float | None, kind: Kind
) -> None:
    """0.02 Ω read through 10 mA: 1.4 Ω at every point. 40 Ω, or no number, may be a range that is too small."""
    f = np.geomspace(1e5, 1.0, 31)
    z = np.full(f.size, complex(full_ohm or np.nan))
    verdict = judge(ImpedanceSpectrum(f, z, np.ones(f.size, dtype=np.int64)), area_cm2=0.785)
    assert verdict.kind is kind
    assert "range" in verdict.reasons[0]
    if kind is Kind.OVERLOAD:
        assert "shorted" in verdict.reasons[0]
        known = judge(ImpedanceSpectrum(f, z, np.ones(f.size, dtype=np.int64)), area_cm2=0.785, bulk_ohm=100.0)
        assert known.kind is (Kind.SHORTED if full_ohm else Kind.OVERLOAD)


@pytest.mark.parametrize("area", [0.0, -1.0, float("nan")])
def test_an_area_that_is_none_is_refused(area: float) -> None:
    """The area decides what a short is, so it must be one."""
    f = np.geomspace(1e6, 1, 61)
    with pytest.raises(SpectrumError, match="area"):
        judge(ImpedanceSpectrum(f, np.ones(61, dtype=np.complex128)), area_cm2=area)
