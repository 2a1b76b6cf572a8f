"""Which arc is the interface, told by how the arcs answer to pressure: contacts improve, electrolytes hardly."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from pressopt.errors import SpectrumError
from pressopt.impedance.analysis import Analysis, Role

#: An arc that falls less than with this power of the pressure is no contact (assumed: conductivities of pressed
#: pellets change by some 10 % per decade of stack pressure, contacts with powers of 0.5 to 1).
_LEAST_POWER = 0.25


@dataclass(frozen=True)
class PressureResponse:
    """How the arcs of one cell answer to pressure.

    Attributes:
        powers: Role -> (a, standard deviation) of R ∝ p^-a; positive where the arc falls.
        interface: The role that is the contact: what falls most, and enough; ``None`` where nothing does.
        confidence: Probability that this arc falls more than each other.
        note: One sentence for a reader.
    """

    powers: Mapping[Role, tuple[float, float]]
    interface: Role | None
    confidence: float
    note: str


def pressure_response(analyses: Sequence[Analysis], pressures_mpa: Sequence[float]) -> PressureResponse:
    """Tell from spectra of one cell under several pressures which arc is the interface.

    A void that constricts the current can relax near the time constant of the grain boundaries: its capacitance
    misleads, its answer to pressure does not.

    Args:
        analyses: Of the same cell; those whose verdict is not usable are left out.
        pressures_mpa: Of each, MPa.

    Raises:
        SpectrumError: Lengths differ, a pressure is not positive, or fewer than two usable spectra of different
            pressures are there.

    Source:
        Contact resistance under load: Holm, Electric Contacts, 4th ed. (1967), ch. 6 (a = 0.5 to 1).
    """
    if len(analyses) != len(pressures_mpa):
        raise SpectrumError(f"{len(analyses)} analyses and {len(pressures_mpa)} pressures: give one for each")
    if not all(math.isfinite(p) and p > 0 for p in pressures_mpa):
        raise SpectrumError(f"pressures {list(pressures_mpa)} MPa: each must be positive")
    pairs = [(a, p) for a, p in zip(analyses, pressures_mpa, strict=True) if a.verdict.usable]
    if len({p for _, p in pairs}) < 2:
        raise SpectrumError(f"{len(pairs)} usable spectra: two different pressures are needed to see an answer")
    powers: dict[Role, tuple[float, float]] = {}
    for role in ("bulk", "grain boundary", "interface", "slow"):
        rows = [
            (math.log(p), math.log(arc.resistance_ohm), arc.sd_ohm / arc.resistance_ohm)
            for analysis, p in pairs
            for arc in analysis.arcs
            if arc.role == role and arc.sd_ohm < arc.resistance_ohm
        ]
        if len({x for x, _, _ in rows}) >= 2:
            powers[role] = _power(np.array(rows))
    ranked = sorted(powers, key=lambda role: -powers[role][0])
    if not ranked or powers[ranked[0]][0] < _LEAST_POWER:
        return PressureResponse(powers, None, 0.0, "no arc falls with pressure as a contact does")
    first = ranked[0]
    most, sd = powers[first]
    confidence = 1.0
    for role in ranked[1:]:
        other, other_sd = powers[role]
        confidence *= NormalDist().cdf((most - other) / math.hypot(sd, other_sd, 1e-6))
    note = f"the arc called {first} falls with the power {most:.2f} ± {sd:.2f} of the pressure"
    if first != "interface":
        note += ": it holds the contact, although its capacitance says otherwise; take total minus bulk"
    return PressureResponse(powers, first, confidence, note)


def _power(rows: np.ndarray) -> tuple[float, float]:
    """Falling power and its deviation from weighted least squares of ln R over ln p; scatter widens it."""
    x, y, sd = rows.T
    weight = 1 / np.maximum(sd, 0.01) ** 2
    mean = float(np.average(x, weights=weight))
    spread = float(np.sum(weight * (x - mean) ** 2))
    level = float(np.average(y, weights=weight))
    slope = float(np.sum(weight * (x - mean) * (y - level)) / spread)
    scatter = float(np.sum(weight * (y - level - slope * (x - mean)) ** 2)) / max(1, x.size - 2)
    return -slope, math.sqrt(max(1.0, scatter) / spread)
