"""Curves and spectra in the Battery Data Format of the Battery Data Alliance (LF Energy), as ``*.bdf.csv``.

Labels are those of the format's ontology 1.3. Voltage and current are required columns; at a press nobody measures
them, so their cells are empty instead of invented.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence

import numpy as np

from pressopt.impedance.spectrum import ImpedanceSpectrum
from pressopt.pressing import Die, PressRecord

_REQUIRED = ("Test Time / s", "Voltage / V", "Current / A")
#: 1 MPa in Pa.
_PA = 1e6


def press_bdf(record: PressRecord, die: Die, *, started_unix_s: float | None = None) -> str:
    """Return the curves of one pressing: time, pressure on the sample, platen temperature, step.

    Args:
        record: The curves.
        die: Turns force into pressure on the sample.
        started_unix_s: When the pressing began, s since 1970-01-01 UTC; None: not told.
    """
    header = [*_REQUIRED, "Step Count / 1", "Applied Pressure / Pa", "Surface Temperature T1 / degC"]
    columns: list[Iterable[object]] = [
        record.time_s - (record.time_s[0] if len(record.time_s) else 0.0),
        [""] * len(record.time_s),
        [""] * len(record.time_s),
        _steps(record.stage),
        die.pressure_mpa(1.0) * record.force_kn * _PA,
        record.temperature_c,
    ]
    return _csv(header, columns, started_unix_s)


def spectrum_bdf(spectrum: ImpedanceSpectrum, *, started_unix_s: float | None = None) -> str:
    """Return one spectrum: frequency, impedance by its parts (Im Z signed), phase, and whether a point is good.

    Where the analyser told no times, points are counted instead: the format requires a time that does not fall.
    """
    times = spectrum.time_s if spectrum.time_s is not None else np.arange(len(spectrum.frequency_hz), dtype=float)
    impedance = spectrum.impedance_ohm
    header = [
        *_REQUIRED, "Frequency / Hz", "Real Impedance / ohm", "Imaginary Impedance / ohm",
        "Absolute Impedance / ohm", "Phase / deg", "Point Flag / 1",
    ]  # fmt: skip
    empty = [""] * len(times)
    columns: list[Iterable[object]] = [
        times, empty, empty, spectrum.frequency_hz, impedance.real, impedance.imag, np.abs(impedance),
        np.degrees(np.angle(impedance)), spectrum.flag,
    ]  # fmt: skip
    return _csv(header, columns, started_unix_s)


def _steps(stage: Sequence[int] | np.ndarray[tuple[int], np.dtype[np.int64]]) -> list[int]:
    """Steps counted from 1, one more at each change of stage or of the way between two."""
    found, number, before = [], 0, None
    for one in stage:
        number += one != before
        before = one
        found.append(number)
    return found


def _csv(header: list[str], columns: list[Iterable[object]], started_unix_s: float | None) -> str:
    rows = [list(row) for row in zip(*columns, strict=True)]
    if started_unix_s is not None:
        header = [*header[:3], "Unix Time / s", *header[3:]]
        rows = [[*row[:3], started_unix_s + _number(row[0]), *row[3:]] for row in rows]
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(header)
    writer.writerows([[_text(value) for value in row] for row in rows])
    return out.getvalue()


def _number(value: object) -> float:
    return float(str(value))


def _text(value: object) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, (int, np.integer)):
        return str(int(value))
    return repr(_number(value))
