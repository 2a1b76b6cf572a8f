"""Cells and protocols that the surrogate's tests share."""

from __future__ import annotations

from collections.abc import Callable

from pressopt.pressing import Cell, Die, Layer, Role
from pressopt.surrogate import ProtocolTable


def symmetric(metal: str, electrolyte: str, *, diameter_mm: float = 12.7, density: float | None = None) -> Cell:
    """Metal | 1 mm electrolyte | metal, 0.5 mm foils, in a die of the same diameter."""
    foil = Layer(metal, Role.ELECTRODE, 500.0)
    pellet = Layer(electrolyte, Role.ELECTROLYTE, 1000.0, relative_density=density)
    return Cell((foil, pellet, foil), Die(diameter_mm), diameter_mm)


def two_stage() -> Cell:
    foil = Layer("Li", Role.ELECTRODE, 300.0)
    return Cell((foil, Layer("Li6PS5Cl", Role.ELECTROLYTE, 800.0, powder=True), foil), Die(13.0), 12.7)


def interlayer() -> Cell:
    layers = (
        Layer("Li", Role.ELECTRODE, 300.0),
        Layer("Li3OCl", Role.INTERLAYER, 20.0),
        Layer("Li3InCl6", Role.ELECTROLYTE, 800.0, relative_density=0.85),
        Layer("steel", Role.COLLECTOR, 1000.0),
    )
    return Cell(layers, Die(10.0), 10.0)


def laminate() -> Cell:
    return Cell((Layer("Cu", Role.COLLECTOR, 10.0), Layer("Li", Role.ELECTRODE, 50.0)), Die(40.0), 40.0)


def full_cell() -> Cell:
    """Steel | Li | Li6PS5Cl | NMC composite from powder | steel, made in one die."""
    layers = (
        Layer("steel", Role.COLLECTOR, 10_000.0),
        Layer("Li", Role.ELECTRODE, 300.0),
        Layer("Li6PS5Cl", Role.ELECTROLYTE, 800.0, powder=True),
        Layer("NMC-Li6PS5Cl", Role.COMPOSITE, 80.0, powder=True),
        Layer("steel", Role.COLLECTOR, 10_000.0),
    )
    return Cell(layers, Die(13.0), 13.0)


CELLS: dict[str, Callable[[], Cell]] = {
    "Li|LPSCl": lambda: symmetric("Li", "Li6PS5Cl", density=0.82),
    "Li|LLZO": lambda: symmetric("Li", "LLZO"),
    "Li|Li3YCl6": lambda: symmetric("Li", "Li3YCl6"),
    "In|Li3PS4": lambda: symmetric("In", "Li3PS4"),
    "Na|Na3PS4": lambda: symmetric("Na", "Na3PS4"),
    "Na|NASICON": lambda: symmetric("Na", "NASICON"),
    "Na|beta": lambda: symmetric("Na", "beta''-alumina"),
    "two-stage": two_stage,
    "interlayer": interlayer,
    "full": full_cell,
    "laminate": laminate,
}


def pressed(pressure_mpa: object, **settings: object) -> ProtocolTable:
    """Platen protocols: 60 s at 25 °C, 1 MPa/s, released to 5 MPa, unless said otherwise."""
    usual: dict[str, object] = {"ramp_mpa_s": 1.0, "dwell_s": 60.0, "temperature_c": 25.0, "measure_at_mpa": 5.0}
    return ProtocolTable.platen(pressure_mpa=pressure_mpa, **{**usual, **settings})  # type: ignore[arg-type]
