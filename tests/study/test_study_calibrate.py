"""Calibration: what data tell is found, what they do not tell is said, and the catalogue stays as it is."""

from __future__ import annotations

import csv
import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pressopt import materials
from pressopt.assembly import catalogue_of, surrogate_of
from pressopt.campaign.experiment_file import load_experiment
from pressopt.errors import InputError
from pressopt.pressing import Die
from pressopt.study.calibrate import Calibrate, Calibrated, calibrate, data_from_published, data_from_table
from pressopt.study.calibrate_report import in_words, summarize, write_results
from pressopt.study.engines import Inline
from pressopt.study.posterior import Posterior, read_posterior
from pressopt.study.settings import Settings
from pressopt.surrogate import Surrogate
from study_jobs import EXPERIMENTS, RESISTANCE

LPSCL = load_experiment(EXPERIMENTS / "li-lpscl-symmetric.toml")
HEADER = ["cell", "pressure_mpa", "dwell_s", "temperature_c", RESISTANCE]


@pytest.fixture(scope="module")
def shifted(tmp_path_factory: pytest.TempPathFactory) -> Calibrated:
    """Twelve cells of a laboratory whose contact closes at half the pressure that the catalogue says."""
    surrogate = surrogate_of(LPSCL)
    names = [p.name for p in surrogate.parameters]
    standard = np.zeros((1, len(names)))
    standard[0, names.index("wave_closure_mpa")] = (
        np.log(0.5) / surrogate.parameters[names.index("wave_closure_mpa")].sd
    )
    path = tmp_path_factory.mktemp("data") / "cells.csv"
    pressures = np.geomspace(2.0, 30.0, 12)
    settings = {"lamination.pressure_mpa": pressures, "lamination.dwell_s": 60.0, "lamination.temperature_c": 25.0}
    table = Settings.of(LPSCL).table({name: np.asarray(value) for name, value in settings.items()})
    values = surrogate.outcomes(surrogate.rows_at(standard), table)[RESISTANCE][0]
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(HEADER)
        writer.writerows([f"A{i}", p, 60, 25, v] for i, (p, v) in enumerate(zip(pressures, values, strict=True)))
    data = data_from_table(LPSCL, path, {}, scatter=0.05)
    return calibrate(Calibrate(data, draws=256, chains=2), Inline())


def test_what_the_data_tell_is_found(shifted: Calibrated) -> None:
    """Predictions move onto the data, the shifted parameter moves the right way, and its spread shrinks."""
    summary = summarize(shifted)
    assert summary["off_before"] > 3 * summary["off_after"]
    assert summary["off_after"] < 0.1
    assert summary["explained"]
    row = next(row for row in summary["parameters"] if row["parameter"] == "wave_closure_mpa")
    assert row["after"] < 0.8 * row["before"]
    assert row["spread_left"] < 0.9
    assert "wave_closure_mpa" in summary["told"]


def test_what_the_data_do_not_tell_is_said(shifted: Calibrated) -> None:
    """Nothing was rolled or cracked: those parameters keep the very draws of their priors, and that is said."""
    summary, found = summarize(shifted), shifted.posterior
    untouched = {"roll_friction", "roll_modulus_mpa", "crack_mpa", "weibull_modulus", "capping_mpa"}
    priors = [np.random.default_rng(seed).standard_normal((256, len(found.names))) for seed in (0, 1)]
    for name in untouched:
        place = found.names.index(name)
        assert np.allclose(found.standard[:, place], np.concatenate(priors)[:, place], rtol=0, atol=1e-9)
        assert found.identified[name] == 1.0
    assert untouched <= set(summary["untold"])
    assert set(summary["told"]) | set(summary["untold"]) == set(found.names)
    said = "\n".join(in_words(summary, Path("folder")))
    assert all(name in said.partition("The data say nothing about")[2] for name in untouched)


def test_data_that_physics_cannot_explain_are_said(shifted: Calibrated) -> None:
    """A large misfit is told in words and in the summary, not hidden behind a narrow posterior."""
    worse = replace(shifted, posterior=replace(shifted.posterior, misfit=5.0))
    summary = summarize(worse)
    assert not summary["explained"]
    assert "does not explain these data" in "\n".join(in_words(summary, Path("folder")))


def test_the_files_are_written_and_the_catalogue_is_not(shifted: Calibrated, tmp_path: Path) -> None:
    """Posterior, tables and pictures lie in the folder; the shipped materials are the same bytes as before."""

    def shipped() -> dict[str, str]:
        folder = Path(materials.__file__).parent / "data"
        return {
            path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir() if path.is_file()
        }

    before = shipped()
    _, files = write_results(shifted, tmp_path)
    assert {path.suffix for path in files} == {".json", ".csv", ".png", ".svg"}
    assert all(path.stat().st_size for path in files)
    assert shipped() == before


def test_a_posterior_reads_back_and_predicts(shifted: Calibrated, tmp_path: Path) -> None:
    """From its file it is the same to the bit, and predicts the measured cells within their scatter."""
    write_results(shifted, tmp_path)
    again = read_posterior(tmp_path)
    assert np.array_equal(again.standard, shifted.posterior.standard)
    prediction = shifted.data.surrogate.predict(
        shifted.data.table, parameters=again.draws_for(shifted.data.surrogate)
    )
    values, _ = shifted.data.measured[RESISTANCE]
    assert np.abs(np.log(prediction.nominal[RESISTANCE] / values)).max() < 0.25


def test_a_posterior_holds_for_another_geometry(shifted: Calibrated) -> None:
    """For a thicker foil the median moves with the geometry, and the distance from it is that of the data."""
    layers = tuple(
        replace(layer, thickness_um=500.0) if layer.material == "Li" else layer for layer in LPSCL.cell.layers
    )
    other = Surrogate(replace(LPSCL.cell, layers=layers), catalogue_of(LPSCL))
    draws = shifted.posterior.draws_for(other)
    place = draws.names.index("wave_closure_mpa")
    nominal = next(p.nominal for p in other.parameters if p.name == "wave_closure_mpa")
    here = next(p.nominal for p in shifted.data.surrogate.parameters if p.name == "wave_closure_mpa")
    assert nominal != here
    mine = shifted.posterior.draws_for(shifted.data.surrogate).values[:, place]
    assert np.allclose(draws.values[:, place] / nominal, mine / here)


def test_a_posterior_of_other_materials_is_refused(shifted: Calibrated) -> None:
    """What was learned about an argyrodite says nothing about copper."""
    copper = surrogate_of(load_experiment(EXPERIMENTS / "li-copper-lamination.toml"))
    alien = replace(shifted.posterior, layers=("Na", "Na3PS4", "Na"))
    with pytest.raises(InputError, match=r"is about Na \| Na3PS4 \| Na"):
        alien.draws_for(copper)


def test_published_points_narrow_the_argyrodite() -> None:
    """Doux's and Kasemchainan's values narrow the pellet's conductivity; the points are those of the sources."""
    data = data_from_published(LPSCL, catalogue_of(LPSCL), scatter=0.1)
    assert data.points >= 8
    assert data.surrogate.cell.die == Die(12.7)
    found = calibrate(Calibrate(data, draws=64, chains=2), Inline())
    assert found.posterior.identified["conductivity_ms_cm"] < 0.6
    summary = summarize(found)
    assert summary["off_after"] <= summary["off_before"] + 0.05


def test_all_mistakes_of_measured_cells_are_told(tmp_path: Path) -> None:
    """Values that are not positive are named with their lines; a table without any quantity is refused."""
    path = tmp_path / "cells.csv"
    path.write_text(f"pressure_mpa,dwell_s,temperature_c,{RESISTANCE}\n10,60,25,-3\n20,60,25,0\n30,60,25,\n")
    with pytest.raises(InputError) as refused:
        data_from_table(LPSCL, path, {}, scatter=0.1)
    assert "line 2" in str(refused.value)
    assert "line 3" in str(refused.value)
    assert "line 4" not in str(refused.value)
    path.write_text("pressure_mpa,dwell_s,temperature_c\n10,60,25\n")
    with pytest.raises(InputError, match="no column holds a measured quantity"):
        data_from_table(LPSCL, path, {}, scatter=0.1)


def test_a_damaged_posterior_is_refused(tmp_path: Path) -> None:
    """A file that is none, or is cut, is named with the way out."""
    with pytest.raises(InputError, match="`pressopt calibrate` writes it"):
        read_posterior(tmp_path / "posterior.json")
    posterior = Posterior(("Li",), ("a",), np.zeros((3, 1)), {"a": 1.0}, 1.0)
    posterior.write(tmp_path / "posterior.json")
    data = (tmp_path / "posterior.json").read_text()
    (tmp_path / "posterior.json").write_text(data[:-30])
    with pytest.raises(InputError, match="is no posterior"):
        read_posterior(tmp_path)
