"""One and the same spectrum as the programs of many instruments would write it: for tests of the readers."""

from __future__ import annotations

import struct
from collections.abc import Callable

import numpy as np

from pressopt.impedance import circuit_impedance
from pressopt.impedance.spectrum import Complex, Real

F: Real = np.geomspace(1e5, 1.0, 26)
Z: Complex = circuit_impedance("R0-p(R1,C1)", {"R0": 20.0, "R1": 80.0, "C1": 1e-6}, F)


def _rows(*columns: Real, separator: str = "\t", comma: bool = False) -> list[str]:
    lines = [separator.join(f"{v:.9e}" for v in row) for row in zip(*columns, strict=True)]
    return [line.replace(".", ",") for line in lines] if comma else lines


def ivium(*, titles: tuple[str, ...] = ("cell 1",), rows: int = F.size) -> bytes:
    """IviumSoft: control characters between settings, Re Z, Im Z, frequency in blanks, no date where none is."""
    text = "\x01\x00\x02Version=11\r\n"
    for title in titles:
        text += f"\x1cTitle={title}\r\n\x00Method=Impedance\r\nstarttime=3/4/2024 10:11:12\r\nAmplitude=0.01\r\n"
        text += f"E start=0.25\r\nprimary_data\r\n3\r\n{F.size}\r\n"
        columns = (Z.real[:rows], Z.imag[:rows], F[:rows])
        text += "\r\n".join("  ".join(f"{v:.9E}" for v in row) for row in zip(*columns, strict=True)) + "\r\n\x1e"
    return text.encode("latin-1")


def autolab_fra(*, rows: int = F.size) -> bytes:
    """FRA before NOVA: one number in a line."""
    lines = ["VERSION8.0", str(F.size), "0"]
    for f, z in zip(F[:rows], Z[:rows], strict=True):
        lines += [f"{v:.9e}" for v in (f, z.real, -z.imag, 0.31, 1e-7, 59.3, 0.0, 0.0, 0.0)]
    return "\r\n".join(lines).encode()


def autolab_p00() -> bytes:
    """FRA's text export: a column of times that is wrong for all rows, the count between names and rows."""
    lines = ["Procedure : cell", "04.03.2024 10:00:00 - 04.03.2024 10:12:00 i(init)= 183.1nA", "", "t =  736.4 s"]
    lines += [" f/Hz       \t Z'/Ohm     \t -Z''/Ohm   \t time/s    \t Edc/V     \t Idc/A     \t", f" {F.size} "]
    constant = np.full(F.size, 59.3)
    lines += [f" {row}\t" for row in _rows(F, Z.real, -Z.imag, constant, constant, constant)]
    return "\n".join(lines).encode()


def origalys() -> bytes:
    """OrigaMaster: a head that is no text in UTF-8, then nine columns."""
    lines = [
        "þ«Z11",
        "FZPTEIYXC",
        "Pot. Dynamic EIS (Impedance)",
        "11|free|0|20",
        "/2026/8/6/2/21",
        f"{F.size}   ",
    ]
    nought = np.zeros(F.size)
    lines += _rows(F, np.abs(Z), np.degrees(np.angle(Z)), nought, nought, nought, Z.real, -Z.imag, nought)
    return "\r\n".join(lines).encode("latin-1")


def zahner(*, overlap: int = 0) -> bytes:
    """Thales: big-endian columns; the sweep begins ``overlap`` points below its highest frequency."""
    order = [*range(overlap, 0, -1), *range(F.size)]
    f, z = F[order], Z[order]
    time = 1.4e9 + np.arange(f.size, dtype=np.float64)
    data = (8).to_bytes(6, "big") + (f.size - 1).to_bytes(6, "big")
    for column in (f, np.abs(z), np.angle(z), time):
        data += column.astype(">f8").tobytes()
    return data + np.full(f.size, 100, dtype=">i2").tobytes() + struct.pack(">h", 6) + b"040324"


def counted() -> bytes:
    """Comments, the number of rows, three columns without names."""
    return "\n".join(
        ["Some words", "on the cell", "", str(F.size), *_rows(F, Z.real, Z.imag, separator=" ")]
    ).encode()


def gamry(*, comma: bool = True, curves: int = 2) -> bytes:
    """Framework in a German Windows, with the temperature of no sensor and columns of a drift correction."""
    lines = ["EXPLAIN", "TAG\tEISPOT", "TITLE\tLABEL\tcell\tTest", "DATE\tLABEL\t4.3.2024\tDate"]
    lines += [
        "VDC\tPOTEN\t2,50000E-001\tT\tDC",
        "VAC\tQUANT\t1,00000E+001\tAC",
        "AREA\tQUANT\t7,85000E-001\t&Area",
    ]
    lines += ["OCVCURVE\tTABLE\t2", "\tPt\tT\tVf", "\t#\ts\tV", "\t0\t0,25\t0,1", "\t1\t0,5\t0,1"]
    for k in range(curves):
        lines += [
            f"ZCURVE{k or ''}\tTABLE",
            "\tPt\tTime\tFreq\tZreal\tZimag\tZsig\tZmod\tZphz\tZrealDrCor\tZimagDrCor",
        ]
        lines += ["\t#\ts\tHz\tohm\tohm\tV\tohm\t°\tohm\tohm"]
        number = np.arange(F.size, dtype=np.float64)
        polar = (np.abs(Z), np.degrees(np.angle(Z)))
        columns = (number, number * 2, F, Z.real, Z.imag, number, *polar, Z.real * 2, Z.imag * 2)
        lines += ["\t" + row for row in _rows(*columns, comma=comma)]
        lines += ["EXPERIMENTABORTED\tTOGGLE\tT\tExperiment Aborted"] if k + 1 == curves else []
    return "\r\n".join(lines).encode("latin-1")


def ec_lab(*, comma: bool = True, cycles: int = 3) -> bytes:
    """EC-Lab in a French Windows: Latin-1, decimal comma, several cycles, other columns first, more of them."""
    head = ["EC-Lab ASCII FILE", "Nb header lines : 9", "", "Acquisition started on : 03/04/2024 10:11:12"]
    head += ["Device : SP-300 (SN 1)", "Electrode surface area : 0,785 cm²", "Va (mV)             10,0"]
    head += [
        "E (V)               0,0000",
        "time/s\tfreq/Hz\tRe(Z)/Ohm\t-Im(Z)/Ohm\t|Z|/Ohm\tPhase(Z)/deg\tcycle number\t",
    ]
    lines = head
    for cycle in range(1, cycles + 1):
        time = np.arange(F.size, dtype=np.float64) + 100.0 * cycle
        polar = (np.abs(Z), np.degrees(np.angle(Z)))
        number = np.full(F.size, float(cycle))
        lines += [row + "\t" for row in _rows(time, F, Z.real, -Z.imag, *polar, number, comma=comma)]
    return "\r\n".join(lines).encode("latin-1")


def nova() -> bytes:
    """NOVA's export: quotes, semicolons, decimal comma, UTF-8 with its mark, impedances in other columns too."""
    names = ["Index", "Frequency (Hz)", "Z' (Ω)", "-Z'' (Ω)", "Z (Ω)", "-Phase (°)", "Time (s)"]
    number = np.arange(1.0, F.size + 1)
    rows = _rows(
        number, F, Z.real, -Z.imag, np.abs(Z), -np.degrees(np.angle(Z)), number, separator=";", comma=True
    )
    return ("\ufeff" + "\n".join([";".join(f'"{n}"' for n in names), *rows])).encode()


def german() -> bytes:
    """A spreadsheet saved as Unicode text: UTF-16, tabs, decimal comma, German names, lines above the table."""
    head = ["Datum:\t04.03.2024", "Fläche (cm²):\t0,785", "Amplitude (mV):\t10", ""]
    names = "Frequenz (Hz)\tRealteil (Ohm)\tImaginärteil (Ohm)"
    return "\r\n".join([*head, names, *_rows(F, Z.real, Z.imag, comma=True)]).encode("utf-16")


def big_endian() -> bytes:
    """UTF-16 with the larger byte first and no mark."""
    return "\r\n".join(["freq,Zre,-Zim", *_rows(F, Z.real, -Z.imag, separator=",")]).encode("utf-16-be")


def both_negative() -> bytes:
    """Both parts with a minus in their names."""
    return "\n".join(["f,-Z',-Z''", *_rows(F, -Z.real, -Z.imag, separator=",")]).encode()


def upwards() -> bytes:
    """Polar, in radians and kΩ, from low to high, the phase first."""
    polar = (np.angle(Z)[::-1], np.abs(Z)[::-1] / 1e3, F[::-1])
    return "\n".join(["phase (rad);|Z| (kOhm);f (Hz)", *_rows(*polar, separator=";")]).encode()


#: Name of the file, how it is made, spectra in it, points of each, format it is read as.
FILES: list[tuple[str, Callable[[], bytes], int, str]] = [
    ("cell.idf", ivium, 1, "Ivium"),
    ("cells.ids", lambda: ivium(titles=("a", "b", "c")), 3, "Ivium"),
    ("cell.dfr", autolab_fra, 1, "Autolab FRA"),
    ("cell.P00", autolab_p00, 1, "table"),
    ("cell.crv", origalys, 1, "OrigaLys"),
    ("cell.ism", zahner, 1, "Zahner"),
    ("overlap.ism", lambda: zahner(overlap=5), 1, "Zahner"),
    ("cell.i2b", counted, 1, "table"),
    ("german.DTA", gamry, 2, "Gamry"),
    ("english.DTA", lambda: gamry(comma=False, curves=1), 1, "Gamry"),
    ("french.mpt", ec_lab, 3, "EC-Lab"),
    ("english.mpt", lambda: ec_lab(comma=False, cycles=1), 1, "EC-Lab"),
    ("nova.csv", nova, 1, "table"),
    ("german.txt", german, 1, "table"),
    ("big-endian.csv", big_endian, 1, "table"),
    ("negative.csv", both_negative, 1, "table"),
    ("upwards.csv", upwards, 1, "table"),
]
