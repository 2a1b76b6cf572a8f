"""What people see: tables, JSON, pictures and the eis command."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from impedance_cells import noisy, random_cell
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


def test_the_nyquist_picture_has_equal_axes() -> None:
    """A semicircle is a circle on paper, and the verdict stands above it."""
    rng = np.random.default_rng(0)
    cell = random_cell(rng)
    spectrum = cell.spectrum(rng)
    analysis = analyse(spectrum, area_cm2=cell.area_cm2)
    figure = figure_spectrum(spectrum, analysis, title="cell 1")
    assert figure.axes[0].get_aspect() == 1.0
    assert "valid" in figure.get_suptitle()


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


def test_a_folder_is_read() -> None:
    """Every sample gets its line of JSON."""
    result = CliRunner().invoke(eis, [str(DATA), "--json"])
    assert result.exit_code == 0, result.output
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    assert len(lines) == 9
    assert all("verdict" in line for line in lines)


def test_each_spectrum_is_drawn(tmp_path: Path) -> None:
    """A picture named as the file is, with something in it."""
    file = DATA / "exampleDataZPlot.z"
    result = CliRunner().invoke(eis, [str(file), "--json", "--plot", str(tmp_path)])
    assert result.exit_code == 0, result.output
    (picture,) = tmp_path.iterdir()
    assert picture.name == f"{file.stem}.png"
    assert picture.stat().st_size > 10_000


def test_a_table_is_printed_for_one_file_and_for_many() -> None:
    """One file: all about it; a folder: a line for each."""
    one = CliRunner().invoke(eis, [str(DATA / "exampleDataZPlot.z"), "--area", "1.0"])
    assert one.exit_code == 0
    assert "verdict" in one.stdout
    assert "Ω cm²" in one.stdout
    many = CliRunner().invoke(eis, [str(DATA)])
    assert many.exit_code == 0
    assert many.stdout.count("exampleData") == 9


def _under_pressure(folder: Path) -> list[str]:
    """Files of one cell at 5, 20 and 80 MPa: the arc near 1 kHz falls with the power 0.8, the other hardly."""
    rng = np.random.default_rng(1)
    frequency = np.geomspace(1e6, 1.0, 61)
    s = 2j * np.pi * frequency
    names = []
    for pressure in (5, 20, 80):
        boundary, interface = 200 * (pressure / 5) ** -0.02, 300 * (pressure / 5) ** -0.8
        z = 40 + boundary / (1 + (s * boundary * 2e-9) ** 0.95) + interface / (1 + (s * interface * 1e-6) ** 0.9)
        rows = [f"{f:.6e},{x.real:.6e},{x.imag:.6e}" for f, x in zip(frequency, noisy(z, 0.003, rng), strict=True)]
        path = folder / f"at-{pressure}.csv"
        path.write_text("\n".join(["freq/Hz,Re(Z)/Ohm,Im(Z)/Ohm", *rows]))
        names.append(str(path))
    return names


def test_spectra_under_several_pressures_tell_the_contact(tmp_path: Path) -> None:
    """``--pressures`` says how each arc answers and which one is the contact, in the table and as JSON."""
    files = _under_pressure(tmp_path)
    shown = CliRunner().invoke(eis, [*files, "--pressures", "5,20,80"])
    assert shown.exit_code == 0, shown.output
    assert "answer to pressure" in shown.stdout
    told = CliRunner().invoke(eis, [*files, "--json", "--pressures", "5,20,80"])
    answer = json.loads(told.stdout.splitlines()[-1])
    assert answer["contact"] == "interface"
    assert answer["falling_powers"]["interface"]["power"] == pytest.approx(0.8, abs=0.05)
    wrong = CliRunner().invoke(eis, [*files, "--pressures", "5,20"])
    assert wrong.exit_code == 2
    assert "one for each" in wrong.output


def test_the_answer_says_for_what_its_number_stands(tmp_path: Path) -> None:
    """Which arc, how surely, for how many interfaces, at which temperature: in the table and as JSON."""
    file = _under_pressure(tmp_path)[0]
    shown = " ".join(CliRunner().invoke(eis, [file, "--temperature", "60"]).stdout.split())
    for said in ("each of 2 alike interfaces", "confidence", "60 °C", "Hz"):
        assert said in shown
    told = json.loads(CliRunner().invoke(eis, [file, "--json", "--interfaces", "1"]).stdout)
    arc = told["interface_arc"]
    assert arc["interfaces_in_it"] == 1
    assert arc["resistance_ohm_of_all"] == pytest.approx(300, rel=0.02)
    assert told["temperature_c"] is None
    assert any("1 cm² is taken" in note for note in told["notes"])
    assert not json.loads(CliRunner().invoke(eis, [file, "--json", "--area", "1"]).stdout)["notes"]
    assert arc["apex_hz"] == pytest.approx(1 / (2 * np.pi * 300 * 1e-6), rel=0.1)


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
