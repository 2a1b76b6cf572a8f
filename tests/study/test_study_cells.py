"""Predictions and maps of an experiment's cell: settings by name, tables with their mistakes, published points."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from pressopt.assembly import catalogue_of, surrogate_of
from pressopt.campaign.experiment_file import load_experiment
from pressopt.cli import cli
from pressopt.errors import InputError
from pressopt.study.engines import Inline, Processes
from pressopt.study.map import best_point, compute_map, draw_map, plan_map, published_marks
from pressopt.study.predict import Predict, predict
from pressopt.study.published import points_of, published_points
from pressopt.study.settings import Settings, read_sheet
from study_jobs import EXPERIMENTS, RESISTANCE

LPSCL = load_experiment(EXPERIMENTS / "li-lpscl-symmetric.toml")
GIVEN = ("--set", "pressure=25 MPa", "--set", "dwell=10 min", "--set", "temperature=60 °C")


def _run(*arguments: str | Path | int) -> Any:
    done = CliRunner().invoke(cli, [*map(str, arguments)], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout) if "--json" in arguments else done.stdout


def _refused(*arguments: str | Path | int) -> str:
    with pytest.raises(InputError) as refused:
        CliRunner().invoke(cli, [*map(str, arguments)], catch_exceptions=False, standalone_mode=False)
    return str(refused.value)


# ---------------------------------------------------------------------- predict


def test_one_protocol_is_what_the_surrogate_says() -> None:
    """The command's numbers are those of the surrogate with the same draws, for the experiment's own protocol."""
    told = _run("predict", EXPERIMENTS / "li-lpscl-symmetric.toml", *GIVEN, "--draws", 64, "--json")
    settings = {"lamination.pressure_mpa": 25.0, "lamination.dwell_s": 600.0, "lamination.temperature_c": 60.0}
    expected = surrogate_of(LPSCL).predict(LPSCL.protocol(settings), draws=64)
    (row,) = told["protocols"]
    assert row["settings"]["stack.pressure_mpa"] == 5.0
    low, _, high = expected.interval(RESISTANCE)
    assert row["expected"][RESISTANCE] == {
        "nominal": expected.nominal[RESISTANCE][0], "low": low[0], "high": high[0],
    }  # fmt: skip
    assert "short_exponent" in told["assumed"]


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_a_table_comes_back_with_what_is_expected(tmp_path: Path, ending: str) -> None:
    """Own columns are kept, each row is what it would be alone, and the written table can be asked again."""
    table, out = tmp_path / "in.csv", tmp_path / f"out.{ending}"
    table.write_text("cell;pressure_mpa;dwell\nA1;25;10 min\nA2;5;30 s\n")
    _run("predict", LPSCL.path, "--table", table, "--set", "temperature=60 °C", "--draws", 64, "--out", out)
    again = _run("predict", LPSCL.path, "--table", out, "--draws", 64, "--json")
    alone = _run("predict", LPSCL.path, *GIVEN, "--draws", 64, "--json")
    assert again["protocols"][0] == alone["protocols"][0]
    sheet = read_sheet(out, Settings.of(LPSCL), {})
    assert list(sheet.columns["cell"]) == ["A1", "A2"]
    assert sheet.numbers(RESISTANCE)[0] == alone["protocols"][0]["expected"][RESISTANCE]["nominal"]


def test_all_mistakes_of_a_table_are_told_at_once(tmp_path: Path) -> None:
    """Cells that are no numbers, impossible values, a missing column: each with its line, nothing is predicted."""
    table = tmp_path / "in.csv"
    table.write_text("presure_mpa,dwell_s,temperature_c\n25,60,25\n25,ten,25\n25,60 MPa,25\n")
    said = _refused("predict", LPSCL.path, "--table", table)
    assert "line 1: presure_mpa: is no setting: did you mean 'pressure_mpa'?" in said
    assert 'line 3: dwell_s: "ten"' in said
    assert "line 4: dwell_s" in said
    assert "lamination.pressure_mpa: is missing: give a column" in said
    table.write_text("pressure_mpa,dwell_s,temperature_c\n-1,60,25\n25,60,190\n25,-5,25\n")
    said = _refused("predict", LPSCL.path, "--table", table)
    for text in ("line 2: lamination.pressure_mpa: -1 MPa", "line 3: lamination.temperature_c", "line 4: "):
        assert text in said
    table.write_text("pressure_mpa,dwell_s\n25,60,9\n25\n")
    assert "line 2: 3 cells, the header names 2" in _refused("predict", LPSCL.path, "--table", table)


def test_settings_are_named_as_people_do() -> None:
    """With or without stage and unit; what is ambiguous, unknown or without unit is refused, all at once."""
    settings = Settings.of(load_experiment(EXPERIMENTS / "two-stage-assembly.toml"))
    stage = settings.stages[0]
    assert settings.parse([f"{stage}.pressure=0.3 GPa"]) == {f"{stage}.pressure_mpa": 300.0}
    assert settings.parse(["settle=1 min"]) == {"stack.settle_s": 60.0}
    with pytest.raises(InputError) as refused:
        settings.parse(["pressure=25 MPa", "presure=1 MPa", f"{stage}.dwell=10", f"{stage}.dwell_s"])
    said = str(refused.value)
    for text in ("name the stage", "is no setting here", "has no unit", "is no setting with a value"):
        assert text in said


def test_blocks_of_a_table_give_the_same_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    """A prediction in many blocks, and in worker processes, is that in one."""
    from pressopt.study import predict as module

    surrogate = surrogate_of(LPSCL)
    varied = {"lamination.pressure_mpa": np.linspace(2, 60, 30)}
    held = {"lamination.dwell_s": 60.0, "lamination.temperature_c": 40.0}
    table = Settings.of(LPSCL).table({**varied, **held})
    whole = predict(Predict(surrogate, table, 32), Inline())
    monkeypatch.setattr(module, "_EVALUATIONS", 32 * 7)
    pieces = Predict(surrogate, table, 32)
    assert len(pieces.sizes) == 5
    for engine in (Inline(), Processes(2)):
        found = predict(pieces, engine)
        assert all(np.array_equal(found.high[name], whole.high[name]) for name in whole.high)


# ---------------------------------------------------------------------- map


def test_a_map_is_the_surrogate_at_every_point() -> None:
    """The surface, its risk and its best point are those of predicting each point alone."""
    surrogate = surrogate_of(LPSCL)
    plan = plan_map(
        LPSCL, surrogate, "pressure", "dwell=10 s..1 h", RESISTANCE, {"lamination.temperature_c": 60.0}
    )
    surface = compute_map(plan, surrogate, Inline(), points=7, draws=16)
    settings = {"lamination.pressure_mpa": surface.x[4], "lamination.dwell_s": surface.y[2], **plan.held}
    settings = {name: settings[name] for name in LPSCL.space.names}
    alone = surrogate.predict(LPSCL.protocol(settings)).nominal
    assert surface.expected[2, 4] == alone[RESISTANCE][0]
    fails = 1 - (1 - alone["short_probability"][0]) * (1 - alone["crack_probability"][0])
    assert surface.risk[2, 4] == pytest.approx(fails, rel=1e-12, abs=1e-15)
    best = best_point(plan, surface, 0.1)
    assert best is not None
    assert best[RESISTANCE] == surface.expected[surface.risk <= 0.1].min()
    assert best_point(plan, surface, -1.0) is None


def test_a_map_shows_limits_risk_and_published_points() -> None:
    """On the picture: the limit of 120 MPa, contours of risk, and Doux's points at their own stack pressure."""
    surrogate = surrogate_of(LPSCL)
    plan = plan_map(
        LPSCL, surrogate, "pressure=1 MPa..200 MPa", "temperature=20 °C..90 °C", "cell_resistance_ohm_cm2",
        {"lamination.dwell_s": 60.0},
    )  # fmt: skip
    surface = compute_map(plan, surrogate, Inline(), points=21, draws=16)
    marks, notes = published_marks(plan, points_of(LPSCL.cell, catalogue_of(LPSCL)))
    unlike = "published cells had 500 µm of Li, this one has 100 µm: another resistance is expected there"
    assert {(mark.x, mark.value is None) for mark in marks} == {(5.0, False), (25.0, False), (75.0, True)}
    assert notes == ["not stated by the sources: lamination temperature, drawn at 25 °C", unlike]
    figure = draw_map(plan, surface, risks=(0.01, 0.5), published=marks, notes=notes, own=())
    texts = {text.get_text() for text in figure.legends[0].get_texts()}
    assert {
        "1 % of cells fail",
        "50 % of cells fail",
        "beyond the experiment's limits",
        "published: shorted",
    } <= texts


def test_published_points_of_other_materials_stay_away() -> None:
    """On LLZO no point of an argyrodite is drawn, and every point of the table belongs to a known cell."""
    llzo = load_experiment(EXPERIMENTS / "li-llzo-symmetric.toml")
    found = {point.electrolyte for point in points_of(llzo.cell, catalogue_of(llzo))}
    assert found == {catalogue_of(llzo)["LLZO"].name}
    assert all(point.cell().layers for point in published_points(catalogue_of(llzo)))


def test_all_mistakes_of_a_map_are_told_at_once() -> None:
    """A setting that is none, ends in the wrong order and a quantity that is not predicted: one answer."""
    said = _refused(
        "map",
        LPSCL.path,
        "--x",
        "presure",
        "--y",
        "dwell=10 min..1 min",
        "--quantity",
        "contact_resistance_mohm_cm2",
    )
    for text in ("--x: presure is no setting", "--y: 10 min is not below 1 min", "--quantity: contact_resistance"):
        assert text in said


def test_own_cells_are_drawn_from_a_table(tmp_path: Path) -> None:
    """A table of own cells with what was measured becomes marks; without that column it is refused."""
    table = tmp_path / "own.csv"
    with table.open("w", newline="") as file:
        csv.writer(file).writerows([["pressure_mpa", "dwell_s", RESISTANCE], [10, 60, 40.0], [70, 60, ""]])
    arguments = ("map", LPSCL.path, "--x", "pressure", "--y", "dwell", "--points", 9, "--draws", 16)
    told = _run(*arguments, "--table", table, "--out", tmp_path / "map.svg", "--json")
    assert told["files"] == [str(tmp_path / "map.svg")]
    assert "your cells: shorted" in (tmp_path / "map.svg").read_text()
    table.write_text("pressure_mpa,dwell_s\n10,60\n")
    assert f"{RESISTANCE}: is missing" in _refused(*arguments, "--table", table)
