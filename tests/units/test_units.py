"""Quantities with units: read, refused and written."""

from __future__ import annotations

import contextlib
import math
from itertools import chain
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pressopt.errors import UnitError
from pressopt.units import (
    TF_KN,
    UK_TONF_KN,
    US_TONF_KN,
    format_quantity,
    kind_of_quantity,
    measures,
    parse_quantity,
    spellings,
    suffix,
)

UNITS = ["MPa", "kN", "s", "°C", "mm", "µm", "MPa/s", "kN/s", "N/mm", "mm/s", "Hz", "mV", "V"]


@pytest.mark.parametrize(
    ("text", "unit", "value"),
    [
        ("25 MPa", "MPa", 25.0),
        ("25MPa", "MPa", 25.0),
        ("  2.5e1   MPa ", "MPa", 25.0),
        ("250 bar", "MPa", 25.0),
        ("0.3 GPa", "MPa", 300.0),
        ("80 kPa", "MPa", 0.08),
        ("25 N/mm²", "MPa", 25.0),
        ("25 N/mm^2", "MPa", 25.0),
        ("1000 psi", "MPa", 6.894757293168361),
        ("1.5 tf", "kN", 14.709975),
        ("1.5 US tonf", "kN", 13.3446648),
        ("1.5 short ton", "kN", 13.3446648),
        ("1.5 tonf_uk", "kN", 14.9460246),
        ("1.5 long ton", "kN", 14.9460246),
        ("500 kgf", "kN", 4.903325),
        ("10 min", "s", 600.0),
        ("2 hours", "s", 7200.0),
        ("60 °C", "°C", 60.0),
        ("60 C", "°C", 60.0),
        ("−5 °C", "°C", -5.0),
        ("300 K", "°C", 26.85),
        ("140 degF", "°C", 60.0),
        ("12.7 mm", "mm", 12.7),
        ("0.5 in", "mm", 12.7),
        ("100 µm", "µm", 100.0),
        ("100 μm", "µm", 100.0),
        ("1 mm", "µm", 1000.0),
        ("6 MPa/min", "MPa/s", 0.1),
        ("0.1 kN/s", "kN/s", 0.1),
        ("50 kN/m", "N/mm", 50.0),
        ("1 m/min", "mm/s", 1000 / 60),
        ("1 MHz", "Hz", 1e6),
        ("1 mHz", "Hz", 1e-3),
        ("0.01 V", "mV", 10.0),
        ("100 mV", "V", 0.1),
    ],
)
def test_what_a_laboratory_writes_is_read(text: str, unit: str, value: float) -> None:
    """The units people write come out in the unit used inside."""
    assert parse_quantity(text, unit, key="x") == pytest.approx(value, rel=1e-7)


def test_what_the_table_does_not_hold_is_asked_from_pint() -> None:
    """A rare but sound unit is read too."""
    assert parse_quantity("760 mmHg", "MPa", key="x") == pytest.approx(0.101325, rel=1e-5)
    assert parse_quantity("3 weeks", "s", key="x") == 3 * 7 * 86400
    assert parse_quantity("3.6 km/h", "mm/s", key="x") == pytest.approx(1000.0)


@pytest.mark.parametrize("unit", UNITS)
def test_the_table_agrees_with_pint(unit: str) -> None:
    """Every factor of our own is the one that pint knows."""
    import pint

    registry = pint.UnitRegistry()
    registry.define("tf = 9806.65 N")
    registry.define("UStonf = 2000 * lbf")
    registry.define("UKtonf = 2240 * lbf")
    ours = {"N/mm2": "N/mm**2", "kgf/cm2": "kgf/cm**2", "tf/cm2": "tf/cm**2", "US tonf": "UStonf",
            "UK tonf": "UKtonf", "C": "degC", "F": "degF"}  # fmt: skip
    inside = {"°C": "degC", "µm": "um"}.get(unit, unit)
    for spelling in spellings(unit):
        expected = registry.Quantity(2.5, ours.get(spelling, spelling)).to(inside).magnitude
        assert parse_quantity(f"2.5 {spelling}", unit, key="x") == pytest.approx(expected, rel=1e-12), spelling


def test_the_three_tons_are_those_of_the_books() -> None:
    """A metric, a US and a UK ton-force are 9.80665, 8.896 and 9.964 kN."""
    assert pytest.approx((9.80665, 8.896443, 9.964016), rel=1e-6) == (TF_KN, US_TONF_KN, UK_TONF_KN)


def test_a_number_alone_needs_a_key_with_its_unit() -> None:
    """25 is a pressure under ``pressure_mpa`` and a question under ``pressure``."""
    assert parse_quantity(25, "MPa", key="stages.a.pressure_mpa") == 25.0
    assert parse_quantity("25", "MPa", key="stages.a.pressure_mpa") == 25.0
    with pytest.raises(UnitError):
        parse_quantity(25, "MPa", key="stages.a.pressure")


REFUSED: list[tuple[Any, str, str, str]] = [
    ("1.5 ton", "kN", "force",
     'force: "1.5 ton" can mean three forces: write "1.5 tf" for metric (14.71 kN), "1.5 US tonf" for US short '
     '(13.34 kN) or "1.5 UK tonf" for UK long (14.95 kN)'),
    ("2 t", "MPa", "pressure",
     'pressure: "2 t" can mean three forces: write "2 tf" for metric (19.61 kN), "2 US tonf" for US short '
     '(17.79 kN) or "2 UK tonf" for UK long (19.93 kN)'),
    ("1 t/cm2", "MPa", "pressure",
     'pressure: "1 t/cm2" does not say which ton: tf is 9.807 kN (metric), US tonf 8.896 kN, UK tonf 9.964 kN'),
    (25, "MPa", "pressure",
     'pressure: 25 has no unit: write "25 MPa" if you mean MPa, or name the key with _mpa'),
    ("25", "MPa", "pressure",
     'pressure: "25" has no unit: write "25 MPa" if you mean MPa, or name the key with _mpa'),
    ("25 bar", "MPa", "pressure_mpa",
     'pressure_mpa: "25 bar" contradicts the unit in the key, MPa: give a number in MPa, or drop the suffix'),
    ("25 mpa", "MPa", "pressure", 'pressure: unit "mpa" is not known: did you mean "MPa"?'),
    ("25,5 MPa", "MPa", "pressure",
     'pressure: "25,5 MPa" has a decimal comma: write a point, as in "25 MPa"'),
    ("5 kN", "MPa", "pressure",
     'pressure: "5 kN" is not a pressure: it is a force, write a pressure like "25 MPa"'),
    ("500 kg", "kN", "force", 'force: "500 kg" is not a force: kg is a mass, write "500 kgf"'),
    ("10 m", "s", "dwell", 'dwell: "10 m" is not a time: m is a metre, write "10 min"'),
    ("2*3 MPa", "MPa", "pressure",
     'pressure: "2*3 MPa" is no number with a unit: write it like "25 MPa"'),
    ("", "°C", "temperature", 'temperature: "" does not begin with a number: write it like "60 °C"'),
    ("nan MPa", "MPa", "pressure",
     'pressure: "nan MPa" is not a finite number: write it like "25 MPa"'),
    ("1e400 MPa", "MPa", "pressure",
     'pressure: "1e400 MPa" is not a finite number of MPa: write it like "25 MPa"'),
    (math.inf, "s", "dwell_s", "dwell_s: inf is not a finite number: give a number in s"),
    (True, "s", "dwell", 'dwell: true is not a time: write it like "10 min"'),
    ([5], "mm", "diameter", 'diameter: [5] is not a length: write it like "12.7 mm"'),
    ("5 furlongs per", "mm", "diameter",
     'diameter: unit "furlongs per" is not known: write it like "12.7 mm"'),
    ("5 W/m", "N/mm", "line_force",
     'line_force: "5 W/m" is not a line force: write it like "50 N/mm"'),
]  # fmt: skip


@pytest.mark.parametrize(("text", "unit", "key", "message"), REFUSED, ids=[str(row[0]) for row in REFUSED])
def test_what_is_refused_says_why_and_what_to_write(text: Any, unit: str, key: str, message: str) -> None:
    """Each refusal names the key, what was found and what to write instead."""
    with pytest.raises(UnitError) as caught:
        parse_quantity(text, unit, key=key)
    assert str(caught.value) == message


FINITE = st.floats(allow_nan=False, allow_infinity=False, min_value=-1e300, max_value=1e300)


@given(FINITE, st.sampled_from(UNITS))
def test_what_is_written_reads_back_to_the_same_bits(value: float, unit: str) -> None:
    """A formatted quantity is the quantity."""
    assert parse_quantity(format_quantity(value, unit), unit, key="x") == value


@given(st.floats(1e-6, 1e6), st.sampled_from(UNITS), st.data())
def test_units_of_one_kind_are_proportional(value: float, unit: str, data: st.DataObject) -> None:
    """Twice as much in any unit is twice as much inside; for temperatures differences double."""
    spelling = data.draw(st.sampled_from(spellings(unit)))
    zero, once, twice = (parse_quantity(f"{v!r} {spelling}", unit, key="x") for v in (0.0, value, 2 * value))
    assert twice - zero == pytest.approx(2 * (once - zero), rel=1e-9, abs=1e-9)


@given(st.text(max_size=30), st.sampled_from(UNITS))
def test_any_text_is_a_finite_number_or_a_refusal(text: str, unit: str) -> None:
    """Nothing that a person types brings anything else than a finite value or a UnitError."""
    with contextlib.suppress(UnitError):
        assert math.isfinite(parse_quantity(text, unit, key="x"))


@given(st.sampled_from(UNITS), st.sampled_from(UNITS), st.floats(1, 100))
def test_one_kind_never_passes_for_another(found: str, wanted: str, value: float) -> None:
    """A time is no pressure, whatever its number."""
    text = format_quantity(value, found)
    assert measures(text, wanted) == (kind_of_quantity(found)[0] == kind_of_quantity(wanted)[0])


@pytest.mark.parametrize(
    ("value", "unit", "digits", "text"),
    [
        (25.0, "MPa", None, "25 MPa"),
        (0.1 + 0.2, "MPa", None, "0.30000000000000004 MPa"),
        (0.70685, "kN", 3, "0.707 kN"),
        (123456.0, "N/mm", 3, "123000 N/mm"),
        (1e-9, "s", 3, "1e-09 s"),
    ],
)
def test_quantities_are_written_for_people(value: float, unit: str, digits: int | None, text: str) -> None:
    """All digits that are needed, or as many as are asked for."""
    assert format_quantity(value, unit, digits=digits) == text


def test_suffixes_are_unique() -> None:
    """A name ends in one way per unit."""
    assert len({suffix(unit) for unit in UNITS}) == len(UNITS)
    assert not set(chain.from_iterable(unit.split() for unit in map(suffix, UNITS))) & {""}
