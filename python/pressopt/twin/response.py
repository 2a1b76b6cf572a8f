"""What an instrument sees of a cell: its impedance and its direct-current resistance in the present state."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pressopt.pressing import Cell, Role
from pressopt.twin.laws import CellState, Real, resistances
from pressopt.twin.population import HiddenCell, contacts, laminated

Complex = npt.NDArray[np.complex128]

RELAXATION = 0.03
"""Share by which contact is still worse right after a change of pressure (assumed)."""

RELAXATION_S = 240.0
"""Time constant with which it settles, s (assumed)."""

_GEOMETRIC_F_CM = 1.06e-12  # permittivity of vacuum times 12
_BOUNDARY_F_CM2 = (
    2e-9  # grain boundaries of a millimetre pellet (Irvine, Adv. Mater. 2 (1990) 132: 1e-11 to 1e-8 F)
)
_BLOCKING_F_CM2 = 8e-6  # double layer on a collector that blocks ions
_CHEMICAL_S = 6e-3
_OPEN_FARAD = 8e-12  # a fixture without a cell


@dataclass(frozen=True, slots=True)
class Condition:
    """What has happened to a cell that no resistance law describes."""

    shorted: bool
    cracked: bool
    damaged: bool
    open: bool
    spoilt: str

    @property
    def failures(self) -> tuple[str, ...]:
        """``short``, ``crack``, ``damage``, ``open``: what a person would find on taking the cell apart."""
        found = {"short": self.shorted, "crack": self.cracked, "damage": self.damaged, "open": self.open}
        return tuple(name for name, there in found.items() if there)


def condition(cell: HiddenCell, state: CellState) -> Condition:
    """Compare how far the cell was driven with what it could bear."""
    crack = float(state.drive_crack[0, 0])
    cracked = crack > cell.crack_at
    broken = crack > 2.0 * cell.crack_at
    shorted = float(state.drive_short[0, 0]) > cell.short_at or (cracked and cell.crack_shorts and not broken)
    return Condition(
        shorted=shorted,
        cracked=cracked,
        damaged=float(state.drive_damage[0, 0]) > cell.damage_at,
        open=broken or not state.metal,
        spoilt=cell.spoilt,
    )


@dataclass(frozen=True, slots=True)
class Circuit:
    """One cell in one state as resistors and capacitors; resistances in Ω of this cell, times in s.

    Attributes:
        bulk_ohm, bulk_s: Grain interior, its arc far above the band.
        boundary_ohm, boundary_s: Grain boundaries and interlayer.
        interface_ohm, interface_s: One entry for each interface.
        chemical_ohm: Slow chemical arc.
        short_ohm: A soft short beside the whole cell; infinite without one.
        blocking_f: Double layer of a blocking end; infinite without one.
        open: Whether no current flows through at all.
    """

    bulk_ohm: float
    bulk_s: float
    boundary_ohm: float
    boundary_s: float
    interface_ohm: tuple[float, ...]
    interface_s: float
    chemical_ohm: float
    short_ohm: float
    blocking_f: float
    open: bool

    def impedance_ohm(self, frequency_hz: Real, *, inductance_h: float, lead_ohm: float) -> Complex:
        """Shape (n,), Ω, without noise."""
        omega = 2j * math.pi * np.asarray(frequency_hz, dtype=np.float64)
        leads = lead_ohm + omega * inductance_h
        if self.open:
            return np.asarray(leads + 1 / (omega * _OPEN_FARAD + 1e-10))
        inner = self.bulk_ohm / (1 + omega * self.bulk_s)
        inner = inner + self.boundary_ohm / (1 + (omega * self.boundary_s) ** 0.92)
        for ohm in self.interface_ohm:
            inner = inner + ohm / (1 + (omega * self.interface_s) ** 0.88)
        inner = inner + self.chemical_ohm / (1 + (omega * _CHEMICAL_S) ** 0.8)
        if math.isfinite(self.blocking_f):
            inner = inner + 1 / (omega**0.93 * self.blocking_f)
        if math.isfinite(self.short_ohm):
            inner = 1 / (1 / inner + 1 / self.short_ohm)
        return np.asarray(leads + inner)

    @property
    def direct_ohm(self) -> float:
        """What a direct current meets, Ω."""
        if self.open or (math.isfinite(self.blocking_f) and not math.isfinite(self.short_ohm)):
            return math.inf
        inner = self.bulk_ohm + self.boundary_ohm + sum(self.interface_ohm) + self.chemical_ohm
        return 1 / (1 / inner + 1 / self.short_ohm) if math.isfinite(self.short_ohm) else inner


def blocking(cell: Cell) -> bool:
    """Whether ions are blocked at one end: a collector, or nothing, where no metal is."""
    if laminated(cell):
        return False
    solids = [k for k, layer in enumerate(cell.layers) if layer.role in {Role.ELECTROLYTE, Role.INTERLAYER}]
    metals = [k for k, layer in enumerate(cell.layers) if layer.role is Role.ELECTRODE]
    return not (min(metals) < min(solids) and max(metals) > max(solids))


def circuit(
    cell: Cell, hidden: HiddenCell, state: CellState, *, pressure_mpa: float, temperature_c: float, since_s: float
) -> Circuit:
    """The circuit of one cell under ``pressure_mpa`` (true, on the sample) and ``temperature_c`` (platens).

    Args:
        cell: Its layers and area.
        hidden: What is hidden in it.
        state: What was done to it; one cell.
        pressure_mpa: Present pressure, MPa.
        temperature_c: Present temperature of the platens, °C.
        since_s: Time since the pressure last changed, s.
    """
    found = condition(hidden, state)
    parts = resistances(hidden.law, state, np.array([[pressure_mpa]]), np.array([[temperature_c]]))
    bulk, boundary = float(parts.bulk[0, 0]), float(parts.boundary[0, 0])
    interface, chemical = float(parts.interface[0, 0]), float(parts.chemical[0, 0])
    interface *= 1 + RELAXATION * math.exp(-max(since_s, 0.0) / RELAXATION_S)
    if found.cracked:
        bulk *= hidden.crack_gain
        interface *= 1 + 0.5 * (hidden.crack_gain - 1)
    if found.damaged:
        bulk *= 1.25
        interface *= 1.2
    area_cm2 = cell.area_cm2 * (0.55 if found.spoilt == "shifted" else 1.0)
    count = contacts(cell)
    spread = [1.0] * count
    if count > 1:
        spread[0], spread[-1] = 1 + hidden.asymmetry, 1 - hidden.asymmetry
    law = hidden.law
    pellet_cm = law.pellet_cm if not laminated(cell) else 1.0
    contact_share = float(parts.contact[0, 0])
    metallic = laminated(cell)
    return Circuit(
        bulk_ohm=0.0 if metallic else bulk / area_cm2,
        bulk_s=bulk * _GEOMETRIC_F_CM / pellet_cm,
        boundary_ohm=0.0 if metallic else boundary / area_cm2,
        boundary_s=boundary * _BOUNDARY_F_CM2,
        interface_ohm=tuple(interface * part / area_cm2 for part in spread),
        interface_s=1e-12 if metallic else interface * law.capacitance_f_cm2 * contact_share,
        chemical_ohm=0.0 if metallic else count * chemical / area_cm2,
        short_ohm=hidden.short_ohm if found.shorted else math.inf,
        blocking_f=_BLOCKING_F_CM2 * area_cm2 if blocking(cell) else math.inf,
        open=found.open,
    )
