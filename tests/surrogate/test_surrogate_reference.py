"""The closed forms against a reference that integrates the laws step by step, with tight tolerance."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.integrate import quad, solve_ivp

from pressopt.surrogate import Surrogate
from surrogate_cells import CELLS, pressed

GAS_KJ_MOL_K, BOLTZMANN_EV_K = 8.314462618e-3, 8.617333262e-5


class Reference:
    """One protocol on a dense-electrolyte symmetric cell, written from docs/physics.md and not from the core."""

    def __init__(self, surrogate: Surrogate) -> None:
        self.p = {p.name: p.nominal for p in (*surrogate.parameters, *surrogate.settled)}
        self.n = self.p["creep_exponent"]
        self.tau = 1 / ((self.n + 1) * self.p["flow_rate_s"])
        self.pressure = 0.0
        self.closure = self.p["touch_mpa"] ** (self.n + 1)
        self.peak = self.p["touch_mpa"]
        self.bonded = self.reacted = self.short = 0.0

    def heat(self, celsius: float) -> float:
        return 1 / 298.15 - 1 / (celsius + 273.15)

    def soft(self, celsius: float) -> float:
        return math.exp(self.p["creep_energy_kj_mol"] / (self.n * GAS_KJ_MOL_K) * self.heat(celsius))

    def stage(self, pressure: float, rate: float, dwell: float, celsius: float) -> None:
        soft, start = self.soft(celsius), self.pressure
        ramp = abs(pressure - start) / rate
        self.advance(start * soft, pressure * soft, ramp)
        self.advance(pressure * soft, pressure * soft, dwell)
        self.peak, self.pressure = max(self.peak, pressure), pressure
        speed = math.exp(self.p["creep_energy_kj_mol"] / GAS_KJ_MOL_K * self.heat(celsius))
        self.bonded += (dwell + ramp / 2) * speed / self.p["bond_time_s"]
        growth = math.exp(self.p["interphase_energy_ev"] / BOLTZMANN_EV_K * self.heat(celsius))
        self.reacted += (dwell + ramp) * growth

    def advance(self, q0: float, q1: float, seconds: float) -> None:
        """Integrate creep under z >= q: on the boundary while the ramp outruns creep, free after it."""
        power = self.n + 1

        def drive(t: float) -> float:
            return q0 + (q1 - q0) * t / seconds

        self.closure = max(self.closure, q0**power)
        if seconds == 0:
            self.closure = max(self.closure, q1**power)
            return

        def rate(t: float, _: np.ndarray) -> list[float]:
            return [drive(t) ** power / self.tau]

        def touches(t: float, y: np.ndarray) -> float:
            return float(y[0] - drive(t) ** power)

        touches.terminal, touches.direction = True, -1  # type: ignore[attr-defined]
        at = 0.0
        turn = (power * self.tau * (q1 - q0) / seconds - q0) / ((q1 - q0) / seconds) if q1 > q0 else 0.0
        turn = min(max(turn, 0.0), seconds)
        on_boundary = self.closure <= q0**power and turn > 0
        if not on_boundary:
            free = solve_ivp(
                rate, (0, seconds), [self.closure], events=touches, rtol=1e-12, atol=1e-30, method="DOP853"
            )
            self.closure, at = float(free.y[0, -1]), float(free.t[-1])
            on_boundary = at < seconds
        if on_boundary:
            leave = max(at, turn)
            self.closure = drive(leave) ** power
            if leave < seconds:
                rest = solve_ivp(rate, (leave, seconds), [self.closure], rtol=1e-12, atol=1e-30, method="DOP853")
                self.closure = float(rest.y[0, -1])
        m, scale = self.p["short_exponent"], self.p["short_mpa"]
        porosity = max(0.0, 0.95 - self.p["start_density"]) / 0.13
        dose = quad(lambda t: (drive(t) / scale) ** m, 0, seconds, epsabs=0, epsrel=1e-12)[0]
        self.short += dose * porosity**2 / self.p["electrolyte_mm"] / 60

    def conductivity(self, celsius: float) -> float:
        """Grains and their boundaries in series, in the die at the present pressure, S/cm."""
        p = self.p
        void = (1 - p["start_density"]) * math.exp(-self.pressure / p["spring_back_mpa"])
        common = 1e-3 * p["conductivity_ms_cm"] * ((1 - void) / p["conductivity_density"]) ** p["density_exponent"]
        common *= math.exp(-self.pressure * p["activation_volume_cm3_mol"] / (1e3 * GAS_KJ_MOL_K * 298.15))
        grain, across = (
            common * math.exp(p[name] / BOLTZMANN_EV_K * self.heat(celsius))
            for name in ("conductivity_energy_ev", "boundary_energy_ev")
        )
        open_now, open_usual = (p["boundary_release"] * math.exp(-mpa / 50) for mpa in (self.pressure, 10.0))
        across *= (1 - open_now) / (1 - open_usual)
        return float(1 / ((1 - p["boundary_share"]) / grain + p["boundary_share"] / across))

    def interface(self, celsius: float) -> float:
        p = self.p
        adhered = 1 - (1 - p["adhered_share"]) * math.exp(-self.bonded)
        kept = adhered + (1 - adhered) * self.pressure / self.peak
        closure = self.closure ** (1 / (self.n + 1)) * kept
        wave, rough = (1 - math.exp(-closure / p[name]) for name in ("wave_closure_mpa", "rough_closure_mpa"))
        transfer: float = p["transfer_ohm_cm2"] * math.exp(
            -p["transfer_energy_ev"] / BOLTZMANN_EV_K * self.heat(celsius)
        )
        transfer += p["interphase_ohm_cm2"] * math.sqrt(self.reacted / 86400)
        kappa = self.conductivity(celsius)

        def constriction(share: float, half_spacing_cm: float) -> float:
            return float(
                math.pi * half_spacing_cm / (4 * kappa) * (1 - math.sqrt(share)) ** 1.5 / math.sqrt(share)
            )

        return float(
            transfer / (wave * rough)
            + constriction(wave, p["wave_spacing_mm"] / 10)
            + constriction(rough, p["rough_spacing_um"] * 1e-4) / wave
        )


@pytest.mark.parametrize(
    "stages",
    [
        [(10.0, 1.0, 60.0, 25.0)],
        [(2.0, 0.001, 0.0, 60.0), (20.0, 0.01, 600.0, 60.0)],
        [(25.0, 5.0, 1.0, 95.0), (3.0, 0.1, 5000.0, 25.0), (6.0, 0.01, 30.0, 40.0)],
        [(30.0, 0.02, 120.0, 80.0), (30.0, 1.0, 120.0, 25.0), (35.0, 0.5, 10.0, 25.0)],
    ],
)
@pytest.mark.parametrize("name", ["Li|LPSCl", "Na|NASICON"])
def test_the_core_agrees_with_stepwise_integration(
    name: str, stages: list[tuple[float, float, float, float]]
) -> None:
    """Interface resistance and shorting of staged protocols agree with a tight reference to 1e-8."""
    surrogate, reference = Surrogate(CELLS[name]()), Reference(Surrogate(CELLS[name]()))
    for stage in stages:
        reference.stage(*stage)
    reference.stage(5.0, 1.0, 60.0, 30.0)
    pressure, ramp, dwell, heat = (np.array([column]) for column in zip(*stages, strict=True))
    table = pressed(pressure, ramp_mpa_s=ramp, dwell_s=dwell, temperature_c=heat, measure_at_c=30.0)
    found = surrogate.predict(table).nominal
    assert found["interfacial_resistance_ohm_cm2"][0] == pytest.approx(reference.interface(30.0), rel=1e-8)
    expected = -math.expm1(-reference.short)
    # Dwell under pressure leaves the density of a finished pellet as it is, but for rounding.
    assert found["short_probability"][0] == pytest.approx(expected, rel=1e-6, abs=1e-300)
