"""Other exports of the same programs: other locales, encodings, columns, several spectra, aborted runs."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import impedance_files as files
from pressopt.errors import SpectrumError
from pressopt.impedance import read_spectra

CASES = pytest.mark.parametrize(
    ("name", "make", "count", "kind"), files.FILES, ids=[name for name, _, _, _ in files.FILES]
)
Make = Callable[[], bytes]


@CASES
def test_each_export_holds_the_same_spectrum(tmp_path: Path, name: str, make: Make, count: int, kind: str) -> None:
    """Each file gives the same frequencies and impedances, as many spectra as it holds, and its name."""
    path = tmp_path / name
    path.write_bytes(make())
    spectra = read_spectra(path)
    assert len(spectra) == count
    for spectrum in spectra:
        order = np.argsort(-spectrum.frequency_hz)
        np.testing.assert_allclose(spectrum.frequency_hz[order], files.F, rtol=1e-7)
        np.testing.assert_allclose(spectrum.impedance_ohm[order], files.Z, rtol=1e-7)
        assert spectrum.metadata["format"] == kind
        assert spectrum.metadata["source"] == name


@CASES
def test_a_file_cut_anywhere_is_shorter_or_refused(
    tmp_path: Path, name: str, make: Make, count: int, kind: str
) -> None:
    """What is read of a cut file are true rows of the whole but for its last; else the error names the file."""
    data = make()
    path = tmp_path / name
    for share in (0.01, 0.05, 0.2, 0.35, 0.5, 0.65, 0.8, 0.9, 0.95, 0.99, 0.995):
        path.write_bytes(data[: int(len(data) * share)])
        refusal = ""
        spectra = []
        try:
            spectra = read_spectra(path)
        except SpectrumError as error:
            refusal = str(error)
        assert spectra or name in refusal
        assert len(spectra) <= count
        for spectrum in spectra:
            for f, z in zip(spectrum.frequency_hz[:-1], spectrum.impedance_ohm[:-1], strict=True):
                at = int(np.argmin(np.abs(np.log(files.F / f))))
                assert f == pytest.approx(files.F[at], rel=1e-6)
                assert z == pytest.approx(files.Z[at], rel=1e-6)


@settings(max_examples=120, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(index=st.integers(0, len(files.FILES) - 1), data=st.data())
def test_no_damage_makes_a_reader_fail_in_another_way(tmp_path: Path, index: int, data: st.DataObject) -> None:
    """Bytes overwritten, removed or doubled anywhere in any format: spectra or a SpectrumError."""
    name, make, _, _ = files.FILES[index]
    content = bytearray(make())
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, max(0, len(content) - 1)))
        content[at : at + data.draw(st.integers(0, 40))] = data.draw(st.binary(max_size=20))
    path = tmp_path / name
    path.write_bytes(bytes(content))
    with contextlib.suppress(SpectrumError):
        assert read_spectra(path)


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (files.gamry, {"date": "4.3.2024", "bias_v": 0.25, "amplitude_mv": 10.0, "area_cm2": 0.785}),
        (files.ec_lab, {"date": "03/04/2024 10:11:12", "bias_v": 0.0, "amplitude_mv": 10.0, "area_cm2": 0.785}),
        (files.ivium, {"date": "3/4/2024 10:11:12", "bias_v": 0.25, "amplitude_mv": 10.0, "title": "cell 1"}),
        (files.zahner, {"date": "2024-05-12 16:53:20"}),
        (files.origalys, {"date": "2026-08-06"}),
        (files.german, {"date": "04.03.2024", "amplitude_mv": 10.0, "area_cm2": 0.785}),
    ],
)
def test_what_a_file_says_of_the_measurement_is_kept(
    tmp_path: Path, make: Make, expected: dict[str, object]
) -> None:
    """Date, level, amplitude and area are in the metadata in our units."""
    path = tmp_path / "cell"
    path.write_bytes(make())
    metadata = read_spectra(path)[0].metadata
    assert {key: metadata.get(key) for key in expected} == expected


def test_an_area_of_nought_is_no_area(tmp_path: Path) -> None:
    """EC-Lab writes 0.000 cm² where nobody gave one: the metadata has none."""
    path = tmp_path / "cell.mpt"
    path.write_bytes(files.ec_lab().replace(b"0,785", b"0,000"))
    assert "area_cm2" not in read_spectra(path)[0].metadata


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (files.ivium().replace(b"Method=Impedance", b"Method=CyclicVoltammetry"), "no impedance"),
        (files.ivium().split(b"primary_data")[0] + b"primary_data\r\n", "number of columns"),
        (files.ivium(rows=0), "none is there"),
        (files.autolab_fra(rows=0), "cut"),
        (b"version8.0\nmany\n", "number of points"),
        (files.origalys()[:120], "OrigaLys"),
        (files.zahner()[:300], "it is cut"),
    ],
)
def test_what_is_missing_is_said(tmp_path: Path, data: bytes, says: str) -> None:
    """The error names what was looked for."""
    path = tmp_path / "cell.x"
    path.write_bytes(data)
    with pytest.raises(SpectrumError, match=says):
        read_spectra(path)


def test_an_aborted_export_gives_what_it_has(tmp_path: Path) -> None:
    """Ivium and FRA say how many points there should be; fewer are read all the same."""
    for make in (files.ivium, files.autolab_fra):
        path = tmp_path / "cell"
        path.write_bytes(make(rows=11))
        assert read_spectra(path)[0].frequency_hz.size == 11


def test_a_zahner_sweep_without_its_overlap(tmp_path: Path) -> None:
    """Points before the turn are left out and the metadata says so."""
    path = tmp_path / "cell.ism"
    path.write_bytes(files.zahner(overlap=5))
    (spectrum,) = read_spectra(path)
    assert "5 points" in str(spectrum.metadata["overlap"])
    assert spectrum.time_s is not None
    assert spectrum.time_s[0] == 0.0


def test_palmsens_units_tell_the_sign(tmp_path: Path) -> None:
    """PSTrace keeps -Z'' under a unit of its own."""

    def array(name: str, unit: str, values: np.ndarray) -> dict[str, object]:
        points = [{"V": float(v)} for v in values]
        return {"Description": name, "Unit": {"Type": f"PalmSens.Units.{unit}"}, "DataValues": points}

    arrays = [
        array("Frequency", "Hertz", files.F),
        array("Z'", "ZRe", files.Z.real),
        array("Z''", "ZIm", -files.Z.imag),
    ]
    session = {"Measurements": [{"Title": "a", "DataSet": {"Type": "EIS", "Values": arrays}}]}
    path = tmp_path / "x.pssession"
    path.write_bytes(("\ufeff" + json.dumps(session) + "\ufeff").encode("utf-16-le"))
    (spectrum,) = read_spectra(path)
    np.testing.assert_allclose(spectrum.impedance_ohm, files.Z)


def test_a_long_table_is_read_as_a_short_one(tmp_path: Path) -> None:
    """The fast way for long tables gives the same numbers, also with a decimal comma and a cut last row."""
    f = np.geomspace(1e6, 1e-3, 3000)
    rows = [f"{v:.6e};{10 + v:.6e};{-1 / v:.6e}".replace(".", ",") for v in f]
    path = tmp_path / "long.csv"
    path.write_text("\n".join(["f (Hz);Z' (Ohm);Z'' (Ohm)", *rows]))
    (spectrum,) = read_spectra(path)
    np.testing.assert_allclose(spectrum.frequency_hz, f, rtol=1e-6)
    path.write_text("\n".join(["f (Hz);Z' (Ohm);Z'' (Ohm)", *rows])[:-30])
    (cut,) = read_spectra(path)
    np.testing.assert_allclose(cut.impedance_ohm, spectrum.impedance_ohm[:2999])


@pytest.mark.parametrize(
    ("header", "said"),
    [
        ("log10(f/Hz),Re Z,Im Z", "'Re Z' (re)"),
        ("Frequency (Hz),G (S),B (S)", "'Frequency (Hz)' (frequency)"),
        ("omega (rad/s),a,b,c", "nothing"),
    ],
)
def test_names_that_are_no_spectrum_are_told_apart_from_numbers(tmp_path: Path, header: str, said: str) -> None:
    """A logarithm, an admittance, an angular frequency is never taken for what was wanted; the names say why."""
    width = header.count(",") + 1
    rows = [
        ",".join(f"{v:.6e}" for v in (f, z.real, z.imag, abs(z))[:width])
        for f, z in zip(files.F, files.Z, strict=True)
    ]
    path = tmp_path / "named.csv"
    path.write_text("\n".join([header, *rows]))
    with pytest.raises(SpectrumError) as refused:
        read_spectra(path)
    assert f"is understood: {said}" in str(refused.value)
    assert "line 1" in str(refused.value)


def test_an_applied_frequency_is_one(tmp_path: Path) -> None:
    """So some programs call it, with ohms in the plural and a time column."""
    rows = [
        f"{f:.6e},{z.real:.6e},{z.imag:.6e},{k}" for k, (f, z) in enumerate(zip(files.F, files.Z, strict=True))
    ]
    path = tmp_path / "applied.csv"
    path.write_text("\n".join(["Applied Frequency (Hz),Z' (Ohms),Z'' (Ohms),Time (Sec)", *rows]))
    (spectrum,) = read_spectra(path)
    np.testing.assert_allclose(spectrum.impedance_ohm, files.Z, rtol=1e-5)
    assert spectrum.time_s is not None
