"""Units in which machines count, in terms of the units of our names; plain factors, so that imports stay light."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class MachineUnit:
    """``value = machine * factor + offset``, in the unit of the dimension (kN, °C, mm, s, ...)."""

    dimension: str
    factor: float
    offset: float = 0.0


# Exact by definition: standard gravity 9.80665 m/s² (3rd CGPM, 1901), pound 0.45359237 kg and inch 25.4 mm
# (international yard and pound agreement, 1959); short ton 2000 lb, long ton 2240 lb.
_LBF_KN = 0.45359237 * 9.80665 / 1000
_PSI_MPA = _LBF_KN * 1000 / 25.4**2

UNITS: dict[str, MachineUnit] = {
    "kN": MachineUnit("force", 1.0),
    "N": MachineUnit("force", 1e-3),
    "tf": MachineUnit("force", 9.80665),
    "kgf": MachineUnit("force", 9.80665e-3),
    "ton_force_us": MachineUnit("force", 2000 * _LBF_KN),
    "ton_force_uk": MachineUnit("force", 2240 * _LBF_KN),
    "lbf": MachineUnit("force", _LBF_KN),
    "kN/s": MachineUnit("force rate", 1.0),
    "N/s": MachineUnit("force rate", 1e-3),
    "kN/min": MachineUnit("force rate", 1 / 60),
    "oil MPa": MachineUnit("oil pressure", 1.0),
    "oil bar": MachineUnit("oil pressure", 0.1),
    "oil psi": MachineUnit("oil pressure", _PSI_MPA),
    "degC": MachineUnit("temperature", 1.0),
    "degF": MachineUnit("temperature", 5 / 9, -160 / 9),
    "K": MachineUnit("temperature", 1.0, -273.15),
    "mm": MachineUnit("length", 1.0),
    "um": MachineUnit("length", 1e-3),
    "inch": MachineUnit("length", 25.4),
    "N/mm": MachineUnit("line force", 1.0),
    "kN/m": MachineUnit("line force", 1.0),
    "mm/s": MachineUnit("speed", 1.0),
    "m/min": MachineUnit("speed", 1000 / 60),
    "s": MachineUnit("time", 1.0),
    "1": MachineUnit("number", 1.0),
}

_ENDINGS = (
    ("_kn_s", "force rate"),
    ("_n_mm", "line force"),
    ("_mm_s", "speed"),
    ("_kn", "force"),
    ("_mm", "length"),
    ("_c", "temperature"),
    ("_s", "time"),
)


def dimension_of(name: str) -> str:
    """Dimension of a signal or action by the unit its name ends in; ``number`` when it ends in none."""
    return next((dimension for ending, dimension in _ENDINGS if name.endswith(ending)), "number")


def unit_problem(name: str, unit: str, *, has_ram: bool) -> str:
    """Say what is wrong with giving ``name`` in ``unit``; empty when nothing is."""
    wanted = dimension_of(name)
    if unit in ("t", "ton", "tons", "tonne"):
        return f"{unit!r} may be three: write tf (9.807 kN), ton_force_us (8.896 kN) or ton_force_uk (9.964 kN)"
    if unit in ("MPa", "bar", "psi"):
        return f"{unit!r} does not say where: write 'oil {unit}' for the oil under the ram, or give a force"
    if unit not in UNITS:
        return f"unit {unit!r} is not known: write one of {', '.join(fitting_units(wanted))}"
    found = UNITS[unit].dimension
    if found == "oil pressure" and wanted == "force":
        return (
            "" if has_ram else f"{unit!r} becomes force only with press.ram_diameter_mm: give it, or a force unit"
        )
    if found != wanted:
        return f"{unit!r} is a {found}, '{name}' is a {wanted}: write one of {', '.join(fitting_units(wanted))}"
    return ""


def fitting_units(dimension: str) -> list[str]:
    """Names of the units of ``dimension``."""
    also = ("oil pressure",) if dimension == "force" else ()
    return [name for name, unit in UNITS.items() if unit.dimension in (dimension, *also)]
