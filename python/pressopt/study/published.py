"""Published measurements that come with pressopt, as cells that were pressed: for maps and for calibration.

The table holds what its sources state, a measurement a row; :mod:`pressopt.surrogate.published` reads it and
compares it with the surrogate. Here each row that tells of a cell or a formed pellet becomes a :class:`Point`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pressopt.materials import Catalogue, Material
from pressopt.pressing import Cell, Die, Layer, Role
from pressopt.surrogate.published import Point as Row
from pressopt.surrogate.published import read

#: The table: one row per published measurement.
PUBLISHED = Path(__file__).with_name("published.csv")
#: What the sources do not say of their pressing, and is taken instead (assumed).
DWELL_S, TEMPERATURE_C, RAMP_MPA_S = 60.0, 25.0, 1.0
#: The cell of the sources: foils of 0.5 mm on a pellet of 1 mm, half an inch wide (Doux et al. 2020).
FOIL_UM, PELLET_UM, DIAMETER_MM = 500.0, 1000.0, 12.7
#: Pressure that closed a contact before service where the source names only that in service, by whether the
#: electrolyte is sintered; and the pressure of cells that never came to service, MPa (assumed).
CLOSED_MPA, SERVICE_MPA = {True: 100.0, False: 25.0}, 5.0

#: Names of quantities in the table, and here. Of stripping and plating the lower limit is the critical one.
_QUANTITIES = {
    "cell_impedance": "cell_resistance_ohm_cm2",
    "r_int": "interfacial_resistance_ohm_cm2",
    "critical_stripping_current": "critical_current_density_ma_cm2",
    "cycle_life": "cycle_life_cycles",
    "relative_density": "relative_density",
}
#: Those of cells in service, which were pressed harder before.
_IN_SERVICE = {"critical_stripping_current", "cycle_life"}


@dataclass(frozen=True, slots=True)
class Point:
    """One published point.

    Attributes:
        label: What was done, in a few words.
        metal, electrolyte: Names in the catalogue; a pellet alone has no metal of its own and is given lithium.
        density: Relative density of the pellet; ``None``: sintered, or the result itself.
        pressures_mpa: Stages of pressing, in order.
        held_mpa: Pressure on the cell while it was measured, MPa.
        quantity: Name of the quantity, unit included.
        low, high: What was published, in its unit: equal for a value, infinite above for a lower bound.
        source: Where it stands.
    """

    label: str
    metal: str
    electrolyte: str
    density: float | None
    pressures_mpa: tuple[float, ...]
    held_mpa: float
    quantity: str
    low: float
    high: float
    source: str

    @property
    def formed(self) -> bool:
        """Whether the pellet was formed from powder in a stage of its own."""
        return len(self.pressures_mpa) > 1

    @property
    def value(self) -> float:
        """One number for it: the geometric middle of a range, the bound where only that is known."""
        return math.sqrt(self.low * self.high) if self.high < math.inf else self.low

    def cell(self) -> Cell:
        """The cell that was measured."""
        foil = Layer(self.metal, Role.ELECTRODE, FOIL_UM)
        pellet = Layer(
            self.electrolyte, Role.ELECTROLYTE, PELLET_UM, relative_density=self.density, powder=self.formed
        )
        return Cell((foil, pellet, foil), Die(DIAMETER_MM), DIAMETER_MM)


def published_points(catalogue: Catalogue) -> tuple[Point, ...]:
    """All rows that tell of a cell or pellet of the catalogue's materials at a stated pressure."""
    return tuple(point for row in read(PUBLISHED) for point in _points(row, catalogue))


def points_of(cell: Cell, catalogue: Catalogue) -> tuple[Point, ...]:
    """Points of the same metal on the same electrolyte."""

    def names(role: Role) -> set[str]:
        return {catalogue[layer.material].name for layer in cell.layers if layer.role is role}

    wanted = names(Role.ELECTRODE), names(Role.ELECTROLYTE)
    return tuple(point for point in published_points(catalogue) if ({point.metal}, {point.electrolyte}) == wanted)


def _points(row: Row, catalogue: Catalogue) -> Iterator[Point]:
    name = row.quantity.removesuffix("_min")
    shorted = name == "time_to_short" and row.value == 0
    metal, electrolyte = _material(row.electrode or "Li", catalogue), _material(row.electrolyte, catalogue)
    if metal is None or electrolyte is None or math.isnan(row.pressure_mpa):
        return
    if not shorted and name not in _QUANTITIES:
        return
    formed = name == "relative_density"
    low, _ = row.canonical
    if name == "cell_impedance":
        low *= row.area_cm2
    first = row.said(r"after ([\d.]+) MPa")
    if math.isnan(first):
        first = max(CLOSED_MPA[electrolyte.sintered] if name in _IN_SERVICE else 0.0, row.pressure_mpa)
    held = SERVICE_MPA if shorted or formed else row.pressure_mpa
    yield Point(
        label=f"{row.stage or name.replace('_', ' ')}, {row.pressure_mpa:g} MPa",
        metal=metal.name,
        electrolyte=electrolyte.name,
        density=None if formed or electrolyte.sintered else electrolyte["relative_density"].value,
        pressures_mpa=(row.pressure_mpa, SERVICE_MPA) if formed else (first,),
        held_mpa=held,
        quantity="short_probability" if shorted else _QUANTITIES[name],
        low=0.5 if shorted else low,
        high=1.0 if shorted else math.inf if row.quantity.endswith("_min") else low,
        source=row.source,
    )


def _material(text: str, catalogue: Catalogue) -> Material | None:
    """The material of exactly this name; ``Li 12.7 mm disc`` is one, a mixture or a relative is none."""
    name = re.sub(r" [\d.]+ mm disc$", "", text)
    if name not in catalogue:
        return None
    return catalogue[name]
