"""Tables of published measurements: read with care, answered with an interval, never dropped in silence."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from pressopt.errors import InputError
from pressopt.study.published import PUBLISHED
from pressopt.surrogate.published import COLUMNS, Comparison, Skipped, compare, read


def written(folder: Path, *rows: dict[str, str], columns: tuple[str, ...] = COLUMNS) -> Path:
    path = folder / "points.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, columns, restval="")
        writer.writeheader()
        writer.writerows(rows)
    return path


def answered(folder: Path, **cells: str) -> Comparison:
    usual = {"electrode": "Li", "electrolyte": "Li6PS5Cl", "quantity": "cell_impedance", "unit": "ohm"}
    answers, skipped = compare(read(written(folder, {**usual, **cells})), draws=400)
    assert not skipped, skipped[0].reason
    return answers[0]


@pytest.fixture(scope="module")
def shipped() -> tuple[list[Comparison], list[Skipped]]:
    return compare(read(PUBLISHED), draws=800)


def test_every_calibration_point_is_near_or_in_the_range_of_its_kind(
    shipped: tuple[list[Comparison], list[Skipped]],
) -> None:
    """All points behind the catalogue are within 15 % of the published range, and in their interval."""
    used = [answer for answer in shipped[0] if answer.point.role == "calibration"]
    assert len(used) > 45
    assert not [answer.point for answer in used if not (answer.near and answer.covered)]


def test_intervals_hold_the_points_held_out_as_often_as_they_say(
    shipped: tuple[list[Comparison], list[Skipped]],
) -> None:
    """Of the points held out, 80 to 97 % lie in their 90 % interval: neither too narrow nor too wide."""
    held = [answer.covered for answer in shipped[0] if answer.point.role == "held out"]
    assert len(held) > 25
    assert 0.80 <= sum(held) / len(held) <= 0.97


def test_no_point_is_lost(shipped: tuple[list[Comparison], list[Skipped]]) -> None:
    """Each row comes back, answered or with a reason."""
    answers, skipped = shipped
    assert len(answers) + len(skipped) == len(read(PUBLISHED))
    assert all(one.reason for one in skipped)


def test_a_point_that_nobody_has_seen_is_answered(tmp_path: Path) -> None:
    """Other pressures, units and words than the shipped table's are understood."""
    loaded = answered(tmp_path, value="75", pressure_MPa="7", area_cm2="1.267", stage="loading")
    assert 50 < loaded.nominal < 110
    assert loaded.covered
    kilo = answered(tmp_path, quantity="asr", value="0.01", unit="kohm cm2", pressure_MPa="25")
    assert kilo.published == 10.0
    assert kilo.unit == "ohm cm2"
    released = answered(
        tmp_path, value="60", pressure_MPa="3", stage="after 25 MPa, released to 3 MPa", area_cm2="1.267"
    )
    fresh = answered(tmp_path, value="60", pressure_MPa="3", area_cm2="1.267")
    assert released.nominal < 0.7 * fresh.nominal
    relative = answered(tmp_path, quantity="relative_density", value="78", unit="percent", pressure_MPa="300")
    assert relative.published == 0.78
    assert relative.low < relative.nominal < relative.high


def test_a_relative_of_a_known_material_stands_in_with_a_wider_interval(tmp_path: Path) -> None:
    """Li6PS5Br is answered by Li6PS5Cl, says so, and is less certain."""
    cells = {"quantity": "ionic_conductivity", "value": "1", "unit": "mS/cm", "pressure_MPa": "300"}
    known = answered(tmp_path, **cells)
    relative = answered(tmp_path, electrolyte="Li6PS5Br fine", **cells)
    assert "Li6PS5Cl stands in" in relative.taken
    assert relative.high / relative.low > 1.5 * known.high / known.low


def test_a_lower_bound_is_met_from_above(tmp_path: Path) -> None:
    """A value with ``_min`` is a bound: a prediction above it is near, one far below is not."""
    cells = {"quantity": "time_to_short_min", "unit": "h", "pressure_MPa": "5", "stage": "first pressed at 25 MPa"}
    assert answered(tmp_path, value="100", **cells).near
    assert not answered(tmp_path, value="1e7", **cells).covered


@pytest.mark.parametrize(
    ("cells", "reason"),
    [
        ({"quantity": "colour"}, "colour"),
        ({"unit": "furlong"}, "furlong"),
        ({"unit": "mS/cm"}, "not a unit of"),
        ({"electrolyte": "Unobtainium"}, "Unobtainium"),
        ({"electrode": "Li-In"}, "alloy"),
        ({"electrode": "K"}, "K.creep_exponent"),
    ],
)
def test_what_has_no_answer_says_why(tmp_path: Path, cells: dict[str, str], reason: str) -> None:
    """Unknown quantities, units and materials are handed back with the reason."""
    usual = {
        "electrode": "Li",
        "electrolyte": "Li6PS5Cl",
        "quantity": "cell_impedance",
        "unit": "ohm",
        "value": "9",
    }
    answers, skipped = compare(read(written(tmp_path, {**usual, "pressure_MPa": "5", **cells})), draws=16)
    assert not answers
    assert reason in skipped[0].reason


def test_a_table_that_cannot_be_read_names_row_and_column(tmp_path: Path) -> None:
    """Missing columns, missing values and words where numbers belong are all named at once."""
    with pytest.raises(InputError, match="unit"):
        read(written(tmp_path, columns=tuple(name for name in COLUMNS if name != "unit")))
    with pytest.raises(InputError) as caught:
        read(written(tmp_path, {"value": "many", "pressure_MPa": "inf"}, {"pressure_MPa": "5"}))
    found = {violation.where for violation in caught.value.violations}
    assert found == {"row 2, value", "row 2, pressure_MPa", "row 3, value"}
