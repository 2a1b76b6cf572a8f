"""The cell that is pressed: its layers from one end to the other, and its area."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum

from pressopt.errors import InputError, Violation
from pressopt.pressing.protocol import Die


class Role(StrEnum):
    """What a layer is for."""

    COLLECTOR = "collector"  # steel rod, copper foil
    ELECTRODE = "electrode"  # the soft metal
    INTERLAYER = "interlayer"  # thin protective layer between metal and electrolyte
    ELECTROLYTE = "electrolyte"  # the brittle separator
    COMPOSITE = "composite"  # active particles in electrolyte: the other electrode


@dataclass(frozen=True, slots=True)
class Layer:
    """One layer.

    Attributes:
        material: Name in the materials catalogue.
        role: What it is for.
        thickness_um: Thickness, µm.
        roughness_um: Rms roughness of its faces, µm; ``None``: the catalogue's.
        relative_density: 0 to 1, before the first stage; ``None``: dense (metal) or the catalogue's.
        powder: Whether the first stage compacts it from powder.
    """

    material: str
    role: Role
    thickness_um: float
    roughness_um: float | None = None
    relative_density: float | None = None
    powder: bool = False

    def __post_init__(self) -> None:
        wrong = []
        for name, value in (("thickness_um", self.thickness_um), ("roughness_um", self.roughness_um)):
            if value is not None and not (math.isfinite(value) and value > 0):
                wrong.append(Violation(name, f"{value} µm is not allowed: give a finite, positive number"))
        density = self.relative_density
        if density is not None and not 0 < density <= 1:
            wrong.append(Violation("relative_density", f"{density} is not allowed: give a number in (0, 1]"))
        if wrong:
            raise InputError(wrong)


@dataclass(frozen=True, slots=True)
class Cell:
    """Layers from the bottom up, and the area that carries current and force.

    Attributes:
        layers: At least two.
        die: The area over which the press works.
        electrode_diameter_mm: Diameter of the electrode, mm: the area to which resistance is normalised.
    """

    layers: tuple[Layer, ...]
    die: Die
    electrode_diameter_mm: float

    def __post_init__(self) -> None:
        wrong = []
        if len(self.layers) < 2:
            wrong.append(Violation("layers", f"{len(self.layers)} layers make no interface: give at least two"))
        if not (math.isfinite(self.electrode_diameter_mm) and self.electrode_diameter_mm > 0):
            wrong.append(
                Violation("electrode_diameter_mm", f"{self.electrode_diameter_mm} mm: give a positive number")
            )
        elif self.electrode_diameter_mm > self.die.diameter_mm * 1.001:
            wrong.append(
                Violation(
                    "electrode_diameter_mm",
                    f"{self.electrode_diameter_mm} mm does not fit the die of {self.die.diameter_mm} mm",
                )
            )
        if wrong:
            raise InputError(wrong)

    @property
    def area_cm2(self) -> float:
        """Area of the electrode, cm²."""
        return math.pi / 4 * self.electrode_diameter_mm**2 / 100

    @property
    def interfaces(self) -> int:
        """How many metal | electrolyte (or metal | interlayer) contacts the current crosses."""
        solid = {Role.ELECTROLYTE, Role.INTERLAYER}
        return sum(
            {below.role, above.role} & solid != set() and Role.ELECTRODE in {below.role, above.role}
            for below, above in zip(self.layers, self.layers[1:], strict=False)
        )
