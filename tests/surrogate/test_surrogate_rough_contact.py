"""Boundary elements from Python: topographies, contacts, currents, and the analytic law beside them."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pressopt.errors import InputError
from pressopt.surrogate import (
    Topography,
    contact_modulus_mpa,
    elastic_share,
    press_topography,
    read_topography,
)


@pytest.fixture(scope="module")
def face() -> Topography:
    """A decade of wavelengths."""
    return Topography.self_affine(256, pixel_um=0.5, rms_slope=0.1, longest_um=40, shortest_um=4, seed=3)


def test_a_generated_face_has_the_asked_slope_and_only_the_asked_waves(face: Topography) -> None:
    """Its rms slope is the asked one, and nothing lies outside the two wavelengths."""
    assert face.rms_slope == pytest.approx(0.1, rel=1e-12)
    power = np.abs(np.fft.rfft2(face.heights_um)) ** 2
    wave = np.hypot(np.fft.fftfreq(256, 0.5)[:, None], np.fft.rfftfreq(256, 0.5)[None, :])
    outside = (wave < 1 / 40) | (wave > 1 / 4)
    assert power[outside].max() < 1e-20 * power.max()


def test_the_slope_by_neighbours_is_that_of_the_spectrum(face: Topography) -> None:
    """A patch that does not repeat is measured by differences, close to the spectral value."""
    alone = Topography(face.heights_um, face.pixel_um, periodic=False)
    assert alone.rms_slope == pytest.approx(face.rms_slope, rel=0.05)


def test_a_levelled_scan_has_no_plane_left(face: Topography) -> None:
    """A tilted scan is levelled to what it was, but for its mean."""
    rows, columns = np.mgrid[:256, :256]
    tilted = Topography(face.heights_um + 0.3 * rows - 0.1 * columns + 7, face.pixel_um)
    flat = face.levelled()
    np.testing.assert_allclose(tilted.levelled().heights_um, flat.heights_um, atol=1e-9)
    assert abs(flat.heights_um.mean()) < 1e-12


@pytest.mark.parametrize("pressure_mpa", [0.5, 2.0, 6.0])
def test_the_analytic_share_meets_boundary_elements(face: Topography, pressure_mpa: float) -> None:
    """The corrected law is within 6 % of this face; Persson's own lies below it where contacts are light."""
    contact = press_topography(face, pressure_mpa, modulus_mpa=100.0)
    assert elastic_share(pressure_mpa, 100.0, face.rms_slope) == pytest.approx(contact.share, rel=0.06)
    plain = elastic_share(pressure_mpa, 100.0, face.rms_slope, corrected=False)
    assert plain < 0.97 * contact.share


def test_a_metal_that_flows_follows_tabor(face: Topography) -> None:
    """Where the modulus is far above the hardness, the share is pressure over hardness."""
    contact = press_topography(face, 1.0, modulus_mpa=5000.0, hardness_mpa=8.0)
    assert contact.pressure_mpa.max() <= 8.0
    assert contact.touches.mean() == pytest.approx(1 / 8, rel=0.05)
    assert contact.flowing == pytest.approx(contact.touches.mean(), rel=0.1)


def test_currents_add_up_and_crowd(face: Topography) -> None:
    """The mean current is one, the spots share it unevenly, and charge transfer comes on top."""
    contact = press_topography(face, 1.0, modulus_mpa=100.0)
    free, slow = (contact.currents(1e-3, interface_ohm_cm2=ohm) for ohm in (0.0, 5.0))
    assert free.relative.mean() == pytest.approx(1, abs=1e-9)
    assert (free.relative[~contact.touches] == 0).all()
    assert free.hot_spot > slow.hot_spot > 1 / contact.touches.mean()
    assert slow.transfer_ohm_cm2 == pytest.approx(5 / contact.touches.mean())
    assert slow.resistance_ohm_cm2 > slow.transfer_ohm_cm2
    assert slow.resistance_ohm_cm2 > free.resistance_ohm_cm2 > 0


def test_threads_change_nothing(face: Topography) -> None:
    """One thread and two give the same bits."""
    one, two = (press_topography(face, 2.0, modulus_mpa=100.0, threads=count) for count in (1, 2))
    np.testing.assert_array_equal(one.pressure_mpa, two.pressure_mpa)


def test_the_modulus_of_two_faces_is_johnsons() -> None:
    """Rigid partner, equal partners, and the soft one decides."""
    assert contact_modulus_mpa(91.0, 0.3) == pytest.approx(1e5)
    assert contact_modulus_mpa(91.0, 0.3, 91.0, 0.3) == pytest.approx(5e4)
    assert contact_modulus_mpa(4.9, 0.36, 158.0, 0.26) == pytest.approx(5450, rel=0.01)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"pressure_mpa": -1.0}, "pressure_mpa"),
        ({"pressure_mpa": math.nan}, "pressure_mpa"),
        ({"pressure_mpa": 8.0, "hardness_mpa": 8.0}, "hardness"),
        ({"modulus_mpa": 0.0}, "modulus_mpa"),
        ({"tolerance": 2.0}, "tolerance"),
    ],
)
def test_what_cannot_be_pressed_is_refused_by_name(face: Topography, change: dict[str, Any], named: str) -> None:
    """Each refusal names what was given."""
    with pytest.raises(InputError, match=named):
        press_topography(face, **({"pressure_mpa": 1.0, "modulus_mpa": 100.0} | change))


def test_all_that_is_wrong_with_a_face_is_said_at_once() -> None:
    """Holes and a spacing of zero in one error."""
    heights = np.zeros((8, 8))
    heights[2, 5] = np.nan
    with pytest.raises(InputError) as caught:
        Topography(heights, 0.0)
    assert [v.where for v in caught.value.violations] == ["heights_um", "pixel_um"]
    assert "row 2, column 5" in str(caught.value)
    with pytest.raises(InputError) as caught:
        Topography.self_affine(4, pixel_um=1.0, rms_slope=-1.0, hurst=2.0)
    assert {"points", "rms_slope", "hurst"} <= {v.where for v in caught.value.violations}


@given(
    st.integers(4, 12),
    st.integers(4, 12),
    st.floats(1e-3, 1e3),
    st.floats(1e-6, 0.99),
    st.booleans(),
    st.integers(0, 1000),
)
def test_any_face_is_pressed_within_its_limits(
    rows: int, columns: int, pixel_um: float, load: float, periodic: bool, seed: int
) -> None:
    """Whatever the noise: no pressure below zero or above the hardness, and their mean is the asked one."""
    heights = np.random.default_rng(seed).standard_normal((rows, columns))
    face = Topography(heights, pixel_um, periodic)
    contact = press_topography(face, 10 * load, modulus_mpa=1000.0, hardness_mpa=10.0, threads=1)
    assert contact.pressure_mpa.min() >= 0
    assert contact.pressure_mpa.max() <= 10
    assert contact.pressure_mpa.mean() == pytest.approx(10 * load, rel=1e-9)
    assert 0 <= contact.share <= 1


def test_maps_of_heights_are_read(tmp_path: Path) -> None:
    """Plain numbers with a spacing, and Gwyddion's text export with units of its own."""
    rows = "1 2 3 4\n" * 4
    plain = tmp_path / "plain.csv"
    plain.write_text(rows.replace(" ", ","), encoding="utf-8")
    assert read_topography(plain, pixel_um=0.5).heights_um[0].tolist() == [1, 2, 3, 4]
    export = tmp_path / "gwyddion.txt"
    export.write_text(
        "# Channel: Topography\n# Width: 8.0 µm\n# Height: 8.0 µm\n# Value units: nm\n" + rows, encoding="utf-8"
    )
    read = read_topography(export)
    assert read.pixel_um == pytest.approx(2.0)
    np.testing.assert_allclose(read.heights_um[0], [1e-3, 2e-3, 3e-3, 4e-3])


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("a.csv", "1 2\n", "pixel_um"),
        ("a.csv", "1 2 3\n1 2\n", "line 2"),
        ("a.csv", "1 2\nx y\n", "line 2"),
        ("a.csv", "", "no rows"),
        ("a.txt", "# Width: 8 µm\n# Height: 4 µm\n# Value units: nm\n" + "1 2 3 4\n" * 4, "square pixels"),
        ("a.txt", "# Width: 8 furlong\n" + "1 2 3 4\n" * 4, "furlong"),
        ("a.txt", "# Width: wide µm\n" + "1 2 3 4\n" * 4, "not a length"),
        ("a.opd", "x", "SurfaceTopography"),
    ],
)
def test_a_file_that_is_no_map_of_heights_is_refused(tmp_path: Path, name: str, text: str, said: str) -> None:
    """The error says what was looked for and where."""
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=said):
        read_topography(path)


def test_a_missing_file_is_said(tmp_path: Path) -> None:
    """Not a traceback of the system."""
    with pytest.raises(InputError, match="no such file"):
        read_topography(tmp_path / "nothing.csv")
