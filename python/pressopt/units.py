"""Quantities with units, at the border only: inside, names carry the unit (``_mpa``, ``_c``, ``_s``).

The units of a press laboratory are a table here, each checked against pint in the tests, so that reading a file
costs no import; what the table does not hold is asked from pint. A bare "ton" is refused: the metric, the US and
the UK ton differ by 12 %, which is the difference between a pressed and a cracked pellet.

    quantity          inside    suffix of names
    pressure          MPa       _mpa
    force             kN        _kn
    time              s         _s
    temperature       °C        _c
    length            mm, µm    _mm, _um
    rate of pressure  MPa/s     _mpa_s
    rate of force     kN/s      _kn_s
    line force        N/mm      _n_mm
    speed             mm/s      _mm_s
    frequency         Hz        _hz
    voltage           mV, V     _mv, _v
"""

from __future__ import annotations

import difflib
import math
import re
from functools import lru_cache
from typing import Any

from pressopt.errors import UnitError, Violation

#: Standard gravity, m/s² (exact): 3rd CGPM (1901).
_GRAVITY = 9.80665
#: International pound in kg (exact): National Bureau of Standards, Federal Register 24 (1959) 5348.
_POUND_KG = 0.45359237
#: Inch in mm (exact): the same agreement of 1959.
_INCH_MM = 25.4
#: Pound-force in kN, and pound-force per square inch in MPa.
_LBF_KN = _POUND_KG * _GRAVITY / 1000
_PSI_MPA = _LBF_KN * 1000 / _INCH_MM**2
#: Metric ton-force (1000 kg under standard gravity); US (short, 2000 lb) and UK (long, 2240 lb) ton-force, kN.
TF_KN = _GRAVITY
US_TONF_KN = 2000 * _LBF_KN
UK_TONF_KN = 2240 * _LBF_KN

#: Spelling to factor into the unit used inside; temperatures stand apart because they have an offset.
_TABLE: dict[str, dict[str, float]] = {
    "MPa": {
        "MPa": 1.0, "GPa": 1e3, "kPa": 1e-3, "Pa": 1e-6, "bar": 0.1, "mbar": 1e-4, "atm": 0.101325,
        "psi": _PSI_MPA, "ksi": 1000 * _PSI_MPA, "N/mm2": 1.0, "kgf/cm2": _GRAVITY / 100, "tf/cm2": _GRAVITY * 10,
    },
    "kN": {
        "kN": 1.0, "N": 1e-3, "MN": 1e3, "tf": TF_KN, "kgf": _GRAVITY / 1000, "lbf": _LBF_KN,
        "US tonf": US_TONF_KN, "UK tonf": UK_TONF_KN,
    },
    "s": {
        "s": 1.0, "sec": 1.0, "ms": 1e-3, "min": 60.0, "h": 3600.0, "hr": 3600.0, "d": 86400.0,
        "second": 1.0, "seconds": 1.0, "minute": 60.0, "minutes": 60.0, "hour": 3600.0, "hours": 3600.0,
        "day": 86400.0, "days": 86400.0,
    },
    "mm": {"mm": 1.0, "cm": 10.0, "m": 1e3, "um": 1e-3, "µm": 1e-3, "nm": 1e-6, "in": _INCH_MM, "inch": _INCH_MM},
    "MPa/s": {
        "MPa/s": 1.0, "MPa/min": 1 / 60, "kPa/s": 1e-3, "bar/s": 0.1, "bar/min": 0.1 / 60, "psi/s": _PSI_MPA,
    },
    "kN/s": {
        "kN/s": 1.0, "kN/min": 1 / 60, "N/s": 1e-3, "N/min": 1e-3 / 60, "tf/s": TF_KN, "tf/min": TF_KN / 60,
    },
    "N/mm": {"N/mm": 1.0, "kN/m": 1.0, "N/cm": 0.1, "N/m": 1e-3, "kN/cm": 100.0, "kgf/cm": _GRAVITY / 10},
    "mm/s": {"mm/s": 1.0, "mm/min": 1 / 60, "cm/s": 10.0, "cm/min": 1 / 6, "m/s": 1e3, "m/min": 1000 / 60},
    "Hz": {"Hz": 1.0, "mHz": 1e-3, "kHz": 1e3, "MHz": 1e6},
    "mV": {"mV": 1.0, "V": 1e3, "uV": 1e-3, "µV": 1e-3},
}  # fmt: skip
_TABLE["µm"] = {spelling: factor * 1e3 for spelling, factor in _TABLE["mm"].items()}
_TABLE["V"] = {spelling: factor / 1e3 for spelling, factor in _TABLE["mV"].items()}
#: Spelling to (offset, factor): °C = (value - offset) * factor.
_TEMPERATURES = {
    "°C": (0.0, 1.0), "C": (0.0, 1.0), "degC": (0.0, 1.0), "K": (273.15, 1.0),
    "°F": (32.0, 5 / 9), "F": (32.0, 5 / 9), "degF": (32.0, 5 / 9),
}  # fmt: skip

#: What each unit used inside measures, in words and by an example, and the suffix of names that carry it.
_KINDS: dict[str, tuple[str, str, str]] = {
    "MPa": ("a pressure", "25 MPa", "_mpa"),
    "kN": ("a force", "1.5 tf", "_kn"),
    "s": ("a time", "10 min", "_s"),
    "°C": ("a temperature", "60 °C", "_c"),
    "mm": ("a length", "12.7 mm", "_mm"),
    "µm": ("a length", "100 µm", "_um"),
    "MPa/s": ("a rate of pressure", "1 MPa/s", "_mpa_s"),
    "kN/s": ("a rate of force", "0.1 kN/s", "_kn_s"),
    "N/mm": ("a line force", "50 N/mm", "_n_mm"),
    "mm/s": ("a speed", "10 mm/s", "_mm_s"),
    "Hz": ("a frequency", "1 MHz", "_hz"),
    "mV": ("a voltage", "10 mV", "_mv"),
    "V": ("a voltage", "0.1 V", "_v"),
}

_NUMBER = re.compile(r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?")
_TON = re.compile(r"(?<![A-Za-z])(?:t|T|to|To|ton|tons|Ton|Tons|TON|TONS|tonne|tonnes|tonf|tonsf)(?![A-Za-z])")
#: Other spellings of the two tons that say which one they are.
_NAMED_TONS = {
    "US tonf": re.compile(r"(?i)(?:us|short)[ _]tonf?|tonf?_us"),
    "UK tonf": re.compile(r"(?i)(?:uk|long|imperial)[ _]tonf?|tonf?_uk"),
}


def suffix(unit: str) -> str:
    """What the name of a value in ``unit`` ends with: ``_mpa`` for ``MPa``."""
    return _KINDS[unit][2]


def kind_of_quantity(unit: str) -> tuple[str, str]:
    """What ``unit`` measures, in words, and an example: ``("a pressure", "25 MPa")``."""
    words, example, _ = _KINDS[unit]
    return words, example


def parse_quantity(text: str | float, unit: str, *, key: str, difference: bool = False) -> float:
    """Read a quantity into the unit used inside.

    Args:
        text: Text with a unit (``"25 MPa"``, ``"1.5 tf"``), or a plain number when ``key`` carries the unit.
        unit: The unit used inside: one of the table at the head of this module.
        key: The key it stands under; ``pressure_mpa`` carries MPa.
        difference: Whether it is a difference (a step), for which 1 K is 1 °C.

    Returns:
        The value in ``unit``, finite.

    Raises:
        UnitError: No unit, an unknown or ambiguous one, the wrong kind, or no finite number.
    """
    carries = key.rsplit(".", 1)[-1].endswith(suffix(unit))
    if isinstance(text, bool) or not isinstance(text, (str, int, float)):
        raise _refused(key, f"{_shown(text)} is not {_KINDS[unit][0]}: {_way_out(unit, carries=carries)}")
    if not isinstance(text, str):
        if not math.isfinite(text):
            raise _refused(key, f"{text} is not a finite number: {_way_out(unit, carries=carries)}")
        if not carries:
            raise _refused(key, f"{text:g} has no unit: {_way_out(unit, carries=False, number=float(text))}")
        return float(text)
    value, spelling = _split(text, unit, key, carries=carries)
    if not spelling:
        if carries:
            return value
        raise _refused(key, f'"{text}" has no unit: {_way_out(unit, carries=False, number=value)}')
    converted = _convert(value, spelling, unit, key, text)
    if difference and unit == "°C":
        converted -= _convert(0.0, spelling, unit, key, text)
    if carries and converted != value:
        raise _refused(
            key, f'"{text}" contradicts the unit in the key, {unit}: give a number in {unit}, or drop the suffix'
        )
    if not math.isfinite(converted):
        raise _refused(key, f'"{text}" is not a finite number of {unit}: {_way_out(unit, carries=carries)}')
    return converted


def measures(text: str, unit: str) -> bool:
    """Whether ``text`` is a quantity of the kind that ``unit`` measures: ``measures("1 kN/s", "kN/s")``."""
    try:
        parse_quantity(text, unit, key="")
    except UnitError:
        return False
    return True


def format_quantity(value: float, unit: str, *, digits: int | None = None) -> str:
    """Write a value with its unit: exactly (it reads back to the same bits), or rounded to ``digits``.

    Args:
        value: In ``unit``.
        unit: One of the units used inside.
        digits: Significant digits; ``None`` for all that are needed.
    """
    if digits is None:
        number = repr(float(value)).removesuffix(".0")
    else:
        number = f"{value:.{digits}g}"
        if "e" in number and 1e-4 <= abs(value) < 1e7:
            number = f"{float(number):.0f}"
    return f"{number} {unit}"


def spellings(unit: str) -> tuple[str, ...]:
    """The spellings of units that :func:`parse_quantity` reads into ``unit`` without asking pint."""
    return tuple(_TEMPERATURES) if unit == "°C" else tuple(_TABLE[unit])


def _split(text: str, unit: str, key: str, *, carries: bool) -> tuple[float, str]:
    """Number and spelling of the unit, the latter with plain signs for ², µ and minus."""
    plain = text.strip().replace("\N{MINUS SIGN}", "-").replace("\N{GREEK SMALL LETTER MU}", "µ")
    found = _NUMBER.match(plain)
    if found is None:
        if re.match(r"(?i)[+-]?(inf|nan)", plain):
            raise _refused(key, f'"{text}" is not a finite number: {_way_out(unit, carries=carries)}')
        raise _refused(key, f'"{text}" does not begin with a number: {_way_out(unit, carries=carries)}')
    rest = plain[found.end() :]
    if re.match(r",\d", rest):
        raise _refused(key, f'"{text}" has a decimal comma: write a point, as in "{_KINDS[unit][1]}"')
    spelling = rest.strip().replace("²", "2").replace("^2", "2").replace("**2", "2").replace("℃", "°C")
    return float(found[0]), spelling


def _convert(value: float, spelling: str, unit: str, key: str, text: str) -> float:
    """``value`` in ``spelling``, in ``unit``."""
    if unit == "°C":
        if spelling in _TEMPERATURES:
            offset, factor = _TEMPERATURES[spelling]
            return (value - offset) * factor
    elif spelling in _TABLE[unit]:
        return value * _TABLE[unit][spelling]
    for named, pattern in _NAMED_TONS.items():
        if unit == "kN" and pattern.fullmatch(spelling):
            return value * _TABLE["kN"][named]
    if _TON.search(spelling):
        raise _refused(key, _three_tons(value, spelling, text))
    return _ask_pint(value, spelling, unit, key, text)


def _three_tons(value: float, spelling: str, text: str) -> str:
    if _TON.fullmatch(spelling):
        number = f"{value:g}"
        return (
            f'"{text}" can mean three forces: write "{number} tf" for metric ({value * TF_KN:.4g} kN), '
            f'"{number} US tonf" for US short ({value * US_TONF_KN:.4g} kN) or '
            f'"{number} UK tonf" for UK long ({value * UK_TONF_KN:.4g} kN)'
        )
    return (
        f'"{text}" does not say which ton: tf is {TF_KN:.4g} kN (metric), US tonf {US_TONF_KN:.4g} kN, '
        f"UK tonf {UK_TONF_KN:.4g} kN"
    )


def _ask_pint(value: float, spelling: str, unit: str, key: str, text: str) -> float:
    """What the table does not hold, pint may know."""
    example = f'write it like "{_KINDS[unit][1]}"'
    registry = _registry()
    # Only a unit may stand here: pint would also work out "2 * 3 MPa".
    if not re.fullmatch(r"[A-Za-zµ°Ωμ]+(?:[ */^()A-Za-zµ°Ω-]|\d)*", spelling):
        raise _refused(key, f'"{text}" is no number with a unit: {example}')
    try:
        parsed = registry.parse_units(re.sub(r"(?<=[A-Za-z])(\d)", r"**\1", spelling))
    except Exception:  # noqa: BLE001 - pint passes on its own, Python's and its tokenizer's errors
        hint = _near(spelling, unit)
        raise _refused(key, f'unit "{spelling}" is not known: {hint or example}') from None
    wanted = registry.parse_units(_PINT.get(unit, unit))
    if parsed.dimensionality != wanted.dimensionality:
        raise _refused(key, f'"{text}" is not {_KINDS[unit][0]}: {_other_kind(value, spelling, unit) or example}')
    try:
        converted: float = registry.Quantity(value, parsed).to(wanted).magnitude
    except Exception:  # noqa: BLE001 - an offset or logarithmic unit where none makes sense
        raise _refused(key, f'"{text}" cannot be converted to {unit}: {example}') from None
    return float(converted)


_PINT = {"°C": "degC", "µm": "micrometer"}


@lru_cache(maxsize=1)
def _registry() -> Any:
    import pint

    return pint.UnitRegistry()


def _near(spelling: str, unit: str) -> str:
    known = spellings(unit)
    same = [k for k in known if k.lower() == spelling.lower()]
    close = same or difflib.get_close_matches(spelling, known, n=1)
    return f'did you mean "{close[0]}"?' if close else ""


def _other_kind(value: float, spelling: str, unit: str) -> str:
    """What a person probably meant by a unit of another kind."""
    if unit == "s" and spelling == "m":
        return f'm is a metre, write "{value:g} min"'
    if unit == "kN" and spelling in {"kg", "g", "lb", "lbs"}:
        return f'{spelling} is a mass, write "{value:g} {"lbf" if spelling in {"lb", "lbs"} else "kgf"}"'
    for other, factors in _TABLE.items():
        if other not in {unit, "µm", "V"} and spelling in factors:
            return f'it is {_KINDS[other][0]}, write {_KINDS[unit][0]} like "{_KINDS[unit][1]}"'
    return ""


def _way_out(unit: str, *, carries: bool, number: float | None = None) -> str:
    if carries:
        return f"give a number in {unit}"
    if number is not None:
        # The bare number says nothing about the unit, so the example is only one of the possible meanings.
        return f'write "{number:g} {unit}" if you mean {unit}, or name the key with {suffix(unit)}'
    return f'write it like "{_KINDS[unit][1]}"'


def _shown(value: object) -> str:
    text = repr(value)
    return {"True": "true", "False": "false"}.get(text, text if len(text) <= 40 else text[:37] + "...")


def _refused(key: str, message: str) -> UnitError:
    return UnitError((Violation(key, message),))
