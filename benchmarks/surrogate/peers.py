"""The surrogate's equations once more in Python, for vectorised numpy and for numba: what the core is timed with.

A metal on each side of a finished pellet, between platens, all nine qualities that such a cell has. One source
serves both: numpy sees columns of protocols, numba one protocol at a time, compiled. The numbers must agree with
those of the core; the benchmark checks it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Real = npt.NDArray[np.float64]
GAS_KJ_MOL_K, BOLTZMANN_EV_K = 8.314462618e-3, 8.617333262e-5
#: Place of the bonding time in the state.
BONDED = 3
#: Rate of a ramp that takes no time to speak of, MPa/s.
AT_ONCE = 1e12
#: The nine qualities, in the order of the columns that :meth:`Peer.run` returns.
QUALITIES = (
    "interfacial_resistance_ohm_cm2",
    "cell_resistance_ohm_cm2",
    "critical_current_density_ma_cm2",
    "cycle_life_cycles",
    "hot_spot_factor",
    "relative_density",
    "short_probability",
    "crack_probability",
    "extrusion_fraction",
)


@dataclass(frozen=True)
class Arithmetic:
    """The few operations that numpy and numba spell differently."""

    where: Callable[..., Any]
    exp: Callable[..., Any]
    expm1: Callable[..., Any]
    log: Callable[..., Any]
    sqrt: Callable[..., Any]
    most: Callable[..., Any]
    least: Callable[..., Any]


def laws(  # noqa: PLR0915 -- one long list of equations, as in the paper they would be
    p: Mapping[str, float], interfaces: int, a: Arithmetic, compiled: Callable[..., Any]
) -> tuple[Any, Any, Any]:
    """Functions ``fresh``, ``stage`` and ``measure`` for one set of parameters, each through ``compiled``."""
    where, exp, expm1, log, sqrt, most, least = a.where, a.exp, a.expm1, a.log, a.sqrt, a.most, a.least
    n, m = p["creep_exponent"], p["short_exponent"]
    tau = 1 / ((n + 1) * p["flow_rate_s"])
    energy_k = p["creep_energy_kj_mol"] / GAS_KJ_MOL_K
    react_k, conduct_k = p["interphase_energy_ev"] / BOLTZMANN_EV_K, p["conductivity_energy_ev"] / BOLTZMANN_EV_K
    across_k, transfer_k = p["boundary_energy_ev"] / BOLTZMANN_EV_K, p["transfer_energy_ev"] / BOLTZMANN_EV_K
    current_k = p["current_energy_ev"] / BOLTZMANN_EV_K
    bond_s, short_mpa, electrolyte_mm = p["bond_time_s"], p["short_mpa"], p["electrolyte_mm"]
    softening_k, heckel_mpa, creep = p["powder_softening_k"], p["compaction_mpa"], p["powder_creep"]
    tap, start = -math.log(1 - p["tap_density"]), -math.log(1 - min(p["start_density"], 0.9999))
    flow_power, touch = p["flow_stress_mpa"] ** -n, p["touch_mpa"]
    adhered_share, wave_mpa, rough_mpa = p["adhered_share"], p["wave_closure_mpa"], p["rough_closure_mpa"]
    wave_cm, rough_cm = p["wave_spacing_mm"] * 0.1, p["rough_spacing_um"] * 1e-4
    transfer_ohm, interphase_ohm = p["transfer_ohm_cm2"], p["interphase_ohm_cm2"]
    kappa0, reference, exponent = 1e-3 * p["conductivity_ms_cm"], p["conductivity_density"], p["density_exponent"]
    boundary, release, spring = p["boundary_share"], p["boundary_release"], p["spring_back_mpa"]
    volume = p["activation_volume_cm3_mol"] / (1e3 * GAS_KJ_MOL_K * 298.15)
    usual = 1 - release * math.exp(-10 / 50)
    thickness_cm = 0.1 * p["electrolyte_mm"] * p["thickness_density"]
    strip, gain, strip_n = p["strip_ma_cm2"], p["strip_gain_ma_cm2"], p["strip_exponent"]
    plate, void_cycles = p["plate_ma_cm2"], p["void_cycles"]
    short_h, short_n = p["cycling_short_h"], p["cycling_short_exponent"]
    cliff_mpa, cliff_n = p["cycling_cliff_mpa"], p["cycling_cliff_exponent"]
    crack_mpa, weibull, growth = p["crack_mpa"], p["weibull_modulus"], p["strength_density"]
    tilt_share, overhang_cm, escape = p["platen_tilt"], 0.1 * p["overhang_mm"], p["escape_share"]
    stripped = p["stripped_um"] / 0.364
    squeeze_rate = (
        (n + 1) * p["flow_rate_s"] * (2.598076211353316 * p["metal_um"] * 1e-3 / p["flow_radius_mm"]) ** (n + 1)
    )
    quarter_pi, two_pi = math.pi / 4, 2 * math.pi

    def fresh(zero: Any) -> Any:
        return (zero, zero + touch ** (n + 1), zero + touch, zero, zero, zero + start, zero, zero)

    def dose(q0: Any, power0: Any, q1: Any, power1: Any, k: float, ramp_s: Any, hold_s: Any) -> Any:
        at_hold = where(q1 > 0, power1 / where(q1 > 0, q1, 1.0), 0.0)
        rise = q1 - q0
        moves = abs(rise) > 1e-12 * most(q0, q1)
        return (
            where(moves, (power1 - power0) / (where(moves, rise, 1.0) * (k + 1)), at_hold) * ramp_s
            + at_hold * hold_s
        )

    dose = compiled(dose)

    def stage(state: Any, load: Any, rate: Any, span: Any, celsius: Any) -> Any:
        pressure, closure, peak, bonded, reacted, heckel, squeeze, short = state
        heat = 1 / 298.15 - 1 / (celsius + 273.15)
        soft = exp(energy_k / n * heat)
        ramp_s = abs(load - pressure) / rate
        q0, q1 = pressure * soft, load * soft
        power0, power1 = q0 ** (n + 1), q1 ** (n + 1)
        begin, rise = most(closure, power0), q1 - q0
        moves = abs(rise) > 1e-12 * most(q0, q1)
        lasts = ramp_s > 0
        jump = most(begin, power1) + power1 * ramp_s / tau
        rise = where(moves, rise, 1.0)
        time_s = where(lasts, ramp_s, 1.0)
        weight = time_s / (rise * (n + 2) * tau)
        turn = least(most(rise * (n + 1) * tau / time_s, q0), q1)
        turned = turn ** (n + 1)
        crept = (q1 * power1 - q0 * power0) * weight
        plastic = turned - (turn * turned - q0 * power0) * weight
        moved = where(rise > 0, most(begin, plastic) + crept, begin + crept)
        closure = where(moves & lasts, moved, jump)
        closure = most(closure, power1) + power1 * span / tau
        peak = most(peak, load)
        bonded = bonded + (span + 0.5 * ramp_s) * exp(energy_k * heat) / bond_s
        reacted = reacted + (span + ramp_s) * exp(react_k * heat)
        squeeze = squeeze + dose(q0, power0, q1, power1, n, ramp_s, span) * flow_power
        open_pores = most(0.95 + expm1(-heckel), 0.0) / 0.13
        plastic = load * exp(softening_k * (celsius - 25)) / heckel_mpa + tap
        base = most(heckel, plastic)
        heckel = base + log(1 + span / 60 * exp((plastic - base) / creep)) * creep
        s0, s1 = q0 / short_mpa, q1 / short_mpa
        more = dose(s0, s0 ** (m + 1), s1, s1 ** (m + 1), m, ramp_s, span)
        short = short + more * open_pores * open_pores / electrolyte_mm / 60
        return (load, closure, peak, bonded, reacted, heckel, squeeze, short)

    def share(closure: Any, mpa: float) -> Any:
        return -expm1(-closure / mpa)

    share = compiled(share)

    def constriction(area: Any, spacing_cm: float, kappa: Any) -> Any:
        radius = sqrt(area)
        closed = most(1 - radius, 0.0)
        return closed * sqrt(closed) * quarter_pi * spacing_cm / (radius * kappa)

    constriction = compiled(constriction)

    def measure(state: Any, celsius: Any) -> Any:
        pressure, closure, peak, bonded, reacted, heckel, squeeze, short = state
        heat = 1 / 298.15 - 1 / (celsius + 273.15)
        soft = exp(energy_k / n * heat)
        adhered = 1 - (1 - adhered_share) * exp(-bonded)
        closure = closure ** (1 / (n + 1)) * (adhered + (1 - adhered) * pressure / peak)
        wave, rough = share(closure, wave_mpa), share(closure, rough_mpa)
        inside = -expm1(-(heckel + pressure / spring))
        factor = kappa0 * (inside / reference) ** exponent * exp(-pressure * volume)
        open_now = (1 - release * exp(-pressure / 50)) / usual
        kappa = 1 / (
            (1 - boundary) / (factor * exp(conduct_k * heat))
            + boundary / (factor * exp(across_k * heat) * open_now)
        )
        thick = thickness_cm / inside
        carrying = wave * rough
        film = transfer_ohm / exp(transfer_k * heat) + interphase_ohm * sqrt(reacted / 86400)
        interface = (
            film / carrying + constriction(wave, wave_cm, kappa) + constriction(rough, rough_cm, kappa) / wave
        )
        focus = film * kappa
        rim = 1 / sqrt(-expm1(-two_pi * focus / thick))
        edge = 1 + (rim - 1) * -expm1(-two_pi * overhang_cm / thick)
        x = closure / wave_mpa
        tilt = 1 + tilt_share * x / expm1(x)
        uneven = (1 + (1 / wave - 1) * wave_cm / (focus + wave_cm)) * (
            1 + (1 / rough - 1) * rough_cm / (focus + rough_cm)
        )
        density = -expm1(-heckel)
        crack = (peak / (crack_mpa * exp(growth * (density - reference)))) ** weibull
        open_pores = most(0.95 - density, 0.0) / 0.13
        pores = open_pores * open_pores / electrolyte_mm
        spared = exp(-least(short + crack, 12.0))
        drive = pressure * soft
        thermal = exp(current_k * heat)
        stripping = (strip + gain * drive**strip_n) * carrying * thermal
        plating = thermal * plate * spared / (1 + (drive / short_mpa) ** 2 * pores)
        low = least(stripping, plating)
        ratio = low / most(stripping, plating)
        current = low * (1 + ratio**6) ** (-1 / 6)
        cliff = exp(-least((drive / cliff_mpa) ** cliff_n, 12.0))
        shorting = 2 * (0.1 * drive) ** short_n * pores / (short_h * cliff)
        voids = stripped / (carrying * (drive + 0.5) / 5 * void_cycles)
        left = (1 + squeeze * squeeze_rate) ** (-1 / (n + 1))
        return (
            interface,
            thick / kappa + interfaces * interface,
            current,
            spared / (shorting + voids),
            uneven * tilt * edge,
            density,
            -expm1(-short),
            -expm1(-crack),
            -expm1(-(1 - left) / escape) * escape,
        )

    return compiled(fresh), compiled(stage), compiled(measure)


def half_bonded(state: Any, begun: Any) -> Any:
    """A ramp counts half for bonding, as in the closed form; jumps with holds have counted all of it."""
    pressure, closure, peak, bonded, reacted, heckel, squeeze, short = state
    return (pressure, closure, peak, 0.5 * (begun + bonded), reacted, heckel, squeeze, short)


class Numpy:
    """Columns of protocols, one numpy call per operation."""

    name = "numpy, the closed forms"

    def __init__(self, p: Mapping[str, float], interfaces: int) -> None:
        a = Arithmetic(np.where, np.exp, np.expm1, np.log, np.sqrt, np.maximum, np.minimum)
        self.fresh, self.stage, self.measure = laws(p, interfaces, a, lambda function: function)

    def run(self, stages: Real, measured: Real) -> Real:
        """Shape (qualities, n)."""
        state = self.fresh(np.zeros(len(stages)))
        for s in range(stages.shape[1]):
            state = self.stage(state, *(stages[:, s, k] for k in range(4)))
        return np.array(self.finish(state, measured))

    def finish(self, state: Any, measured: Real) -> Any:
        held, celsius, settle_s, rate = (measured[:, k] for k in range(4))
        return self.measure(self.stage(state, held, rate, settle_s, celsius), celsius)


class NumpyStepped(Numpy):
    """The same laws without their integrals: each ramp is climbed in ``steps`` equal jumps with a hold on each."""

    def __init__(self, p: Mapping[str, float], interfaces: int, steps: int) -> None:
        super().__init__(p, interfaces)
        self.steps, self.name = steps, f"numpy, {steps} steps a ramp"

    def run(self, stages: Real, measured: Real) -> Real:
        state = self.fresh(np.zeros(len(stages)))
        before = np.zeros(len(stages))
        for s in range(stages.shape[1]):
            load, rate, span, celsius = (stages[:, s, k] for k in range(4))
            state = self.climb(state, before, load, rate, celsius)
            state = self.stage(state, load, np.full(len(stages), AT_ONCE), span, celsius)
            before = load
        held, celsius, settle_s, rate = (measured[:, k] for k in range(4))
        state = self.climb(state, before, held, rate, celsius)
        state = self.stage(state, held, np.full(len(stages), AT_ONCE), settle_s, celsius)
        return np.array(self.measure(state, celsius))

    def climb(self, state: Any, before: Real, load: Real, rate: Real, celsius: Real) -> Any:
        """A ramp as jumps to the middle of each step, with its share of the time."""
        share_s = np.abs(load - before) / rate / self.steps
        fast, begun = np.full(len(load), AT_ONCE), state[BONDED]
        for k in range(self.steps):
            middle = before + (load - before) * (k + 0.5) / self.steps
            state = self.stage(state, middle, fast, share_s, celsius)
        return half_bonded(state, begun)


class Numba:
    """One protocol at a time, compiled by numba; the first call compiles.

    With ``steps`` each ramp is climbed like :class:`NumpyStepped` climbs it; without, it takes the closed form.
    """

    def __init__(self, p: Mapping[str, float], interfaces: int, steps: int = 0) -> None:
        import numba

        self.name = f"numba, {steps} steps a ramp" if steps else "numba, the closed forms"

        def where(mask: bool, yes: float, no: float) -> float:
            return yes if mask else no

        a = Arithmetic(
            numba.njit(where, inline="always"), math.exp, math.expm1, math.log, math.sqrt, max, min
        )  # fmt: skip
        fresh, stage, measure = laws(p, interfaces, a, numba.njit(error_model="numpy"))

        halved = numba.njit(half_bonded)

        @numba.njit(error_model="numpy")
        def climbed(state: Any, load: float, rate: float, span: float, celsius: float) -> Any:
            before, begun = state[0], state[BONDED]
            share_s = abs(load - before) / rate / steps
            for k in range(steps):
                state = stage(state, before + (load - before) * (k + 0.5) / steps, AT_ONCE, share_s, celsius)
            return stage(halved(state, begun), load, AT_ONCE, span, celsius)

        move = climbed if steps else stage

        @numba.njit(error_model="numpy")
        def all_of(stages: Real, measured: Real, out: Real) -> None:
            for i in range(stages.shape[0]):
                state = fresh(0.0)
                for s in range(stages.shape[1]):
                    state = move(state, stages[i, s, 0], stages[i, s, 1], stages[i, s, 2], stages[i, s, 3])
                state = move(state, measured[i, 0], measured[i, 3], measured[i, 2], measured[i, 1])
                found = measure(state, measured[i, 1])
                for k in range(out.shape[0]):
                    out[k, i] = found[k]

        self._all_of = all_of

    def run(self, stages: Real, measured: Real) -> Real:
        """Shape (qualities, n)."""
        out = np.empty((len(QUALITIES), len(stages)))
        self._all_of(stages, measured, out)
        return out
