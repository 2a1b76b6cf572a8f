"""``pressopt topography``: a scan pressed from the command line."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from pressopt.cli import main
from pressopt.surrogate import Topography


@pytest.fixture
def scan(tmp_path: Path) -> Path:
    face = Topography.self_affine(64, pixel_um=0.5, rms_slope=0.1, seed=1)
    path = tmp_path / "pellet.csv"
    np.savetxt(path, face.heights_um, delimiter=",")
    return path


def called(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    """Exit code and all that was printed."""
    with pytest.raises(SystemExit) as left:
        main(["topography", *arguments])
    printed = capsys.readouterr()
    return int(left.value.code or 0), printed.out + printed.err


def test_a_scan_is_pressed_and_drawn(scan: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Two pressures give two contacts, the second larger, each with its map; Li on LLZO flows where it touches."""
    words = ["--pixel", "0.5 um", "--pressure", "0.5 MPa", "--pressure", "1 MPa", "--out", str(tmp_path / "maps")]
    code, said = called(capsys, str(scan), *words, "--json")
    assert code == 0
    told = json.loads(said)
    assert told["rms_slope"] == pytest.approx(0.1, rel=0.05)
    light, heavy = told["contacts"]
    assert 0 < light["share"] < heavy["share"] < 1
    assert heavy["flowing"] > 0.8 * heavy["share"]
    assert light["constriction_ohm_cm2"] > heavy["constriction_ohm_cm2"] > 0
    for contact in (light, heavy):
        assert Path(contact["picture"]).read_bytes().startswith(b"\x89PNG")


def test_without_a_pressure_the_face_alone_is_told(scan: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Points, spacing, rms height and slope, in words."""
    code, said = called(capsys, str(scan), "--pixel", "0.5 um")
    assert code == 0
    assert "64 x 64 points, 0.5 µm apart" in said
    assert "rms slope 0.0998" in said


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ([], "pixel_um"),
        (["--pixel", "0.5 um", "--pressure", "1 ton"], "tf"),
        (["--pixel", "0.5 um", "--pressure", "1 GPa"], "hardness"),
        (["--pixel", "0.5 um", "--electrolyte", "cheese"], "cheese"),
    ],
)
def test_a_wrong_word_is_named(
    scan: Path, arguments: list[str], named: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 2 and the word that was wrong."""
    code, said = called(capsys, str(scan), *arguments)
    assert code == 2
    assert named in said
