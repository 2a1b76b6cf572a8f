"""Published measurements that come with pressopt, each with its source."""

from __future__ import annotations

import csv
import math
from dataclasses import dataclass
from pathlib import Path

from pressopt.materials import Catalogue
from pressopt.pressing import Cell, Die, Layer, Role

#: The table: one row per published point.
PUBLISHED = Path(__file__).with_name("published.csv")
#: What the sources do not say of their pressing, and is taken instead (assumed).
DWELL_S, TEMPERATURE_C, RAMP_MPA_S = 60.0, 25.0, 1.0
#: The cell of the sources: foils of 0.5 mm on a pellet of 1 mm, half an inch wide (Doux et al. 2020).
FOIL_UM, PELLET_UM, DIAMETER_MM = 500.0, 1000.0, 12.7


@dataclass(frozen=True, slots=True)
class Point:
    """One published point.

    Attributes:
        label: What was done, in a few words.
        metal, electrolyte: Names in the catalogue.
        density: Relative density of the pellet; ``None``: not stated, or the result itself.
        pressures_mpa: Stages of pressing, in order.
        held_mpa: Pressure on the cell while it was measured, MPa.
        quantity: Name of the quantity, unit included.
        low, high: What was published, in its unit: equal for a value, infinite above for a lower bound.
        source: Author, journal, year, place.
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


def published_points() -> tuple[Point, ...]:
    """All points of the table; whole-cell resistances are per area, as everywhere in pressopt."""
    with PUBLISHED.open(encoding="utf-8", newline="") as file:
        return tuple(_point(row) for row in csv.DictReader(file))


def points_of(cell: Cell, catalogue: Catalogue) -> tuple[Point, ...]:
    """Points of the same metal on the same electrolyte."""

    def names(cell: Cell, role: Role) -> set[str]:
        return {catalogue[layer.material].name for layer in cell.layers if layer.role is role}

    wanted = names(cell, Role.ELECTRODE), names(cell, Role.ELECTROLYTE)
    return tuple(
        point
        for point in published_points()
        if ({catalogue[point.metal].name}, {catalogue[point.electrolyte].name}) == wanted
    )


def _point(row: dict[str, str]) -> Point:
    low, high = float(row["low"]), float(row["high"]) if row["high"] else math.inf
    quantity = row["quantity"]
    if quantity == "cell_ohm":
        area_cm2 = math.pi / 4 * DIAMETER_MM**2 / 100
        quantity, low, high = "cell_resistance_ohm_cm2", low * area_cm2, high * area_cm2
    return Point(
        label=row["label"],
        metal=row["metal"],
        electrolyte=row["electrolyte"],
        density=float(row["density"]) if row["density"] else None,
        pressures_mpa=tuple(float(row[name]) for name in ("formed_mpa", "pressed_mpa") if row[name]),
        held_mpa=float(row["held_mpa"]),
        quantity=quantity,
        low=low,
        high=high,
        source=row["source"],
    )
