"""The six systems as the tests of the twin see them: a cell, what is searched, and protocols from settings."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pressopt.pressing import Cell, Die, Layer, PressingProtocol, Role, RollStage, Stage

Real = npt.NDArray[np.float64]
LI = Layer("Li", Role.ELECTRODE, 100.0)
NA = Layer("Na", Role.ELECTRODE, 100.0)


@dataclass(frozen=True)
class System:
    """A cell and a search: ``settings`` maps a name to (low, high, whether logarithmic)."""

    name: str
    cell: Cell
    settings: dict[str, tuple[float, float, bool]]
    build: Callable[..., PressingProtocol]
    quantity: str = "interfacial_resistance_ohm_cm2"
    rolled: bool = False

    def values(self, unit: Real) -> list[dict[str, float]]:
        """Settings from points of the unit cube, shape (N, number of settings)."""
        rows = []
        for point in unit:
            row = {}
            for (name, (low, high, log)), u in zip(self.settings.items(), point, strict=True):
                row[name] = float(low * (high / low) ** u if log else low + (high - low) * u)
            rows.append(row)
        return rows

    def protocols(self, unit: Real) -> list[PressingProtocol]:
        """Protocols from points of the unit cube."""
        return [self.build(**row) for row in self.values(unit)]


def symmetric(metal: Layer, *inner: Layer, die_mm: float) -> Cell:
    """A symmetric cell around ``inner``."""
    return Cell((metal, *inner, metal), Die(die_mm), die_mm)


def once(held_mpa: float) -> Callable[..., PressingProtocol]:
    def build(pressure: float, dwell: float, temperature: float) -> PressingProtocol:
        return PressingProtocol((Stage("press", pressure, 1.0, dwell, temperature),), held_mpa)

    return build


def _sodium(assembly: float, dwell: float, stack: float) -> PressingProtocol:
    stages = (Stage("assembly", assembly, 2.0, dwell, 25.0), Stage("stack", stack, 2.0, 60.0, 25.0))
    return PressingProtocol(stages, stack)


def _two_stage(formation: float, assembly: float, dwell: float) -> PressingProtocol:
    stages = (
        Stage("formation", formation, 5.0, 120.0, 25.0),
        Stage("assembly", min(assembly, formation), 1.0, dwell, 25.0),
    )
    return PressingProtocol(stages, 5.0)


def _roll(line_force: float, speed: float, passes: float, temperature: float) -> PressingProtocol:
    return PressingProtocol((RollStage("roll", line_force, speed, round(passes), temperature),), 0.0)


_DWELL = (10.0, 3600.0, True)
_OCL = Layer("Li3OCl", Role.INTERLAYER, 20.0)

SYSTEMS = {
    system.name: system
    for system in (
        System("lpscl", symmetric(LI, Layer("Li6PS5Cl", Role.ELECTROLYTE, 1000.0), die_mm=12.7),
               {"pressure": (1, 100, True), "dwell": _DWELL, "temperature": (25, 90, False)}, once(5.0)),
        System("llzo", symmetric(LI, Layer("LLZO", Role.ELECTROLYTE, 1000.0), die_mm=10.0),
               {"pressure": (1, 150, True), "dwell": _DWELL, "temperature": (25, 150, False)}, once(5.0)),
        System("li3ocl", symmetric(LI, _OCL, Layer("Li3InCl6", Role.ELECTROLYTE, 800.0), _OCL, die_mm=10.0),
               {"pressure": (25, 375, True), "dwell": _DWELL, "temperature": (25, 80, False)}, once(10.0)),
        System("sodium", symmetric(NA, Layer("Na3PS4", Role.ELECTROLYTE, 1000.0), die_mm=10.0),
               {"assembly": (20, 400, True), "dwell": _DWELL, "stack": (1, 100, True)}, _sodium),
        System("two-stage", symmetric(LI, Layer("Li6PS5Cl", Role.ELECTROLYTE, 1200.0, powder=True), die_mm=10.0),
               {"formation": (100, 500, True), "assembly": (5, 200, True), "dwell": _DWELL}, _two_stage),
        System("copper", Cell((Layer("Cu", Role.COLLECTOR, 10.0), LI), Die(12.0), 12.0),
               {"pressure": (0.5, 50, True), "dwell": _DWELL, "temperature": (25, 120, False)}, once(0.0),
               quantity="contact_resistance_mohm_cm2"),
        System("copper-roll", Cell((Layer("Cu", Role.COLLECTOR, 10.0), LI), Die(12.0), 12.0),
               {"line_force": (5, 200, True), "speed": (1, 50, True), "passes": (0.5, 5.5, False),
                "temperature": (25, 120, False)}, _roll,
               quantity="contact_resistance_mohm_cm2", rolled=True),
    )
}  # fmt: skip
