"""What nobody in a laboratory can know: the true value of every quality, for tests alone."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from pressopt.pressing import Cell, PressingProtocol
from pressopt.twin.chance import normal
from pressopt.twin.laws import CellState, Law, Real, extrusion, relative_density, resistances, weibull
from pressopt.twin.plant import AMBIENT_C, PressSpec, RollSpec
from pressopt.twin.population import (
    HiddenCell,
    contacts,
    hidden_cell,
    laboratory,
    laminated,
    median_cell,
)
from pressopt.twin.programme import Programme, live
from pressopt.twin.response import RELAXATION, RELAXATION_S, circuit, condition

MEASURING_NOISE = 0.015
"""Relative standard deviation of a resistance as fitted from one spectrum, in trials without wires."""


def _programme(protocols: Sequence[PressingProtocol] | Programme) -> Programme:
    return protocols if isinstance(protocols, Programme) else Programme.of(protocols)


def truth(
    cell: Cell,
    seed: int,
    protocols: Sequence[PressingProtocol] | Programme,
    *,
    spec: PressSpec | None = None,
    roll: RollSpec | None = None,
) -> dict[str, Real]:
    """True values for the median cell of this seed: batches averaged, no noise, no spoilt cell.

    Args:
        cell: Layers and area.
        seed: Of the twin.
        protocols: N protocols of one kind, or the arrays that they make.
        spec, roll: The machine, where it is not the usual one.

    Returns:
        One array of shape (N,) for each quantity of :data:`pressopt.pressing.QUANTITIES` that this cell has.
        Resistances are those of cells that neither short nor crack; probabilities stand beside them.
    """
    programme = _programme(protocols)
    hidden = median_cell(laboratory(cell, seed))
    return evaluate(cell, hidden, programme, spec=spec or PressSpec(), roll=roll or RollSpec())


def evaluate(
    cell: Cell, hidden: HiddenCell, programme: Programme, *, spec: PressSpec, roll: RollSpec
) -> dict[str, Real]:
    """The same for any one cell that is done to by N programmes, before anything has failed."""
    law = hidden.law
    state = live(law, programme, gain=hidden.gain, spec=spec, roll=roll)
    found: dict[str, Real] = {}
    rolled = programme.rolled
    held = np.zeros((programme.count, 1)) if rolled else programme.measure_mpa[:, None] * hidden.gain
    heat = np.full_like(held, AMBIENT_C) if rolled else np.maximum(programme.measure_c[:, None], AMBIENT_C)
    parts = resistances(law, state, held, heat)
    # Read at the end of settling, while contact still relaxes.
    late = 1.0 if rolled else 1 + RELAXATION * np.exp(-programme.settle_s[:, None] / RELAXATION_S)
    interface = parts.interface * late
    if laminated(cell):
        found["contact_resistance_mohm_cm2"] = 1000.0 * interface
    else:
        count = contacts(cell)
        total = parts.bulk + parts.boundary + count * (interface + parts.chemical)
        found["interfacial_resistance_ohm_cm2"] = interface
        found["cell_resistance_ohm_cm2"] = total
        found |= in_service(law, state, parts.contact, parts.hot_spot, held)
        found["relative_density"] = relative_density(law, state.compact)
        found["short_probability"] = weibull(state.drive_short, law.short_shape)
        found["crack_probability"] = weibull(state.drive_crack, law.crack_shape)
        found["damage_probability"] = weibull(state.drive_damage, law.damage_shape)
    found["extrusion_fraction"] = extrusion(state)
    found["press_time_s"] = _press_time_s(programme, roll)
    return {name: np.broadcast_to(values.reshape(-1), (programme.count,)).copy() for name, values in found.items()}


def in_service(law: Law, state: CellState, contact: Real, hot_spot: Real, held_mpa: Real) -> dict[str, Real]:
    """Critical current and life: stripping limit by contact and stack pressure, plating limit by hot spots.

    Both limits as Kasemchainan, Nat. Mater. 18 (2019) 1105 found them; exponents assumed.
    """
    stripping = law.limiting_ma_cm2 * contact**0.4 * np.sqrt((held_mpa + 0.5) / 5.5) * 2.0
    harmed = 1 + 4 * weibull(state.drive_short, law.short_shape) + 4 * weibull(state.drive_crack, law.crack_shape)
    plating = law.limiting_ma_cm2 * 2.0 / (hot_spot * harmed)
    critical = 1 / (1 / stripping + 1 / plating)
    return {
        "critical_current_density_ma_cm2": critical,
        "cycle_life_cycles": 400.0 * critical**1.5 / harmed,
        "hot_spot_factor": hot_spot,
    }


def _press_time_s(programme: Programme, roll: RollSpec) -> Real:
    if programme.rolled:
        return np.asarray((programme.dwell_s * roll.length_mm / programme.ramp_mpa_s).sum(axis=1))
    start = np.zeros((programme.count, 1))
    rise = np.abs(np.diff(np.concatenate([start, programme.pressure_mpa], axis=1), axis=1)) / programme.ramp_mpa_s
    return np.asarray((rise + programme.dwell_s).sum(axis=1))


def measure_directly(
    cell: Cell,
    seed: int,
    number: int,
    protocol: PressingProtocol,
    *,
    spec: PressSpec | None = None,
    roll: RollSpec | None = None,
) -> tuple[dict[str, tuple[float, float]], tuple[str, ...]]:
    """One trial on cell ``number`` through the same laws, without a machine, without wires.

    Returns:
        Measured quantities as (value, standard deviation), and failures: ``shorted``, ``open``; a shorted or open
        cell has no values.
    """
    spec, roll = spec or PressSpec(), roll or RollSpec()
    lab = laboratory(cell, seed)
    hidden = hidden_cell(lab, number)
    programme = Programme.of([protocol])
    state = live(hidden.law, programme, gain=hidden.gain, spec=spec, roll=roll)
    found = condition(hidden, state)
    seen = circuit(
        cell,
        hidden,
        state,
        pressure_mpa=0.0 if programme.rolled else protocol.measure_at_mpa * hidden.gain,
        temperature_c=AMBIENT_C if programme.rolled else max(protocol.measure_at_c, AMBIENT_C),
        since_s=protocol.settle_s,
    )
    failures = tuple(name for name, there in (("shorted", found.shorted), ("open", found.open)) if there)
    if failures:
        return {}, failures
    area_cm2 = cell.area_cm2
    if laminated(cell):
        exact = {"contact_resistance_mohm_cm2": seen.direct_ohm * area_cm2 * 1000.0}
    else:
        interface = sum(seen.interface_ohm) / len(seen.interface_ohm) * area_cm2
        exact = {
            "interfacial_resistance_ohm_cm2": interface,
            "cell_resistance_ohm_cm2": (seen.direct_ohm + lab.lead_ohm) * area_cm2,
        }
    outcomes = {}
    for name, value in exact.items():
        noise = MEASURING_NOISE if name == "interfacial_resistance_ohm_cm2" else 0.005
        shown = value * math.exp(noise * normal(seed, "direct", number, name))
        outcomes[name] = (shown, noise * shown)
    return outcomes, ()


def without_failures(hidden: HiddenCell) -> HiddenCell:
    """The same cell, never spoilt: for tests that compare resistances alone."""
    return replace(hidden, short_at=math.inf, crack_at=math.inf, damage_at=math.inf)
