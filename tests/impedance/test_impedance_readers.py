"""Files of instruments: every sample read as a hand-checked row says, every broken one refused with the place."""

from __future__ import annotations

import codecs
import contextlib
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from pressopt.errors import SpectrumError
from pressopt.impedance import circuit_impedance, read_spectra

DATA = Path(__file__).parent / "data"

#: File, points, row, frequency in Hz and impedance in Ω as they stand in the file.
ROWS = [
    ("exampleData.csv", 66, 5, 0.01, 4.181678802099760700e-02 - 1.157300918282404278e-02j),
    ("exampleDataBioLogic.mpt", 43, 2, 592.91284, 63.786083 + 0.49220982j),
    ("exampleDataGamry.DTA", 72, 1, 158953.1, 1100.361 - 1502.195j),
    ("exampleDataZPlot.z", 21, 0, 3e5, 147.77 - 11.335j),
    ("exampleDataAutolab.txt", 41, 2, 5623.4, 0.0133731408350403 + 0.00362069753293101j),
    ("exampleDataParstat.txt", 31, 1, 7943.2822265625, 0.0311342528064856 + 0.0114148267514142j),
    ("exampleDataVersaStudio.par", 61, 0, 1e5, 55.31571 + 4.575431j),
    ("exampleDataCHInstruments.txt", 73, 0, 9.961e4, 98.91 - 2.748j),
    ("exampleDataPowersuite.txt", 30, 1, 0.17854992, 407724.77 - 44951.636j),
]


@pytest.mark.parametrize(("name", "points", "row", "frequency_hz", "impedance_ohm"), ROWS)
def test_each_sample_reads_as_its_row_says(
    name: str, points: int, row: int, frequency_hz: float, impedance_ohm: complex
) -> None:
    """One spectrum, all points, and one row compared by hand with the text of the file."""
    (spectrum,) = read_spectra(DATA / name)
    assert spectrum.frequency_hz.size == points
    assert spectrum.frequency_hz[row] == pytest.approx(frequency_hz, rel=1e-12)
    assert spectrum.impedance_ohm[row] == pytest.approx(impedance_ohm, rel=1e-12)
    assert spectrum.metadata["source"] == name


def test_what_the_header_says_is_kept() -> None:
    """Date, amplitude, level and area of a Gamry file are in the metadata, its times are the clock."""
    (spectrum,) = read_spectra(DATA / "exampleDataGamry.DTA")
    assert spectrum.metadata["date"] == "4/23/2018"
    assert spectrum.metadata["amplitude_mv"] == 10.0
    assert spectrum.metadata["bias_v"] == -0.05
    assert spectrum.metadata["area_cm2"] == 1.0
    assert spectrum.time_s is not None
    assert spectrum.time_s[-1] == 860.0


# --- variants of tables

_F = np.geomspace(1e5, 1.0, 26)
_Z = circuit_impedance("R0-p(R1,C1)", {"R0": 20.0, "R1": 80.0, "C1": 1e-6}, _F)


def _write(
    path: Path, header: str, rows: list[list[float]], *, separator: str, comma: bool, bom: bool = False
) -> Path:
    def shown(value: float) -> str:
        text = f"{value:.10g}"
        return text.replace(".", ",") if comma else text

    lines = [header] if header else []
    lines += [separator.join(map(shown, row)) for row in rows]
    data = "\r\n".join(lines).encode()
    path.write_bytes((codecs.BOM_UTF8 if bom else b"") + data)
    return path


def _columns(kind: str) -> list[list[float]]:
    if kind == "minus":
        return [[f, z.real, -z.imag] for f, z in zip(_F, _Z, strict=True)]
    if kind == "polar":
        return [[f, abs(z), np.degrees(np.angle(z))] for f, z in zip(_F, _Z, strict=True)]
    if kind == "minus polar":
        return [[f, abs(z), -np.degrees(np.angle(z))] for f, z in zip(_F, _Z, strict=True)]
    return [[f, z.real, z.imag] for f, z in zip(_F, _Z, strict=True)]


@pytest.mark.parametrize(
    ("header", "kind"),
    [
        ("Frequency (Hz)|Z' (Ω)|-Z'' (Ω)", "minus"),
        ("freq/Hz|Re(Z)/Ohm|-Im(Z)/Ohm", "minus"),
        ("Freq|Zreal|Zimag", "plain"),
        ("f (Hz)|Re Z (ohm)|Im Z (ohm)", "plain"),
        ("frequency_hz|re_ohm|im_ohm", "plain"),
        ("Frequency [Hz]|Z' [Ohm]|−Z'' [Ohm]", "minus"),  # a typographic minus
        ("Freq (Hz)|Z (Ω)|-Phase (°)", "minus polar"),
        ("frequency|zmod|phase (deg)", "polar"),
        ("", "plain"),
    ],
)
@pytest.mark.parametrize(
    ("separator", "comma"), [(",", False), (";", True), ("\t", True), ("\t", False), (" ", True)]
)
def test_tables_in_every_dialect_say_the_same(
    tmp_path: Path, header: str, kind: str, separator: str, comma: bool
) -> None:
    """Separator, decimal mark, names, sign and polar form change nothing in what is read."""
    if separator == " " and header:
        header = header.replace(" ", "")
    path = _write(
        tmp_path / "x.csv",
        header.replace("|", separator),
        _columns(kind),
        separator=separator,
        comma=comma,
        bom=True,
    )
    (spectrum,) = read_spectra(path)
    np.testing.assert_allclose(spectrum.frequency_hz, _F, rtol=1e-8)
    np.testing.assert_allclose(spectrum.impedance_ohm, _Z, rtol=1e-7)


def test_units_in_the_header_are_kept_to(tmp_path: Path) -> None:
    """kHz and kΩ are Hz and Ω once read."""
    rows = [[f / 1e3, z.real / 1e3, z.imag / 1e3] for f, z in zip(_F, _Z, strict=True)]
    path = _write(tmp_path / "x.csv", "Frequency (kHz),Z' (kΩ),Z'' (kΩ)", rows, separator=",", comma=False)
    (spectrum,) = read_spectra(path)
    np.testing.assert_allclose(spectrum.impedance_ohm, _Z, rtol=1e-8)
    np.testing.assert_allclose(spectrum.frequency_hz, _F, rtol=1e-8)


def test_an_impedance_per_area_is_refused(tmp_path: Path) -> None:
    """Ω cm² is not Ω: nothing is divided by an area that nobody gave."""
    path = _write(
        tmp_path / "x.csv", "f (Hz);Z' (Ohm cm2);Z'' (Ohm cm2)", _columns("plain"), separator=";", comma=True
    )
    with pytest.raises(SpectrumError, match="per area"):
        read_spectra(path)


def test_a_sign_that_no_passive_cell_has_is_refused(tmp_path: Path) -> None:
    """-Im Z under the name Im Z is refused with the reason, and read when it is said."""
    path = _write(tmp_path / "x.csv", "Freq,Zreal,Zimag", _columns("minus"), separator=",", comma=False)
    with pytest.raises(SpectrumError, match=r"no passive cell.*negate_imaginary"):
        read_spectra(path)
    (spectrum,) = read_spectra(path, negate_imaginary=True)
    np.testing.assert_allclose(spectrum.impedance_ohm, _Z, rtol=1e-8)


def test_an_inductive_cell_is_no_wrong_sign(tmp_path: Path) -> None:
    """Leads that dominate are an honest positive Im Z and are read."""
    z = 0.5 + 2j * np.pi * _F * 1e-5
    rows = [[f, v.real, v.imag] for f, v in zip(_F, z, strict=True)]
    path = _write(tmp_path / "x.csv", "Freq,Zreal,Zimag", rows, separator=",", comma=False)
    assert read_spectra(path)[0].impedance_ohm.imag.min() > 0


def test_several_sweeps_in_one_file_are_told_apart(tmp_path: Path) -> None:
    """Where the frequency runs back to its start and goes on, a new spectrum begins; repeated points do not."""
    rows = [*_columns("plain"), *_columns("plain"), *_columns("plain")[:20]]
    path = _write(tmp_path / "x.csv", "Freq\tZreal\tZimag", rows, separator="\t", comma=False)
    assert [s.frequency_hz.size for s in read_spectra(path)] == [26, 26, 20]


def test_a_run_that_broke_off_gives_what_it_has(tmp_path: Path) -> None:
    """The last row may be cut in the middle; the points before it are a spectrum."""
    path = _write(tmp_path / "x.csv", "Freq,Zreal,Zimag", _columns("plain"), separator=",", comma=False)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) - 30])
    (spectrum,) = read_spectra(path)
    assert 20 <= spectrum.frequency_hz.size < 26


def test_overloads_are_points_not_to_be_used(tmp_path: Path) -> None:
    """NaN and words for overload are flagged points, not an error and not a number."""
    path = tmp_path / "x.csv"
    rows = "\n".join(f"{f:.6g},{z.real:.6g},{z.imag:.6g}" for f, z in zip(_F, _Z, strict=True))
    path.write_text("Freq,Zreal,Zimag\n2e5,NaN,NaN\n1.5e5,overload,overload\n" + rows)
    (spectrum,) = read_spectra(path)
    assert spectrum.flag.tolist()[:3] == [3, 3, 0]


def _session(**unit: str) -> dict[str, object]:
    def array(name: str, values: np.ndarray, kind: str = "PalmSens.Units.Ohm") -> dict[str, object]:
        return {"Description": name, "Unit": {"Type": kind}, "DataValues": [{"V": float(v)} for v in values]}

    kind = unit.get("kind", "PalmSens.Units.Ohm")
    scale = 1e3 if "Kilo" in kind else 1.0
    arrays = [
        array("Frequency", _F, "PalmSens.Units.Hertz"),
        array("ZRe", _Z.real / scale, kind),
        array("ZIm", _Z.imag / scale, kind),
    ]
    return {
        "Type": "PalmSens.DataFiles.SessionFile",
        "Measurements": [{"Title": "eis", "DataSet": {"Values": arrays}}],
    }


@pytest.mark.parametrize("kind", ["PalmSens.Units.Ohm", "PalmSens.Units.KiloOhm"])
def test_a_palmsens_session_is_read(tmp_path: Path, kind: str) -> None:
    """JSON in UTF-16 with its byte order mark; the prefix of the unit stands in the name of its class."""
    path = tmp_path / "x.pssession"
    path.write_bytes(codecs.BOM_UTF16_LE + json.dumps(_session(kind=kind)).encode("utf-16-le"))
    (spectrum,) = read_spectra(path)
    np.testing.assert_allclose(spectrum.impedance_ohm, _Z)
    assert spectrum.metadata["title"] == "eis"


# --- broken on purpose


def test_every_sample_cut_anywhere_is_read_in_part_or_refused(tmp_path: Path) -> None:
    """However a file was cut, the answer is a shorter spectrum or a SpectrumError that names the file."""
    for name, points, *_ in ROWS:
        data = (DATA / name).read_bytes()
        for share in (0.02, 0.1, 0.3, 0.5, 0.8, 0.97, 0.999):
            path = tmp_path / name
            path.write_bytes(data[: int(len(data) * share)])
            refusal, found = "", 1
            try:
                found = sum(s.frequency_hz.size for s in read_spectra(path))
            except SpectrumError as error:
                refusal = str(error)
            assert name in refusal if refusal else 1 <= found <= points


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "empty"),
        (b"  \n\t ", "empty"),
        (bytes(range(256)) * 20, "binary"),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "binary"),
        (b"Dear all,\nthe cell was fine.\n", "line 1"),
        (b"Frequency,Re Z,Im Z\n", "no row of numbers"),
        (b"Freq,Zreal,Zimag\n1e3,1,-1\nabc,2,3\n1e1,1,-1\n", "line 3"),
        (b"Freq,Zreal,Zimag\n1e3,1,-1\n1e2,2\n1e1,1,-1\n", "line 3"),
        (b"1,2,3,4\n2,3,4,5\n3,4,5,6\n", "rows of 4"),
        (b"1,5,2,5,3,5\n1,4,2,5,3,5\n", "both decimal mark and separator"),
        (b"Freq,Zreal,Zimag\n-1,1,-1\n-2,1,-1\n", "negative"),
        (b"Freq,Zreal,Zimag\n0,1,-1\n0,1,-1\n", "none has a frequency"),
        (b"EC-Lab ASCII FILE\nNb header lines : 61\n", "cut"),
        (b"EC-Lab ASCII FILE\nhello", "Nb header lines"),
        (b"EC-Lab ASCII FILE\nNb header lines : 3\ntime/s\tEwe/V\n1\t2\n2\t3\n", "looked for frequency"),
        (b"EXPLAIN\nTAG\tCV\n", "ZCURVE"),
        (b"EXPLAIN\nZCURVE\tTABLE\n\tPt\tFreq\n", "no rows"),
        (b'{"Measurements": [', "cut or damaged"),
        (b'{"a": 1}', "Measurements"),
        (b'{"Measurements": [{"DataSet": {"Values": []}}]}', "no impedance spectrum"),
        (b'{"Measurements": [3]}', "unknown shape"),
        (b"<Application>\nName=VersaStudio\n", "VersaStudio"),
    ],
)
def test_what_is_no_spectrum_is_refused_with_the_reason(tmp_path: Path, data: bytes, says: str) -> None:
    """The error says what was looked for and where it stopped, and names the file."""
    path = tmp_path / "broken.dat"
    path.write_bytes(data)
    with pytest.raises(SpectrumError, match=says) as caught:
        read_spectra(path)
    assert "broken.dat" in str(caught.value)


def test_a_missing_file_and_a_folder_are_refused(tmp_path: Path) -> None:
    """Both say what to do."""
    with pytest.raises(SpectrumError, match="cannot be opened"):
        read_spectra(tmp_path / "none.csv")
    with pytest.raises(SpectrumError, match="folder"):
        read_spectra(tmp_path)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@example(b"EXPLAIN\nZCURVE\tTABLE\n\tPt\tFreq\n\t#\tHz\n\t0\t1")
@example(b"\xff\xfe{")
@example(b"ZPLOT2 ASCII\nFreq(Hz)\tZ'\nEnd Comments")
@given(st.binary(max_size=300))
def test_no_bytes_make_a_reader_fail_in_another_way(tmp_path: Path, data: bytes) -> None:
    """Whatever stands in a file, the answer is spectra or a SpectrumError."""
    path = tmp_path / "fuzz"
    path.write_bytes(data)
    with contextlib.suppress(SpectrumError):
        assert read_spectra(path)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from([row[0] for row in ROWS]), st.data())
def test_no_damage_to_a_real_file_makes_a_reader_fail_in_another_way(
    tmp_path: Path, name: str, data: st.DataObject
) -> None:
    """Bytes overwritten, removed or doubled anywhere in a real export: spectra or a SpectrumError."""
    content = bytearray((DATA / name).read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(content) - 1))
        length = data.draw(st.integers(0, 40))
        content[at : at + length] = data.draw(st.binary(max_size=20))
        if not content:
            break
    path = tmp_path / name
    path.write_bytes(bytes(content))
    with contextlib.suppress(SpectrumError):
        assert read_spectra(path)


@pytest.mark.long
def test_a_million_rows_are_read(tmp_path: Path) -> None:
    """A huge table is slow but read, as one long sweep."""
    path = tmp_path / "huge.csv"
    f = np.geomspace(1e6, 1e-3, 1_000_000)
    np.savetxt(path, np.column_stack([f, np.full(f.size, 10.0), np.full(f.size, -1.0)]), delimiter=",")
    assert sum(s.frequency_hz.size for s in read_spectra(path)) == 1_000_000
