"""Tables of published measurements: one point a row, units turned into those that are compared in."""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pressopt.errors import InputError, Violation

COLUMNS = (
    *("system", "electrode", "electrolyte", "quantity", "value", "unit", "pressure_MPa", "dwell_s"),
    *("temperature_C", "area_cm2", "stage", "source_doi", "where_in_source", "confidence"),
)
#: Columns that are taken as they stand.
WORDS = ("system", "electrode", "electrolyte", "quantity", "unit", "stage", "confidence")
#: Unit as written, the unit that we compare in, and the factor.
UNITS: Mapping[str, tuple[str, float]] = {
    **dict.fromkeys(("percent", "%"), ("share", 0.01)),
    **dict.fromkeys(("-", "", "1"), ("share", 1.0)),
    **dict.fromkeys(("ohm", "Ω", "Ohm"), ("ohm", 1.0)),
    **dict.fromkeys(("ohm cm2", "Ω cm²", "ohm cm^2", "Ohm cm2"), ("ohm cm2", 1.0)),
    "mohm cm2": ("ohm cm2", 1e-3),
    "kohm cm2": ("ohm cm2", 1e3),
    "mS/cm": ("mS/cm", 1.0),
    "S/cm": ("mS/cm", 1e3),
    "uS/cm": ("mS/cm", 1e-3),
    "mA/cm2": ("mA/cm2", 1.0),
    "uA/cm2": ("mA/cm2", 1e-3),
    "h": ("h", 1.0),
    "s": ("h", 1 / 3600),
    "min": ("h", 1 / 60),
    "days": ("h", 24.0),
    "MPa": ("MPa", 1.0),
    "GPa": ("MPa", 1e3),
    "kPa": ("MPa", 1e-3),
    "MPa m^0.5": ("MPa m^0.5", 1.0),
    "eV": ("eV", 1.0),
    "kJ/mol": ("eV", 0.010364),
    "1/s": ("1/s", 1.0),
    "F/cm2": ("F/cm2", 1.0),
    "uF/cm2": ("F/cm2", 1e-6),
    "cycles": ("cycles", 1.0),
}


@dataclass(frozen=True, slots=True)
class Point:
    """One published value.

    Attributes:
        row: Row of the file, the head being 1.
        system, electrode, electrolyte: As the table says.
        quantity: What was measured; ``_min`` at its end makes the value a lower bound.
        value: In ``unit``.
        pressure_mpa, dwell_s, temperature_c, area_cm2: NaN where not stated.
        stage: What was done, in words; pressures in it are understood (``after 25 MPa, released to 5 MPa``).
        source: Where it stands.
        confidence: How far it was followed back.
        role: ``calibration`` where it helped to choose values of the catalogue, else ``held out``.
    """

    row: int
    system: str
    electrode: str
    electrolyte: str
    quantity: str
    value: float
    unit: str
    pressure_mpa: float
    dwell_s: float
    temperature_c: float
    area_cm2: float
    stage: str
    source: str
    confidence: str
    role: str = "held out"

    @property
    def canonical(self) -> tuple[float, str]:
        """Value in the unit that we compare in, and that unit."""
        if self.unit not in UNITS:
            raise UnansweredError(f"unit {self.unit!r} is not known")
        unit, factor = UNITS[self.unit]
        return self.value * factor, unit

    @property
    def state(self) -> tuple[str, ...]:
        """What it is a value of: points of one state were measured more than once."""
        quantity = re.sub("_(min|low|high)$", "", self.quantity)
        numbers = re.findall(r"([\d.]+) MPa", self.stage)
        return (self.electrode, self.electrolyte, quantity, str(self.pressure_mpa), str(self.role), *numbers)

    def said(self, pattern: str) -> float:
        """A number that the stage names, or NaN."""
        found = re.search(pattern, self.stage)
        return float(next(filter(None, found.groups()))) if found else math.nan


class UnansweredError(Exception):
    """The surrogate has no answer to a point; the text says why."""


def read(path: Path) -> list[Point]:
    """Points of a CSV file with the columns :data:`COLUMNS` (and ``role``, where known), in their order.

    Raises:
        InputError: Columns that are missing, and every cell that should be a number and is none, with its row.
    """
    with Path(path).open(encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file)
        missing = [name for name in COLUMNS if name not in (reader.fieldnames or ())]
        if missing:
            raise InputError([Violation(name, "the table has no such column") for name in missing])
        rows = list(reader)
    wrong: list[Violation] = []

    def number(row: int, name: str, text: str, *, needed: bool = False) -> float:
        if not text.strip():
            if needed:
                wrong.append(Violation(f"row {row}, {name}", "is missing: give a number"))
            return math.nan
        try:
            found = float(text)
        except ValueError:
            found = math.nan
        if not math.isfinite(found):
            wrong.append(Violation(f"row {row}, {name}", f"{text!r} is not a finite number"))
        return found

    points = []
    for row, cells in enumerate(rows, 2):
        text = {name: (cells.get(name) or "").strip() for name in (*COLUMNS, "role")}
        source = ", ".join(filter(None, (text["source_doi"], text["where_in_source"])))
        points.append(
            Point(
                row=row,
                value=number(row, "value", text["value"], needed=True),
                pressure_mpa=number(row, "pressure_MPa", text["pressure_MPa"]),
                dwell_s=number(row, "dwell_s", text["dwell_s"]),
                temperature_c=number(row, "temperature_C", text["temperature_C"]),
                area_cm2=number(row, "area_cm2", text["area_cm2"]),
                source=source,
                role=text["role"] or "held out",
                **{name: text[name] for name in WORDS},
            )
        )
    if wrong:
        raise InputError(wrong, source=str(path))
    return points
