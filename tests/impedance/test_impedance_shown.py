"""What people see: tables, JSON, pictures and the eis command."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from impedance_cells import random_cell
from pressopt.cli.eis import eis
from pressopt.impedance import analyse
from pressopt.impedance.distribution import second_opinion
from pressopt.impedance.plot import figure_spectrum
from pressopt.impedance.summary import summary, table_rows, with_sd

DATA = Path(__file__).parent / "data"


@pytest.mark.parametrize(
    ("value", "sd", "shown"),
    [
        (17.7331, 0.2558, "17.73 ± 0.26"),
        (1234.5, 45.6, "1234 ± 46"),
        (0.00631, 0.00021, "0.00631 ± 0.00021"),
        (5.0, 12.0, "5 ± 12"),
        (3.0, float("nan"), "3"),
    ],
)
def test_values_are_shown_to_the_figures_they_have(value: float, sd: float, shown: str) -> None:
    """Two figures of the deviation decide how many the value shows."""
    assert with_sd(value, sd) == shown


def test_summary_and_table_say_the_same() -> None:
    """The JSON is finite numbers and words only, and the table shows its answer."""
    rng = np.random.default_rng(0)
    cell = random_cell(rng)
    analysis = analyse(cell.spectrum(rng), area_cm2=cell.area_cm2)
    document = json.loads(json.dumps(summary(analysis), allow_nan=False))
    assert document["verdict"] == "valid"
    rows = {row.label: row.value for row in table_rows(analysis)}
    assert rows["interface"].startswith(f"{document['interfacial_resistance_ohm_cm2']:.1f}"[:2])


def test_the_nyquist_picture_has_equal_axes(tmp_path: Path) -> None:
    """A semicircle is a circle on paper, and the verdict stands above it."""
    rng = np.random.default_rng(0)
    cell = random_cell(rng)
    spectrum = cell.spectrum(rng)
    analysis = analyse(spectrum, area_cm2=cell.area_cm2)
    figure = figure_spectrum(spectrum, analysis, title="cell 1")
    assert figure.axes[0].get_aspect() == 1.0
    assert "valid" in figure.get_suptitle()
    figure.savefig(tmp_path / "x.png")
    figure.savefig(tmp_path / "x.svg")
    assert (tmp_path / "x.png").stat().st_size > 10_000


def test_the_second_opinion_stands_beside_the_fit() -> None:
    """Where a peak of the distribution of relaxation times lies at an arc, the table and the JSON give both."""
    rng = np.random.default_rng(3)
    cell = random_cell(rng)
    spectrum = cell.spectrum(rng)
    analysis = analyse(spectrum, area_cm2=cell.area_cm2)
    opinion = second_opinion(spectrum, analysis.verdict)
    assert opinion is not None
    remarks = " ".join(row.remark for row in table_rows(analysis, opinion))
    assert "without a circuit" in remarks
    peaks = summary(analysis, opinion)["relaxation_peaks"]
    assert isinstance(peaks, list)
    assert len(peaks) == len(opinion.peaks)
    figure = figure_spectrum(spectrum, analysis)
    assert len(figure.axes) == 5


def test_a_folder_is_read_and_drawn(tmp_path: Path) -> None:
    """Every sample gets its line of JSON and its picture."""
    result = CliRunner().invoke(eis, [str(DATA), "--json", "--plot", str(tmp_path)])
    assert result.exit_code == 0, result.output
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    assert len(lines) == 9
    assert all("verdict" in line for line in lines)
    assert len(list(tmp_path.glob("*.png"))) == 9


def test_a_table_is_printed_for_one_file_and_for_many() -> None:
    """One file: all about it; a folder: a line for each."""
    one = CliRunner().invoke(eis, [str(DATA / "exampleDataZPlot.z"), "--area", "1.0"])
    assert one.exit_code == 0
    assert "verdict" in one.stdout
    assert "Ω cm²" in one.stdout
    many = CliRunner().invoke(eis, [str(DATA)])
    assert many.exit_code == 0
    assert many.stdout.count("exampleData") == 9


def test_a_file_that_is_no_spectrum_does_not_stop_the_others(tmp_path: Path) -> None:
    """It is named with its reason, the others are read, and the exit status is 2."""
    (tmp_path / "bad.csv").write_text("hello\n")
    good = DATA / "exampleDataZPlot.z"
    result = CliRunner().invoke(eis, [str(tmp_path / "bad.csv"), str(good), "--json"])
    assert result.exit_code == 2
    first, second = (json.loads(line) for line in result.stdout.splitlines())
    assert "line 1" in first["error"]
    assert second["verdict"].startswith("valid")


def test_an_empty_folder_is_an_error_that_says_what_is_looked_for(tmp_path: Path) -> None:
    """The suffixes that are searched for are named."""
    result = CliRunner().invoke(eis, [str(tmp_path)])
    assert result.exit_code == 2
    assert ".mpt" in result.output
