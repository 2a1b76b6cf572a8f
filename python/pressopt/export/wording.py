"""How numbers, units and settings are written for people: the same words in every export."""

from __future__ import annotations

import math
from collections.abc import Sequence

from pressopt.pressing.quantities import QUANTITIES
from pressopt.units import TF_KN

#: One bar in megapascal.
MPA_PER_BAR = 0.1
#: Ends of names and the unit that they mean; longer ends first.
_UNITS = (
    ("_mpa_s", "MPa/s"),
    ("_n_mm", "N/mm"),
    ("_mm_s", "mm/s"),
    ("_mpa", "MPa"),
    ("_kn", "kN"),
    ("_um", "µm"),
    ("_mm", "mm"),
    ("_s", "s"),
    ("_c", "°C"),
)
#: Names of settings as people say them; others are written as they are, with spaces.
_LABELS = {"ramp_mpa_s": "ramp", "dwell_s": "dwell", "line_force_n_mm": "line force"}


def number(value: float, digits: int = 3) -> str:
    """Return ``value`` with ``digits`` significant digits, plain where people read it so: 0.00123, 72, 12300."""
    if value == 0:
        return "0"
    if not math.isfinite(value):
        return str(value)
    exponent = math.floor(math.log10(abs(float(f"{value:.{digits - 1}e}"))))
    if not -4 <= exponent <= 5:
        return f"{value:.{digits - 1}e}"
    text = f"{value:.{max(0, digits - 1 - exponent)}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def with_sd(value: float, sd: float) -> str:
    """Return ``value ± sd``: two digits of the standard deviation, the value to the same place."""
    if not (math.isfinite(sd) and sd > 0):
        return number(value)
    places = max(0, 1 - math.floor(math.log10(float(f"{sd:.1e}"))))
    if places > 4:
        return f"{number(value)} ± {sd:.1e}"
    return f"{value:.{places}f} ± {sd:.{places}f}"


def interval(low: float, high: float, digits: int = 3) -> str:
    """Return ``low to high``."""
    return f"{number(low, digits)} to {number(high, digits)}"


def count(many: int, one: str, more: str = "") -> str:
    """Return ``1 cell``, ``2 cells``."""
    return f"{many} {one if many == 1 else more or one + 's'}"


def set_aside_sentence(trials: Sequence[int]) -> str:
    """Return which readings the model leaves out, and why."""
    several = len(trials) > 1
    named = " and ".join(filter(None, (", ".join(map(str, trials[:-1])), str(trials[-1]))))
    return (
        f"Read far worse than {'their' if several else 'its'} settings deserve, and left out as spoilt: "
        f"{'trials' if several else 'trial'} {named}."
    )


def duration(seconds: float) -> str:
    """Return a time as it is set on a timer: 45 s, 10 min, 12 min 30 s, 1 h 05 min."""
    if seconds < 60 or (seconds < 120 and seconds % 60):
        return f"{number(seconds)} s"
    whole = round(seconds)
    hours, rest = divmod(whole, 3600)
    minutes, left = divmod(rest, 60)
    if hours:
        minutes += left >= 30
        hours, minutes = (hours + 1, 0) if minutes == 60 else (hours, minutes)
        return f"{hours} h {minutes:02d} min" if minutes else f"{hours} h"
    return f"{minutes} min {left:02d} s" if left else f"{minutes} min"


def rough_duration(seconds: float) -> str:
    """Return the edge of a range of times: whole minutes from ten minutes on."""
    return duration(60.0 * round(seconds / 60) if seconds >= 600 else float(f"{seconds:.2g}"))


def frequency(value_hz: float) -> str:
    """Return a frequency as it stands on an analyser: 1 MHz, 10 kHz, 0.1 Hz."""
    for factor, unit in ((1e6, "MHz"), (1e3, "kHz")):
        if value_hz >= factor:
            return f"{number(value_hz / factor)} {unit}"
    return f"{number(value_hz)} Hz"


def unit_of(setting: str) -> str:
    """Return the unit that a setting's name ends in: ``lamination.pressure_mpa`` is in MPa; empty: none."""
    return next((unit for end, unit in _UNITS if setting.endswith(end)), "")


def split(setting: str) -> tuple[str, str]:
    """Return stage and variable of ``stage.variable``; the stage is empty where there is none."""
    stage, _, variable = setting.rpartition(".")
    return stage, variable


def label_of(setting: str) -> str:
    """Return a setting in words: ``lamination.pressure_mpa`` is 'lamination pressure'."""
    stage, variable = split(setting)
    end = next((end for end, _ in _UNITS if variable.endswith(end)), "")
    words = _LABELS.get(variable, variable.removesuffix(end).replace("_", " "))
    return f"{stage.replace('_', ' ').replace('-', ' ')} {words}".strip()


def setting(name: str, value: float | int | str, digits: int = 4) -> str:
    """Return the value of a setting with its unit; times as on a timer."""
    if isinstance(value, str):
        return value
    unit = unit_of(name)
    if unit == "s":
        return duration(value)
    return f"{number(value, digits)} {unit}".rstrip()


def quantity_label(name: str) -> str:
    """Return a quantity in words, without its unit."""
    known = QUANTITIES.get(name)
    return known.label if known else name.replace("_", " ")


def quantity_unit(name: str) -> str:
    """Return the unit of a quantity as people write it; empty: none."""
    known = QUANTITIES.get(name)
    return known.unit if known else ""


def quantity_value(name: str, value: float, digits: int = 3) -> str:
    """Return a value with the unit of its quantity."""
    return f"{number(value, digits)} {quantity_unit(name)}".rstrip()


def force_tf(force_kn: float) -> float:
    """Metric tons-force of a force in kN."""
    return force_kn / TF_KN


def oil_bar(force_kn: float, ram_area_cm2: float) -> float:
    """Oil pressure in bar at a ram of ``ram_area_cm2`` (cm²) that gives ``force_kn`` (kN)."""
    return force_kn * 10 / ram_area_cm2 / MPA_PER_BAR
