"""The qualities of a pressed interface that can be asked for, each with unit, scale and who can know it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal


class MeasuredBy(StrEnum):
    """Which kind of instrument can measure a quantity; ``NONE``: only the surrogate can say."""

    IMPEDANCE = "impedance"
    FOUR_WIRE = "four-wire"
    PRESS = "press"
    CYCLING = "cycling"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Quantity:
    """One quality of a pressed cell.

    Attributes:
        name: Its name in files and code, unit included.
        label: How people write it on an axis, without the unit.
        unit: Unit as people write it.
        better: The direction in which it improves.
        log: Whether errors are even on its logarithm (resistances, lives), so that models work there.
        measured_by: The kind of instrument that can measure it.
    """

    name: str
    label: str
    unit: str
    better: Literal["lower", "higher"]
    log: bool
    measured_by: MeasuredBy


QUANTITIES: dict[str, Quantity] = {
    quantity.name: quantity
    for quantity in (
        Quantity("interfacial_resistance_ohm_cm2", "interfacial resistance, one interface", "Ω cm²", "lower", True,
                 MeasuredBy.IMPEDANCE),
        Quantity("cell_resistance_ohm_cm2", "resistance of the whole cell", "Ω cm²", "lower", True,
                 MeasuredBy.IMPEDANCE),
        Quantity("contact_resistance_mohm_cm2", "electronic contact resistance", "mΩ cm²", "lower", True,
                 MeasuredBy.FOUR_WIRE),
        Quantity("critical_current_density_ma_cm2", "critical current density", "mA/cm²", "higher", True,
                 MeasuredBy.CYCLING),
        Quantity("cycle_life_cycles", "cycle life", "cycles", "higher", True, MeasuredBy.CYCLING),
        Quantity("hot_spot_factor", "hot-spot factor", "", "lower", True, MeasuredBy.NONE),
        Quantity("relative_density", "relative density of the electrolyte", "", "higher", False, MeasuredBy.NONE),
        Quantity("short_probability", "probability of a short", "", "lower", False, MeasuredBy.NONE),
        Quantity("crack_probability", "probability of a crack", "", "lower", False, MeasuredBy.NONE),
        Quantity("damage_probability", "probability that an earlier layer is damaged", "", "lower", False,
                 MeasuredBy.NONE),
        Quantity("extrusion_fraction", "share of the soft metal squeezed out", "", "lower", False,
                 MeasuredBy.NONE),
        Quantity("press_time_s", "time under the press", "s", "lower", True, MeasuredBy.PRESS),
    )
}  # fmt: skip
