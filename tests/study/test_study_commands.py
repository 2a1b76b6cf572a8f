"""`pressopt screen` as people use it: files with mistakes, Ctrl-C in the middle, results that can be read."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from pressopt.cli import cli
from pressopt.errors import ExperimentError
from pressopt.study.parquet import from_parquet
from pressopt.study.screen import nominal_outcomes
from pressopt.study.screen_file import load_screen
from study_jobs import EXPERIMENTS, RESISTANCE
from study_jobs import SMALL_SCREEN as SMALL

SHIPPED = EXPERIMENTS / "screens" / "soft-metal-on-electrolytes.toml"
#: How long a test waits for a condition on a busy computer, s.
PATIENCE_S = 120

_MAIN = "from pressopt.cli import main; main()"


_WIDE = """temperature = { low = "25 °C", high = "90 °C", points = 10_000 }
ramp = { low = "0.1 MPa/s", high = "2 MPa/s", points = 10_000 }"""


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """A screen of 54 protocols for two roughnesses."""
    path = tmp_path / "small.toml"
    path.write_text(SMALL, encoding="utf-8")
    return path


def _violations(path: Path, text: str) -> str:
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ExperimentError) as refused:
        load_screen(path)
    return str(refused.value)


def test_the_shipped_screen_can_be_run() -> None:
    """It is read without a mistake: six systems, the same protocols for each."""
    screen = load_screen(SHIPPED)
    assert len(screen.systems) == 6
    assert sum(screen.sizes) == 6 * 50_400


def test_results_are_what_the_surrogate_says(small: Path) -> None:
    """Each row of the written tables is the surrogate's own prediction of those settings, with its interval."""
    done = CliRunner().invoke(cli, ["screen", str(small), "--json", "--workers", "1"], catch_exceptions=False)
    assert done.exit_code == 0
    told = json.loads(done.stdout)
    assert told["protocols"] == 108
    screen = load_screen(small)
    rows, about = from_parquet(small.with_suffix("") / "best.parquet")
    assert about["draws"] == 256
    for index, system in enumerate(screen.systems):
        of = rows["system"] == system.name
        assert of.sum() == 5
        settings = {axis.name: rows[axis.name][of] for axis in screen.protocols.axes}
        again = nominal_outcomes(system.surrogate, screen.protocols.table(settings))
        assert np.array_equal(again[RESISTANCE], rows[RESISTANCE][of])
        best = told["systems"][index]["best"]["expected"][RESISTANCE]
        assert best["low"] < best["nominal"] < best["high"]
    rough, smooth = (rows[RESISTANCE][rows["system"] == system.name].min() for system in screen.systems[::-1])
    assert smooth < rough
    assert {Path(name).name for name in told["files"]} >= {
        "front.parquet",
        "robust.parquet",
        "best.png",
        "front.svg",
    }


def test_all_mistakes_of_a_screen_file_are_told_at_once(tmp_path: Path) -> None:
    """Impossible grids, unknown keys and quantities, missing tables: each with its key and line, nothing runs."""
    broken = (
        SMALL.replace('high = "100 MPa", points = 9', 'high = "0.5 MPa", points = 9')
        .replace('["10 s", "1 min", "10 min"]', '["10 s", "10 s", "1 m"]')
        .replace("temperature_c = [25, 60]", "temperature_c = []\nramp = { low = 1, high = 2, points = 1 }")
        .replace('quantity = "press_time_s"', 'quantity = "pres_time_s"')
        .replace("upper = 0.05", "uper = 0.05")
        .replace("pressure = 0.05", "pressure = 5")
        .replace("top = 5", "top = 0")
        .replace('material = "Li6PS5Cl"', 'material = "LiPS"')
        .replace("[measurement]\npressure", "[mesurement]\npressure")
    )
    said = _violations(tmp_path / "broken.toml", broken)
    lines = broken.splitlines()

    def line(text: str) -> str:
        return f"line {next(n for n, found in enumerate(lines, 1) if text in found)}: "

    for text in (
        line("top = 0") + "screen.top",
        line("0.5 MPa"),
        line('"1 m"'),
        line("temperature_c = []") + "stages[1].temperature_c: is an empty list",
        line("points = 1 }") + "stages[1].ramp",
        line("pres_time_s"),
        line("uper") + "constraints[1].uper",
        line("pressure = 5") + "tolerance.pressure",
        line("[mesurement]") + "mesurement: is not a table",
        "measurement: is missing",
        "LiPS",
    ):
        assert text in said, (text, said)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("temperature_c = [25, 60]", "temperature_c = [25, 185]", "its metal melts at"),
        ("temperature_c = [25, 60]", "temperature_c = [25, 60]\nramp_mpa_s = 1e9", "is not allowed"),
        ('["10 s", "1 min", "10 min"]', '{ low = "0 s", high = "1 h", points = 5, scale = "log" }', "log scale"),
        ("block = 100", "block = 100\npoints = 50", "sets how many there are in all"),
        ('"interfacial_resistance_ohm_cm2"', '"contact_resistance_mohm_cm2"', "is not predicted for"),
        ("points = 9", "points = 100_000_000", "are more than 10000: give less"),
        ("temperature_c = [25, 60]", _WIDE, "more than 1000000 blocks"),
        ("points = 9", "points = 9.5", "give a whole number from 2"),
        ('name = "press"', 'name = "stack"', "is taken"),
    ],
)
def test_what_makes_no_sense_is_refused(tmp_path: Path, old: str, new: str, said: str) -> None:
    """A melting cell, a log of zero, too many blocks: refused before anything runs."""
    assert said in _violations(tmp_path / "screen.toml", SMALL.replace(old, new, 1))


def test_ctrl_c_stops_and_the_same_command_goes_on(tmp_path: Path) -> None:
    """Interrupted in the middle it leaves with 130 and says how to go on; then it ends with the same bytes."""
    file = tmp_path / "screen.toml"
    text = SMALL.replace("points = 9", "points = 300")
    file.write_text(text, encoding="utf-8")
    command = [sys.executable, "-c", _MAIN, "screen", str(file), "--workers", "1", "--out"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    running = subprocess.Popen(
        [*command, str(tmp_path / "stopped")], env=environment, stderr=subprocess.PIPE, stdout=subprocess.PIPE
    )
    manifest = tmp_path / "stopped" / "finished.jsonl"
    deadline_s = time.monotonic() + PATIENCE_S
    while not (manifest.exists() and manifest.read_bytes().count(b"\n") >= 2):
        assert time.monotonic() < deadline_s
        assert running.poll() is None
        time.sleep(0.005)
    running.send_signal(signal.SIGINT)
    _, errors = running.communicate(timeout=PATIENCE_S)
    done = manifest.read_bytes().count(b"\n")
    if running.returncode != 0:  # it may have been at its very end
        assert running.returncode == 130
        assert b"The same command goes on" in errors
        assert 2 <= done < 36
    for folder in ("stopped", "whole"):
        again = ["screen", str(file), "--workers", "1", "--quiet", "--out", str(tmp_path / folder)]
        assert CliRunner().invoke(cli, again, catch_exceptions=False).exit_code == 0
    content = [
        {path.name: path.read_bytes() for path in sorted((tmp_path / folder).rglob("*.parquet"))}
        for folder in ("stopped", "whole")
    ]
    assert len(content[0]) == 36 + 3
    assert content[0] == content[1]


def test_every_command_of_studies_explains_itself() -> None:
    """Help comes without a mistake, says where blocks are computed, and gives an example."""
    for name in ("predict", "map", "screen", "calibrate", "simulate", "reanalyse"):
        done = CliRunner().invoke(cli, [name, "--help"], catch_exceptions=False)
        assert done.exit_code == 0
        assert "--scheduler" in done.stdout
        assert f"pressopt {name}" in done.stdout
